"""What a model in training, and its base, say of the current view, as layers of the viewer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import CyclicLabelColormap
from napari.utils.colormaps.standardize_color import transform_color
from numpy.typing import NDArray

from napari_unet.axes import score_axes
from napari_unet.card import ClassInfo, Task
from napari_unet.widgets.qt.blocker import Blocker
from napari_unet.widgets.viewer.label_colours import object_colours
from napari_unet.widgets.viewer.layer_image import RECORD_KEY

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

    from napari_unet.widgets.train.link import Previewed
    from napari_unet.widgets.viewer.placement import Placement

NEW, BASE = "training preview", "base preview"
EARLY = "(early) "  # in front: the list of layers cuts the ends of long names
OUTLINE_PIXELS = {NEW: 2, BASE: 1}  # wide; those of the base lie above the others
COLOUR = "#ffb000"  # of the base's outlines; seen on dark and on bright pixels

_Key = tuple[str, int]  # which of the two, and of values the channel


@dataclass
class _Shown:
    layer: Any
    name: str  # that it was given here
    placement: Placement
    limits: tuple[float, float] | None  # of values, that they were given here


class TrainingPreview:
    """Layers that follow a training: outlines of its labels, and finer ones of the base's.

    Filled labels would hide the image, and with it whether they are right.

    They are renewed in place, cannot be painted on, lie right above the image, under the
    labels that the user paints, and leave the selection of layers as it is. A layer that the
    user removes does not come again before the next training.

    Parameters
    ----------
    viewer : Viewer
        Where.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._task: Task = "instance"
        self._classes: tuple[ClassInfo, ...] = ()
        self._shown: dict[_Key, _Shown] = {}
        self._closed: set[str] = set()
        self._own_removal = Blocker()
        viewer.layers.events.removed.connect(self._removed)

    @property
    def layers(self) -> list[Layer]:
        """The layers that are shown."""
        return [shown.layer for shown in self._shown.values()]

    def begin(self, task: Task, classes: Sequence[ClassInfo] = ()) -> None:
        """Another training begins: previews of an earlier one go.

        Parameters
        ----------
        task : {"instance", "semantic", "regression"}
            Regression: values are shown, as images, a layer for each channel.
        classes : sequence of ClassInfo
            For a semantic model, whose colours the labels get.
        """
        self.drop()
        self._closed.clear()
        self._task, self._classes = task, tuple(classes)

    def show(self, news: Previewed, image: Image, placement: Placement) -> None:
        """Show a preview, in place of the one before.

        Parameters
        ----------
        news : Previewed
            From the training.
        image : Image
            The layer that it is of.
        placement : Placement
            Where it lies.
        """
        kind = BASE if news.of_base else NEW
        if kind in self._closed:
            return
        parts = self._parts(np.asarray(news.result), news.view.axes)
        for key in [key for key in self._shown if key[0] == kind and key[1] >= len(parts)]:
            self._take_away(key)  # of an image with more channels
        name = f"{image.name} {kind}"
        for i, part in enumerate(parts):
            number = f" {i}" if len(parts) > 1 else ""
            text = f"{EARLY if news.early else ''}{name}{number}"
            values = placement.lay(part)
            self._show((kind, i), values, text, placement, image, news.view.axes)

    def drop(self) -> None:
        """Take the layers away, where they still are."""
        for key in list(self._shown):
            self._take_away(key)

    def close(self) -> None:
        """Take the layers away, and follow the viewer no more."""
        self.drop()
        self._viewer.layers.events.removed.disconnect(self._removed)

    def _parts(self, result: NDArray[Any], axes: str) -> list[NDArray[Any]]:
        """What each layer holds: labels, or the values of one channel."""
        if self._task != "regression":
            return [result]
        return list(np.moveaxis(result, score_axes(axes).index("C"), 0))

    def _show(
        self,
        key: _Key,
        values: NDArray[Any],
        name: str,
        placement: Placement,
        image: Image,
        axes: str,
    ) -> None:
        shown = self._shown.get(key)
        if shown is not None and not _can_follow(shown, values, placement):
            self._take_away(key)
            shown = None
        if shown is None:
            layer = self._make(key[0], values, name, placement, axes)
            limits = _span(values) if isinstance(layer, Image) else None
            if limits is not None:
                layer.contrast_limits = limits
            shown = _Shown(layer, name, placement, limits)
            self._insert(layer, image)
            shown.name = layer.name  # the viewer numbers a name that is taken
            self._shown[key] = shown
            return
        _renew(shown, values, placement)
        if shown.layer.name == shown.name and not _same_name(shown.name, name):
            shown.layer.name = name
            shown.name = shown.layer.name

    def _make(
        self, kind: str, values: NDArray[Any], name: str, placement: Placement, axes: str
    ) -> Layer:
        record = {"operation": "preview of a training", "axes": axes}
        about: dict[str, Any] = {"name": name, "metadata": {RECORD_KEY: record}, **placement}
        # copies: they are written into later
        if self._task == "regression":
            return Image(values.copy(), **about)
        layer = Labels(values.copy(), **about)
        if self._classes:
            layer.colormap = _colours({c.value: c.colour for c in self._classes})
        elif kind == BASE:
            layer.colormap = _colours({1: COLOUR})  # repeated for all labels
        else:
            layer.colormap = object_colours()
        layer.contour = OUTLINE_PIXELS[kind]
        layer.opacity = 1
        layer.editable = False
        return layer

    def _insert(self, layer: Layer, image: Image) -> None:
        """Put a layer right above the image and its channels; what is selected stays so."""
        layers = self._viewer.layers
        before = list(layers.selection)
        active = layers.selection.active
        layers.insert(self._place(image, active), layer)  # which selects it
        if active is not None:
            layers.selection.active = active
        else:
            layers.selection.clear()
            layers.selection.update(before)

    def _place(self, image: Image, active: Layer | None) -> int:
        layers = list(self._viewer.layers)
        place = next((i for i, each in enumerate(layers) if each == image), -1) + 1
        ours = self.layers
        # images above it: its other channels; and the outlines of the base over the preview
        while place < len(layers) and (
            isinstance(layers[place], Image) or any(layers[place] == each for each in ours)
        ):
            place += 1
        painted = [i for i, each in enumerate(layers) if each == active and _is_drawn_on(each)]
        return min([place, *painted])

    def _take_away(self, key: _Key) -> None:
        layer = self._shown.pop(key).layer
        if layer in self._viewer.layers:
            with self._own_removal:
                self._viewer.layers.remove(layer)

    def _removed(self, event: Any) -> None:
        """The user does not want to see it."""
        if self._own_removal.active:
            return
        gone = event.value  # equal, not identical: the viewer gives plugins proxies
        for key in [key for key, shown in self._shown.items() if shown.layer == gone]:
            del self._shown[key]
            self._closed.add(key[0])


def _can_follow(shown: _Shown, values: NDArray[Any], placement: Placement) -> bool:
    """Whether a layer can take other data: only where it lies may differ, not how."""
    layer = shown.layer
    fixed = set(placement) - {"translate"}
    return bool(
        layer.data.ndim == values.ndim
        and layer.data.dtype == values.dtype
        and all(np.array_equal(placement[key], shown.placement[key]) for key in fixed)
    )


def _renew(shown: _Shown, values: NDArray[Any], placement: Placement) -> None:
    layer = shown.layer
    if layer.data.shape == values.shape:
        layer.data[...] = values  # quicker, and what napari keeps of the layer stays
    else:
        layer.data = values.copy()
        layer.editable = False  # new data makes it editable again
    if not np.array_equal(placement["translate"], shown.placement["translate"]):
        layer.translate = placement["translate"]
    shown.placement = placement
    if shown.limits is not None and tuple(layer.contrast_limits) == shown.limits:
        layer.contrast_limits = shown.limits = _span(values)  # nobody has set others
    layer.refresh()


def _span(values: NDArray[Any]) -> tuple[float, float]:
    """Between which values nearly all lie."""
    low, high = (float(v) for v in np.percentile(values, (0.1, 99.9)))
    return low, high if high > low else low + 1


def _colours(known: dict[int, str]) -> CyclicLabelColormap:
    """A colour for each label; the others and 0 stay transparent.

    One by one, though napari has a map from labels to colours: that is compiled when it is
    first used, which stops the window for seconds.

    >>> _colours({2: "#ff0000"}).map(np.array([0, 1, 2])).tolist()
    [[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0]]
    """
    colours = np.zeros((max(known, default=1) + 1, 4), np.float32)
    for label, colour in known.items():
        if label:  # 0 is where nothing is
            colours[label] = transform_color(colour)[0]
    return CyclicLabelColormap(colors=colours)


def _same_name(given: str, wanted: str) -> bool:
    """Whether a name is the wanted one, apart from the number that the viewer has added."""
    tail = given.removeprefix(wanted)
    return given == wanted or (tail != given and tail.startswith(" [") and tail.endswith("]"))


def _is_drawn_on(layer: Layer) -> bool:
    return not isinstance(layer, Image) and RECORD_KEY not in layer.metadata
