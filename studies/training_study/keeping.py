"""What a base could do, after it was fine-tuned to other images: forgotten, or kept by replay.

`nuclei` learns histology from two images, dark nuclei made bright. Scored on other histology, and
on fluorescence images that it was never trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import napari_unet as nu
from training_study.bases import divide
from training_study.learning import fit, score_objects
from training_study.records import Outcome, Plan, Run

EXPERIMENT = "keeping"
BASE, LEARNED = "nuclei", "DSB histology, inverted"
STEPS, BATCH, PATCH, IMAGES = 150, 4, (128, 128), 2
EVERY = 4  # of the held-out fluorescence images


@cache
def fluorescence(data: Path) -> list[nu.Example]:
    """Some of the images that `nuclei` was never trained on."""
    from recipes import nuclei

    paths = nuclei.split(data)["DSB fluorescence"]
    return [nuclei.read_example(path) for path in paths[::EVERY]]


def iter_runs(plan: Plan) -> Iterator[Run]:
    """The base as it is, fine-tuned plainly, and with replay."""
    yield Run(
        EXPERIMENT, {"how": "as it is"}, plan.seeds[0], 0, _measured(plan, plan.seeds[0], None)
    )
    for seed in plan.seeds:
        for how, keep in (("fine-tuned", False), ("fine-tuned, base kept", True)):
            measure = _measured(plan, seed, keep)
            yield Run(EXPERIMENT, {"how": how}, seed, plan.steps_or(STEPS), measure)


def _measured(plan: Plan, seed: int, keep: bool | None) -> Callable[[], Outcome]:
    def measure() -> Outcome:
        labelled, tests = divide(plan.data, LEARNED, seed, IMAGES)
        model, seconds = nu.Model.load(BASE), 0.0
        if keep is not None:
            model, seconds = fit(
                labelled,
                plan,
                steps=plan.steps_or(STEPS),
                seed=seed,
                base=model,
                task="instance",
                start="base",
                keep_base=keep,
                patch=plan.patch(*PATCH),
                batch_size=BATCH,
                threads=plan.threads,
            )
        new = score_objects(model, plan.some(tests), plan)
        old = score_objects(model, plan.some(fluorescence(plan.data)), plan)
        scores = {**{f"{k}, learned": v for k, v in new.items()}, **old}
        return Outcome(old["AP 0.5"], scores, seconds)

    return measure
