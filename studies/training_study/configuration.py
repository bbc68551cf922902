"""What the package proposes from the data, against two other values of each setting.

All runs of a set see as many pixels, so that larger patches or batches have fewer steps: about the
same time. A level more or less changes a step's time by some per cent, which is left as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import napari_unet as nu
from napari_unet.settings import TrainConfig
from napari_unet.training.setup import TrainingSetup, prepare_training
from training_study import data
from training_study.learning import fit, score_classes, score_objects
from training_study.records import Outcome, Plan, Run

EXPERIMENT = "configuration"
STEPS = 200  # of what is proposed
PROPOSAL = "proposal"
CHANGES: Mapping[str, Mapping[str, float]] = {
    PROPOSAL: {},
    "a level less": {"levels": -1},
    "a level more": {"levels": 1},
    "half the patch": {"patch": 0.5},
    "twice the patch": {"patch": 2.0},
    "half the batch": {"batch": 0.5},
    "twice the batch": {"batch": 2.0},
    "half the learning rate": {"rate": 0.5},
    "twice the learning rate": {"rate": 2.0},
}


@dataclass(frozen=True)
class Images:
    """What is learned from and tested on, and the settings that are no proposal."""

    labelled: Sequence[nu.Example]
    tests: Sequence[nu.Example]
    settings: Mapping[str, Any]


def _phase_contrast(plan: Plan, seed: int) -> Images:
    images = data.phase_contrast(plan.data)
    names = list(images)
    test = names.pop(seed % len(names))
    return Images([images[name] for name in names], [images[test]], {"task": "instance"})


def _histology(plan: Plan, seed: int) -> Images:
    return Images(*data.histology(plan.data, seed), {"task": "instance"})


def _planes(plan: Plan, seed: int) -> Images:
    return Images(*data.embryos(plan.data, seed), {"task": "instance", "ndim": 2})


def _sections(plan: Plan, seed: int) -> Images:
    del seed  # there is one stack
    return Images(*data.sections(plan.data), {"task": "semantic"})


SETS: dict[str, Callable[[Plan, int], Images]] = {
    "phase contrast": _phase_contrast,
    "histology": _histology,
    "planes of embryos": _planes,
    "sections": _sections,
}


def iter_runs(plan: Plan) -> Iterator[Run]:
    """One set after the other."""
    for seed in plan.seeds:
        for name, load in SETS.items():
            for change in CHANGES:
                condition = {"data": name, "change": change}
                measure = _measure(plan, load, change, seed)
                yield Run(EXPERIMENT, condition, seed, plan.steps_or(STEPS), measure)


def changed(setup: TrainingSetup, change: Mapping[str, float], steps: int) -> dict[str, Any]:
    """The settings of a training that differs from a proposed one; equally many pixels."""
    architecture, config = setup.network.config, setup.config
    features, strides = list(architecture.features), list(architecture.strides)
    for _ in range(int(max(change.get("levels", 0), 0))):
        features.append(2 * features[-1])
        strides.append(strides[-1])
    if change.get("levels", 0) < 0:
        del features[-1], strides[-1]
    stride = [math.prod(each) for each in zip(*strides, strict=True)]
    scale = change.get("patch", 1.0) ** (1 / architecture.ndim)
    patch = [max(1, round(n * scale / s)) * s for n, s in zip(setup.patch, stride, strict=True)]
    batch = max(1, round(config.batch_size * change.get("batch", 1.0)))
    pixels = math.prod(setup.patch) * config.batch_size
    return {
        "features": tuple(features),
        "strides": tuple(strides),
        "patch": tuple(patch),
        "batch_size": batch,
        "learning_rate": config.learning_rate * change.get("rate", 1.0),
        "steps": max(1, round(steps * pixels / (math.prod(patch) * batch))),
    }


def _measure(
    plan: Plan, load: Callable[[Plan, int], Images], change: str, seed: int
) -> Callable[[], Outcome]:
    def measure() -> Outcome:
        images = load(plan, seed)
        tests = plan.some(images.tests, 2)
        config = TrainConfig(steps=1, seed=seed, device=plan.device, **images.settings)
        setup = prepare_training(images.labelled, base=None, config=config, validation=None)
        settings = changed(setup, CHANGES[change], plan.steps_or(STEPS))
        model, seconds = fit(images.labelled, plan, seed=seed, **images.settings, **settings)
        instances = images.settings["task"] == "instance"
        scores = (score_objects if instances else score_classes)(model, tests, plan)
        details = {
            "training images": len(images.labelled),
            "test images": len(tests),
            "patch": settings["patch"],
            "batch": settings["batch_size"],
            "features": settings["features"],
            "learning rate": settings["learning_rate"],
            "taken steps": settings["steps"],
        }
        return Outcome(scores["AP 0.5" if instances else "Dice"], scores, seconds, details)

    return measure
