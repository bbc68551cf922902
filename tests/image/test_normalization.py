"""Intensity limits: one set for the image, from a bounded sample that is always the same."""

from __future__ import annotations

from typing import Any

import dask.array
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_unet.card import Normalization
from napari_unet.errors import InputError, SettingsError
from napari_unet.image import normalization
from napari_unet.image.normalization import check_finite, find_limits
from napari_unet.image.normalized_region import normalize
from napari_unet.image.source import open_image


def random_image(*shape: int, seed: int = 0) -> np.ndarray:
    """Blobs: noise alone would be told as such."""
    noise = np.random.default_rng(seed).gamma(2, 100, shape)
    sigma = (0,) * (len(shape) - 2) + (2, 2)
    return (10 * ndimage.gaussian_filter(noise, sigma)).astype(np.uint16)


def test_limits_are_the_percentiles_of_each_channel() -> None:
    image = random_image(2, 3, 4, 40, 50)  # TCZYX
    limits = find_limits(open_image(image, axes="TCZYX", in_channels=3), Normalization())
    for channel, found in enumerate(limits.at(1, 2)):
        assert found == pytest.approx(np.percentile(image[:, channel], (1, 99.8)))


def test_percentiles_can_be_chosen() -> None:
    image = random_image(40, 50)
    wanted = Normalization(lower=10, upper=60)
    (found,) = find_limits(open_image(image), wanted).at()
    assert found == pytest.approx(np.percentile(image, (10, 60)))


@pytest.mark.parametrize("scope", ["image", "time", "plane"])
def test_scopes(scope: Any) -> None:
    image = random_image(2, 3, 30, 40)
    limits = find_limits(open_image(image, axes="TZYX"), Normalization(scope=scope))
    for time in range(2):
        for plane in range(3):
            part = {"image": image, "time": image[time], "plane": image[time, plane]}[scope]
            assert limits.at(time, plane)[0] == pytest.approx(np.percentile(part, (1, 99.8)))
    assert len(limits.as_list()) == {"image": 1, "time": 2, "plane": 6}[scope]


def test_planes_of_an_image_without_z_are_its_time_points() -> None:
    image = random_image(2, 30, 40)
    limits = find_limits(open_image(image, axes="TYX"), Normalization(scope="plane"))
    assert limits.at(1)[0] == pytest.approx(np.percentile(image[1], (1, 99.8)))


def test_fixed_ranges() -> None:
    source = open_image(random_image(2, 30, 40), axes="CYX", in_channels=2)
    one = Normalization(mode="range", limits=((5, 9),))
    assert find_limits(source, one).at() == ((5, 9), (5, 9))
    two = Normalization(mode="range", limits=((5, 9), (0, 3)))
    assert find_limits(source, two).at() == ((5, 9), (0, 3))
    three = Normalization(mode="range", limits=((5, 9),) * 3)
    with pytest.raises(SettingsError, match="3 channels, the model takes 2"):
        find_limits(source, three)


def test_no_normalization_leaves_the_values() -> None:
    image = random_image(30, 40)
    limits = find_limits(open_image(image), Normalization(mode="none")).at()
    np.testing.assert_array_equal(normalize(image[None], limits)[0], image)


def test_a_few_bright_pixels_are_seen() -> None:
    image = np.zeros((100, 100), np.uint8)
    image[5:7, 5:7] = 200
    assert find_limits(open_image(image), Normalization()).at() == ((0, 200),)


def test_a_constant_image_becomes_zero() -> None:
    image = np.full((9, 9), 7, np.uint8)
    limits = find_limits(open_image(image), Normalization()).at()
    assert (normalize(image[None], limits) == 0).all()


# ------------------------------------------------------------------------------ the sample


class CountingArray:
    """An array that counts the pixels that were read, and where."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype
        self.reads = np.zeros(pixels.shape, int)

    def __getitem__(self, index: Any) -> np.ndarray:
        self.reads[index] += 1
        return self.pixels[index]


def test_a_large_image_costs_a_bounded_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normalization, "SAMPLE_PIXELS", 6000)
    monkeypatch.setattr(normalization, "DEFAULT_CHUNK_PIXELS", 16)
    image = random_image(12, 64, 80)
    counted = [CountingArray(image), CountingArray(image)]
    limits = [find_limits(open_image(c, axes="ZYX"), Normalization()) for c in counted]
    assert 3000 <= counted[0].reads.sum() <= 6000
    assert counted[0].reads.max() == 1
    assert np.count_nonzero(counted[0].reads.any(axis=(1, 2))) > 6  # spread over the planes
    np.testing.assert_array_equal(counted[0].reads, counted[1].reads)
    assert limits[0] == limits[1]
    np.testing.assert_allclose(limits[0].at(), [np.percentile(image, (1, 99.8))], rtol=0.15)


def test_whole_chunks_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normalization, "SAMPLE_PIXELS", 2000)
    array = CountingArray(random_image(60, 60))
    array.chunks = (20, 30)  # type: ignore[attr-defined]
    find_limits(open_image(array), Normalization())
    share = array.reads.reshape(3, 20, 2, 30).mean(axis=(1, 3))
    assert sorted(share.ravel()) == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("shape", [(300, 8, 9), (7, 30, 40), (5, 1, 1)])
def test_a_small_image_is_read_whole(shape: tuple[int, ...]) -> None:
    array = CountingArray(random_image(*shape))
    find_limits(open_image(array, axes="ZYX"), Normalization())
    assert (array.reads == 1).all()


def test_deep_chunks_do_not_shrink_the_sample_of_a_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normalization, "SAMPLE_PIXELS", 2000)
    array = CountingArray(random_image(8, 40, 40))
    array.chunks = (8, 20, 20)  # type: ignore[attr-defined]
    find_limits(open_image(array, axes="ZYX"), Normalization(scope="plane"))
    assert (array.reads == 1).all()


def test_storage_does_not_matter() -> None:
    image = random_image(6, 70, 50)
    kinds = [
        image,
        zarr.array(image, chunks=(4, 16, 50)),
        dask.array.from_array(image, chunks=(2, 33, 20)),
    ]
    limits = [find_limits(open_image(kind, axes="ZYX"), Normalization()) for kind in kinds]
    assert limits[0] == limits[1] == limits[2]


# ------------------------------------------------------------------------------ normalize


def blocks(dtype: str) -> st.SearchStrategy[np.ndarray]:
    """Blocks of one channel: all integers, and floats of a size that images have."""
    floats = st.floats(-1e4, 1e4, width=16)
    elements = floats if dtype.startswith("f") else None
    shapes = st.tuples(st.just(1), st.integers(1, 6), st.integers(1, 6))
    return hnp.arrays(dtype, shapes, elements=elements, fill=st.nothing())


@given(
    st.sampled_from(
        ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]
    ).flatmap(blocks)
)
def test_limits_become_0_and_1_in_every_dtype(block: np.ndarray) -> None:
    low, high = float(block.min()), float(block.max())
    found = normalize(block, ((low, high),))
    assert found.dtype == np.float32
    if high == low:
        assert (found == 0).all()
        return
    exact = (block.astype(np.longdouble) - low) / (np.longdouble(high) - low)
    np.testing.assert_allclose(found, exact.astype(float), atol=2e-3)
    assert abs(found.min()) < 1e-5
    assert abs(found.max() - 1) < 1e-5


def test_pixels_beyond_the_limits_stay_beyond() -> None:
    found = normalize(np.array([[-4.0, 0, 8, 16]]), ((0.0, 8.0),))
    np.testing.assert_allclose(found, [[-0.5, 0, 1, 2]])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_left_out_and_become_dark(value: float) -> None:
    image = random_image(60, 70).astype(np.float32)
    holed = image.copy()
    holed[:4] = value
    limits = find_limits(open_image(holed), Normalization())
    assert limits.at() == find_limits(open_image(image[4:]), Normalization()).at()
    assert limits.left_out == {"nan" if np.isnan(value) else "infinite": 4 * 70}
    found = normalize(holed[None], limits.at())
    assert not found[0, :4].any()
    np.testing.assert_array_equal(found[0, 4:], normalize(image[None, 4:], limits.at())[0])


def test_blocks_that_must_be_finite_are_refused() -> None:
    check_finite(np.zeros((5, 6), np.float32))
    with pytest.raises(InputError, match="NaN"):
        check_finite(np.full((5, 6), np.nan))


def test_values_beyond_float32_are_normalised() -> None:
    block = np.array([[[0.0, 5e299, 1e300]]])
    np.testing.assert_allclose(normalize(block, ((0.0, 1e300),)), [[[0, 0.5, 1]]])


def test_tiny_chunks_are_not_all_read() -> None:
    """Ten million pixels in chunks of 5 x 5 would take minutes to read."""
    reads = []

    class Counting:
        shape, dtype, chunks = (1600, 1600), np.dtype(np.uint8), (5, 5)

        def __getitem__(self, region: Any) -> np.ndarray:
            reads.append(region)
            return np.full([r.stop - r.start for r in region], len(reads) % 200, np.uint8)

    find_limits(open_image(Counting(), axes="YX"), Normalization())
    assert len(reads) == normalization.SAMPLE_CHUNKS
