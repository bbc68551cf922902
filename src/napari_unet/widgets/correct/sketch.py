"""What the mouse is drawing, shown over the labels while it draws."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari import Viewer

    from napari_unet.correction.edits import Point
    from napari_unet.widgets.correct.target import Target

COLOUR = "#ffb000"  # seen on dark and on bright pixels, also by colour-blind people
LINE_PIXELS = 2  # of the screen
DOT_PIXELS = 12  # of the screen


class Sketch:
    """A line or dots over a layer; nothing where there is no canvas.

    Parameters
    ----------
    viewer : Viewer
        Where.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._visuals: list[Any] = []

    def draw(self, target: Target, points: Sequence[Point], *, closed: bool) -> None:
        """Show a line through pixels."""
        from vispy.scene.visuals import Line

        self.clear()
        pos = self._place(target, [*points, points[0]] if closed else points)
        self._add(target, lambda node: Line(pos, COLOUR, LINE_PIXELS, parent=node))

    def mark(self, target: Target, points: Sequence[Point]) -> None:
        """Show dots on pixels."""
        from vispy.scene.visuals import Markers

        self.clear()
        pos = self._place(target, points)
        look = {"size": DOT_PIXELS, "face_color": COLOUR, "edge_color": "black"}
        self._add(target, lambda node: Markers(pos=pos, parent=node, **look))

    def clear(self) -> None:
        """Show nothing."""
        for visual in self._visuals:
            with suppress(Exception):  # the canvas may be gone
                visual.parent = None
        self._visuals = []

    def _place(self, target: Target, points: Sequence[Point]) -> Any:
        shown = list(target.layer._slice_input.displayed)
        return np.asarray(points, np.float32)[:, shown[::-1]] + 0.5  # centres of pixels

    def _add(self, target: Target, make: Any) -> None:
        with suppress(AttributeError, KeyError, RuntimeError):  # no window, or another napari
            canvas = self._viewer.window._qt_viewer.canvas
            visual = make(canvas.layer_to_visual[target.layer].node)
            visual.order = 1_000_000
            visual.set_gl_state(depth_test=False, blend=True)
            self._visuals.append(visual)
