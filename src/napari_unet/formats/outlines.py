"""The outlines of labels as polygons along the edges of their pixels, with holes and pieces.

A pixel (y, x) is the square from (x, y) to (x + 1, y + 1). Pixels that touch at a corner only are
pieces of their own, so that every polygon is simple and valid by the rules of the Open Geospatial
Consortium: drawn with the centres of the pixels, they give back the labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ring = NDArray[np.int32]
"""Corners (x, y) of a closed path, (n, 2); the first is not repeated at the end."""


@dataclass(frozen=True, eq=False)
class Outline:
    """One object in one plane.

    Attributes
    ----------
    label : int
        Its value.
    polygons : list of list of Ring
        A polygon for each piece: its outer path, then its holes.
    area : int
        Pixels.
    """

    label: int
    polygons: list[list[Ring]]
    area: int

    @property
    def is_simple(self) -> bool:
        """Whether it is one piece without a hole."""
        return len(self.polygons) == 1 and len(self.polygons[0]) == 1

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom."""
        corners = np.concatenate([polygon[0] for polygon in self.polygons])
        (left, top), (right, bottom) = corners.min(0), corners.max(0)
        return int(left), int(top), int(right), int(bottom)


def trace_outlines(labels: NDArray[Any]) -> Iterator[Outline]:
    """Outlines of all labels of a plane, by ascending label.

    Parameters
    ----------
    labels : (Y, X) integer array
        0 is background.

    Examples
    --------
    >>> labels = np.zeros((5, 5), int)
    >>> labels[1:4, 1:4] = 7
    >>> labels[2, 2] = 0
    >>> (outline,) = trace_outlines(labels)
    >>> outline.label, outline.area, [ring.tolist() for ring in outline.polygons[0]]
    (7, 8, [[[1, 1], [4, 1], [4, 4], [1, 4]], [[2, 3], [3, 3], [3, 2], [2, 2]]])
    """
    from skimage.measure import label

    from napari_unet.formats._tracing import trace

    if not labels.any():
        return
    pieces = label(labels, background=0, connectivity=1)  # type: ignore[no-untyped-call]
    framed = np.pad(pieces, 1)
    points, starts, owners, touching = trace(framed, np.zeros(framed.shape, bool))
    rings = _Rings(points, starts, owners, touching)
    own_piece = pieces.ravel()[rings.owners]
    own_label = labels.ravel()[rings.owners]
    # by label, of a label by piece, of a piece its outer path first
    order = np.lexsort((rings.areas < 0, own_piece, own_label))
    values = own_label[order]
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], [True])) + 1
    begin = 0
    for end in ends.tolist():
        polygons: list[list[Ring]] = []
        area = 0
        for number in order[begin:end].tolist():
            ring = rings.ring(number)
            size = int(rings.areas[number])
            area += size
            if size > 0:
                polygons.append([ring])
            else:
                polygons[-1].append(ring)
        yield Outline(int(values[begin]), polygons, area)
        begin = end


class _Rings:
    """Closed paths that come to no corner twice, with their areas: below 0 for holes."""

    def __init__(
        self,
        points: NDArray[np.int32],
        starts: NDArray[np.int64],
        owners: NDArray[np.int64],
        touching: NDArray[np.bool_],
    ) -> None:
        if touching.any():
            parts, whose = [], []
            for number in range(len(owners)):
                ring = points[starts[number] : starts[number + 1]]
                for part in _part(ring) if touching[number] else [ring]:
                    parts.append(part)
                    whose.append(owners[number])
            points = np.concatenate(parts)
            starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
            owners = np.asarray(whose, np.int64)
        self._points, self._starts, self.owners = points, starts, owners
        x, y = points.astype(np.int64).T
        following = np.arange(1, len(points) + 1)
        following[starts[1:] - 1] = starts[:-1]
        cross = x * y[following] - x[following] * y
        self.areas: NDArray[np.int64] = np.add.reduceat(cross, starts[:-1]) // 2

    def ring(self, number: int) -> Ring:
        return self._points[self._starts[number] : self._starts[number + 1]]


def _part(ring: Ring) -> list[Ring]:
    """The paths into which one falls that comes to a corner more than once."""
    parts: list[Ring] = []
    walked: list[tuple[int, int]] = []
    place: dict[tuple[int, int], int] = {}
    for x, y in ring.tolist():
        corner = (x, y)
        first = place.get(corner)
        if first is not None:
            parts.append(np.array(walked[first:], np.int32))
            for gone in walked[first + 1 :]:
                del place[gone]
            del walked[first + 1 :]
        else:
            place[corner] = len(walked)
            walked.append(corner)
    parts.append(np.array(walked, np.int32))
    return parts
