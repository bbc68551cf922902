"""In which order objects are looked at: what is most likely wrong comes first."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import InputError, SettingsError
from napari_unet.evaluation.object_survey import ObjectSurvey

ReviewOrder = Literal["confidence", "small", "large", "border", "split", "shape", "place"]
ORDERS: tuple[ReviewOrder, ...] = get_args(ReviewOrder)

CLEAR_NOTCH = 0.25  # depth of the pass between two maxima from which on a split is suggested
USUAL_SPREAD = 1.4826  # standard deviation over the median absolute deviation, of a Gaussian
LEAST_SPREAD = 0.02  # of fullness and of the logarithm of elongation: pixels alone make as much
UNUSUAL = 2.5  # spreads away from the median, from which on a shape is called unusual


def rank_objects(survey: ObjectSurvey, order: ReviewOrder) -> NDArray[np.intp]:
    """Rows of a survey in the order in which the objects are to be looked at.

    Parameters
    ----------
    survey : ObjectSurvey
        The objects.
    order : str
        "confidence": the least confident first. "small", "large": by size. "border": those that
        touch the edge of the image, the largest first. "split": those with two clear maxima, the
        clearest first. "shape": the most unusual shape first. "place": all, by frame and label.
        Those of "border", "split" and "shape" leave out all that is not so.

    Returns
    -------
    (M,) int array
        Rows; equal objects stay in the order of the table.

    Raises
    ------
    SettingsError
        If the order is unknown.
    InputError
        If confidence is asked for and there is none.

    Examples
    --------
    >>> from napari_unet.evaluation.object_survey import survey_objects
    >>> survey = survey_objects(np.array([[3, 0, 5, 5, 0, 9, 9, 9]]))
    >>> survey.labels[rank_objects(survey, "small")].tolist()
    [3, 5, 9]
    """
    rows = np.arange(len(survey))
    if order == "place":
        return rows
    if order == "confidence":
        if len(survey) and np.isnan(survey.confidences).all():
            raise InputError(
                "There are no scores of these objects",
                "run ‘Segment’ again, or choose another order",
                code="no-scores",
            )
        # what has no score, such as drawn objects, comes last: argsort puts NaN there
        return np.argsort(survey.confidences, kind="stable")
    if order in ("small", "large"):
        sign = 1 if order == "small" else -1
        return np.argsort(sign * survey.areas, kind="stable")
    if order == "border":
        rows = rows[survey.touches_border]
        return rows[np.argsort(-survey.areas[rows], kind="stable")]
    if order == "split":
        rows = rows[survey.notches >= CLEAR_NOTCH]
        return rows[np.argsort(-survey.notches[rows], kind="stable")]
    if order == "shape":
        strangeness = measure_strangeness(survey)
        rows = rows[strangeness >= UNUSUAL]
        return rows[np.argsort(-strangeness[rows], kind="stable")]
    raise SettingsError(
        f"⟨order⟩ {order!r} is unknown",
        f"choose one of {', '.join(ORDERS)}",
        parameter="order",
        value=order,
    )


def measure_strangeness(survey: ObjectSurvey) -> NDArray[np.float64]:
    """How unlike the other objects a shape is, in spreads of these from their median.

    The larger of two: by how much an object fills its ellipse less than others do, and by how
    much longer or rounder it is. What touches the border is cut, and has no shape of its own.

    Examples
    --------
    >>> from napari_unet.evaluation.object_survey import survey_objects
    >>> labels = np.kron(np.arange(1, 10).reshape(3, 3), np.pad(np.ones((8, 8), int), 2))
    >>> labels[4:9, 4:9] = 0
    >>> int(measure_strangeness(survey_objects(labels)).argmax())
    0
    """
    whole = ~survey.touches_border
    found = np.zeros(len(survey))
    if not whole.any():
        return found
    emptier = -_standardize(survey.fullness, whole)
    longer = np.abs(_standardize(np.log(survey.elongation), whole))
    found[whole] = np.maximum(np.maximum(emptier, longer), 0)[whole]
    return found


def _standardize(values: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance from the median of those that count, in their robust standard deviation."""
    middle = np.median(values[counted])
    spread = USUAL_SPREAD * np.median(np.abs(values[counted] - middle))
    found: NDArray[np.float64] = (values - middle) / max(spread, LEAST_SPREAD)
    return found
