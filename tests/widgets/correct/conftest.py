"""A hand on the mouse and the keys over the canvas of a real window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

PLUGIN = "napari-unet-torch"
BETWEEN_MOVES_MS = 15  # napari leaves out moves that follow within 5 ms


class Hand:
    """Moves, clicks, drags and presses keys where pixels of the active layer are seen."""

    def __init__(self, viewer: Any, qtbot: Any) -> None:
        self._qtbot = qtbot
        self._viewer = viewer
        self._canvas = viewer.window._qt_viewer.canvas
        self._backend = self._canvas._scene_canvas._backend

    def move(self, *point: float) -> None:
        self._backend._last_time = 0.0  # vispy leaves out moves within 10 ms
        self._backend._vispy_mouse_move(native=None, pos=self._on_canvas(point), modifiers=())
        self._qtbot.wait(BETWEEN_MOVES_MS)

    def press(self, *point: float, modifiers: tuple[str, ...] = ()) -> None:
        from vispy.util import keys

        held = tuple(getattr(keys, name) for name in modifiers)
        pos = self._on_canvas(point)
        self._backend._vispy_mouse_press(native=None, pos=pos, button=1, modifiers=held)

    def release(self, *point: float) -> None:
        pos = self._on_canvas(point)
        self._backend._vispy_mouse_release(native=None, pos=pos, button=1, modifiers=())

    def click(self, *point: float) -> None:
        self.press(*point)
        self.release(*point)

    def drag(self, *points: tuple[float, ...], modifiers: tuple[str, ...] = ()) -> None:
        self.press(*points[0], modifiers=modifiers)
        for point in points[1:]:
            self.move(*point)
        self.release(*points[-1])

    def key(self, key: str) -> None:
        self._canvas._key_map_handler.press_key(key)

    def _on_canvas(self, point: tuple[float, ...]) -> tuple[int, int]:
        layer = self._viewer.layers.selection.active
        world = np.asarray(layer.data_to_world(point))[-2:]
        view, _ = self._canvas._get_viewbox_at((400, 300))
        ends = [(0.0, 0.0), (100.0, 0.0), (0.0, 100.0)]
        origin, right, down = (
            np.asarray(self._canvas._map_canvas2world(end, view))[-2:] for end in ends
        )
        steps = np.column_stack([right - origin, down - origin]) / 100
        x, y = np.linalg.solve(steps, world - origin)
        return round(x), round(y)  # the overlay of the brush takes whole pixels


@pytest.fixture
def hand(viewer: Any, qtbot: Any) -> Hand:
    """``hand.click(y, x)``, ``hand.drag((y, x), (y, x))``, ``hand.key("Delete")``."""
    return Hand(viewer, qtbot)


@pytest.fixture
def open_correct(viewer: Any) -> Callable[[], Any]:
    """``open_correct()``: the dock "Correct"."""

    def open_correct() -> Any:
        _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Correct")
        return dock

    return open_correct
