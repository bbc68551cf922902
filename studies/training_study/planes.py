"""Volumes learned from some labelled planes: a 2D network with linking, and a 3D network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import napari_unet as nu
from training_study import data
from training_study.learning import SMALL, fit, score_objects
from training_study.records import Condition, Outcome, Plan, Run

EXPERIMENT = "planes"
ALL = 0  # planes: every one
COUNTS = (1, 3, 6, ALL)
SETTINGS: dict[str, dict[str, Any]] = {
    "2D": {"ndim": 2, "features": SMALL, "patch": (96, 96), "batch_size": 4},
    "3D": {
        "ndim": 3,
        "features": (16, 32, 64),
        "strides": ((1, 2, 2), (2, 2, 2)),
        "patch": (16, 48, 48),
        "batch_size": 2,
    },
}
STEPS = {"2D": 150, "3D": 80}


def iter_runs(plan: Plan) -> Iterator[Run]:
    """Each number of planes with both networks."""
    for seed in plan.seeds:
        for count in plan.some(COUNTS):
            for network, steps in STEPS.items():
                condition: Condition = {"network": network, "planes": count}
                measure = _measure(plan, network, count, seed)
                yield Run(EXPERIMENT, condition, seed, plan.steps_or(steps), measure)


def _measure(plan: Plan, network: str, count: int, seed: int) -> Callable[[], Outcome]:
    def measure() -> Outcome:
        volumes, tests = data.embryos(plan.data, seed)
        tests = plan.some(tests)
        examples = [in_planes(volume, count) for volume in volumes]
        settings = SETTINGS[network]
        patch = plan.patch(*settings["patch"])
        model, seconds = fit(
            examples,
            plan,
            steps=plan.steps_or(STEPS[network]),
            seed=seed,
            task="instance",
            **{**settings, "patch": patch},
        )
        scores = score_objects(model, tests, plan)
        details = {
            "training images": len(volumes),
            "test images": len(tests),
            "labelled planes": int(sum(e.labels.any((1, 2)).sum() for e in examples)),
            "patch": patch,
            "batch": settings["batch_size"],
            "features": settings["features"],
        }
        return Outcome(scores["AP 0.5"], scores, seconds, details)

    return measure


def in_planes(volume: nu.Example, count: int) -> nu.Example:
    """A volume of which some planes are labelled, spread evenly over those with objects."""
    if count == ALL:
        return volume
    labels = np.zeros_like(volume.labels)
    for z in spread_planes(volume.labels, count):
        labels[z] = volume.labels[z]
    return nu.Example(volume.image, labels, region="planes", axes=volume.axes)


def spread_planes(labels: NDArray[Any], count: int) -> list[int]:
    """Planes with objects: the middle ones of as many equal parts of them.

    >>> labels = np.zeros((10, 4, 4), int)
    >>> labels[2:8] = 1
    >>> spread_planes(labels, 1), spread_planes(labels, 3)
    ([5], [3, 5, 7])
    """
    found = np.flatnonzero(labels.any((1, 2)))
    at = (np.arange(count) + 0.5) / count * len(found)
    return [int(z) for z in found[at.astype(int)]]
