"""The dock "Batch": files, folders and layers to labels on disk, with a table of what became."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import Container
from napari.layers import Image
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog

from napari_unet.axes import guess_axes
from napari_unet.batch.inputs import Task, find_tasks
from napari_unet.batch.options import BatchOptions
from napari_unet.batch.result import FileDone, FileResult
from napari_unet.batch.state import PARTS
from napari_unet.errors import InputError, UNetError
from napari_unet.image.given import take_in
from napari_unet.io import write_image
from napari_unet.io.scratch import ScratchFolder
from napari_unet.replay.records import read_content
from napari_unet.widgets.batch.face import BatchFace
from napari_unet.widgets.batch.file_table import FileTable
from napari_unet.widgets.batch.form import BatchForm
from napari_unet.widgets.batch.job import BatchRequest
from napari_unet.widgets.batch.recorded import draft_of, take_over
from napari_unet.widgets.qt.events import ClosingWatch
from napari_unet.widgets.qt.fields import FieldError
from napari_unet.widgets.qt.form import order_tabs
from napari_unet.widgets.qt.job import JobRunner, Outcome, ProgressReport
from napari_unet.widgets.qt.memory import recall, remember
from napari_unet.widgets.qt.run_bar import RunBar
from napari_unet.widgets.qt.warm_up import import_torch
from napari_unet.widgets.qt.wording import duration_text, worded
from napari_unet.widgets.viewer.docks import PLUGIN, OneDock
from napari_unet.widgets.viewer.vispy_guard import guard_removals

if TYPE_CHECKING:
    import napari.viewer

DOCK = "batch"
NO_FILES = "Add files, a folder, or layers; or drop them on the table."
OWN_SUFFIXES = (".tif", ".tiff", ".zarr")  # that the plugin's own reader opens
PREVIEW_TIP = "Segment the first file alone, and show it with its labels; nothing is kept."


class BatchWidget(BatchFace, Container, metaclass=OneDock):  # type: ignore[type-arg]
    """The dock "Batch"; a script can drive it too, see `BatchFace`.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        In which images and labels are opened.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        guard_removals(viewer)
        self._viewer = viewer
        self._paths: list[str] = []
        self._tasks: tuple[Task, ...] = ()
        self._results: dict[int, FileResult] = {}
        self._request: BatchRequest | None = None
        self._previewing = False
        self._problem: UNetError | None = None
        self._summary: Path | None = None  # the table of the last run
        # what a killed process left of one, the next dock removes
        self._scratch = ScratchFolder(Path(tempfile.gettempdir()), temporary=True)
        self.warm = False
        self.bar = RunBar(
            self._press_run,
            self._preview,
            self.cancel,
            tips=("Run all files.", PREVIEW_TIP, "Stop; what is done is kept."),
        )
        super().__init__(widgets=[self.bar], labels=False)
        self.margins = (6, 6, 6, 6)
        self.runner = JobRunner(self._report, self._ended)
        self._warm_up = JobRunner(lambda _: None, self._warmed_up)
        self.form = BatchForm(
            self._changed,
            {
                "Files …": self._ask_files,
                "Folder …": self._ask_folder,
                "Layers": self._add_layers,
                "Clear": self._clear,
            },
        )
        self.rows = self.form.rows
        self.table = FileTable(self.add_paths, self._open)
        self._add_scripts(self._draft, lambda path: take_over(path, self), self._record_shown)
        layout = self.native.layout()
        layout.insertWidget(0, self.form.native, 3)
        layout.insertWidget(1, self.table, 2)
        order_tabs(self.native)
        self.form.pattern.native.returnPressed.connect(self._add_pattern)
        self.form.choose.changed.connect(lambda _: self._ask_output())
        self._closing = ClosingWatch(self.native, self._closed)
        self.form.recall(recall(DOCK))
        self._changed()
        QTimer.singleShot(0, lambda: self._warm_up.start(import_torch, ""))

    # files

    def add_paths(self, paths: list[str]) -> None:
        """Add files, folders, patterns or URLs."""
        try:
            self._set_paths([*self._paths, *map(str, paths)])
        except UNetError as error:
            self.bar.show_message(worded(error), fault=True)

    def _set_paths(self, paths: list[str]) -> None:
        if self.runner.running:
            return
        found = list(dict.fromkeys(paths))
        self._tasks = find_tasks(found).tasks
        self._paths = found
        self._results = {}
        self.table.set_files([task.source for task in self._tasks])
        self._changed()

    def _add_pattern(self) -> None:
        text = str(self.form.pattern.value).strip()
        if text:
            count = len(self._paths)
            self.add_paths([text])
            if len(self._paths) > count:
                self.form.pattern.value = ""

    def _add_layers(self) -> None:
        """Add the files of image layers; what is in memory alone is written to a file first."""
        layers = [layer for layer in self._viewer.layers if isinstance(layer, Image)]
        try:
            found = [self._file_of(layer) for layer in layers]
        except UNetError as error:
            self.bar.show_message(worded(error), fault=True)
            return
        if found:
            self.add_paths(found)
        else:
            self.bar.show_message("There is no image layer; open one first.", fault=True)

    def _file_of(self, layer: Any) -> str:
        given = take_in(layer)
        origin = given.origin
        path = origin.get("path")
        if path and Path(str(path)).exists() and not set(origin) - {"path", "level"}:
            return str(path)
        axes = given.axes or guess_axes(given.array.shape, channels=None)[0]
        name = "".join(c if c.isalnum() or c in "-_ " else "_" for c in layer.name)
        file = self._layers / f"{name}.ome.tif"
        sizes = given.pixel_size(axes)
        write_image(
            file,
            np.asarray(given.array),
            axes=axes,
            pixel_size=None if sizes is None else tuple(sizes),
        )
        return str(file)

    def _ask_files(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self.native, "Images")
        if names:
            self.add_paths(list(names))

    def _ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self.native, "Folder of images, or OME-Zarr store")
        if name:
            self.add_paths([name])

    def _ask_output(self) -> None:
        name = QFileDialog.getExistingDirectory(self.native, "Folder of the results")
        if name:
            self.form.output.value = name

    def _clear(self) -> None:
        if not self.runner.running:
            self._paths, self._tasks, self._results = [], (), {}
            self.table.set_files([])
            self._changed()

    # the form

    def reset_choices(self, *_: Any) -> None:
        """List the models anew; the viewer calls this when its layers change."""
        self.form.models.reset_choices()

    def _changed(self) -> None:
        if not hasattr(self, "table") or self.runner.running:
            return
        self.form.suggest()
        self._problem = None
        try:
            self._request = self._check()
        except FieldError as fault:
            self._request, self._problem = None, fault.error
        except UNetError as error:
            self._request, self._problem = None, error
        self.bar.set_ready(ready=self._request is not None)
        if self._problem is not None:
            self.bar.show_message(worded(self._problem), fault=True)
        elif self._request is None:
            self.bar.show_message(NO_FILES)
        else:
            count = len(self._tasks)
            what = "1 image" if count == 1 else f"{count} images"
            self.bar.show_message(f"{what}. Preview shows the first, Run does all.")

    def _check(self) -> BatchRequest | None:
        """The batch that the form asks for; None while there are no files."""
        if self.form.models.card is None:
            raise InputError(self.form.models.fault or "There is no model", "train one")
        options = self.form.options()
        BatchOptions.of(
            {n: options[n] for n in ("write", "export", "file_format", "name", "overwrite")}
        )
        if not self._tasks:
            return None
        output = str(self.form.output.value).strip() or None
        if output is None and any(self._layers in Path(path).parents for path in self._paths):
            raise InputError(
                "A layer that is in no file has no folder beside it", "choose ‘Results in’"
            )
        cluster = str(self.form.cluster.value).strip()
        return BatchRequest(tuple(self._paths), self.form.models.source, output, options, cluster)

    # runs

    def _find_fault(self) -> UNetError | None:
        if not self.runner.running:
            self._changed()
        if self._problem is None and not self._tasks:
            return InputError("There are no files", "set image to some, or to a folder")
        return self._problem

    def _draft(self) -> dict[str, Any]:
        fault = self._find_fault()
        if fault is not None:
            raise fault
        return draft_of(self, temporary=self._layers, several=len(self._tasks) > 1)

    def _record_shown(self) -> tuple[str, Mapping[str, Any]] | None:
        """The record of the selected file, else of the whole batch."""
        result = self._results.get(self.table.currentRow())
        if result is not None and result.record is not None:
            return Path(str(result.source)).name, result.record
        with suppress(UNetError):  # there was no run, or its folder is gone
            if self._summary is not None:
                return self._summary.name, read_content(self._summary)
        return None

    @property
    def _layers(self) -> Path:
        """The folder in which layers lie that are in no file."""
        return self._scratch.path / "layers"

    def _press_run(self) -> None:
        self._changed()
        if self._request is None:
            return
        self._previewing = False
        several = len(self._tasks) > 1
        options = {**self._request.options, "summary": several}
        remember(DOCK, self.form.remembered())
        self._start(replace(self._request, options=options), "Batch")

    def _preview(self) -> None:
        self._changed()
        if self._request is None:
            return
        self._previewing = True
        folder = tempfile.mkdtemp(dir=self._scratch.path)
        options = {**self._request.options, "write": ["labels"], "export": [], "file_format": "tif"}
        first = self._tasks[0]
        request = BatchRequest((str(first.source),), self._request.model, folder, options, "")
        self._start(request, "Preview")

    def _start(self, request: BatchRequest, title: str) -> None:
        self._results = {}
        self.table.set_files([task.source for task in self._tasks])
        self._request = request
        self.runner.start(request.job, title)
        self.bar.begin("Starting …")

    def cancel(self) -> None:
        """Stop the batch; what is done is kept."""
        self.runner.cancel()
        self.bar.show_message("Stopping; what is done is kept …")

    def _report(self, report: ProgressReport) -> None:
        self._drain()
        self.bar.show_report(report)
        left = "" if report.seconds_left is None else f", {duration_text(report.seconds_left)} left"
        if report.total:
            files = f"{len(self._results)} of {report.total // PARTS} files done{left}"
            self.bar.show_message(f"{report.message} ({files})")

    def _drain(self) -> None:
        """Take in what was told of single files."""
        request = self._request
        while request is not None and not request.told.empty():
            step = request.told.get()
            if isinstance(step, FileDone):
                self._results[step.file] = step.result
                self.table.show_result(step.file, step.result)
            else:
                self.table.show_state(step.file, step.state)

    def _ended(self, outcome: Outcome) -> None:
        self._drain()
        request = self._request
        self._take_result(outcome)
        for row in range(self.table.rowCount()):
            if row not in self._results:
                self.table.show_state(row, "not run" if outcome.cancelled else "waiting")
        self._changed()
        if outcome.error is not None:
            self._show_error(outcome.error)
        elif self._previewing and outcome.result:
            self._show_preview(outcome.result[0])
        else:
            text = describe_counts(list(self._results.values()), len(self._tasks))
            if request is not None and request.options.get("summary"):
                place = request.output or str(self._tasks[0].parent)
                self._summary = None if "://" in place else Path(place) / "batch.csv"
                text += f" The table is batch.csv in {place}."
            if outcome.cancelled:
                text = f"Cancelled. {text}"
            failed = any(result.error for result in self._results.values())
            self.bar.show_message(text, warning=failed)

    def _show_error(self, error: UNetError) -> None:
        if error.parameter in self.rows:
            self.rows[str(error.parameter)].show_message(fault=worded(error))
        self.bar.show_message(worded(error), fault=True)

    def _show_preview(self, result: FileResult) -> None:
        if result.fault is not None:
            self._show_error(result.fault)
            return
        self._open_result(result)
        message = str((result.record or {}).get("message", ""))
        self.bar.show_message(f"Preview of {Path(str(result.source)).name}: {message}")

    def _open(self, row: int) -> None:
        """Open the image of a row, and its labels where they are there."""
        result = self._results.get(row)
        if result is None:
            result = FileResult(self._tasks[row].source, None, None, None, 0.0)
        self._open_result(result)

    def _open_result(self, result: FileResult) -> None:
        files = [str(result.source)]
        labels = result.outputs.get("labels")
        files += [str(labels)] if labels is not None else []
        for file in files:
            if any(str(layer.source.path) == file for layer in self._viewer.layers):
                continue  # it is open
            own = Path(file).suffix.lower() in OWN_SUFFIXES or Path(file).is_dir()
            try:
                self._viewer.open(file, plugin=PLUGIN if own else "napari")
            except Exception as error:  # noqa: BLE001  # readers of others raise what they like
                self.bar.show_message(f"{file} cannot be opened ({error}).", fault=True)
                return

    def _warmed_up(self, outcome: Outcome) -> None:
        self.warm = True
        if outcome.error is not None:
            self._show_error(outcome.error)
        elif outcome.result:
            self.form.settings.set_choices("device", outcome.result)

    def _closed(self) -> None:
        for runner in (self.runner, self._warm_up):
            runner.drop()
        self._scratch.remove()


def describe_counts(results: list[FileResult], total: int) -> str:
    """What became of files, in words.

    >>> describe_counts([], 2)
    '2 not run.'
    """
    words = {"done": "done", "skipped": "finished before", "failed": "failed"}
    counts = Counter[str](result.state for result in results)
    parts = [f"{counts[state]} {word}" for state, word in words.items() if counts[state]]
    if total > len(results):
        parts.append(f"{total - len(results)} not run")
    return ", ".join(parts) + "."
