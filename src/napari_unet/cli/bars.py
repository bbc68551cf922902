"""A progress bar around a job."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from typing import Any, TypeVar

R = TypeVar("R")


def run_with_bar(job: Generator[Any, Any, R], on_step: Callable[[Any], None] | None = None) -> R:
    """Run a job of `Progress` or `TrainStep` with a bar on standard error, and return its result.

    Where standard error is no terminal there is no bar. ``on_step`` sees every step.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}", markup=False),  # a file name may have brackets
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        # rich takes more than terminals for terminals, such as CI logs
        disable=not sys.stderr.isatty(),
        # above the bar where both are on the screen; else where standard output goes
        redirect_stdout=sys.stdout.isatty(),
    )
    try:
        with bar:
            task = bar.add_task("starting", total=None)
            while True:
                try:
                    step = next(job)
                except StopIteration as end:
                    result: R = end.value
                    return result
                done, total, text = _describe(step)
                bar.update(task, completed=done, total=total, description=text)
                if on_step is not None:
                    on_step(step)
    finally:
        job.close()


def _describe(step: Any) -> tuple[int, int, str]:
    if hasattr(step, "done"):
        return step.done, step.total, step.message
    best = "" if step.best is None else f", best score {step.best:.3f}"
    return step.step, step.total, f"step {step.step}: loss {step.loss:.3f}{best}"
