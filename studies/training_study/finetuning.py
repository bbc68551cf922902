"""From the bundled nuclei model to other images: a few labelled ones, against from scratch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

import napari_unet as nu
from training_study import data
from training_study.learning import fit, median_diameter, score_objects
from training_study.records import Condition, Outcome, Plan, Run

EXPERIMENT = "finetune"
BASE = "nuclei"
STEPS = 100
BATCH, PATCH = 4, (128, 128)
IMAGES = (1, 2, 4)

Split = tuple[Sequence[nu.Example], Sequence[nu.Example]]


def iter_runs(plan: Plan) -> Iterator[Run]:
    """Histology with every seed; phase contrast with the first, each image tested once."""
    for seed in plan.seeds:
        yield from _runs(plan, {"data": "histology"}, seed, _histology(plan, seed))
    for name in plan.some(("set15", "set20", "set37", "set44", "set6")):
        condition: Condition = {"data": "phase contrast", "test": name}
        yield from _runs(plan, condition, plan.seeds[0], _phase_contrast(plan, name))


def _histology(plan: Plan, seed: int) -> Callable[[], Split]:
    def load() -> Split:
        labelled, tests = data.histology(plan.data, seed)
        return labelled, plan.some(tests, 2)

    return load


def _phase_contrast(plan: Plan, test: str) -> Callable[[], Split]:
    def load() -> Split:
        images = data.phase_contrast(plan.data)
        # another image first for each test, so that one labelled image is not always the same
        names = list(images)
        turned = names[names.index(test) + 1 :] + names[: names.index(test)]
        return [images[name] for name in turned], [images[test]]

    return load


def _runs(plan: Plan, where: Condition, seed: int, load: Callable[[], Split]) -> Iterator[Run]:
    for start in ("nuclei", "nuclei, diameter given"):
        condition = {**where, "start": start, "images": 0}
        if where["data"] == "histology" and seed != plan.seeds[0]:
            continue  # the tests are the same for every seed
        yield Run(EXPERIMENT, condition, seed, 0, _untouched(plan, load, start))
    steps = plan.steps_or(STEPS)
    for count in plan.some(IMAGES):
        for start in ("nuclei", "scratch"):
            condition = {**where, "start": start, "images": count}
            yield Run(EXPERIMENT, condition, seed, steps, _trained(plan, load, seed, count, start))


def _untouched(plan: Plan, load: Callable[[], Split], start: str) -> Callable[[], Outcome]:
    def measure() -> Outcome:
        _, tests = load()
        base = nu.Model.load(BASE)
        if start == "nuclei":
            scores = score_objects(base, tests, plan)
        else:
            # as somebody would measure it: one number for the kind of image
            diameter = float(np.median([median_diameter(test.labels) for test in tests]))
            scores = score_objects(base, tests, plan, object_diameter=diameter)
        details = {"test images": len(tests), "base": base.sha256}
        return Outcome(scores["AP 0.5"], scores, details=details)

    return measure


def _trained(
    plan: Plan, load: Callable[[], Split], seed: int, count: int, start: str
) -> Callable[[], Outcome]:
    def measure() -> Outcome:
        labelled, tests = load()
        base = nu.Model.load(BASE)
        model, seconds = fit(
            labelled[:count],
            plan,
            steps=plan.steps_or(STEPS),
            seed=seed,
            base=base if start == "nuclei" else None,
            start="base",
            task="instance",
            features=base.card.architecture.features,
            patch=plan.patch(*PATCH),
            batch_size=BATCH,
        )
        scores = score_objects(model, tests, plan)
        details = {
            "training images": count,
            "test images": len(tests),
            "patch": plan.patch(*PATCH),
            "batch": BATCH,
            "features": base.card.architecture.features,
            "base": base.sha256,
        }
        return Outcome(scores["AP 0.5"], scores, seconds, details)

    return measure
