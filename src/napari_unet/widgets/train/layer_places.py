"""Layers that are moved: another place may mean other labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from napari.layers import Image, Labels

from napari_unet.widgets.viewer.layer_image import RECORD_KEY

PLACE_EVENTS = ("scale", "translate", "rotate", "shear", "affine", "units")


class LayerPlaces:
    """Tells when an image or its labels were moved; results and previews do not count.

    Parameters
    ----------
    on_moved : callable
        Called with the layer.
    """

    def __init__(self, on_moved: Callable[[Any], None]) -> None:
        self._on_moved = on_moved
        self._watched: list[tuple[Any, Callable[[Any], None]]] = []

    def watch(self, layers: Iterable[Any]) -> None:
        """Listen to these layers, and to no others."""
        wanted = [layer for layer in layers if isinstance(layer, Image | Labels)]
        kept = []
        for layer, callback in self._watched:
            if layer in wanted:
                kept.append((layer, callback))
                continue
            for name in PLACE_EVENTS:
                getattr(layer.events, name).disconnect(callback)
        known = [layer for layer, _ in kept]
        self._watched = kept + [
            (layer, self._listen(layer)) for layer in wanted if layer not in known
        ]

    def _listen(self, layer: Any) -> Callable[[Any], None]:
        def moved(_: Any = None) -> None:
            if RECORD_KEY not in layer.metadata:
                self._on_moved(layer)

        for name in PLACE_EVENTS:
            getattr(layer.events, name).connect(moved)
        return moved
