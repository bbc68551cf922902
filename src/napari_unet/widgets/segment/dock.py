"""The dock "Segment": from an image layer to labels, with a few clicks."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from magicgui.widgets import Container
from qtpy.QtCore import QTimer

from napari_unet.errors import InputError, UNetError
from napari_unet.installation import foreign_distribution
from napari_unet.widgets.qt.events import ClosingWatch
from napari_unet.widgets.qt.form import order_tabs
from napari_unet.widgets.qt.job import JobRunner, Outcome
from napari_unet.widgets.qt.memory import recall, remember
from napari_unet.widgets.qt.run_bar import RunBar, describe_cost
from napari_unet.widgets.qt.warm_up import import_torch
from napari_unet.widgets.qt.wording import is_next_step, worded
from napari_unet.widgets.segment.carried_over import CarriedOver
from napari_unet.widgets.segment.face import SegmentFace
from napari_unet.widgets.segment.form import SegmentForm
from napari_unet.widgets.segment.live_decoding import Kept, LiveDecoding
from napari_unet.widgets.segment.recorded import draft_of, take_over
from napari_unet.widgets.segment.request import Outputs, Request
from napari_unet.widgets.viewer.docks import OneDock
from napari_unet.widgets.viewer.kept_scores import keep_scores
from napari_unet.widgets.viewer.lazy_values import lazily
from napari_unet.widgets.viewer.records import record_shown
from napari_unet.widgets.viewer.result_layers import ResultLayers
from napari_unet.widgets.viewer.vispy_guard import guard_removals

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image

    from napari_unet.inference.cost import CostEstimate

STARTING_COLD = "Starting …, when torch is loaded and the decoding is compiled"
READY = "Press Run, or Preview for what is in view."
DOCK = "segment"
ESTIMATE_DELAY_MS = 300  # without a change, before the cost is estimated


@dataclass(frozen=True, eq=False)
class Run:
    """A run that was started.

    Attributes
    ----------
    request : Request
        What was asked for.
    layer : Image
        The layer that the result is of.
    preview : bool
        Whether it is of the current view only.
    values : dict
        The settings to be remembered for the next session.
    started : float
        When, by the clock in seconds.
    estimate : CostEstimate or None
        How long it was said to take.
    """

    request: Request
    layer: Image
    preview: bool
    values: dict[str, Any]
    started: float
    estimate: CostEstimate | None


class SegmentWidget(SegmentFace, Container, metaclass=OneDock):  # type: ignore[type-arg]
    """The dock "Segment"; a script can drive it too, see `SegmentFace`.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Whose layers are segmented.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        guard_removals(viewer)
        self._viewer = viewer
        self._started: Run | None = None
        self._broken = foreign_distribution()  # said until it is repaired
        self._rates: dict[Any, float] = {}
        self._estimate_shown: CostEstimate | None = None
        self._is_closed = False
        self._done: tuple[Request, dict[str, Any]] | None = None  # the last run, resolved
        self.warm = False  # torch is there: a run starts at once

        self.bar = RunBar(self._press_run, self._preview, self.cancel)
        super().__init__(widgets=[self.bar], labels=False)
        self.margins = (6, 6, 6, 6)
        self.results = ResultLayers(viewer)
        self.runner = JobRunner(self.bar.show_report, self._ended)
        self.live = LiveDecoding(viewer, self.results, self._decoded, self._show_fault)
        self._cost_runner = JobRunner(lambda _: None, self._estimated)
        self._warm_up = JobRunner(lambda _: None, self._warmed_up)
        self._pause = QTimer(self.native)
        self._pause.setSingleShot(True)
        self._pause.setInterval(ESTIMATE_DELAY_MS)
        self._pause.timeout.connect(self._estimate)

        self.form = SegmentForm(viewer, self._changed, self.results.image_of, self._folded)
        self.rows = self.form.rows
        self.carried = CarriedOver(self.form)
        # the form scrolls, the buttons under it stay in sight
        self.native.layout().insertWidget(0, self.form.native, 1)
        self.native.layout().insertWidget(1, self.carried.native)
        order_tabs(self.native)
        self._closing = ClosingWatch(self.native, self._closed)
        viewer.layers.events.removed.connect(self._layer_removed)
        self.form.scores.changed.connect(lambda _: self._show_scores())
        self._add_scripts(
            self._draft,
            lambda path: take_over(path, self.form, viewer),
            lambda: record_shown(viewer),
        )
        kept = recall(DOCK)
        settings = kept.get("settings")
        self.form.scores.value = kept.get("scores") is True
        self.form.fold.opened = kept.get("unfolded") is True
        self.carried.start(settings if isinstance(settings, dict) else {}, kept.get("model"))
        # after the dock is there: torch takes seconds to import
        QTimer.singleShot(0, lambda: self._warm_up.start(import_torch, ""))

    def _draft(self) -> dict[str, Any]:
        self.form.refresh()
        request, fault = self.form.current_request(), self.form.fault
        if request is None:
            raise InputError("There is nothing to run") if fault is None else fault.error
        done = self._done
        if done is not None and done[0].same_run(request):
            return draft_of(request, done[1])
        return draft_of(request)

    def cancel(self) -> None:
        """Stop the run; nothing is added then."""
        self.runner.cancel()
        self.bar.show_message("Stopping after this tile …")

    def reset_choices(self, *_: Any) -> None:
        """List the layers anew; the viewer calls this when its layers change."""
        self.form.reset_choices()

    def _changed(self) -> None:
        """Say what is wrong beside the field, and whether it can run; renew the labels."""
        if self.carried.follow():
            return
        request, fault = self.form.request, self.form.fault
        live = self.live.can_decode(request)
        self.form.show_messages(live=live)
        if self.runner.running:
            return
        self.bar.set_ready(ready=request is not None)
        problem = worded(fault.error) if fault else self._broken
        if problem or not live:
            calm = fault is not None and is_next_step(fault.error)
            self.bar.show_message(problem or READY, fault=bool(problem) and not calm)
        self._cost_runner.drop()  # what it would say is of no use now
        self._estimate_shown = None
        if request is None:
            self._pause.stop()
            self.bar.cost.value = ""
        else:
            self._pause.start()
            if live:
                self.live.decode_anew(request)

    def _folded(self, opened: bool) -> None:
        remember(DOCK, {**recall(DOCK), "unfolded": opened})

    # runs

    def _press_run(self) -> None:
        request = self.form.current_request()
        if request is not None:
            self._start(request, "Segmenting", preview=False)

    def _preview(self) -> None:
        self.form.refresh()
        if self.form.request is not None:
            request = replace(self.form.request, roi=self.form.preview_extent())
            self._start(request, "Previewing", preview=True)

    def _start(self, request: Request, title: str, *, preview: bool) -> None:
        self._pause.stop()
        self._cost_runner.drop()
        values = {
            "model": str(request.source),
            "settings": request.settings.model_dump(exclude_defaults=True),
            "scores": self.form.scores.value,
            "unfolded": self.form.fold.opened,
        }
        assert self.form.layer is not None  # there is a request
        estimate = None if preview else self._estimate_shown
        layer, now = self.form.layer, time.monotonic()
        self._started = Run(request, layer, preview, values, now, estimate)
        self.runner.start(request.job, f"{title} {request.image.name}")
        self.bar.begin("Starting …" if self.warm else STARTING_COLD)

    def _ended(self, outcome: Outcome) -> None:
        run, self._started = self._started, None
        if run is None:
            return
        text, empty = "", False
        self.failure = outcome.error
        if outcome.result is not None:
            text, empty = self._show(run, outcome.result)
            if run.estimate is not None:
                from napari_unet.inference.cost import learn_pace

                learn_pace(self._rates, run.estimate, time.monotonic() - run.started)
        if not run.preview:
            remember(DOCK, run.values)
        self._changed()
        if outcome.cancelled:
            self.bar.show_message("Cancelled: nothing was added.")
        elif outcome.error is not None:
            self._show_error(outcome.error)
        else:
            self.bar.show_message(text, warning=empty)

    def _show_error(self, error: UNetError) -> None:
        """Say what is wrong, beside the setting too that it names."""
        message = worded(error)
        if error.parameter in self.rows:
            self.rows[error.parameter].show_message(fault=message)
        self.bar.show_message(message, fault=True)

    # results

    def _show(self, run: Run, outputs: Outputs) -> tuple[str, bool]:
        """Show a result; gives what is to be said of it, and whether nothing was found."""
        found, labels = outputs.found, outputs.labels
        name = run.layer.name  # which may have been changed meanwhile
        placement = run.request.image.placement(run.request.axes, found.corner)
        record = found.prediction.record if labels is None else labels.record
        if not run.preview:
            self._done = run.request, record["settings"]
        seconds = f"in {record['seconds']:.1f} s."
        if str(record.get("message", "")).endswith("."):  # more was said than a number
            seconds = f"({record['seconds']:.1f} s)"
        if labels is None:
            values = lazily(found, outputs.scratch)  # on disk for as long as they are shown
            shown = self.results.show_values(values, run.layer, placement, preview=run.preview)
            self.result = shown[0]
            if not run.preview:
                self._forget()
            return f"Values predicted {seconds}", False
        if run.preview:
            self.results.show_preview(labels, f"{name} preview", placement)
            size = " × ".join(map(str, labels.labels.shape[-2:]))
            text = f"Preview of {size} pixels: {record['message']} {seconds}"
            outputs.discard()
        else:
            self.result = self.results.show(labels, run.layer, placement)
            keep_scores(self.result, found, placement.axes, (0,) * len(found.axes))
            kept = Kept(outputs, run.request, run.layer, placement)
            self.live.keep(kept, run.request.settings)
            self._show_scores()
            text = f"{record['message']} {seconds}"
        empty = bool(record.get("empty"))
        return (record["message"], True) if empty else (text, False)

    def _decoded(self, result: Any) -> None:
        """Show labels that were decoded anew."""
        kept = self.live.kept
        if kept is None:
            return
        record = result.record
        layer = self.results.show(result, kept.image, kept.placement, decoded=True)
        keep_scores(layer, kept.found, kept.placement.axes, (0,) * len(kept.found.axes))
        if self.runner.running or self.form.fault is not None:
            return  # what stands there matters more
        empty = bool(record.get("empty"))
        text = record["message"]
        self.bar.show_message(text if empty else f"{text} with these settings.", warning=empty)

    def _show_fault(self, error: UNetError) -> None:
        if not self.runner.running:
            self.bar.show_message(worded(error), fault=True)

    def _show_scores(self) -> None:
        kept = self.live.kept
        if kept is None or not self.form.scores.value:
            self.results.drop_scores()
        else:
            self.results.show_scores(kept.shown, kept.image.name, kept.placement)

    def _layer_removed(self, event: Any) -> None:
        """Scores whose image or labels were removed are needed no more."""
        kept = self.live.kept
        if kept is not None and kept.image == event.value:
            self._release_scores()
            self.results.let_go_of_scores()
            self._changed()
            return
        if kept is None or self.results.layer(kept.image) not in (None, event.value):
            return
        self.live.release()
        scores = self.results.let_go_of_scores()

        def clear() -> None:
            if not self._is_closed:
                self.results.remove(scores)
                kept.outputs.discard()

        if scores:
            QTimer.singleShot(0, clear)  # the viewer may be about to remove them itself
        else:
            kept.outputs.discard()
        self._changed()

    def _release_scores(self) -> None:
        """Keep scores no longer; those on disk go with the layers that show them, if any."""
        if self.results.has_scores:
            self.live.release()
        else:
            self.live.stop()

    def _forget(self) -> None:
        self.results.drop_scores()
        self.live.stop()

    # in the background

    def _estimate(self) -> None:
        request = self.form.request
        if request is not None and self.warm and not self.runner.running:
            self._cost_runner.start(lambda: request.cost(self._rates), "")

    def _estimated(self, outcome: Outcome) -> None:
        self._estimate_shown = outcome.result
        self.bar.cost.value = describe_cost(outcome.result) if outcome.result else ""
        if outcome.error is not None:
            self._show_error(outcome.error)  # the run would end with it

    def _warmed_up(self, outcome: Outcome) -> None:
        self.warm = True
        if outcome.error is not None:
            self._show_fault(outcome.error)
            return
        if outcome.result:
            self.form.set_devices(outcome.result)
        self._pause.start()

    def _closed(self) -> None:
        for runner in (self.runner, self._warm_up, self._cost_runner):
            runner.drop()
        self._is_closed = True
        if self._started is not None and not self._started.preview:
            remember(DOCK, self._started.values)
        self._release_scores()
        self.form.close()
        self._viewer.layers.events.removed.disconnect(self._layer_removed)
