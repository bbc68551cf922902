"""A progress bar around a job."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from napari_unet.cli.json_lines import prints_json, write_progress
from napari_unet.cli.printing import one_line

if TYPE_CHECKING:
    from rich.progress import Task, TimeRemainingColumn
    from rich.text import Text

R = TypeVar("R")


def run_with_bar(job: Generator[Any, Any, R], on_step: Callable[[Any], Any] | None = None) -> R:
    """Run a job of `Progress` or `TrainStep` with a bar on standard error, and return its result.

    Where standard error is no terminal there is no bar; with ``--json`` there are lines of
    progress instead. ``on_step`` sees every step; what it returns is sent into the job.
    """
    if prints_json():
        return _run_with_lines(job, on_step)
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    bar = Progress(
        TextColumn("{task.description}", markup=False),  # a file name may have brackets
        BarColumn(),
        TaskProgressColumn(),
        _time_left(),
        console=Console(stderr=True),
        transient=True,
        # rich takes more than terminals for terminals, such as CI logs
        disable=not sys.stderr.isatty(),
        # above the bar where both are on the screen; else where standard output goes
        redirect_stdout=sys.stdout.isatty(),
    )
    with bar:
        task = bar.add_task("starting", total=None, left=None)

        def show(step: Any) -> str | None:
            done, total, text = _describe(step)
            left = seconds_left(step)
            bar.update(task, completed=done, total=total, description=text, left=left)
            answer = on_step(step) if on_step is not None else None
            if answer == "stop" or left == 0:
                bar.update(task, description="finishing", left=0)
            return answer

        return _run(job, show)


def _run(job: Generator[Any, Any, R], on_step: Callable[[Any], Any]) -> R:
    answer = None
    try:
        while True:
            try:
                step = job.send(answer)
            except StopIteration as end:
                result: R = end.value
                return result
            answer = on_step(step)
    finally:
        job.close()


def _run_with_lines(job: Generator[Any, Any, R], on_step: Callable[[Any], Any] | None) -> R:
    names = ("phase", "file", "state", "loss", "metric_name", "metric", "best")

    def show(step: Any) -> Any:
        done, total, text = _describe(step)
        known = {name: getattr(step, name) for name in names if hasattr(step, name)}
        left = getattr(step, "seconds_left", None)
        left = seconds_left(step) if left is None else left
        write_progress(step, total, done, text, seconds_left=left, **known)
        return on_step(step) if on_step is not None else None

    return _run(job, show)


def seconds_left(step: Any) -> float | None:
    """Seconds that a training still takes, by what its steps took until now.

    Steps of other jobs do not tell the time: None.
    """
    if not hasattr(step, "loss"):
        return None
    return float(step.seconds * max(step.total - step.step, 0) / step.step)


def _describe(step: Any) -> tuple[int, int, str]:
    if hasattr(step, "done"):
        return step.done, step.total, one_line(step.message)
    best = "" if step.best is None else f", best score {step.best:.3f}"
    return step.step, step.total, f"step {step.step}: loss {step.loss:.3f}{best}"


def _time_left() -> TimeRemainingColumn:
    """Rich's column, but the job's own figure where it has one.

    Rich looks at the last half minute alone, in which a validation may fall.
    """
    from rich.progress import TimeRemainingColumn
    from rich.text import Text

    class TimeLeft(TimeRemainingColumn):
        def render(self, task: Task) -> Text:
            left = task.fields.get("left")
            if left is None:
                return super().render(task)
            return Text(str(timedelta(seconds=round(left))), style="progress.remaining")

    return TimeLeft()
