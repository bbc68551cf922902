"""Training and scoring with the public functions of the package, as a user would."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

import napari_unet as nu
from training_study.records import Plan

SMALL = (16, 32, 64, 128)
"""Channels per level where networks that start from nothing are compared with one another."""


def fit(
    examples: Sequence[nu.Example],
    plan: Plan,
    *,
    steps: int,
    seed: int,
    base: nu.Model | None = None,
    **settings: Any,
) -> tuple[nu.Model, float]:
    """A model trained for so many steps, and the seconds it took.

    What is held out, and how the decoding is picked on it, is left to the package; as it is
    scored at the end only, the last weights are taken.
    """
    start = time.perf_counter()
    model = nu.train(
        examples,
        base=base,
        steps=steps,
        seed=seed,
        device=plan.device,
        validation_every=steps,
        **settings,
    )
    return model, time.perf_counter() - start


def score_objects(
    model: nu.Model, tests: Sequence[nu.Example], plan: Plan, **settings: Any
) -> dict[str, float]:
    """AP, as the mean over images, and Dice of the foreground."""
    found = [
        nu.segment(test.image, model, axes=test.axes, device=plan.device, **settings)
        for test in tests
    ]
    return compare_objects(found, tests)


def compare_objects(found: Sequence[Any], tests: Sequence[nu.Example]) -> dict[str, float]:
    """AP, as the mean over images, and Dice of the foreground, of labels that were found."""
    scores = nu.evaluate(found, [test.labels for test in tests], task="instance")
    return {
        "AP 0.5": scores.ap_mean[0.5],
        "AP 0.75": scores.ap_mean[0.75],
        "AP 0.9": scores.ap_mean[0.9],
        "Dice": scores.dice_mean,
    }


def score_classes(model: nu.Model, tests: Sequence[nu.Example], plan: Plan) -> dict[str, float]:
    """Dice of each class but 0, pooled, and their mean."""
    found = [nu.segment(test.image, model, axes=test.axes, device=plan.device) for test in tests]
    scores = nu.evaluate(found, [test.labels for test in tests], task="semantic")
    by_class = {f"Dice {value}": dice for value, dice in scores.dice.items() if value != 0}
    return {"Dice": scores.macro_dice, **by_class}


def median_diameter(labels: np.ndarray[Any, Any]) -> float:
    """Median diameter of the objects in a plane, as discs of their area, in pixels."""
    _, areas = np.unique(labels[labels > 0], return_counts=True)
    return float(np.median(2 * np.sqrt(areas / np.pi)))
