"""Hearing which planes of a Labels layer were worked on."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.widgets.annotation.marks import Plane
from napari_unet.widgets.viewer.layer_image import level_of

if TYPE_CHECKING:
    from napari.layers import Labels

REMEMBERED = 200  # planes; undo goes back over a hundred strokes


class TouchWatch:
    """Tells of the planes that strokes, fills, undo, redo and scripts may have changed.

    Parameters
    ----------
    layer : Labels
        Painted labels.
    axes : str
        Of the labels.
    on_touch : callable
        Called with a set of (time point, z), which may have changed; or with None where
        nothing is known, so that any may have.
    """

    def __init__(
        self, layer: Labels, axes: str, on_touch: Callable[[set[Plane] | None], None]
    ) -> None:
        self._layer = layer
        self._axes = axes
        self._on_touch = on_touch
        self._recent: dict[Plane, None] = {}  # in order
        self._lengths = self._history()
        events = layer.events
        self._connected = [
            (events.paint, self._painted),
            (events.set_data, self._renewed),  # undo, redo, refresh; and the sliders
            (events.visible, self._renewed),
            (events.data, self._replaced),
        ]
        for event, callback in self._connected:
            event.connect(callback)

    def close(self) -> None:
        """Hear no more."""
        for event, callback in self._connected:
            event.disconnect(callback)
        self._connected = []

    def _painted(self, event: Any) -> None:
        planes = self._planes(getattr(event, "value", None))
        if planes is None:
            self._on_touch(None)
            return
        self._lengths = self._history()
        for plane in planes:
            self._recent.pop(plane, None)
            self._recent[plane] = None
        while len(self._recent) > REMEMBERED:
            self._recent.pop(next(iter(self._recent)))
        self._on_touch(planes)

    def _renewed(self, _: Any = None) -> None:
        lengths, self._lengths = self._lengths, self._history()
        slider = lengths is not None and lengths == self._lengths  # or a refresh
        self._on_touch(set() if slider else set(self._recent))

    def _history(self) -> tuple[int, int] | None:
        """How many strokes can be undone and redone; None where napari does not say."""
        layer = getattr(self._layer, "__wrapped__", self._layer)  # the viewer gives proxies
        try:
            return len(layer._undo_history), len(layer._redo_history)
        except (AttributeError, TypeError):
            return None

    def _replaced(self, _: Any = None) -> None:
        self._recent = {}
        self._on_touch(None)

    def _planes(self, atoms: Any) -> set[Plane] | None:
        """The planes that a step of the history changed; None where it does not say."""
        try:
            return {plane for atom in atoms for plane in self._of_atom(atom)}
        except (AttributeError, IndexError, TypeError, ValueError):
            return None

    def _of_atom(self, atom: Any) -> set[Plane]:
        # napari up to 0.8 keeps index arrays; later ones the box around a mask
        index = getattr(atom, "slice_key", None)
        index = tuple(atom[0]) if index is None else index
        sizes = level_of(self._layer).shape
        along = []
        for axis in "TZ":
            if axis not in self._axes:
                along.append(np.zeros(1, int))
                continue
            i = self._axes.index(axis)
            part = index[i]
            numbers = np.arange(sizes[i])[part] if isinstance(part, slice) else part
            along.append(np.unique(np.asarray(numbers)))
        return {(int(t), int(z)) for t, z in product(*along)}
