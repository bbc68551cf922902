"""The dock "Train": from labels that were painted to a model, watched while it learns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from magicgui.widgets import Container
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_unet.errors import Note, UNetError
from napari_unet.installation import foreign_distribution
from napari_unet.network.model import Model
from napari_unet.recovery.training import TrainingSession, begin_session
from napari_unet.settings import TrainConfig
from napari_unet.widgets.qt.events import ClosingWatch
from napari_unet.widgets.qt.form import order_tabs
from napari_unet.widgets.qt.job import JobRunner, Outcome, ProgressReport
from napari_unet.widgets.qt.memory import recall, remember
from napari_unet.widgets.qt.notice import Notice
from napari_unet.widgets.qt.scrolling import ScrollingPart
from napari_unet.widgets.qt.warm_up import import_training
from napari_unet.widgets.qt.wording import is_next_step, worded
from napari_unet.widgets.recovery.offers import TrainingOffers, open_images, repeat
from napari_unet.widgets.recovery.shared_autosave import SharedAutosave
from napari_unet.widgets.train.bar import LAST_PHASES, PHASES, READY, READY_ON_BASE, TrainBar
from napari_unet.widgets.train.carried_over import CarriedOver
from napari_unet.widgets.train.curve_plot import Curves
from napari_unet.widgets.train.decision import Decision
from napari_unet.widgets.train.face import TrainFace
from napari_unet.widgets.train.form import TrainForm
from napari_unet.widgets.train.job import Trained, training_job
from napari_unet.widgets.train.link import Previewed, TrainingLink
from napari_unet.widgets.train.preview_layers import TrainingPreview
from napari_unet.widgets.train.previewed_image import PreviewedImage
from napari_unet.widgets.train.recorded import take_over
from napari_unet.widgets.viewer.docks import OneDock, open_dock
from napari_unet.widgets.viewer.records import record_shown
from napari_unet.widgets.viewer.vispy_guard import guard_removals

if TYPE_CHECKING:
    import napari.viewer

    from napari_unet.recovery.labels import StoredLabels
    from napari_unet.recovery.training import InterruptedSession
    from napari_unet.training.steps import TrainStep
    from napari_unet.widgets.train.request import TrainingRequest

DOCK = "train"
LOOKING = "Looking at the examples …"
TOO_LATE = "The labels that were added last came too late; training again takes them in."
POLL_INTERVAL_MS = 100  # between two queries of what the training has sent
POLLS_PER_VIEW = 3  # so often the view is sent to the training


class TrainWidget(TrainFace, Container, metaclass=OneDock):  # type: ignore[type-arg]
    """The dock "Train"; a script can drive it too, see `TrainFace`.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Whose layers are learned from.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        guard_removals(viewer)
        self._viewer = viewer
        self._broken = foreign_distribution()
        self._link: TrainingLink | None = None
        self._config = TrainConfig()  # of the training that runs
        self._previewed = PreviewedImage(viewer)
        self._beats = 0
        self._notes: tuple[Note, ...] = ()  # the last that the training had to tell
        self._last_word: tuple[str, bool] = ("", False)  # how the last one ended; and a fault
        self._problem_then = ""  # in the form when the last training ended
        self._content_then: object = None  # the form's content then
        self.warm = False  # torch is there: a training starts at once

        self.bar = TrainBar(self._press_run, self._add, self._stop, self.cancel)
        super().__init__(widgets=[self.bar], labels=False)
        self.margins = (6, 6, 6, 6)
        self.runner = JobRunner(self._reported, self._ended)
        self._warm_up = JobRunner(lambda _: None, self._warmed_up)
        self._beat = QTimer(self.native)
        self._beat.setInterval(POLL_INTERVAL_MS)
        self._beat.timeout.connect(self._show_news)

        self.previews = TrainingPreview(viewer)
        self.curves = Curves()
        self._decision = Decision(self._not_kept, self._kept, self._discarded)
        self.verdict = self._decision.panel
        self.form = TrainForm(viewer, self._changed)
        self.rows = self.form.rows
        self.carried = CarriedOver(self.form)
        self.autosave = SharedAutosave(viewer, self._warn, self._offer_removed)
        self.offers = TrainingOffers(viewer, self.autosave, self._resume)
        above = QWidget()
        self._above = QVBoxLayout(above)
        self._above.setContentsMargins(0, 0, 0, 0)
        layout = self.native.layout()
        # the form scrolls; curves, verdict and buttons under it stay in sight
        notices = ScrollingPart(above, grows=False)
        parts = (notices, self.form.native, self.carried.native, self.curves, self.verdict.native)
        for place, part in enumerate(parts):
            layout.insertWidget(place, part, 1 if part is self.form.native else 0)
        self.curves.hide()
        order_tabs(self.native)
        self._add_scripts(
            self._draft,
            lambda path: take_over(path, self.form, viewer),
            lambda: record_shown(viewer),
        )
        self._closing = ClosingWatch(self.native, self._closed)
        self.carried.start(recall(DOCK))
        # after the dock is there: torch takes seconds to import
        QTimer.singleShot(0, lambda: self._warm_up.start(import_training, ""))
        self._offering = repeat(self._offer, self.native)

    @property
    def trained(self) -> Trained | None:
        """A new model that is neither kept nor discarded."""
        return self._decision.trained

    def cancel(self) -> None:
        """End the training; nothing is kept."""
        if self._link is not None:
            self._link.cancel()
        self.runner.cancel()
        self.bar.cancel.enabled = False
        self.bar.end("Cancelling after this step …")

    def reset_choices(self, *_: Any) -> None:
        """List the layers anew; the viewer calls this when its layers change."""
        self.form.reset_choices()

    def _changed(self) -> None:
        """Say what is wrong beside the fields, and whether there can be a training."""
        form = self.form
        self.carried.follow()
        form.show_messages()
        if self.runner.running:
            return
        problem = self._broken or form.first_fault
        undecided = self.trained is not None
        self.bar.set_ready(ready=not (problem or undecided or form.request is None))
        last, failed = self._last_word
        new = problem if problem != self._problem_then else ""
        if not (failed or undecided) and (new or form.content != self._content_then):
            last, new = "", problem
        if undecided:
            new = ""
        # the whole of it stands beside the field
        short = self._broken or form.first_problem if new else ""
        said = " ".join(filter(None, (last, short)))
        calm = form.first is not None and is_next_step(form.first)
        if said:
            self.bar.show_message(said, fault=failed or (said == short and not calm), more=new)
        elif form.checked:
            self.bar.show_message(READY if form.models.source is None else READY_ON_BASE)
        else:
            self.bar.show_message(LOOKING)

    # a training

    def _press_run(self) -> None:
        if self.runner.running or self.trained is not None:
            return  # a second press
        self.form.refresh()
        request = self.form.request
        if request is None or self.form.has_faults:
            return
        remember(DOCK, self.form.values())
        self._show_on(request)
        self._config = request.config
        values = request.values()

        def begin() -> TrainingSession:  # copies, since the user goes on painting
            examples = request.examples(copy=True)
            return begin_session(values, examples, request.base, request.config)

        self._start(begin)

    def _show_on(self, request: TrainingRequest) -> None:
        """Previews can be of the images that this is about."""
        self._previewed.choose_from(
            (line.image, each.axes, each.channels)
            for line, each in zip(self.form.table.lines, request.layers, strict=True)
            if line.image is not None
        )

    def _start(self, session: Callable[[], TrainingSession]) -> None:
        link = TrainingLink()
        self._link = link
        self._notes = ()
        self._last_word, self._problem_then = ("", False), ""
        self.form.hold(held=True)
        self.carried.hold(held=True)
        self.curves.clear(self._config.task)
        self.curves.show()
        self.previews.begin(self._config.task, self._config.classes)
        self._update_view()
        self.bar.begin()
        # no bar in the activity area: its moving sign makes the whole window be composed anew
        # thirty times a second, which takes a training's cores where OpenGL is in software
        self.runner.start(lambda: training_job(session, link), title="")
        self._beat.start()

    def _stop(self) -> None:
        if self._link is not None:
            self._link.stop()
        self.bar.end("Stopping after this step; then the best model is scored …")

    def _add(self) -> None:
        """Take in what was painted since."""
        self.form.refresh()
        request = self.form.request
        if request is None:
            text = f"Not taken in: {self.form.first_problem}"
            self.bar.show_message(text, fault=True, more=self.form.first_fault)
            return
        if self._link is None:
            return
        self._show_on(request)
        self._link.add(lambda: request.examples(copy=True), request.values())
        self._notes = ()  # else what was said of an earlier addition would answer this one
        self.bar.show_message("The labels are taken in after this step …")

    # what it tells

    def _reported(self, report: ProgressReport) -> None:
        self.bar.show_report(report)
        told = PHASES.get(report.phase)
        if told is not None:
            (self.bar.end if report.phase in LAST_PHASES else self.bar.show_message)(told)

    def _show_news(self) -> None:
        """Show what the training has told since, and let it know what is in view."""
        link = self._link
        if link is None:
            return
        for news in link.take_news():
            if isinstance(news, Previewed):
                image = self._previewed.layer
                if image is None:
                    continue  # of an image that is gone
                self.previews.show(news, image, news.view.placement(news.ndim))
            else:
                self._show_step(news)
        self._beats += 1
        if self._beats % POLLS_PER_VIEW == 0:
            self._update_view()

    def _show_step(self, step: TrainStep) -> None:
        self.curves.add(step)
        if step.notes:
            self._notes = step.notes
        if self._link is not None and not (self._link.stopping or self._link.cancelled):
            self.bar.enable_stop()
            self.bar.show_step(step, self._config, self._notes)

    def _update_view(self) -> None:
        """Let the training know what is in view."""
        if self._link is None:
            return
        view = self._previewed.find_view()
        self._link.set_view(view)
        if view is None:
            self.previews.drop()

    # its end

    def _ended(self, outcome: Outcome) -> None:
        self._beat.stop()
        self._show_news()
        link, self._link = self._link, None
        cancelled = link is not None and link.cancelled
        self.form.hold(held=False)
        self.carried.hold(held=False)
        self._take_result(outcome, cancelled=cancelled)
        if isinstance(outcome.result, Trained) and not cancelled:
            self._ask_user(outcome.result, TOO_LATE if link is not None and link.too_late else "")
            return
        if outcome.result is not None:
            outcome.result.session.remove()  # cancelled when it was just ready
        self.previews.drop()
        if cancelled:
            self.curves.hide()
            self._show_last_word("Cancelled: nothing was changed.")
        elif outcome.error is not None:
            if self.curves.curve.latest is None:
                self.curves.hide()  # it failed before there was anything to draw
            self._show_last_word(worded(outcome.error), fault=True)
            self._offer()  # one that was resumed can be so again

    def _ask_user(self, trained: Trained, more: str = "") -> None:
        """Let the user keep or discard a model; ``more`` is to be told of it."""
        self.form.native.hide()  # nothing can be trained now, and windows of 768 pixels are full
        self._decision.ask(trained, image=self._previewed.name)
        text = "Trained. Keep the new model under a name, or discard it."
        if trained.fault is not None:
            text = worded(trained.fault)
        text = " ".join(filter(None, (text, more)))
        self._show_last_word(text, fault=trained.fault is not None)

    def _not_kept(self, error: UNetError) -> None:
        self._show_last_word(worded(error), fault=True)

    def _kept(self, name: str) -> None:
        self.form.models.reset_choices()
        self._decided(f"Kept as ‘{name}’, which is chosen in Segment now.")
        self._select_in_segment(name)

    def _discarded(self) -> None:
        self._decided("The new model was discarded.")

    def _decided(self, text: str) -> None:
        self.form.native.show()
        self.curves.hide()
        self.previews.drop()
        self._show_last_word(text)

    def _show_last_word(self, text: str, *, fault: bool = False) -> None:
        self._last_word, self._problem_then = (text, fault), self.form.first_fault
        self._content_then = self.form.content
        self._changed()

    def _select_in_segment(self, name: str) -> None:
        """Open the dock "Segment", or bring it to the front, with a model chosen."""
        if getattr(self._viewer, "window", None) is None:
            return
        segment = open_dock(self._viewer, "Segment")
        segment.form.models.reset_choices()
        segment.form.models.choose(name)

    # after a crash

    def _offer(self) -> None:
        if self.runner.running:
            return
        for notice in self.offers.find():
            self._above.addWidget(notice)

    def _offer_removed(self, stored: StoredLabels) -> None:
        self._above.addWidget(self.offers.offer(stored))

    def _resume(self, session: InterruptedSession, images: Mapping[str, Any]) -> str:
        """Go on with what was left; gives words where that cannot be."""
        if self.runner.running:
            return "A training is at work here; resume when it has ended."
        if self.trained is not None:
            return "First keep or discard the new model; resume then."
        if session.model is not None:
            try:
                session.claim()
                model = Model.load(session.model)
            except UNetError as error:
                session.release()
                return worded(error)
            self.curves.hide()  # that of another training
            self._ask_user(Trained(model, None, None, session))
            return ""
        self._config = session.config
        self._previewed.choose_from(open_images(self._viewer, session.values))
        self._start(lambda: session.resume(images))
        return ""

    def _warn(self, text: str) -> None:
        """Say something that the user must not miss, whatever else is said."""
        self._above.addWidget(Notice(text, {"OK": str}))

    # in the background

    def _warmed_up(self, outcome: Outcome) -> None:
        self.warm = True
        if outcome.error is not None:
            self._show_last_word(worded(outcome.error), fault=True)
        elif outcome.result:
            self.form.set_devices(outcome.result)

    def _closed(self) -> None:
        self._beat.stop()
        self._offering.stop()
        if self._link is not None:
            self._link.leave()
        self._decision.leave()
        for runner in (self.runner, self._warm_up):
            runner.drop()
        self.autosave.close()
        self.previews.close()
        self.form.close()
