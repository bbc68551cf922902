"""What is measured on whole objects: outlines, hulls, surfaces, medians, background."""

from __future__ import annotations

import math
from collections.abc import Collection, Generator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import InputError
from napari_unet.measurement import _outlines, _volumes
from napari_unet.measurement._kernels import find_medians
from napari_unet.measurement.inputs import Inputs
from napari_unet.measurement.sums import Totals, as_volume, native, number_objects
from napari_unet.measurement.surface import DIRECTIONS, weigh_directions
from napari_unet.measurement.windows import Box, group_by_block, widen, window_of
from napari_unet.progress import Progress

SAME_SIZE = 1e-3  # relative difference up to which pixels count as square
BACKGROUND_MARGINS = {"Z": 2, "Y": 10, "X": 10}
"""Pixels beyond its bounding box in which the background of an object is looked for."""
HULL_TOLERANCE = 1e-10  # as in scikit-image's convex_hull_image

OUTLINES = ("perimeter", "circularity", "feret_diameter_max", "feret_diameter_min", "solidity")
MEDIANS = ("intensity_median", "intensity_background", "intensity_integrated_corrected")
WHOLE = (*OUTLINES, "surface_area", *MEDIANS)
"""The properties that are measured here."""

HALF_SIDES = 0.5 * np.concatenate([np.eye(3), -np.eye(3)])
CORNERS = np.array([[z, y, x] for z in (0, 1) for y in (0, 1) for x in (0, 1)]) - 0.5

Found = dict[str, NDArray[np.float64]]


def measure_whole(
    inputs: Inputs,
    frame: int | None,
    totals: Totals,
    properties: Collection[str],
    block: tuple[int, ...],
) -> Generator[Progress, None, Found]:
    """Measure objects, a window after the other.

    Parameters
    ----------
    inputs : Inputs
        What is measured.
    frame : int or None
        Time point.
    totals : Totals
        Of this time point.
    properties : collection of str
        Of `WHOLE`.
    block : tuple of int
        Objects that begin in the same block of this shape are read together.

    Returns
    -------
    dict of str to array
        (n,) per property, (n, C) of intensities.
    """
    ndim, n = len(inputs.spatial), len(totals.labels)
    wanted = set(properties)
    spacing = inputs.pixel_size or (1.0,) * ndim
    shape = [inputs.labels.sizes[axis] for axis in inputs.spatial]
    margins = [BACKGROUND_MARGINS[axis] for axis in inputs.spatial]
    image = inputs.image if wanted & set(MEDIANS) else None
    surrounded = bool(wanted & {"intensity_background", "intensity_integrated_corrected"})
    channels = 0 if image is None else image.channels
    found: Found = {name: np.full(n, np.nan) for name in (*OUTLINES, "surface_area")}
    medians, levels = np.full((n, channels), np.nan), np.full((n, channels), np.nan)
    low, high = totals.low[:, 3 - ndim :], totals.high[:, 3 - ndim :]
    groups = list(group_by_block(low, high, block))
    done = 0
    for around, rows in groups:
        yield Progress(done, n, "measuring objects")
        wide = widen(around, margins, shape) if surrounded else around
        window = window_of(wide, inputs.spatial, frame)
        values, index = number_objects(inputs.read_labels(window))
        group = _Group(index, values, rows, totals, wide)
        _measure_outlines(group, found, wanted, spacing)
        if image is not None:
            pixels = image.read(window)
            near = group.widened(margins, shape) if surrounded else None
            for channel in range(channels):
                part = as_volume(native(pixels[channel]))
                if "intensity_median" in wanted:
                    medians[rows, channel] = group.medians(part, group.low, group.high, inside=True)
                if near is not None:
                    levels[rows, channel] = group.medians(part, *near, inside=False)
        done += len(rows)
    if image is not None:
        found |= {"intensity_median": medians, "intensity_background": levels}
    return {name: each for name, each in found.items() if name in wanted or name in MEDIANS}


class _Group:
    """Objects that lie in one window wholly.

    Parameters
    ----------
    index : (Z, Y, X) array
        Their pixels, numbered; others may be there too.
    values : array
        The labels of these numbers.
    rows : array
        The objects, by their rows in the totals.
    window : Box
        Where the window lies.
    """

    def __init__(
        self,
        index: NDArray[np.int32],
        values: NDArray[Any],
        rows: NDArray[np.int64],
        totals: Totals,
        window: Box,
    ) -> None:
        self.index = index
        labels = totals.labels[rows].astype(values.dtype)
        self.numbers = np.searchsorted(values, labels) + 1
        if not np.array_equal(values[np.minimum(self.numbers, len(values)) - 1], labels):
            raise InputError(
                "the labels have changed while they were measured",
                "measure them again, when nothing changes them",
                parameter="labels",
                code="labels-changed",
            )
        self.corner = np.array([0] * (3 - len(window)) + [start for start, _ in window])
        self.rows, self.totals = rows, totals
        self.low = totals.low[rows] - self.corner
        self.high = totals.high[rows] - self.corner

    def widened(
        self, margins: Sequence[int], shape: Sequence[int]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The boxes with a margin, in the window, as far as the array goes."""
        margin = np.array([0] * (3 - len(margins)) + list(margins))
        whole = np.array([1] * (3 - len(shape)) + list(shape))
        first = np.maximum(self.low + self.corner - margin, 0)
        last = np.minimum(self.high + self.corner + margin, whole)
        return first - self.corner, last - self.corner

    def medians(
        self,
        pixels: NDArray[Any],
        low: NDArray[np.int64],
        high: NDArray[np.int64],
        *,
        inside: bool,
    ) -> NDArray[np.float64]:
        """Medians of one channel, of the objects or of the background in the boxes."""
        out = np.empty(len(self.rows))
        find_medians(self.index, self.numbers, low, high, pixels, inside, out)
        return out


def _measure_outlines(
    group: _Group, found: Found, wanted: Collection[str], spacing: Sequence[float]
) -> None:
    """Fill in what the shapes of a group give."""
    if len(spacing) == 3:
        _measure_volumes(group, found, wanted, spacing)
        return
    plane, rows = group.index[0], group.rows
    boxes = group.low[:, 1:], group.high[:, 1:]
    out = np.empty(len(rows))
    count = group.totals.count[rows]
    square = max(spacing) <= min(spacing) * (1 + SAME_SIZE)
    if "perimeter" in wanted and square:
        _outlines.find_perimeters(plane, group.numbers, *boxes, out)
        found["perimeter"][rows] = out * float(np.mean(spacing))
    if "circularity" in wanted and square:
        _outlines.find_outlines(plane, group.numbers, *boxes, out)
        found["circularity"][rows] = np.minimum(1.0, 4 * math.pi * count / out**2)
    if "solidity" in wanted:
        _outlines.find_convex_areas(plane, group.numbers, *boxes, out)
        found["solidity"][rows] = count / out
    if {"feret_diameter_max", "feret_diameter_min"} & set(wanted):
        both = np.empty((len(rows), 2))
        _outlines.find_calipers(plane, group.numbers, *boxes, spacing[0], spacing[1], both)
        found["feret_diameter_max"][rows], found["feret_diameter_min"][rows] = both.T


def _measure_volumes(
    group: _Group, found: Found, wanted: Collection[str], spacing: Sequence[float]
) -> None:
    rows = group.rows
    if "surface_area" in wanted:
        ends = np.zeros((len(rows), len(DIRECTIONS)), np.int64)
        _volumes.count_ends(group.index, group.numbers, group.low, group.high, DIRECTIONS, ends)
        found["surface_area"][rows] = ends @ weigh_directions(tuple(spacing))
    if not {"solidity", "feret_diameter_max"} & set(wanted):
        return
    count = group.totals.count[rows]
    for i, row in enumerate(rows):
        low, high = group.low[i], group.high[i]
        ends = _drop_inner(_volumes.find_row_ends(group.index, group.numbers[i], low, high))
        if "feret_diameter_max" in wanted:
            found["feret_diameter_max"][row] = _find_longest(ends, spacing)
        if "solidity" in wanted:
            found["solidity"][row] = count[i] / _count_hull(group, i, ends)


def _drop_inner(ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """The middles of voxels at the corners of the hull: those of its voxels are at theirs."""
    from scipy.spatial import ConvexHull, QhullError

    if len(ends) < 5:
        return ends
    try:
        corners: NDArray[np.int64] = ends[ConvexHull(ends).vertices]
    except QhullError:  # they lie in a plane or a line
        return ends
    return corners


def _find_longest(ends: NDArray[np.int64], spacing: Sequence[float]) -> float:
    """The largest distance of two corners of voxels."""
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist

    corners = np.unique((ends[:, None] + CORNERS).reshape(-1, 3), axis=0)
    vertices = corners[ConvexHull(corners).vertices]
    return float(pdist(vertices * np.asarray(spacing)).max())


def _count_hull(group: _Group, i: int, ends: NDArray[np.int64]) -> float:
    """Voxels in the hull; of a flat object, in the hull in its plane or row."""
    from scipy.spatial import ConvexHull

    low, high = group.low[i], group.high[i]
    lengths = high - low
    flat = np.flatnonzero(lengths == 1)
    if len(flat) > 1:
        return float(lengths.prod())
    if len(flat) == 1:
        part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        plane = np.ascontiguousarray(group.index[part].squeeze(int(flat[0])))
        box = np.zeros((1, 2), np.int64), np.array([plane.shape])
        out = np.empty(1)
        _outlines.find_convex_areas(plane, group.numbers[i : i + 1], *box, out)
        return float(out[0])
    points = np.unique((ends[:, None] + HALF_SIDES).reshape(-1, 3), axis=0)
    equations = np.ascontiguousarray(ConvexHull(points).equations)
    depth, height, width = lengths
    return float(_volumes.count_inside(equations, depth, height, width, HULL_TOLERANCE))
