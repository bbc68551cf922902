"""All objects of labels at a glance: what can be told of each from a few passes over the pixels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import InputError
from napari_unet.evaluation._object_kernels import join_peaks, sort_descending, sum_objects
from napari_unet.renumbering import renumber

MOST_PIXELS = 1 << 28  # of a frame that is looked at as a whole
LEAST_DEPTH_PIXELS = 3.0  # distance to the outline of a peak that can be an object of its own
LEVELS_PER_PIXEL = 16  # of the distance to the outline, by which pixels are sorted
VARIANCE_OF_PIXEL = 1 / 12  # of the places within a pixel, along an axis
PRODUCTS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))  # of axes ZYX, as they are summed


@dataclass(frozen=True, eq=False)
class ObjectSurvey:
    """A row per object; all arrays have one entry, or one row, for each.

    Attributes
    ----------
    frames : (N,) int array
        Number of the frame, such as the time point.
    labels : (N,) int array
        The object's number, ascending within a frame.
    areas : (N,) int array
        Its pixels.
    starts, stops : (N, ndim) int array
        Its bounding box, in axes of space.
    points : (N, ndim) int array
        The pixel in it that is farthest from its outline.
    touches_border : (N,) bool array
        Whether a pixel lies at the edge of the image, along an axis longer than 1.
    fullness : (N,) float array
        Its pixels over those of the ellipse with the same second moments: 1 of ellipses, less of
        what is bent, branched or in pieces.
    elongation : (N,) float array
        The longest axis of that ellipse over the shortest, 1 or more.
    notches : (N,) float array
        Of objects with two maxima of the distance to their outline, how deep the pass between
        them is, relative to the lower one: 0 of none, towards 1 of objects that hardly touch.
    second_points : (N, ndim) int array
        The other maximum; of objects without one that of ``points``.
    confidences : (N,) float array
        Mean of the scores inside; NaN where there are none.
    """

    frames: NDArray[np.int64]
    labels: NDArray[np.int64]
    areas: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    points: NDArray[np.int64]
    touches_border: NDArray[np.bool_]
    fullness: NDArray[np.float64]
    elongation: NDArray[np.float64]
    notches: NDArray[np.float64]
    second_points: NDArray[np.int64]
    confidences: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Any) -> ObjectSurvey:
        """Some rows: a mask, or numbers."""
        found = {each.name: getattr(self, each.name)[rows] for each in fields(self)}
        return replace(self, **found)


def survey_objects(
    labels: NDArray[Any],
    *,
    scores: NDArray[Any] | None = None,
    frame: int = 0,
    background: Sequence[int] = (0,),
) -> ObjectSurvey:
    """Look at all objects of a plane or volume.

    Parameters
    ----------
    labels : ([Z,] Y, X) int array
        0 is background, each other value an object.
    scores : ([Z,] Y, X) float array, optional
        Of the objects, such as the foreground probability.
    frame : int
        Its number, for the table.
    background : sequence of int
        Values that stand for no object.

    Returns
    -------
    ObjectSurvey
        Without objects, without rows.

    Raises
    ------
    InputError
        If labels are negative or no integers, or the sizes do not fit.

    Examples
    --------
    >>> labels = np.zeros((20, 40), np.int32)
    >>> y, x = np.mgrid[:20, :40]
    >>> labels[((y - 10) ** 2 + (x - 10) ** 2 < 81) | ((y - 10) ** 2 + (x - 25) ** 2 < 64)] = 7
    >>> found = survey_objects(labels)
    >>> found.labels.tolist(), found.touches_border.tolist(), found.notches.round(1).tolist()
    ([7], [False], [0.5])
    >>> found.points.tolist(), found.second_points.tolist()
    ([[10, 10]], [[10, 25]])
    """
    _check(labels, scores)
    ids, values = _number(labels, background)
    count = len(values)
    if not count:
        return _empty(labels.ndim)
    volume = ids.reshape((1,) * (3 - ids.ndim) + ids.shape)
    ranks = np.zeros((0, 0, 0), np.float32)
    if scores is not None:
        ranks = np.ascontiguousarray(scores, np.float32).reshape(volume.shape)
    areas, lows, highs, _, sums, products, totals = (
        each[1:] for each in sum_objects(volume, ranks, count)
    )
    space = slice(3 - ids.ndim, 3)
    starts, stops = lows[:, space], highs[:, space] + 1
    sizes = np.array(ids.shape)
    touches = (((starts == 0) | (stops == sizes)) & (sizes > 1)).any(axis=1)
    fullness, elongation = _fit_ellipses(areas, sums, products, sizes)
    points, others, notches = _find_peaks(ids, count)
    confidences = np.full(count, math.nan) if scores is None else totals / areas
    return ObjectSurvey(
        frames=np.full(count, frame, np.int64),
        labels=values,
        areas=areas,
        starts=starts,
        stops=stops,
        points=points,
        touches_border=touches,
        fullness=fullness,
        elongation=elongation,
        notches=notches,
        second_points=others,
        confidences=confidences,
    )


def join_surveys(surveys: Sequence[ObjectSurvey]) -> ObjectSurvey:
    """The rows of several frames in one table.

    >>> one, two = (survey_objects(np.ones((3, 3), int), frame=i) for i in range(2))
    >>> join_surveys([one, two]).frames.tolist()
    [0, 1]
    """
    names = [each.name for each in fields(ObjectSurvey)]
    return ObjectSurvey(
        **{name: np.concatenate([getattr(each, name) for each in surveys]) for name in names}
    )


def _check(labels: NDArray[Any], scores: NDArray[Any] | None) -> None:
    if labels.dtype.kind not in "ui" or labels.ndim not in (2, 3):
        raise InputError(
            f"Labels of type {labels.dtype} with {labels.ndim} axes are no objects of a plane or "
            "volume",
            "give whole numbers, a time point at a time",
            parameter="labels",
            value=labels.shape,
        )
    if labels.size and labels.min() < 0:
        raise InputError(
            f"Labels must not be negative, but there is {labels.min()}",
            "say that negative is unknown, or correct the labels",
            parameter="labels",
            code="labels-negative",
        )
    if scores is not None and scores.shape != labels.shape:
        raise InputError(
            f"Scores have the shape {scores.shape}, the labels {labels.shape}",
            "give a score for each pixel",
            parameter="scores",
            value=scores.shape,
        )


def _number(
    labels: NDArray[Any], background: Sequence[int]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Objects numbered from 1, and their labels."""
    values, index = renumber(labels)
    kept = ~np.isin(values, [0, *background])
    table = np.zeros(len(values), np.uint32)
    table[kept] = np.arange(1, np.count_nonzero(kept) + 1)
    return np.ascontiguousarray(table[index]), values[kept].astype(np.int64)


def _empty(ndim: int) -> ObjectSurvey:
    whole, real = np.zeros(0, np.int64), np.zeros(0)
    places = np.zeros((0, ndim), np.int64)
    return ObjectSurvey(
        frames=whole,
        labels=whole,
        areas=whole,
        starts=places,
        stops=places,
        points=places,
        touches_border=np.zeros(0, bool),
        fullness=real,
        elongation=real,
        notches=real,
        second_points=places,
        confidences=real,
    )


def _fit_ellipses(
    areas: NDArray[np.int64],
    sums: NDArray[np.float64],
    products: NDArray[np.float64],
    sizes: NDArray[np.intp],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fullness and elongation, from second moments along the axes longer than 1."""
    axes = [3 - len(sizes) + i for i, size in enumerate(sizes) if size > 1]
    ndim, count = len(axes), len(areas)
    if not ndim:
        return np.ones(count), np.ones(count)
    means = sums / areas[:, None]
    spread = np.empty((count, ndim, ndim))
    for i, j in itertools.combinations_with_replacement(range(ndim), 2):
        a, b = axes[i], axes[j]
        product = products[:, PRODUCTS.index((a, b))] / areas
        moment = product - means[:, a] * means[:, b]
        spread[:, i, j] = spread[:, j, i] = moment + (i == j) * VARIANCE_OF_PIXEL
    variances = np.linalg.eigvalsh(spread).clip(VARIANCE_OF_PIXEL / 2)
    # a ball of radius r in n dimensions has the variance r² / (n + 2) along each axis
    ball = math.pi ** (ndim / 2) / math.gamma(ndim / 2 + 1)
    volumes = ball * np.sqrt((variances * (ndim + 2)).prod(axis=1))
    return np.minimum(areas / volumes, 1.0), np.sqrt(variances[:, -1] / variances[:, 0])


def _find_peaks(
    ids: NDArray[np.uint32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The innermost pixel of each object, the other peak, and how deep the pass between is."""
    padded = np.pad(
        ids, 1
    )  # so that every pixel has neighbours; what fills the image has an outline
    depth = np.asarray(edt.edt(padded, black_border=False, parallel=0), np.float32)
    flat = depth.ravel()
    levels = int(flat.max() * LEVELS_PER_PIXEL) + 1
    order = sort_descending(padded.ravel(), flat, levels, LEVELS_PER_PIXEL)
    strides = [math.prod(padded.shape[axis + 1 :]) for axis in range(padded.ndim)]
    around = itertools.product((-1, 0, 1), repeat=padded.ndim)
    # in a volume not over corners, nor edges: a third of the time, and depth is smooth
    most = 2 if padded.shape[0] == 3 else 1
    steps = [
        sum(a * b for a, b in zip(way, strides, strict=True))
        for way in around
        if 0 < sum(map(abs, way)) <= most
    ]
    highest, second, prominence = join_peaks(
        padded.ravel(), flat, order, np.array(steps, np.int64), count
    )
    highest, second, prominence = highest[1:], second[1:], prominence[1:]
    clear = (second > 0) & (flat[second] >= LEAST_DEPTH_PIXELS)
    second = np.where(clear, second, highest)
    notches = np.where(clear, prominence / np.maximum(flat[second], 1e-6), 0.0)
    places = [
        np.stack(np.unravel_index(each, padded.shape), axis=1).astype(np.int64) - 1
        for each in (highest, second)
    ]
    return places[0], places[1], notches.astype(np.float64)
