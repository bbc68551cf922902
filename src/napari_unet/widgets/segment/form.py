"""The form of the dock "Segment": its fields, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, PushButton
from napari.layers import Image

from napari_unet.card import Decoding, ModelCard
from napari_unet.errors import InputError, UNetError
from napari_unet.image.roi import Roi
from napari_unet.settings import SegmentSettings
from napari_unet.widgets.models.picker import ModelPicker
from napari_unet.widgets.qt import wording
from napari_unet.widgets.qt.axes_field import AxesField, AxesGuess
from napari_unet.widgets.qt.blocker import Blocker
from napari_unet.widgets.qt.choice_list import ChoiceList
from napari_unet.widgets.qt.fields import FieldError
from napari_unet.widgets.qt.form import Form, Row, SettingsForm, order_tabs
from napari_unet.widgets.qt.wording import is_next_step, worded
from napari_unet.widgets.segment import split_slider, tooltips
from napari_unet.widgets.segment.correct_button import CorrectButton
from napari_unet.widgets.segment.diameter_tool import DiameterTool
from napari_unet.widgets.segment.fold import Fold
from napari_unet.widgets.segment.image_kind import kind_of
from napari_unet.widgets.segment.image_picker import ImagePicker
from napari_unet.widgets.segment.levels import coarsen_length, coarsen_roi, list_levels
from napari_unet.widgets.segment.pixel_size_field import PixelSizeField
from napari_unet.widgets.segment.request import Request
from napari_unet.widgets.segment.roi_picker import WHOLE, RoiPicker, describe
from napari_unet.widgets.segment.split_slider import SplitSlider
from napari_unet.widgets.viewer.export_button import ExportButton
from napari_unet.widgets.viewer.layer_axes import name_axes
from napari_unet.widgets.viewer.layer_image import LayerImage, plain
from napari_unet.widgets.viewer.view import view_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

SCALE = ("object_diameter",)
DECODING = ("threshold", "split_depth", "min_size", "smoothing", "shape_radius")
ADVANCED = ("invert", "volume_mode", "link_overlap", "flips", "tile", "device", "precision")
IN_PIXELS = ("object_diameter", "min_size", "smoothing", "shape_radius", "tile")
LABELS = {**wording.LABELS, **{name: f"{wording.LABELS[name]} (px)" for name in IN_PIXELS}}
NO_IMAGE = "There is no image", "open one, or take a sample: File > Open Sample > U-Net"
NO_MODEL = "There is no model", "train one, or reinstall"
DEVICES = ["auto", "cpu", "cuda", "mps"]
SPLIT_LABEL, SPLIT = "Split objects", "split_depth"
LIVE = "Changes show at once."
# events of the chosen layers: all that a request takes from them
WATCHED = ("data", "scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


class SegmentForm:
    """All fields of the dock, and the request that they make.

    Parameters
    ----------
    viewer : Viewer
        Whose layers are segmented.
    on_change : callable
        Called when anything in the form, or of the chosen layers, has changed.
    image_of : callable
        Gives the image that a result is of, where it was made here.
    on_fold : callable
        Called with whether all settings are shown, when the user shows or hides them.
    """

    def __init__(
        self,
        viewer: Viewer,
        on_change: Callable[[], None],
        image_of: Callable[[Layer], Image | None] = lambda _: None,
        on_fold: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._viewer = viewer
        self._on_change = on_change
        self._watched: list[Image] = []
        self._blocker = Blocker()
        self.image: LayerImage | None = None
        self.request: Request | None = None
        self.fault: FieldError | None = None

        self.images = ImagePicker(viewer, self.refresh)
        self.level = ChoiceList(lambda: list_levels(self.layers[0] if self.layers else None))
        self.fields = AxesField(
            self._guess_axes,
            self._default_channels,
            self.refresh,
            self._name_axes,
            channels_tip=tooltips.CHANNELS_TIP,
            split=self.images.split,
        )
        self.axes, self.channels = self.fields.axes, self.fields.channels
        self.models = ModelPicker(self._model_changed)
        self.roi_picker = RoiPicker(viewer, self.changed)
        self.diameter = DiameterTool(viewer, self._measured)
        self.correct = CorrectButton(viewer, image_of=image_of)
        self.export = ExportButton(viewer, image_of)
        changed = self.changed
        self.scale = SettingsForm(SegmentSettings, SCALE, labels=LABELS, on_change=changed)
        self.pixel_sizes = PixelSizeField(self.refresh, self.scale.rows, self.diameter)
        self.pixel_size = self.pixel_sizes.editor
        self.decoding = SettingsForm(SegmentSettings, DECODING, labels=LABELS, on_change=changed)
        self.advanced = SettingsForm(
            SegmentSettings,
            ADVANCED,
            labels=LABELS,
            choices={"device": DEVICES},
            on_change=changed,
        )
        self.scores = CheckBox(value=False, text="")
        self.split = SplitSlider(lambda x: setattr(self.rows[SPLIT].editor, "value", x))
        self.split_row = Row(self.split, SPLIT_LABEL, split_slider.TIP)
        self.defaults = PushButton(text="Back to defaults")
        self.rows: dict[str, Any] = {
            "image": self.images.row,
            "layers": self.images.layers_row,
            "level": Row(self.level, "Level", tooltips.LEVEL_TIP),
            **self.fields.rows,
            "pixel_size": self.pixel_sizes.row,
            "region": self.roi_picker.row,
            "times": self.roi_picker.times_row,
            "planes": self.roi_picker.planes_row,
            "model": self.models.row,
            **self.scale.rows,
            **self.decoding.rows,
            **self.advanced.rows,
            "scores": Row(self.scores, "Show scores", tooltips.SCORES_TIP),
        }
        defaults = Row(self.defaults, "", "All settings as the model suggests.")
        near_image = "axes", "channels"
        last = ["level", "pixel_size", "region", "times", "planes", "invert"]
        last += [*self.decoding.rows, *(each for each in ADVANCED if each != "invert"), "scores"]
        folded = {name: self.rows[name] for name in [*near_image, *last]} | {"defaults": defaults}
        self.fold = Fold(folded, self._fold_toggled)
        self.more, self._on_fold = self.fold.button, on_fold
        self.native = Form(
            [
                *(self.rows[name] for name in ["image", "layers", *near_image, "model"]),
                self.models.about,
                *self.scale.rows.values(),
                self.diameter.row,
                self.split_row,
                *(button.row for button in (self.correct, self.export)),
                self.fold.row,
                *(self.rows[name] for name in last),
                defaults,
            ]
        )
        self.level.changed.connect(lambda _: self.refresh())
        self.defaults.changed.connect(lambda _: self.set_values({}))
        self._show_fold()

    @property
    def layers(self) -> list[Image]:
        """The chosen layers: one, or one per channel."""
        return self.images.layers

    @property
    def axes_text(self) -> str:
        """Axes of the image as they stand in the form, not checked; empty: there is no image."""
        return "" if self.layer is None else self.fields.axes_of(self.layer)

    @property
    def layer(self) -> Image | None:
        """The first of the chosen layers, which axes, channels and results are of."""
        return plain(self._watched[0]) if self._watched else None

    @property
    def card(self) -> ModelCard | None:
        """Card of the chosen model."""
        return self.models.card

    def start(self, values: Mapping[str, Any], model: object) -> None:
        """Fill the form: earlier settings, and the layer that is selected in the viewer."""
        with self._blocker:
            self.models.choose(model)
            self.images.choose(self._viewer.layers.selection.active)
        self.set_values(values)  # takes in the model and the layers too

    def reset_choices(self) -> None:
        """List layers and models anew."""
        for part in (self.images, self.roi_picker, self.models):
            part.reset_choices()
        for button in (self.correct, self.export):
            button.refresh()
        if self.layers != self._watched:
            self.refresh()

    def close(self) -> None:
        """Stop listening; no widget is touched."""
        self._watch([])
        for part in (self.roi_picker, self.diameter, self.correct, self.export):
            part.close()

    def refresh(self) -> None:
        """Take in what the layers are now."""
        if self._blocker.active:
            return
        layers = self.layers
        if layers != self._watched:
            if layers and max(len(layers), len(self._watched)) > 1:
                # axes of an image with channels are not those of one channel
                self.fields.forget(plain(layers[0]))
            self._watch(layers)
            with self._blocker:
                self.level.reset_choices()
        self.rows["level"].show(visible=any(layer.multiscale for layer in layers))
        usable = layers[:1] if self.images.fault else layers  # faults are told beside them
        self.image = LayerImage.of(*usable, level=self._level()) if usable else None
        self.models.set_image(kind_of(self.image))
        self.fields.show(self.layer)
        self.changed()

    def current_request(self) -> Request | None:
        """The request for what is in view now; None while it cannot be run."""
        if self.roi_picker.region.value != WHOLE:
            self.refresh()  # the view has no part in the request otherwise
        return self.request

    def values(self) -> dict[str, Any]:
        """The settings that differ from their defaults."""
        return {**self.scale.values(), **self.decoding.values(), **self.advanced.values()}

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Take over settings; the others get their defaults."""
        for form in (self.scale, self.decoding, self.advanced):
            form.set_values(values)
        self._model_changed()

    def set_devices(self, devices: list[str]) -> None:
        """Offer the devices that there are."""
        self.advanced.set_choices("device", devices)

    def preview_extent(self) -> Roi:
        """The part that is in view, on the chosen level."""
        assert self.request is not None
        ndim = self.request.card.architecture.ndim
        view = view_of(self._viewer, self.layers[0], self.request.axes)
        return self._on_level(view.roi(ndim), self.request.axes)

    def show_messages(self, *, live: bool = False) -> None:
        """Write the hints and the fault beside the fields."""
        image, axes = self.image, self.axes_text
        fits = image is not None and len(axes) == len(image.shape)
        hints = {
            "axes": "" if self.layer is None else self.fields.doubt_about(self.layer),
            "layers": self.images.hint,
            "threshold": LIVE if live else "",
        }
        diameter = self.rows["object_diameter"]
        known = self.card is None or self.card.object_diameter is not None
        for row in (diameter, self.diameter.row):  # of no use to a model that knows no size
            row.show(visible=known or diameter.editor.value is not None)
        if image is not None and fits and "C" in axes:
            hints["channels"] = self._channels_hint(image.shape[axes.index("C")])
        if image is not None and self.request is not None:
            part = describe(self.request.roi, image.shape, self.request.axes)
            hints["region"] = "" if self.roi_picker.region.value == WHOLE else part
        hints["pixel_size"] = self.pixel_sizes.show(self._watched, image if fits else None, axes)
        if fits and len(axes) == 2 and not (self.fault or self.fold.opened):  # else the field is
            hints["image"] = f"Axes {axes}, pixel size {self.pixel_size.value}."
        fault = self.fault
        for name, row in self.rows.items():
            wrong = fault.error if fault is not None and fault.field == name else None
            row.show_message(
                hints.get(name, ""),
                "" if wrong is None else worded(wrong),
                calm=wrong is not None and is_next_step(wrong),
            )
        self.split_row.show_message(LIVE if live else "")
        decoding = Decoding() if self.card is None else self.card.decoding
        self.split.show_depth(self.rows[SPLIT].editor.value, decoding.split_depth)
        self._show_fold()

    def changed(self) -> None:
        """Check the form and tell of it."""
        if self._blocker.active:
            return
        self.fault, self.request = None, None
        try:
            self.request = self._check()
        except FieldError as fault:
            self.fault = fault.to_keep()
        self._on_change()

    def _check(self) -> Request:
        image, card = self.image, self.card
        if image is None:
            self.roi_picker.set_image(None, "", 2)
            self.diameter.set_image(None, "")
            raise FieldError("image", UNetError(*NO_IMAGE, code="no-image"))
        if self.images.fault:
            raise FieldError("layers", InputError(self.images.fault))
        if card is None:
            fault = self.models.fault
            raise FieldError("model", UNetError(fault) if fault else UNetError(*NO_MODEL))
        request = Request.check(
            image,
            card,
            self.axes_text,
            self.fields.channels_text(self.layer),
            self.values(),
            source=self.models.source,
        )
        self.roi_picker.set_image(self.layers[0], request.axes, card.architecture.ndim)
        self.diameter.set_image(self.layers[0], request.axes)
        try:
            roi = self._on_level(self.roi_picker.roi(), request.axes)
        except UNetError as error:
            raise FieldError("region", error) from None
        return request.within(roi)

    def _on_level(self, roi: Roi, axes: str) -> Roi:
        if self.image is None:
            return roi
        return coarsen_roi(roi, self.layers[0], self._level(), axes, self.image.shape)

    def _level(self) -> int:
        return int(self.level.value or 0)

    def _watch(self, layers: list[Image]) -> None:
        """Hear when the chosen layers change, and no other ones."""
        for name in WATCHED:
            for layer in self._watched:
                getattr(layer.events, name).disconnect(self._layer_changed)
            for layer in layers:
                getattr(layer.events, name).connect(self._layer_changed)
        self._watched = list(layers)

    def _layer_changed(self, _: object = None) -> None:
        self.refresh()

    def _model_changed(self) -> None:
        if self._blocker.active:
            return
        card = self.card
        if card is not None:
            decoding = card.decoding.model_dump()
            self.scale.suggest({"object_diameter": card.object_diameter})
            self.decoding.suggest(decoding)
            self.images.set_card(card)
            order_tabs(self.native)  # there may be new editors
        for row in (self.split_row, *self.decoding.rows.values()):
            row.show(visible=card is None or card.task == "instance")
        self.refresh()

    def _guess_axes(self, _: Image) -> AxesGuess:
        """Axes of the chosen layers for the model, and the doubt about them."""
        if self.image is None:
            return AxesGuess("")
        card = self.card
        ndim, channels = (2, 1) if card is None else (card.architecture.ndim, len(card.channels))
        try:
            return self.image.guess_axes(ndim=ndim, channels=channels)
        except UNetError:
            return AxesGuess("")  # the check says what is wrong

    def _name_axes(self, _: Image, axes: str) -> bool:
        """Write axes into the chosen layers; not where each is a channel, and they name C."""
        several = len(self._watched) > 1
        return not (several and "C" in axes) and all(
            name_axes(plain(x), axes) for x in self._watched
        )

    def _default_channels(self, _: Image, _axes: str) -> tuple[int, ...]:
        """As many channels as the model takes."""
        return tuple(range(1 if self.card is None else len(self.card.channels)))

    def _measured(self, diameter: float) -> None:
        """Take over a diameter in pixels of the finest level."""
        on_level = coarsen_length(diameter, self.layers[0], self._level(), self.axes_text)
        self.rows["object_diameter"].editor.value = round(on_level, 1)

    def _channels_hint(self, count: int) -> str:
        card = self.card
        names = "" if card is None else f"; the model takes {', '.join(card.channels)}"
        return f"The image has channels 0 to {count - 1}{names}."

    def _fold_toggled(self, opened: bool) -> None:
        self._on_fold(opened)
        self.changed()  # what is said of folded fields stands elsewhere

    def _show_fold(self) -> None:
        """Show the folded rows that are not as usual, or that nobody should overlook."""
        needed = self.values().keys() - {SPLIT}
        if self.fault is not None:
            needed.add(self.fault.field)
        if self.layer is not None and (len(self.axes_text) > 2 or self.rows["axes"].note):
            needed |= {"axes", "channels"}
        roi = Roi() if self.request is None else self.request.roi
        region = self.roi_picker.region.value != WHOLE
        unusual = {"region": region, "times": roi.t, "planes": roi.z, "level": self._level()}
        unusual["pixel_size"] = bool(self.rows["pixel_size"].note)
        needed |= {name for name, value in unusual.items() if value}
        self.fold.show(needed, changed=len(self.advanced.values()))
