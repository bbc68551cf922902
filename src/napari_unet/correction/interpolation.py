"""An object between two planes in which it was painted."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.correction.change import Change, Window
from napari_unet.correction.distance import measure_depth
from napari_unet.correction.excerpt import ONLY_ZERO, read_excerpt
from napari_unet.correction.window import (
    check_label,
    find_object,
    frame_window,
    join_windows,
    widen,
)
from napari_unet.errors import InputError


def interpolate_planes(
    labels: Any,
    label: int,
    first: int,
    last: int,
    *,
    axis: int | None = None,
    frame: Sequence[int] = (),
    background: Sequence[int] = ONLY_ZERO,
) -> Change:
    """Fill in an object between two planes, or time points, that have it.

    Its signed distance and its centre are interpolated linearly, so it moves while it changes
    its shape. Planes between that have it already stay as they are, and are interpolated from.

    Parameters
    ----------
    labels : int array
        Anything with shape, dtype and slicing.
    label : int
        The object's number.
    first, last : int
        The two planes: indices along the axis.
    axis : int, optional
        Across the planes, an axis of the labels such as Z or T. None: the first one that is
        not in the frame.
    frame : sequence of int
        Index of leading axes that stay as they are; see `object_window`.
    background : sequence of int
        The values that stand for no object; other objects are not overwritten.

    Returns
    -------
    Change

    Raises
    ------
    InputError
        If a plane does not exist or does not have the object.

    References
    ----------
    Raya and Udupa (1990), Shape-based interpolation of multidimensional objects.

    Examples
    --------
    >>> labels = np.zeros((3, 1, 5), int)
    >>> labels[0, 0, 0:3] = labels[2, 0, 2:5] = 6
    >>> interpolate_planes(labels, 6, 0, 2).new.tolist()
    [[[6, 6, 6]]]
    """
    check_label(labels, label, background)
    depth = len(frame)
    whole = frame_window(labels, frame)
    axis = depth if axis is None else axis
    _check_planes(first, last, axis, whole, depth)
    first, last = sorted((int(first), int(last)))
    window = join_windows(
        _find_in_plane(labels, label, axis, first, whole),
        _find_in_plane(labels, label, axis, last, whole),
    )
    window = tuple(
        part if i == axis or i < depth else widen(part, 1, whole[i].stop)
        for i, part in enumerate(window)
    )
    excerpt = read_excerpt(labels, window, frame, background)
    planes = np.moveaxis(excerpt.pixels == label, axis - depth, 0)
    filled = planes.copy()
    painted = np.flatnonzero(planes.any(axis=tuple(range(1, planes.ndim))))
    for start, stop in itertools.pairwise(painted):
        if stop > start + 1:
            filled[start + 1 : stop] = _morph(planes[start], planes[stop], int(stop - start))
    return excerpt.reshape(label, np.moveaxis(filled, 0, axis - depth))


def _check_planes(first: int, last: int, axis: int, whole: Window, depth: int) -> None:
    if not depth <= axis < len(whole) or len(whole) - depth < 2:
        raise InputError(
            f"The labels have no planes across axis {axis}",
            "give an axis that is not in ⟨frame⟩",
            parameter="axis",
            value=axis,
        )
    size = whole[axis].stop
    if first == last or not (0 <= first < size and 0 <= last < size):
        raise InputError(
            f"There is nothing between planes {first} and {last} of {size}",
            "give two planes of the labels",
            parameter="last",
            value=last,
        )


def _find_in_plane(labels: Any, label: int, axis: int, index: int, whole: Window) -> Window:
    """The window of the object in a plane, by the axes of the labels."""
    region = list(whole)
    region[axis] = slice(index, index + 1)
    return find_object(labels, label, tuple(region))


def _morph(start: NDArray[np.bool_], stop: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """The masks between two, without them."""
    size = start.shape
    # an object at the side of the image ends there, else it would spread as it moves off
    start, stop = np.pad(start, 1), np.pad(stop, 1)
    depths = [measure_depth(mask) - measure_depth(~mask) for mask in (start, stop)]
    centers = [np.array(ndimage.center_of_mass(mask)) for mask in (start, stop)]
    way = centers[1] - centers[0]
    found = []
    for step in range(1, steps):
        part = step / steps
        moved = [
            ndimage.shift(depths[0], way * part, order=1, mode="nearest"),
            ndimage.shift(depths[1], way * (part - 1), order=1, mode="nearest"),
        ]
        found.append((1 - part) * moved[0] + part * moved[1] > 0)
    inner = tuple(slice(1, n + 1) for n in size)
    return np.stack(found)[(slice(None), *inner)]
