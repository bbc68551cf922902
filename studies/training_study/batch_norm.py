"""What batch norm uses for statistics, where a step sees few pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import napari_unet as nu
from training_study import data
from training_study.finetuning import BASE
from training_study.learning import SMALL, fit, score_objects
from training_study.planes import SETTINGS as VOLUME_SETTINGS
from training_study.records import Outcome, Plan, Run

EXPERIMENT = "statistics"
CHOICES = ("settled", "frozen", "running")
FINE_TUNED = "nuclei to histology, 1 image"
PLANE = "from scratch, 2D, batch 1"
VOLUME = "from scratch, 3D, batch 1"
STEPS = {FINE_TUNED: 100, PLANE: 300, VOLUME: 80}


def iter_runs(plan: Plan) -> Iterator[Run]:
    """Each case with each choice."""
    for seed in plan.seeds:
        for case, steps in STEPS.items():
            for choice in CHOICES:
                if choice == "frozen" and case != FINE_TUNED:
                    continue  # a new network has none to keep
                condition = {"case": case, "statistics": choice}
                measure = _measure(plan, case, choice, seed)
                yield Run(EXPERIMENT, condition, seed, plan.steps_or(steps), measure)


def _measure(plan: Plan, case: str, choice: str, seed: int) -> Callable[[], Outcome]:
    def measure() -> Outcome:
        examples, tests, settings = _case(plan, case, seed)
        settings["patch"] = plan.patch(*settings["patch"])
        tests = plan.some(tests)
        base = nu.Model.load(BASE) if case == FINE_TUNED else None
        model, seconds = fit(
            examples,
            plan,
            steps=plan.steps_or(STEPS[case]),
            seed=seed,
            base=base,
            start="base",
            task="instance",
            statistics=choice,
            **settings,
        )
        scores = score_objects(model, tests, plan)
        details: dict[str, Any] = {
            "training images": len(examples),
            "test images": len(tests),
            "patch": settings["patch"],
            "batch": settings["batch_size"],
            "features": model.card.architecture.features,
        }
        if base is not None:
            details["base"] = base.sha256
        return Outcome(scores["AP 0.5"], scores, seconds, details)

    return measure


def _case(
    plan: Plan, case: str, seed: int
) -> tuple[Sequence[nu.Example], Sequence[nu.Example], dict[str, Any]]:
    """Examples, tests and settings."""
    if case == FINE_TUNED:
        labelled, tests = data.histology(plan.data, seed)
        return labelled[:1], tests, {"patch": (128, 128), "batch_size": 4}
    if case == PLANE:
        training, tests = data.fluorescence(plan.data)
        return training, tests, {"patch": (128, 128), "batch_size": 1, "features": SMALL}
    volumes, tests = data.embryos(plan.data, seed)
    return volumes[:1], tests, {**VOLUME_SETTINGS["3D"], "batch_size": 1}
