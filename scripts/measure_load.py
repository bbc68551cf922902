"""Training and prediction beside other programs: the table of docs/results/load.md.

    python scripts/measure_load.py            # about seven minutes, on a machine that is else quiet
    python scripts/measure_load.py --quick    # only see that it runs; writes nothing

A training and a prediction run side by side on all threads (the default), with all threads within
each layer (as networks usually are), and with one thread. Beside them run as many processes that
compute as there are cores, then twice as many, then none again.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import napari_unet as nu
from napari_unet.network.precision import choose_precision, device_capability
from napari_unet.network.threads import Workers

PAGE = Path(__file__).parents[1] / "docs" / "results" / "load.md"
KINDS = ("side by side", "within layers", "one thread")
ROUNDS, COUNT_S = 5, 2.5  # of each kind in turn: what else the machine does meets all alike
WARM_UP = 3  # steps
PLANES = 24  # of the series that is predicted, over and over
BUSY = "while True: pass"
AIMS = {1: 0.5, 2: 1 / 3}  # of the quiet throughput, by busy processes a core
START = """
import time
import numpy as np
import napari_unet as nu
import napari_unet.training.train
sample = nu.load_sample("nuclei_2d")
image, truth = (np.tile(each, (3, 3))[:520, :696] for each in (sample.image, sample.truth))
copy = np.kron(np.arange(9).reshape(3, 3), np.ones(sample.truth.shape, int))[:520, :696]
truth = np.where(truth > 0, truth + copy * int(truth.max()), 0)
examples = [nu.Example(np.roll(image, i, 1), np.roll(truth, i, 1), axes="YX") for i in range(15)]
start = time.perf_counter()
job = nu.iter_train(examples, minutes=8)
next(job)
print(time.perf_counter() - start)
"""


@dataclass(frozen=True)
class Count:
    """Steps a second of a job, by the number of busy processes and the use of the threads."""

    job: str
    busy: int
    kind: str
    rate: float


def train(threads: Any) -> Iterator[None]:
    """Steps of a training with default settings."""
    sample = nu.load_sample("nuclei_2d")
    example = nu.Example(sample.image, sample.truth, axes="YX")
    for _ in nu.iter_train([example], steps=10**6, validation_every=10**6, threads=threads):
        yield


def predict(threads: Any) -> Iterator[None]:
    """Planes of a series, predicted with the bundled model."""
    series = np.stack([nu.load_sample("nuclei_2d").image] * PLANES)
    while True:
        for progress in nu.iter_predict(series, "nuclei", axes="TYX", threads=threads):
            if progress.done:
                yield


JOBS: dict[str, Callable[[Any], Iterator[None]]] = {"train": train, "predict": predict}


@contextlib.contextmanager
def busy_processes(count: int) -> Generator[None, None, None]:
    """So many processes that compute all the time."""
    started = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        time.sleep(0.5 if started else 0.0)
        yield
    finally:
        for each in started:
            each.kill()
            each.wait()


def start_job(job: str, kind: str) -> Iterator[None]:
    """A job whose threads are used in one of the ways."""
    steps = JOBS[job](1 if kind == "one thread" else torch.get_num_threads())
    pieces = 1 if kind == "within layers" else None
    while True:
        with one_worker() if pieces else contextlib.nullcontext():
            next(steps)
        yield


@contextlib.contextmanager
def one_worker() -> Generator[None, None, None]:
    """What makes workers inside makes a single one, with all threads."""
    original = Workers.__init__

    def single(self: Workers, threads: int, pieces: int) -> None:
        del pieces
        original(self, threads, 1)

    Workers.__init__ = single  # type: ignore[method-assign]
    try:
        yield
    finally:
        Workers.__init__ = original  # type: ignore[method-assign]


def measure_rate(steps: Iterator[None], count_s: float) -> float:
    """Steps a second."""
    count, start_s = 0, time.perf_counter()
    while time.perf_counter() - start_s < count_s:
        next(steps)
        count += 1
    return count / (time.perf_counter() - start_s)


def measure_job(job: str, cores: int, scale: float) -> list[Count]:
    """All counts of a job; ``scale`` shortens the times."""
    running = {kind: start_job(job, kind) for kind in KINDS}
    for steps in running.values():
        for _ in range(WARM_UP):
            next(steps)
    counts = []
    for busy, known_as in ((0, 0), (cores, cores), (2 * cores, 2 * cores), (0, -1)):
        with busy_processes(busy):
            rounds = [
                {kind: measure_rate(steps, COUNT_S * scale) for kind, steps in running.items()}
                for _ in range(ROUNDS)
            ]
        for kind in KINDS:
            rate = float(np.median([each[kind] for each in rounds]))
            counts.append(Count(job, known_as, kind, rate))
            print(counts[-1], flush=True)
    return counts


def measure_start(repeats: int) -> list[float]:
    """Seconds from the call of a training to its first step, each in a process of its own."""
    return [
        float(subprocess.run([sys.executable, "-c", START], check=True, stdout=-1).stdout)
        for _ in range(repeats)
    ]


def make_page(counts: list[Count], starts: list[float], cores: int) -> str:
    """The page as Markdown."""
    model = nu.Model.load("nuclei")
    precision = choose_precision(device_capability(torch.device("cpu")), model.card.architecture)
    rates = {(c.job, c.busy, c.kind): c.rate for c in counts}
    rows, met = [], 0
    for job in JOBS:
        quiet = rates[job, 0, "within layers"]
        for busy, name in ((0, "none"), (cores, ""), (2 * cores, ""), (-1, "none again")):
            cells = [f"{rates[job, busy, kind] / quiet:.2f}" for kind in KINDS]
            aim = AIMS.get(busy // cores, 1.0) if busy > 0 else 1.0
            met += rates[job, busy, KINDS[0]] >= aim * quiet
            rows.append(f"| {job} | {name or busy} | {' | '.join(cells)} | {aim:.2f} |")
    table = "\n".join(rows)
    rate = ", ".join(f"{job} {rates[job, 0, 'within layers']:.1f}" for job in JOBS)
    start = ", ".join(f"{each:.2f}" for each in sorted(starts))
    return f"""# Beside other programs

`scripts/measure_load.py` writes this page. A training (default settings, patches of the sample
`nuclei_2d`) and a prediction (planes of that image, bundled model) run while other processes keep
the processor busy. Steps a second, the median of {ROUNDS} rounds, are given as ratios to those of
all threads within layers on the quiet machine; there they are: {rate}. Machine: {cores} cores,
{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, "auto" is
{precision}, torch {torch.__version__}.

| job | busy processes | {" | ".join(KINDS)} | aim |
| --- | --- | --- | --- | --- | --- |
{table}

{met} of the {len(rows)} aims are met side by side.

Threads within a layer wait for each other at its end. Where one of them stands still because
another process has its core, so does the other. Tiles and shards of a batch that are computed side
by side, each on a thread of its own, wait for each other once a tile or twice a step
(`network/threads.py`). How many there are depends on the number of threads alone, never on the
load: equal calls give equal labels, and a resumed training goes on bit by bit. A small image, of a
single tile, is computed with all threads within layers, and so are small batches.

From the call of a training to its first step, 15 images of 520 x 696, each in a process of its own:
{start} s.

What was tried and not taken: passive waiting of the threads (`OMP_WAIT_POLICY`, `GOMP_SPINCOUNT`)
costs 30 % on a quiet machine and helps little on a busy one. A number of threads that follows the
load, found by trial, kept 0.19 (2 busy processes) and 0.25 (4) of a training's speed, where one
thread kept 0.44 and 0.32 in the same run: it was too slow to notice, and equal calls were equal no
more.
"""


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short times, and no page")
    quick = parser.parse_args().quick
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    starts = measure_start(1 if quick else 3)
    print("start", starts, flush=True)
    counts = [c for job in JOBS for c in measure_job(job, cores or 1, 0.1 if quick else 1.0)]
    page = make_page(counts, starts, cores or 1)
    if quick:
        print(page)
    else:
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
