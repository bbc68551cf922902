"""Objects of neighbouring planes joined through z.

The planes are linked one after another, so that a stack of any length takes the memory of
two planes and of the areas of their objects. An object is then a *chain* of sections, one a
plane. Two nuclei above each other make one chain too; where the radius of the sections dips
along z, the chain is cut in two, and chains of too few planes are dropped. That needs the
whole chain, so labels are written twice: as they come, and renumbered at the end.

Cellpose's `stitch3D` links by overlap too, but needs the whole stack in memory and cuts no
chain; trackers solve for all planes at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from napari_unet.renumbering import count_pixels

WAIST_DIP = 0.02
"""Relative dip of the radius along z at which a chain is cut in two."""

SMOOTHING_PLANES = 0.7
"""Planes over which the radius is smoothed before dips are sought."""

MIN_LENGTH_FRACTION = 0.4
"""A chain shorter than this share of the typical one is dropped; it holds a third plane of
sections that are out of focus, or noise."""


class PlaneLinker:
    """Labels of planes, numbered over the whole stack as they come.

    A section takes the label of its match in the plane before where the two are each
    other's best overlap (by intersection over union) and the overlap is large for the
    smaller of the two: at its poles an object shrinks quickly, but stays inside itself.

    Parameters
    ----------
    overlap : float or None
        Smallest share of the smaller section that two linked ones have in common; None:
        they are never linked.
    count : int
        Labels that are taken already.

    Examples
    --------
    >>> linker = PlaneLinker(overlap=0.5)
    >>> linker.link(np.array([[1, 1, 0]])).tolist()
    [[1, 1, 0]]
    >>> linker.link(np.array([[2, 2, 1]])).tolist(), linker.count
    ([[1, 1, 2]], 2)
    """

    def __init__(self, overlap: float | None, count: int = 0) -> None:
        self.count = count
        self._first = count
        self._overlap = overlap
        self._plane = 0
        # the plane before, numbered by itself so that its size alone matters, and its labels
        self._before: tuple[NDArray[np.integer], NDArray[np.int32]] | None = None
        self._starts: list[int] = []
        self._areas: list[list[int]] = []

    def link(self, plane: NDArray[np.integer]) -> NDArray[np.int32]:
        """Labels of the next plane, (Y, X) with consecutive labels from 1."""
        areas = np.bincount(plane.ravel())
        table = np.zeros(areas.size, np.int32)
        if self._overlap is not None and self._before is not None:
            before, labels = self._before
            for here, there in _mutual_best(plane, before, self._overlap):
                table[here] = labels[there]
        fresh = np.flatnonzero(table[1:] == 0) + 1
        table[fresh] = self.count + 1 + np.arange(fresh.size)
        self.count += fresh.size
        for _ in fresh:
            self._starts.append(self._plane)
            self._areas.append([])
        for section in range(1, areas.size):
            self._areas[table[section] - self._first - 1].append(int(areas[section]))
        self._before = plane, table
        self._plane += 1
        linked: NDArray[np.int32] = table[plane]
        return linked

    @property
    def table(self) -> NDArray[np.int32]:
        """What the labels of the last plane have become, by their numbers there."""
        assert self._before is not None
        return self._before[1]

    def finish(self) -> Renumbering:
        """Cut chains where two objects stand on each other, and drop those of too few planes."""
        pieces = [
            (start + piece.start, start + piece.stop, label)
            for label, (start, areas) in enumerate(
                zip(self._starts, self._areas, strict=True), self._first + 1
            )
            for piece in cut_at_waists(areas)
        ]
        if self._overlap is not None:
            lengths = np.array([stop - start for start, stop, _ in pieces])
            least = shortest_chain(lengths)
            pieces = [piece for piece in pieces if piece[1] - piece[0] >= least]
        pieces.sort()
        starts, stops, labels = np.array(pieces, np.int64).reshape(-1, 3).T
        return Renumbering(starts, stops, labels, self._first, self.count)


@dataclass(frozen=True, eq=False)
class Renumbering:
    """Final labels for those that were given as the planes came.

    Attributes
    ----------
    starts, stops : (N,) int64 array
        First plane of each piece, and one past its last.
    labels : (N,) int64 array
        The label it was given. The final one is its number from ``first + 1``.
    first : int
        Labels that were taken before.
    old_count : int
        The highest label that was given.
    """

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    labels: NDArray[np.int64]
    first: int
    old_count: int

    @property
    def count(self) -> int:
        """The highest final label."""
        return self.first + self.labels.size

    @property
    def changes(self) -> bool:
        """Whether any label becomes another one."""
        same = np.arange(self.first + 1, self.count + 1)
        return self.count != self.old_count or not np.array_equal(self.labels, same)

    def renumber(self, z: int, plane: NDArray[np.int32]) -> NDArray[np.int32]:
        """The final labels of plane z."""
        here = np.flatnonzero((self.starts <= z) & (z < self.stops))
        table = np.zeros(self.old_count + 1, np.int32)
        table[self.labels[here]] = self.first + 1 + here
        renumbered: NDArray[np.int32] = table[plane]
        return renumbered


def cut_at_waists(
    areas: Sequence[int], dip: float = WAIST_DIP, sigma: float = SMOOTHING_PLANES
) -> list[slice]:
    """The parts of a chain between the waists of its profile.

    Parameters
    ----------
    areas : sequence of int
        Area of the section in each plane.
    dip : float
        A plane whose radius lies this share under the largest radius on either side is a
        waist. The plane goes to the part before it.
    sigma : float
        Standard deviation, in planes, of the Gaussian that smooths the radius.

    Examples
    --------
    >>> cut_at_waists([1, 40, 90, 40, 2, 50, 100, 60])
    [slice(0, 5, None), slice(5, 8, None)]
    """
    radius = np.sqrt(np.asarray(areas, float))
    if radius.size > 2 and sigma > 0:
        radius = gaussian_filter1d(radius, sigma, mode="nearest")
    parts: list[slice] = []
    waiting = [slice(0, radius.size)]
    while waiting:
        part = waiting.pop()
        inner = radius[part]
        found = None
        if inner.size > 2:
            left = np.maximum.accumulate(inner)[:-2]
            right = np.maximum.accumulate(inner[::-1])[::-1][2:]
            dips = 1 - inner[1:-1] / np.minimum(left, right)
            deepest = int(dips.argmax())
            found = part.start + deepest + 2 if dips[deepest] > dip else None
        if found is None:
            parts.append(part)
        else:
            waiting += [slice(found, part.stop), slice(part.start, found)]
    return parts


def shortest_chain(lengths: NDArray[np.integer]) -> int:
    """Fewest planes of an object, from the typical length of those that are there.

    The typical length is that in which the median *section* lies, so that many short chains
    of noise do not make themselves the rule; a stack of one plane an object keeps them all.

    Examples
    --------
    >>> shortest_chain(np.array([8, 7, 9, 1, 1, 1, 1])), shortest_chain(np.array([1, 1, 2]))
    (3, 1)
    """
    if lengths.size == 0:
        return 1
    ordered = np.sort(lengths)
    middle = np.searchsorted(np.cumsum(ordered), ordered.sum() / 2)
    return max(1, round(MIN_LENGTH_FRACTION * int(ordered[middle])))


def _mutual_best(
    a: NDArray[np.integer], b: NDArray[np.integer], overlap: float
) -> list[tuple[int, int]]:
    both = (a > 0) & (b > 0)
    if not both.any():
        return []
    base = int(b.max()) + 1
    codes, common = count_pixels(a[both].astype(np.int64) * base + b[both])
    pairs = np.stack(np.divmod(codes, base))
    size_a, size_b = np.bincount(a.ravel())[pairs[0]], np.bincount(b.ravel())[pairs[1]]
    score = common / (size_a + size_b - common)
    best_a: dict[int, int] = {}
    best_b: dict[int, int] = {}
    for i in np.argsort(-score, kind="stable"):
        best_a.setdefault(int(pairs[0, i]), int(i))
        best_b.setdefault(int(pairs[1, i]), int(i))
    inside = common / np.minimum(size_a, size_b)
    return [
        (int(pairs[0, i]), int(pairs[1, i]))
        for i in best_a.values()
        if best_b[int(pairs[1, i])] == i and inside[i] >= overlap
    ]
