"""Results as layers of the viewer: each with its run record, renewed unless somebody edited it."""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from napari_unet.widgets.qt.blocker import Blocker
from napari_unet.widgets.viewer.layer_image import RECORD_KEY, plain

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer

    from napari_unet.card import ModelCard
    from napari_unet.inference.results import Segmentation
    from napari_unet.inference.roi import RoiPrediction

PLACE = ("scale", "translate", "rotate", "shear")  # and affine
COMPARED_BYTES = 1 << 26  # bytes that are compared, within a tenth of a second


@dataclass(frozen=True, eq=False)
class _Made:
    layer: Any
    name: str
    digest: int
    placement: dict[str, Any]
    lies: tuple[Any, ...]  # the layer's transforms
    changes: list[object]  # grows with every stroke, and with data that another gives
    replaced: tuple[tuple[tuple[Any, ...], Any], ...] = ()  # what stood in planes that are newer


class ResultLayers:
    """Shows results; one that nobody touched gives way to the next of the same image.

    A layer that was painted on, changed, renamed or moved stays, and the next result becomes
    another layer. Results are found by the image layer itself: its name may change meanwhile,
    and another image may get the name that it had.

    Parameters
    ----------
    viewer : Viewer
        Where.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._made: WeakKeyDictionary[Image, _Made] = WeakKeyDictionary()
        self._images: WeakKeyDictionary[Layer, weakref.ref[Image]] = WeakKeyDictionary()
        self._preview: Any = None
        self._scores: list[Any] = []
        self._own_change = Blocker()  # data of a layer that is set here
        viewer.layers.events.removed.connect(self._removed)

    def show(self, found: Segmentation, image: Image, placement: dict[str, Any]) -> Layer:
        """Show labels of an image, in place of an untouched result of that image."""
        self.drop_preview()
        labels, record = found.labels, found.record
        before = self._made.get(image)
        if before is not None and _same_look(before, record) and self._untouched(before, placement):
            layer = before.layer
            with self._own_change:
                layer.data = labels
            layer.metadata = {**layer.metadata, RECORD_KEY: record}
            self._made[image] = replace(before, digest=_digest(labels), replaced=())
            return layer
        layer = add_labels(self._viewer, found, f"{image.name} labels", placement)
        self._images[plain(layer)] = weakref.ref(image)
        changes: list[object] = []
        layer.events.paint.connect(lambda _: changes.append(None))
        layer.events.data.connect(
            lambda _: None if self._own_change.active else changes.append(None)
        )
        digest = _digest(layer.data)
        self._made[image] = _Made(layer, layer.name, digest, placement, _lies(layer), changes)
        return layer

    def show_plane(
        self,
        image: Image,
        placement: dict[str, Any],
        index: tuple[Any, ...],
        labels: NDArray[Any],
    ) -> bool:
        """Renew a part of an untouched result, until the whole follows; False where there is none.

        Parameters
        ----------
        image, placement
            Of the result, as in `show`.
        index : tuple of int or slice
            Which part of its data.
        labels : array
            The new labels there.
        """
        made = self._made.get(image)
        if made is None or not self._untouched(made, placement):
            return False
        replaced = made.replaced
        if all(index != known for known, _ in replaced):
            replaced = (*replaced, (index, made.layer.data[index].copy()))
        made.layer.data[index] = labels
        made.layer.refresh()
        self._made[image] = replace(made, digest=_digest(made.layer.data), replaced=replaced)
        return True

    def put_back(self, image: Image, placement: dict[str, Any]) -> None:
        """Undo `show_plane` where the whole does not follow, unless somebody worked on it."""
        made = self._made.get(image)
        if made is None or not made.replaced or not self._untouched(made, placement):
            return
        for index, labels in reversed(made.replaced):
            made.layer.data[index] = labels
        made.layer.refresh()
        self._made[image] = replace(made, digest=_digest(made.layer.data), replaced=())

    def layer(self, image: Image) -> Layer | None:
        """The layer with the last labels of an image, where it still is."""
        made = self._made.get(image)
        return made.layer if made is not None and made.layer in self._viewer.layers else None

    def image_of(self, layer: Layer) -> Image | None:
        """The image that a result is of, where both are still there."""
        known = self._images.get(plain(layer))
        image = None if known is None else known()
        return image if image is not None and image in self._viewer.layers else None

    def show_values(
        self, found: RoiPrediction, name: str, placement: dict[str, Any]
    ) -> list[Layer]:
        """Show predicted values, an image layer for each channel."""
        self.drop_preview()
        count = found.prediction.card.architecture.out_channels
        names = [name] if count == 1 else [f"{name} {channel}" for channel in range(count)]
        return self._add_values(found, names, placement)

    def show_scores(self, found: RoiPrediction, name: str, placement: dict[str, Any]) -> None:
        """Show scores as image layers under the others, in place of those before."""
        self.drop_scores()
        active = self._viewer.layers.selection.active
        names = [f"{name} {channel}" for channel in channel_names(found.prediction.card)]
        # hidden: at hand, but not in the way of the labels
        look = {"visible": False, "contrast_limits": (0, 1)}
        self._scores = self._add_values(found, names, placement, **look)
        for layer in self._scores:
            self._viewer.layers.move(self._viewer.layers.index(layer), 0)
        self._viewer.layers.selection.active = active

    @property
    def has_scores(self) -> bool:
        """Whether scores are shown."""
        return bool(self._scores)

    def drop_scores(self) -> None:
        """Take the scores away, where they still are."""
        self.remove(self.let_go_of_scores())

    def let_go_of_scores(self) -> list[Layer]:
        """The layers with the scores, which are left to the caller."""
        scores, self._scores = self._scores, []
        return scores

    def remove(self, layers: list[Layer]) -> None:
        """Take layers away, where they still are."""
        for layer in layers:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def show_preview(self, found: Segmentation, name: str, placement: dict[str, Any]) -> Layer:
        """Show labels of a part; the next preview or result takes them away."""
        self.drop_preview()
        self._preview = add_labels(self._viewer, found, name, placement)
        self._preview.editable = False  # nobody should work on what will vanish
        return self._preview

    def drop_preview(self) -> None:
        """Take the preview away, where it still is."""
        if self._preview is not None and self._preview in self._viewer.layers:
            self._viewer.layers.remove(self._preview)
        self._preview = None

    def _add_values(
        self, found: RoiPrediction, names: list[str], placement: dict[str, Any], **look: Any
    ) -> list[Layer]:
        axes, record = found.prediction.axes, found.prediction.record
        return add_values(self._viewer, found.scores, axes, names, placement, record, **look)

    def _untouched(self, made: _Made, placement: dict[str, Any]) -> bool:
        layer = made.layer
        return (
            layer in self._viewer.layers
            and layer.name == made.name
            and not made.changes
            and _digest(layer.data) == made.digest
            and all(_same(placement[key], made.placement[key]) for key in placement)
            and all(map(_same, _lies(layer), made.lies))
        )

    def _removed(self, event: Any) -> None:
        """Hold no layer that is gone."""
        gone = event.value  # equal, not identical: the viewer gives plugins proxies
        for image in [image for image, made in self._made.items() if made.layer == gone]:
            del self._made[image]
        self._scores = [layer for layer in self._scores if layer != gone]
        if self._preview == gone:
            self._preview = None


def channel_names(card: ModelCard) -> list[str]:
    """What the channels of a model's scores are called."""
    if card.task == "semantic":
        return [each.name for each in card.classes]
    from napari_unet.instances.maps import CHANNELS

    return list(CHANNELS)


def _same_look(made: _Made, record: dict[str, Any]) -> bool:
    """Whether a layer's colours and names suit a new result: both are of one model."""
    before: Any = made.layer.metadata.get(RECORD_KEY, {})
    return bool(before.get("model") == record.get("model"))


def _lies(layer: Any) -> tuple[Any, ...]:
    """Where a layer lies; copies, since napari changes some of them in place."""
    parts = [getattr(layer, key) for key in PLACE]
    return tuple(np.array(part) for part in (*parts, layer.affine.affine_matrix))


def _same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(np.asarray(a), np.asarray(b)))


def _digest(data: NDArray[Any]) -> int:
    """A checksum; of very large data one over a part of the rows, to be quick.

    It finds what a script writes into the data; the layer tells of all else.
    """
    shape = repr((data.shape, data.dtype.str)).encode()
    rows = data.reshape(-1, data.shape[-1])
    step = -(-data.nbytes // COMPARED_BYTES)
    return zlib.crc32(np.ascontiguousarray(rows[::step]).data, zlib.crc32(shape))


def add_labels(viewer: Viewer, found: Segmentation, name: str, placement: dict[str, Any]) -> Layer:
    """Show labels as a layer that carries its run record.

    Classes get the colours of the model's card, and their names in the status bar.
    """
    look: dict[str, Any] = {}
    card = found.card
    if card.task == "semantic":
        from napari.utils.colormaps import DirectLabelColormap

        colours: dict[int | None, Any] = {c.value: c.colour for c in card.classes}
        look["colormap"] = DirectLabelColormap(
            color_dict={**colours, 0: "transparent", None: "transparent"}
        )
        look["features"] = {
            "index": [c.value for c in card.classes],
            "class": [c.name for c in card.classes],
        }
    metadata = {RECORD_KEY: found.record}
    return viewer.add_labels(found.labels, name=name, metadata=metadata, **placement, **look)


def compile_colours(dtype: Any) -> None:
    """Compile napari's map from labels to colours for a data type.

    Its first use takes seconds, in which the window would stand still: call this in a worker.
    """
    from napari.utils.colormaps import DirectLabelColormap

    colours: dict[int | None, Any] = {0: "transparent", 1: "white", None: "transparent"}
    DirectLabelColormap(color_dict=colours).map(np.ones((2, 2), dtype))


def add_values(
    viewer: Viewer,
    values: Any,
    axes: str,
    names: Sequence[str],
    placement: dict[str, Any],
    record: dict[str, Any],
    **look: Any,
) -> list[Layer]:
    """Show predicted values, an image layer for each channel.

    Parameters
    ----------
    viewer : Viewer
        Where.
    values : array
        With an axis C among ``axes``; a lazy one is not read.
    axes : str
        Of ``values``.
    names : sequence of str
        Of the layers, one per channel.
    placement : dict
        From `LayerImage.placement`.
    record : dict
        The run record.
    **look
        Further arguments of ``viewer.add_image``.
    """
    axis = axes.index("C")
    layers = []
    for channel, name in enumerate(names):
        index = tuple(channel if i == axis else slice(None) for i in range(values.ndim))
        layers.append(
            viewer.add_image(
                values[index],
                name=name,
                metadata={RECORD_KEY: record},
                **placement,
                **look,
            )
        )
    return layers


class _OnDisk:
    """An array on disk; the folder around it goes when nobody holds this any more."""

    def __init__(self, array: Any, folder: TemporaryDirectory[str] | None) -> None:
        self._array = array
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim
        if folder is not None:
            weakref.finalize(self, folder.cleanup)

    def __getitem__(self, index: Any) -> Any:
        return np.asarray(self._array[index])


def lazily(found: RoiPrediction, folder: TemporaryDirectory[str] | None) -> RoiPrediction:
    """Scores that a layer can show without reading all of them.

    Parameters
    ----------
    found : RoiPrediction
        Scores in memory stay as they are.
    folder : TemporaryDirectory or None
        Where scores on disk lie. It is removed with the last layer that shows them.
    """
    values = found.prediction.scores
    if isinstance(values, np.ndarray):
        return found
    import dask.array

    lazy = dask.array.from_array(  # type: ignore[no-untyped-call]
        _OnDisk(values, folder),
        chunks=values.chunks,
        name=False,  # else all is read for a checksum
        fancy=False,
        inline_array=True,
        meta=np.empty((0,) * values.ndim, values.dtype),
    )
    return replace(found, prediction=replace(found.prediction, scores=lazy))
