"""Errors of objects, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.errors import InputError, SettingsError
from napari_unet.evaluation import find_errors
from napari_unet.metrics import match_instances


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Prediction and truth with one error of each kind, and two objects that are right."""
    truth = np.zeros((40, 60), np.uint16)
    prediction = np.zeros((40, 60), np.int32)
    truth[2:12, 2:12] = 1  # right
    prediction[2:12, 2:12] = 11
    truth[2:12, 20:30] = 2  # missed
    prediction[2:6, 40:46] = 12  # extra
    truth[16:26, 2:10] = 3  # merged with the next
    truth[16:26, 10:18] = 4
    prediction[16:26, 2:18] = 13
    truth[16:26, 30:50] = 5  # split
    prediction[16:26, 30:38] = 14
    prediction[16:26, 38:50] = 15
    truth[30:38, 2:14] = 6  # its outline
    prediction[30:38, 2:9] = 16
    truth[30:38, 30:38] = 7  # right, with a speck beside it that is no piece
    prediction[30:38, 30:38] = 17
    return prediction, truth


def test_each_kind_of_error_is_found_and_the_worst_stands_first() -> None:
    prediction, truth = scene()
    atlas = find_errors(prediction, truth, axes="yx")
    found = [(e.kind, e.predicted, e.true, e.wrong_pixels) for e in atlas.errors]
    assert found == [
        ("missed", (), (2,), 100),
        ("merged", (13,), (3, 4), 80),
        ("split", (14, 15), (5,), 80),
        ("outline", (16,), (6,), 40),
        ("extra", (12,), (), 24),
    ]
    assert atlas.right == 2
    assert atlas.counts == dict.fromkeys(atlas.counts, 1)
    assert [e.number for e in atlas.errors] == [1, 2, 3, 4, 5]
    for error in atlas.errors:
        assert atlas.labels[error.position] == error.number
        box = atlas.labels[error.box]
        assert (box == error.number).any()
        assert (atlas.labels == error.number).sum() == (box == error.number).sum()
    assert not atlas.labels[2:12, 2:12].any()
    split = next(e for e in atlas.errors if e.kind == "split")
    assert split.iou == pytest.approx(120 / 200)
    assert split.as_row("YX")["predicted"] == "14 15"


def test_errors_of_a_series_and_of_a_volume() -> None:
    prediction, truth = scene()
    series = np.stack([truth, prediction, prediction]), np.stack([truth] * 3)
    atlas = find_errors(*series, axes="TYX")
    assert [e.frame for e in atlas.errors[:2]] == [1, 2]
    assert atlas.counts["merged"] == 2
    assert all(atlas.labels[e.position] == e.number for e in atlas.errors)
    assert not atlas.labels[0].any()
    last = find_errors(*(np.moveaxis(each, 0, -1) for each in series), axes="YXT")
    assert [e.position[2] for e in last.errors] == [e.frame for e in last.errors]
    assert last.counts == atlas.counts
    volume = find_errors(*(np.repeat(each[None], 3, 0) for each in (prediction, truth)), axes="ZYX")
    assert [(e.kind, e.wrong_pixels) for e in volume.errors] == [
        (e.kind, 3 * e.wrong_pixels) for e in find_errors(prediction, truth).errors
    ]


def test_nothing_there_and_nothing_wrong() -> None:
    empty = np.zeros((5, 5), int)
    assert find_errors(empty, empty).errors == ()
    _, truth = scene()
    assert find_errors(truth, truth).right == 7
    assert {e.kind for e in find_errors(empty, np.eye(5, dtype=int)).errors} == {"missed"}
    assert {e.kind for e in find_errors(np.eye(5, dtype=int), empty).errors} == {"extra"}


def test_what_is_left_out_is_no_error() -> None:
    prediction, truth = scene()
    hidden = np.zeros(truth.shape, bool)
    hidden[:, 18:] = True
    atlas = find_errors(prediction, truth, ignore=hidden)
    assert {e.kind for e in atlas.errors} == {"merged", "outline"}
    assert not atlas.labels[hidden].any()


def test_a_large_and_a_small_object_under_one_are_merged() -> None:
    truth = np.array([[1, 1, 1, 1, 1, 1, 2]])
    (error,) = find_errors(np.full((1, 7), 3), truth).errors  # at an IoU of 6/7 with the first
    assert (error.kind, error.true, error.wrong_pixels) == ("merged", (1, 2), 1)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9))
def test_every_object_that_counts_as_wrong_is_in_an_error_and_no_other(
    seed: int, most: int
) -> None:
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 9, 2)
    prediction, truth = (np.kron(rng.integers(0, most + 1, shape), np.ones((2, 2), int))
                         for _ in range(2))  # fmt: skip
    prediction = np.where(rng.random(prediction.shape) < 0.4, prediction, truth)
    atlas = find_errors(prediction, truth)
    match = match_instances(prediction, truth)
    told_true = {t for e in atlas.errors for t in e.true}
    told_predicted = {p for e in atlas.errors for p in e.predicted}
    assert {*match.unmatched_truth.tolist()} <= told_true
    assert {*match.unmatched_prediction.tolist()} <= told_predicted
    well = [t for t, iou in zip(match.truth, match.iou, strict=True) if iou >= 0.7]
    assert atlas.right <= len(well)
    everything = {*np.unique(truth[truth > 0]).tolist()}
    assert atlas.right == len(everything - told_true)


@pytest.mark.parametrize("wrong", [0.4, 1.2])
def test_an_outline_has_a_threshold_of_its_own(wrong: float) -> None:
    prediction, truth = scene()
    with pytest.raises(SettingsError, match="outline_iou"):
        find_errors(prediction, truth, outline_iou=wrong)
    assert find_errors(prediction, truth, outline_iou=0.55).counts["outline"] == 0


@pytest.mark.parametrize(
    ("prediction", "said"),
    [
        (np.zeros((3, 4), int), "shape"),
        (np.zeros((3, 3)), "whole numbers"),
        (np.full((3, 3), -1), "label -1"),
        (np.zeros((3, 3), bool), "boolean"),
    ],
)
def test_what_is_no_labels_is_refused(prediction: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=said):
        find_errors(prediction, np.zeros((3, 3), int))
