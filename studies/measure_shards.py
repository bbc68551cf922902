"""Does batch norm over shards of a batch cost quality? AP by the number of threads.

    python studies/measure_shards.py DATA --steps 300 --seeds 0 1

Trained on four fields of Usiigaci's phase contrast cells, scored on the fifth; all runs draw the
same patches. With one thread batch norm sees the whole batch of 8, with two 4, with four 2 patches.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import tifffile

import napari_unet as nu

FIELDS = ("set6", "set15", "set20", "set37")
TEST = "set44"


def read_field(folder: Path, name: str) -> nu.Example:
    """A field with its labels."""
    image, labels = (
        tifffile.imread(folder / part / f"{name}.tif") for part in ("images", "labels")
    )
    return nu.Example(image, labels.astype(np.int32), axes="YX")


def main() -> None:
    """Train and print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 4])
    arguments = parser.parse_args()
    folder = arguments.data / "usiigaci-phase-t98g"
    examples = [read_field(folder, name) for name in FIELDS]
    test = read_field(folder, TEST)
    for seed in arguments.seeds:
        for threads in arguments.threads:
            model = nu.train(examples, steps=arguments.steps, seed=seed, threads=threads)
            found = nu.segment(test.image, model, axes="YX")
            scores = nu.evaluate(found, test.labels, task="instance")
            mean = np.mean(list(scores.ap.values()))
            print(
                f"seed {seed}, {threads} threads: AP {scores.ap[0.5]:.3f}, mean {mean:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
