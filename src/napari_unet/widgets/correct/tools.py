"""The tools: what they are called, their keys, and the edits that they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from napari_unet.correction.change import Change
from napari_unet.correction.component import detach_component
from napari_unet.correction.line_split import split_by_line
from napari_unet.correction.merging import delete_object, merge_objects
from napari_unet.correction.outline import fill_holes, grow_object, shrink_object, smooth_object
from napari_unet.correction.seed_split import split_by_seeds
from napari_unet.errors import InputError
from napari_unet.widgets.correct.target import Point, Target


@dataclass(frozen=True)
class Place:
    """Where a tool is used.

    Attributes
    ----------
    target : Target
        The layer.
    points : tuple of point
        Pixels: one for a click, first and last for a drag, all of them for a drawn line.
    plane_only : bool
        Whether the edit is of the plane of the points alone.
    """

    target: Target
    points: tuple[Point, ...]
    plane_only: bool = False

    @property
    def frame(self) -> Point:
        """Index of the axes that the edit leaves alone."""
        return self.target.frame_of(self.points[0], plane_only=self.plane_only)

    def label(self, number: int = 0) -> int:
        """The object at a point.

        Raises
        ------
        InputError
            If there is none.
        """
        point = self.points[number]
        label = self.target.label_at(point) if self.target.contains(point) else 0
        if label <= 0:
            raise InputError("There is no object here", "point at one", code="no-object")
        return label


@dataclass(frozen=True)
class Tool:
    """A tool.

    Attributes
    ----------
    name : str
        Of its action and in the journal.
    title, tip : str
        On its button.
    key : str
        As napari writes keys; the user may choose another.
    at_cursor : bool
        Whether its key acts at once on the object under the cursor.
    edit : callable
        Gives the change at a place.
    """

    name: str
    title: str
    key: str
    tip: str
    edit: Callable[[Place], Change]
    at_cursor: bool = True


def _delete(at: Place) -> Change:
    return delete_object(at.target.labels, at.label(), near=None, frame=at.frame)


def _merge(at: Place) -> Change:
    return merge_objects(at.target.labels, at.label(0), at.label(-1), near=None, frame=at.frame)


def _split(at: Place) -> Change:
    target = at.target
    return split_by_seeds(
        target.labels, at.label(), at.points, largest=target.largest, frame=at.frame
    )


def _cut(at: Place) -> Change:
    target = at.target
    return split_by_line(
        target.labels, at.label(), at.points, largest=target.largest, frame=at.frame
    )


def _fill(at: Place) -> Change:
    return fill_holes(at.target.labels, at.label(), near=None, frame=at.frame)


def _smooth(at: Place) -> Change:
    return smooth_object(at.target.labels, at.label(), near=None, frame=at.frame)


def _grow(at: Place) -> Change:
    return grow_object(at.target.labels, at.label(), near=None, frame=at.frame)


def _shrink(at: Place) -> Change:
    return shrink_object(at.target.labels, at.label(), near=None, frame=at.frame)


def _take_off(at: Place) -> Change:
    at.label()
    return detach_component(
        at.target.labels, at.points[0], largest=at.target.largest, frame=at.frame
    )


TOOLS = (
    Tool("delete", "Delete", "Delete", "Delete the object under the cursor.", _delete),
    Tool("fill", "Fill holes", "H", "Fill the holes of the object under the cursor.", _fill),
    Tool("smooth", "Smooth", "S", "Smooth the outline of the object under the cursor.", _smooth),
    Tool("grow", "Grow", "G", "Grow the object under the cursor by a pixel.", _grow),
    Tool("shrink", "Shrink", "Shift-G", "Shrink the object under the cursor by a pixel.", _shrink),
    Tool("take_off", "Take off", "T", "Make the piece under the cursor an object.", _take_off),
)
"""In the order of their buttons."""
