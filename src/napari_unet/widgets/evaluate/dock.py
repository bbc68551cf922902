"""The dock "Evaluate": a prediction against the truth, in scores and error by error."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import Container
from napari.layers import Labels

from napari_unet.evaluation.run import Evaluation
from napari_unet.evaluation.table import check_evaluation_path, write_evaluation
from napari_unet.metrics import InstanceScores, SemanticScores
from napari_unet.progress import Progress
from napari_unet.widgets.evaluate.atlas_layer import AtlasLayer
from napari_unet.widgets.evaluate.form import EvaluateForm
from napari_unet.widgets.evaluate.panel import EvaluatePanel
from napari_unet.widgets.evaluate.recorded import draft_of, take_over
from napari_unet.widgets.evaluate.request import Found
from napari_unet.widgets.qt.events import ClosingWatch
from napari_unet.widgets.qt.form import order_tabs
from napari_unet.widgets.qt.job import JobRunner, Outcome
from napari_unet.widgets.qt.memory import recall, remember
from napari_unet.widgets.qt.object_table import Rows
from napari_unet.widgets.qt.run_bar import RunBar
from napari_unet.widgets.qt.script_menu import ScriptMenu
from napari_unet.widgets.qt.scripted import Copied
from napari_unet.widgets.qt.wording import is_next_step, worded
from napari_unet.widgets.viewer.below import BelowViewer
from napari_unet.widgets.viewer.docks import OneDock
from napari_unet.widgets.viewer.objects import ObjectClicks, go_to_object
from napari_unet.widgets.viewer.records import record_shown
from napari_unet.widgets.viewer.vispy_guard import guard_removals

if TYPE_CHECKING:
    import napari.viewer

DOCK = "evaluate"
TITLE = "Scores and errors"
READY = "Press Run: scores and errors come below the viewer."
TIPS = ("Compare with the truth.", "", "Stop; what was found before stays.")


class EvaluateWidget(Copied, Container, metaclass=OneDock):  # type: ignore[type-arg]
    """The dock "Evaluate"; a script can drive it too: `run`, `wait`, `result`.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Whose layers are compared.

    Attributes
    ----------
    result : Found or None
        What the last run gave.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        guard_removals(viewer)
        self._viewer = viewer
        self.result: Found | None = None
        self.failure: Any = None
        self.warm = True  # nothing is to be loaded first
        self._started: tuple[Any, Any] | None = None  # layers of the prediction and the truth
        self._judged: Any = None  # the layer whose objects the table lists
        self._rows: Rows = np.zeros(0, np.int64)
        self.bar = RunBar(self._run, lambda: None, self.cancel, tips=TIPS)
        self.bar.preview.visible = False
        super().__init__(widgets=[self.bar], labels=False)
        self.margins = (6, 6, 6, 6)
        self.runner = JobRunner(self.bar.show_report, self._ended)
        self.saver = JobRunner(lambda _: None, self._saved)
        self.form = EvaluateForm(viewer, self._changed)
        self.rows = self.form.rows
        self.panel = EvaluatePanel(self._chosen, self._save, self.bar.show_message)
        self.below = BelowViewer(viewer, self.panel, TITLE)
        self.atlas = AtlasLayer(viewer)
        self.clicks = ObjectClicks(viewer, self._clicked)
        self.native.layout().insertWidget(0, self.form.native, 1)
        order_tabs(self.native)
        self._closing = ClosingWatch(self.native, self._closed)
        self.scripts = ScriptMenu(
            self.native,
            lambda: draft_of(self.form),
            lambda path: take_over(path, self.form),
            lambda: record_shown(viewer),
            self.bar.show_message,
        )
        self.bar.buttons.native.layout().addWidget(self.scripts.button)
        self.form.recall(recall(DOCK))
        self.form.reset_choices()

    def run(self, prediction: Any = None, truth: Any = None, second: Any = None) -> None:
        """Start, as the button does; of other layers where they are given.

        Raises
        ------
        UNetError
            If it cannot be started; it says why.
        """
        if prediction is not None:
            self.form.choose(prediction, truth, second)
        self.form.refresh()
        if self.form.fault is not None:
            raise self.form.fault.error
        self._run()

    def wait(self, timeout_s: float | None = None) -> Found | None:
        """Wait until the run has ended, while the window stays alive, and give its result.

        Raises
        ------
        UNetError
            If the run failed.
        """
        self.runner.wait(timeout_s)
        if self.failure is not None:
            raise self.failure
        return self.result

    def cancel(self) -> None:
        """Stop; what was found before stays."""
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
        if fault is None:
            self.bar.show_message(READY)
        else:
            self.bar.show_message(worded(fault.error), fault=not is_next_step(fault.error))

    # the run

    def _run(self) -> None:
        self.form.refresh()
        request = self.form.request
        if request is None or self.runner.running:
            return
        remember(DOCK, self.form.remembered())
        self._started = self.form.layer, self.form.true_layer
        request = request.snapshot()
        self.runner.start(request.job, "Evaluating")
        self.bar.begin("Starting …")

    def _ended(self, outcome: Outcome) -> None:
        started, self._started = self._started, None
        self.failure, found = outcome.error, outcome.result
        self.bar.set_ready(ready=self.form.request is not None)
        if outcome.cancelled:
            self.bar.show_message("Cancelled: what was found before stays.")
        elif outcome.error is not None:
            self.bar.show_message(worded(outcome.error), fault=True)
        elif started is not None and isinstance(found, Found):
            self.result = found
            self._show(found, *started)

    def _show(self, found: Found, prediction: Any, truth: Any) -> None:
        self.panel.show_scores(found.evaluation)
        self._judged = None
        if found.survey is not None:
            self._rows = self.panel.show_objects(found.survey)
            self._judged = prediction
        else:
            atlas = found.atlas if truth in self._viewer.layers else None
            self.panel.show_errors(atlas)
            if atlas is not None:
                self._judged = self.atlas.show(atlas, truth, prediction.name)
                self.form.reset_choices()
        self.clicks.watch(self._judged if isinstance(self._judged, Labels) else None)
        self.below.show()
        self.bar.show_message(describe_found(found))

    # from the table to the viewer, and back

    def _chosen(self, rows: Rows) -> None:
        layer, found = self._judged, self.result
        if layer is None or layer not in self._viewer.layers or found is None or len(rows) != 1:
            return
        row = int(rows[0])
        if found.atlas is not None:
            error = found.atlas.errors[row]
            place, box = list(error.position), list(error.box)
            label = error.number
        else:
            assert found.survey is not None
            survey, at = found.survey, int(self._rows[row])
            place = [int(p) for p in survey.points[at]]
            ends = zip(survey.starts[at], survey.stops[at], strict=True)
            box = [slice(int(a), int(b)) for a, b in ends]
            label = int(survey.labels[at])
            if layer.ndim > len(place):
                place.insert(0, int(survey.frames[at]))
                box.insert(0, slice(place[0], place[0] + 1))
        for axis in [i for i, size in enumerate(layer.data.shape) if size == 1][
            : layer.ndim - len(place)
        ]:  # an axis of channels, of length 1
            place.insert(axis, 0)
            box.insert(axis, slice(0, 1))
        go_to_object(self._viewer, layer, place, [b.stop - b.start for b in box])
        layer.selected_label = label

    def _clicked(self, layer: Labels, label: int, place: tuple[int, ...]) -> None:
        found = self.result
        if layer is not self._judged or found is None or not label:
            self.panel.errors.choose([])
            return
        if found.atlas is not None:
            self.panel.errors.choose([label - 1])
        elif found.survey is not None:
            survey = found.survey
            same = np.flatnonzero(survey.labels[self._rows] == label)
            frames = survey.frames[self._rows][same]
            here = same[frames == place[0]] if len(same) > 1 else same
            self.panel.errors.choose(here[:1])

    # saving

    def _save(self, path: Path) -> None:
        evaluation = None if self.result is None else self.result.evaluation
        if evaluation is None:
            return
        self.bar.show_message(f"Saving {path.name} …")
        kept: Evaluation = evaluation

        def job() -> Generator[Progress, None, str]:
            yield Progress(0, 1, "saving")
            write_evaluation(check_evaluation_path(path), kept)
            return path.name

        self.saver.start(job, f"Saving {path.name}")

    def _saved(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.bar.show_message(worded(outcome.error), fault=True)
        elif outcome.result:
            self.bar.show_message(f"Saved to {outcome.result}.")

    def _closed(self) -> None:
        for runner in (self.runner, self.saver):
            runner.drop()
        self.clicks.close()
        self.below.close()


def describe_found(found: Found) -> str:
    """The main thing in a sentence."""
    if found.evaluation is None:
        count = 0 if found.survey is None else len(found.survey)
        return f"{count:,} objects, the least certain first: click a row to go there."
    scores, faults = found.evaluation.scores[0], len(found.evaluation.faults)
    if isinstance(scores, InstanceScores):
        said = f"AP {scores.ap[0.5]:.3f} and F1 {scores.f1[0.5]:.3f} at IoU 0.5"
    elif isinstance(scores, SemanticScores):
        said = "Dice " + ", ".join(f"{n}: {v:.3f}" for n, v in scores.dice.items())
    else:
        figures = scores.as_dict()
        said = ", ".join(
            f"{n.upper()} {figures[n]:.4g}"
            for n in ("mae", "psnr", "ssim")
            if figures.get(n) is not None
        )
    if found.atlas is not None and found.atlas.errors:
        said += ". Click an error to go there"
    if faults:
        said += f". {faults} of the images could not be compared"
    return f"{said}."
