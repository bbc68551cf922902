"""A base or a new network, with the objects at the base's diameter or at their own.

Every set of images, with each bundled model that finds nuclei as the base, and from scratch. Two
splits: on the first the rule was chosen, on the others it is reported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from scipy import ndimage

import napari_unet as nu
from napari_unet.training.setup import prepare_training
from napari_unet.training.start import ask_base, choose_pieces
from training_study.learning import compare_objects, fit, median_diameter, score_objects
from training_study.records import Condition, Outcome, Plan, Run

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from recipes import histology, nuclei

EXPERIMENT = "bases"
BASES = ("nuclei", "nuclei-histology")
STEPS, BATCH, PATCH = 100, 4, (128, 128)
IMAGES = 2
TESTS, TEST_SIDE = 4, 512  # images, of which so many pixels a side
ZOOMED = ("phase contrast", "quantitative phase")
FOLDERS = {
    "phase contrast": "usiigaci-phase-t98g",
    "quantitative phase": "qpi-pc3-pnt1a-cells",
}

Split = tuple[list[nu.Example], list[nu.Example]]


def load_grey(data: Path, name: str) -> list[nu.Example]:
    """All images of a set in grey."""
    if name in FOLDERS:
        paths = sorted((data / FOLDERS[name] / "images").iterdir())
    else:
        paths = nuclei.split(data)[name]
    return [nuclei.read_example(path) for path in paths]


def load_sections(data: Path, name: str) -> list[nu.Example]:
    """Held-out sections in colour, or as bright nuclei in grey."""
    found = [
        histology.make_example(histology.read_rgb(path), path)
        for path in histology.split(data)[name.removesuffix(", inverted")]
    ]
    if not name.endswith("inverted"):
        return found
    return [
        nu.Example(255 - np.asarray(e.image).mean(-1, dtype=np.float32), e.labels, axes="YX")
        for e in found
    ]


LOADERS: dict[str, Callable[[Path, str], list[nu.Example]]] = {
    "phase contrast": load_grey,
    "quantitative phase": load_grey,
    "DSB histology": load_sections,
    "DSB histology, inverted": load_sections,
    "TNBC": load_sections,
    "BBBC039": load_grey,
    "DSB stage 1 test fluorescence": load_grey,
}
SETS = tuple(LOADERS)
FAR = ("phase contrast", "quantitative phase", "DSB histology", "TNBC")


@cache
def divide(data: Path, name: str, seed: int, images: int) -> Split:
    """So many images to learn from and some tests; other ones for each seed."""
    every = LOADERS[name](data, name)
    order = np.random.default_rng([len(every), seed]).permutation(len(every))
    chosen = [every[i] for i in order]
    return chosen[:images], [_crop(each) for each in chosen[2:][:TESTS]]


def iter_runs(plan: Plan) -> Iterator[Run]:
    """All sets on the first seed, those that are far from a base on the others; then zoomed."""
    for seed in plan.seeds:
        for name in plan.some(FAR if seed else SETS):
            for start in BASES:
                condition: Condition = {"data": name, "start": f"{start}, asked", "images": IMAGES}
                yield Run(EXPERIMENT, condition, seed, 0, _asked(plan, name, seed, start))
            yield from _runs(plan, name, seed, zoomed=False)
    for name in plan.some(ZOOMED):
        yield from _runs(plan, name, plan.seeds[0], zoomed=True)


def _runs(plan: Plan, name: str, seed: int, *, zoomed: bool) -> Iterator[Run]:
    for start in (*BASES, "scratch"):
        told = f"{start}, zoomed" if zoomed else start
        condition: Condition = {"data": name, "start": told, "images": IMAGES}
        measure = _trained(plan, name, seed, start, zoomed=zoomed)
        yield Run(EXPERIMENT, condition, seed, plan.steps_or(STEPS), measure)


def _crop(example: nu.Example) -> nu.Example:
    """The middle of an image."""
    shape = np.asarray(example.labels).shape
    part = tuple(slice(max(0, (n - TEST_SIDE) // 2), (n + TEST_SIDE) // 2) for n in shape)
    return nu.Example(
        np.asarray(example.image)[part], np.asarray(example.labels)[part], axes=example.axes
    )


def _asked(plan: Plan, name: str, seed: int, start: str) -> Callable[[], Outcome]:
    """What the rule sees of a base: its answers to the labelled images."""

    def measure() -> Outcome:
        labelled, _ = divide(plan.data, name, seed, IMAGES)
        base = nu.Model.load(start)
        config = nu.TrainConfig(start="base", device=plan.device, steps=1, patch=PATCH)
        setup = prepare_training(labelled, base=base, config=config, validation=None)
        card = setup.make_card(0, 0.0).model_copy(
            update={"object_diameter": base.card.object_diameter}
        )
        model, pieces = nu.Model(card, setup.network), choose_pieces(setup.data)
        run = {"device": plan.device, "threads": plan.threads}
        scores = {
            told: ask_base(model, pieces, **given, **run)
            for told, given in (
                ("AP 0.5", {}),
                ("AP 0.5, diameter", {"object_diameter": setup.data.object_diameter}),
            )
        }
        return Outcome(scores["AP 0.5"], scores)

    return measure


def zoom(example: nu.Example, factor: float) -> nu.Example:
    """An example at another size."""
    image = np.asarray(example.image, np.float32)
    factors = [factor if axis != "C" else 1 for axis in example.axes or "YX"]
    if factor < 1:
        image = ndimage.gaussian_filter(image, [0.4 / f if f != 1 else 0 for f in factors])
    labels = ndimage.zoom(np.asarray(example.labels), factor, order=0)
    return nu.Example(ndimage.zoom(image, factors, order=1), labels, axes=example.axes)


def _trained(
    plan: Plan, name: str, seed: int, start: str, *, zoomed: bool
) -> Callable[[], Outcome]:
    def measure() -> Outcome:
        labelled, tests = divide(plan.data, name, seed, IMAGES)
        tests = plan.some(tests)
        base = None if start == "scratch" else nu.Model.load(start)
        diameter = float(np.median([median_diameter(each.labels) for each in labelled]))
        factor = 1.0
        if zoomed:  # from scratch to the diameter of the first base
            reference = base or nu.Model.load(BASES[0])
            factor = float(reference.card.object_diameter or diameter) / diameter
        given = labelled if factor == 1 else [zoom(each, factor) for each in labelled]
        model, seconds = fit(
            given,
            plan,
            steps=plan.steps_or(STEPS),
            seed=seed,
            base=base,
            task="instance",
            start="base",
            patch=plan.patch(*PATCH),
            batch_size=BATCH,
            threads=plan.threads,
        )
        scores = _score(model, tests, plan, factor)
        details = {
            "factor": factor,
            "diameter": diameter,
            "test images": len(tests),
            "patch": model.card.training and model.card.training.config["patch"],
            "batch": BATCH,
            "features": model.card.architecture.features,
        }
        return Outcome(scores["AP 0.5"], scores, seconds, details)

    return measure


def _score(
    model: nu.Model, tests: Sequence[nu.Example], plan: Plan, factor: float
) -> dict[str, float]:
    """Scores at the size of the image, whatever size the network sees."""
    if factor == 1:
        return score_objects(model, tests, plan)
    found = []
    for test in tests:
        labels = nu.segment(zoom(test, factor).image, model, axes=test.axes, device=plan.device)
        shape = np.asarray(test.labels).shape
        factors = [new / old for new, old in zip(shape, labels.shape, strict=True)]
        found.append(ndimage.zoom(labels, factors, order=0))
    return compare_objects(found, tests)
