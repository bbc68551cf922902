"""An object split along a drawn line."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import line as draw_line
from skimage.segmentation import watershed

from napari_unet.correction.change import Change, Window
from napari_unet.correction.distance import spread_to_nearest
from napari_unet.correction.excerpt import read_object
from napari_unet.correction.free_label import free_label
from napari_unet.correction.window import Near, box_around
from napari_unet.errors import InputError


def split_by_line(
    labels: Any,
    label: int,
    line: Any,
    *,
    through: int | None = None,
    min_size: int = 10,
    largest: int | None = None,
    near: Near | None = None,
    frame: Sequence[int] = (),
) -> Change:
    """Split an object along a line that is drawn right across it.

    The pixels of the line go to the parts beside it, so that no gap is left. The largest part
    keeps the number.

    Parameters
    ----------
    labels : int array
        Anything with shape, dtype and slicing.
    label : int
        The object's number.
    line : (N, ndim) array-like
        Vertices of a polyline, N >= 2, in the axes of the labels.
    through : int, optional
        Of a volume, the axis of the labels along which the cut goes through all of the object:
        the one that is not seen while drawing. None: the first axis of space.
    min_size : int
        Smaller pieces join the part beside them; at most a quarter of the object.
    largest : int, optional
        The largest label used so far; see `free_label`. New numbers follow it, from the largest
        new part down.
    near, frame
        Where the object lies; see `object_window`. The line is looked at in any case.

    Returns
    -------
    Change

    Raises
    ------
    InputError
        If the line does not part the object, or no label is free.

    Examples
    --------
    >>> labels = np.full((5, 6), 7)
    >>> split_by_line(labels, 7, [(-1, 2), (5, 2)]).new_ids
    [8]
    """
    vertices = _check_line(line, len(labels.shape))
    excerpt = read_object(labels, label, near=box_around(vertices, near), frame=frame)
    mask = excerpt.pixels == label
    axis = _cut_axis(through, mask.ndim, len(frame))
    cut = _draw_cut(vertices[:, len(frame) :], excerpt.spatial_window, axis)
    parts = _part(mask, np.broadcast_to(cut, mask.shape), min_size)
    count = int(parts.max())
    if count < 2:
        raise InputError(
            f"The line does not part object {label}",
            "draw it right across the object, from outside to outside",
            parameter="line",
            code="line-does-not-part",
        )
    known = None if largest is None else max(largest, int(excerpt.pixels.max()))
    first = free_label(labels, known, count=count - 1)
    ids = np.array([0, label, *range(first, first + count - 1)], excerpt.pixels.dtype)
    return excerpt.replace(np.where(mask, ids[parts], excerpt.pixels))


def _check_line(line: Any, ndim: int) -> NDArray[np.float64]:
    vertices = np.asarray(line, float)
    if (
        vertices.ndim != 2
        or len(vertices) < 2
        or vertices.shape[1] != ndim
        or not np.isfinite(vertices).all()
    ):
        raise InputError(
            f"A line of shape {vertices.shape} is none in labels of {ndim} axes",
            "give two or more points with a coordinate for each axis",
            parameter="line",
        )
    return vertices


def _cut_axis(through: int | None, ndim: int, depth: int) -> int | None:
    """The axis of space that the cut goes through; None in a plane."""
    if ndim == 2 and through is None:
        return None
    axis = 0 if through is None else through - depth
    if ndim != 3 or not 0 <= axis < 3:
        raise InputError(
            f"A line cannot split an object of {ndim} axes through axis {through}",
            "give the index of time and other axes that are not space as ⟨frame⟩, and an axis "
            "of a volume as ⟨through⟩",
            parameter="through",
            value=through,
        )
    return axis


def _draw_cut(vertices: NDArray[np.float64], window: Window, axis: int | None) -> NDArray[np.bool_]:
    """The pixels of the polyline in the window's plane, with length 1 along the cut axis."""
    plane = [i for i in range(len(window)) if i != axis]
    points = np.rint(vertices[:, plane]).astype(int) - [window[i].start for i in plane]
    shape = tuple(window[i].stop - window[i].start for i in plane)
    cut = np.zeros(shape, bool)
    for start, stop in itertools.pairwise(points):
        rows, columns = draw_line(*start, *stop)  # type: ignore[no-untyped-call]
        inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
        cut[rows[inside], columns[inside]] = True
    return cut if axis is None else np.expand_dims(cut, axis)


def _part(mask: NDArray[np.bool_], cut: NDArray[np.bool_], min_size: int) -> NDArray[np.int32]:
    """Parts 1, 2, ... of a mask from the largest down; 1 alone where the cut parts nothing."""
    # neighbours across a face: a drawn line is not tight at its corners
    before = ndimage.label(mask)[0]
    crossed = np.isin(before, np.unique(before[mask & cut]))
    pieces = ndimage.label(mask & ~cut & crossed)[0]
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    least = max(min(min_size, int(mask.sum()) // 4), 1)
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] >= least]
    numbers = np.zeros(len(sizes), np.int32)
    numbers[order] = np.arange(1, len(order) + 1)
    markers = numbers[pieces]
    if len(order) < 2:
        return mask.astype(np.int32)
    flat = np.zeros(mask.shape, np.uint8)
    parts: NDArray[np.int32] = watershed(flat, markers, mask=mask)  # type: ignore[no-untyped-call]
    return spread_to_nearest(parts, mask)
