"""Painted labels name their image; they follow when it gets another name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels

from napari_unet.widgets.annotation.marks import marks_of, set_marks

if TYPE_CHECKING:
    from napari import Viewer


class ImageNames:
    """Follows the names of a viewer's images in the marks of its labels.

    Parameters
    ----------
    viewer : Viewer
        Whose layers.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._names: list[tuple[Image, str]] = []
        events = viewer.layers.events
        self._connected = [
            (events.inserted, self._look),
            (events.removed, self._look),
            (events.renamed, self._follow),
        ]
        for event, callback in self._connected:
            event.connect(callback)
        self._look()

    def close(self) -> None:
        """Follow no more."""
        for event, callback in self._connected:
            event.disconnect(callback)
        self._connected, self._names = [], []

    def _look(self, _: Any = None) -> None:
        self._names = [(each, each.name) for each in self._viewer.layers if isinstance(each, Image)]

    def _follow(self, _: Any) -> None:
        names = [image.name for image, _ in self._names]
        if len(set(names)) < len(names):
            return  # the viewer is about to tell them apart
        renamed = {old: image.name for image, old in self._names if image.name != old}
        self._look()
        for layer in self._viewer.layers:
            marks = marks_of(layer) if isinstance(layer, Labels) else None
            if marks is not None and marks.image in renamed:
                set_marks(layer, replace(marks, image=renamed[marks.image]))
