"""The one watch of a Labels layer: which planes were painted on, and when its marks change."""

from __future__ import annotations

import weakref
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_unet.errors import InputError
from napari_unet.widgets.annotation.marks import Plane, marks_for
from napari_unet.widgets.viewer.layer_image import level_of, plain

if TYPE_CHECKING:
    from napari.layers import Labels

RECENT_PLANES = 200  # that undo may change; it goes back over a hundred strokes

_watches: weakref.WeakKeyDictionary[Labels, LayerWatch] = weakref.WeakKeyDictionary()


def watch_layer(layer: Labels) -> LayerWatch:
    """The watch of a layer, the same one for all who ask."""
    layer = plain(layer)
    if layer not in _watches:
        _watches[layer] = LayerWatch(layer)
    return _watches[layer]


class LayerWatch:
    """Emits signals for what happens to a Labels layer; connect to them, and disconnect.

    Parameters
    ----------
    layer : Labels
        Which is not kept alive by this.
    """

    touched = Signal(object)
    """Planes (time point, z) that strokes, fills, undo, redo or scripts may have changed; an
    empty set where the viewer only drew the layer anew; None where any plane may have changed."""

    marked = Signal()
    """The metadata of the layer changed, where its marks are."""

    def __init__(self, layer: Labels) -> None:
        self._layer = weakref.ref(layer)
        self._recent: dict[Plane, None] = {}  # in order
        self._lengths = self._history_lengths()
        events = layer.events
        events.paint.connect(self._note_stroke)
        events.set_data.connect(self._note_refresh)  # undo, redo, refresh; and the sliders
        events.visible.connect(self._note_refresh)
        events.data.connect(self._note_new_data)
        events.metadata.connect(self._note_marks)

    def _note_stroke(self, event: Any) -> None:
        planes = self._planes_of(getattr(event, "value", None))
        if planes is not None:
            self._lengths = self._history_lengths()
            for plane in planes:
                self._recent.pop(plane, None)
                self._recent[plane] = None
            while len(self._recent) > RECENT_PLANES:
                self._recent.pop(next(iter(self._recent)))
        self.touched.emit(planes)

    def _note_refresh(self, _: Any = None) -> None:
        before, self._lengths = self._lengths, self._history_lengths()
        same = before is not None and before == self._lengths
        self.touched.emit(set() if same else set(self._recent))

    def _note_new_data(self, _: Any = None) -> None:
        self._recent = {}
        self.touched.emit(None)

    def _note_marks(self, _: Any = None) -> None:
        self.marked.emit()

    def _history_lengths(self) -> tuple[int, int] | None:
        """How many strokes can be undone and redone; None where napari does not say."""
        layer: Any = self._layer()
        try:
            return len(layer._undo_history), len(layer._redo_history)
        except (AttributeError, TypeError):
            return None

    def _planes_of(self, atoms: Any) -> set[Plane] | None:
        """The planes that a step of the history changed; None where it does not say."""
        layer: Any = self._layer()
        try:
            axes, shape = marks_for(layer).axes, level_of(layer).shape
            return {plane for atom in atoms for plane in _planes_of_atom(atom, axes, shape)}
        except (AttributeError, IndexError, TypeError, ValueError, InputError):
            return None


def _planes_of_atom(atom: Any, axes: str, shape: tuple[int, ...]) -> set[Plane]:
    # napari up to 0.8 keeps index arrays; later ones the box around a mask
    index = getattr(atom, "slice_key", None)
    index = tuple(atom[0]) if index is None else index
    along = []
    for axis in "TZ":
        if axis not in axes:
            along.append(np.zeros(1, int))
            continue
        i = axes.index(axis)
        part = np.arange(shape[i])[index[i]] if isinstance(index[i], slice) else index[i]
        along.append(np.unique(np.asarray(part)))
    return {(int(t), int(z)) for t, z in product(*along)}
