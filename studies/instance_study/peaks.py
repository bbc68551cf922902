"""One seed for each object: the peaks of a map that stand out from the dips around them."""

from __future__ import annotations

from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray

from instance_study.representation import faces

STEP = 0.05
LEVELS = np.arange(1 - STEP, 0, -STEP)
"""Levels at which a map of values in 0..1 is cut, from the top down."""


def find_peaks(
    height: NDArray[Any], mask: NDArray[np.bool_], depth: float
) -> tuple[NDArray[np.int32], int]:
    """Peaks of a map that are separated by dips of at least ``depth``.

    The map is cut at falling levels. A piece without a seed becomes one; where pieces with
    seeds of their own grow together, the lower ones vanish unless they rise ``depth`` above
    the level at which they met. This is the dynamics of a peak (Grimaud 1992) in steps of 0.05.

    Parameters
    ----------
    height : (Y, X) or (Z, Y, X) float array
        Values in 0..1, for example the relative distance to the boundary.
    mask : bool array of the same shape
        Where seeds may lie. A piece of it lower than all levels gets no seed.
    depth : float
        Smallest dip between two seeds.

    Returns
    -------
    seeds : int32 array of the same shape
        Consecutive labels from 1, one pixel each; 0 elsewhere.
    count : int
        Number of seeds.

    Examples
    --------
    >>> height = np.array([[0.2, 0.9, 0.6, 0.8, 0.75, 0.8, 0.2]])
    >>> find_peaks(height, height > 0, 0.1)[0].tolist()
    [[0, 1, 0, 2, 0, 0, 0]]
    """
    place = np.zeros(0, np.intp)  # of each seed, one pixel; it stays in the piece it rose from
    peak = np.zeros(0)
    for level in LEVELS:
        pieces, number = cc3d.connected_components(  # type: ignore[call-overload]
            mask & (height > level), connectivity=faces(height.ndim), return_N=True
        )
        if number == 0:
            continue
        flat = pieces.ravel()
        piece = flat[place]
        order = np.lexsort((-peak, piece))
        follower = np.zeros(place.size, bool)
        follower[order[1:]] = piece[order[1:]] == piece[order[:-1]]
        lost = follower & (peak - level < depth - 1e-9)
        inside = np.flatnonzero(flat)
        first = np.zeros(number + 1, np.intp)
        first[flat[inside][::-1]] = inside[::-1]
        empty = np.ones(number + 1, bool)
        empty[piece] = empty[0] = False
        place = np.concatenate([place[~lost], first[empty]])
        peak = np.concatenate([peak[~lost], np.full(np.count_nonzero(empty), level)])
    seeds = np.zeros(height.shape, np.int32)
    seeds.ravel()[np.sort(place)] = np.arange(1, place.size + 1)
    return seeds, int(place.size)
