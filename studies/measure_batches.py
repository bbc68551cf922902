"""Patches that a training sees in a second, with batches of several sizes.

    python studies/measure_batches.py DATA --threads 2

Trainings of phase-contrast cells as they are proposed, batches of each size in turns, several
rounds in one process: the clock of a machine changes over minutes. Nothing else may run beside it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import napari_unet as nu

sys.path.insert(0, str(Path(__file__).parent))

from training_study import data

SIZES = (2, 4, 8, 16)
ROUNDS, SECONDS = 3, 8.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    examples = list(data.phase_contrast(arguments.data).values())
    jobs = {
        size: nu.iter_train(
            examples,
            task="instance",
            steps=1_000_000,
            validation_every=1_000_000,
            batch_size=size,
            threads=arguments.threads,
            device="cpu",
        )
        for size in SIZES
    }
    found: dict[int, list[float]] = {size: [] for size in SIZES}
    for job in jobs.values():
        for _ in range(3):
            next(job)
    for _ in range(ROUNDS):
        for size, job in jobs.items():
            start, steps = time.perf_counter(), 0
            while time.perf_counter() - start < SECONDS:
                next(job)
                steps += 1
            found[size].append(steps * size / (time.perf_counter() - start))
    for size, rates in found.items():
        ratio = statistics.median(a / b for a, b in zip(rates, found[8], strict=True))
        print(f"batches of {size}: {statistics.median(rates):.1f} patches/s, {ratio:.2f} of 8")
    for job in jobs.values():
        job.close()


if __name__ == "__main__":
    main()
