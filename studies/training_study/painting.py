"""Training from scribbles on a few per cent of the pixels, against training from dense labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

import napari_unet as nu
from napari_unet.card import ClassInfo
from training_study import data
from training_study.learning import SMALL, fit, score_classes, score_objects
from training_study.records import Condition, Outcome, Plan, Run
from training_study.scribbles import paint

EXPERIMENT = "scribbles"
STEPS = 150
BATCH, PATCH = 4, (128, 128)
SHARES = (0.01, 0.02, 0.05)
DENSE = 1.0
SECTION_CLASSES = tuple(
    ClassInfo(value=i + 1, name=name, colour=colour)
    for i, (name, colour) in enumerate(
        (
            ("intracellular", "#56b4e9"),
            ("membrane", "#000000"),
            ("glia or extracellular", "#009e73"),
            ("mitochondria", "#d55e00"),
            ("synapse", "#f0e442"),
        )
    )
)


def iter_runs(plan: Plan) -> Iterator[Run]:
    """Dense labels and each share, for both kinds of images."""
    steps = plan.steps_or(STEPS)
    for seed in plan.seeds:
        for share in (DENSE, *plan.some(SHARES)):
            for name in ("fluorescence", "sections"):
                condition: Condition = {"data": name, "share": share}
                yield Run(EXPERIMENT, condition, seed, steps, _measure(plan, name, share, seed))


def _measure(plan: Plan, name: str, share: float, seed: int) -> Callable[[], Outcome]:
    instances = name == "fluorescence"

    def measure() -> Outcome:
        load = data.fluorescence if instances else data.sections
        training, tests = load(plan.data)
        training, tests = plan.some(training, 4), plan.some(tests, 2)
        examples, painted = scribbled(training, share, seed, instances=instances)
        settings = (
            {"task": "instance"} if instances else {"task": "semantic", "classes": SECTION_CLASSES}
        )
        model, seconds = fit(
            examples,
            plan,
            steps=plan.steps_or(STEPS),
            seed=seed,
            features=SMALL,
            patch=plan.patch(*PATCH),
            batch_size=BATCH,
            **settings,
        )
        scores = (score_objects if instances else score_classes)(model, tests, plan)
        details = {
            "training images": len(training),
            "test images": len(tests),
            "painted": painted,
            "patch": plan.patch(*PATCH),
            "batch": BATCH,
            "features": SMALL,
        }
        return Outcome(scores["AP 0.5" if instances else "Dice"], scores, seconds, details)

    return measure


def scribbled(
    examples: list[nu.Example], share: float, seed: int, *, instances: bool
) -> tuple[list[nu.Example], float]:
    """Examples of which scribbles alone are known, and the share of pixels that is painted.

    Classes are known by values from 1 on: `data.sections` raises them so. The first class
    serves as the background that painted labels must have.
    """
    if share == DENSE:
        return examples, 1.0
    painted, shares = [], []
    for index, example in enumerate(examples):
        truth = example.labels if instances else example.labels - 1
        found = paint(truth, share, [seed, index], instances=instances)
        background = found.background if instances else 1
        painted.append(
            nu.Example(
                example.image,
                found.labels,
                region="painted",
                background=background,
                axes=example.axes,
            )
        )
        shares.append(found.share)
    sizes = [example.labels.size for example in examples]
    return painted, float(np.average(shares, weights=sizes))
