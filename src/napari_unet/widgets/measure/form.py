"""The form of the dock "Measure": which labels, which images below them, and what of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, Container, FloatSpinBox, LineEdit
from napari.layers import Image, Labels

from napari_unet.errors import InputError, UNetError
from napari_unet.image.given import origin_of_layer
from napari_unet.replay.kept_arrays import HeldArray
from napari_unet.widgets.measure.image_list import ImageList
from napari_unet.widgets.measure.layers import (
    axes_below,
    check_labels,
    join_channels,
    label_data,
    lay_below,
    scores_below,
    suggest_images,
)
from napari_unet.widgets.measure.request import GROUPS, MeasureRequest, choose_of_groups
from napari_unet.widgets.qt.axes_field import AxesField, AxesGuess
from napari_unet.widgets.qt.choice_list import ChoiceList
from napari_unet.widgets.qt.fields import FieldError, parse_sizes
from napari_unet.widgets.qt.form import Form, Row
from napari_unet.widgets.qt.wording import is_next_step, worded
from napari_unet.widgets.viewer.export_button import ExportButton
from napari_unet.widgets.viewer.label_axes import guess_axes_of_labels
from napari_unet.widgets.viewer.label_data import LabelData
from napari_unet.widgets.viewer.layer_axes import name_axes
from napari_unet.widgets.viewer.layer_image import (
    RECORD_KEY,
    LayerImage,
    describe_pixel_size,
    plain,
)

if TYPE_CHECKING:
    from napari import Viewer

GROUP_WORDS = {
    "size": ("Size", "Area or volume, and the diameter of a circle or ball of that size."),
    "shape": (
        "Shape",
        "Axes, perimeter and circularity; of volumes the axes, their direction and the surface.",
    ),
    "hull": (
        "Hull",
        "Feret’s diameters and solidity. Of volumes they take some milliseconds for each object.",
    ),
    "intensity": (
        "Intensity",
        "Mean, median, deviation, least, most and sum in each channel; above the background, too.",
    ),
    "confidence": (
        "Confidence",
        "The mean score of the network inside; of results of the dock Segment in this session.",
    ),
}
SIZE_TIP = (
    "Micrometres: one number, or one per spatial axis in the order of the axes; empty: as the "
    "layers say."
)
MOST_DISTANCE = 1e6


class MeasureForm:
    """All fields of the dock.

    Parameters
    ----------
    viewer : Viewer
        Whose layers are measured.
    on_change : callable
        Called when anything has changed.
    """

    def __init__(self, viewer: Viewer, on_change: Callable[[], None]) -> None:
        self._viewer, self._on_change = viewer, on_change
        self._suggested: tuple[Any, ...] = ()
        self._chosen: list[Image] | None = None  # that the user has ticked for these labels
        self.request: MeasureRequest | None = None
        self.fault: FieldError | None = None
        self.data: LabelData | None = None
        self.labels = ChoiceList(self._labels_layers)
        self.images = ImageList(self._images_ticked)
        self.axes = AxesField(
            self._guess,
            lambda *_: (),
            self.refresh,
            name_axes,
            channels_tip="",
        )
        self.pixel_size = LineEdit(value="")
        self.distance = FloatSpinBox(value=0, min=0, max=MOST_DISTANCE, step=1)
        self.distance.native.setSpecialValueText("–")
        self.groups = {name: CheckBox(text=GROUP_WORDS[name][0], value=True) for name in GROUPS}
        for name, box in self.groups.items():
            box.tooltip = GROUP_WORDS[name][1]
        boxes = list(self.groups.values())
        lines = [
            Container(widgets=part, layout="horizontal", labels=False)
            for part in (boxes[:3], boxes[3:])
        ]
        for line in lines:
            line.margins = (0, 0, 0, 0)
        groups = Container(widgets=lines, labels=False)
        groups.margins = (0, 0, 0, 0)
        self._parts = (groups, *lines)  # magicgui's parts must live as long as Qt's
        self.rows = {
            "labels": Row(self.labels, "Labels", "Whose objects are measured."),
            "image": Row(
                self.images,  # type: ignore[arg-type]
                "Images",
                "Tick those whose intensities are measured: each is a channel, or several.",
            ),
            "axes": self.axes.rows["axes"],
            "pixel_size": Row(self.pixel_size, "Pixel size", SIZE_TIP),
            "properties": Row(groups, "Measure", "Place and borders are always measured."),
            "neighbour_distance": Row(
                self.distance,
                "Neighbours within",
                "Count the objects that have a pixel so near, in µm where the pixel size is "
                "known, else in pixels; 0: none are counted.",
            ),
        }
        self.export = ExportButton(viewer, self._image_of)
        self.native = Form([*self.rows.values(), self.export.row])
        self.labels.changed.connect(lambda _: self._labels_chosen())
        parts: list[Any] = [self.pixel_size, self.distance, *boxes]
        for part in parts:
            part.changed.connect(lambda _: self.refresh())
        viewer.layers.selection.events.active.connect(self._follow)

    @property
    def layer(self) -> Labels | None:
        """The chosen labels."""
        return plain(self.labels.value)

    def close(self) -> None:
        """Follow the viewer no more."""
        self.export.close()
        self._viewer.layers.selection.events.active.disconnect(self._follow)

    def remembered(self) -> dict[str, Any]:
        """What is kept for the next session."""
        return {"groups": {name: bool(box.value) for name, box in self.groups.items()}}

    def recall(self, kept: Mapping[str, Any]) -> None:
        """Fill the form with what was kept."""
        groups = kept.get("groups")
        for name, box in self.groups.items():
            with box.changed.blocked():
                box.value = not isinstance(groups, Mapping) or groups.get(name) is not False

    def choose(self, labels: Labels, images: list[Image] | None = None) -> None:
        """Choose labels, and images other than those that are suggested."""
        self.labels.reset_choices()
        self.labels.select(labels)
        self._chosen = None if images is None else list(images)
        self._suggested = ()
        if images is not None:
            self._suggested = self._what_suggests()
            self.images.show(self._image_layers(), images)
        self.refresh()

    def reset_choices(self) -> None:
        """List the layers anew."""
        self.labels.reset_choices()
        self.export.refresh()
        self._follow()
        self.refresh()

    def refresh(self) -> None:
        """Read the fields, and say what is wrong beside them."""
        layer = self.layer
        if self._suggested != self._what_suggests():
            self._list_images()
        self.axes.show(layer)
        for name in ("image", "axes", "pixel_size", "properties", "neighbour_distance"):
            self.rows[name].show(visible=layer is not None)
        if not self.images.layers:
            self.rows["image"].show(visible=False)
        self.request, self.fault, self.data = None, None, None
        try:
            self.request = self._make_request()
        except FieldError as fault:
            self.fault = fault.to_keep()
        for name, row in self.rows.items():
            wrong = self.fault if self.fault is not None and self.fault.field == name else None
            said = "" if wrong is None else worded(wrong.error)
            calm = wrong is not None and is_next_step(wrong.error)
            row.show_message(self._hint(name), said, calm=calm)
        self._on_change()

    def current_request(self) -> MeasureRequest | None:
        """The request as the fields and the layers are now, with scores and a copy of labels."""
        self.refresh()
        if self.request is None or self.layer is None or self.data is None:
            return None
        request = self.request.snapshot()
        if "confidence" not in request.properties:
            return request
        return replace(request, scores=scores_below(self.layer, self.data))

    # layers

    def _labels_layers(self) -> list[tuple[str, Any]]:
        return [
            (layer.name, plain(layer))
            for layer in reversed(self._viewer.layers)
            if isinstance(layer, Labels)
        ]

    def _image_layers(self) -> list[Image]:
        return [plain(layer) for layer in self._viewer.layers if isinstance(layer, Image)]

    def _follow(self, _: object = None) -> None:
        """Labels that are selected in the list of layers are chosen."""
        active = plain(self._viewer.layers.selection.active)
        if isinstance(active, Labels) and active is not self.layer:
            self.labels.select(active)
            if self.layer is active:
                self._labels_chosen()

    def _labels_chosen(self) -> None:
        self._chosen, self._suggested = None, ()
        self.refresh()

    def _images_ticked(self) -> None:
        self._chosen = self.images.ticked
        self.refresh()

    def _what_suggests(self) -> tuple[Any, ...]:
        """What decides which images are suggested; equal while that is the same."""
        return self.layer, *((image, image.name) for image in self._image_layers())

    def _list_images(self) -> None:
        before = self._suggested[:1]
        self._suggested, images = self._what_suggests(), self._image_layers()
        layer = self.layer
        if layer is None:
            self.images.show(images, [])
            return
        if self._chosen is not None and before == (layer,):
            left = [image for image in self._chosen if image in images]
            if left or not self._chosen:
                self._chosen = left
                self.images.show(images, left)
                return
            self._chosen = None
        try:
            data = label_data(layer, self.axes.axes_of(layer))
            ticked = suggest_images(layer, data, images)
        except UNetError:
            ticked = []
        self.images.show(images, ticked)

    def _image_of(self, layer: Any) -> Image | None:
        """The image of the chosen labels, for their export."""
        ticked = self.images.ticked
        return ticked[0] if plain(layer) is self.layer and len(ticked) == 1 else None

    def _guess(self, layer: Labels) -> AxesGuess:
        return guess_axes_of_labels(layer, self._image_layers())

    # the request

    def _make_request(self) -> MeasureRequest:
        layer = _of("labels", lambda: check_labels(self._viewer, self.layer))
        doubt = self.axes.doubt_about(layer)
        if doubt:
            error = InputError(
                "Nothing says whether the first axis is Z or T", "press what it is", code="no-axes"
            )
            raise FieldError("axes", error)
        text = self.axes.axes_of(layer)
        if self._guess(layer).axes != text or len(text) != layer.ndim:
            raise FieldError("axes", _wrong_axes(layer, text))
        self.data = data = _of("labels", lambda: label_data(layer, text))
        below = _of("image", lambda: [lay_below(i, layer, data) for i in self.images.ticked])
        has_scores = scores_below(layer, data) is not None
        ndim = sum(axis in "ZYX" for axis in data.axes)
        distance = float(self.distance.value) or None
        properties = choose_of_groups(
            {name: bool(box.value) for name, box in self.groups.items()},
            ndim=ndim,
            has_image=bool(below),
            has_scores=has_scores,
            has_distance=distance is not None,
        )
        image, axes, names, arrays = join_channels(below, data.axes)
        labels = HeldArray(data.array, layer.name, origin_of_layer(layer), as_labels=True)
        return MeasureRequest(
            labels=data.array,
            image=image,
            axes=axes,
            pixel_size=_of("pixel_size", self._sizes),
            scores=None,  # which the form must not keep
            properties=properties,
            neighbour_distance=distance,
            channels=names if len(names) > 1 else (),
            held=(labels, *arrays),
        )

    def _sizes(self) -> tuple[float, ...] | None:
        """Micrometres per spatial axis of the labels, or None: as typed, else as layers say."""
        assert self.data is not None
        letters = [axis for axis in self.data.axes if axis in "ZYX"]
        text = str(self.pixel_size.value).strip()
        if not text:
            known = self._known_sizes()
            return None if None in known else tuple(float(size or 0) for size in known)
        sizes = parse_sizes(text)
        if len(sizes) == 1:
            sizes *= len(letters)
        if len(sizes) != len(letters) or not all(0 < size < float("inf") for size in sizes):
            raise InputError(
                f"‘{text}’ is no pixel size",
                f"type one number of micrometres, or {len(letters)} ({', '.join(letters)}) with "
                "commas",
                parameter="pixel_size",
                value=text,
            )
        return tuple(sizes)

    def _known_sizes(self) -> tuple[float | None, ...]:
        assert self.data is not None
        found = self.data.pixel_size
        for image in self.images.ticked:
            if all(size is None for size in found) and self.layer is not None:
                axes = axes_below(image, self.layer, self.data.layer_axes)
                sizes = dict(
                    zip(
                        (a for a in axes if a in "ZYX"),
                        LayerImage.of(image).pixel_size(axes),
                        strict=True,
                    )
                )
                found = tuple(sizes.get(axis) for axis in self.data.axes if axis in "ZYX")
        return found

    def _hint(self, name: str) -> str:
        if name == "pixel_size" and self.data is not None:
            typed = str(self.pixel_size.value).strip()
            try:
                known = self._sizes() if typed else self._known_sizes()
            except UNetError:  # told beside the field
                return ""
            said = describe_pixel_size(known or (), self.data.axes)
            return f"{said}: lengths are in pixels" if known is None or None in known else said
        if name == "image" and self.data is not None and not self.images.ticked:
            return "No image: intensities are not measured."
        if name == "labels" and self.layer is not None:
            record = self.layer.metadata.get(RECORD_KEY)
            if isinstance(record, Mapping) and record.get("task") == "semantic":
                return "Labels of classes: all pixels of a class are one row."
        return ""


def _wrong_axes(layer: Labels, text: str) -> InputError:
    return InputError(
        f"{text or 'Nothing'} cannot be the axes of ‘{layer.name}’, which has {layer.ndim}",
        "type one letter of T, Z, Y and X for each, in order",
        parameter="axes",
        value=text,
    )


def _of(field: str, make: Callable[[], Any]) -> Any:
    """What is made of a field; its fault is that of the field."""
    try:
        return make()
    except FieldError:
        raise
    except UNetError as error:
        raise FieldError(field, error) from None
