"""How far a batch is, and how long it still takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from napari_unet.batch.finished import identify
from napari_unet.batch.inputs import Task
from napari_unet.batch.result import BatchStep, FileDone, FileResult, State
from napari_unet.progress import Phase

PARTS = 1000  # units of progress in a file
LEAST_WORK_S = 1.0  # before the time left is estimated


class BatchState:
    """The files of a batch: how far each is, its result, and the pace of all.

    Parameters
    ----------
    tasks : sequence of Task
        The files.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._parts = [0] * len(tasks)
        self._results: list[FileResult | None] = [None] * len(tasks)
        self._weights: dict[int, float] = {}
        self._begun: float | None = None

    def begin(self, waiting: Sequence[int]) -> None:
        """The files that need work are known: from here on the pace is measured."""
        for number in waiting:
            self._weights[number] = _weight(self._tasks[number])
        self._begun = time.perf_counter()

    def step(
        self,
        number: int,
        message: str,
        share: float = 0.0,
        *,
        state: State = "running",
        phase: Phase = "working",
    ) -> BatchStep:
        """A step of a file that is done to a share; -1: of no file."""
        if number >= 0:
            parts = min(int(PARTS * share), PARTS - 1)  # the last one is for what is written
            self._parts[number] = max(self._parts[number], parts)
            message = f"{self._tasks[number].title}: {message}"
        done, total = sum(self._parts), PARTS * len(self._parts)
        left = self._seconds_left()
        return BatchStep(done, total, message, phase, file=number, state=state, seconds_left=left)

    def end(self, number: int, result: FileResult, said: str = "done") -> FileDone:
        """The step that ends a file."""
        self._results[number], self._parts[number] = result, PARTS
        title = self._tasks[number].title
        return FileDone(
            sum(self._parts),
            PARTS * len(self._parts),
            f"{title}: {result.error or said}",
            file=number,
            state=result.state,
            seconds_left=self._seconds_left(),
            result=result,
        )

    def results(self) -> list[FileResult]:
        """The results of all files, in their order."""
        return [result for result in self._results if result is not None]

    def known(self) -> list[FileResult | None]:
        """The result of each file; None where it has none yet."""
        return list(self._results)

    def _seconds_left(self) -> float | None:
        """By what the bytes of the files took until now."""
        if self._begun is None:
            return None
        elapsed = time.perf_counter() - self._begun
        done = sum(w * self._parts[n] / PARTS for n, w in self._weights.items())
        if elapsed < LEAST_WORK_S or done <= 0:
            return None
        return elapsed * (sum(self._weights.values()) - done) / done


def _weight(task: Task) -> float:
    """About how long a file takes, in units of its own: its bytes."""
    if isinstance(task.source, Path):
        with suppress(OSError):
            return 1.0 + float(identify(task.source)["bytes"])
    return 1.0
