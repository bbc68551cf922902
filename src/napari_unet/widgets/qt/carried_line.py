"""A line that says what a dock has taken over from elsewhere, with a button to drop it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from magicgui.widgets import Container, PushButton, Widget

from napari_unet.widgets.qt.form import text_label
from napari_unet.widgets.qt.wording import LABELS, TASK_NAMES

LAST_SESSION = "the last session"
MODEL = "model"
BASE = "base"
OF_THE_MACHINE = ("device", "precision", "tile")  # nobody finds these on an image
DIAMETER = "object_diameter"
PIXELS = (DIAMETER, "min_size", "smoothing", "shape_radius")

Carried = dict[str, tuple[Any, str]]  # by name: a value, and what it was found on


class CarriedLine:
    """The line, to be put into a dock; it hides where nothing was carried over.

    Parameters
    ----------
    on_drop : callable
        Called when the button is pressed.
    tooltip : str
        What the button does.
    """

    def __init__(self, on_drop: Callable[[], None], tooltip: str) -> None:
        self._text = text_label()
        self.drop = PushButton(text="Drop", tooltip=tooltip)
        parts: list[Widget] = [self._text, self.drop]
        self._line = Container(widgets=parts, layout="horizontal", labels=False)
        self._line.margins = (0, 0, 0, 0)
        self.native = self._line.native
        self.native.layout().setStretch(0, 1)
        self.drop.changed.connect(lambda _: on_drop())
        self.native.hide()

    @property
    def text(self) -> str:
        """What is said; empty: nothing was carried over."""
        return str(self._text.value)

    def show(self, carried: Carried) -> None:
        """Say what was carried over."""
        self._text.value = describe(carried)
        self.native.setVisible(bool(carried))


def describe(carried: Carried) -> str:
    """What was carried over, in words.

    Parameters
    ----------
    carried : dict
        By the name of a setting: its value, and what it was found on.

    Examples
    --------
    >>> describe({"object_diameter": (23.0, "‘img_1’"), "model": ("mine", "the last session")})
    'Carried over: diameter 23 px from ‘img_1’; model ‘mine’ from the last session.'
    >>> describe({"task": ("semantic", "the last session"), "base": (None, "the last session")})
    'Carried over: task ‘Classes of pixels’, a start from scratch from the last session.'
    >>> describe({})
    ''
    """
    groups: dict[str, list[str]] = {}
    for name, (value, origin) in carried.items():
        groups.setdefault(origin, []).append(_worded(name, value))
    said = "; ".join(f"{', '.join(parts)} from {origin}" for origin, parts in groups.items())
    return f"Carried over: {said}." if said else ""


def _worded(name: str, value: Any) -> str:
    if name in (MODEL, BASE):
        of = f"‘{value.name if isinstance(value, Path) else value}’"
        return f"model {of}" if name == MODEL else "a start from " + (of if value else "scratch")
    if name == "task":
        return f"task ‘{TASK_NAMES[value]}’"
    if name == "minutes":
        return f"{value:g} minutes"
    label = LABELS.get(name, name.replace("_", " ")).lower()
    if isinstance(value, bool):
        return label if value else f"no {label}"
    number = f"{value:g}" if isinstance(value, int | float) else str(value)
    return f"{label} {number}{' px' if name in PIXELS else ''}"
