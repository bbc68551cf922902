"""The dock "Measure": from a labels layer to a table of its objects, a plot and colours."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import Container
from napari.layers import Labels

from napari_unet.errors import InputError
from napari_unet.measurement.table_file import write_table
from napari_unet.progress import Progress
from napari_unet.widgets.measure.form import MeasureForm
from napari_unet.widgets.measure.measured import Measured
from napari_unet.widgets.measure.panel import ObjectsPanel
from napari_unet.widgets.measure.recorded import record_beside, take_over
from napari_unet.widgets.qt.events import ClosingWatch
from napari_unet.widgets.qt.form import order_tabs
from napari_unet.widgets.qt.job import JobRunner, Outcome
from napari_unet.widgets.qt.memory import recall, remember
from napari_unet.widgets.qt.object_table import Rows
from napari_unet.widgets.qt.run_bar import RunBar
from napari_unet.widgets.qt.script_menu import ScriptMenu
from napari_unet.widgets.qt.scripted import Scripted
from napari_unet.widgets.qt.wording import is_next_step, worded
from napari_unet.widgets.viewer.below import BelowViewer
from napari_unet.widgets.viewer.docks import OneDock
from napari_unet.widgets.viewer.layer_image import plain
from napari_unet.widgets.viewer.object_features import ObjectFeatures
from napari_unet.widgets.viewer.object_outline import MOST_OBJECTS, ObjectOutline
from napari_unet.widgets.viewer.objects import ObjectClicks, go_to_object
from napari_unet.widgets.viewer.records import record_shown
from napari_unet.widgets.viewer.vispy_guard import guard_removals

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image

DOCK = "measure"
TITLE = "Objects"
READY = "Press Run: the table comes below the viewer."
CHANGED = "The labels were changed since they were measured: press Run again."
TIPS = ("Measure all objects.", "", "Stop; the table of before stays.")
EDITS = ("paint", "data")  # events of a labels layer: by brush or tool, by a program


class MeasureWidget(Scripted, Container, metaclass=OneDock):  # type: ignore[type-arg]
    """The dock "Measure"; a script can drive it too.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Whose labels are measured.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        guard_removals(viewer)
        self._viewer = viewer
        self.measured: Measured | None = None
        self._started: tuple[Labels, Any] | None = None
        self._stale = False
        self._watched: Labels | None = None
        self.warm = True  # nothing is to be loaded first
        self.bar = RunBar(self._run, lambda: None, self.cancel, tips=TIPS)
        self.bar.preview.visible = False
        super().__init__(widgets=[self.bar], labels=False)
        self.margins = (6, 6, 6, 6)
        self.runner = JobRunner(self.bar.show_report, self._ended)
        self.saver = JobRunner(lambda _: None, self._saved)
        self.form = MeasureForm(viewer, self._changed)
        self.rows = self.form.rows
        self.panel = ObjectsPanel(self._chosen, self._colour, self._save, self.bar.show_message)
        self.below = BelowViewer(viewer, self.panel, TITLE)
        self.features = ObjectFeatures(viewer)
        self.outline = ObjectOutline(viewer)
        self.clicks = ObjectClicks(viewer, self._clicked)
        self.native.layout().insertWidget(0, self.form.native, 1)
        order_tabs(self.native)
        self._closing = ClosingWatch(self.native, self._closed)
        viewer.layers.events.removed.connect(self._layer_removed)
        self.scripts = ScriptMenu(
            self.native,
            self._draft,
            lambda path: take_over(path, self.form, viewer),
            lambda: record_shown(viewer),
            self.bar.show_message,
        )
        self.bar.buttons.native.layout().addWidget(self.scripts.button)
        self.form.recall(recall(DOCK))
        self.form.reset_choices()

    def run(self, labels: Labels | None = None, images: list[Image] | None = None) -> None:
        """Start measuring, as the button does; of other labels and images where they are given.

        Raises
        ------
        UNetError
            If it cannot be started; it says why.
        """
        if labels is not None:
            self.form.choose(plain(labels), images)
        self.form.refresh()
        if self.form.fault is not None:
            raise self.form.fault.error
        self._run()

    def cancel(self) -> None:
        """Stop measuring; the table of before stays."""
        self.runner.cancel()
        self.bar.show_message("Stopping …")

    def reset_choices(self, *_: Any) -> None:
        """List the layers anew; the viewer calls this when its layers change."""
        self.form.reset_choices()

    def _changed(self) -> None:
        if self.runner.running or not hasattr(self, "panel"):
            return
        fault = self.form.fault
        self.bar.set_ready(ready=self.form.request is not None)
        if fault is not None:
            calm = is_next_step(fault.error)
            self.bar.show_message(worded(fault.error), fault=not calm)
        elif self._stale and self.measured is not None and self.measured.layer is self.form.layer:
            self.bar.show_message(CHANGED, warning=True)
        else:
            self.bar.show_message(READY)

    def _draft(self) -> dict[str, Any]:
        self.form.refresh()
        if self.form.request is None:
            fault = self.form.fault
            raise InputError("There is nothing to measure") if fault is None else fault.error
        return self.form.request.as_draft()

    # measuring

    def _run(self) -> None:
        if self.runner.running:
            return
        request, layer = self.form.current_request(), self.form.layer
        if request is None or layer is None:
            return
        remember(DOCK, self.form.remembered())
        self._started = layer, (request, self.form.data)
        self._stale = False
        self._watch(layer)
        self.runner.start(request.job, f"Measuring {layer.name}")
        self.bar.begin("Starting …")

    def _ended(self, outcome: Outcome) -> None:
        started, self._started = self._started, None
        self.failure, self.result = outcome.error, outcome.result
        self.bar.set_ready(ready=self.form.request is not None)
        if outcome.cancelled:
            self.bar.show_message("Cancelled: the table is that of before.")
        elif outcome.error is not None:
            self._show_error(outcome.error)
        elif started is not None and started[0] in self._viewer.layers:
            layer, (request, data) = started
            kept = request.without_arrays()
            self._show(Measured(layer, data.layer_axes, outcome.result, kept))

    def _show_error(self, error: Any) -> None:
        if error.parameter in self.rows:
            self.rows[error.parameter].show_message(fault=worded(error))
        self.bar.show_message(worded(error), fault=True)

    def _show(self, measured: Measured) -> None:
        self.measured = measured
        self.outline.clear()
        self.panel.show_table(measured.table, f"{measured.layer.name} objects")
        self.below.show()
        self.features.show(measured.layer, measured.table, measured.time_axis)
        self.features.colour_by(self.panel.column)
        self.clicks.watch(measured.layer)
        self.bar.show_message(
            CHANGED if self._stale else measured.describe(),
            warning=self._stale or not len(measured.table),
        )

    # from the table to the viewer, and back

    def _chosen(self, rows: Rows) -> None:
        measured = self.measured
        if measured is None or measured.layer not in self._viewer.layers:
            return
        if len(rows) == 1:
            box = measured.box_of(int(rows[0]))
            middle = [(part.start + part.stop - 1) / 2 for part in box]
            go_to_object(self._viewer, measured.layer, middle, [p.stop - p.start for p in box])
            measured.layer.selected_label = measured.label_of(int(rows[0]))
        self._mark(rows)

    def _mark(self, rows: Rows) -> None:
        measured = self.measured
        assert measured is not None
        pairs = [
            (measured.label_of(int(row)), measured.box_of(int(row))) for row in rows[:MOST_OBJECTS]
        ]
        self.outline.show(measured.layer, pairs)

    def _clicked(self, layer: Labels, label: int, place: tuple[int, ...]) -> None:
        measured = self.measured
        if measured is None or layer is not measured.layer:
            return
        rows = measured.rows_of(label, place) if label else np.zeros(0, np.int64)
        if label and not len(rows):
            self.bar.show_message(
                f"Object {label} is not in the table: it was made after measuring. Press Run.",
                warning=True,
            )
        self.panel.choose(rows)
        self._mark(rows)

    def _colour(self, column: str | None) -> None:
        self.features.colour_by(column)

    # saving

    def _save(self, path: Path) -> None:
        table = self.panel.frame
        if table is None:
            return
        self.bar.show_message(f"Saving {path.name} …")
        request = None if self.measured is None else self.measured.request
        draft = request.as_draft() if request is not None and request.held else None

        def job() -> Generator[Progress, None, str]:
            yield Progress(0, 1, "saving")
            write_table(path, table, units=True)
            if draft is not None:
                record_beside(path, draft)
            return path.name

        self.saver.start(job, f"Saving {path.name}")

    def _saved(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.bar.show_message(worded(outcome.error), fault=True)
        elif outcome.result:
            self.bar.show_message(f"Saved to {outcome.result}.")

    # layers that change and go

    def _watch(self, layer: Labels) -> None:
        self._unwatch()
        self._watched = layer
        for name in EDITS:
            getattr(layer.events, name).connect(self._labels_edited)

    def _unwatch(self) -> None:
        layer, self._watched = self._watched, None
        if layer is not None:
            for name in EDITS:
                getattr(layer.events, name).disconnect(self._labels_edited)

    def _labels_edited(self, _: object = None) -> None:
        if not self._stale:
            self._stale = True
            self._changed()

    def _layer_removed(self, event: Any) -> None:
        measured = self.measured
        if measured is not None and plain(event.value) is measured.layer:
            self.measured = None  # the table stays, and can be saved
            self.outline.clear()
            self.clicks.watch(None)
            self.features.release()
            self._unwatch()

    def _closed(self) -> None:
        for runner in (self.runner, self.saver):
            runner.drop()
        self._viewer.layers.events.removed.disconnect(self._layer_removed)
        self.form.close()
        self._unwatch()
        self.clicks.close()
        self.outline.close()
        self.features.close()
        self.below.close()
