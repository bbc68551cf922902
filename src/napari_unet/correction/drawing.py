"""Pixels drawn into an object: a mask, or the stroke of a round brush."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.correction.change import Change
from napari_unet.correction.distance import measure_depth
from napari_unet.correction.excerpt import ONLY_ZERO, Excerpt, read_excerpt
from napari_unet.correction.window import check_label, frame_window
from napari_unet.errors import InputError


def draw_mask(
    labels: Any,
    label: int,
    mask: NDArray[np.bool_],
    corner: Sequence[int],
    *,
    overwrite: bool = False,
    frame: Sequence[int] = (),
    background: Sequence[int] = ONLY_ZERO,
) -> Change:
    """Give the pixels of a mask to an object, a new one or one that exists.

    Parameters
    ----------
    labels : int array
        Anything with shape, dtype and slicing.
    label : int
        The object's number; `free_label` knows one for a new object.
    mask : ([Z,] Y, X) bool array
        What is drawn.
    corner : sequence of int
        Where its first pixel lies, for each axis of space. What lies outside of the labels is
        left out.
    overwrite : bool
        Whether pixels of other objects are taken. False: background alone.
    frame : sequence of int
        Index of leading axes that are not space; see `object_window`.
    background : sequence of int
        The values that stand for no object.

    Returns
    -------
    Change

    Raises
    ------
    InputError
        If the label, the mask or its place does not fit the labels.

    Examples
    --------
    >>> labels = np.array([[0, 0, 2]])
    >>> draw_mask(labels, 3, np.ones((1, 3), bool), (0, 0)).new.tolist()
    [[3, 3]]
    """
    check_label(labels, label, background)
    excerpt, drawn = _read_under(labels, mask, corner, frame, background)
    if not overwrite:
        drawn = drawn & excerpt.free
    return excerpt.replace(np.where(drawn, excerpt.pixels.dtype.type(label), excerpt.pixels))


def erase_mask(
    labels: Any,
    mask: NDArray[np.bool_],
    corner: Sequence[int],
    *,
    label: int | None = None,
    frame: Sequence[int] = (),
    background: Sequence[int] = ONLY_ZERO,
) -> Change:
    """Turn the pixels of a mask into background.

    Parameters
    ----------
    labels : int array
        Anything with shape, dtype and slicing.
    mask, corner, frame
        What is erased; see `draw_mask`.
    label : int, optional
        The only object that is erased. None: all.
    background : sequence of int
        The values that stand for no object; the first is written.

    Returns
    -------
    Change

    Raises
    ------
    InputError
        If the label, the mask or its place does not fit the labels.

    Examples
    --------
    >>> labels = np.array([[3, 3, 2]])
    >>> erase_mask(labels, np.ones((1, 2), bool), (0, 1), label=3).new.tolist()
    [[0]]
    """
    if label is not None:
        check_label(labels, label, background)
    excerpt, erased = _read_under(labels, mask, corner, frame, background)
    erased = erased & ~excerpt.free
    if label is not None:
        erased = erased & (excerpt.pixels == label)
    empty = excerpt.pixels.dtype.type(background[0])
    return excerpt.replace(np.where(erased, empty, excerpt.pixels))


def _read_under(
    labels: Any,
    mask: NDArray[np.bool_],
    corner: Sequence[int],
    frame: Sequence[int],
    background: Sequence[int],
) -> tuple[Excerpt, NDArray[np.bool_]]:
    """The pixels under a mask, and the part of the mask that lies in the labels."""
    whole = frame_window(labels, frame)
    depth = len(frame)
    if len(corner) != mask.ndim or mask.ndim != len(whole) - depth:
        raise InputError(
            f"A mask of shape {mask.shape} at {tuple(corner)} does not fit "
            f"{len(whole) - depth} axes of space",
            "give a mask and a corner with the axes of space",
            parameter="mask",
        )
    window, part = list(whole), []
    for axis, (start, size) in enumerate(zip(corner, mask.shape, strict=True), depth):
        low = min(max(start, 0), whole[axis].stop)
        high = max(min(start + size, whole[axis].stop), low)
        window[axis] = slice(low, high)
        part.append(slice(low - start, high - start))
    excerpt = read_excerpt(labels, tuple(window), frame, background)
    return excerpt, np.asarray(mask, bool)[tuple(part)]


def draw_stroke(
    labels: Any,
    label: int,
    points: Any,
    radius: float,
    *,
    overwrite: bool = False,
    frame: Sequence[int] = (),
    background: Sequence[int] = ONLY_ZERO,
) -> Change:
    """Draw with a round brush, a disk in a plane and a ball in a volume.

    Parameters
    ----------
    labels : int array
        Anything with shape, dtype and slicing.
    label : int
        The object's number; `free_label` knows one for a new object.
    points : (N, ndim) array-like
        The way of the brush as a polyline, in the axes of space. One point: a dot.
    radius : float
        Of the brush, in pixels; 0: one pixel wide.
    overwrite, frame, background
        See `draw_mask`. To draw a disk in a plane of a volume, give its index as the frame.

    Returns
    -------
    Change

    Raises
    ------
    InputError
        If the label, the points or the radius does not fit the labels.

    Examples
    --------
    >>> draw_stroke(np.zeros((3, 4), int), 1, [(1, 1), (1, 2)], 0).new.tolist()
    [[1, 1]]
    """
    corner, mask = draw_brush(points, radius)
    return draw_mask(
        labels, label, mask, corner, overwrite=overwrite, frame=frame, background=background
    )


def draw_brush(points: Any, radius: float) -> tuple[tuple[int, ...], NDArray[np.bool_]]:
    """The mask of a stroke, and where its first pixel lies.

    Parameters
    ----------
    points : (N, ndim) array-like
        The way of the brush as a polyline.
    radius : float
        In pixels, 0 or more.

    Returns
    -------
    corner : tuple of int
    mask : bool array

    Raises
    ------
    InputError
        If there are no points, or the radius is negative.

    Examples
    --------
    >>> corner, mask = draw_brush([(5, 5)], 1)
    >>> corner, mask.astype(int).tolist()
    ((4, 4), [[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    """
    way = np.atleast_2d(np.asarray(points, float))
    if way.ndim != 2 or way.size == 0 or not np.isfinite(way).all():
        raise InputError(
            f"A stroke of shape {way.shape} is no line of points",
            "give one point or more, with a coordinate for each axis of space",
            parameter="points",
        )
    if not (math.isfinite(radius) and radius >= 0):
        raise InputError(
            f"⟨radius⟩ {radius} is no radius of a brush",
            "give a number of pixels, 0 or more",
            parameter="radius",
            value=radius,
        )
    pieces = [way[:1]]
    for start, stop in itertools.pairwise(way):
        count = math.ceil(2 * float(np.abs(stop - start).max()))  # half a pixel at most
        pieces.append(np.linspace(start, stop, count + 1)[1:])
    pixels = np.rint(np.concatenate(pieces)).astype(np.int64)
    reach = math.floor(radius)
    corner = pixels.min(axis=0) - reach
    line = np.zeros(pixels.max(axis=0) + reach + 1 - corner, bool)
    line[tuple((pixels - corner).T)] = True
    mask = line | (measure_depth(~line) <= radius) if radius else line
    return tuple(int(n) for n in corner), mask
