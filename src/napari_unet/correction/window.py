"""The window of an array in which an object lies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.correction.blocks import read_blocks
from napari_unet.correction.change import Window, bounding_box
from napari_unet.correction.free_label import largest_possible
from napari_unet.errors import InputError

Near = Sequence[float | slice]
"""Where to look for an object: a point in it, or its bounding box, in all axes of the array."""

FIRST_REACH_PIXELS = 16


def object_window(
    labels: Any,
    label: int,
    *,
    near: Near | None = None,
    frame: Sequence[int] = (),
    margin: int = 0,
) -> Window:
    """Find the window in which an object lies, with as little reading as possible.

    From a point or a bounding box, the window grows until the object does not touch its
    sides. Pieces of the object that lie apart from there are missed: give a bounding box of
    all pieces, or nothing, where an object may be in pieces.

    Parameters
    ----------
    labels : int array
        Anything with shape, dtype and slicing, such as NumPy or zarr arrays.
    label : int
        The object's number.
    near : sequence of float, or of slice, optional
        A point in the object, or a bounding box, for each axis of the array. Where the object
        is not there, and for None, the whole frame is read block by block.
    frame : sequence of int
        Index of leading axes that are not space, such as time: the object is looked for there
        alone. Empty: in all of the array.
    margin : int
        Pixels around the object, cut at the sides of the array; none in the axes of the frame.

    Returns
    -------
    tuple of slice
        Start and stop for each axis of the array.

    Raises
    ------
    InputError
        If there is no such object.

    Examples
    --------
    >>> labels = np.zeros((100, 100), np.int32)
    >>> labels[40:60, 5:8] = 3
    >>> object_window(labels, 3, near=(50, 6), margin=1)
    (slice(39, 61, None), slice(4, 9, None))
    """
    check_label(labels, label)
    whole = frame_window(labels, frame)
    box = find_object(labels, label, whole, near)
    return tuple(
        part if axis < len(frame) else widen(part, margin, whole[axis].stop)
        for axis, part in enumerate(box)
    )


def find_object(labels: Any, label: int, region: Window, near: Near | None = None) -> Window:
    """The bounding box of an object in a region of the labels; see `object_window`."""
    box = None
    if near is not None:
        start = _first_window(near, region)
        box = None if start is None else _grow_window(labels, label, start, region)
    if box is None:
        box = _scan(labels, label, region)
    if box is None:
        whole = all(part == slice(0, size) for part, size in zip(region, labels.shape, strict=True))
        place = "" if whole else f" at {', '.join(f'{p.start}:{p.stop}' for p in region)}"
        raise InputError(
            f"There is no object {label}{place}",
            "choose an object of these labels",
            parameter="label",
            value=label,
            code="no-object",
        )
    return box


def check_label(labels: Any, label: int, background: Sequence[int] = (0,)) -> None:
    """Check that labels can have an object of this number.

    Raises
    ------
    InputError
        If they cannot, its number stands for the background, or there is no background.
    """
    limit = largest_possible(labels)
    if not background or not all(0 <= value <= limit for value in background):
        raise InputError(
            f"⟨background⟩ {tuple(background)} is none in labels from 0 to {limit}",
            "give the value of pixels without an object, such as 0",
            parameter="background",
            value=tuple(background),
        )
    if not 0 < label <= limit or label in background:
        raise InputError(
            f"⟨label⟩ {label} is no number of an object",
            f"give one from 1 to {limit} that is not background",
            parameter="label",
            value=label,
        )


def frame_window(labels: Any, frame: Sequence[int]) -> Window:
    """The window of all pixels of a frame.

    Raises
    ------
    InputError
        If the array has no such frame, or no axis besides.
    """
    shape = tuple(labels.shape)
    if len(frame) >= len(shape) or any(
        not 0 <= index < size for index, size in zip(frame, shape, strict=False)
    ):
        raise InputError(
            f"Labels of shape {shape} have no frame {tuple(frame)}",
            "give an index of each leading axis that is not space",
            parameter="frame",
            value=tuple(frame),
        )
    whole = [slice(0, size) for size in shape]
    for axis, index in enumerate(frame):
        whole[axis] = slice(int(index), int(index) + 1)
    return tuple(whole)


def widen(part: slice, margin: int, size: int) -> slice:
    """A range with a margin on both sides, as far as the axis reaches.

    >>> widen(slice(1, 4), 2, 10)
    slice(0, 6, None)
    """
    return slice(max(part.start - margin, 0), min(part.stop + margin, size))


def box_of_points(points: NDArray[Any]) -> Window:
    """The smallest window that holds points (N, ndim), rounded to pixels."""
    pixels = np.rint(points).astype(np.int64)
    return tuple(
        slice(int(low), int(high) + 1)
        for low, high in zip(pixels.min(axis=0), pixels.max(axis=0), strict=True)
    )


def box_around(points: NDArray[Any], near: Near | None) -> Window:
    """The smallest window that holds points (N, ndim), and a place where there is one."""
    box = box_of_points(points)
    if near is None:
        return box
    _check_near(near, len(box))
    place = [part if isinstance(part, slice) else slice(_at(part), _at(part) + 1) for part in near]
    return join_windows(box, tuple(place))


def _check_near(near: Near, ndim: int) -> None:
    if len(near) != ndim:
        raise InputError(
            f"⟨near⟩ has {len(near)} numbers, the labels have {ndim} axes",
            "give a coordinate or a slice for each axis",
            parameter="near",
            value=tuple(near),
        )


def _at(coordinate: float) -> int:
    if not math.isfinite(coordinate):
        raise InputError(
            f"⟨near⟩ holds {coordinate}, which is no coordinate",
            "give a pixel, or no place",
            parameter="near",
            value=coordinate,
        )
    return round(coordinate)


def _first_window(near: Near, whole: Window) -> Window | None:
    _check_near(near, len(whole))
    parts = []
    for place, outer in zip(near, whole, strict=True):
        if isinstance(place, slice):
            # a pixel more on both sides: the object touches those of its own bounding box
            start, stop = place.start - 1, place.stop + 1
        else:
            at = _at(place)
            start, stop = at - FIRST_REACH_PIXELS, at + FIRST_REACH_PIXELS + 1
        part = slice(max(start, outer.start), min(stop, outer.stop))
        if part.start >= part.stop:
            return None
        parts.append(part)
    return tuple(parts)


def _grow_window(labels: Any, label: int, window: Window, whole: Window) -> Window | None:
    """The bounding box of an object, from a window that holds a part of it."""
    while True:
        box = bounding_box(np.asarray(labels[window]) == label)
        if box is None:
            return None
        grown = []
        for part, inner, outer in zip(window, box, whole, strict=True):
            size = part.stop - part.start
            start, stop = part.start, part.stop
            if inner.start == 0:
                start = max(start - size, outer.start)
            if inner.stop == size:
                stop = min(stop + size, outer.stop)
            grown.append(slice(start, stop))
        if tuple(grown) == window:
            return _shift(box, window)
        window = tuple(grown)


def _scan(labels: Any, label: int, whole: Window) -> Window | None:
    found: Window | None = None
    for window, pixels in read_blocks(labels, whole):
        box = bounding_box(pixels == label)
        if box is not None:
            box = _shift(box, window)
            found = box if found is None else join_windows(found, box)
    return found


def join_windows(first: Window, second: Window) -> Window:
    """The smallest window that holds two."""
    return tuple(
        slice(min(a.start, b.start), max(a.stop, b.stop))
        for a, b in zip(first, second, strict=True)
    )


def _shift(inner: Window, outer: Window) -> Window:
    return tuple(
        slice(part.start + origin.start, part.stop + origin.start)
        for part, origin in zip(inner, outer, strict=True)
    )
