"""Batches of 8 and of 4 patches in equal time.

On two threads batches of 4 see 0.93 times as many patches a second as batches of 8
(`studies/measure_batches.py`), so that they have as many steps as fit into the same seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from training_study.configuration import SETS
from training_study.learning import fit, score_classes, score_objects
from training_study.records import Outcome, Plan, Run

EXPERIMENT = "batches"
STEPS = 1000  # of batches of 8
RATES = {8: 1.0, 4: 0.93}  # patches a second


def iter_runs(plan: Plan) -> Iterator[Run]:
    """One set after the other."""
    for seed in plan.seeds:
        for name in SETS:
            for batch, rate in RATES.items():
                steps = round(plan.steps_or(STEPS) * rate * 8 / batch)
                condition = {"data": name, "batch": batch}
                yield Run(
                    EXPERIMENT, condition, seed, steps, _measure(plan, name, batch, steps, seed)
                )


def _measure(plan: Plan, name: str, batch: int, steps: int, seed: int) -> Callable[[], Outcome]:
    def measure() -> Outcome:
        images = SETS[name](plan, seed)
        tests = plan.some(images.tests, 2)
        settings: dict[str, Any] = {**images.settings, "batch_size": batch}
        model, seconds = fit(images.labelled, plan, steps=steps, seed=seed, **settings)
        instances = images.settings["task"] == "instance"
        scores = (score_objects if instances else score_classes)(model, tests, plan)
        training = model.card.training
        assert training is not None
        details = {
            "training images": len(images.labelled),
            "test images": len(tests),
            "patch": training.config["patch"],
            "batch": batch,
            "features": model.card.architecture.features,
        }
        return Outcome(scores["AP 0.5" if instances else "Dice"], scores, seconds, details)

    return measure
