"""Labels that no object has yet."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_unet.correction.blocks import read_blocks
from napari_unet.errors import InputError


def free_label(labels: Any, largest: int | None = None, *, count: int = 1) -> int:
    """A label that no object has: one above the largest ever used.

    Numbers of deleted objects are not used again as long as the caller keeps the largest.

    Parameters
    ----------
    labels : int array
        Anything with shape, dtype and slicing.
    largest : int, optional
        The largest label used so far. None: all of the array is read for it.
    count : int
        How many labels, counted from the returned one on, are to be free.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If the dtype of the labels has no such number.

    Examples
    --------
    >>> labels = np.array([[0, 3], [7, 3]])
    >>> free_label(labels), free_label(labels, 9)
    (8, 10)
    """
    limit = largest_possible(labels)
    if largest is None:
        region = tuple(slice(0, size) for size in labels.shape)
        largest = max((int(block.max()) for _, block in read_blocks(labels, region)), default=0)
    first = max(int(largest), 0) + 1
    if first + count - 1 > limit:
        raise InputError(
            f"No free label is left: labels of type {np.dtype(labels.dtype)} end at {limit}, "
            f"and {largest} is the largest one used",
            "convert the labels to a larger type such as int32",
            parameter="labels",
            value=largest,
            code="labels-full",
        )
    return first


def largest_possible(labels: Any) -> int:
    """The largest number that the dtype of the labels holds.

    Raises
    ------
    InputError
        If the labels are not integers.
    """
    dtype = np.dtype(labels.dtype)
    if dtype.kind not in "iu":
        raise InputError(
            f"Labels of type {dtype} cannot be corrected, since objects are numbered by integers",
            "convert them to int32",
            parameter="labels",
            value=str(dtype),
        )
    return int(np.iinfo(dtype).max)
