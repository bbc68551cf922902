"""What says nothing about an image's intensities is left out of its limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_unet.card import Normalization
from napari_unet.image import normalization
from napari_unet.image.normalization import IntensityLimits, find_limits
from napari_unet.image.normalized_region import read_normalized
from napari_unet.image.source import open_image
from napari_unet.inference.segmentation import iter_segmentation
from napari_unet.progress import drain
from napari_unet.samples import load_sample

PERCENTILES = (1, 99.8)


@pytest.fixture(scope="module")
def camera() -> np.ndarray:
    """Nuclei on a camera's offset, as 16-bit."""
    pixels = np.asarray(load_sample("nuclei_2d").image)[:192, :160]
    return (pixels.astype(float) * 16 + 100).astype(np.uint16)


def limits_of(image: Any, axes: str = "YX") -> IntensityLimits:
    return find_limits(open_image(image, axes=axes), Normalization())


def test_a_sound_image_keeps_its_percentiles(camera: np.ndarray) -> None:
    limits = limits_of(camera)
    assert limits.at() == (tuple(np.percentile(camera, PERCENTILES)),)
    assert (limits.left_out, limits.has_defects) == ({}, False)


@pytest.mark.parametrize("value", [0, 100, 700, 65535])
@pytest.mark.parametrize("width", [4, 90])
def test_padding(camera: np.ndarray, value: int, width: int) -> None:
    limits = limits_of(np.pad(camera, width, constant_values=value))
    height, length = camera.shape
    assert limits.window == {"Y": slice(width, width + height), "X": slice(width, width + length)}
    assert limits.at() == (tuple(np.percentile(camera, PERCENTILES)),)
    assert limits.left_out["fill"] >= (height + 2 * width) * (length + 2 * width) - camera.size


@pytest.mark.parametrize("angle", [2, 10, 45])
@pytest.mark.parametrize("value", [0, 700])
@pytest.mark.parametrize("order", [0, 1])
def test_the_corners_of_a_rotated_image(
    camera: np.ndarray, angle: float, value: int, order: int
) -> None:
    turned = ndimage.rotate(camera, angle, order=order, cval=value)
    inside = ndimage.rotate(np.ones_like(camera), angle, order=0) > 0
    inside = ndimage.binary_erosion(inside, iterations=3)
    limits = limits_of(turned)
    assert limits.fill == ((value,),)
    np.testing.assert_allclose(
        limits.at()[0], np.percentile(turned[inside], PERCENTILES), rtol=0.03
    )


def test_padding_that_reaches_over_chunks(
    camera: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(normalization, "DEFAULT_CHUNK_PIXELS", 64)
    padded = np.pad(camera, 100)
    limits = limits_of(padded)
    np.testing.assert_allclose(limits.at()[0], np.percentile(camera, PERCENTILES), rtol=0.03)
    assert limits.left_out["fill"] >= padded.size - camera.size


def test_a_dark_background_is_no_padding() -> None:
    y, x = np.mgrid[:200, :200]
    discs = ((y % 67 - 33) ** 2 + (x % 67 - 33) ** 2 < 20**2) * np.uint8(90)
    assert limits_of(discs).left_out == {}
    one = ((y - 90) ** 2 + (x - 60) ** 2 < 12**2) * np.uint8(90)
    assert limits_of(one).left_out == {}
    assert limits_of(one).at() == ((0, 90),)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_drawing_of_squares_has_no_padding(count: int) -> None:
    image = np.full((20, 12 * count + 4), 20, np.uint8)
    for i in range(count):
        image[5:12, 4 + 12 * i : 11 + 12 * i] = 200
    assert limits_of(image).at() == ((20, 200),)
    assert limits_of(image > 100).at() == ((0, 1),)


@settings(max_examples=20)
@given(st.data())
def test_regions_of_a_padded_image_join_without_seams(data: st.DataObject) -> None:
    image = np.pad(
        np.random.default_rng(0).integers(200, 300, (2, 30, 40)), ((0, 0), (9, 9), (5, 5))
    )
    image[1, 20, 20] = 9000
    source = open_image(image.astype(np.uint16), axes="ZYX", ndim=3)
    limits = IntensityLimits("image", {(0, 0): ((200, 300),)}, {}, ((0,),), (50,))
    whole = read_normalized(source, 0, tuple(slice(0, n) for n in image.shape), limits).pixels
    assert not whole[:, :, :9].any()
    assert whole.max() < 2
    region = []
    for size in image.shape:
        start = data.draw(st.integers(0, size - 1))
        region.append(slice(start, data.draw(st.integers(start + 1, size))))
    part = read_normalized(source, 0, tuple(region), limits).pixels
    np.testing.assert_array_equal(part, whole[(slice(None), *region)])


def test_a_saturated_lump_does_not_hide_the_objects(camera: np.ndarray) -> None:
    lump = camera.copy()
    lump[100:130, 60:110] = 65535
    limits = limits_of(lump)
    assert limits.left_out["saturated"] > 30 * 50
    np.testing.assert_allclose(limits.at()[0], np.percentile(camera, PERCENTILES), rtol=0.1)


def test_a_lump_far_above_the_image_is_not_taken_for_noise(camera: np.ndarray) -> None:
    """Its rim, 65,000 high beside a range of less than a hundred, says nothing of the noise."""
    dim = ((camera - camera.min()) / (camera.max() - camera.min()) * 60 + 20).astype(np.uint16)
    y, x = np.indices(dim.shape)
    inside = (y - 90) ** 2 + (x - 80) ** 2 < 20**2
    lump = np.where(inside, 65535, dim).astype(np.uint16)
    lump[10, 10] = 40000  # a hot pixel as well
    found = limits_of(lump)
    np.testing.assert_allclose(found.at()[0], limits_of(dim).at()[0], rtol=0.1)
    assert found.left_out["saturated"] > inside.sum()
    assert found.left_out["hot"] == 1
    source = open_image(lump, axes="YX")
    pixels = read_normalized(source, 0, (slice(0, 192), slice(0, 160)), found).pixels
    assert (pixels[0][inside] == 1).all()
    assert pixels.max() < 2


def test_saturated_objects_count(camera: np.ndarray) -> None:
    clipped = np.minimum(camera, 400)
    assert limits_of(clipped).left_out == {}
    assert limits_of(clipped).at()[0][1] == 400


@pytest.mark.parametrize("share", [0.005, 0.001, 0.0001])
def test_hot_pixels(camera: np.ndarray, share: float) -> None:
    hot = camera.copy()
    place = np.random.default_rng(1).random(hot.shape) < share
    hot[place] = 65535
    limits = limits_of(hot)
    np.testing.assert_allclose(limits.at()[0], np.percentile(camera, PERCENTILES), rtol=0.15)
    source = open_image(hot, axes="YX")
    found = read_normalized(source, 0, (slice(0, 192), slice(0, 160)), limits).pixels
    assert found.max() < 2


def test_a_frame_that_is_over_exposed(camera: np.ndarray) -> None:
    series = np.stack([camera] * 5)
    for frame in (np.full_like(camera, 65535), np.minimum(camera.astype(int) * 20, 65535)):
        series[2] = frame
        limits = limits_of(series, "TYX")
        assert limits.left_out == {"frames": 1}
        assert limits.at() == limits_of(camera).at()


def test_frames_with_more_objects_are_not_unlike_the_others(camera: np.ndarray) -> None:
    dark = camera[camera < np.median(camera)]
    empty = np.random.default_rng(0).choice(dark, camera.shape)
    stack = np.stack([empty] * 6)
    stack[4] = camera
    for axes in ("ZYX", "TYX"):
        assert limits_of(stack, axes).left_out == {}


def test_a_series_that_bleaches_keeps_its_objects(camera: np.ndarray) -> None:
    object_light = camera.astype(float) - 100
    series = np.stack([object_light * np.exp(-0.4 * t) + 100 for t in range(6)]).astype(np.uint16)
    limits = limits_of(series, "TYX")
    assert limits.scope == "time"
    for time, frame in enumerate(series):
        np.testing.assert_allclose(limits.at(time)[0], np.percentile(frame, PERCENTILES), rtol=0.03)
    brighter = limits_of(series[::-1], "TYX")
    assert brighter.scope == "image"


def test_noise_alone_stays_dark() -> None:
    noise = np.random.default_rng(0).normal(500, 20, (256, 256)).astype(np.uint16)
    ((low, high),) = limits_of(noise).at()
    assert (500 + 4 * 20 - low) / (high - low) < 0.35


@pytest.mark.parametrize("kind", ["photons", "few photons", "clipped", "exponential"])
def test_noise_of_any_distribution_stays_dark(kind: str) -> None:
    rng, shape = np.random.default_rng(0), (256, 256)
    noise = {
        "photons": rng.poisson(0.5, shape).astype(np.uint16),
        "few photons": rng.poisson(0.05, shape).astype(np.uint16),
        "clipped": np.clip(rng.normal(0, 5, shape), 0, None).astype(np.float32),
        "exponential": rng.exponential(3, shape).astype(np.uint16),
    }[kind]
    limits = limits_of(noise)
    ((low, high),) = limits.at()
    assert high - low > 10 * noise.std()
    assert "hot" not in limits.left_out


def test_photons_of_objects_are_not_taken_for_noise() -> None:
    image = load_sample("nuclei_2d").image[:256, :256].astype(float)
    counts = np.random.default_rng(0).poisson(image / np.percentile(image, 99.8) * 4)
    ((low, high),) = limits_of(counts.astype(np.uint16)).at()
    assert (low, high) == tuple(np.percentile(counts, PERCENTILES))


def test_an_image_full_of_noisy_objects_is_not_taken_for_noise(camera: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(0, camera.std(), camera.shape)
    noisy = camera + noise
    assert limits_of(noisy).at() == (pytest.approx(tuple(np.percentile(noisy, PERCENTILES))),)


def test_one_object_in_a_large_field_is_seen() -> None:
    y, x = np.mgrid[:512, :512]
    light = ndimage.gaussian_filter(((y - 200) ** 2 + (x - 300) ** 2 < 100) * 300.0, 2)
    image = (np.random.default_rng(0).normal(500, 20, light.shape) + light).astype(np.uint16)
    ((_, high),) = limits_of(image).at()
    assert 700 < high < 900


def test_a_line_of_pixels_has_no_hot_ones() -> None:
    """Four pixels one beside the other tell nothing of a neighbourhood."""
    line = np.array([[100.0], [104], [180], [700]])
    for image in (line, line.T):
        assert limits_of(image).hot == ()


@pytest.mark.parametrize("radius", [90, 70])
def test_a_round_field_of_view(camera: np.ndarray, radius: int) -> None:
    y, x = np.indices(camera.shape)
    field = (y - 95.5) ** 2 + (x - 79.5) ** 2 < radius**2
    limits = limits_of(np.where(field, camera + 1000, 0).astype(np.uint16))
    inside = np.percentile(camera[field] + 1000.0, PERCENTILES)
    np.testing.assert_allclose(limits.at()[0], inside, rtol=0.05)
    assert limits.fill == ((0,),)
    assert limits.left_out["fill"] >= np.count_nonzero(~field)


def test_fill_in_one_corner_that_is_darker_than_all_else(camera: np.ndarray) -> None:
    notched = camera + 1000
    notched[:40, :50] = 0
    limits = limits_of(notched.astype(np.uint16))
    np.testing.assert_allclose(
        limits.at()[0], np.percentile(camera + 1000.0, PERCENTILES), rtol=0.05
    )
    bright = camera.copy()
    bright[:40, :50] = camera.max()  # an object in the corner, saturated
    assert limits_of(bright).fill == ()


def test_objects_on_an_empty_background_are_no_field_of_view() -> None:
    sample = load_sample("nuclei_2d")
    masked = np.where(sample.truth > 0, sample.image, 0)
    limits = limits_of(masked)
    np.testing.assert_allclose(limits.at()[0], np.percentile(masked, PERCENTILES), atol=1)
    assert limits.left_out.get("fill", 0) < 0.02 * masked.size


def expect_limits_of(image: Any, whole: Any, rtol: float = 0.06) -> IntensityLimits:
    """Limits of an image that are those of a sound one."""
    limits = limits_of(image)
    np.testing.assert_allclose(limits.at()[0], np.percentile(whole, PERCENTILES), rtol=rtol)
    return limits


def spoil(image: np.ndarray, kind: str, value: int) -> tuple[np.ndarray, np.ndarray]:
    """An image with pixels of one value, and where they are."""
    mask = np.zeros(image.shape, bool)
    y, x = np.indices(image.shape)
    if kind == "border":
        mask[[0, -1]] = mask[:, [0, -1]] = True
    elif kind == "one side":
        mask[:, 0] = mask[:2] = True
    elif kind == "gap":
        mask[90:93] = mask[:, 70] = True
    elif kind == "hole":
        mask[20:80, 30:100] = True
    elif kind == "round hole":
        mask = (y - 90) ** 2 + (x - 80) ** 2 < 40**2
    elif kind == "short gap":
        mask[60, 20:120] = mask[120:170, 50:52] = True
    return np.where(mask, value, image).astype(image.dtype), mask


@pytest.mark.parametrize("kind", ["border", "one side", "gap", "hole", "round hole", "short gap"])
@pytest.mark.parametrize("value", [0, 65535])
def test_gaps_holes_and_thin_borders_are_left_out(
    camera: np.ndarray, kind: str, value: int
) -> None:
    if value and kind not in ("border", "gap", "one side"):
        return  # bright holes are saturated objects
    sound = camera + np.uint16(1000)
    image, mask = spoil(sound, kind, value)
    limits = expect_limits_of(image, sound)
    assert limits.left_out["fill"] >= mask.sum()
    if kind in ("border", "one side"):
        inside = np.zeros_like(mask)
        inside[limits.window["Y"], limits.window["X"]] = True
        np.testing.assert_array_equal(inside, ~mask)
        return
    assert limits.fill == ((value,),)
    source = open_image(image, axes="YX")
    whole = read_normalized(source, 0, (slice(0, 192), slice(0, 160)), limits)
    assert not whole.pixels[0][mask].any()
    assert whole.fill is not None
    np.testing.assert_array_equal(whole.fill, mask)
    for part in ((slice(64, 128), slice(64, 128)), (slice(91, 93), slice(0, 5))):
        found = read_normalized(source, 0, part, limits)
        np.testing.assert_array_equal(found.pixels, whole.pixels[(slice(None), *part)])
        filled = np.zeros(found.pixels.shape[1:], bool) if found.fill is None else found.fill
        np.testing.assert_array_equal(filled, mask[part])


def test_what_surrounds_objects_is_no_gap(camera: np.ndarray) -> None:
    sample = load_sample("nuclei_2d")
    y, x = np.indices(sample.image.shape)
    discs = (y % 60 - 30) ** 2 + (x % 60 - 30) ** 2 < 24**2
    for masked in (
        np.where(sample.truth > 0, sample.image + 60.0, 0),  # a black background
        np.where(discs, sample.image + 60.0, 0),
        np.where((y - 90) ** 2 + (x - 120) ** 2 < 40**2, sample.image + 60.0, 0),
    ):
        np.testing.assert_allclose(
            limits_of(masked).at()[0], np.percentile(masked, PERCENTILES), atol=1
        )
        assert limits_of(masked).left_out.get("fill", 0) < 0.02 * masked.size
    dead = camera + np.uint16(1000)
    dead[np.random.default_rng(0).random(dead.shape) < 0.001] = 0
    assert limits_of(dead).fill == ()
    dark = camera - camera.min()  # many pixels of 0, and others next to it
    assert limits_of(dark).at() == (tuple(np.percentile(dark, PERCENTILES)),)


def test_fill_is_found_once_in_a_tile(camera: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_unet.image import normalized_region

    image = camera + np.uint16(1000)
    image[20:50, 20:60] = 0
    limits, calls = limits_of(image), []
    find = normalized_region.find_fill_pixels

    def count(*arguments: Any) -> Any:
        calls.append(None)
        return find(*arguments)

    monkeypatch.setattr(normalized_region, "find_fill_pixels", count)
    region = read_normalized(open_image(image, axes="YX"), 0, (slice(0, 64), slice(0, 64)), limits)
    assert region.fill is not None
    assert region.fill.sum() == 30 * 40
    assert len(calls) == 1


@pytest.mark.parametrize("share", [0.015, 0.02, 0.03, 0.045])
def test_many_hot_pixels(camera: np.ndarray, share: float) -> None:
    hot = camera.copy()
    place = np.random.default_rng(1).random(hot.shape) < share
    hot[place] = 65535
    limits = expect_limits_of(hot, camera, rtol=0.15)
    assert limits.left_out["hot"] > 0.9 * place.sum()
    source = open_image(hot, axes="YX")
    found = read_normalized(source, 0, (slice(0, 192), slice(0, 160)), limits).pixels
    assert (found > 2).mean() < 0.001


def test_too_many_hot_pixels_are_named(camera: np.ndarray, bright_model: Any) -> None:
    hot = camera.copy()
    place = np.random.default_rng(1).random(hot.shape) < 0.1
    hot[place] = 65535
    limits = limits_of(hot)
    assert 0.05 * hot.size < limits.left_out["speckles"] <= place.sum()
    job = iter_segmentation(hot, bright_model(), axes="YX", device="cpu", precision="float32")
    assert "hot pixels" in drain(job).record["message"]
    lumps = camera.copy()
    lumps[ndimage.binary_dilation(place, iterations=2)] = 65535  # as many, in objects
    assert "speckles" not in limits_of(lumps).left_out


def test_infinite_pixels_that_are_too_bright_are_saturated(camera: np.ndarray) -> None:
    bright = camera.astype(np.float32)
    peaks = bright > np.percentile(bright, 95)
    clipped = np.where(peaks, bright[~peaks].max(), bright)
    infinite = np.where(peaks, np.inf, bright)
    limits = limits_of(infinite)
    assert limits.at() == limits_of(clipped).at()
    assert limits.left_out.get("infinite", 0) == 0  # which would be called background
    region = (slice(0, 192), slice(0, 160))
    found = read_normalized(open_image(infinite, axes="YX"), 0, region, limits)
    assert found.missing is None
    np.testing.assert_allclose(found.pixels[0][peaks], 1, rtol=1e-6)
    same = read_normalized(open_image(clipped, axes="YX"), 0, region, limits_of(clipped))
    np.testing.assert_allclose(found.pixels, same.pixels, atol=1e-5)


def test_infinite_pixels_in_the_dark_are_background(camera: np.ndarray) -> None:
    ratio = camera.astype(np.float32)
    place = (ratio < np.percentile(ratio, 30)) & (
        np.random.default_rng(0).random(ratio.shape) < 0.1
    )
    ratio[place] = np.inf
    limits = limits_of(ratio)
    assert limits.left_out["infinite"] == place.sum()
    region = (slice(0, 192), slice(0, 160))
    found = read_normalized(open_image(ratio, axes="YX"), 0, region, limits)
    np.testing.assert_array_equal(found.missing, place)
    assert not found.pixels[0][place].any()


KINDS = ("smoothed", "wide", "median", "enlarged", "doubled", "photons", "few", "exponential")


@pytest.mark.parametrize("kind", KINDS)
def test_correlated_noise_stays_dark(kind: str) -> None:
    rng = np.random.default_rng(0)
    white = rng.normal(0, 1, (256, 256))
    noise = {
        "smoothed": lambda: ndimage.gaussian_filter(white, 1.5),
        "wide": lambda: ndimage.gaussian_filter(white, 3),
        "median": lambda: ndimage.median_filter(white, 5),
        "enlarged": lambda: ndimage.zoom(white[:86, :86], 3, order=3)[:256, :256],
        "doubled": lambda: np.kron(white[:128, :128], np.ones((2, 2))),
        "photons": lambda: ndimage.gaussian_filter(rng.poisson(10, (256, 256)) - 10.0, 1),
        "few": lambda: ndimage.gaussian_filter(rng.poisson(0.3, (256, 256)) - 0.3, 1.5),
        "exponential": lambda: ndimage.gaussian_filter(rng.exponential(1, (256, 256)) - 1, 1),
    }[kind]()
    image = (500 + 20 * noise / noise.std()).astype(np.uint16)
    ((low, high),) = limits_of(image).at()
    assert (500 + 4 * 20 - low) / (high - low) < 0.4
    # a single object in it is one
    y, x = np.mgrid[:256, :256]
    light = ndimage.gaussian_filter(((y - 100) ** 2 + (x - 130) ** 2 < 64) * 300.0, 2)
    ((_, high),) = limits_of((image + light).astype(np.uint16)).at()
    assert 600 < high < 850


def test_a_smooth_image_full_of_objects_is_no_correlated_noise(camera: np.ndarray) -> None:
    blurred = ndimage.gaussian_filter(camera.astype(float), 2)
    assert limits_of(blurred).at() == (pytest.approx(tuple(np.percentile(blurred, PERCENTILES))),)
