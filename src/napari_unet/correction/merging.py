"""Two objects made one, and an object deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_unet.correction.change import Change
from napari_unet.correction.excerpt import ONLY_ZERO, read_object
from napari_unet.correction.window import Near, check_label
from napari_unet.errors import InputError


def merge_objects(
    labels: Any,
    kept: int,
    absorbed: int,
    *,
    near: Near | None = None,
    frame: Sequence[int] = (),
) -> Change:
    """Give all pixels of an object the number of another one.

    They need not touch.

    Parameters
    ----------
    labels : int array
        Anything with shape, dtype and slicing.
    kept, absorbed : int
        The number that stays, and the one that goes.
    near, frame
        Where the absorbed object lies; see `object_window`. Of an object in pieces, a point
        finds one: leave it out, or give a bounding box.

    Returns
    -------
    Change

    Raises
    ------
    InputError
        If there is no object to absorb, or both are the same.

    Examples
    --------
    >>> merge_objects(np.array([[1, 1, 2, 0]]), 1, 2).new.tolist()
    [[1]]
    """
    check_label(labels, kept)
    if kept == absorbed:
        raise InputError(
            f"Object {kept} cannot be merged with itself",
            "choose two objects",
            parameter="absorbed",
            value=absorbed,
        )
    excerpt = read_object(labels, absorbed, near=near, frame=frame)
    new = excerpt.pixels.copy()
    new[new == absorbed] = kept
    return excerpt.replace(new)


def delete_object(
    labels: Any,
    label: int,
    *,
    near: Near | None = None,
    frame: Sequence[int] = (),
    background: Sequence[int] = ONLY_ZERO,
) -> Change:
    """Turn an object into background.

    Parameters
    ----------
    labels : int array
        Anything with shape, dtype and slicing.
    label : int
        The object's number.
    near, frame
        Where it lies; see `object_window`. Of an object in pieces, a point finds one: leave it
        out, or give a bounding box.
    background : sequence of int
        The values that stand for no object; the first is written.

    Returns
    -------
    Change

    Raises
    ------
    InputError
        If there is no such object.

    Examples
    --------
    >>> delete_object(np.array([[1, 2, 2]]), 2).new.tolist()
    [[0, 0]]
    """
    excerpt = read_object(labels, label, near=near, frame=frame, background=background)
    return excerpt.reshape(label, np.zeros(excerpt.pixels.shape, bool))
