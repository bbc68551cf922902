"""Measuring the diameter of an object by drawing a line across it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import PushButton
from napari.layers import Shapes
from qtpy.QtCore import QTimer

from napari_unet.widgets.qt.form import Row
from napari_unet.widgets.viewer.shapes import TOOL_KEY

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer

NAME = "object diameter"
MEASURE = "Measure with a line"
TIP = (
    "Measure the diameter: draw a line across a typical object with the mouse. "
    "Of several lines the median counts."
)
DRAW = "Draw a line across a typical object; several lines give their median."
ONLY_2D = "Lines can be drawn in the 2D view only; switch to it below the layer list."
ONLY_YX = "Lines can be drawn only where the view shows the axes Y and X of the image."
NO_IMAGE = "Choose an image first."
FINISHED = ("added", "changed", "removed")
CLICK_PIXELS = 4.0  # of the screen; a shorter line was a click
LINE_PIXELS = 2.5  # width of a line on the screen
COLOUR = "#ffb000"  # seen on dark and on bright pixels, also by colour-blind people


class DiameterTool:
    """A button that lets the user draw lines across objects, and gives their median length.

    Its ``row`` is to be put under the field of the diameter; it says its own hints. The lines
    lie in a Shapes layer with the transform of the image, which goes when the button is
    pressed again.

    Parameters
    ----------
    viewer : Viewer
        Where the lines are drawn.
    on_measure : callable
        Gets the diameter in pixels of the image whenever a line was finished, edited or
        removed and some are left. Only the axes Y and X count, each pixel as long as any
        other: an anisotropic scale of the layer plays no part.
    """

    def __init__(self, viewer: Viewer, on_measure: Callable[[float], None]) -> None:
        self._viewer = viewer
        self._on_measure = on_measure
        self._image: Image | None = None
        self._axes = ""
        self.micrometres: float | None = None  # of a pixel, where they are known
        self._lines: Shapes | None = None
        self._before: list[Layer] = []
        self._modes: list[tuple[Layer, str]] = []
        self.button = PushButton(text=MEASURE)
        self.row = Row(self.button, " ", TIP)  # under the field, not under its label
        self.button.changed.connect(lambda _: self._pressed())
        viewer.dims.events.ndisplay.connect(self._view_changed)
        viewer.dims.events.order.connect(self._view_changed)
        viewer.layers.events.removed.connect(self._layer_removed)
        self._update_button()

    @property
    def active(self) -> bool:
        """Whether lines are being drawn."""
        return self._lines is not None

    @property
    def layer(self) -> Shapes | None:
        """The layer with the lines, while there is one."""
        return self._lines

    def set_image(self, layer: Image | None, axes: str) -> None:
        """Measure in another image; measuring in the earlier one ends.

        Parameters
        ----------
        layer : Image or None
            Whose pixels count.
        axes : str
            Of its array; where they are not known, the last two axes are taken as Y and X.
        """
        axes = axes if "Y" in axes and "X" in axes else ""
        moved = layer is not None and self._lines is not None and not _fits(self._lines, layer)
        if layer is self._image and axes == self._axes and not moved:
            return
        if layer is not self._image or moved:
            self.finish()
        self._image, self._axes = layer, axes
        self._view_changed()

    def start(self) -> None:
        """Add the layer to draw in and select it; nothing where that cannot be."""
        if self._image is None or self._obstacle():
            return
        layers = self._viewer.layers
        self._before = list(layers.selection)
        self._modes = [(layer, str(layer.mode)) for layer in layers if hasattr(layer, "mode")]
        left = [layer for layer in layers if _is_ours(layer) and _fits(layer, self._image)]
        lines = left[0] if left else None
        if lines is None:
            lines = self._add_layer(self._image)
        self._lines = lines
        lines.events.data.connect(self._lines_edited)
        layers.selection.active = lines
        lines.mode = "add_line"
        self._update_button()
        self._measure()

    def finish(self) -> None:
        """Take the lines away, and select what was selected before."""
        lines, layers = self._lines, self._viewer.layers
        if lines is None:
            return
        chosen = list(layers.selection)
        self._forget()
        if lines in layers:
            layers.remove(lines)
        # who has turned to another layer meanwhile stays there
        if chosen in ([lines], []):
            layers.selection.clear()
            layers.selection.update(layer for layer in self._before if layer in layers)
        for layer, mode in self._modes:
            if layer in layers and str(layer.mode) != mode:
                layer.mode = mode
        self._before, self._modes = [], []

    def close(self) -> None:
        """Stop listening to the viewer; for a dock that is closed. No widget is touched."""
        self._viewer.dims.events.ndisplay.disconnect(self._view_changed)
        self._viewer.dims.events.order.disconnect(self._view_changed)
        self._viewer.layers.events.removed.disconnect(self._layer_removed)
        if self._lines is not None:
            self._lines.events.data.disconnect(self._lines_edited)
            if self._lines in self._viewer.layers:
                self._viewer.layers.remove(self._lines)
        self._image, self._lines, self._before, self._modes = None, None, [], []

    def _add_layer(self, image: Image) -> Shapes:
        # bounded: the screen is misjudged where the viewer counts in another unit
        wide = min(LINE_PIXELS * _screen_pixel(image), float(image.extent.data[1].max()) / 50)
        layer = Shapes(
            ndim=image.ndim,
            name=NAME,
            scale=image.scale,
            translate=image.translate,
            rotate=image.rotate,
            shear=image.shear,
            affine=image.affine,
            units=image.units,
            axis_labels=image.axis_labels,
            edge_color=COLOUR,
            face_color="transparent",
            edge_width=wide,
            metadata={TOOL_KEY: "diameter"},
        )
        layer.current_edge_width = wide
        return self._viewer.add_layer(layer)

    def _plane(self, image: Image) -> list[int]:
        """The numbers of the axes Y and X among those of the layer."""
        axes = self._axes or "?" * (image.ndim - 2) + "YX"
        return [axes.index("Y"), axes.index("X")]

    def _obstacle(self) -> str:
        """Why no line can be drawn; empty where it can."""
        if self._image is None:
            return NO_IMAGE
        dims = self._viewer.dims
        if dims.ndisplay != 2:
            return ONLY_2D
        offset = dims.ndim - self._image.ndim  # layers are aligned at the last axes
        shown = sorted(axis - offset for axis in dims.displayed)
        return "" if shown == sorted(self._plane(self._image)) else ONLY_YX

    def _pressed(self) -> None:
        if self.active:
            self.finish()
        else:
            self.start()

    def _view_changed(self, _: object = None) -> None:
        if self._obstacle():
            self.finish()
        self._update_button()

    def _layer_removed(self, event: Any) -> None:
        if event.value is self._lines:
            self._forget()
            self._before, self._modes = [], []
        elif event.value is self._image:
            self.set_image(None, "")

    def _forget(self) -> None:
        if self._lines is not None:
            self._lines.events.data.disconnect(self._lines_edited)
            self._lines = None
        self._update_button()

    def _lines_edited(self, event: Any) -> None:
        action = str(event.action)
        if action in FINISHED and not (action == "added" and self._drop_click()):
            self._measure()

    def _drop_click(self) -> bool:
        """Take away what a click without a drag has left: a tiny line."""
        lines, image = self._lines, self._image
        if lines is None or image is None or not lines.data or lines.shape_type[-1] != "line":
            return False
        last = lines.data[-1]
        if length_of(last, self._plane(image)) >= CLICK_PIXELS * _screen_pixel(lines):
            return False
        QTimer.singleShot(0, lambda: _remove(lines, last))  # napari is still at work on it
        return True

    def _measure(self) -> None:
        lines, image = self._lines, self._image
        if lines is None or image is None:
            return
        lengths = [length for length in self._lengths(lines, image) if length > 0]
        if not lengths:
            self.row.show_message(DRAW)
            return
        diameter = float(np.median(lengths))
        count = len(lengths)
        of = "1 line" if count == 1 else f"Median of {count} lines"
        size = self.micrometres
        long = f"{diameter:.1f} px" if size is None else f"{diameter * size:.4g} µm"
        self.row.show_message(f"{of}: {long}. Draw more, or press Done.")
        self._on_measure(diameter)

    def _lengths(self, lines: Shapes, image: Image) -> list[float]:
        plane = self._plane(image)
        return [
            length_of(vertices, plane)
            for vertices, kind in zip(lines.data, lines.shape_type, strict=True)
            if kind == "line"
        ]

    def _update_button(self) -> None:
        obstacle = self._obstacle()
        self.button.text = "Done" if self.active else MEASURE
        self.button.enabled = self.active or not obstacle
        self.row.show_message(DRAW if self.active else obstacle if obstacle != NO_IMAGE else "")


def length_of(vertices: Any, plane: Sequence[int]) -> float:
    """Length of a line in the plane of two axes.

    >>> length_of([[7, 0, 0], [9, 3, 4]], (1, 2))
    5.0
    """
    first, last = np.asarray(vertices, float)[:2, list(plane)]
    return float(np.linalg.norm(last - first))


def _screen_pixel(layer: Layer) -> float:
    """Pixels of a layer per pixel of the screen, as napari reckons for its handles."""
    return float(layer.scale_factor) / max(abs(float(layer.scale[-1])), 1e-12)


def _is_ours(layer: Any) -> bool:
    return isinstance(layer, Shapes) and layer.metadata.get(TOOL_KEY) == "diameter"


def _fits(lines: Shapes, image: Image) -> bool:
    """Whether lines lie over an image, pixel on pixel."""
    return lines.ndim == image.ndim and all(
        np.allclose(a, b)
        for a, b in (
            (lines.scale, image.scale),
            (lines.translate, image.translate),
            (lines.rotate, image.rotate),
            (lines.shear, image.shear),
            (lines.affine.affine_matrix, image.affine.affine_matrix),
        )
    )


def _remove(lines: Shapes, vertices: Any) -> None:
    """Remove a line, where it still is."""
    found = [i for i, data in enumerate(lines.data) if np.array_equal(data, vertices)]
    if found:
        lines.selected_data = set(found[:1])
        lines.remove_selected()
