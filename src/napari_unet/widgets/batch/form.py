"""The form of the dock "Batch": which files, which model, what is written and where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from magicgui.widgets import CheckBox, ComboBox, Container, LineEdit, PushButton

from napari_unet.batch.options import FORMATS, KINDS, NAME
from napari_unet.errors import SettingsError
from napari_unet.settings import SegmentSettings
from napari_unet.widgets.models.picker import ModelPicker
from napari_unet.widgets.qt import wording
from napari_unet.widgets.qt.fields import parse_channels
from napari_unet.widgets.qt.form import Form, Row, SettingsForm, narrow

SETTINGS = (
    "object_diameter", "threshold", "split_depth", "min_size", "smoothing", "shape_radius",
    "invert", "volume_mode", "link_overlap", "flips", "tile", "device", "precision",
)  # fmt: skip
IN_PIXELS = ("object_diameter", "min_size", "smoothing", "shape_radius", "tile")
LABELS = {**wording.LABELS, **{name: f"{wording.LABELS[name]} (px)" for name in IN_PIXELS}}
DEVICES = ["auto", "cpu", "cuda", "mps"]
KIND_TIPS = {
    "labels": "The labels of each image, with axes and pixel size.",
    "scores": "What the network says of each pixel.",
    "measurements": "A table of the objects of each image.",
    "overlay": "A picture of the outlines over the image; of a stack, over its middle plane.",
}


class BatchForm:
    """All fields of the dock but its files.

    Parameters
    ----------
    on_change : callable
        Called when anything has changed.
    on_add : mapping of str to callable
        What the buttons above do, by their texts.
    """

    def __init__(
        self, on_change: Callable[[], None], on_add: Mapping[str, Callable[[], None]]
    ) -> None:
        self._on_change = on_change
        self.add = {text: PushButton(text=text) for text in on_add}
        for text, action in on_add.items():
            self.add[text].changed.connect(lambda _, action=action: action())
        buttons = Container(widgets=list(self.add.values()), layout="horizontal", labels=False)
        buttons.margins = (0, 0, 0, 0)
        self.pattern = LineEdit(value="")
        self.models = ModelPicker(self.changed)
        self.kinds = {kind: CheckBox(text=kind, value=kind == "labels") for kind in KINDS}
        for kind, box in self.kinds.items():
            box.tooltip = KIND_TIPS[kind]
        boxes = list(self.kinds.values())
        lines = [
            Container(widgets=pair, layout="horizontal", labels=False)
            for pair in (boxes[:2], boxes[2:])
        ]
        for line in lines:
            line.margins = (0, 0, 0, 0)
        kinds = Container(widgets=lines, labels=False)
        kinds.margins = (0, 0, 0, 0)
        self.export = LineEdit(value="")
        self.output = LineEdit(value="")
        self.choose = PushButton(text="…", tooltip="Choose the folder.")
        self.choose.native.setMaximumWidth(32)
        self.file_format = narrow(ComboBox(choices=list(FORMATS), value="tif"))
        self.name = LineEdit(value=NAME)
        self.overwrite = CheckBox(value=False, text="")
        self.cluster = LineEdit(value="")
        self.axes = LineEdit(value="")
        self.channels = LineEdit(value="")
        self.settings = SettingsForm(
            SegmentSettings,
            SETTINGS,
            labels=LABELS,
            choices={"device": DEVICES},
            on_change=self.changed,
        )
        for field, text in (
            (self.pattern, "/data/**/*.tif, then Enter"),
            (self.export, "none"),
            (self.output, "beside each image"),
            (self.axes, "as each file says"),
            (self.channels, "all"),
            (self.cluster, "none: here"),
        ):
            field.native.setPlaceholderText(text)
        self._parts = (buttons, kinds)  # magicgui's parts must live as long as Qt's
        output = Row(
            self.output,
            "Results in",
            "Folder of the results, or its URL; empty: beside each image.",
        )
        output.put_beside(self.choose.native)
        self.rows = {
            "files": Row(buttons, "", "Which images."),
            "pattern": Row(
                self.pattern,
                "Pattern or URL",
                "Press Enter to add: a pattern such as /data/**/*.tif (** stands for folders at "
                "any depth), or a URL such as s3://bucket/cells.zarr.",
            ),
            "model": self.models.row,
            "write": Row(kinds, "Write", "What is written of each image."),
            "export": Row(
                self.export,
                "Export as",
                "Further formats of the labels by their endings, such as geojson; empty: none.",
            ),
            "output": output,
            "file_format": Row(self.file_format, "Format", "Of labels and scores."),
            "name": Row(
                self.name,
                "Names",
                "Template of the names: {name} of the image, {kind}, {model} and {folder}.",
            ),
            "overwrite": Row(
                self.overwrite,
                "Run all again",
                "Also files that are finished; replaces also what was changed by hand.",
            ),
            "axes": Row(self.axes, "Axes", "Of all images, over TCZYX; empty: as each file says."),
            "channels": Row(
                self.channels, "Channels", "Such as 0 or 2, 0; empty: all, in the model's order."
            ),
            **self.settings.rows,
            "cluster": Row(
                self.cluster,
                "Cluster",
                "Empty: here. local:2 for two processes of this machine, or the address of a Dask "
                "scheduler, such as tcp://head:8786.",
            ),
        }
        rows = list(self.rows.values())
        rows.insert(list(self.rows).index("model") + 1, self.models.about)
        self.native = Form(rows)
        for field in (self.export, self.output, self.name, self.cluster, self.axes, self.channels):
            field.changed.connect(lambda _: self.changed())
        for part in (*boxes, self.overwrite, self.file_format):
            part.changed.connect(lambda _: self.changed())

    def changed(self) -> None:
        """Tell of a change."""
        self._on_change()

    def options(self) -> dict[str, Any]:
        """The further arguments of `napari_unet.segment_files`.

        Raises
        ------
        FieldError
            If the channels are none.
        """
        return {**self.file_options(), **self.settings.values()}

    def file_options(self) -> dict[str, Any]:
        """The options but for the settings: what is written, where and of which channels.

        Raises
        ------
        FieldError
            If the channels are none.
        """
        channels = str(self.channels.value).strip()
        return {
            "write": [kind for kind, box in self.kinds.items() if box.value],
            "export": [part.strip() for part in str(self.export.value).split(",") if part.strip()],
            "file_format": self.file_format.value,
            "name": str(self.name.value) or NAME,
            "overwrite": bool(self.overwrite.value),
            "axes": str(self.axes.value).strip().upper() or None,
            "channels": parse_channels(channels) if channels else None,
        }

    def set_file_options(self, options: Mapping[str, Any]) -> None:
        """Put some of the options into the form; the others stay.

        Raises
        ------
        SettingsError
            If there is no such option.
        """
        unknown = set(options) - set(self.file_options())
        if unknown:
            name = min(unknown)
            known = ", ".join(self.file_options())
            raise SettingsError(f"There is no option {name!r}", f"there are {known}")
        for kind, box in self.kinds.items():
            if "write" in options:
                box.value = kind in options["write"]
        texts = {"name": self.name, "axes": self.axes}
        lists = {"export": self.export, "channels": self.channels}
        for name, field in texts.items():
            if name in options:
                field.value = str(options[name] or "")
        for name, field in lists.items():
            if name in options:
                field.value = ", ".join(map(str, options[name] or ()))
        if "file_format" in options:
            self.file_format.value = options["file_format"]
        if "overwrite" in options:
            self.overwrite.value = bool(options["overwrite"])

    def remembered(self) -> dict[str, Any]:
        """What is kept for the next session."""
        return {
            "model": str(self.models.source),
            "settings": self.settings.values(),
            "write": [kind for kind, box in self.kinds.items() if box.value],
            "output": str(self.output.value),
            "name": str(self.name.value),
        }

    def recall(self, kept: Mapping[str, Any]) -> None:
        """Fill the form with what was kept."""
        if kept.get("model"):
            self.models.choose(kept["model"])
        settings = kept.get("settings")
        self.settings.set_values(settings if isinstance(settings, dict) else {})
        write = kept.get("write")
        if isinstance(write, list) and write:
            for kind, box in self.kinds.items():
                box.value = kind in write
        self.output.value = str(kept.get("output") or "")
        self.name.value = str(kept.get("name") or NAME)
        self.suggest()

    def suggest(self) -> None:
        """Show what "auto" stands for with the chosen model."""
        card = self.models.card
        if card is not None:
            self.settings.suggest(
                {**card.decoding.model_dump(), "object_diameter": card.object_diameter}
            )
