"""Outlines of chosen objects over the image, in the plane that is shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.widgets.viewer.coordinates import position, unit_ratios
from napari_unet.widgets.viewer.layer_image import level_of, plain

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Labels

COLOUR = "#ffb000"  # seen on dark and on bright pixels, also by colour-blind people
LINE_PIXELS = 3  # of the screen
MOST_OBJECTS = 500
MOST_PIXELS = 1 << 24  # of the boxes that are read at once

Box = tuple[slice, ...]
"""Where an object lies, per axis of its layer."""


class ObjectOutline:
    """Lines around chosen objects of a layer; no layer of the viewer, and nothing without a canvas.

    In the 3D view, the edges of their boxes.

    Parameters
    ----------
    viewer : Viewer
        Where.
    colour : str
        Of the lines.
    width : float
        Of the lines, in pixels of the screen.
    """

    def __init__(self, viewer: Viewer, colour: str = COLOUR, width: float = LINE_PIXELS) -> None:
        self._viewer = plain(viewer)
        self._colour, self._width = colour, width
        self._layer: Labels | None = None
        self._objects: list[tuple[int, Box]] = []
        self._visual: Any = None
        for event in self._events():
            event.connect(self._redraw)

    def show(self, layer: Labels, objects: Sequence[tuple[int, Box]]) -> None:
        """Outline objects, told by label and box; only so many as can be drawn at once."""
        self._layer, self._objects = plain(layer), list(objects[:MOST_OBJECTS])
        self._redraw()

    def clear(self) -> None:
        """Outline nothing."""
        self._layer, self._objects = None, []
        self._redraw()

    def close(self) -> None:
        """Outline nothing, and follow the viewer no more."""
        self.clear()
        for event in self._events():
            event.disconnect(self._redraw)

    @property
    def lines(self) -> NDArray[np.float64]:
        """Ends of the lines in the world of the viewer, (2n, D) in pairs, D axes as displayed."""
        layer = self._layer
        if layer is None or layer not in self._viewer.layers or not layer.visible:
            return np.zeros((0, 2))
        dims, offset = self._viewer.dims, self._viewer.dims.ndim - layer.ndim
        shown = [axis - offset for axis in dims.displayed if axis >= offset]
        place = np.round(layer.world_to_data(position(self._viewer, layer))).astype(int)
        data = level_of(layer)
        found, read = [], 0
        for label, box in self._objects:
            hidden = [axis for axis in range(layer.ndim) if axis not in shown]
            if any(not box[axis].start <= place[axis] < box[axis].stop for axis in hidden):
                continue
            if len(shown) == 3:
                ends = _edges_of_box([box[axis] for axis in shown])
            else:
                index = tuple(
                    box[axis] if axis in shown else int(place[axis]) for axis in range(layer.ndim)
                )
                read += math.prod(box[axis].stop - box[axis].start for axis in shown)
                if read > MOST_PIXELS:
                    break
                mask = np.asarray(data[index]) == label
                order = np.argsort(np.argsort(shown))
                ends = outline_mask(mask.transpose(order))
                ends += [box[axis].start for axis in shown]
            full = np.tile(place.astype(float), (len(ends), 1))
            full[:, shown] = ends
            found.append(full)
        if not found:
            return np.zeros((0, 2))
        corner = np.asarray(layer.data_to_world(np.zeros(layer.ndim)), float)
        steps = [np.asarray(layer.data_to_world(row), float) for row in np.eye(layer.ndim)]
        world = np.concatenate(found) @ (np.array(steps) - corner) + corner
        return np.asarray((world / unit_ratios(self._viewer, layer))[:, shown], float)

    def _events(self) -> list[Any]:
        events = self._viewer.dims.events
        return [events.current_step, events.ndisplay, events.order]

    def _redraw(self, _: object = None) -> None:
        if self._visual is not None:
            with suppress(Exception):  # the canvas may be gone
                self._visual.parent = None
            self._visual = None
        ends = self.lines
        if not len(ends):
            return
        with suppress(AttributeError, KeyError, RuntimeError):  # no window, or another napari
            from vispy.scene.visuals import Line

            scene = self._viewer.window._qt_viewer.canvas.view.scene
            self._visual = Line(
                ends[:, ::-1], self._colour, self._width, connect="segments", parent=scene
            )
            self._visual.order = 1_000_000
            self._visual.set_gl_state(depth_test=False, blend=True)


def outline_mask(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Lines between the pixels of a mask and the others.

    Parameters
    ----------
    mask : (Y, X) bool array
        Of an object; beyond it there is none.

    Returns
    -------
    (2n, 2) float array
        Ends of n lines, in pairs, along the edges of pixels, whose middles are whole numbers.

    Examples
    --------
    >>> len(outline_mask(np.ones((2, 3), bool))) // 2
    10
    """
    padded = np.pad(mask, 1)
    found = []
    for axis in (0, 1):
        moved = np.diff(padded.astype(np.int8), axis=axis) != 0
        at = np.argwhere(moved).astype(float) - 1
        # a line across `axis`, half a pixel behind the first of both, as long as a pixel
        first, last = at.copy(), at.copy()
        first[:, axis] += 0.5
        last[:, axis] += 0.5
        first[:, 1 - axis] -= 0.5
        last[:, 1 - axis] += 0.5
        found.append(np.stack([first, last], 1).reshape(-1, 2))
    return np.concatenate(found)


def _edges_of_box(box: Sequence[slice]) -> NDArray[np.float64]:
    """The twelve edges of a box, as ends in pairs."""
    sides = [(part.start - 0.5, part.stop - 0.5) for part in box]
    ends = []
    for axis in range(3):
        for corner in product(*(sides[other] for other in range(3) if other != axis)):
            for end in sides[axis]:
                point = list(corner)
                point.insert(axis, end)
                ends.append(point)
    return np.array(ends)
