"""How many threads of a CPU a network runs on: a fixed number, or one that follows the load.

The threads of a layer wait for its slowest one. Where another process takes a core, one of them
stands still and all the others with it: fewer threads are then faster than many. What is gained is
found by trial, as it depends on the processor, the network and on who else is running.
"""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from napari_unet.unet_config import UNetConfig

MIN_SAMPLE_S = 0.2  # shorter pieces of work are judged together
ALARMS = 2  # samples in a row that look as if others were busy, before fewer threads are tried
IDLE_THREADS = 0.5  # threads that got no processor time, from which others are taken for busy
SLOWER = 1.4  # than the fastest sample with as many threads: the same
GAIN = 0.9  # of the time per piece that another number of threads must stay below to be taken
TRIAL_SHARE = 0.03  # of the time, at most, that goes into trials that fail
MIN_WAIT_S = 5.0  # between two trials
FORGET_S = 60.0  # without work: what was found says nothing of the load by then


@dataclass
class _Sample:
    """Pieces of work with one number of threads."""

    threads: int
    wall_s: float = 0.0
    cpu_s: float = 0.0
    work: float = 0.0


class LoadFollower:
    """Chooses the number of threads for each piece of work from how long the last ones took.

    Where the threads get less processor time than the clock shows, or work has become slower,
    fewer are tried; from time to time more are tried, as the load may have gone. Another number
    is taken only where it is clearly faster.

    Parameters
    ----------
    maximum : int
        The largest number, with which it begins.
    clock : callable
        Seconds.

    Attributes
    ----------
    threads : int
        The best number so far.
    """

    def __init__(self, maximum: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self.maximum = maximum
        self._clock = clock
        self._warm: set[int] = set()  # the first sample pays for what is prepared once
        self._begin()

    def _begin(self) -> None:
        self.threads = self.maximum
        self._trial: int | None = None
        self._sample = _Sample(self.maximum)
        self._pace: dict[int, float] = {}  # seconds per unit of work, by number of threads
        self._fastest: dict[int, float] = {}
        self._busy_threads = float(self.maximum)
        self._alarms = self._too_few = 0
        self._next_trial_s = self._last_s = self._clock()

    def choose(self) -> int:
        """The number of threads for the next piece of work."""
        now_s = self._clock()
        if now_s - self._last_s > FORGET_S:
            self._begin()
        if self._trial is None and now_s >= self._next_trial_s and self.threads in self._pace:
            if self._alarms >= ALARMS and self.threads > 1:
                self._trial = self._choose_fewer()
            elif self._alarms == 0 and self.threads < self.maximum:
                self._trial = min(2 * self.threads, self.maximum)
        return self.threads if self._trial is None else self._trial

    def _choose_fewer(self) -> int:
        """As many as the others leave; where that was too few, half way to it."""
        # of so many threads as there are cores, each gets the same share of them
        others = self.threads * (self.maximum / max(self._busy_threads, 0.1) - 1)
        fewer = max(math.floor(self.maximum - others), (self.threads + self._too_few) // 2, 1)
        return min(fewer, self.threads - 1)

    def learn(self, threads: int, wall_s: float, cpu_s: float, work: float = 1.0) -> None:
        """Take in what a piece of work took.

        Parameters
        ----------
        threads : int
            With how many.
        wall_s, cpu_s : float
            Seconds by the clock, and of processor time of the whole process.
        work : float
            How large the piece was, in any unit.
        """
        self._last_s = self._clock()
        if self._sample.threads != threads:
            self._sample = _Sample(threads)
        sample = self._sample
        sample.wall_s += wall_s
        sample.cpu_s += cpu_s
        sample.work += work
        if sample.wall_s < MIN_SAMPLE_S:
            return
        self._sample = _Sample(threads)
        if threads not in self._warm:
            self._warm.add(threads)
        elif threads == self._trial:
            self._judge_trial(sample)
        elif threads == self.threads:
            self._watch(sample)

    def _watch(self, sample: _Sample) -> None:
        threads, pace = sample.threads, sample.wall_s / sample.work
        before = self._pace.get(threads, pace)
        self._pace[threads] = (before + pace) / 2
        self._fastest[threads] = min(self._fastest.get(threads, pace), pace)
        self._busy_threads = sample.cpu_s / sample.wall_s
        idle = threads > 1 and self._busy_threads < threads - IDLE_THREADS
        slower = pace > SLOWER * self._fastest[threads]
        self._alarms = self._alarms + 1 if threads > 1 and (idle or slower) else 0

    def _judge_trial(self, sample: _Sample) -> None:
        pace, current = sample.wall_s / sample.work, self._pace[self.threads]
        wait_s = MIN_WAIT_S
        if pace < GAIN * current:
            self.threads, self._too_few = sample.threads, 0
            self._pace[self.threads] = pace
            self._fastest[self.threads] = min(self._fastest.get(self.threads, pace), pace)
        else:
            lost_s = sample.wall_s - current * sample.work
            wait_s = max(wait_s, lost_s / TRIAL_SHARE)
            if sample.threads < self.threads:
                last = sample.threads == self.threads - 1  # then from the beginning
                self._too_few = 0 if last else sample.threads
            self._fastest[self.threads] = current  # it is so slow for another reason
        self._trial, self._alarms = None, 0
        self._next_trial_s = self._last_s + wait_s


@functools.lru_cache(maxsize=16)
def follow_predictions(config: UNetConfig, precision: str, maximum: int) -> LoadFollower:
    """The one that predictions with equal networks share: many of them have a single tile."""
    del config, precision  # on these depends how long a pixel takes
    return LoadFollower(maximum)


class ThreadControl:
    """Runs parts of a job on a number of threads, which is the caller's again afterwards.

    Parameters
    ----------
    threads : "auto", "follow" or int
        The setting: a fixed number, all there are just now, or as the load of a CPU has it.
    device : torch.device
        Where the network runs; on others than a CPU there is nothing to follow.
    make_follower : callable
        Makes one from the largest number of threads.
    clock, cpu_clock : callable
        Seconds, and those of processor time of the whole process.

    Attributes
    ----------
    reduced : bool
        Whether a part ran on fewer threads than there were.
    """

    def __init__(
        self,
        threads: Any,
        device: torch.device,
        make_follower: Callable[[int], LoadFollower] = LoadFollower,
        clock: Callable[[], float] = time.perf_counter,
        cpu_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self._clock, self._cpu_clock = clock, cpu_clock
        self._fixed: int | None = threads
        if not isinstance(threads, int):
            self._fixed = None if threads == "follow" else torch.get_num_threads()
        self._follower: LoadFollower | None = None
        self.reduced = False
        maximum = torch.get_num_threads()
        follows = self._fixed is None and device.type == "cpu" and maximum > 1
        if follows and torch.backends.openmp.is_available():  # type: ignore[no-untyped-call]
            self._follower = make_follower(maximum)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Work that is not measured, on as many threads as are best just now."""
        with _limit_threads(self._follower.threads if self._follower else self._fixed):
            yield

    @contextmanager
    def measure(self, work: float = 1.0) -> Iterator[None]:
        """A piece of work, from which the number for the next one is learned.

        Parameters
        ----------
        work : float
            How large the piece is, in any unit.
        """
        follower = self._follower
        if follower is None:
            with self.hold():
                yield
            return
        threads = follower.choose()
        with _limit_threads(threads):
            start_s, start_cpu_s = self._clock(), self._cpu_clock()
            yield
            wall_s, cpu_s = self._clock() - start_s, self._cpu_clock() - start_cpu_s
        self.reduced |= threads < follower.maximum
        follower.learn(threads, wall_s, cpu_s, work)


@contextmanager
def _limit_threads(threads: int | None) -> Iterator[None]:
    """Let torch use so many threads in this thread, and in no other one."""
    before = torch.get_num_threads()
    if threads is None or threads == before:
        yield
        return
    _set_own_threads(threads)
    try:
        yield
    finally:
        _set_own_threads(before)


def _set_own_threads(threads: int) -> None:
    """As `torch.set_num_threads`, which also changes what later threads begin with."""
    default = _in_new_thread(torch.get_num_threads)
    torch.set_num_threads(threads)
    _in_new_thread(lambda: torch.set_num_threads(default))


def _in_new_thread(call: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]
