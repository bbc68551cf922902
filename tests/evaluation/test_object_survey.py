"""What a survey tells of objects, and the order in which they are to be looked at."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import regionprops

from napari_unet.errors import InputError, SettingsError
from napari_unet.evaluation.object_survey import join_surveys, survey_objects
from napari_unet.evaluation.review_order import ORDERS, measure_strangeness, rank_objects

SHAPES = st.sampled_from([(1, 1), (7, 9), (1, 12), (3, 6, 7), (1, 5, 5)])
LABELS = SHAPES.flatmap(
    lambda shape: arrays(np.int64, shape, elements=st.sampled_from([0, 0, 1, 2, 9, 2**40]))
)


def disc(labels: np.ndarray, label: int, y: float, x: float, radius: float) -> None:
    """Draw a disc."""
    rows, columns = np.ogrid[: labels.shape[0], : labels.shape[1]]
    labels[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = label


@settings(max_examples=25, deadline=None)
@given(LABELS, st.integers(0, 5))
def test_what_can_be_counted_is_that_of_skimage(labels: np.ndarray, frame: int) -> None:
    scores = np.arange(labels.size, dtype=np.float32).reshape(labels.shape)
    found = survey_objects(labels, scores=scores, frame=frame)
    values, index = np.unique(labels, return_inverse=True)
    index = index.reshape(labels.shape) + (values[0] != 0)
    expected = regionprops(index, intensity_image=scores)
    assert found.labels.tolist() == [value for value in values.tolist() if value]
    assert found.areas.tolist() == [region.area for region in expected]
    ndim = labels.ndim
    assert found.starts.tolist() == [list(region.bbox[:ndim]) for region in expected]
    assert found.stops.tolist() == [list(region.bbox[ndim:]) for region in expected]
    assert found.confidences == pytest.approx([r.intensity_mean for r in expected], rel=1e-5)
    assert (found.frames == frame).all()
    for points in (found.points, found.second_points):
        assert [labels[tuple(point)] for point in points] == found.labels.tolist()
    assert ((found.fullness > 0) & (found.fullness <= 1) & (found.elongation >= 1)).all()
    assert ((found.notches >= 0) & (found.notches <= 1)).all()


@settings(max_examples=20, deadline=None)
@given(LABELS, st.sampled_from(ORDERS))
def test_each_object_is_listed_once_at_most(labels: np.ndarray, order: str) -> None:
    survey = survey_objects(labels, scores=np.ones(labels.shape, np.float32))
    survey = join_surveys([survey, survey_objects(labels, frame=1)])
    rows = rank_objects(survey, order)
    assert len(set(rows.tolist())) == len(rows)
    if order in ("confidence", "small", "large", "place"):
        assert len(rows) == len(survey)
    if order == "confidence":  # what has no score comes last
        assert not np.isnan(survey.confidences[rows][: np.count_nonzero(survey.frames == 0)]).any()


def test_shapes_are_those_of_their_ellipses() -> None:
    labels = np.zeros((120, 120), np.int32)
    disc(labels, 1, 30, 30, 15)
    y, x = np.ogrid[:120, :120]
    labels[((y - 80) / 10) ** 2 + ((x - 60) / 30) ** 2 < 1] = 2
    found = survey_objects(labels)
    assert found.fullness == pytest.approx([1, 1], abs=0.03)
    assert found.elongation == pytest.approx([1, 3], rel=0.03)
    ball = np.zeros((40, 40, 40), np.int32)
    z, y, x = np.ogrid[:40, :40, :40]
    ball[(z - 20) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 < 144] = 1
    (fullness,), (elongation,) = survey_objects(ball).fullness, survey_objects(ball).elongation
    assert (fullness, elongation) == pytest.approx((1, 1), abs=0.03)


def test_splits_are_suggested_of_what_has_two_maxima() -> None:
    labels = np.zeros((120, 200), np.int32)
    disc(labels, 1, 30, 30, 14)  # one disc
    disc(labels, 2, 30, 90, 14)  # two that overlap
    disc(labels, 2, 30, 112, 12)
    disc(labels, 3, 90, 40, 14)  # two that touch, each an object of its own
    disc(labels, 4, 90, 66, 13)
    disc(labels, 5, 90, 120, 14)  # one with a single pixel that sticks out
    labels[90, 134] = 5
    labels[60:63, 150:190] = 6  # a thin line
    survey = survey_objects(labels)
    rows = rank_objects(survey, "split")
    assert survey.labels[rows].tolist() == [2]
    assert survey.points[rows].tolist() == [[30, 90]]
    assert survey.second_points[rows].tolist() == [[30, 112]]


def test_an_object_unlike_the_others_comes_first() -> None:
    labels = np.zeros((200, 200), np.int32)
    for number in range(16):
        disc(labels, number + 1, 25 + 45 * (number // 4), 25 + 45 * (number % 4), 15 + number % 3)
    labels[25 - 3 : 25 + 3, 25 : 25 + 16] = 0  # a deep notch in the first
    survey = survey_objects(labels)
    assert survey.labels[rank_objects(survey, "shape")].tolist() == [1]
    cut = survey_objects(labels[:, :175])  # what the border cuts has no shape of its own
    assert (measure_strangeness(cut)[cut.touches_border] == 0).all()
    assert cut.labels[rank_objects(cut, "border")].size == 4


@pytest.mark.parametrize("shape", [(0, 5), (5, 5), (2, 0, 3)])
def test_nothing_is_listed_of_nothing(shape: tuple[int, ...]) -> None:
    survey = survey_objects(np.zeros(shape, np.uint16))
    assert [len(rank_objects(survey, order)) for order in ORDERS] == [0] * len(ORDERS)


def test_what_cannot_be_surveyed_is_told() -> None:
    with pytest.raises(InputError, match="negative"):
        survey_objects(np.array([[-1, 2]]))
    with pytest.raises(InputError, match="time point at a time"):
        survey_objects(np.zeros((2, 2, 2, 2), int))
    with pytest.raises(InputError, match="a score for each pixel"):
        survey_objects(np.ones((2, 2), int), scores=np.zeros((3, 2)))
    with pytest.raises(InputError, match="no scores"):
        rank_objects(survey_objects(np.ones((2, 2), int)), "confidence")
    with pytest.raises(SettingsError, match="unknown"):
        rank_objects(survey_objects(np.ones((2, 2), int)), "worst")  # type: ignore[arg-type]


def test_background_of_its_own_and_scores_that_are_not_finite() -> None:
    labels = np.array([[1, 1, 2, 3]])
    scores = np.array([[1, 0, np.nan, 0.5]])
    survey = survey_objects(labels, scores=scores, background=(3,))
    assert survey.labels.tolist() == [1, 2]
    assert survey.confidences[0] == 0.5
    assert math.isnan(survey.confidences[1])
    assert rank_objects(survey, "confidence").tolist() == [0, 1]
