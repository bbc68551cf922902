"""An edit by the name of its tool and its place, as it is made, kept in a journal, and repeated."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.correction.change import Change
from napari_unet.correction.component import detach_component
from napari_unet.correction.drawing import draw_brush, draw_mask, erase_mask
from napari_unet.correction.free_label import free_label
from napari_unet.correction.interpolation import interpolate_planes
from napari_unet.correction.line_split import split_by_line
from napari_unet.correction.merging import delete_object, merge_objects
from napari_unet.correction.outline import fill_holes, grow_object, shrink_object, smooth_object
from napari_unet.correction.seed_split import split_by_seeds
from napari_unet.correction.window import Near, object_window
from napari_unet.errors import InputError

Point = tuple[int, ...]


@dataclass(frozen=True)
class Edit:
    """What is to be done, and where.

    Attributes
    ----------
    tool : str
        A name of `EDITS`.
    points : tuple of tuple of int
        Pixels, in the axes of the labels: one in an object, two to merge, one in each part to
        split, the line of a cut, or the outline of what is drawn or erased.
    depth : int
        How many leading axes are left alone, such as time: the edit is at their index in the
        first point.
    across : int, optional
        Of an edit that is drawn in a plane of a volume, the axis that is not seen.
    label : int, optional
        What is drawn gets this number. None: that of the object at the first point, else a free
        one.
    """

    tool: str
    points: tuple[Point, ...]
    depth: int = 0
    across: int | None = None
    label: int | None = None

    @property
    def frame(self) -> Point:
        """Index of the leading axes that are left alone."""
        return self.points[0][: self.depth]


@dataclass(frozen=True, eq=False)
class Scene:
    """The labels that are edited, and what is known of them.

    Attributes
    ----------
    labels : int array
        Anything with shape, dtype and slicing.
    largest : int, optional
        The largest label used so far; see `free_label`.
    near : callable, optional
        Gives a bounding box of all pieces of an object, or a point in it, from its number and a
        point in it. None: all of the labels is searched.
    distance : array-like, optional
        High inside objects and low between them; see `split_by_seeds`.
    spacing : sequence of float, optional
        Pixel size along each axis of the labels.
    """

    labels: Any
    largest: int | None = None
    near: Callable[[int, Point], Near | None] = lambda label, point: None  # noqa: ARG005
    distance: Any = None
    spacing: tuple[float, ...] | None = None

    def label_at(self, point: Point) -> int:
        """The label of a pixel; 0 beside the labels."""
        if not all(0 <= n < size for n, size in zip(point, self.labels.shape, strict=True)):
            return 0
        return int(np.asarray(self.labels[tuple(slice(n, n + 1) for n in point)]).ravel()[0])

    def object_at(self, point: Point) -> int:
        """The label of an object.

        Raises
        ------
        InputError
            If there is none at the point.
        """
        label = self.label_at(point)
        if label <= 0:
            raise InputError(
                "There is no object here",
                "point at one",
                parameter="points",
                value=point,
                code="no-object",
            )
        return label


def make_change(scene: Scene, edit: Edit) -> Change:
    """The change that an edit makes; nothing is written.

    Raises
    ------
    InputError
        If it cannot be made there.

    Examples
    --------
    >>> labels = np.array([[1, 1, 2, 2]])
    >>> make_change(Scene(labels), Edit("merge", ((0, 0), (0, 3)))).new.tolist()
    [[1, 1]]
    """
    if edit.tool not in EDITS:
        raise InputError(
            f"The tool {edit.tool!r} is unknown",
            f"use one of {', '.join(EDITS)}",
            parameter="tool",
            value=edit.tool,
        )
    return EDITS[edit.tool](scene, edit)


def _on_object(edit: Callable[..., Change]) -> Callable[[Scene, Edit], Change]:
    """An edit of the object at the first point."""

    def change(scene: Scene, at: Edit) -> Change:
        label = scene.object_at(at.points[0])
        near = scene.near(label, at.points[0])
        return edit(scene.labels, label, near=near, frame=at.frame)

    return change


def _merge(scene: Scene, at: Edit) -> Change:
    kept, absorbed = scene.object_at(at.points[0]), scene.object_at(at.points[-1])
    if kept == absorbed:
        raise InputError(
            "Both points are in the same object",
            "point at another one",
            parameter="points",
            code="same-object",
        )
    near = scene.near(absorbed, at.points[-1])
    return merge_objects(scene.labels, kept, absorbed, near=near, frame=at.frame)


def _split(scene: Scene, at: Edit) -> Change:
    label = scene.object_at(at.points[0])
    spacing = None if scene.spacing is None else scene.spacing[at.depth :]
    return split_by_seeds(
        scene.labels,
        label,
        at.points,
        distance=scene.distance,
        spacing=spacing,
        largest=scene.largest,
        near=scene.near(label, at.points[0]),
        frame=at.frame,
    )


def _cut(scene: Scene, at: Edit) -> Change:
    line = np.asarray(at.points, np.int64)
    labels = [scene.label_at(point) for point in trace_pixels(line)]
    crossed = [label for label in labels if label > 0]
    if not crossed:
        raise InputError(
            "The line crosses no object",
            "draw it right across one",
            parameter="points",
            code="no-object",
        )
    label = max(crossed, key=crossed.count)
    first = trace_pixels(line)[labels.index(label)]
    flat = len(at.points[0]) - at.depth == 2
    return split_by_line(
        scene.labels,
        label,
        line,
        through=None if flat else at.across,
        largest=scene.largest,
        near=scene.near(label, first),
        frame=at.frame,
    )


def _take_off(scene: Scene, at: Edit) -> Change:
    label, point = scene.object_at(at.points[0]), at.points[0]
    near = scene.near(label, point)
    return detach_component(scene.labels, point, largest=scene.largest, near=near, frame=at.frame)


def _interpolate(scene: Scene, at: Edit) -> Change:
    label = scene.object_at(at.points[0])
    axis = at.depth if at.across is None else at.across
    window = object_window(
        scene.labels, label, near=scene.near(label, at.points[0]), frame=at.frame
    )
    first, last = window[axis].start, window[axis].stop - 1
    if last - first < 2:
        raise InputError(
            f"Object {label} has no planes with a gap between them",
            "draw it in two planes that lie apart, with the same number",
            parameter="points",
            value=label,
            code="no-gap",
        )
    return interpolate_planes(scene.labels, label, first, last, axis=axis, frame=at.frame)


def _draw(scene: Scene, at: Edit) -> Change:
    corner, mask = _enclosed(at)
    label = at.label if at.label is not None else scene.label_at(at.points[0])
    if label <= 0:
        label = free_label(scene.labels, scene.largest)
    return draw_mask(scene.labels, label, mask, corner, frame=at.frame)


def _erase(scene: Scene, at: Edit) -> Change:
    corner, mask = _enclosed(at)
    label = scene.label_at(at.points[0]) or None
    return erase_mask(scene.labels, mask, corner, label=label, frame=at.frame)


EDITS: dict[str, Callable[[Scene, Edit], Change]] = {
    "merge": _merge,
    "split": _split,
    "cut": _cut,
    "delete": _on_object(delete_object),
    "draw": _draw,
    "erase": _erase,
    "fill": _on_object(fill_holes),
    "smooth": _on_object(smooth_object),
    "grow": _on_object(grow_object),
    "shrink": _on_object(shrink_object),
    "take_off": _take_off,
    "interpolate": _interpolate,
}
"""The edits, by the names of their tools."""


def trace_pixels(points: NDArray[np.int64]) -> list[Point]:
    """The pixels along a polyline of (N, ndim) points.

    >>> trace_pixels(np.array([[0, 0], [0, 2]]))
    [(0, 0), (0, 1), (0, 2)]
    """
    found: list[Point] = [tuple(int(n) for n in points[0])]
    for start, stop in itertools.pairwise(points):
        steps = max(int(np.abs(stop - start).max()), 1)
        way = np.rint(np.linspace(start, stop, steps + 1)[1:]).astype(int)
        found += [tuple(int(n) for n in pixel) for pixel in way]
    return found


def _enclosed(at: Edit) -> tuple[Point, NDArray[np.bool_]]:
    """Where the first pixel of what an outline encloses lies, and its mask, in axes of space."""
    points = np.asarray(at.points, np.int64)[:, at.depth :]
    across = None if at.across is None or points.shape[1] < 3 else at.across - at.depth
    if points.shape[1] == 3 and across is None:
        across = 0
    plane = [axis for axis in range(points.shape[1]) if axis != across]
    loop = points[:, plane]
    if len(np.unique(loop, axis=0)) < 3:
        raise InputError(
            "The outline encloses nothing",
            "drag around what is meant, and let go where you began",
            parameter="points",
            code="no-outline",
        )
    corner, line = draw_brush(np.concatenate([loop, loop[:1]]), 0)
    mask: NDArray[np.bool_] = ndimage.binary_fill_holes(line)
    if across is None:
        return corner, mask
    first = list(corner)
    first.insert(across, int(points[0, across]))
    return tuple(first), np.expand_dims(mask, across)
