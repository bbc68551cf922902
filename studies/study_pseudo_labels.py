"""Strokes alone, against strokes and what the network finds by them half-way (pseudo-labels).

    python studies/study_pseudo_labels.py DATA --steps 400 --seed 0

Fluorescence images with 2 % painted, as in docs/results/training.md, *Scribbles*. After half of the
steps the training images are segmented. An object is taken over where it holds all of one painted
label and nothing of another; with ``--unpainted`` also one without paint that is nearly convex.
Background is where the foreground is unlikely; what is left stays unknown. The second half goes on
from the weights of the first. Prints AP at IoU 0.5 and Dice of the tests.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from skimage.measure import regionprops
from training_study import data
from training_study.learning import SMALL, score_objects
from training_study.painting import BATCH, PATCH, scribbled
from training_study.records import Plan

import napari_unet as nu

SHARE = 0.02
UNLIKELY = 0.3  # foreground below which a pixel is taken for background
SOLIDITY = 0.93  # of an object without paint


def add_pseudo_labels(example: nu.Example, model: nu.Model, *, unpainted: bool) -> nu.Example:
    """The example with the objects and the background that the model is taken to be right about."""
    prediction = nu.predict(example.image, model, axes=example.axes)
    found = np.squeeze(nu.decode(prediction))
    foreground = np.squeeze(np.asarray(prediction.scores))[0]
    painted, background = np.asarray(example.labels), example.background
    labels = np.zeros(painted.shape, np.int32)
    new = int(painted.max())
    for region in regionprops(found):
        pixels = tuple(region.coords.T)
        names = np.setdiff1d(painted[pixels], [0])
        if background in names or names.size > 1:
            continue
        if names.size:
            whole = np.count_nonzero(painted == names[0]) == np.count_nonzero(painted[pixels])
            labels[pixels] = names[0] if whole else 0
        elif unpainted and region.solidity > SOLIDITY:
            new += 1
            labels[pixels] = new
    labels[(found == 0) & (foreground < UNLIKELY)] = background
    labels = np.where(painted > 0, painted, labels)
    return nu.Example(
        example.image, labels, region="painted", background=background, axes=example.axes
    )


def main() -> None:
    """Train, take over, go on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unpainted", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    half = asked.steps // 2
    plan = Plan(asked.data, (asked.seed,), asked.steps, quick=False, device="cpu", threads=1)
    training, tests = data.fluorescence(asked.data)
    strokes, _ = scribbled(training, SHARE, asked.seed, instances=True)
    settings: dict[str, Any] = {
        "task": "instance",
        "patch": PATCH,
        "batch_size": BATCH,
        "device": "cpu",
        "seed": asked.seed,
    }

    def report(name: str, model: nu.Model) -> None:
        scores = score_objects(model, tests, plan)
        print(f"{name}: AP 0.5 {scores['AP 0.5']:.3f}, Dice {scores['Dice']:.3f}", flush=True)

    def fit(examples: list[nu.Example], steps: int, **start: Any) -> nu.Model:
        return nu.train(examples, steps=steps, validation_every=steps, **start, **settings)

    first = fit(strokes, half, features=SMALL)
    report(f"strokes, {half} steps", first)
    widened = [add_pseudo_labels(each, first, unpainted=asked.unpainted) for each in strokes]
    known = np.mean([np.mean(np.asarray(each.labels) > 0) for each in widened])
    report(
        f"and {half} with pseudo-labels, {known:.0%} known",
        fit(widened, half, base=first, start="base"),
    )
    report(f"strokes, {asked.steps} steps", fit(strokes, asked.steps, features=SMALL))


if __name__ == "__main__":
    main()
