"""Targets of labels known in part: nothing is said that the known pixels do not determine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.card import ClassInfo, Normalization
from napari_unet.dataset.example import Example
from napari_unet.dataset.frames import cache_frames, make_frames
from napari_unet.dataset.label_statistics import collect_statistics
from napari_unet.dataset.labelled_image import open_example
from napari_unet.dataset.targets import (
    BALANCE_LIMITS,
    INSTANCE_TARGETS,
    RIM_PIXELS,
    RIM_WEIGHT,
    TargetSpec,
    encode_target,
)
from napari_unet.errors import InputError
from napari_unet.image.normalization import find_limits
from napari_unet.instances import maps as instances

INSTANCE = TargetSpec("instance")
DENSE = TargetSpec("instance", representation=instances.BOUNDARY)
FLOAT16 = 1e-3  # the distances are kept in float16


def blobs(shape: tuple[int, ...], seed: int) -> NDArray[np.int32]:
    """Objects, connected (over corners too), of three kinds: cells, rugged islands, boxes."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 7))
    kind = rng.integers(3)
    if kind == 0:
        centres = rng.random((count, len(shape))) * shape
        places = np.moveaxis(np.indices(shape), 0, -1)[..., None, :]
        distance = np.linalg.norm(places - centres, axis=-1)
        labels = distance.argmin(-1) + 1
        labels[distance.min(-1) > (rng.random(count) * max(shape))[labels - 1]] = 0
    elif kind == 1:
        smooth = ndimage.gaussian_filter(rng.random(shape), rng.random() * 2)
        labels = (smooth > np.median(smooth)).astype(int)
    else:
        labels = np.zeros(shape, int)
        for value in range(1, count + 1):
            labels[random_box(shape, rng)] = value
    return split_objects(labels)


def split_objects(labels: NDArray[Any]) -> NDArray[np.int32]:
    out = np.zeros(labels.shape, np.int32)
    for value in range(1, int(labels.max()) + 1):
        found, _ = ndimage.label(labels == value, np.ones((3,) * labels.ndim))
        out[found > 0] = found[found > 0] + out.max()
    return out


def random_box(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[slice, ...]:
    starts = [int(rng.integers(n)) for n in shape]
    return tuple(slice(a, a + 1 + int(rng.integers(n))) for a, n in zip(starts, shape, strict=True))


def random_region(shape: tuple[int, ...], seed: int) -> NDArray[np.bool_]:
    """Boxes, planes, strokes and dust, or all but these."""
    rng = np.random.default_rng(seed)
    known = np.zeros(shape, bool)
    for _ in range(int(rng.integers(1, 4))):
        kind = rng.integers(4)
        if kind == 0:
            known[random_box(shape, rng)] = True
        elif kind == 1:
            known[int(rng.integers(shape[0]))] = True
        elif kind == 2:
            pen = np.array([rng.integers(n) for n in shape])
            for _ in range(15):
                known[tuple(pen)] = True
                pen = np.clip(pen + rng.integers(-1, 2, len(shape)), 0, np.array(shape) - 1)
        else:
            known |= rng.random(shape) < rng.random()
    return ~known if rng.random() < 0.2 else known


def check_promises(
    target: NDArray[Any], known: NDArray[np.bool_], truth: NDArray[np.float32]
) -> None:
    """What a target says of known pixels, against the maps of labels known everywhere."""
    assert target.shape == (len(INSTANCE_TARGETS), *known.shape)
    foreground, distance, exact = target[:3].astype(np.float64)
    np.testing.assert_array_equal(foreground[known], truth[0][known])
    assert set(np.unique(exact)) <= {0, 1}
    sure, bounded = known & (exact == 1), known & (exact == 0)
    np.testing.assert_allclose(distance[sure], truth[1][sure], atol=FLOAT16)
    assert (truth[1][bounded] <= distance[bounded] + FLOAT16).all()
    assert distance.max(initial=0) <= 1
    np.testing.assert_array_equal(exact[known & (truth[0] == 0)], 1)  # background is no object


shapes = st.one_of(
    st.tuples(*[st.integers(1, 40)] * 2), st.tuples(st.integers(1, 10), *[st.integers(1, 16)] * 2)
)


@settings(max_examples=50)
@given(shape=shapes, seed=st.integers(0, 2**32 - 1))
def test_of_known_pixels_nothing_wrong_is_said(shape: tuple[int, ...], seed: int) -> None:
    labels, known = blobs(shape, seed), random_region(shape, seed)
    target = encode_target(np.where(known, labels, 0)[None], known, INSTANCE)
    check_promises(target, known, instances.encode(labels))


@settings(max_examples=50)
@given(shape=shapes, seed=st.integers(0, 2**32 - 1), everywhere=st.booleans())
def test_of_a_part_of_an_image_nothing_wrong_is_said(
    shape: tuple[int, ...], seed: int, everywhere: bool
) -> None:
    labels = blobs(shape, seed)
    known = np.ones(shape, bool) if everywhere else random_region(shape, seed)
    part = tuple(
        slice(p.start, min(p.stop, n))
        for p, n in zip(random_box(shape, np.random.default_rng([seed, 1])), shape, strict=True)
    )
    sides = tuple((p.start > 0, p.stop < n) for p, n in zip(part, shape, strict=True))
    target = encode_target(np.where(known, labels, 0)[part][None], known[part], INSTANCE, sides)
    check_promises(target, known[part], instances.encode(labels)[:, *part])


@settings(max_examples=40)
@given(shape=shapes, seed=st.integers(0, 2**32 - 1))
def test_objects_in_the_midst_of_known_pixels_are_exact(shape: tuple[int, ...], seed: int) -> None:
    """Otherwise the promises could be kept by saying nothing."""
    labels, known = blobs(shape, seed), random_region(shape, seed)
    exact = encode_target(np.where(known, labels, 0)[None], known, INSTANCE)[2]
    for value in range(1, int(labels.max()) + 1):
        inside = labels == value
        around = ndimage.binary_dilation(inside, np.ones((3,) * len(shape)))
        if known[around].all():
            assert (exact[inside] == 1).all()
        else:
            assert (exact[inside & known] == 0).all()


@given(shape=shapes, seed=st.integers(0, 2**32 - 1))
def test_labels_known_everywhere_give_the_maps_that_are_decoded(
    shape: tuple[int, ...], seed: int
) -> None:
    labels = blobs(shape, seed)
    target = encode_target(labels[None], np.ones(shape, bool), INSTANCE)
    np.testing.assert_allclose(target[:2], instances.encode(labels), atol=FLOAT16)
    assert (target[2] == 1).all()


@settings(max_examples=50)
@given(
    ndim=st.sampled_from([2, 3]),
    seed=st.integers(0, 2**32 - 1),
    partly=st.booleans(),
    context=st.sampled_from([0, 1, 5, 40]),
)
def test_a_window_says_nothing_that_the_whole_does_not(
    ndim: int, seed: int, partly: bool, context: int
) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(rng.integers(1, 12 if ndim == 3 else 40)) for _ in range(ndim))
    labels = blobs(shape, seed)
    mask = random_region(shape, seed) if partly else np.ones(shape, bool)
    if not mask.any():
        return
    image = rng.random(shape)
    example = Example(image, labels, region=mask, axes="ZYX"[-ndim:])
    labelled = open_example(example, ndim=ndim, in_channels=1, task="instance")
    limits = find_limits(labelled.source, Normalization(mode="none"))
    (frame,) = make_frames(
        labelled, collect_statistics(labelled, "instance", ndim), INSTANCE, limits
    )
    starts = [int(rng.integers(n)) for n in shape]
    part = tuple(
        slice(a, int(rng.integers(a + 1, n + 1))) for a, n in zip(starts, shape, strict=True)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_unet.dataset.frames.CONTEXT_PIXELS", context)
        pixels, target, known = frame.read(part)
        (kept,) = cache_frames([frame])
    np.testing.assert_array_equal(pixels[0], image[part].astype(np.float32))
    np.testing.assert_array_equal(known[0], mask[part])
    check_promises(target, mask[part], instances.encode(labels)[:, *part])
    _, whole_target, whole_known = kept.read(part)
    np.testing.assert_array_equal(known, whole_known)
    # what the whole leaves open, a part of it cannot know
    assert (target[2] <= whole_target[2])[mask[part]].all()
    sure = mask[part] & (target[2] == 1)
    if context >= RIM_PIXELS:
        np.testing.assert_array_equal(target[4][sure], whole_target[4][sure])
    if context == 40:  # the whole was looked at
        np.testing.assert_array_equal(target[:, mask[part]], whole_target[:, mask[part]])


@pytest.mark.parametrize("ndim", [2, 3])
def test_objects_cut_by_what_is_held_out_are_known_in_part(ndim: int) -> None:
    labels = np.stack([blobs((40, 40), seed) for seed in range(5)])
    opened = open_example(
        Example(labels, labels, axes="ZYX"), ndim=ndim, in_channels=1, task="instance"
    )
    limits = find_limits(opened.source, Normalization(mode="none"))
    piece = opened.within(range(1), (slice(1, 4), slice(0, 25), slice(5, 40)))
    frames = make_frames(piece, collect_statistics(piece, "instance", ndim), INSTANCE, limits)
    truth = instances.encode(labels)[:, 1:4, :25, 5:]
    for frame in [*frames, *cache_frames(frames)]:
        _, target, known = frame.read(tuple(slice(0, n) for n in frame.shape))
        if frame.statistics.plane is not None:
            whole = instances.encode(labels[1 + frame.statistics.plane])[:, :25, 5:]
            check_promises(target, known[0] > 0, whole)
        else:
            check_promises(target, known[0] > 0, truth)


def test_a_box_through_an_object() -> None:
    """The bound is worth something: near the known side it is far below 1."""
    labels = np.zeros((40, 60), int)
    labels[5:35, 10:50] = 1  # the largest distance is 15
    known = np.zeros(labels.shape, bool)
    known[:, :40] = True
    _, distance, exact = encode_target((labels * known)[None], known, INSTANCE)[:3]
    assert (exact[5:35, 10:40] == 0).all()
    assert (exact[:, :10] == 1).all()
    np.testing.assert_allclose(distance[20, 10:25], np.arange(1, 16) / 15, atol=FLOAT16)
    assert (distance[20, 35:40] == 1).all()


def test_single_planes_of_a_volume_say_nothing_of_distances() -> None:
    labels = np.zeros((9, 20, 20), int)
    labels[2:7, 5:15, 5:15] = 3
    known = np.zeros(labels.shape, bool)
    known[4] = True
    foreground, distance, exact = encode_target((labels * known)[None], known, INSTANCE)[:3]
    np.testing.assert_array_equal(foreground[4], labels[4] > 0)
    np.testing.assert_array_equal(exact[4], labels[4] == 0)
    assert (distance[4][labels[4] > 0] == 1).all()


def test_strokes_say_nothing_of_distances() -> None:
    painted = np.zeros((30, 30), int)
    painted[10, 5:25] = 4
    painted[10:13, 8] = 4
    known = painted > 0
    known[20] = True  # background
    foreground, distance, exact = encode_target(painted[None], known, INSTANCE)[:3]
    assert (exact[painted > 0] == 0).all()
    assert (distance[painted > 0] == 1).all()
    assert (exact[20] == 1).all()
    assert (foreground[20] == 0).all()


def test_nothing_known_and_one_object_alone() -> None:
    nothing = encode_target(np.zeros((1, 5, 6), int), np.zeros((5, 6), bool), INSTANCE)
    assert not nothing[:3].any()
    for known in (np.ones((5, 6), bool), np.eye(5, 6) == 0):
        maps = encode_target(known[None].astype(int), known, INSTANCE)
        assert np.isfinite(maps).all()
        assert (maps[1][known] == 1).all()


@settings(max_examples=50)
@given(shape=shapes, seed=st.integers(0, 2**32 - 1), everywhere=st.booleans())
def test_of_boundaries_all_and_only_what_is_determined_is_said(
    shape: tuple[int, ...], seed: int, everywhere: bool
) -> None:
    """Of a part of an image: exact values are those of the whole, and the rest is left open."""
    labels = blobs(shape, seed)
    known = np.ones(shape, bool) if everywhere else random_region(shape, seed)
    part = tuple(
        slice(p.start, min(p.stop, n))
        for p, n in zip(random_box(shape, np.random.default_rng([seed, 1])), shape, strict=True)
    )
    sides = tuple((p.start > 0, p.stop < n) for p, n in zip(part, shape, strict=True))
    target = encode_target(np.where(known, labels, 0)[part][None], known[part], DENSE, sides)
    foreground, interior, exact = target[:3]
    truth, seen = instances.encode(labels, instances.BOUNDARY)[:, *part], known[part]
    np.testing.assert_array_equal(foreground[seen], truth[0][seen])
    assert set(np.unique(exact)) <= {0, 1}
    sure = seen & (exact == 1)
    np.testing.assert_array_equal(interior[sure], truth[1][sure])
    open_pixels = np.ones(shape, bool)
    open_pixels[part] = ~known[part]
    far = np.full(shape, np.inf)
    if open_pixels.any():
        far = ndimage.distance_transform_edt(~open_pixels)
    assert (exact[seen & (far[part] >= 1.5)] == 1).all()
    near = seen & (far[part] < 1.5) & (exact == 1)
    assert (interior[near] == 0).all()  # a boundary that is seen, or background


def test_strokes_say_nothing_of_boundaries_but_where_two_meet() -> None:
    painted = np.zeros((30, 30), int)
    painted[8:13, 5:25] = 4  # a thick stroke
    known = painted > 0
    known[20] = True  # background
    _, interior, exact = encode_target(painted[None], known, DENSE)[:3]
    assert (interior[9:12, 6:24] == 1).all()
    assert (exact[9:12, 6:24] == 1).all()
    edge = known & (painted > 0)
    edge[9:12, 6:24] = False
    assert (exact[edge] == 0).all()
    assert (exact[20] == 1).all()
    painted[8:13, 15:25] = 7
    _, interior, exact = encode_target(painted[None], known, DENSE)[:3]
    assert (exact[8:13, 14:16] == 1).all()
    assert (interior[8:13, 14:16] == 0).all()


def test_any_numbers_may_stand_for_objects() -> None:
    labels = np.zeros((12, 24), np.int64)
    labels[2:8, 2:9] = 2**40
    labels[2:8, 9:20] = 5
    known = np.ones(labels.shape, bool)
    known[:, 17:] = False
    small = np.where(labels > 5, 1, labels)
    np.testing.assert_array_equal(
        encode_target((labels * known)[None], known, INSTANCE),
        encode_target((small * known)[None], known, INSTANCE),
    )
    with pytest.raises(InputError, match=r"negative.*-3"):
        encode_target(np.full((1, 4, 4), -3), np.ones((4, 4), bool), INSTANCE)


def test_touching_marks_where_two_objects_meet_in_the_plane() -> None:
    labels = np.zeros((3, 9, 20), int)
    labels[1, :, 2:10] = 1
    labels[1, :, 11:18] = 2
    labels[2, :, 2:10] = 5  # above the first: not in its plane
    known = np.ones(labels.shape, bool)
    touching = encode_target(labels[None], known, INSTANCE)[3]
    assert not touching[[0, 2]].any()
    assert set(np.flatnonzero(touching[1, 4])) == {9, 10, 11}
    known[:, :, 11:] = False  # the other one is not known
    assert not encode_target((labels * known)[None], known, INSTANCE)[3].any()


@settings(max_examples=20)
@given(
    shape=st.one_of(st.tuples(*[st.integers(1, 9)] * 2), st.tuples(*[st.integers(1, 6)] * 3)),
    seed=st.integers(0, 1000),
    share=st.floats(0, 1),
)
def test_touching_is_two_objects_within_two_pixels(
    shape: tuple[int, ...], seed: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, shape) * (rng.random(shape) < share)
    found = encode_target(labels[None], np.ones(shape, bool), INSTANCE)[3]
    for place in np.ndindex(shape):
        y, x = (slice(max(0, c - 2), c + 3) for c in place[-2:])
        near = np.unique(labels[(*place[:-2], y, x)])
        assert bool(found[place]) == (np.count_nonzero(near) > 1)


def test_small_objects_count_more_than_their_few_pixels() -> None:
    """Against the usual size that is given, not against that of a window's objects."""
    labels = np.zeros((30, 60), int)
    labels[2:12, 2:12] = 1
    labels[2:7, 20:25] = 2
    labels[2:28, 30:58] = 3
    labels[20, 5] = 4
    known = np.ones(labels.shape, bool)
    weight, rim = encode_target(labels[None], known, INSTANCE, median_size=100)[4], 1 + RIM_WEIGHT
    places = ((29, 0), (6, 6), (4, 22), (20, 5))
    assert [weight[place] for place in places] == [1, 1, 2, 3 * rim]
    assert weight[9, 40] == BALANCE_LIMITS[0]
    part = encode_target(labels[None, :, :27], known[:, :27], INSTANCE, median_size=100)[4]
    np.testing.assert_array_equal(part, weight[:, :27])
    assert set(np.unique(encode_target(labels[None], known, INSTANCE)[4])) == {1, rim}
    known[:, 9:12] = False  # how large the first is, is not known
    cut = encode_target((labels * known)[None], known, INSTANCE, median_size=100)[4]
    assert cut[6, 6] == 1
    assert cut[4, 22] == 2
    of_boundary = encode_target((labels * known)[None], known, DENSE, median_size=100)[4]
    np.testing.assert_array_equal(of_boundary, cut)


# ----------------------------------------------------------------- semantic and regression


def test_semantic_targets_are_indices_in_the_order_of_the_classes() -> None:
    classes = tuple(ClassInfo(value=v, name=f"c{v}") for v in (9, 0, 300))
    labels = np.array([[[0, 9, 300, 9]]], np.uint16)
    target = encode_target(labels, np.ones((1, 4), bool), TargetSpec("semantic", classes))
    assert target.tolist() == [[[1, 0, 2, 0]]]


def test_unknown_pixels_have_some_class() -> None:
    """They are 0, which need not be a class; they must not break what indexes with them."""
    classes = tuple(ClassInfo(value=v, name=f"c{v}") for v in (9, 4))
    labels = np.array([[[0, 9, 4, 0]]])
    known = np.array([[False, True, True, False]])
    target = encode_target(labels, known, TargetSpec("semantic", classes))
    assert target[0][known].tolist() == [0, 1]
    assert set(target.ravel().tolist()) <= {0, 1}


def test_more_classes_than_a_byte_holds() -> None:
    classes = tuple(ClassInfo(value=v, name=f"c{v}") for v in range(300))
    labels = np.arange(300, dtype=np.uint16).reshape(1, 10, 30)
    target = encode_target(labels, np.ones((10, 30), bool), TargetSpec("semantic", classes))
    np.testing.assert_array_equal(target, labels)


def test_regression_targets_are_scaled_by_the_limits_of_each_channel() -> None:
    values = np.random.default_rng(0).random((2, 6, 7)) * 8
    target_spec = TargetSpec("regression", output_limits=((1.0, 3.0), (0.0, 10.0)))
    target = encode_target(values, np.ones((6, 7), bool), target_spec)
    assert target.dtype == np.float32
    np.testing.assert_allclose(target[0], (values[0] - 1) / 2, atol=1e-6)
    np.testing.assert_allclose(target[1], values[1] / 10, atol=1e-6)
    values[1, 2, 3] = np.nan
    with pytest.raises(InputError, match="NaN"):
        encode_target(values, np.ones((6, 7), bool), target_spec)


@given(seed=st.integers(0, 1000), objects=st.floats(0, 0.2), share=st.floats(0, 1))
def test_known_pixels_near_an_outline_count_more(seed: int, objects: float, share: float) -> None:
    rng = np.random.default_rng(seed)
    labels = (rng.random((12, 15)) < objects).astype(int)
    known = rng.random(labels.shape) < share
    weight = encode_target(labels[None], known, INSTANCE)[4]
    for y, x in zip(*np.nonzero(known), strict=True):
        near = tuple(slice(max(0, c - RIM_PIXELS), c + RIM_PIXELS + 1) for c in (y, x))
        there = set(labels[near][known[near]])
        assert weight[y, x] == (1 + RIM_WEIGHT if there == {0, 1} else 1)
