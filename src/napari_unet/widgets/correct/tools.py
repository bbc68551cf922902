"""The tools: what they are called, their keys, and how the mouse uses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Gesture = Literal["click", "pair", "line", "loop"]


@dataclass(frozen=True)
class Tool:
    """A tool.

    Attributes
    ----------
    name : str
        Of its action. That of its edit, too, but for "pair", which merges and splits.
    title, tip : str
        On its button.
    key : str
        As napari writes keys; the user may choose another.
    gesture : str
        "click": on an object; its key acts at once on the one under the cursor. "pair": a drag
        from object to object, or a click in each half. "line": drawn across an object. "loop":
        drawn around something.
    hint : str
        What to do with the mouse when the tool is in the hand.
    """

    name: str
    title: str
    key: str
    gesture: Gesture
    tip: str
    hint: str

    @property
    def at_cursor(self) -> bool:
        """Whether the key acts at once on the object under the cursor."""
        return self.gesture == "click"


_CLICK = "Click an object. Drag beside the objects to move the view."

TOOLS = (
    Tool(
        "merge_split",
        "Merge, split",
        "C",
        "pair",
        "Drag from one object to another to merge them; the first keeps its number. Click in "
        "each half of an object to split it where it is narrow between the clicks.",
        "Merge: drag from one object to another. Split: click in each half of one.",
    ),
    Tool(
        "cut",
        "Cut",
        "K",
        "line",
        "Draw a line right across an object to cut it in two. The largest part keeps the number.",
        "Draw a line right across an object, from outside to outside.",
    ),
    Tool(
        "draw",
        "Draw around",
        "O",
        "loop",
        "Draw around an object that is missing: it becomes one, with a free number. Begin inside "
        "an object to add to it, or hold Shift to go on with the last one, such as in another "
        "plane. Other objects stay as they are.",
        "Drag around what is missing. From inside an object: adds to it. Shift: the last one.",
    ),
    Tool(
        "erase",
        "Erase around",
        "U",
        "loop",
        "Draw around what is too much: it becomes background. Begin inside an object to take "
        "from it alone.",
        "Drag around what is too much. From inside an object: takes from it alone.",
    ),
    Tool(
        "delete",
        "Delete",
        "Delete",
        "click",
        "Turn an object into background. The key deletes the one under the cursor.",
        _CLICK,
    ),
    Tool(
        "take_off",
        "Take off",
        "T",
        "click",
        "Make a piece of an object that lies apart from the rest an object of its own.",
        "Click the piece that lies apart from the rest of its object.",
    ),
    Tool(
        "fill",
        "Fill holes",
        "H",
        "click",
        "Fill the holes of an object; other objects in them stay.",
        _CLICK,
    ),
    Tool("smooth", "Smooth", "S", "click", "Smooth the outline of an object.", _CLICK),
    Tool("grow", "Grow", "G", "click", "Grow an object by a pixel, into background alone.", _CLICK),
    Tool("shrink", "Shrink", "Shift-G", "click", "Shrink an object by a pixel.", _CLICK),
    Tool(
        "interpolate",
        "Interpolate",
        "I",
        "click",
        "Fill an object in between the planes, or the time points, in which it was drawn.",
        "Click an object that was drawn in planes with a gap between them.",
    ),
)
"""In the order of their buttons."""

BY_NAME = {tool.name: tool for tool in TOOLS}

DONE = {
    "merge": "Merged {0} and {1}.",
    "split": "Split {0}: the other part is {2}.",
    "cut": "Cut {0}: the other part is {2}.",
    "draw": "Drew {3}.",
    "erase": "Erased.",
    "delete": "Deleted {0}.",
    "take_off": "Took the piece off {0}: it is {2} now.",
    "fill": "Filled the holes of {0}.",
    "smooth": "Smoothed {0}.",
    "grow": "Grew {0}.",
    "shrink": "Shrank {0}.",
    "interpolate": "Filled {0} in between its planes.",
}
"""What is said after an edit: {0} and {1} are the objects at its first and last point before it,
{2} the new numbers, {3} the number at the first point afterwards."""

UNCHANGED = {
    "draw": "Nothing was drawn: there are other objects, which stay.",
    "erase": "There was nothing to erase.",
    "fill": "Object {0} has no holes.",
    "smooth": "Object {0} is smooth.",
    "grow": "Object {0} has no room to grow.",
    "interpolate": "Object {0} has no gap between its planes.",
}
