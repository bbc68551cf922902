"""The part of a dock that stays in sight: Run, Preview, Cancel, progress, and a message."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from magicgui.widgets import Container, ProgressBar, PushButton

from napari_unet.widgets.qt.form import FAULT_COLOUR, text_label
from napari_unet.widgets.qt.job import ProgressReport
from napari_unet.widgets.qt.wording import duration_text

if TYPE_CHECKING:
    from napari_unet.inference.cost import CostEstimate


TIPS = (
    "Segment the whole image.",
    "Segment only what is in view, with the intensities of the whole image.",
    "Stop the run; nothing is added then.",
)


class RunBar(Container):  # type: ignore[type-arg]
    """Buttons of a job, how far it is, and how it ended.

    Parameters
    ----------
    on_run, on_preview, on_cancel : callable
        Called when a button is pressed.
    tips : tuple of str
        What they do, in words.
    """

    def __init__(
        self,
        on_run: Callable[[], None],
        on_preview: Callable[[], None],
        on_cancel: Callable[[], None],
        tips: tuple[str, str, str] = TIPS,
    ) -> None:
        run, preview, cancel = tips
        self.run = PushButton(text="Run", tooltip=run)
        self.preview = PushButton(text="Preview", tooltip=preview)
        self.cancel = PushButton(text="Cancel", tooltip=cancel)
        buttons = Container(
            widgets=[self.run, self.preview, self.cancel], layout="horizontal", labels=False
        )
        buttons.margins = (0, 0, 0, 0)
        self.buttons = buttons
        self.progress = ProgressBar(value=0, min=0, max=1, tooltip="How far the run is.")
        self.message = text_label()
        self.cost = text_label()
        self.cost.tooltip = "Where the whole run takes place, and about how long it takes."
        # the buttons last: they stay where they are, however many lines there are to say
        widgets = [self.cost, self.message, self.progress, buttons]
        super().__init__(widgets=widgets, labels=False)
        self.margins = (0, 0, 0, 0)
        for button, action in (
            (self.run, on_run),
            (self.preview, on_preview),
            (self.cancel, on_cancel),
        ):
            button.changed.connect(lambda _, action=action: action())
        self.set_ready(ready=False)

    def set_ready(self, *, ready: bool) -> None:
        """No job is running; it can be started where the form is ``ready``."""
        self.run.enabled = self.preview.enabled = ready
        self.cancel.enabled = False
        self.progress.visible = False

    def begin(self, title: str) -> None:
        """A job has been started."""
        self.run.enabled = self.preview.enabled = False
        self.cancel.enabled = True
        self.progress.min, self.progress.max, self.progress.value = 0, 0, 0  # not known yet
        self.progress.visible = True
        self.show_message(title)

    def show_report(self, report: ProgressReport) -> None:
        """Show how far the job is."""
        self.progress.max = report.total
        self.progress.value = report.done
        left = "" if report.seconds_left is None else f", {duration_text(report.seconds_left)} left"
        count = f" {report.done} of {report.total}" if report.total > 1 else ""
        self.show_message(f"{report.message.capitalize()}{count}{left}")

    def show_message(self, text: str, *, fault: bool = False, warning: bool = False) -> None:
        """Show a message; a fault in its colour, a warning in bold."""
        self.message.value = text
        style = f"color: {FAULT_COLOUR};" if fault else "font-weight: bold;" if warning else ""
        self.message.native.setStyleSheet(style)


def describe_cost(estimate: CostEstimate) -> str:
    """Time, memory and device of a run in a line.

    Examples
    --------
    >>> from napari_unet.inference.cost import CostEstimate
    >>> describe_cost(CostEstimate(25.1, 947453952, 4, (1024, 1024), "cpu", "float32"))
    'Run: about 26 s, 0.9 GB of memory, 4 tiles, on cpu in float32'
    >>> describe_cost(CostEstimate(0.1, 21_000_000, 1, (64, 64), "cpu", "float32"))
    'Run: about 1 s, 21 MB of memory, 1 tile, on cpu in float32'
    """
    tiles = f"{estimate.tiles} tile" + ("" if estimate.tiles == 1 else "s")
    size = estimate.memory
    memory = f"{size / 1e9:.1f} GB" if size > 5e8 else f"{math.ceil(size / 1e6)} MB"
    return (
        f"Run: about {duration_text(estimate.seconds)}, {memory} of memory, "
        f"{tiles}, on {estimate.device} in {estimate.precision}"
    )
