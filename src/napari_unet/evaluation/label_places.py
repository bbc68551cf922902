"""Places where labels would help most: the scores are unsure there, and they lie apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import SettingsError

STEPS_PER_SIDE = 4  # windows begin every quarter of their side
LARGEST_KNOWN_SHARE = 0.25  # of a window's pixels; of more is nothing new to learn
APART_SIDES = 2.0  # distance of the centres of two windows, at least: one fits in between
SPREAD_SIDES = 3.0  # how far the pull of a chosen place reaches
SURE = 1e-9  # mean uncertainty up to which there is none but that of rounding


@dataclass(frozen=True)
class LabelPlace:
    """A square window of a plane.

    Attributes
    ----------
    plane : int
        Number of the plane, in the order in which planes were given.
    rows, columns : tuple of int
        First and one past the last.
    uncertainty : float
        Mean of its pixels; what is known counts as sure.
    """

    plane: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    uncertainty: float


def rank_label_places(
    planes: Iterable[tuple[NDArray[Any], NDArray[np.bool_] | None]],
    *,
    side: int,
    count: int,
    planes_apart: int = 1,
) -> list[LabelPlace]:
    """Choose windows in which labels would help most.

    The first is the one of the largest uncertainty. The others too, but the nearer a window is
    to one that was chosen the less it counts, and none is beside another.

    Parameters
    ----------
    planes : iterable of ((Y, X) float array, (Y, X) bool array or None)
        Uncertainty of each plane, and the pixels that are labelled already. All planes have the
        same size; one is looked at after the other, so that they may be read when asked for.
    side : int
        Of a window, in pixels; of smaller planes all of it.
    count : int
        How many windows, at most.
    planes_apart : int
        Planes fewer than this apart show nearly the same: their windows keep the distance of
        windows in one plane.

    Returns
    -------
    list of LabelPlace
        In the order in which they were chosen; fewer where there is no more room, or nothing
        unsure is left.

    Raises
    ------
    SettingsError
        If a number is not 1 or more.

    Examples
    --------
    >>> unsure = np.zeros((64, 64))
    >>> unsure[3:9, 52:64], unsure[50:60, 4:8] = 1, 0.5
    >>> [(p.rows, p.columns) for p in rank_label_places([(unsure, None)], side=16, count=2)]
    [((0, 16), (48, 64)), ((48, 64), (0, 16))]
    """
    for name, value in (("side", side), ("count", count), ("planes_apart", planes_apart)):
        if value < 1:
            raise SettingsError(
                f"⟨{name}⟩ is {value}", "give 1 or more", parameter=name, value=value
            )
    tables, rows, columns = [], np.zeros(0, int), np.zeros(0, int)
    sides = (side, side)
    for uncertainty, known in planes:
        sides = tuple(min(side, n) for n in uncertainty.shape)
        rows, columns = (_starts(n, s) for n, s in zip(uncertainty.shape, sides, strict=True))
        tables.append(_mean_of_windows(uncertainty, known, rows, columns, sides))
    if not tables:
        return []
    left = np.stack(tables)
    measured = left.copy()
    chosen: list[LabelPlace] = []
    while len(chosen) < count and left.max(initial=0) > SURE:
        plane, i, j = (int(n) for n in np.unravel_index(int(left.argmax()), left.shape))
        top, first = int(rows[i]), int(columns[j])
        chosen.append(
            LabelPlace(
                plane,
                (top, top + sides[0]),
                (first, first + sides[1]),
                float(measured[plane, i, j]),
            )
        )
        near = slice(max(plane - planes_apart + 1, 0), plane + planes_apart)
        left[near] *= _pull(rows - top, columns - first, sides)
    return chosen


def _starts(size: int, side: int) -> NDArray[np.intp]:
    """Where windows begin along an axis; the last ends with it."""
    step = max(side // STEPS_PER_SIDE, 1)
    return np.unique(np.append(np.arange(0, size - side + 1, step), size - side))


def _mean_of_windows(
    uncertainty: NDArray[Any],
    known: NDArray[np.bool_] | None,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    sides: tuple[int, ...],
) -> NDArray[np.float64]:
    """The mean of each window, 0 of those of which much is known."""
    if known is None:
        return _sum_of_windows(uncertainty, rows, columns, sides) / np.prod(sides)
    unsure = np.where(known, 0, uncertainty)
    found = _sum_of_windows(unsure, rows, columns, sides) / np.prod(sides)
    share = _sum_of_windows(known, rows, columns, sides) / np.prod(sides)
    return np.where(share > LARGEST_KNOWN_SHARE, 0.0, found)


def _sum_of_windows(
    values: NDArray[Any],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    sides: tuple[int, ...],
) -> NDArray[np.float64]:
    """The sum of each window, from blocks between the lines where any begins or ends."""
    sums: NDArray[Any] = values
    for axis, (starts, side) in enumerate(zip((rows, columns), sides, strict=True)):
        lines = np.unique(np.concatenate([starts, starts + side]))
        ends = lines[:-1]  # the last line is that at which the array ends
        blocks = np.add.reduceat(sums, ends, axis=axis, dtype=np.float64)
        pad = [(1, 0) if i == axis else (0, 0) for i in range(2)]
        total = np.pad(blocks.cumsum(axis), pad)
        first, last = np.searchsorted(lines, starts), np.searchsorted(lines, starts + side)
        sums = total.take(last, axis) - total.take(first, axis)
    return sums


def _pull(
    down: NDArray[np.intp], across: NDArray[np.intp], sides: tuple[int, ...]
) -> NDArray[np.float64]:
    """By how much windows count less beside one that was chosen, by their distance from it."""
    y, x = down[:, None] / sides[0], across[None, :] / sides[1]
    # less pull where it is longer away; none between is wide enough for a further one
    found: NDArray[np.float64] = -np.expm1(-(y**2 + x**2) / SPREAD_SIDES**2)
    found[np.maximum(np.abs(y), np.abs(x)) < APART_SIDES] = 0
    return found
