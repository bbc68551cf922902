"""The image to choose: one layer, or one layer per channel of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import Container
from napari.layers import Image
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFormLayout, QLabel, QWidget

from napari_unet.card import ModelCard
from napari_unet.widgets.annotation.beside_channels import split_with_labels
from napari_unet.widgets.qt.blocker import Blocker
from napari_unet.widgets.qt.choice_list import ChoiceList
from napari_unet.widgets.qt.form import FAULT_COLOUR, Row
from napari_unet.widgets.viewer.layer_image import LayerImage, plain, shape_of

if TYPE_CHECKING:
    from napari import Viewer

PER_CHANNEL = "Several layers …"
WIDEST = "Smoothing (px)"  # of the names in the form around it
IMAGE_TIP = "The image layer to segment; or, for a model of several channels, one layer for each."
LAYERS_TIP = (
    "Which image layer the model gets for each of its channels. "
    "They must have the same shape and lie on the same place."
)


class ImagePicker:
    """Chooses an image layer, or, for a model of several channels, one for each of them.

    Its ``rows`` are to be put into a form. It listens to nothing: the dock calls
    `reset_choices` when the viewer's layers change.

    Parameters
    ----------
    viewer : Viewer
        Whose layers are listed.
    on_change : callable
        Called when other layers are chosen.
    """

    def __init__(self, viewer: Viewer, on_change: Callable[[], None]) -> None:
        self._viewer = viewer
        self._on_change = on_change
        self._channels: tuple[str, ...] = ()
        self._blocker = Blocker()
        self.image = ChoiceList(self._items)
        self.row = Row(self.image, "Image", IMAGE_TIP)
        self.editors: list[ChoiceList] = []
        self.layers_row = _LayersRow()
        self.rows = [self.row, self.layers_row]
        self._one: Image | None = self.image.value
        self.image.changed.connect(lambda _: self._image_changed())
        self.layers_row.show(visible=False)

    @property
    def per_channel(self) -> bool:
        """Whether there is one layer per channel."""
        return bool(self.image.value == PER_CHANNEL)

    @property
    def layers(self) -> list[Image]:
        """The chosen layer, or one per channel in the model's order; empty: there is none."""
        found = [e.value for e in self.editors] if self.per_channel else [self.image.value]
        return [layer for layer in found if layer is not None]

    @property
    def fault(self) -> str:
        """Why the layers cannot be channels of one image, in words; empty where they can."""
        if not self.per_channel:
            return ""
        missing = len(self.editors) - len(self.layers)
        if missing:
            return "There is no image layer that could be a channel; open one for each channel."
        return mismatch(self.layers)

    @property
    def hint(self) -> str:
        """What is odd about the layers, but can be meant."""
        layers = self.layers
        for i, j in combinations(range(len(layers)), 2):
            if layers[i] is layers[j]:
                both = f"{self._channels[i]} and {self._channels[j]}"
                return f"‘{layers[i].name}’ is taken for both {both}."
        return ""

    def choose(self, layer: Any) -> None:
        """Choose one image layer, where it is listed."""
        if layer in self.image.choices:
            self.image.value = layer

    def split(self, image: Image, axes: str, channel: int) -> None:
        """Make layers of the channels of an image, and choose those that the model takes."""
        layers = split_with_labels(self._viewer, image, axes)
        self.reset_choices()
        if self._channels:
            self.image.value = PER_CHANNEL
        else:
            self.choose(plain(layers[min(channel, len(layers) - 1)]))

    def choose_channels(self, layers: Sequence[Image]) -> None:
        """Choose a layer for each channel, where the model takes so many."""
        if PER_CHANNEL not in self.image.choices or len(layers) != len(self.editors):
            return
        with self._blocker:
            self.image.value = PER_CHANNEL
            for editor, layer in zip(self.editors, layers, strict=True):
                editor.select(layer)
            self.layers_row.show(visible=True)
        self._report_change()

    def set_card(self, card: ModelCard | None) -> None:
        """Offer what a model takes: one image, or one for each of its channels too."""
        channels = card.channels if card is not None and len(card.channels) > 1 else ()
        if channels == self._channels:
            return
        before, self._channels = self.layers, channels
        kept = [editor.value for editor in self.editors]
        self.editors = [ChoiceList(self._channel_items) for _ in channels]
        for editor in self.editors:
            editor.changed.connect(lambda _: self._report_change())
        self.layers_row.put(channels, self.editors)
        self._renew(before, kept)

    def reset_choices(self, *_: Any) -> None:
        """List the layers anew; choices that are still there stay."""
        self._renew(self.layers, [editor.value for editor in self.editors])

    def _renew(self, before: list[Image], kept: list[Image | None]) -> None:
        with self._blocker:
            if self._one not in self._viewer.layers:
                self._one = None
            for editor in self.editors:
                editor.reset_choices()
            self._fill(kept, like=self._one)
            was_per_channel = self.per_channel
            self.image.reset_choices()
            if was_per_channel and not self.per_channel and before:
                self.image.select(before[0])
            self.layers_row.show(visible=self.per_channel)
        if self.layers != before:
            self._report_change()

    def _fill(self, kept: Sequence[Image | None], like: Image | None) -> None:
        """Give every channel a layer: the one it had, else the next best."""
        candidates = [layer for _, layer in self._channel_items()]
        count = len(self._channels)
        known = [layer if layer in candidates else None for layer in kept[:count]]
        known += [None] * (count - len(known))
        like = next((layer for layer in known if layer is not None), like)
        chosen = assign(self._channels, candidates, known, like=like)
        for editor, layer in zip(self.editors, chosen, strict=False):
            editor.select(layer)

    def _images(self) -> list[Image]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Image)]

    def _items(self) -> list[tuple[str, Any]]:
        items: list[tuple[str, Any]] = [(layer.name, layer) for layer in self._images()]
        if self._channels and items:
            items.append((PER_CHANNEL, PER_CHANNEL))
        return items

    def _channel_items(self) -> list[tuple[str, Any]]:
        # colours are channels already
        return [(layer.name, layer) for layer in self._images() if not layer.rgb]

    def _image_changed(self) -> None:
        if self._blocker.active:
            return
        if self.per_channel:
            self._fill([], like=self._one)  # the picture before says which shape is meant
        self.layers_row.show(visible=self.per_channel)
        self._report_change()

    def _report_change(self) -> None:
        if self._blocker.active:
            return
        if not self.per_channel:
            self._one = self.image.value
        self._on_change()


def assign(
    channels: Sequence[str],
    candidates: Sequence[Image],
    known: Sequence[Image | None],
    *,
    like: Image | None = None,
) -> list[Image]:
    """Layers for channels, each layer once as long as there are enough.

    Parameters
    ----------
    channels : sequence of str
        Names of the channels.
    candidates : sequence of Image
        Layers to choose from, in order.
    known : sequence of Image or None
        One per channel: a layer that is settled.
    like : Image, optional
        Layers of its shape are preferred; else of the shape that most layers have.

    Returns
    -------
    list of Image
        One per channel; empty where there is no candidate.
    """
    if not candidates:
        return []
    shapes = [shape_of(layer) for layer in candidates]
    best = shape_of(like) if like in candidates else max(shapes, key=shapes.count)
    order = sorted(candidates, key=lambda layer: (shape_of(layer) != best, not layer.visible))
    found = list(known)
    for i, name in enumerate(channels):
        if found[i] is None:
            named = (layer for layer in order if name.casefold() in layer.name.casefold())
            found[i] = next((layer for layer in named if layer not in found), None)
    rest = [layer for layer in order if layer not in found]
    return [(rest.pop(0) if rest else order[0]) if layer is None else layer for layer in found]


def mismatch(layers: Sequence[Image]) -> str:
    """In what the first two layers that cannot be channels of one image differ; or empty."""
    images = [LayerImage.of(layer) for layer in layers]
    first = images[0]
    for other in images[1:]:
        pair = f"‘{first.name}’ and ‘{other.name}’"
        if first.shape != other.shape:
            shapes = " and ".join(" × ".join(map(str, i.shape)) for i in (first, other))
            return f"{pair} differ in shape ({shapes}); choose layers of the same shape."
        if tuple(first.place.units) != tuple(other.place.units):
            units = " and ".join(", ".join(map(str, i.place.units)) for i in (first, other))
            return f"{pair} differ in units ({units}); give them the same, or choose others."
        for kind in ("scale", "translate", "linear_matrix"):
            name = {"linear_matrix": "rotation or shear"}.get(kind, kind)
            if not np.allclose(getattr(first.place, kind), getattr(other.place, kind)):
                return f"{pair} differ in {name}; lay them over each other, or choose others."
        if not np.allclose(first.affine.affine_matrix, other.affine.affine_matrix):
            return f"{pair} differ in their affine; lay them over each other, or choose others."
    return ""


class _Name(QLabel):
    """As wide as the names of the form's other fields, so that the editors stand in a column."""

    def sizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        wide = self.fontMetrics().horizontalAdvance(WIDEST)
        return super().sizeHint().expandedTo(QSize(wide, 0))

    minimumSizeHint = sizeHint  # noqa: N815


class _LayersRow(Row):
    """One choice under another, each after the name of its channel."""

    def __init__(self) -> None:
        around: Container[Any] = Container(widgets=[], labels=False)
        around.margins = (0, 0, 0, 0)
        super().__init__(around, "", LAYERS_TIP)
        self._inside: QWidget | None = None
        self._editors: list[ChoiceList] = []

    def put(self, names: Sequence[str], editors: Sequence[ChoiceList]) -> None:
        """Show these editors in place of the earlier ones."""
        layout = self.editor.native.layout()
        if self._inside is not None:
            self._inside.hide()
            layout.removeWidget(self._inside)
            self._inside.deleteLater()
        self._inside = QWidget()
        rows = QFormLayout(self._inside)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setVerticalSpacing(5)
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        for name, editor in zip(names, editors, strict=True):
            label = _Name(shorten(name))
            label.setTextFormat(Qt.TextFormat.PlainText)
            tip = f"{name}: {LAYERS_TIP[0].lower()}{LAYERS_TIP[1:]}"
            editor.tooltip = tip
            label.setToolTip(tip)
            label.setBuddy(editor.native)
            rows.addRow(label, editor.native)
        layout.addWidget(self._inside)
        self._editors = list(editors)

    def show_message(self, hint: str = "", fault: str = "", *, calm: bool = False) -> None:
        """Show a fault, else a hint, else nothing."""
        super().show_message(hint, fault, calm=calm)
        border = f"QComboBox {{ border: 1px solid {FAULT_COLOUR}; }}"
        for editor in self._editors:
            editor.native.setStyleSheet(border if fault else "")


def shorten(name: str) -> str:
    """A name that leaves room for its editor.

    >>> shorten("nuclei"), shorten("a stain with a very long name")
    ('nuclei', 'a stain with …')
    """
    return name if len(name) <= 14 else name[:12].rstrip() + " …"
