"""Dice of the classes of ten sections, with a 2D or a 3D network, after so many steps or minutes.

    python studies/measure_sections.py DATA 2 --steps 150
    python studies/measure_sections.py DATA 3 --steps 60
    python studies/measure_sections.py DATA 2 --minutes 10 --precision float32
    python studies/measure_sections.py DATA 3 --steps 120 --stack isbi2012 --network "four levels"

DATA has the folders of the data sets. Of vnc-sstem-multiclass, sections 1 to 6, one stack, are
learned from, 9 and 10 are tests, as in docs/results/training.md; of isbi2012, 1 to 16 and 17 to
20. The rest of the settings is what is proposed.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

import napari_unet as nu

PROPOSAL = "proposal"
NETWORKS: dict[str, dict[str, Any]] = {
    PROPOSAL: {},
    "three levels, in the plane": {"features": (16, 32, 64), "strides": ((1, 2, 2), (1, 2, 2))},
    "four levels": {"features": (16, 32, 64, 128), "strides": ((2, 2, 2),) * 3},
    "four levels, first in the plane": {
        "features": (16, 32, 64, 128),
        "strides": ((1, 2, 2), (2, 2, 2), (2, 2, 2)),
    },
}
STACKS = {  # file, sections to learn from, the first test
    "vnc": ("vnc-sstem-multiclass", "stack1_slices_00-09.tif", 6, 8),
    "isbi2012": ("isbi2012-em-membranes", "slices_00-19.tif", 16, 16),
}


def read_stack(data: Path, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Image and classes, from 0 on."""
    folder, file, _, _ = STACKS[name]
    image, labels = (tifffile.imread(data / folder / kind / file) for kind in ("images", "labels"))
    return image, np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.uint8)


def main() -> None:
    """Train, predict, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("ndim", type=int, choices=(2, 3))
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--steps", type=int)
    budget.add_argument("--minutes", type=float)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stack", choices=STACKS, default="vnc")
    parser.add_argument("--network", choices=NETWORKS, default=PROPOSAL)
    asked = parser.parse_args()
    image, labels = read_stack(asked.data, asked.stack)
    _, _, taught, test = STACKS[asked.stack]
    started = time.process_time()
    model = nu.train(
        [nu.Example(image[:taught], labels[:taught], axes="ZYX")],
        task="semantic",
        ndim=asked.ndim,
        steps=asked.steps,
        minutes=asked.minutes,
        seed=asked.seed,
        device="cpu",
        precision=asked.precision,
        validation_every=asked.steps,
        **NETWORKS[asked.network],
    )
    seconds = time.process_time() - started
    found = nu.segment(image, model, axes="ZYX", device="cpu")
    scores = nu.evaluate(list(found[test:]), list(labels[test:]), task="semantic")
    dice = {value: round(score, 3) for value, score in scores.dice.items()}
    architecture, record = model.card.architecture, model.card.training
    assert record is not None
    settings = record.config
    print(
        f"{architecture.ndim}D, levels {len(architecture.features)}, patch {settings['patch']}, "
        f"batch {settings['batch_size']}, {record.steps} steps, {settings['precision']}, "
        f"seed {asked.seed}: {dice}, "
        f"mean of the structures {sum(v for k, v in dice.items() if k) / (len(dice) - 1):.3f}, "
        f"{seconds:.0f} s of CPU"
    )


if __name__ == "__main__":
    main()
