"""Objects of neighbouring planes joined through z."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class PlaneLinker:
    """Labels of planes, numbered over the whole stack as they come.

    An object takes the label of its match in the plane before where the two are each
    other's best overlap; else it gets a new one.

    Parameters
    ----------
    iou : float or None
        Smallest overlap (intersection over union) of two linked objects; None: never linked.
    count : int
        Labels that are taken already.

    Examples
    --------
    >>> linker = PlaneLinker(iou=0.5)
    >>> linker.link(np.array([[1, 1, 0]])).tolist()
    [[1, 1, 0]]
    >>> linker.link(np.array([[2, 2, 1]])).tolist(), linker.count
    ([[1, 1, 2]], 2)
    """

    def __init__(self, iou: float | None, count: int = 0) -> None:
        self.count = count
        self._iou = iou
        # the plane before, numbered by itself so that its size alone matters, and its labels
        self._before: tuple[NDArray[Any], NDArray[np.int32]] | None = None

    def link(self, plane: NDArray[Any]) -> NDArray[np.int32]:
        """Labels of the next plane, (Y, X) with consecutive labels from 1."""
        table = np.zeros(int(plane.max(initial=0)) + 1, np.int32)
        if self._iou is not None and self._before is not None:
            before, labels = self._before
            for here, there in _mutual_best(plane, before, self._iou):
                table[here] = labels[there]
        fresh = np.flatnonzero(table[1:] == 0) + 1
        table[fresh] = self.count + 1 + np.arange(fresh.size)
        self.count += fresh.size
        self._before = plane, table
        linked: NDArray[np.int32] = table[plane]
        return linked


def _mutual_best(a: NDArray[Any], b: NDArray[Any], iou: float) -> list[tuple[int, int]]:
    both = (a > 0) & (b > 0)
    if not both.any():
        return []
    pairs, overlap = np.unique(
        np.stack([a[both], b[both]]).astype(np.int64), axis=1, return_counts=True
    )
    size_a, size_b = np.bincount(a.ravel()), np.bincount(b.ravel())
    score = overlap / (size_a[pairs[0]] + size_b[pairs[1]] - overlap)
    best_a: dict[int, int] = {}
    best_b: dict[int, int] = {}
    for i in np.argsort(-score, kind="stable"):
        best_a.setdefault(int(pairs[0, i]), int(i))
        best_b.setdefault(int(pairs[1, i]), int(i))
    return [
        (int(pairs[0, i]), int(pairs[1, i]))
        for i in best_a.values()
        if best_b[int(pairs[1, i])] == i and score[i] >= iou
    ]
