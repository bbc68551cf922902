"""Jobs beside the viewer: reports, outcomes, cancelling, and errors of every kind."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from napari.utils import progress
from qtpy.QtCore import QCoreApplication, QThreadPool

from napari_unet.errors import InputError, UNetError
from napari_unet.progress import Progress
from napari_unet.widgets.qt.job import Job, JobRunner, Outcome, ProgressReport, _guarded


class Ears:
    """Hears all that a runner says, and in which thread."""

    def __init__(self) -> None:
        self.reports: list[ProgressReport] = []
        self.outcomes: list[Outcome] = []
        self.threads: set[int] = set()
        self.runner = JobRunner(self.report, self.outcome)

    def report(self, report: ProgressReport) -> None:
        self.threads.add(threading.get_ident())
        self.reports.append(report)

    def outcome(self, outcome: Outcome) -> None:
        self.threads.add(threading.get_ident())
        self.outcomes.append(outcome)


@pytest.fixture
def ears(qtbot: Any) -> Iterator[Ears]:
    ears = Ears()
    yield ears
    ears.runner.drop()
    assert QThreadPool.globalInstance().waitForDone(60_000), "a thread was left behind"
    assert not list(progress._all_instances), "a bar was left in the activity area"


def counting(n: int, seconds: float = 0.0, seen: list[Any] | None = None) -> Callable[[], Job]:
    def job() -> Job:
        try:
            for i in range(n):
                yield Progress(i, n, "counting")
                time.sleep(seconds)
        finally:
            if seen is not None:
                seen.append(threading.get_ident())
        return "counted"

    return job


def test_result_and_reports_arrive_in_the_main_thread(qtbot: Any, ears: Ears) -> None:
    ears.runner.start(counting(3, 0.11), "Counting")
    assert ears.runner.running
    qtbot.waitUntil(lambda: bool(ears.outcomes))
    assert ears.outcomes == [Outcome(result="counted")]
    assert [r.done for r in ears.reports] == [0, 1, 2]
    assert ears.threads == {threading.get_ident()}
    assert not ears.runner.running


def test_many_small_steps_do_not_flood_the_window(qtbot: Any, ears: Ears) -> None:
    start = time.monotonic()
    ears.runner.start(counting(5000), "Counting")
    qtbot.waitUntil(lambda: bool(ears.outcomes))
    assert 1 <= len(ears.reports) <= 2 + 10 * (time.monotonic() - start)


def test_time_left_is_forecast_once_the_pace_is_known(qtbot: Any, ears: Ears) -> None:
    times: list[float] = []

    def job() -> Job:
        for i in range(30):
            times.append(time.monotonic())
            yield Progress(i, 30, "counting")
            time.sleep(0.06)

    ears.runner.start(job, "Counting")
    qtbot.waitUntil(lambda: bool(ears.outcomes))
    assert ears.reports[0].seconds_left is None
    late = ears.reports[-1]
    assert late.seconds_left is not None
    pace = (times[late.done] - times[0]) / late.done
    slowest = max(after - before for before, after in itertools.pairwise(times))  # under load
    assert late.seconds_left == pytest.approx(pace * (30 - late.done), abs=0.2 + 2 * slowest)


def test_cancel_stops_between_steps_and_closes_the_job_in_its_own_thread(
    qtbot: Any, ears: Ears
) -> None:
    seen: list[int] = []
    ears.runner.start(counting(10_000, 0.02, seen), "Counting")
    qtbot.waitUntil(lambda: bool(ears.reports))
    ears.runner.cancel()
    qtbot.waitUntil(lambda: bool(ears.outcomes), timeout=20_000)
    assert ears.outcomes == [Outcome(cancelled=True)]
    assert len(seen) == 1
    assert seen[0] != threading.get_ident()


def test_cancel_before_the_first_step_does_no_work() -> None:
    made = []
    cancelled = threading.Event()
    steps = _guarded(lambda: made.append(1) or counting(3)(), cancelled)
    assert next(steps) is None  # before any work
    cancelled.set()
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == Outcome(cancelled=True)
    assert made == []


def test_a_newer_job_silences_the_older_one(qtbot: Any, ears: Ears) -> None:
    seen: list[int] = []
    ears.runner.start(counting(10_000, 0.02, seen), "Old")
    qtbot.waitUntil(lambda: bool(ears.reports))
    ears.reports.clear()
    ears.runner.start(counting(2, 0.0), "New")
    qtbot.waitUntil(lambda: bool(ears.outcomes) and bool(seen))
    QCoreApplication.processEvents()
    assert ears.outcomes == [Outcome(result="counted")]
    assert {r.total for r in ears.reports} == {2}


def test_a_dropped_job_is_heard_no_more(qtbot: Any, ears: Ears) -> None:
    seen: list[int] = []
    ears.runner.start(counting(10_000, 0.02, seen), "Counting")
    qtbot.waitUntil(lambda: bool(ears.reports))
    ears.runner.drop()
    assert not ears.runner.running
    qtbot.waitUntil(lambda: bool(seen))
    qtbot.wait(50)
    assert ears.outcomes == []


def failing(error: BaseException, after: int = 1) -> Callable[[], Job]:
    def job() -> Job:
        for i in range(after):
            yield Progress(i, 9, "failing")
        raise error
        yield  # a generator even where `after` is 0

    return job


def torch_out_of_memory() -> Exception:
    import torch

    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (InputError("The image is too thin."), "The image is too thin."),
        (MemoryError(), "not enough memory"),
        (torch_out_of_memory(), "not enough memory"),
        (RuntimeError("the kernel broke"), "RuntimeError: the kernel broke"),
        (ValueError("odd\n value"), "ValueError: odd value"),
        (StopIteration(), "Something unexpected"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
@pytest.mark.parametrize("after", [0, 2])
def test_every_error_is_told_in_words(
    qtbot: Any, ears: Ears, error: Exception, words: str, after: int
) -> None:
    ears.runner.start(failing(error, after), "Failing")
    qtbot.waitUntil(lambda: bool(ears.outcomes))
    (outcome,) = ears.outcomes
    assert isinstance(outcome.error, UNetError)
    assert words in str(outcome.error)
    assert "\n" not in str(outcome.error)
    assert not ears.runner.running
    ears.runner.start(counting(1), "Counting")  # and the next job runs
    qtbot.waitUntil(lambda: len(ears.outcomes) == 2)
    assert ears.outcomes[1].result == "counted"


def test_an_error_while_the_job_is_made_is_told_too(qtbot: Any, ears: Ears) -> None:
    def make() -> Job:
        raise InputError("There is no such model.")

    ears.runner.start(make, "Failing")
    qtbot.waitUntil(lambda: bool(ears.outcomes))
    assert str(ears.outcomes[0].error) == "There is no such model."


def test_the_activity_area_shows_the_job(qtbot: Any, ears: Ears) -> None:
    ears.runner.start(counting(200, 0.02), "Counting sheep")
    qtbot.waitUntil(lambda: bool(ears.reports) and ears.reports[-1].done > 0)
    (bar,) = progress._all_instances
    assert bar.total == 200
    assert 0 < bar.n < 200
    assert "Counting sheep" in bar.desc
    ears.runner.cancel()
    qtbot.waitUntil(lambda: bool(ears.outcomes))
    assert not list(progress._all_instances)


def test_the_outcome_is_the_last_that_is_heard(qtbot: Any) -> None:
    heard: list[str] = []
    runner = JobRunner(lambda _: heard.append("report"), lambda _: heard.append("outcome"))

    def slow(*_: Any) -> None:
        time.sleep(0.2)  # meanwhile the job ends
        QCoreApplication.processEvents()

    runner.start(counting(1), "Counting")
    (bar,) = progress._all_instances
    bar.events.total.connect(slow)  # as the viewer's bars do
    bar.events.value.connect(slow)
    qtbot.waitUntil(lambda: "outcome" in heard)
    qtbot.wait(50)
    assert heard == ["report", "outcome"]
    assert not list(progress._all_instances)


def test_workers_end_when_the_application_does(qtbot: Any, ears: Ears) -> None:
    from superqt.utils import WorkerBase

    seen: list[int] = []
    ears.runner.start(counting(10_000, 0.02, seen), "Counting")
    qtbot.waitUntil(lambda: bool(ears.reports))
    WorkerBase.await_workers(5000)  # what the viewer does when it quits
    assert len(seen) == 1


LEAVING = """
import sys, time
from qtpy.QtWidgets import QApplication
from napari_unet.progress import Progress
from napari_unet.widgets.qt.job import JobRunner

app = QApplication([])
heard = []
runner = JobRunner(heard.append, heard.append)

def job():
    try:
        while True:
            yield Progress(0, 1, "working")
            time.sleep(0.02)
    finally:
        print("closed", flush=True)

runner.start(job, "")
while not heard:
    app.processEvents()
sys.exit(3)
"""


def test_leaving_python_in_mid_run_does_not_crash() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVING],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 3, done.stderr
    assert done.stdout.split() == ["closed"]


def test_long_jobs_do_not_keep_a_short_one_waiting(ears: Ears, qtbot: Any) -> None:
    end = threading.Event()

    def long() -> Job:
        while not end.is_set():
            yield Progress(0, 0, "training")
            time.sleep(0.01)

    others = [Ears() for _ in range(4)]  # trainings in four windows
    try:
        for each in others:
            each.runner.start(long, "")
        ears.runner.start(counting(1), "")
        qtbot.waitUntil(lambda: bool(ears.outcomes), timeout=20_000)
    finally:
        end.set()
        for each in others:
            each.runner.drop()
