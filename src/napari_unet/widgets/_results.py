"""Layers that a dock has made: renewed by the next run, unless somebody worked on them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.widgets._layers import RECORD_KEY, add_labels, add_values

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

    from napari_unet.card import ModelCard
    from napari_unet.extent_prediction import ExtentPrediction

LARGEST = 1 << 26  # bytes that are compared, within a tenth of a second


@dataclass(frozen=True, eq=False)
class _Made:
    layer: Any
    name: str
    digest: int
    placement: dict[str, Any]
    painted: list[object]  # grows with every stroke
    unfinished: bool = False  # one plane is newer than the others


class ResultLayers:
    """Shows results; one that nobody touched gives way to the next of the same image.

    A layer that was painted on, changed, renamed or moved stays, and the next result becomes
    another layer.

    Parameters
    ----------
    viewer : Viewer
        Where.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._made: dict[str, _Made] = {}
        self._preview: Any = None
        self._scores: list[Any] = []

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
        if before is not None and _same_look(before, record) and self._untouched(before, placement):
            layer = before.layer
            layer.data = labels
            layer.metadata = {**layer.metadata, RECORD_KEY: record}
            self._made[name] = replace(before, digest=_digest(labels), unfinished=False)
            return layer
        layer = add_labels(self._viewer, labels, name, placement, record, card)
        strokes: list[object] = []
        layer.events.paint.connect(lambda _: strokes.append(None))
        self._made[name] = _Made(layer, layer.name, _digest(layer.data), placement, strokes)
        return layer

    def show_plane(
        self, name: str, placement: dict[str, Any], index: tuple[Any, ...], labels: NDArray[Any]
    ) -> bool:
        """Renew a part of an untouched result, until the whole follows; False where there is none.

        Parameters
        ----------
        name, placement
            Of the result, as in `show`.
        index : tuple of int or slice
            Which part of its data.
        labels : array
            The new labels there.
        """
        made = self._made.get(name)
        if made is None or not self._untouched(made, placement):
            return False
        made.layer.data[index] = labels
        made.layer.refresh()
        self._made[name] = replace(made, unfinished=True)
        return True

    def layer(self, name: str) -> Layer | None:
        """The layer that was last shown under a name, where it still is."""
        made = self._made.get(name)
        return made.layer if made is not None and made.layer in self._viewer.layers else None

    def show_values(
        self, found: ExtentPrediction, name: str, placement: dict[str, Any]
    ) -> list[Layer]:
        """Show predicted values, an image layer for each channel."""
        self.drop_preview()
        prediction = found.prediction
        count = prediction.card.architecture.out_channels
        names = [name] if count == 1 else [f"{name} {channel}" for channel in range(count)]
        axes, record = prediction.axes, prediction.record
        return add_values(self._viewer, found.scores, axes, names, placement, record)

    def show_scores(self, found: ExtentPrediction, name: str, placement: dict[str, Any]) -> None:
        """Show scores as image layers under the others, in place of those before."""
        self.drop_scores()
        active = self._viewer.layers.selection.active
        prediction = found.prediction
        names = [f"{name} {channel}" for channel in channel_names(prediction.card)]
        axes, record = prediction.axes, prediction.record
        self._scores = add_values(self._viewer, found.scores, axes, names, placement, record)
        for layer in self._scores:
            layer.visible = False  # at hand, but not in the way of the labels
            layer.contrast_limits = (0, 1)
            self._viewer.layers.move(self._viewer.layers.index(layer), 0)
        self._viewer.layers.selection.active = active

    def drop_scores(self) -> None:
        """Take the scores away, where they still are."""
        for layer in self._scores:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._scores = []

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
            and not made.painted
            and (made.unfinished or _digest(layer.data) == made.digest)
            and all(_same(placement[key], made.placement[key]) for key in placement)
            and all(_same(getattr(layer, key), placement[key]) for key in ("scale", "translate"))
        )


def channel_names(card: ModelCard) -> list[str]:
    """What the channels of a model's scores are called."""
    if card.task == "semantic":
        return [each.name for each in card.classes]
    from napari_unet.instances import CHANNELS

    return list(CHANNELS)


def _same_look(made: _Made, record: dict[str, Any]) -> bool:
    """Whether a layer's colours and names suit a new result: both are of one model."""
    before: Any = made.layer.metadata.get(RECORD_KEY, {})
    return bool(before.get("model") == record.get("model"))


def _same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(np.asarray(a), np.asarray(b)))


def _digest(data: NDArray[Any]) -> int:
    """A checksum; of very large data one over a part of the rows, to be quick."""
    shape = repr((data.shape, data.dtype.str)).encode()
    rows = data.reshape(-1, data.shape[-1])
    step = -(-data.nbytes // LARGEST)
    return zlib.crc32(np.ascontiguousarray(rows[::step]).data, zlib.crc32(shape))
