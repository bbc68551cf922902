"""The dock "Segment": from an image layer to labels, with a few clicks."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox, Container, LineEdit, PushButton
from napari.layers import Image
from qtpy.QtCore import QTimer

from napari_unet.errors import UNetError
from napari_unet.installation import foreign_distribution
from napari_unet.progress import Progress
from napari_unet.settings import SegmentSettings
from napari_unet.widgets._closing import ClosingWatch
from napari_unet.widgets._form import Form, Row, SettingsForm, narrow, text_label
from napari_unet.widgets._job import JobRunner, Outcome
from napari_unet.widgets._layers import (
    LayerImage,
    add_values,
    describe_pixel_size,
    in_the_form,
    view_of,
)
from napari_unet.widgets._memory import recall, remember
from napari_unet.widgets._model_picker import ModelPicker
from napari_unet.widgets._preview import Preview
from napari_unet.widgets._request import FieldError, Request, field_of
from napari_unet.widgets._results import ResultLayers
from napari_unet.widgets._run_bar import RunBar

if TYPE_CHECKING:
    import napari.viewer

BASIC = ("object_diameter", "threshold")
ADVANCED = (
    "split_depth",
    "min_size",
    "volume_mode",
    "link_iou",
    "flips",
    "tile",
    "device",
    "precision",
)
LABELS = {
    "object_diameter": "Diameter (px)",
    "split_depth": "Split depth",
    "min_size": "Smallest object",
    "volume_mode": "Stacks",
    "link_iou": "Link overlap",
    "flips": "Average flips",
    "tile": "Tile size",
}
UNITS = {"min_size": "px", "tile": "px"}
AXES_TIP = (
    "What each axis of the image means, in order: T time, C channel, Z plane, Y row, X column."
)
CHANNELS_TIP = "Which channels of the image the model gets, counted from 0, in its order."
PIXEL_SIZE_TIP = (
    "From the scale and the units of the layer. Where it is unknown, the object diameter "
    "can be given instead."
)
NO_IMAGE = "There is no image; open one, or take a sample: File > Open Sample > U-Net."
READY = "Press Run, or Preview for what is in view."
DOCK = "segment"
DEVICES = ["auto", "cpu", "cuda", "mps"]
WATCHED = ("data", "scale", "units", "axis_labels", "affine")  # of the chosen layer


class SegmentWidget(Container):  # type: ignore[type-arg]
    """The dock "Segment".

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Whose layers are segmented.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = viewer
        self._layer: Image | None = None
        self._image: LayerImage | None = None
        self._request: Request | None = None
        self._guess = ("", "")
        self._opened = False
        self._running: Any = None
        self._broken = foreign_distribution()  # said until it is repaired

        self.image = narrow(ComboBox(choices=self._images))
        self.axes = LineEdit()
        self.channels = LineEdit(value="0")
        self.pixel_size = text_label()
        self.models = ModelPicker(self._model_changed)
        self.basic = SettingsForm(
            SegmentSettings, BASIC, labels=LABELS, units=UNITS, on_change=self._values_changed
        )
        self.advanced = SettingsForm(
            SegmentSettings,
            ADVANCED,
            labels=LABELS,
            choices={"device": DEVICES},
            units=UNITS,
            on_change=self._values_changed,
        )
        self.more = PushButton()
        self.more.native.setFlat(True)
        self.more.native.setStyleSheet("text-align: left; background: transparent;")
        self.defaults = PushButton(text="Back to defaults")
        self._defaults_row = Row(self.defaults, "", "All settings as the model suggests.")
        self.rows = {
            "image": Row(self.image, "Image", "The image layer to segment."),
            "axes": Row(self.axes, "Axes", AXES_TIP),
            "channels": Row(self.channels, "Channels", CHANNELS_TIP),
            "pixel_size": Row(self.pixel_size, "Pixel size", PIXEL_SIZE_TIP),
            "model": self.models.row,
            **self.basic.rows,
            **self.advanced.rows,
        }
        first = [self.rows[name] for name in ("image", "axes", "channels", "pixel_size", "model")]
        form = Form(
            [
                *first,
                self.models.about,
                *self.basic.rows.values(),
                Row(self.more, "", "Settings that are seldom needed."),
                *self.advanced.rows.values(),
                self._defaults_row,
            ]
        )
        self.bar = RunBar(self._run, self._preview, self.cancel)
        super().__init__(widgets=[self.bar], labels=False)
        self.margins = (6, 6, 6, 6)
        # the form scrolls, the buttons under it stay in sight
        self.native.layout().insertWidget(0, form, 1)

        self.results = ResultLayers(viewer)
        self.runner = JobRunner(self.bar.show_report, self._ended)
        self._warm_up = JobRunner(lambda _: None, self._warmed_up)
        self._closing = ClosingWatch(self.native, self._closed)

        self.image.changed.connect(lambda _: self._image_changed())
        self.axes.changed.connect(lambda _: self._values_changed())
        self.channels.changed.connect(lambda _: self._values_changed())
        self.more.changed.connect(lambda _: self._fold(opened=not self._opened))
        self.defaults.changed.connect(lambda _: self._set_values({}))
        self._fold(opened=False)
        kept = recall(DOCK)
        self.models.choose(kept.get("model"))
        settings = kept.get("settings")
        self._set_values(settings if isinstance(settings, dict) else {})
        active = viewer.layers.selection.active
        if active in self.image.choices:
            self.image.value = active
        self._image_changed()
        # after the dock is there: torch takes seconds to import
        QTimer.singleShot(0, lambda: self._warm_up.start(_import_torch, ""))

    # what stands in the form

    def cancel(self) -> None:
        """Stop the run; nothing is added then."""
        self.runner.cancel()
        self.bar.say("Stopping after this tile …")

    def reset_choices(self, *_: Any) -> None:
        """List the image layers anew; the viewer calls this when its layers change."""
        self.image.reset_choices()
        if self.image.value != self._layer:
            self._image_changed()

    def _images(self, _: object = None) -> list[tuple[str, Image]]:
        return [(layer.name, layer) for layer in self._viewer.layers if isinstance(layer, Image)]

    def _image_changed(self, _: object = None) -> None:
        layer = self.image.value
        if layer != self._layer:
            self._watch(layer)
        self._image = None if layer is None else LayerImage.of(layer)
        self._guess_axes()
        self._values_changed()

    def _watch(self, layer: Image | None) -> None:
        """Hear when the chosen layer changes, and no other one."""
        for name in WATCHED:
            if self._layer is not None:
                getattr(self._layer.events, name).disconnect(self._image_changed)
            if layer is not None:
                getattr(layer.events, name).connect(self._image_changed)
        self._layer = layer
        self._guess = ("", "")

    def _model_changed(self) -> None:
        card = self.models.card
        if card is not None:
            decoding = card.decoding.model_dump()
            for form in (self.basic, self.advanced):
                form.suggest({**decoding, "object_diameter": card.object_diameter})
        self._guess_axes()
        self._values_changed()

    def _guess_axes(self) -> None:
        """Guess the axes anew, unless others were typed for this layer."""
        card = self.models.card
        typed = bool(self._guess[0]) and self.axes.value.strip().upper() != self._guess[0]
        if self._image is None or card is None or typed:
            return
        config, before = card.architecture, self._guess
        try:
            self._guess = self._image.guess_axes(ndim=config.ndim, channels=config.in_channels)
        except UNetError:
            self._guess = ("", "")  # the check says what is wrong
        if self._guess[0] == before[0] != "":
            return  # channels that were typed stay
        self.axes.value = self._guess[0]
        self.channels.value = ", ".join(map(str, range(config.in_channels)))

    def _values(self) -> dict[str, Any]:
        return {**self.basic.values(), **self.advanced.values()}

    def _set_values(self, values: dict[str, Any]) -> None:
        self.basic.set_values(values)
        self.advanced.set_values(values)
        self._model_changed()

    def _values_changed(self) -> None:
        """Check the form, say what is wrong beside the field, and whether it can run."""
        self._fold(opened=self._opened)
        fault = self._check()
        image, axes = self._image, self.axes.value.strip().upper()
        hints = {"axes": self._guess[1] if axes == self._guess[0] else ""}
        self.rows["channels"].show(visible="C" in axes)
        if image is not None and "C" in axes and len(axes) == len(image.shape):
            hints["channels"] = self._channels_hint(image.shape[axes.index("C")])
        known = image is not None and len(axes) == len(image.shape)
        sizes = image.pixel_size(axes) if image is not None and known else ()
        self.pixel_size.value = describe_pixel_size(sizes, axes)
        for name, row in self.rows.items():
            wrong = fault is not None and fault.field == name
            row.say(hints.get(name, ""), self._worded(str(fault)) if wrong else "")
        if not self.runner.running:
            self.bar.settle(ready=self._request is not None)
            problem = self._worded(str(fault)) if fault else self._broken
            self.bar.say(problem or READY, fault=bool(problem))

    def _check(self) -> FieldError | None:
        card, self._request = self.models.card, None
        if self._image is None:
            return FieldError("image", UNetError(NO_IMAGE))
        if card is None:
            return FieldError("model", UNetError("There is no model; train one, or reinstall."))
        try:
            self._request = Request.check(
                self._image, card, self.axes.value, self.channels.value, self._values()
            )
        except FieldError as fault:
            return fault
        return None

    def _channels_hint(self, count: int) -> str:
        card = self.models.card
        names = "" if card is None else f"; the model takes {', '.join(card.channels)}"
        return f"The image has channels 0 to {count - 1}{names}."

    def _worded(self, message: str) -> str:
        """A message with the fields named as in the form."""
        for name, label in LABELS.items():
            if "_" in name:
                words = label.removesuffix(" (px)")
                message = re.sub(rf"\b{name}\b", words, message)
        message = in_the_form(message)
        return message[:1].upper() + message[1:]

    def _fold(self, *, opened: bool) -> None:
        self._opened = opened
        for row in (*self.advanced.rows.values(), self._defaults_row):
            row.show(visible=opened)
        changed = len(self.advanced.values())
        count = f" ({changed} changed)" if changed else ""
        self.more.text = f"{'▾' if opened else '▸'} More settings{count}"

    # runs

    def _closed(self) -> None:
        for runner in (self.runner, self._warm_up):
            runner.drop()
        self._watch(None)

    def _run(self) -> None:
        self._image_changed()  # what the layer is now
        request, card = self._request, self.models.card
        if request is None or card is None:
            return
        remember(
            DOCK,
            {"model": card.name, "settings": request.settings.model_dump(exclude_defaults=True)},
        )
        self._start(request, request.job, "Segmenting")

    def _preview(self) -> None:
        self._image_changed()
        request = self._request
        if request is None or self._layer is None:
            return
        view = view_of(self._viewer, self._layer, request.axes)
        self._start(request, lambda: request.preview(view), "Previewing")

    def _start(self, request: Request, make: Any, title: str) -> None:
        self._running = request
        self.runner.start(make, f"{title} {request.image.name}")
        self.bar.begin("Starting …")

    def _ended(self, outcome: Outcome) -> None:
        request = self._running
        self._values_changed()
        if outcome.cancelled:
            self.bar.say("Cancelled: nothing was added.")
        elif outcome.error is not None:
            message = self._worded(str(outcome.error))
            field = field_of(str(outcome.error), self.rows)
            if field is not None:
                self.rows[field].say(fault=message)
            self.bar.say(message, fault=True)
        else:
            self._show(request, outcome.result)

    def _show(self, request: Request, result: Any) -> None:
        record, image = result.record, request.image
        seconds = f"in {record['seconds']:.1f} s"
        if isinstance(result, Preview):
            placement = image.placement(request.axes, result.corner)
            name = f"{image.name} preview"
            self.results.show_preview(result.labels, name, placement, record, result.card)
            size = " × ".join(map(str, result.labels.shape[-2:]))
            text = f"Preview of {size} pixels: {record['message']} {seconds}."
        elif result.card.task == "regression":
            placement = image.placement(request.axes)
            name = f"{image.name} {result.card.name}"
            add_values(self._viewer, result.scores, result.axes, name, placement, record)
            text = f"Values predicted {seconds}."
        else:
            placement = image.placement(request.axes)
            name = f"{image.name} labels"
            self.results.show(result.labels, name, placement, record, result.card)
            text = f"{record['message']} {seconds}."
        empty = bool(record.get("empty"))
        self.bar.say(self._worded(record["message"]) if empty else text, warning=empty)

    def _warmed_up(self, outcome: Outcome) -> None:
        if outcome.error is None and outcome.result:
            row = self.rows["device"]
            chosen = row.editor.value
            row.editor.choices = [*outcome.result, *({chosen} - set(outcome.result))]
            row.editor.value = chosen
        elif outcome.error is not None:
            self.bar.say(str(outcome.error), fault=True)


def _import_torch() -> Generator[Progress, None, list[str]]:
    """Import what a run needs, and look which devices there are."""
    yield Progress(0, 1, "importing torch")
    import torch

    import napari_unet.segmentation  # noqa: F401  # for its side effect: it is loaded

    cards = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    devices = ["auto", "cpu", *(f"cuda:{i}" for i in cards)]
    return devices + ["mps"] * torch.backends.mps.is_available()
