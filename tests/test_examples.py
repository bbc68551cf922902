"""Examples: checks, frames, targets, and the patches that are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

import napari_unet
from napari_unet import instances
from napari_unet.card import ClassInfo, Normalization, Task
from napari_unet.errors import InputError, TrainingError, UNetError
from napari_unet.examples import (
    Example,
    Frame,
    LearningGoal,
    draw_patches,
    find_classes,
    find_output_limits,
    fingerprint,
    make_frames,
    open_example,
    read_labels,
)

DATA = Path(napari_unet.__file__).parent / "data"
NUCLEI = tifffile.imread(DATA / "nuclei_2d.tif")
TRUTH = tifffile.imread(DATA / "nuclei_2d_truth.tif")
STACK = tifffile.imread(DATA / "nuclei_3d.tif")
STACK_TRUTH = tifffile.imread(DATA / "nuclei_3d_truth.tif")
PLAIN = Normalization(mode="none")


def frames_of(
    example: Example, goal: LearningGoal, *, ndim: int = 2, normalization: Normalization = PLAIN
) -> list[Frame]:
    source = open_example(example, ndim=ndim, in_channels=None)
    return make_frames(source, example.labels, goal, normalization, ndim)


def coded_frame(shape: tuple[int, ...], centres: Any = ()) -> Frame:
    """A frame whose target is its image: every pixel has a value of its own, from 1."""
    image = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(1, *shape)
    places = np.array(centres, np.intp).reshape(-1, len(shape))
    return Frame(image, image.copy(), places)


# ---------------------------------------------------------------------------------- frames


def test_a_plane_becomes_one_normalised_frame() -> None:
    frames = frames_of(
        Example(NUCLEI, TRUTH), LearningGoal("instance"), normalization=Normalization()
    )
    assert len(frames) == 1
    low, high = np.percentile(NUCLEI, (1.0, 99.8))
    np.testing.assert_allclose(frames[0].image[0], (NUCLEI - low) / (high - low), atol=1e-5)
    np.testing.assert_allclose(frames[0].target, instances.encode(TRUTH), atol=1e-3)
    assert len(frames[0].centres) == 123
    found = TRUTH[tuple(frames[0].centres.T)]
    assert set(found.tolist()) == set(range(1, 124))  # one pixel inside each object


def test_a_2d_network_sees_the_planes_of_a_stack_and_a_3d_network_the_stack() -> None:
    example = Example(STACK, STACK_TRUTH)
    planes = frames_of(example, LearningGoal("instance"))
    assert [f.image.shape for f in planes] == [(1, 61, 57)] * 31
    for z in (0, 15, 30):
        np.testing.assert_array_equal(planes[z].image[0], STACK[z])
        np.testing.assert_allclose(planes[z].target, instances.encode(STACK_TRUTH[z]), atol=1e-3)
    (volume,) = frames_of(example, LearningGoal("instance"), ndim=3)
    assert volume.image.shape == (1, 31, 61, 57)
    assert len(volume.centres) == 51


@given(
    order=st.permutations("TCZYX"),
    ndim=st.sampled_from([2, 3]),
    channels=st.sampled_from([None, (1,), (1, 0)]),
)
def test_frames_do_not_depend_on_the_order_of_the_axes(
    order: list[str], ndim: int, channels: tuple[int, ...] | None
) -> None:
    image = np.arange(2 * 2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 2, 3, 4, 5)  # TCZYX
    labels = (image[:, 0] % 3).astype(np.int32)
    axes = "".join(order)
    moved = image.transpose(["TCZYX".index(a) for a in axes])
    moved_labels = labels.transpose(["TZYX".index(a) for a in axes if a != "C"])
    goal = LearningGoal("semantic", find_classes([labels], ()))
    example = Example(moved, moved_labels, axes=axes, channels=channels)
    frames = frames_of(example, goal, ndim=ndim)
    chosen = list(channels or (0, 1))
    places = [(t, z) for t in range(2) for z in (range(3) if ndim == 2 else [slice(None)])]
    assert len(frames) == len(places)
    for frame, (t, z) in zip(frames, places, strict=True):
        np.testing.assert_array_equal(frame.image, image[t, chosen, z])
        np.testing.assert_array_equal(frame.target[0], labels[t, z])


def test_one_array_per_channel_and_dask_arrays() -> None:
    goal = LearningGoal("instance")
    lazy = da.from_array(TRUTH, chunks=100)
    (frame,) = frames_of(Example([NUCLEI, da.from_array(NUCLEI + 1, chunks=64)], lazy), goal)
    np.testing.assert_array_equal(frame.image, np.stack([NUCLEI, NUCLEI + 1]))
    np.testing.assert_allclose(frame.target, instances.encode(TRUTH), atol=1e-3)


def test_semantic_targets_are_indices_in_the_order_of_the_classes() -> None:
    classes = tuple(ClassInfo(value=v, name=f"c{v}") for v in (9, 0, 300))
    labels = np.array([[0, 9, 300, 9]], np.uint16)
    (frame,) = frames_of(Example(labels, labels), LearningGoal("semantic", classes))
    assert frame.target.tolist() == [[[1, 0, 2, 0]]]
    assert sorted(labels[tuple(frame.centres.T)].tolist()) == [0, 9, 300]


def test_more_classes_than_a_byte_holds() -> None:
    classes = tuple(ClassInfo(value=v, name=f"c{v}") for v in range(300))
    labels = np.arange(300, dtype=np.uint16).reshape(10, 30)
    (frame,) = frames_of(Example(labels, labels), LearningGoal("semantic", classes))
    np.testing.assert_array_equal(frame.target[0], labels)


def test_regression_targets_are_scaled_by_the_limits_and_may_have_channels() -> None:
    image = np.random.default_rng(0).random((6, 7, 2)).astype(np.float32)
    goal = LearningGoal("regression", output_limits=((1.0, 3.0), (0.0, 10.0)))
    (frame,) = frames_of(Example(image, image * 8, axes="YXC"), goal)
    np.testing.assert_allclose(frame.target[0], (image[..., 0] * 8 - 1) / 2, atol=1e-6)
    np.testing.assert_allclose(frame.target[1], image[..., 1] * 8 / 10, atol=1e-6)
    (frame,) = frames_of(
        Example(image, image[..., 0], axes="YXC"),
        LearningGoal("regression", output_limits=((0.0, 1.0),)),
    )
    np.testing.assert_allclose(frame.target[0], image[..., 0], atol=1e-6)


def test_labels_of_one_time_point_come_in_canonical_order() -> None:
    labels = np.arange(2 * 3 * 4 * 5).reshape(5, 2, 4, 3)  # XTYZ
    source = open_example(Example(labels, labels, axes="XTYZ"), ndim=3, in_channels=1)
    part = read_labels(source, labels, 1, "instance")
    np.testing.assert_array_equal(part[0], labels[:, 1].transpose(2, 1, 0))


# ------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("labels", "task", "words"),
    [
        (np.zeros((5, 6), int), "instance", r"shape \(5, 6\).*needs \(5, 7\)"),
        (np.zeros((5, 7, 2), int), "semantic", "needs"),
        (np.zeros((5, 7)), "instance", "must be integers, not float64"),
        (np.zeros((5, 7)), "semantic", "must be integers, not float64"),
        (np.zeros((5, 7), bool), "instance", "must be integers, not bool"),
        (np.zeros((5, 7), complex), "regression", "must be real, not complex128"),
        (np.full((5, 7), -3), "instance", "negative.*-3"),
        (np.full((5, 7), np.nan), "regression", "NaN"),
        ([[1, 2], [3, 4]], "instance", "list; give an array"),
        (None, "instance", "NoneType; give an array"),
    ],
)
def test_labels_that_do_not_fit(labels: Any, task: Task, words: str) -> None:
    goal = LearningGoal(task, (ClassInfo(value=0, name="a"),), ((0.0, 1.0),))
    with pytest.raises(InputError, match=words):
        frames_of(Example(np.ones((5, 7)), labels), goal)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"region": "painted"}, r"region 'painted' is not available"),
        ({"region": np.ones((300, 300), bool)}, r"region a mask is not available"),
        ({"background": 2}, r"background=2 is for painted labels"),
    ],
)
def test_partial_labels_are_refused(changes: dict[str, Any], words: str) -> None:
    example = Example(np.ones((5, 7)), np.ones((5, 7), int), **changes)
    with pytest.raises(TrainingError, match=words) as caught:
        open_example(example, ndim=2, in_channels=None)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_images_with_missing_pixels_are_refused(bad: float) -> None:
    image = np.ones((5, 7))
    image[2, 3] = bad
    with pytest.raises(UNetError, match=r"NaN|infinite"):
        frames_of(Example(image, np.ones((5, 7), int)), LearningGoal("instance"))


# ------------------------------------------------------------------------- classes, limits


def test_classes_are_those_of_all_labels() -> None:
    classes = find_classes([np.array([0, 5]), np.array([2, 5], np.uint8)], ())
    assert [c.value for c in classes] == [0, 2, 5]
    assert [c.name for c in classes] == ["background", "class 2", "class 5"]
    assert len({c.colour for c in classes}) == 3
    assert [c.value for c in find_classes([np.array([True, False])], ())] == [0, 1]


def test_named_classes_are_kept_in_their_order() -> None:
    named = (ClassInfo(value=7, name="seven"), ClassInfo(value=0, name="rest"))
    assert find_classes([np.array([0, 7, 7])], named) == named
    assert find_classes([np.array([7])], named) == named
    with pytest.raises(TrainingError, match="value 3, which none of the classes names"):
        find_classes([np.array([0, 3, 7])], named)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros(4, int), "only the value 0"),
        (np.zeros(0, int), "only the value none"),
        (np.array([-1, 0]), "from -1 to 0"),
        (np.array([0, 70_000]), "from 0 to 70000"),
        (np.arange(300), "300 values from 0 to 299"),
    ],
)
def test_labels_that_are_no_classes(labels: np.ndarray, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        find_classes([labels], ())


def test_output_limits_are_percentiles_of_all_targets() -> None:
    rng = np.random.default_rng(0)
    targets = [rng.random((40, 50)), rng.random((30, 20)) + 5]
    expected = np.percentile(np.concatenate([t.ravel() for t in targets]), (1.0, 99.8))
    np.testing.assert_allclose(find_output_limits(targets), [expected])


def test_output_limits_of_a_few_bright_pixels_span_the_whole_range() -> None:
    target = np.full((100, 100), 2.0)
    target[5, 5] = 9
    assert find_output_limits([target]) == ((2.0, 9.0),)


def test_constant_targets_teach_nothing() -> None:
    with pytest.raises(TrainingError, match="constant \\(3\\)"):
        find_output_limits([np.full((4, 4), 3), np.full((5, 5), 3)])


def test_targets_with_missing_pixels_are_refused() -> None:
    with pytest.raises(InputError, match="infinite"):
        find_output_limits([np.array([[1.0, np.inf]])])


# -------------------------------------------------------------------------------- patches


@given(
    shape=st.lists(st.integers(1, 20), min_size=2, max_size=3),
    window=st.integers(1, 12),
    seed=st.integers(0, 10_000),
    data=st.data(),
)
def test_patches_are_pieces_of_the_frame(
    shape: list[int], window: int, seed: int, data: st.DataObject
) -> None:
    centre = [data.draw(st.integers(0, n - 1)) for n in shape]
    frame = coded_frame(tuple(shape), [centre])
    size = (window,) * len(shape)
    images, targets, known = draw_patches([frame], size, 4, np.random.default_rng(seed))
    assert images.shape == targets.shape == known.shape == (4, 1, *size)
    assert images.dtype == targets.dtype == known.dtype == np.float32
    np.testing.assert_array_equal(images, targets)
    for image, inside in zip(images[:, 0], known[:, 0], strict=True):
        # each known pixel is another one of the frame: none is invented or repeated
        values = image[inside > 0].astype(int)
        assert len(set(values.tolist())) == len(values)
        # the known part is a box, in the order of the frame, as large as can be
        places = np.argwhere(inside > 0)
        extent = np.ptp(places, axis=0) + 1
        assert extent.tolist() == [min(n, window) for n in shape]
        assert len(places) == np.prod(extent)
        origin = np.array(np.unravel_index(values[0] - 1, shape))
        box = tuple(slice(o, o + e) for o, e in zip(origin, extent, strict=True))
        np.testing.assert_array_equal(values, frame.image[0][box].ravel())
        # outside the nearest pixel of the frame stands
        assert set(np.unique(image)) == set(values)


def test_a_window_larger_than_the_frame_repeats_its_edge() -> None:
    images, _, known = draw_patches([coded_frame((2, 2))], (5, 2), 20, np.random.default_rng(0))
    for image, inside in zip(images[:, 0], known[:, 0], strict=True):
        first = int(inside[:, 0].argmax())
        expected = np.clip(np.arange(5) - first, 0, 1)
        np.testing.assert_array_equal(image, np.array([[1, 2], [3, 4]])[expected])
        assert inside.sum() == 4
    assert len({int(k[0, :, 0].argmax()) for k in known}) > 1  # not always at the same place


def test_objects_are_favoured() -> None:
    frame = coded_frame((400, 400), [(380, 30)])
    images, _, _ = draw_patches([frame], (32, 32), 300, np.random.default_rng(0))
    value = frame.image[0, 380, 30]
    share = (images == value).any((1, 2, 3)).mean()
    assert 0.4 < share < 0.65  # by chance it would be under 2 %
    corners = images[:, 0, 0, 0].astype(int)
    spread = np.stack(np.unravel_index(corners - 1, (400, 400)))
    assert (np.ptp(spread, axis=1) > 250).all()  # the rest of the frame is seen too


def test_larger_frames_are_drawn_more_often_and_small_ones_not_forgotten() -> None:
    small, large = coded_frame((10, 10)), coded_frame((40, 40))
    large.image[:] *= -1
    images, _, _ = draw_patches([small, large], (10, 10), 500, np.random.default_rng(0))
    share = (images[:, 0, 0, 0] < 0).mean()
    assert 0.7 < share < 0.9  # 4 times as wide: 4 in 5


def test_the_same_generator_draws_the_same_patches() -> None:
    frames = [coded_frame((30, 30), [(3, 3)]), coded_frame((20, 50))]
    first, same, other = (
        draw_patches(frames, (8, 8), 6, np.random.default_rng(seed))[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


# ---------------------------------------------------------------------------- fingerprint


def test_the_fingerprint_tells_data_apart() -> None:
    base = Example(NUCLEI, TRUTH)
    digest, pixels = fingerprint([base])
    assert pixels == TRUTH.size
    assert fingerprint([Example(NUCLEI.copy(), TRUTH.copy())])[0] == digest
    assert fingerprint([Example(da.from_array(NUCLEI, chunks=99), TRUTH)])[0] == digest
    far = NUCLEI.copy()
    far[-1, -1] += 1
    relabelled = TRUTH.copy()
    relabelled[300, 300] += 1
    others = [
        [Example(far, TRUTH)],
        [Example(NUCLEI, relabelled)],
        [Example(NUCLEI.T, TRUTH.T)],
        [Example([NUCLEI, far], TRUTH)],
        [Example([NUCLEI, far], TRUTH, channels=[1])],
        [Example(NUCLEI, TRUTH, axes="XY")],
        [base, base],
    ]
    assert len({digest, *(fingerprint(other)[0] for other in others)}) == 1 + len(others)
    assert fingerprint([base, base])[1] == 2 * TRUTH.size
