"""Long jobs of the docks: the only code that knows threads.

A job is a generator that yields `Progress` and returns its result, such as
`napari_unet.iter_segment`. It runs in a worker thread; everything that a dock hears of it
arrives in the thread of the viewer.

superqt's `GeneratorWorker` alone is not enough (0.9): it drops a RuntimeError raised in a
generator, such as `torch.OutOfMemoryError`, and its `quit` does not close the generator.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from napari.utils import progress as ActivityBar  # a class in lower case
from qtpy.QtCore import QCoreApplication, QEventLoop, QThreadPool
from superqt.utils import GeneratorWorker

from napari_unet.errors import UNetError
from napari_unet.progress import Phase, Progress
from napari_unet.unexpected import explain_error

Job = Generator[Progress, None, Any]

REPORT_INTERVAL_S = 0.1  # between two reports: many small tiles must not flood the window
LAST_STEP_MS = 10_000  # granted for a last step when Python ends
LEAST_THREADS = 16  # a job that waits takes no processor time
WAIT_MS = 10  # between two looks at the events, while a script waits for a job
FORECAST_AFTER_S = 1.0  # of work, before the time left is estimated


@dataclass(frozen=True)
class ProgressReport:
    """How far a running job is.

    Attributes
    ----------
    done, total : int
        Units of work.
    message : str
        What is being done, in words.
    phase : str
        What is being done, for programs: one of `Phase`.
    seconds_left : float or None
        Estimated time left; None while there is nothing to base it on.
    """

    done: int
    total: int
    message: str
    phase: Phase
    seconds_left: float | None


@dataclass(frozen=True)
class Outcome:
    """How a job ended: with a result, with an error, or cancelled (neither).

    Attributes
    ----------
    result : object
        What the generator returned.
    error : UNetError or None
        Why there is no result.
    cancelled : bool
        Whether it was stopped on request.
    """

    result: Any = None
    error: UNetError | None = None
    cancelled: bool = False


class JobRunner:
    """Runs one job at a time beside the viewer.

    Starting another job drops the one before: it is cancelled, and neither its reports nor
    its outcome are heard any more.

    Parameters
    ----------
    on_report : callable
        Called with a `ProgressReport`, at most ten times a second.
    on_outcome : callable
        Called once per job with its `Outcome`.
    """

    def __init__(
        self,
        on_report: Callable[[ProgressReport], None],
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        self._on_report = on_report
        self._on_outcome = on_outcome
        self._worker: _Worker | None = None
        self._bar: Any = None

    @property
    def running(self) -> bool:
        """Whether a job is under way."""
        return self._worker is not None

    def start(self, make: Callable[[], Job], title: str) -> None:
        """Start a job.

        Parameters
        ----------
        make : callable
            Makes the generator; called in the worker thread, so it may import torch. It
            must hold arrays and values only, never a layer, a widget or the viewer.
        title : str
            Of the bar in the viewer's activity area; empty: no bar.
        """
        self.drop()
        worker = _Worker(make)
        self._bar = ActivityBar(total=0, desc=title) if title else None
        self._worker = worker
        worker.yielded.connect(lambda report: self._receive_report(worker, report))
        worker.returned.connect(lambda outcome: self._end(worker, outcome))
        pool = QThreadPool.globalInstance()
        if pool is not None and pool.maxThreadCount() < LEAST_THREADS:
            # Qt has a thread for each core: a training, or two, would keep everything else
            # waiting, also what saves painted labels
            pool.setMaxThreadCount(LEAST_THREADS)
        worker.start()

    def wait(self, timeout_s: float | None = None) -> None:
        """Let events pass until the job has ended, for scripts: the window stays alive meanwhile.

        Parameters
        ----------
        timeout_s : float, optional
            How long at most; None: as long as it takes.

        Raises
        ------
        TimeoutError
            If the job has not ended by then; it goes on.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while self.running:
            if end is not None and time.monotonic() > end:
                raise TimeoutError(f"the job has not ended within {timeout_s:g} s")
            # waits for the next event, such as a report of the worker
            QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, WAIT_MS)
            time.sleep(WAIT_MS / 1000)

    def cancel(self) -> None:
        """Ask the job to stop after its present step; its outcome says ``cancelled``."""
        if self._worker is not None:
            self._worker.quit()

    def drop(self) -> None:
        """Cancel the job and hear no more of it."""
        self.cancel()
        self._worker = None
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()

    def _receive_report(self, worker: _Worker, report: ProgressReport | None) -> None:
        if worker is not self._worker or report is None:
            return
        self._on_report(report)
        # last: the viewer's bars let pending events through, and the outcome may be one
        bar = self._bar
        if bar is not None and bar.total != report.total:
            bar.total = report.total
        if bar is not None and bar is self._bar:
            bar.update(report.done - bar.n)

    def _end(self, worker: _Worker, outcome: Outcome) -> None:
        if worker is not self._worker:
            return
        self._worker = None
        bar, self._bar = self._bar, None
        self._on_outcome(outcome)
        if bar is not None:
            bar.close()


class _Worker(GeneratorWorker):  # type: ignore[type-arg]
    """A worker whose ``quit`` lets the job end by itself.

    The inherited one abandons the generator without closing it. It is also what the
    viewer calls when the application ends.
    """

    def __init__(self, make: Callable[[], Job]) -> None:
        self._cancelled = threading.Event()
        super().__init__(_guarded, make, self._cancelled)
        _workers.add(self)

    def quit(self) -> None:
        self._cancelled.set()


_workers: weakref.WeakSet[_Worker] = weakref.WeakSet()


@atexit.register
def _end_workers() -> None:
    """Let no worker outlive Qt where Python ends with a window still open: it would crash."""
    for worker in list(_workers):
        worker.quit()
    pool = QThreadPool.globalInstance()
    if _workers and pool is not None:
        pool.waitForDone(LAST_STEP_MS)


def _guarded(
    make: Callable[[], Job], cancelled: threading.Event
) -> Generator[ProgressReport | None, None, Outcome]:
    """The job as steps of a worker: it always ends by returning an outcome.

    An error must not leave it: a RuntimeError, such as torch's out of memory, would be
    swallowed by the worker, and nothing would ever be heard of the job again.
    """
    yield None  # before any work, so that a job can be cancelled at once
    forecast = _Forecast()
    try:
        if cancelled.is_set():
            return Outcome(cancelled=True)
        last: tuple[float, Phase | None] = (-REPORT_INTERVAL_S, None)
        with closing(make()) as job:
            while True:
                try:
                    step = next(job)
                except StopIteration as end:
                    return Outcome(result=end.value)
                if cancelled.is_set():
                    return Outcome(cancelled=True)
                now = time.monotonic()
                left = forecast.estimate_seconds(step, now)
                left = getattr(step, "seconds_left", left)  # where the job knows better
                if now - last[0] >= REPORT_INTERVAL_S or step.phase != last[1]:
                    last = (now, step.phase)
                    yield ProgressReport(step.done, step.total, step.message, step.phase, left)
    except Exception as error:  # noqa: BLE001  # see above
        return Outcome(error=explain_error(error))


class _Forecast:
    """Time left, from the pace since the present kind of work began."""

    def __init__(self) -> None:
        self._phase: Phase | None = None
        self._start = (0.0, 0)

    def estimate_seconds(self, step: Progress, now: float) -> float | None:
        if step.phase != self._phase:
            self._phase = step.phase
            self._start = (now, step.done)
        elapsed, done = now - self._start[0], step.done - self._start[1]
        if elapsed < FORECAST_AFTER_S or done <= 0:
            return None
        return elapsed * (step.total - step.done) / done
