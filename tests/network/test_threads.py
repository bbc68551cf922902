"""Threads that follow the load of the processor."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import napari_unet as nu
from napari_unet.inference.tiles import BUSY_NOTE
from napari_unet.network.threads import MIN_WAIT_S, TRIAL_SHARE, LoadFollower, ThreadControl
from napari_unet.training import losses

CPU = torch.device("cpu")


class Machine:
    """Cores and other programs, whose clocks go on with the work that is done on them."""

    def __init__(self, cores: int = 2, busy: int = 0, serial: float = 0.05) -> None:
        self.cores, self.busy, self.serial = cores, busy, serial
        self.now_s = self.cpu_s = 0.0
        self.steps = 0

    def work(self, threads: int) -> None:
        """A second of one thread; several wait for the one that another program delays."""
        crowd = max(1.0, (threads + self.busy) / self.cores)
        barrier = 1.0 if threads == 1 or threads + self.busy <= self.cores else 3.0
        wall_s = (self.serial + (1 - self.serial) / threads) * crowd * barrier
        self.now_s += wall_s
        self.cpu_s += wall_s * threads / crowd * (1 - self.serial)
        self.steps += 1

    def run(self, follower: LoadFollower, seconds: float) -> list[int]:
        """The numbers of threads of the steps in so much time."""
        end_s, taken = self.now_s + seconds, []
        while self.now_s < end_s:
            threads = follower.choose()
            start_s, start_cpu_s = self.now_s, self.cpu_s
            self.work(threads)
            follower.learn(threads, self.now_s - start_s, self.cpu_s - start_cpu_s)
            taken.append(threads)
        return taken

    def pace(self, threads: int, seconds: float) -> float:
        """Steps a second with a fixed number."""
        other = Machine(self.cores, self.busy, self.serial)
        while other.now_s < seconds:
            other.work(threads)
        return other.steps / other.now_s


@pytest.mark.parametrize("cores", [2, 16])
def test_threads_follow_the_load_and_come_back(cores: int) -> None:
    machine = Machine(cores)
    follower = LoadFollower(cores, lambda: machine.now_s)
    taken = machine.run(follower, 60)
    assert cores > 2 or set(taken) == {cores}
    assert len(taken) / 60 > 0.97 * machine.pace(cores, 60)  # nothing is lost
    machine.busy = cores // 2
    machine.run(follower, 60)
    best = cores - machine.busy
    assert follower.threads == best
    steps = len(machine.run(follower, 300)) / 300
    assert steps > (1 - 2 * TRIAL_SHARE) * machine.pace(best, 300)  # trials cost little
    machine.busy = 0
    machine.run(follower, 150)
    taken = machine.run(follower, 60)
    assert taken.count(cores) > 0.95 * len(taken)


def test_what_is_slow_alone_loses_little_to_trials() -> None:
    """Half of the work is on one thread by itself: that looks like a load, and is none."""
    machine = Machine(serial=0.5)
    follower = LoadFollower(2, lambda: machine.now_s)
    taken = machine.run(follower, 300)
    assert follower.threads == 2
    assert len(taken) / 300 > (1 - 2 * TRIAL_SHARE) * machine.pace(2, 300)


def test_work_of_the_same_process_counts_as_load() -> None:
    """A window that draws uses processor time of this process: only the clock tells."""
    machine = Machine()
    follower = LoadFollower(2, lambda: machine.now_s)
    machine.run(follower, 10)

    class Drawing(Machine):
        def work(self, threads: int) -> None:
            start_s = self.now_s
            super().work(threads)
            self.cpu_s = 2 * (self.now_s - start_s) + self.cpu_s  # both cores are in use

    drawing = Drawing(busy=1)
    drawing.now_s = machine.now_s
    machine.now_s = 0.0
    follower._clock = lambda: drawing.now_s
    drawing.run(follower, 60)
    assert follower.threads == 1


def test_one_slow_step_changes_nothing_and_a_long_break_begins_anew() -> None:
    machine = Machine()
    follower = LoadFollower(2, lambda: machine.now_s)
    machine.run(follower, 10)
    machine.busy = 2
    machine.run(follower, 0.1)  # a single step
    machine.busy = 0
    assert set(machine.run(follower, 3 * MIN_WAIT_S)) == {2}
    machine.busy = 1
    machine.run(follower, 60)
    assert follower.threads == 1
    machine.now_s += 3600
    assert follower.choose() == 2


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_other_threads_of_the_process_keep_their_number() -> None:
    control = ThreadControl(1, CPU)
    seen: list[int] = []
    with control.measure():
        assert torch.get_num_threads() == 1
        other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        other.start()
        other.join()
    assert (seen, torch.get_num_threads()) == ([2], 2)
    with pytest.raises(RuntimeError), control.measure():
        raise RuntimeError
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_a_given_number_stays_whatever_the_load() -> None:
    busy = iter(range(0, 10_000, 10))
    for setting, device, expected in ((2, CPU, {2}), ("follow", CPU, {1, 2})):
        control = ThreadControl(
            setting,
            device,
            lambda maximum: LoadFollower(maximum, lambda: next(busy)),
            clock=lambda: float(next(busy)),
            cpu_clock=lambda: 0.0,
        )
        taken = set()
        for _ in range(20):
            with control.measure():
                taken.add(torch.get_num_threads())
        assert taken == expected
        assert control.reduced == (setting == "follow")


@pytest.mark.usefixtures("two_threads")
def test_jobs_on_fewer_threads_leave_the_number_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LoadFollower, "choose", lambda _: 1)  # as if others were busy
    seen: list[int] = []
    task_loss = losses.instance_loss

    def look(*arguments: Any, **keywords: Any) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return task_loss(*arguments, **keywords)

    monkeypatch.setattr(losses, "instance_loss", look)
    sample = nu.load_sample("nuclei_2d")
    image, truth = sample.image[:64, :64], sample.truth[:64, :64]
    example = nu.Example(image, truth, axes="YX")
    settings: dict[str, Any] = {"steps": 1, "patch": (32, 32), "batch_size": 1, "features": (4, 8)}
    for threads, expected in (("follow", 1), ("auto", 2), (2, 2)):
        seen.clear()
        job = nu.iter_train([example], precision="float32", threads=threads, **settings)
        while True:
            try:
                next(job)
            except StopIteration as end:
                model = end.value
                break
            assert torch.get_num_threads() == 2
        assert set(seen) == {expected}
        assert model.card.training.config["threads"] == threads
        found = nu.predict(image, model, threads=threads)
        assert (BUSY_NOTE in found.record["fallbacks"]) == (threads == "follow")
        assert found.record["threads"] == 2
        assert torch.get_num_threads() == 2
