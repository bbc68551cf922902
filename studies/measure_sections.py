"""Dice of the classes of ten sections, with a 2D or a 3D network, after so many steps or minutes.

    python studies/measure_sections.py DATA 2 --steps 150
    python studies/measure_sections.py DATA 3 --steps 60
    python studies/measure_sections.py DATA 2 --minutes 10 --precision float32

DATA has the folder vnc-sstem-multiclass. Sections 1 to 6, one stack, are learned from, 9 and 10
are tests, as in docs/results/training.md. The rest of the settings is what is proposed.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import tifffile

import napari_unet as nu

NAME = "stack1_slices_00-09.tif"
THREE_LEVELS: dict[str, Any] = {"features": (16, 32, 64), "strides": ((1, 2, 2), (1, 2, 2))}


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
    parser.add_argument("--three-levels", action="store_true", help="3D, not deeper in the plane")
    asked = parser.parse_args()
    folder = asked.data / "vnc-sstem-multiclass"
    image = tifffile.imread(folder / "images" / NAME)
    labels = tifffile.imread(folder / "labels" / NAME)
    started = time.process_time()
    model = nu.train(
        [nu.Example(image[:6], labels[:6], axes="ZYX")],
        task="semantic",
        ndim=asked.ndim,
        steps=asked.steps,
        minutes=asked.minutes,
        seed=asked.seed,
        device="cpu",
        precision=asked.precision,
        validation_every=asked.steps,
        **(THREE_LEVELS if asked.three_levels else {}),
    )
    seconds = time.process_time() - started
    found = nu.segment(image[8:], model, axes="ZYX", device="cpu")
    scores = nu.evaluate(list(found), list(labels[8:]), task="semantic")
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
