"""Instance labels to maps and back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_unet.card import Decoding, InstanceRepresentation
from napari_unet.errors import InputError, ModelError
from napari_unet.instances.maps import (
    DISTANCE,
    check_representation,
    decode,
    decoding_reach,
    encode,
    outline_distance,
    prepare_maps,
)
from napari_unet.metrics import evaluate

DECODING = Decoding(threshold=0.5, split_depth=0.15)


def balls(shape: tuple[int, ...], *places: tuple[tuple[float, ...], float]) -> np.ndarray:
    """Balls (centre, radius) labelled 1, 2, ...; a pixel belongs to the nearest one."""
    grid = np.indices(shape)
    distances = [
        np.sqrt(sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True))) - radius
        for centre, radius in places
    ]
    nearest = np.argmin(distances, axis=0)
    return np.where(np.min(distances, axis=0) <= 0, nearest + 1, 0).astype(np.int32)


def assert_same_objects(found: np.ndarray, truth: np.ndarray, iou: float) -> None:
    assert evaluate(found, truth).ap[iou] == 1


SCENES = {
    "apart": balls((60, 80), ((15, 20), 9), ((40, 30), 12), ((30, 62), 7)),
    "touching": balls((50, 80), ((25, 22), 12), ((25, 44), 12), ((25, 64), 10)),
    "at the border": balls((40, 50), ((0, 10), 9), ((20, 49), 8), ((39, 0), 7), ((20, 20), 8)),
    "of many sizes": balls((70, 90), ((20, 20), 2), ((20, 30), 5), ((45, 60), 20)),
    "3D": balls((20, 30, 36), ((8, 10, 9), 6), ((10, 18, 19), 6), ((19, 5, 30), 5)),
    "one pixel thick": balls((1, 40, 40), ((0, 10, 10), 6), ((0, 25, 28), 8)),
    "small": balls((12, 12), ((3, 3), 0), ((8, 8), 1)),
}


def strokes(shape: tuple[int, int], *lines: tuple[tuple[float, ...], float, int]) -> np.ndarray:
    """Thick lines ((y0, x0, y1, x1), width, label); later ones lie over earlier ones."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    for (y0, x0, y1, x1), width, label in lines:
        length = (y1 - y0) ** 2 + (x1 - x0) ** 2
        along = np.clip(((y - y0) * (y1 - y0) + (x - x0) * (x1 - x0)) / length, 0, 1)
        far = np.hypot(y - y0 - along * (y1 - y0), x - x0 - along * (x1 - x0))
        labels[far <= width / 2] = label
    return labels


def rings(*, filled: bool) -> np.ndarray:
    """Two annuli; the first may hold an object that fills half of its hole."""
    y, x = np.mgrid[:60, :120]
    labels = np.zeros((60, 120), np.int32)
    for label, (column, outer, inner) in enumerate(((30, 24, 16), (88, 24, 12)), 1):
        radius = np.hypot(y - 30, x - column)
        labels[(radius <= outer) & (radius >= inner)] = label
    if filled:
        labels[np.hypot(y - 30, x - 30) <= 8] = 3
    return labels


SHAPES = {
    "elongated": strokes((60, 120), ((15, 5, 15, 115), 9, 1), ((40, 5, 50, 115), 9, 2)),
    "rods side by side": strokes((40, 120), ((14, 5, 14, 115), 9, 1), ((23, 5, 23, 115), 9, 2)),
    "branched": strokes(
        (90, 90),
        *(((45, 45, 45 + 38 * dy, 45 + 38 * dx), 9, 1) for dy, dx in ((1, 0), (0, 1), (-1, -1))),
    ),
    "ring": rings(filled=False),
    "ring with an object inside": rings(filled=True),
    "tiny": np.kron(np.arange(36).reshape(6, 6) + 1, np.pad([[1, 1]], ((0, 4), (0, 3)))),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_odd_shapes_come_back(shape: str) -> None:
    """The ridge of a slanted object a few pixels wide rises and falls with the pixel grid."""
    truth = SHAPES[shape]
    found = decode(encode(truth), Decoding(split_depth=0.3))
    np.testing.assert_array_equal(found > 0, truth > 0)
    assert_same_objects(found, truth, 0.9)


@pytest.mark.parametrize("shape", sorted(set(SHAPES) - {"tiny"}))
def test_odd_shapes_bear_noise(shape: str) -> None:
    truth = SHAPES[shape]
    rng = np.random.default_rng(1)
    noise = ndimage.gaussian_filter(rng.normal(0, 1, truth.shape), 1.5)
    maps = encode(truth)
    maps[1] = np.clip(maps[1] + 0.05 * noise / noise.std(), 0, 1)
    assert_same_objects(decode(maps, Decoding(split_depth=0.3, smoothing=1)), truth, 0.7)


@pytest.mark.parametrize("scene", SCENES)
def test_decoding_brings_back_what_was_encoded(scene: str) -> None:
    truth = SCENES[scene]
    found = decode(encode(truth), DECODING)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found > 0, truth > 0)
    assert_same_objects(found, truth, 0.7)


@settings(max_examples=30)
@given(st.lists(st.integers(5, 11), min_size=1, max_size=6), st.integers(0, 3), st.integers(0, 99))
def test_disks_in_a_row_come_back(radii: list[int], gap: int, seed: int) -> None:
    """Touching (gap 0) or apart, with noise in the maps."""
    ends = list(itertools.accumulate(2 * r + gap for r in radii))
    places = [((12.0, end - r), r) for end, r in zip(ends, radii, strict=True)]
    truth = balls((25, ends[-1] + 5), *places)
    noise = np.random.default_rng(seed).uniform(-0.02, 0.02, (2, *truth.shape))
    found = decode(np.clip(encode(truth) + noise, 0, 1), DECODING)
    assert found.max() == len(radii)
    assert_same_objects(found, truth, 0.7)


def test_maps_are_a_foreground_and_a_relative_distance() -> None:
    truth = SCENES["touching"]
    foreground, distance = encode(truth)
    np.testing.assert_array_equal(foreground, truth > 0)
    assert (distance[truth == 0] == 0).all()
    for label in (1, 2, 3):
        inside = distance[truth == label]
        assert inside.max() == pytest.approx(1)
        assert 0 < inside.min() < 0.2
    assert distance[25, 22] > 0.9  # the centre of the first
    # where two objects touch, the distance falls although there is no background
    border = (truth[:, :-1] == 1) & (truth[:, 1:] == 2)
    assert border.any()
    assert distance[:, :-1][border].max() < 0.2


def test_the_border_of_the_image_is_no_boundary() -> None:
    labels = np.zeros((20, 30), np.uint8)
    labels[:, :10] = 1
    distance = encode(labels)[1]
    np.testing.assert_allclose(distance[:, 0], 1)
    np.testing.assert_allclose(
        distance[:, :10], np.broadcast_to(np.arange(10, 0, -1) / 10, (20, 10))
    )


def test_an_object_that_fills_the_image_is_one_object() -> None:
    labels = np.full((9, 9), 3)
    np.testing.assert_array_equal(encode(labels), 1)
    np.testing.assert_array_equal(decode(encode(labels), DECODING), 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.int64, np.uint64])
def test_ids_do_not_matter(dtype: type) -> None:
    truth = SCENES["touching"]
    top = np.iinfo(dtype).max
    huge = np.array([0, top, top // 2, 7], dtype)[truth]
    np.testing.assert_array_equal(encode(huge), encode(truth))


def test_huge_ids_without_background() -> None:
    labels = np.array([[2**40, 2**40, 2**41, 2**41]])
    np.testing.assert_array_equal(encode(labels), encode(np.array([[1, 1, 2, 2]])))


def test_negative_ids_are_refused() -> None:
    with pytest.raises(InputError, match="-4"):
        encode(np.array([[0, 1, -4]]))


@pytest.mark.parametrize("dtype", [float, bool])
def test_labels_that_are_no_integers_are_refused(dtype: type) -> None:
    with pytest.raises(InputError, match="must be integers"):
        encode(np.zeros((4, 4), dtype))


@pytest.mark.parametrize("shape", [(5, 6), (1, 1), (3, 5, 6), (1, 1, 1)])
def test_nothing_becomes_nothing(shape: tuple[int, ...]) -> None:
    maps = encode(np.zeros(shape, np.uint8))
    assert maps.shape == (2, *shape)
    assert not maps.any()
    assert not decode(maps, DECODING).any()


@settings(max_examples=25)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9).map(lambda s: (2, *s)),
        elements=st.floats(0, 1, width=32),
    ),
    st.integers(0, 6),
)
def test_labels_are_consecutive_and_large_enough_for_any_maps(
    maps: np.ndarray, min_size: int
) -> None:
    decoding = Decoding(threshold=0.4, split_depth=0.6, min_size=min_size)
    labels = decode(maps, decoding)
    assert labels.shape == maps.shape[1:]
    assert labels.dtype == np.int32
    counts = np.bincount(labels.ravel())[1:]
    assert (counts >= max(min_size, 1)).all()
    assert not labels[maps[0] <= np.float32(0.4)].any()
    if min_size == 0:  # no piece of foreground is lost
        np.testing.assert_array_equal(labels > 0, maps[0] > 0.4)


def test_foreground_without_a_seed_is_an_object() -> None:
    maps = np.zeros((2, 6, 12), np.float32)
    maps[0, 1:4, 1:4] = maps[0, 1:4, 7:10] = 0.9
    maps[1, 2, 2] = 0.9  # only the first has a seed
    labels = decode(maps, DECODING)
    assert labels.max() == 2
    np.testing.assert_array_equal(labels > 0, maps[0] > 0.5)


def test_a_lower_split_depth_splits_and_a_higher_one_joins() -> None:
    maps = np.ones((2, 1, 30), np.float32)
    maps[1, 0] = 0.7 + 0.2 * np.cos(np.arange(30) * 2 * np.pi / 10)  # dips of 0.4
    found = {depth: decode(maps, Decoding(split_depth=depth)).max() for depth in (0.2, 0.6)}
    assert found == {0.2: 4, 0.6: 1}


def test_smoothing_joins_what_noise_splits_and_sees_no_farther_than_its_reach() -> None:
    maps = encode(SCENES["touching"])
    maps[1] *= np.random.default_rng(0).uniform(0.6, 1, maps[1].shape).astype(np.float32)
    rough, fine = decode(maps, DECODING), decode(maps, Decoding(smoothing=2))
    assert rough.max() > 3
    assert fine.max() == 3
    assert_same_objects(fine, SCENES["touching"], 0.7)
    for sigma in (0, 0.1, 0.5, 1, 7.3):
        decoding = Decoding(smoothing=sigma)
        reach = decoding_reach(decoding)
        changed = maps.copy()
        changed[:, 25 : 26 + reach, 30] += 1
        moved = (prepare_maps(changed, decoding) != prepare_maps(maps, decoding)).any((0, 2))
        assert np.flatnonzero(moved).min() == 25 - reach


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (6, 1, 1), (5, 6, 7)])
def test_any_shape_can_be_smoothed(shape: tuple[int, ...]) -> None:
    maps = np.ones((2, *shape), np.float16)
    np.testing.assert_array_equal(decode(maps, Decoding(smoothing=20)), np.ones(shape))


def test_a_card_from_before_smoothing_decodes_as_ever() -> None:
    old = Decoding.model_validate({"threshold": 0.4, "split_depth": 0.2, "min_size": 3})
    assert old.smoothing == 0
    assert old.shape_radius == 0


# By shape


@pytest.mark.parametrize("scene", ["apart", "touching", "at the border", "3D", "one pixel thick"])
@pytest.mark.parametrize("learned", [0.0, 0.5, 1.0])
def test_the_shape_splits_whatever_distance_was_learned(scene: str, learned: float) -> None:
    truth = SCENES[scene]
    maps = np.stack([truth > 0, np.full(truth.shape, learned)]).astype(np.float32)
    if scene == "touching":
        assert decode(maps, DECODING).max() == 1
    found = decode(maps, Decoding(shape_radius=6))
    assert found.dtype == np.int32
    assert_same_objects(found, truth, 0.7)


def test_the_radius_says_what_counts_as_narrow() -> None:
    maps = np.stack([balls((30, 60), ((15, 15), 10), ((15, 40), 10)) > 0] * 2).astype(np.float32)
    maps[0, 11:20, 20:36] = 1  # a bridge of 9 pixels, hardly half as wide as what it joins
    found = {radius: decode(maps, Decoding(shape_radius=radius)).max() for radius in (4, 10)}
    assert found == {4: 1, 10: 2}


@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=3, max_dims=4).map(lambda s: (2, *s[1:])))
    | hnp.arrays(np.float16, (2, 5, 6), elements=st.floats(0, 1, width=16)),
    st.sampled_from([0.5, 1, 2.5, 3]),
    st.sampled_from([0.0, 0.7]),
)
def test_the_shape_is_the_distance_to_the_nearest_pixel_outside(
    maps: np.ndarray, radius: float, sigma: float
) -> None:
    maps = np.nan_to_num(np.clip(maps, 0, 1))
    decoding = Decoding(threshold=0.4, smoothing=sigma, shape_radius=radius)
    foreground, distance = prepare_maps(maps, decoding)
    learned = Decoding(smoothing=sigma)
    np.testing.assert_array_equal(foreground, prepare_maps(maps, learned)[0])
    inside = foreground > np.float32(0.4)
    outside = np.argwhere(~inside)
    for index in np.ndindex(inside.shape):
        far = min([radius, *np.linalg.norm(outside - index, axis=1)])
        assert distance[index] == pytest.approx(far / radius, abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (6, 1, 1), (5, 6, 7)])
def test_foreground_without_an_outline_is_one_object(shape: tuple[int, ...]) -> None:
    maps = np.stack([np.ones(shape), np.zeros(shape)])
    for radius in (0.1, 3, 200):
        decoding = Decoding(shape_radius=radius)
        np.testing.assert_array_equal(prepare_maps(maps, decoding), np.ones((2, *shape)))
        np.testing.assert_array_equal(decode(maps, decoding), np.ones(shape))
    assert np.isinf(outline_distance(np.ones(shape, bool))).all()
    assert not decode(np.zeros((2, *shape)), Decoding(shape_radius=3)).any()


def test_without_a_radius_the_maps_are_those_that_were_learned() -> None:
    maps = np.random.default_rng(0).random((2, 9, 11)).astype(np.float32)
    np.testing.assert_array_equal(prepare_maps(maps, Decoding()), maps)


@pytest.mark.parametrize(("sigma", "radius"), [(0, 1), (0, 2.5), (0, 7), (0.8, 3), (2, 5.5)])
def test_the_shape_sees_no_farther_than_its_reach(sigma: float, radius: float) -> None:
    decoding = Decoding(smoothing=sigma, shape_radius=radius)
    reach = decoding_reach(decoding)
    maps = np.full((2, 61, 61), 0.9, np.float32)
    changed = maps.copy()
    changed[0, 30:, 30:] = 0
    before, after = prepare_maps(maps, decoding), prepare_maps(changed, decoding)
    first = np.flatnonzero((before != after).any((0, 2))).min()
    assert first >= 30 - reach
    if sigma == 0:  # nor is it said to be much farther
        assert first <= 30 - reach + 1


def test_unknown_representations_are_refused() -> None:
    check_representation(DISTANCE)
    for other in (None, InstanceRepresentation(name="flows"), InstanceRepresentation(version=2)):
        with pytest.raises(ModelError, match="update napari-unet-torch"):
            check_representation(other)
