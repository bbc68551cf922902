"""Label statistics: what labels hold, seen in one pass, a slab at a time."""

from __future__ import annotations

from collections import Counter
from typing import Any

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_unet.card import Task
from napari_unet.dataset.assembly import prepare_data
from napari_unet.dataset.example import Example
from napari_unet.dataset.label_statistics import (
    ANYWHERE,
    MAX_PLACES_PER_SLAB,
    LabelStatistics,
    Places,
    collect_frame_statistics,
    collect_statistics,
)
from napari_unet.dataset.labelled_image import LabelledImage, open_example
from napari_unet.errors import InputError
from napari_unet.settings import TrainConfig


def opened(labels: Any, *, task: Task = "instance", ndim: int = 2, **kwargs: Any) -> LabelledImage:
    image = np.zeros(labels.shape, np.uint8)
    example = Example(image, labels, **kwargs)
    return open_example(example, ndim=ndim, in_channels=1, task=task)


def look(labels: Any, *, task: Task = "instance", ndim: int = 2, **kwargs: Any) -> LabelStatistics:
    return collect_statistics(opened(labels, task=task, ndim=ndim, **kwargs), task, ndim)


def random_labels(shape: tuple[int, ...], seed: int) -> NDArray[np.int32]:
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 5, shape) * (rng.random((*shape[:2], 1, 1)) < 0.7)).astype(np.int32)


@settings(max_examples=25)
@given(
    shape=st.tuples(*[st.integers(1, 3)] * 2, *[st.integers(1, 9)] * 2),
    ndim=st.sampled_from([2, 3]),
    task=st.sampled_from(["instance", "semantic"]),
    region=st.sampled_from(["all", "planes", "painted", "mask"]),
    slab=st.sampled_from([5, 40, 10**6]),
    seed=st.integers(0, 1000),
)
def test_everything_known_is_counted_and_every_place_is_true(
    shape: tuple[int, ...], ndim: int, task: Task, region: str, slab: int, seed: int
) -> None:
    labels = random_labels(shape, seed)
    mask = np.random.default_rng(seed).random(shape) < 0.4
    how: Any = mask if region == "mask" else region
    known = {
        "all": np.ones(shape, bool),
        "planes": np.broadcast_to(labels.any((2, 3), keepdims=True), shape),
        "painted": labels != 0,
        "mask": mask,
    }[region]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_unet.dataset.labelled_image.SLAB_PIXELS", slab)
        found = look(labels, task=task, ndim=ndim, axes="TZYX", region=how)
    places = [(t, z) for t in range(shape[0]) for z in (range(shape[1]) if ndim == 2 else [None])]
    expected = [p for p in places if known[p[0], slice(None) if p[1] is None else p[1]].any()]
    assert [(f.time, f.plane) for f in found.frames] == expected
    assert found.known == known.sum()
    assert found.values == set(labels[known].tolist())
    for frame in found.frames:
        here = (frame.time, slice(None) if frame.plane is None else frame.plane)
        trusted, there = known[here], labels[here]
        assert frame.known == trusted.sum()
        assert frame.complete == trusted.all()
        assert frame.sizes == Counter(there[trusted].tolist())
        keys = {ANYWHERE}
        if task == "semantic":
            keys |= set(there[trusted].tolist())
        elif there[trusted].any():
            keys.add(1)
        assert set(frame.places) == keys
        for key, spots in frame.places.items():
            at = tuple(spots.positions.T)
            assert spots.positions.shape == (len(spots.weights), trusted.ndim)
            assert trusted[at].all()
            values = there[at].tolist()
            if key == ANYWHERE:
                assert spots.total == pytest.approx(trusted.sum())
            elif task == "semantic":
                assert set(values) == {key}
                assert spots.total == pytest.approx((there[trusted] == key).sum())
            else:  # one pixel of each object
                assert sorted(values) == sorted(set(there[trusted].tolist()) - {0})
                assert (spots.weights == 1).all()


def test_of_many_pixels_a_sample_stands_for_all() -> None:
    labels = np.zeros((300, 400), np.uint8)
    labels[:, 200:] = 1
    labels[7, 9] = 2  # a rare class is not lost among the others
    (frame,) = look(labels, task="semantic").frames
    assert {key: len(spots.positions) for key, spots in frame.places.items()} == {
        ANYWHERE: MAX_PLACES_PER_SLAB, 0: MAX_PLACES_PER_SLAB, 1: MAX_PLACES_PER_SLAB, 2: 1,
    }  # fmt: skip
    assert frame.places[0].total == pytest.approx(300 * 200 - 1)
    assert frame.places[2].positions.tolist() == [[7, 9]]
    spread = np.ptp(frame.places[0].positions, axis=0)
    assert spread[0] > 250  # not the first ones only
    assert spread[1] > 150
    again = look(labels, task="semantic").frames[0]
    for key in frame.places:
        np.testing.assert_array_equal(again.places[key].positions, frame.places[key].positions)


def test_an_object_in_several_slabs_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_unet.dataset.labelled_image.SLAB_PIXELS", 60)
    labels = np.zeros((30, 20), int)
    labels[1:25, 4:9] = 7
    (frame,) = look(labels).frames
    assert len(frame.places[1].positions) == 1
    assert frame.sizes == {0: 600 - 120, 7: 120}


def test_regression_has_places_anywhere_alone() -> None:
    mask = np.zeros((6, 7), bool)
    mask[2:4] = True
    (frame,) = look(np.random.default_rng(0).random((6, 7)), task="regression", region=mask).frames
    assert set(frame.places) == {ANYWHERE}
    assert frame.sizes == {}
    assert set(frame.places[ANYWHERE].positions[:, 0].tolist()) == {2, 3}


def test_a_piece_is_surveyed_in_its_own_coordinates() -> None:
    labels = np.zeros((2, 5, 20, 20), int)
    labels[1, 3, 12, 17] = 4
    piece = opened(labels, axes="TZYX", region="painted").within(
        range(1, 2), (slice(2, 5), slice(10, 20), slice(10, 20))
    )
    (frame,) = collect_statistics(piece, "instance", 2).frames
    assert (frame.time, frame.plane) == (1, 1)
    assert frame.places[1].positions.tolist() == [[2, 7]]
    (frame,) = collect_statistics(piece, "instance", 3).frames
    assert frame.places[1].positions.tolist() == [[1, 2, 7]]


class Counting:
    """An array that notes how many of its pixels were read, in which planes."""

    def __init__(self, array: Any) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.pixels = 0
        self.planes: set[int] = set()

    def __getitem__(self, index: Any) -> Any:
        found = self.array[index]
        self.pixels += found.size
        if isinstance(index[0], slice):
            self.planes |= set(range(len(self.array))[index[0]])
        return found


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("region", ["planes", "mask", "both"])
def test_labels_are_read_where_planes_and_masks_leave_something_known(
    region: str, ndim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unet.dataset.labelled_image.SLAB_PIXELS", 30 * 40)
    labels = np.zeros((12, 30, 40), np.uint8)
    labels[4, 3:9, 3:9] = 1
    labels[7, 3:9, 3:9] = 2
    mask = np.zeros((12, 1, 1), bool)
    mask[[7, 9]] = True
    how: Any = {"planes": "planes", "mask": mask, "both": (mask, "planes")}[region]
    counted = Counting(labels)
    labelled = opened(counted, axes="ZYX", region=how, ndim=ndim)
    counted.pixels, counted.planes = 0, set()
    found = collect_statistics(labelled, "instance", ndim)
    assert counted.planes == {"planes": {4, 7}, "mask": {7, 9}, "both": {4, 7, 9}}[region]
    assert counted.pixels == found.known
    whole = look(labels, axes="ZYX", region=np.broadcast_to(mask, labels.shape), ndim=ndim)
    if region == "mask":
        assert found.digest == whole.digest


@settings(max_examples=25)
@given(
    shape=st.tuples(*[st.integers(1, 4)] * 2, *[st.integers(1, 9)] * 2),
    ndim=st.sampled_from([2, 3]),
    task=st.sampled_from(["instance", "semantic"]),
    region=st.sampled_from(["all", "planes", "painted"]),
    data=st.data(),
)
def test_a_piece_of_a_survey_is_the_survey_of_the_piece(
    shape: tuple[int, ...], ndim: int, task: Task, region: str, data: st.DataObject
) -> None:
    counted = Counting(random_labels(shape, data.draw(st.integers(0, 1000))))
    whole = opened(counted, task=task, axes="TZYX", region=region, ndim=ndim)
    for _ in range(2):  # a piece, and a piece of that
        seen = collect_statistics(whole, task, ndim)
        axis = data.draw(st.integers(0, 3))
        sizes = (len(whole.times), *whole.shape)
        start = data.draw(st.integers(0, sizes[axis] - 1))
        stop = data.draw(st.integers(start + 1, sizes[axis]))
        part = [slice(0, n) for n in sizes]
        part[axis] = slice(start, stop)
        times = whole.times[part[0]]
        piece = whole.within(times, tuple(part[1:]))
        counted.pixels = 0
        found = collect_frame_statistics(piece, whole, seen, task, ndim)
        if axis == 0 or (axis == 1 and ndim == 2):
            assert counted.pixels == 0
        expected = collect_statistics(piece, task, ndim)
        assert found.digest == expected.digest
        assert len(found.frames) == len(expected.frames)
        for mine, other in zip(found.frames, expected.frames, strict=True):
            assert (mine.time, mine.plane, mine.known) == (other.time, other.plane, other.known)
            assert (mine.complete, mine.sizes) == (other.complete, other.sizes)
            assert mine.median_size == other.median_size
            assert mine.places.keys() == other.places.keys()
            for key, places in mine.places.items():
                assert places.total == other.places[key].total
                np.testing.assert_array_equal(places.positions, other.places[key].positions)
        whole = piece


def test_the_usual_size_is_that_of_objects_known_as_a_whole() -> None:
    labels = np.zeros((40, 60), int)
    for value, side in enumerate((3, 5, 7, 9, 11), 1):
        labels[20 : 20 + side, value * 10 : value * 10 + side] = value
    (frame,) = look(labels[:, :-1]).frames
    assert frame.median_size == 7 * 7
    box = np.zeros(labels.shape, bool)
    box[10:30, 5:42] = True  # through the fourth
    (frame,) = look(labels, region=box).frames
    assert frame.median_size == 5 * 5
    strokes = np.where(np.arange(40)[:, None] % 4, 0, labels + 10)
    for region in ("painted", strokes > 0):
        (frame,) = look(strokes, region=region, background=10).frames
        assert frame.median_size is None
    # as it is said does not matter
    mixed = np.where(box, labels, strokes)
    said = look(mixed, region=("painted", box), background=10).frames[0].median_size
    assert said == 5 * 5
    planes = np.stack([labels] * 5) * (np.arange(5) == 2)[:, None, None]
    (frame,) = look(planes, axes="ZYX", region="planes", ndim=3).frames
    assert frame.median_size is None
    (frame,) = look(planes, axes="ZYX", region="planes").frames
    assert frame.median_size == 7 * 7
    (frame,) = look(labels, task="semantic").frames
    assert frame.median_size is None


def test_nothing_known_is_no_frame() -> None:
    found = look(np.zeros((3, 8, 8), int), axes="ZYX", region="painted")
    assert found.frames == ()
    assert found.known == 0
    assert found.values == set()


def test_negative_labels_are_no_objects() -> None:
    """Said at once, not when a patch meets them minutes later."""
    with pytest.raises(InputError, match=r"negative.*-3"):
        look(np.full((5, 7), -3))


def test_places_are_drawn_by_weight() -> None:
    spots = Places(np.array([[0, 0], [5, 5], [9, 9]], np.int32), np.array([1.0, 0.0, 3.0]))
    rng = np.random.default_rng(0)
    drawn = Counter(int(spots.draw(rng)[0]) for _ in range(1000))
    assert set(drawn) == {0, 9}
    assert 0.7 < drawn[9] / 1000 < 0.8


# ------------------------------------------------------------------------------ fingerprint


def test_the_digest_tells_labels_and_regions_apart() -> None:
    labels = np.random.default_rng(0).integers(0, 4, (3, 20, 30), np.uint8)
    same = [labels.copy(), da.from_array(labels, chunks=7)]
    digest = look(labels, axes="ZYX").digest
    assert {look(each, axes="ZYX").digest for each in same} == {digest}
    changed = labels.copy()
    changed[2, 19, 29] += 1
    mask = np.ones(labels.shape, bool)
    mask[0, 0, 0] = False
    others = [
        look(changed, axes="ZYX"),
        look(labels, axes="ZYX", region="painted"),
        look(labels, axes="ZYX", region=mask),
        look(labels, axes="ZYX", region=labels >= 0, background=2),
    ]
    assert len({digest, *(other.digest for other in others)}) == 1 + len(others)


def test_the_fingerprint_of_a_training_tells_data_apart() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (64, 48), np.uint8)
    labels = np.kron(rng.integers(0, 9, (8, 6)), np.ones((8, 8), int))
    config = TrainConfig(steps=1)

    def fingerprint(*examples: Example) -> tuple[str, int]:
        data = prepare_data(examples, [], None, config)
        return data.sha256, data.labelled_pixels

    base = Example(image, labels)
    digest, pixels = fingerprint(base)
    assert pixels == labels.size
    assert fingerprint(Example(image.copy(), labels.copy()))[0] == digest
    assert fingerprint(Example(image, da.from_array(labels, chunks=30)))[0] == digest
    far = image.copy()
    far[-1, -1] ^= 1
    relabelled = labels.copy()
    relabelled[-1, -1] = 77
    mask = np.ones(labels.shape, bool)
    mask[0, 0] = False
    others = [
        [Example(far, labels)],
        [Example(image, relabelled)],
        [Example(image, labels, region=mask)],
        [Example(image.T, labels.T)],
        [Example([image, far], labels)],
        [Example([image, far], labels, channels=[1])],
        [Example(image, labels, axes="XY")],
        [base, base],
    ]
    found = [fingerprint(*other) for other in others]
    assert len({digest, *(each for each, _ in found)}) == 1 + len(others)
    assert found[2][1] == labels.size - 1
    assert found[-1][1] == 2 * labels.size
