"""Results as layers of the viewer: each with its run record, in place of the ones before."""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from napari_unet.settings import DECODING_FIELDS
from napari_unet.widgets.qt.blocker import Blocker
from napari_unet.widgets.viewer.label_colours import keep_colours, number_as
from napari_unet.widgets.viewer.layer_data import labels_data
from napari_unet.widgets.viewer.layer_image import RECORD_KEY, plain

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer

    from napari_unet.card import ModelCard
    from napari_unet.inference.results import Segmentation
    from napari_unet.inference.roi import RoiPrediction
    from napari_unet.widgets.viewer.placement import Placement

PLACE = ("scale", "translate", "rotate", "shear")  # and affine
COMPARED_BYTES = 1 << 26  # bytes that are compared, within a tenth of a second
SCORED_BY = (
    "model",
    "axes",
    "channels",
    "shape",
    "extent",
    "outline",
    "pixel_size",
    "zoom",
    "intensity_limits",
    "left_out",
)
"""What of a run record decides on the scores, beside the settings."""


@dataclass(frozen=True, eq=False)
class _Made:
    layer: Any
    name: str
    digest: int
    placement: Placement
    lies: tuple[Any, ...]  # the layer's transforms
    changes: list[object]  # grows with every stroke, and with data that another gives
    own_change: Blocker  # active while the data of the layer are set here
    replaced: tuple[tuple[tuple[Any, ...], Any], ...] = ()  # what stood in planes that are newer


# Results outlive the dock that made them: a dock that is opened later takes them up.
_made: WeakKeyDictionary[Image, list[_Made]] = WeakKeyDictionary()  # the latest last
_values: WeakKeyDictionary[Image, list[Layer]] = WeakKeyDictionary()
_images: WeakKeyDictionary[Layer, weakref.ref[Image]] = WeakKeyDictionary()
_previews: weakref.WeakSet[Layer] = weakref.WeakSet()


class ResultLayers:
    """Shows results; the latest one of an image takes the place of those before on the screen.

    Labels that differ in their decoding alone, as while a threshold moves, are put into the
    layer before, unless it was painted on, changed, renamed or moved. Any other result becomes a
    layer of its own; those under it are hidden, not removed, and those that somebody edited stay
    visible too. Results are found by the image layer itself: its name may change meanwhile, and
    another image may get the name that it had.

    Parameters
    ----------
    viewer : Viewer
        Where.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._scores: list[Any] = []
        viewer.layers.events.removed.connect(self._removed)
        viewer.layers.events.removed.connect(_forget_removed)  # once, also without a dock

    def show(
        self, found: Segmentation, image: Image, placement: Placement, *, decoded: bool = False
    ) -> Layer:
        """Show labels of an image, in place of earlier ones on the screen.

        ``decoded``: they come from the scores of the labels shown last.
        """
        self.drop_preview()
        labels, record = placement.lay(found.labels), found.record
        before = self._latest(image)
        if (
            before is not None
            and (decoded or _same_scores(before, record, labels))
            and self._untouched(before, placement)
        ):
            layer = before.layer
            earlier = layer.data
            with before.own_change:
                layer.data = labels
            keep_colours(layer, layer, earlier)
            layer.metadata = {**layer.metadata, RECORD_KEY: record}
            _made[image][-1] = replace(before, digest=_digest(labels), replaced=())
            return layer
        layer = add_labels(self._viewer, found, f"{image.name} labels", placement)
        if before is not None and all(map(_same, _lies(before.layer), _lies(layer))):
            keep_colours(layer, before.layer, before.layer.data)
        self._hide_under(layer, image)
        _images[plain(layer)] = weakref.ref(image)
        changes: list[object] = []
        own_change = Blocker()
        layer.events.paint.connect(lambda _: changes.append(None))
        layer.events.data.connect(lambda _: None if own_change.active else changes.append(None))
        digest = _digest(layer.data)
        made = _Made(layer, layer.name, digest, placement, _lies(layer), changes, own_change)
        _made.setdefault(image, []).append(made)
        return layer

    def show_plane(
        self,
        image: Image,
        placement: Placement,
        index: tuple[Any, ...],
        labels: NDArray[Any],
    ) -> bool:
        """Renew a part of an untouched result, until the whole follows; False where there is none.

        Parameters
        ----------
        image, placement
            Of the result, as in `show`.
        index : tuple of int or slice
            Which part of it, one per axis of the image but C.
        labels : array
            The new labels there, which get the numbers that the same objects have there now: so
            they keep their colours until the whole, with its own numbers, gets the colours.
        """
        made = self._latest(image)
        if made is None or not self._untouched(made, placement):
            return False
        index = placement.index(index)
        replaced = made.replaced
        if all(index != known for known, _ in replaced):
            replaced = (*replaced, (index, made.layer.data[index].copy()))
        made.layer.data[index] = number_as(made.layer.data, index, labels)
        made.layer.refresh()
        _made[image][-1] = replace(made, digest=_digest(made.layer.data), replaced=replaced)
        return True

    def put_back(self, image: Image, placement: Placement) -> None:
        """Undo `show_plane` where the whole does not follow, unless somebody worked on it."""
        made = self._latest(image)
        if made is None or not made.replaced or not self._untouched(made, placement):
            return
        for index, labels in reversed(made.replaced):
            made.layer.data[index] = labels
        made.layer.refresh()
        _made[image][-1] = replace(made, digest=_digest(made.layer.data), replaced=())

    def layer(self, image: Image) -> Layer | None:
        """The layer with the last labels of an image, where it still is."""
        made = self._latest(image)
        return made.layer if made is not None and made.layer in self._viewer.layers else None

    def image_of(self, layer: Layer) -> Image | None:
        """The image that a result is of, where both are still there."""
        known = _images.get(plain(layer))
        image = None if known is None else known()
        return image if image is not None and image in self._viewer.layers else None

    def show_values(
        self,
        found: RoiPrediction,
        image: Image,
        placement: Placement,
        *,
        preview: bool = False,
    ) -> list[Layer]:
        """Show predicted values, an image layer for each channel; a preview hides no others."""
        self.drop_preview()
        card = found.prediction.card
        name, count = f"{image.name} {card.name}", card.architecture.out_channels
        names = [name] if count == 1 else [f"{name} {channel}" for channel in range(count)]
        layers = self._add_values(found, names, placement)
        for layer in _values.get(image, []):
            if not preview and _overlap(layer, layers[0]):
                layer.visible = False
        _values.setdefault(image, []).extend(layers)
        return layers

    def show_scores(self, found: RoiPrediction, name: str, placement: Placement) -> None:
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

    def show_preview(self, found: Segmentation, name: str, placement: Placement) -> Layer:
        """Show labels of a part; the next preview or result takes them away."""
        self.drop_preview()
        layer = add_labels(self._viewer, found, name, placement)
        layer.editable = False  # nobody should work on what will vanish
        _previews.add(plain(layer))
        return layer

    def drop_preview(self) -> None:
        """Take the preview away, where it still is."""
        self.remove([layer for layer in self._viewer.layers if plain(layer) in _previews])

    def _add_values(
        self, found: RoiPrediction, names: list[str], placement: Placement, **look: Any
    ) -> list[Layer]:
        axes, record = found.prediction.axes, found.prediction.record
        return add_values(self._viewer, found.scores, axes, names, placement, record, **look)

    def _latest(self, image: Image) -> _Made | None:
        return next(reversed(_made.get(image, [])), None)

    def _hide_under(self, layer: Layer, image: Image) -> None:
        """Hide earlier results of an image where a new one lies, but for those that were edited."""
        for made in _made.get(image, []):
            if made.layer.visible and _overlap(made.layer, layer) and not _is_edited(made):
                made.layer.visible = False

    def _untouched(self, made: _Made, placement: Placement) -> bool:
        layer = made.layer
        return (
            layer in self._viewer.layers
            and layer.name == made.name
            and all(_same(placement[key], made.placement[key]) for key in placement)
            and not _is_edited(made)
        )

    def _removed(self, event: Any) -> None:
        self._scores = [layer for layer in self._scores if layer != event.value]


def _forget_removed(event: Any) -> None:
    """Hold no layer that is gone."""
    gone = event.value  # equal, not identical: the viewer gives plugins proxies
    for made in list(_made.values()):
        made[:] = [each for each in made if each.layer != gone]
    for values in list(_values.values()):
        values[:] = [layer for layer in values if layer != gone]


def channel_names(card: ModelCard) -> list[str]:
    """What the channels of a model's scores are called."""
    if card.task == "semantic":
        return [each.name for each in card.classes]
    from napari_unet.instances.maps import CHANNELS, check_representation

    return list(CHANNELS[check_representation(card.instances).name])


def _same_scores(made: _Made, record: dict[str, Any], labels: NDArray[Any]) -> bool:
    """Whether labels are those of a layer but for their decoding."""
    before: Any = made.layer.metadata.get(RECORD_KEY, {})
    settings = [dict(each.get("settings", {})) for each in (before, record)]
    if settings[0] == settings[1]:  # other labels are those of other pixels
        return made.digest == _digest(labels) and before.get("model") == record.get("model")
    scored = [{n: v for n, v in each.items() if n not in DECODING_FIELDS} for each in settings]
    same = all(before.get(key) == record.get(key) for key in SCORED_BY)
    return same and scored[0] == scored[1]


def _is_edited(made: _Made) -> bool:
    """Whether labels were painted on, replaced or moved since they were made."""
    layer = made.layer
    moved = not all(map(_same, _lies(layer), made.lies))
    return moved or bool(made.changes) or _digest(layer.data) != made.digest


def _overlap(layer: Layer, other: Layer) -> bool:
    """Whether two layers have a place in common, as far as their boxes in the world tell."""
    one, two = layer.extent.world, other.extent.world
    n = min(one.shape[1], two.shape[1])  # aligned from the last axis, as the viewer does it
    return bool((one[0, -n:] <= two[1, -n:]).all() and (two[0, -n:] <= one[1, -n:]).all())


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


def add_labels(viewer: Viewer, found: Segmentation, name: str, placement: Placement) -> Layer:
    """Show labels as a layer that carries its run record."""
    data, attributes, _ = labels_data(found, name, placement)
    return viewer.add_labels(data, **attributes)


def add_values(
    viewer: Viewer,
    values: Any,
    axes: str,
    names: Sequence[str],
    placement: Placement,
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
    placement : Placement
        Where they lie.
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
                placement.lay(values[index]),
                name=name,
                metadata={RECORD_KEY: record},
                **placement,
                **look,
            )
        )
    return layers
