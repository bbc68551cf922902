"""A tool in the hand: what clicks and drags on the canvas do to the labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from psygnal import Signal

from napari_unet.correction.edits import Point
from napari_unet.widgets.correct.session import CorrectionSession
from napari_unet.widgets.correct.sketch import Sketch
from napari_unet.widgets.correct.target import Target
from napari_unet.widgets.correct.tools import Tool

CLICK_PIXELS = 4.0  # of the screen that the mouse may move in a click
ONLY_2D = "Tools work in the 2D view; switch to it below the layer list."


class MouseTool:
    """Lets one tool at a time have the left button of the mouse.

    Choosing a tool of the viewer, such as the brush, puts it away; so does another layer.

    Parameters
    ----------
    session : CorrectionSession
        Whose layer is worked on.

    Attributes
    ----------
    tool : Tool or None
        In the hand.
    """

    changed = Signal()
    """Another tool is in the hand, or none."""

    def __init__(self, session: CorrectionSession) -> None:
        self._session = session
        self.tool: Tool | None = None
        self._target: Target | None = None  # whose layer has our callback
        self._sketch = Sketch(session.viewer)
        self._seeds: tuple[Point, ...] = ()  # clicks in one object, of a split that is begun
        self._seeded = 0  # the object that they are in
        self._last_drawn = 0
        session.target_changed.connect(self._target_changed)
        session.corrected.connect(self._forget_seeds)

    def close(self) -> None:
        """Put the tool away and listen no more."""
        self.take(None)
        self._session.target_changed.disconnect(self._target_changed)
        self._session.corrected.disconnect(self._forget_seeds)

    def take(self, tool: Tool | None) -> None:
        """Take a tool into the hand; None puts it away."""
        if tool is self.tool:
            return
        self._let_go()
        target = self._session.target
        self.tool = tool if target is not None else None
        if self.tool is not None and target is not None:
            layer = target.layer
            layer.mode = "pan_zoom"  # before it is listened to
            layer.mouse_pan = False
            layer.cursor = "cross"
            layer.mouse_drag_callbacks.append(self._drag)
            layer.events.mode.connect(self._mode_changed)
            self._target = target
            self._session.tell(self.tool.hint)
        self.changed.emit()

    def _let_go(self) -> None:
        target, self._target = self._target, None
        self._forget_seeds()
        self._sketch.clear()
        if target is None:
            return
        layer = target.layer
        layer.events.mode.disconnect(self._mode_changed)
        if self._drag in layer.mouse_drag_callbacks:
            layer.mouse_drag_callbacks.remove(self._drag)
        for known in (layer._mouse_drag_gen, layer._persisted_mouse_event):
            for key in [key for key in known if key == self._drag]:
                del known[key]
        if str(layer.mode) == "pan_zoom":
            layer.mouse_pan = True
            layer.cursor = "standard"

    def _mode_changed(self, _: Any = None) -> None:
        """The user has taken the brush or another tool of the viewer."""
        self.take(None)

    def _target_changed(self) -> None:
        target = self._session.target
        if self._target is None or (target is not None and target.layer is self._target.layer):
            self._target = target if self._target is not None else None
            self._forget_seeds()
            return
        self.take(None)

    def _forget_seeds(self, _: Any = None) -> None:
        self._seeds, self._seeded = (), 0
        self._sketch.clear()

    # a press of the button, until it is let go

    def _drag(self, layer: Any, event: Any) -> Iterator[None]:
        tool, target, session = self.tool, self._target, self._session
        if tool is None or target is None or layer is not target.layer or event.button != 1:
            return
        if len(event.dims_displayed) != 2:
            session.tell(ONLY_2D, fault=True)
            return
        point = target.point_at(session.viewer, event.position)
        beside = target.label_at(point) <= 0
        if beside and tool.gesture in ("click", "pair"):
            yield from self._move_view(layer, event, tool)
            return
        path, start, moved = [point], np.array(event.pos, float), False
        shift = "Shift" in event.modifiers
        yield
        while event.type == "mouse_move":
            if self.tool is not tool or self._target is not target:
                return  # put away, or another layer: this drag means nothing any more
            point = target.point_at(session.viewer, event.position)
            moved = moved or float(np.abs(np.array(event.pos) - start).max()) > CLICK_PIXELS
            if point != path[-1]:
                path.append(point)
                line = [path[0], path[-1]] if tool.gesture == "pair" else path
                self._sketch.draw(target, line, closed=tool.gesture == "loop")
            yield
        point = target.point_at(session.viewer, event.position)  # moves may be left out
        moved = moved or float(np.abs(np.array(event.pos) - start).max()) > CLICK_PIXELS
        if point != path[-1]:
            path.append(point)
        self._sketch.clear()
        if self.tool is tool and self._target is target:
            self._finish(tool, target, tuple(path), moved=moved, shift=shift)

    def _move_view(self, layer: Any, event: Any, tool: Tool) -> Iterator[None]:
        """A drag beside the objects moves the view; a click there says what to do."""
        layer.mouse_pan = True
        moved = False
        yield
        while event.type == "mouse_move":
            moved = True
            yield
        layer.mouse_pan = self.tool is None
        if not moved:
            self._session.tell(f"There is no object here. {tool.hint}", fault=True)

    def _finish(
        self, tool: Tool, target: Target, path: tuple[Point, ...], *, moved: bool, shift: bool
    ) -> None:
        session = self._session
        if tool.gesture == "pair":
            if moved:
                self._merge(target, path)
            else:
                self._add_seed(target, path[0])
            return
        points = path[:1] if tool.gesture == "click" else path
        if tool.gesture == "line":
            points = _straightened(path)
        label = None
        if tool.name == "draw":
            label = self._last_drawn if shift and self._last_drawn else None
        if not session.make(session.place(tool.name, points, label=label)):
            return
        if tool.name == "draw":
            self._last_drawn = label or target.label_at(points[0]) or target.largest

    def _merge(self, target: Target, path: tuple[Point, ...]) -> None:
        first, last = target.label_at(path[0]), target.label_at(path[-1])
        if last == first:
            self._session.tell("Let go over another object to merge the two.", fault=True)
        elif last <= 0:
            self._session.tell("Let go over an object to merge the two.", fault=True)
        else:
            self._session.make(self._session.place("merge", (path[0], path[-1])))

    def _add_seed(self, target: Target, point: Point) -> None:
        label = target.label_at(point)
        session = self._session
        if self._seeds and label == self._seeded and point not in self._seeds:
            session.make(session.place("split", (*self._seeds, point)))
            self._forget_seeds()
            return
        self._seeds, self._seeded = (point,), label
        self._sketch.mark(target, self._seeds)
        session.tell(f"One half of {label}: now click in its other half.")


def _straightened(path: tuple[Point, ...]) -> tuple[Point, ...]:
    """A line with its ends drawn out by a pixel, so that it need not begin outside exactly."""
    if len(path) < 2:
        return (*path, path[0])
    return path
