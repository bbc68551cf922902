"""Objects that were looked at one by one: what is accepted, and what is known around it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unet.dataset.correction import Correction, compare_objects, remember_objects
from napari_unet.dataset.fingerprint import fingerprint_mask, fingerprint_objects
from napari_unet.dataset.review import Review, find_accepted, iter_frames
from napari_unet.dataset.seen_region import find_corrected, find_seen_region
from napari_unet.errors import InputError

LABELS = st.sampled_from(["YX", "ZYX", "TYX", "TZYX"]).flatmap(
    lambda axes: st.tuples(
        st.just(axes),
        arrays(np.int32, (2, 3, 6, 7)[-len(axes) :], elements=st.sampled_from([0, 0, 0, 1, 2, 5])),
    )
)


@settings(max_examples=25, deadline=None)
@given(LABELS, st.data())
def test_an_accepted_object_is_so_until_a_pixel_of_it_changes(
    given_labels: tuple[str, np.ndarray], data: st.DataObject
) -> None:
    axes, labels = given_labels
    review = Review()
    for time, index in iter_frames(axes, labels.shape):
        review = review.accept(labels[index], time, [1, 2, 9])
    accepted = find_accepted(labels, axes, review)
    there = [
        (time, label)
        for time, index in iter_frames(axes, labels.shape)
        for label in (1, 2)
        if (labels[index] == label).any()
    ]
    assert accepted == there
    review = Review.from_json(json.loads(json.dumps(review.as_json())))
    place = tuple(data.draw(st.integers(0, n - 1)) for n in labels.shape)
    before, after = int(labels[place]), data.draw(st.sampled_from([0, 1, 2, 5]))
    labels[place] = after
    time = place[axes.index("T")] if "T" in axes else 0
    lost = {(time, before), (time, after)} if before != after else set()
    assert set(find_accepted(labels, axes, review)) == set(there) - lost
    labels[place] = before  # undone
    assert find_accepted(labels, axes, review) == there
    assert set(find_accepted(labels, axes, review.withdraw(0, [1]))) == set(there) - {(0, 1)}


@given(arrays(np.int32, (4, 5), elements=st.integers(0, 3)))
def test_one_object_alone_has_the_digest_that_it_has_among_others(labels: np.ndarray) -> None:
    values, digests = fingerprint_objects(labels, [1, 3])
    for value, digest in zip(values, digests, strict=True):
        assert (
            fingerprint_mask(labels[1:] == value, (1, 0), labels.shape) == digest
            or (labels[0] == value).any()
        )


def scene() -> np.ndarray:
    """Three objects of 12 x 12 pixels; 2 and 3 touch."""
    labels = np.zeros((60, 80), np.int32)
    labels[10:22, 10:22], labels[30:42, 30:42], labels[30:42, 42:54] = 1, 2, 3
    return labels


def test_what_nobody_saw_is_unknown() -> None:
    labels = scene()
    review = Review().accept(labels, 0, [2])
    region = find_seen_region(labels, "YX", review, None)
    assert region[labels == 2].all()
    assert not region[labels == 1].any()
    assert region[28, 36]  # the background above it
    assert not region[5, 5]
    rim = region & (labels == 3)  # shows where 2 ends, and no more
    assert rim[36, 42:44].all()
    assert not rim[:, 46:].any()


def test_what_was_corrected_is_known_without_being_accepted() -> None:
    labels = scene()
    began = remember_objects(labels)
    assert find_corrected(labels, "YX", began).tolist() == []
    labels[22, 10:22] = 1
    labels[50:55, 60:66] = 7
    assert find_corrected(labels, "YX", began).tolist() == [1, 7]
    region = find_seen_region(labels, "YX", Review(), began)
    assert region[labels == 1].all()
    assert region[labels == 7].all()
    assert not region[labels == 2].any()


def test_a_deleted_object_is_background_until_it_comes_back() -> None:
    labels = scene()
    mask = labels == 1
    review = Review().clear(0, (8, 9), mask[8:25, 9:25])
    assert not find_seen_region(labels, "YX", review, None).any()  # it is still there
    labels[mask] = 0
    assert (find_seen_region(labels, "YX", review, None) == mask).all()
    assert not find_seen_region(labels[:15], "YX", review, None).any()  # of another size
    labels[12, 12] = 4
    assert not find_seen_region(labels, "YX", review, None).any()


def test_objects_of_a_volume_end_in_the_next_plane_and_those_of_planes_do_not() -> None:
    labels = np.zeros((6, 30, 30), np.int32)
    labels[2:4, 10:20, 10:20] = 1
    labels[0, 2:6, 2:6] = 2
    review = Review().accept(labels, 0, [1])
    region = find_seen_region(labels, "ZYX", review, None)
    assert region[1:5, 15, 15].all()
    assert not region[[0, 5]].any()
    region = find_seen_region(labels, "ZYX", Review().accept(labels, 0, [2]), None)
    assert region[0].any()
    assert not region[1:].any()
    series = find_seen_region(labels, "TYX", Review().accept(labels[2], 2, [1]), None)
    assert series.any(axis=(1, 2)).tolist() == [False, False, True, False, False, False]


def test_the_verdict_counts_accepted_objects_and_what_is_known_around_them() -> None:
    labels = scene()
    began = remember_objects(labels)
    assert began is not None
    found = compare_objects(labels, began, (), "YX")
    assert found is not None
    assert found.nothing_changed
    seen = found.with_accepted([(0, 2)])
    assert not seen.nothing_changed
    assert (seen.looked_at(labels, 0, slice(0, 1)) == (labels == 2)).all()
    around = found.with_accepted([(0, 2)], around=True)
    around = Correction.from_json(json.loads(json.dumps(around.as_json())))
    assert (around.looked_at(labels, 0, slice(0, 1)) == ((labels == 2) | (labels == 0))).all()
    assert not seen.looked_at(labels, 1, slice(0, 1)).any()  # at another time point
    old = {k: v for k, v in seen.as_json().items() if k not in ("accepted", "around")}
    assert Correction.from_json(old).accepted == ()


def test_damaged_marks_and_large_frames_are_refused() -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Review.from_json({"accepted": [[1]]})
    with pytest.raises(InputError, match="too large"):
        list(iter_frames("ZYX", (1000, 1000, 1000)))
    torn = Review.from_json({"accepted": [], "cleared": [[0, [0, 0], {}]], "began": None})
    assert torn.cleared_pixels(scene(), 0) is None
