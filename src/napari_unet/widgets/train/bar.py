"""The part of the dock "Train" that stays in sight: its buttons, progress, and a message."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from magicgui.widgets import Container, ProgressBar, PushButton

from napari_unet.errors import Note
from napari_unet.widgets.qt.form import FAULT_COLOUR, text_label
from napari_unet.widgets.qt.job import ProgressReport
from napari_unet.widgets.qt.wording import duration_text, worded

if TYPE_CHECKING:
    from napari_unet.settings import TrainConfig
    from napari_unet.training.steps import TrainStep

PHASES = {
    "asking base": "Asking the base model …",
    "preparing": "Reading the examples …",
    "scoring": "Scoring on the held-out part …",
    "comparing": "Comparing …",
}
LAST_PHASES = ("scoring", "comparing")
READY = "Press Train. What is learned can be kept or discarded."
READY_ON_BASE = "Press Train. The base model stays as it is, and what is learned can be discarded."
TRAIN_TIP = "Learn from the examples. What is learned can be kept or discarded."
NEW_NETWORK = Note("network-made", "A new network was made to suit the examples")
REASONS = ("new-network", "start-base")
ADD_TIP = "Take in what was painted since, without a new start."
STOP_TIP = "End now, and keep the weights that were best on the held-out part."
CANCEL_TIP = "End now, and keep nothing."


class TrainBar(Container):  # type: ignore[type-arg]
    """Buttons of a training, how far it is, and how it ended.

    Parameters
    ----------
    on_train, on_add, on_stop, on_cancel : callable
        Called when a button is pressed.
    """

    def __init__(
        self,
        on_train: Callable[[], None],
        on_add: Callable[[], None],
        on_stop: Callable[[], None],
        on_cancel: Callable[[], None],
    ) -> None:
        self.train = PushButton(text="Train", tooltip=TRAIN_TIP)
        self.add = PushButton(text="Add to training", tooltip=ADD_TIP)
        self.stop = PushButton(text="Stop, keep best", tooltip=STOP_TIP)
        self.cancel = PushButton(text="Cancel", tooltip=CANCEL_TIP)
        buttons = Container(
            widgets=[self.train, self.add, self.stop, self.cancel],
            layout="horizontal",
            labels=False,
        )
        buttons.margins = (0, 0, 0, 0)
        self.buttons = buttons
        self.progress = ProgressBar(value=0, min=0, max=1, tooltip="How far the training is.")
        self.message = text_label()
        super().__init__(widgets=[self.message, self.progress, buttons], labels=False)
        self.margins = (0, 0, 0, 0)
        for button, action in (
            (self.train, on_train),
            (self.add, on_add),
            (self.stop, on_stop),
            (self.cancel, on_cancel),
        ):
            button.changed.connect(lambda _, action=action: action())
        self._switch(running=False)
        self.set_ready(ready=False)

    def set_ready(self, *, ready: bool) -> None:
        """No training is running; it can be started where the form is ``ready``."""
        self._switch(running=False)
        self.train.enabled = ready

    def begin(self) -> None:
        """A training has been started."""
        self._switch(running=True)
        self.stop.enabled = self.add.enabled = False  # until there is something to keep
        self.cancel.enabled = True
        self._unknown()
        self.show_message("Starting …")

    def enable_stop(self) -> None:
        """There is a model that can be kept."""
        self.stop.enabled = self.add.enabled = True

    def end(self, text: str) -> None:
        """The training is about to end."""
        self.stop.enabled = self.add.enabled = False
        self._unknown()
        self.show_message(text)

    def show_report(self, report: ProgressReport) -> None:
        """Show how far the training is."""
        if report.total < 1:
            self._unknown()
        else:
            self.progress.max = report.total
            self.progress.value = report.done

    def show_step(self, step: TrainStep, config: TrainConfig, notes: Iterable[Note]) -> None:
        """Say where the training is, and what it had to tell."""
        if config.minutes is None:
            left = step.seconds / step.step * (step.total - step.step)
        else:
            left = config.minutes * 60 - step.seconds
        shown, reasons = (" ".join(map(worded, each)) for each in brief(notes))
        self.show_message(
            f"Step {step.step}, {duration_text(max(left, 0))} left. {shown}".strip(),
            more=reasons,
        )

    def show_message(self, text: str, *, fault: bool = False, more: str = "") -> None:
        """Show a message; a fault in its colour. ``more`` stands in the tooltip."""
        self.message.value = text
        self.message.tooltip = more
        self.message.native.setStyleSheet(f"color: {FAULT_COLOUR};" if fault else "")

    def _switch(self, *, running: bool) -> None:
        self.train.visible = not running
        for part in (self.add, self.stop, self.cancel, self.progress):
            part.visible = running

    def _unknown(self) -> None:
        self.progress.min, self.progress.max, self.progress.value = 0, 0, 0


def brief(notes: Iterable[Note]) -> tuple[list[Note], list[Note]]:
    """What is shown of a training's notes, and what stands in the tooltip.

    Why a new network is as it is stands there, and that a training goes on from its base, as was
    asked; instead of the former, the notes say that there is a new one.
    """
    notes = list(notes)
    reasons = [note for note in notes if note.code in REASONS]
    shown = [note for note in notes if note.code not in REASONS]
    codes = {note.code for note in notes}
    made = "new-network" in codes and "start-scratch" not in codes  # which says it already
    return [*shown, *([NEW_NETWORK] if made else [])], reasons
