"""A piece of an object that lies apart from the rest, made an object of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from napari_unet.correction.change import Change
from napari_unet.correction.excerpt import read_object
from napari_unet.correction.free_label import free_label
from napari_unet.correction.window import Near, box_around, object_window
from napari_unet.errors import InputError


def detach_component(
    labels: Any,
    point: Sequence[float],
    *,
    largest: int | None = None,
    near: Near | None = None,
    frame: Sequence[int] = (),
) -> Change:
    """Give a piece of an object a free number.

    Pixels that touch at an edge or a corner are one piece.

    Parameters
    ----------
    labels : int array
        Anything with shape, dtype and slicing.
    point : sequence of float
        A place in the piece, in the axes of the labels.
    largest : int, optional
        The largest label used so far; see `free_label`.
    near, frame
        Where the object lies; see `object_window`. The piece is looked at in any case.

    Returns
    -------
    Change

    Raises
    ------
    InputError
        If there is no object at the point, it is in one piece, or no label is free.

    Examples
    --------
    >>> detach_component(np.array([[3, 3, 0, 3]]), (0, 3)).new.tolist()
    [[4]]
    """
    place = tuple(round(n) for n in point)
    shape = tuple(labels.shape)
    if len(place) != len(shape) or not all(0 <= n < m for n, m in zip(place, shape, strict=True)):
        raise InputError(
            f"The point {place} is not in labels of shape {shape}",
            "give a coordinate for each axis",
            parameter="point",
            value=place,
        )
    label = int(np.asarray(labels[tuple(slice(n, n + 1) for n in place)]).ravel()[0])
    if label <= 0:
        raise InputError(
            f"There is no object at {place}",
            "click into the piece",
            parameter="point",
            value=place,
            code="no-object",
        )
    if place[: len(frame)] != tuple(frame):
        raise InputError(
            f"The point {place} is not in frame {tuple(frame)}",
            "give a point of the frame",
            parameter="point",
            value=place,
        )
    around = place if near is None else box_around(np.array([place]), near)
    excerpt = read_object(labels, label, near=around, frame=frame)
    mask = excerpt.pixels == label
    pieces = ndimage.label(mask, np.ones((3,) * mask.ndim, bool))[0]
    inner = tuple(n - part.start for n, part in zip(place, excerpt.window, strict=True))
    piece = pieces == pieces[inner[len(frame) :]]
    whole = piece.sum() == mask.sum()
    if whole and near is None:  # there may be pieces far away
        whole = excerpt.window == object_window(labels, label, frame=frame)
    if whole:
        raise InputError(
            f"Object {label} is in one piece",
            "split it instead",
            parameter="point",
            value=label,
            code="one-piece",
        )
    known = None if largest is None else max(largest, int(excerpt.pixels.max()))
    new = excerpt.pixels.copy()
    new[piece] = free_label(labels, known)
    return excerpt.replace(new)
