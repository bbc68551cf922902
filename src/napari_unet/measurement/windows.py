"""Blocks in which labels are read, and windows that hold objects wholly."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_PIXELS = 2**22
UNCHUNKED = 1024  # pixels along X and Y of a block, before it grows
LONG_SHARE = 0.98  # of the objects fit into the windows; longer ones are read one by one

Box = tuple[tuple[int, int], ...]
"""Start and stop along each spatial axis, in canonical order."""


def choose_block(array: Any, axes: str, spatial: str) -> tuple[int, ...]:
    """Shape of the blocks in which labels are read: whole chunks, as many as a block may hold.

    Examples
    --------
    >>> choose_block(np.zeros((8, 512, 4096), np.uint8), "ZYX", "ZYX")
    (2, 512, 4096)
    """
    sizes = dict(zip(axes, map(int, array.shape), strict=True))
    chunks = getattr(array, "chunks", None)
    if chunks is None:
        steps = {"Z": 1, "Y": UNCHUNKED, "X": UNCHUNKED}
    else:  # of Dask a tuple per axis, which may differ
        steps = {
            axis: int(max(n) if isinstance(n, Sequence) else n)
            for axis, n in zip(axes, chunks, strict=True)
        }
    block = {axis: max(1, min(steps[axis], sizes[axis])) for axis in spatial}
    for axis in reversed(spatial):
        while block[axis] < sizes[axis] and 2 * math.prod(block.values()) <= BLOCK_PIXELS:
            block[axis] *= 2
    return tuple(min(block[axis], sizes[axis]) for axis in spatial)


def fit_block(
    block: tuple[int, ...], lengths: NDArray[np.int64], shape: Sequence[int]
) -> tuple[int, ...]:
    """A block of about the same size that is as long as nearly all objects, along each axis.

    Parameters
    ----------
    block : tuple of int
        As of `choose_block`.
    lengths : (n, D) array
        Of the bounding boxes.
    shape : sequence of int
        Of the whole.

    Examples
    --------
    >>> fit_block((4, 1024, 1024), np.array([[12, 30, 30]]), (64, 1024, 1024))
    (12, 256, 1024)
    """
    if not len(lengths):
        return block
    least = np.quantile(lengths, LONG_SHARE, axis=0, method="higher").astype(int)
    fitted = [max(b, min(int(n), s)) for b, n, s in zip(block, least, shape, strict=True)]
    for axis in range(len(fitted)):
        while math.prod(fitted) > BLOCK_PIXELS and fitted[axis] // 2 >= max(least[axis], 1):
            fitted[axis] = -(-fitted[axis] // 2)
    return tuple(fitted)


def list_blocks(shape: Sequence[int], block: Sequence[int]) -> list[Box]:
    """The blocks that cover an array.

    >>> list_blocks((3, 4), (2, 4))
    [((0, 2), (0, 4)), ((2, 3), (0, 4))]
    """
    corners = product(*(range(0, n, b) for n, b in zip(shape, block, strict=True)))
    return [
        tuple((a, min(a + b, n)) for a, b, n in zip(corner, block, shape, strict=True))
        for corner in corners
    ]


def group_by_block(
    low: NDArray[np.int64], high: NDArray[np.int64], block: tuple[int, ...]
) -> Iterator[tuple[Box, NDArray[np.int64]]]:
    """Objects that are read together, by their rows, and the box around them.

    Those that begin in the same block, unless one reaches far beyond: it is read alone.

    Parameters
    ----------
    low, high : (n, D) array of int
        Bounding boxes.
    block : tuple of int
        Shape of the blocks.
    """
    size = np.asarray(block)
    place = low // size
    fits = (high <= (place + 2) * size).all(axis=1)
    for row in np.flatnonzero(~fits):
        yield as_box(low[row], high[row]), np.array([row])
    rows = np.flatnonzero(fits)
    if not len(rows):
        return
    order = rows[np.lexsort(place[rows].T[::-1])]
    moved = (np.diff(place[order], axis=0) != 0).any(axis=1)
    for group in np.split(order, np.flatnonzero(moved) + 1):
        yield as_box(low[group].min(axis=0), high[group].max(axis=0)), group


def as_box(low: Sequence[int] | NDArray[np.int64], high: Sequence[int] | NDArray[np.int64]) -> Box:
    """Starts and stops as a box."""
    return tuple((int(a), int(b)) for a, b in zip(low, high, strict=True))


def widen(box: Box, margins: Sequence[int], shape: Sequence[int]) -> Box:
    """A box with a margin, as far as the array goes.

    >>> widen(((0, 3), (4, 9)), (2, 2), (10, 10))
    ((0, 5), (2, 10))
    """
    return tuple(
        (max(0, start - margin), min(n, stop + margin))
        for (start, stop), margin, n in zip(box, margins, shape, strict=True)
    )


def window_of(box: Box, spatial: str, frame: int | None) -> dict[str, int | slice]:
    """A box as a window by axis letter."""
    window: dict[str, int | slice] = {
        axis: slice(start, stop) for axis, (start, stop) in zip(spatial, box, strict=True)
    }
    if frame is not None:
        window["T"] = frame
    return window
