"""Layers that a dock has made: renewed by the next run, unless somebody worked on them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.widgets._layers import RECORD_KEY, add_labels

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

    from napari_unet.card import ModelCard

LARGEST = 1 << 28  # bytes that are compared at once; larger results are never renewed


@dataclass(frozen=True, eq=False)
class _Made:
    layer: Any
    name: str
    digest: int
    placement: dict[str, Any]


class ResultLayers:
    """Shows results; one that nobody touched gives way to the next of the same image.

    A layer that was painted on, renamed, moved or is very large stays, and the next result
    becomes another layer.

    Parameters
    ----------
    viewer : Viewer
        Where.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._made: dict[str, _Made] = {}
        self._preview: Any = None

    def show(
        self,
        labels: Any,
        name: str,
        placement: dict[str, Any],
        record: dict[str, Any],
        card: ModelCard,
    ) -> Layer:
        """Show labels under a name, in place of an untouched result of that name."""
        self.drop_preview()
        before = self._made.get(name)
        if before is not None and card.task == "instance" and self._untouched(before, placement):
            layer = before.layer
            layer.data = labels
            layer.metadata = {**layer.metadata, RECORD_KEY: record}
        else:
            layer = add_labels(self._viewer, labels, name, placement, record, card)
        self._made[name] = _Made(layer, layer.name, _digest(layer.data), placement)
        return layer

    def show_preview(
        self,
        labels: Any,
        name: str,
        placement: dict[str, Any],
        record: dict[str, Any],
        card: ModelCard,
    ) -> Layer:
        """Show labels of a part; the next preview or result takes them away."""
        self.drop_preview()
        self._preview = add_labels(self._viewer, labels, name, placement, record, card)
        self._preview.editable = False  # nobody should work on what will vanish
        return self._preview

    def drop_preview(self) -> None:
        """Take the preview away, where it still is."""
        if self._preview is not None and self._preview in self._viewer.layers:
            self._viewer.layers.remove(self._preview)
        self._preview = None

    def _untouched(self, made: _Made, placement: dict[str, Any]) -> bool:
        layer = made.layer
        return (
            layer in self._viewer.layers
            and layer.name == made.name
            and made.digest != 0
            and _digest(layer.data) == made.digest
            and all(_same(placement[key], made.placement[key]) for key in placement)
            and all(_same(getattr(layer, key), placement[key]) for key in ("scale", "translate"))
        )


def _same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(np.asarray(a), np.asarray(b)))


def _digest(data: Any) -> int:
    """A checksum, which is never 0 but for data that are not compared."""
    if not isinstance(data, np.ndarray) or data.nbytes > LARGEST:
        return 0
    shape = repr((data.shape, data.dtype.str)).encode()
    return zlib.crc32(np.ascontiguousarray(data).data, zlib.crc32(shape)) + 1
