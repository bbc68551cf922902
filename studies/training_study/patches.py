"""Size and number of patches on a CPU: many small steps, or few large ones, in the same time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

import napari_unet as nu
from training_study import data
from training_study.learning import score_objects
from training_study.records import Outcome, Plan, Run

EXPERIMENT = "patches"
BASE = "nuclei"
MINUTES = 2.0
SHAPES = ((8, 256), (8, 128), (4, 128))  # how many, and pixels a side
LABELLED = 7  # seeds of the histology images: of the four to learn from,
JUDGED = (11, 12, 13, 14)  # and of those to judge on, which are no test images


def iter_runs(plan: Plan) -> Iterator[Run]:
    """Each shape, from the bundled model and from scratch, for the first seed."""
    for start in ("nuclei", "scratch"):
        for count, side in plan.some(SHAPES):
            condition: dict[str, str | int | float] = {
                "start": start,
                "batch": count,
                "patch": side,
                "minutes": MINUTES,
            }
            measure = _trained(plan, start, count, side)
            yield Run(EXPERIMENT, condition, plan.seeds[0], 0, measure)


def _trained(plan: Plan, start: str, count: int, side: int) -> Callable[[], Outcome]:
    def measure() -> Outcome:
        labelled, _ = data.histology(plan.data, LABELLED)
        judged: list[nu.Example] = []
        for seed in JUDGED:
            for example in data.histology(plan.data, seed)[0]:
                if not any(_same(example, other) for other in (*labelled, *judged)):
                    judged.append(example)
        base = nu.Model.load(BASE)
        budget = {"steps": plan.steps_or(3)} if plan.quick else {"minutes": MINUTES}
        new = {} if start == "nuclei" else {"features": base.card.architecture.features}
        began = time.perf_counter()
        model = nu.train(
            labelled,
            base=base if start == "nuclei" else None,
            start="base",
            task="instance",
            batch_size=count,
            patch=plan.patch(side, side),
            seed=plan.seeds[0],
            device=plan.device,
            **budget,
            **new,
        )
        seconds = time.perf_counter() - began
        scores = score_objects(model, plan.some(judged, 2), plan)
        assert model.card.training is not None
        details = {
            "steps": model.card.training.steps,
            "training images": len(labelled),
            "test images": len(judged),
        }
        return Outcome(scores["AP 0.5"], scores, seconds, details)

    return measure


def _same(one: nu.Example, other: nu.Example) -> bool:
    return np.array_equal(one.image, other.image)
