"""A button that exports labels to a file for another program, for any dock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import PushButton
from napari.layers import Image, Labels
from qtpy.QtWidgets import QFileDialog

from napari_unet.errors import UNetError
from napari_unet.formats.kinds import KINDS, Kind
from napari_unet.widgets.qt.form import Row
from napari_unet.widgets.qt.job import Job, JobRunner, Outcome, ProgressReport
from napari_unet.widgets.qt.memory import recall, remember
from napari_unet.widgets.qt.wording import worded
from napari_unet.widgets.viewer.label_data import LabelData
from napari_unet.widgets.viewer.layer_image import RECORD_KEY, level_of, plain, shape_of
from napari_unet.widgets.viewer.view import whole_view_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

TEXT, CANCEL = "Export labels …", "Cancel the export"
TIP = (
    "Write the selected labels, or the newest result, to a file for Fiji, QuPath, Cellpose, OMERO "
    "or COCO tools, as a picture with outlines or as a table. Of a stack, PNG files take the plane "
    "that is in view."
)
WITH_IMAGE = ("overlay", "csv", "cellpose")
MEMORY = "export"

Answer = tuple[str, str]
"""A path and the filter that was chosen in a dialog; the path is empty where it was cancelled."""


class ExportButton:
    """A button for labels. Its ``row`` is to be put into a form; it hides where there are none.

    Parameters
    ----------
    viewer : Viewer
        Whose layers it is about.
    image_of : callable
        Gives the image that labels are of, where that is known; else one of the same shape.
    ask : callable
        Asks for a path, from a proposed one, the filters, and the one that is chosen first.
    """

    def __init__(
        self,
        viewer: Viewer,
        image_of: Callable[[Layer], Image | None] = lambda _: None,
        ask: Callable[[str, str, str], Answer] | None = None,
    ) -> None:
        self._viewer, self._known_image = viewer, image_of
        self._ask = ask or self._ask_in_dialog
        self._said = ""
        self.button = PushButton(text=TEXT)
        self.row = Row(self.button, "", TIP)
        self.runner = JobRunner(self._report, self._ended)
        self.button.changed.connect(lambda _: self._pressed())
        viewer.layers.selection.events.active.connect(self.refresh)
        self.refresh()

    @property
    def target(self) -> Labels | None:
        """The labels that are meant: those selected, else the newest result."""
        active = plain(self._viewer.layers.selection.active)
        if isinstance(active, Labels):
            return active
        results = (
            layer
            for layer in reversed(self._viewer.layers)
            if isinstance(layer, Labels) and RECORD_KEY in layer.metadata
        )
        return plain(next(results, None))

    def refresh(self, _: object = None) -> None:
        """Look for labels; to be called when layers come and go."""
        self.row.show(visible=self.runner.running or self.target is not None)

    def close(self) -> None:
        """Stop listening and exporting; no widget is touched."""
        self.runner.drop()
        self._viewer.layers.selection.events.active.disconnect(self.refresh)

    def _pressed(self) -> None:
        if self.runner.running:
            self.runner.cancel()
            return
        layer = self.target
        if layer is None:
            return
        kept = recall(MEMORY)
        first = KINDS.get(str(kept.get("format")), KINDS["tif"])
        proposed = Path(str(kept.get("folder", ""))) / f"{_file_name(layer.name)}{first.endings[0]}"
        filters = {_filter(kind): kind for kind in KINDS.values()}
        path, chosen = self._ask(str(proposed), ";;".join(filters), _filter(first))
        if not path:
            return
        self.export(layer, Path(path), filters.get(chosen, first))

    def export(self, layer: Labels, path: Path, kind: Kind) -> None:
        """Start exporting labels.

        Parameters
        ----------
        layer : Labels
            The labels.
        path : Path
            As it was chosen; it gets the usual ending of the format where it has none of its own.
        kind : Kind
            The format that was chosen; another ending of the path goes before it.
        """
        asked = True  # whether a file may be replaced: the dialog asks for the name that it has
        if not path.name.lower().endswith(kind.endings):
            typed = [k for k in KINDS.values() if path.name.lower().endswith(k.endings[0])]
            asked = bool(typed)
            kind = typed[0] if typed else kind
            path = path if typed else path.with_name(path.name + kind.endings[0])
        try:
            make, part = self._job(layer, path, kind, replace=asked)
        except UNetError as error:
            self.row.show_message(fault=worded(error))
            return
        remember(MEMORY, {"folder": str(path.parent), "format": kind.name})
        self._said = f"Exported to {path.name}{part}."
        self.button.text = CANCEL
        self.row.show_message(f"Exporting to {path.name} …")
        self.runner.start(make, f"Exporting {path.name}")

    def _job(
        self, layer: Labels, path: Path, kind: Kind, *, replace: bool
    ) -> tuple[Callable[[], Job], str]:
        data, attributes, _ = layer.as_layer_data_tuple()
        labels = LabelData.of(data, attributes)
        image, axes = None, labels.axes
        found = self._image_of(layer, labels) if kind.name in WITH_IMAGE else None
        if found is not None:
            image, axes = found
        part = ""
        if kind.is_planar and set(labels.axes) & set("TZ"):
            view = whole_view_of(self._viewer, layer, labels.layer_axes)
            at = {"T": view.t, "Z": view.z}
            part = " (" + ", ".join(
                f"{axis.lower()} {at[axis]}" for axis in labels.axes if axis in at
            ) + ", which is in view)"  # fmt: skip
            labels, image, axes = _plane(labels, image, axes, at)
        array = labels.array
        if isinstance(array, np.ndarray):
            array = array.copy()  # it may be painted on meanwhile
        files = {
            "labels": layer.source.path,
            "image": None if found is None else self._image_file(layer, labels),
        }

        def make() -> Job:
            from napari_unet.formats.export import iter_export

            return iter_export(
                array,
                path,
                format=kind.name,
                axes=axes,
                pixel_size=labels.pixel_size,
                image=image,
                record=labels.record or {},
                replace=replace,
                files=files,
            )

        return make, part

    def _image_of(self, layer: Labels, labels: LabelData) -> tuple[Any, str] | None:
        """The pixels of the image of labels, with their axes."""
        image = self._image_layer(layer, labels)
        if image is None:
            return None
        shape, recorded = shape_of(image), str((labels.record or {}).get("axes", ""))
        if shape == tuple(labels.array.shape):
            return level_of(image), labels.axes
        if image.rgb and shape[:-1] == tuple(labels.array.shape):
            return level_of(image), f"{labels.axes}C"
        if len(recorded) == len(shape) and recorded.replace("C", "") == labels.axes:
            return level_of(image), recorded
        return None

    def _image_layer(self, layer: Labels, labels: LabelData) -> Image | None:
        known = self._known_image(layer)
        if known is not None:
            return plain(known)
        shape = tuple(labels.array.shape)
        fitting = [
            plain(each)
            for each in self._viewer.layers
            if isinstance(each, Image)
            and RECORD_KEY not in each.metadata
            and shape in (shape_of(each), shape_of(each)[:-1] if each.rgb else shape_of(each))
        ]
        named = [each for each in fitting if layer.name.startswith(each.name)]
        if named:
            return max(named, key=lambda each: len(each.name))
        return fitting[0] if len(fitting) == 1 else None

    def _image_file(self, layer: Labels, labels: LabelData) -> str | None:
        image = self._image_layer(layer, labels)
        return None if image is None else image.source.path

    def _report(self, report: ProgressReport) -> None:
        share = f" {report.done / report.total:.0%}" if report.total > 1 else ""
        self.row.show_message(f"{report.message.capitalize()}{share} …")

    def _ended(self, outcome: Outcome) -> None:
        self.button.text = TEXT
        if outcome.cancelled:
            self.row.show_message("Cancelled: no file was written.")
        elif outcome.error is not None:
            self.row.show_message(fault=worded(outcome.error))
        else:
            self.row.show_message(self._said)
        self.refresh()

    def _ask_in_dialog(self, proposed: str, filters: str, first: str) -> Answer:
        path, chosen = QFileDialog.getSaveFileName(
            self.row.native, "Export labels", proposed, filters, first
        )
        return path, chosen


def _plane(
    labels: LabelData, image: Any, axes: str, at: dict[str, int]
) -> tuple[LabelData, Any, str]:
    """One plane of labels and of their image."""

    def cut(array: Any, letters: str) -> Any:
        return array[tuple(at.get(axis, slice(None)) for axis in letters)]

    spatial = [axis for axis in labels.axes if axis in "ZYX"]
    sizes = dict(zip(spatial, labels.pixel_size, strict=True))
    kept = "".join(axis for axis in labels.axes if axis not in at)
    one = replace(
        labels,
        array=cut(labels.array, labels.axes),
        axes=kept,
        pixel_size=tuple(sizes[axis] for axis in kept),
    )
    left = "".join(axis for axis in axes if axis not in at)
    return one, None if image is None else cut(image, axes), left


def _filter(kind: Kind) -> str:
    return f"{kind.title} ({' '.join(f'*{ending}' for ending in kind.endings)})"


def _file_name(name: str) -> str:
    """A layer's name as that of a file."""
    return "".join(c if c.isalnum() or c in " ._-" else "_" for c in name).strip() or "labels"
