"""A number for each object that depends on all of its pixels, to tell whether it was changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.renumbering import renumber

SLAB_PIXELS = 1 << 22  # looked at at a time
HASH_BITS = 26  # of a pixel's place; sums of so few are exact


def fingerprint_objects(
    frame: NDArray[Any], labels: Iterable[int]
) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Those of some labels that are there, ascending, and a number for each object.

    The number depends on each pixel of the object, by its place in the frame.

    >>> labels = np.array([[1, 1, 0, 2]])
    >>> values, digests = fingerprint_objects(labels, [2, 5])
    >>> values.tolist(), int(digests[0]) == fingerprint_mask(labels == 2, (0, 0), (1, 4))
    ([2], True)
    """
    wanted = np.array(sorted(labels), np.int64)
    if not wanted.size:
        return wanted, np.zeros(0, np.uint32)
    return fingerprint_all(np.where(np.isin(frame, wanted), frame, 0))


def fingerprint_mask(mask: NDArray[np.bool_], starts: Iterable[int], shape: Iterable[int]) -> int:
    """The number of `fingerprint_objects` for one object.

    Parameters
    ----------
    mask : (*space) bool array
        Its pixels.
    starts : iterable of int
        Where the mask begins in the frame.
    shape : iterable of int
        Of the frame.
    """
    at = [index + start for index, start in zip(np.nonzero(mask), starts, strict=True)]
    place = np.ravel_multi_index(at, tuple(shape))
    total = _sum_places(place, np.zeros(len(place), np.intp), 1)
    return int(_fold(total)[0])


def fingerprint_all(labels: Any) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """The labels but 0, ascending, and a number for each that depends on all of its pixels."""
    row = int(np.prod(labels.shape[1:], dtype=np.int64))
    step = max(1, SLAB_PIXELS // max(row, 1))
    every: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    sums: list[NDArray[np.uint64]] = [np.zeros(0, np.uint64)]
    for start in range(0, labels.shape[0], step):
        flat = np.asarray(labels[start : start + step]).ravel()
        place = np.flatnonzero(flat)
        values, where = _number(flat[place])
        found = _sum_places(place + start * row, where, len(values))
        every.append(values.astype(np.int64))
        sums.append(found)
    values, where = np.unique(np.concatenate(every), return_inverse=True)
    total = np.zeros(len(values), np.uint64)
    np.add.at(total, where, np.concatenate(sums))
    return values, _fold(total)


def _number(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The values that occur, ascending, and which of them each pixel has."""
    if labels.size and labels.min() < 0:
        return np.unique(labels, return_inverse=True)
    return renumber(labels)


def _sum_places(place: NDArray[np.intp], where: NDArray[np.intp], count: int) -> NDArray[np.uint64]:
    """The sum over the pixels of each object of a number that depends on their place."""
    found = np.bincount(where, minlength=count).astype(np.uint64)
    mixed = (place.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    for shift in (0, HASH_BITS):
        part = (mixed >> np.uint64(shift)) & np.uint64((1 << HASH_BITS) - 1)
        total = np.bincount(where, weights=part.astype(np.float64), minlength=count)
        found += total.astype(np.uint64) * np.uint64(0x94D049BB133111EB + 2 * shift)
    return found


def _fold(total: NDArray[np.uint64]) -> NDArray[np.uint32]:
    folded: NDArray[np.uint32] = (total ^ (total >> np.uint64(32))).astype(np.uint32)
    return folded
