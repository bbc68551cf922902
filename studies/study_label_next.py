"""Measure "Label here next": labels at the proposed places against as many at random places.

    python studies/study_label_next.py DATA RESULTS.json
    python studies/study_label_next.py DATA RESULTS.json --page      # write the page from them

DATA holds the folders of the data sets. A place is a square in which everything is labelled. Both
ways begin with the same random places; then a model is trained on what is labelled, and its scores
of all images of the pool propose as many places again, and so on. Every run is added to
RESULTS.json as it ends; runs that are there already are not made again.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))

from training_study.learning import SMALL, fit, score_objects
from training_study.records import Outcome, Plan, Records, Run

import napari_unet as nu
from napari_unet.evaluation.label_places import LARGEST_KNOWN_SHARE, rank_label_places
from napari_unet.evaluation.uncertainty import find_uncertainty
from napari_unet.instances import maps as instances

EXPERIMENT = "label next"
WAYS = ("random", "proposed")
COUNTS = (2, 4, 8)
SIDE = 128  # pixels
STEPS = 150
BATCH, PATCH = 4, (128, 128)
PAGE = Path(__file__).parents[1] / "docs" / "results" / "label_next.md"
NOISE = 0.01  # differences of AP below this are called none

Place = tuple[int, int, int]
"""Number of the image, first row, first column."""


@dataclass(frozen=True)
class Data:
    """Images to label, and others to score on.

    Attributes
    ----------
    folder : str
        Of the data set.
    title : str
        What it is.
    base : str or None
        The model to start from; None: a small network without any training.
    pool, tests : int
        Numbers of images.
    """

    folder: str
    title: str
    base: str | None
    pool: int
    tests: int


DATA = (
    Data("usiigaci-phase-t98g", "Cells in phase contrast, from the model `nuclei`", "nuclei", 3, 2),
    Data("bbbc039-u2os-nuclei", "Nuclei in fluorescence, from nothing", None, 6, 4),
)


@cache
def load(root: Path, data: Data) -> tuple[list[nu.Example], list[nu.Example]]:
    """Pool and tests, drawn once; images without objects are left out."""
    folder = root / data.folder
    names = sorted(path.name for path in (folder / "images").glob("*.tif"))
    order = np.random.default_rng(2026).permutation(len(names))
    found: list[nu.Example] = []
    for i in order:
        labels = tifffile.imread(folder / "labels" / names[i]).astype(np.int32)
        if labels.any():
            image = tifffile.imread(folder / "images" / names[i])
            found.append(nu.Example(image, labels, axes="YX"))
        if len(found) == data.pool + data.tests:
            break
    return found[: data.pool], found[data.pool :]


def draw(pool: Sequence[nu.Example], seed: int, count: int) -> list[Place]:
    """Random places that do not overlap; of more, the first ones are the same."""
    rng = np.random.default_rng(seed)
    found: list[Place] = []
    while len(found) < count:
        image = int(rng.integers(len(pool)))
        y, x = (int(rng.integers(n - SIDE + 1)) for n in pool[image].labels.shape)
        share = known(pool[image], image, found)[y : y + SIDE, x : x + SIDE].mean()
        if share <= LARGEST_KNOWN_SHARE:  # as of those that are proposed
            found.append((image, y, x))
    return found


def known(example: nu.Example, image: int, places: Sequence[Place]) -> NDArray[np.bool_]:
    """What is labelled of an image."""
    mask = np.zeros(example.labels.shape, bool)
    for _, y, x in (place for place in places if place[0] == image):
        mask[y : y + SIDE, x : x + SIDE] = True
    return mask


def propose(
    model: nu.Model, pool: Sequence[nu.Example], places: Sequence[Place], count: int, plan: Plan
) -> list[Place]:
    """The places that the scores of a model propose in all images together."""
    found = []
    for image, example in enumerate(pool):
        prediction = nu.predict(example.image, model, axes="YX", device=plan.device)
        maps = instances.check_representation(model.card.instances)
        unsure = find_uncertainty(np.asarray(prediction.scores), nu.decode(prediction), maps)
        mask = known(example, image, places)
        ranked = rank_label_places([(unsure, mask)], side=SIDE, count=count)
        found += [(p.uncertainty, (image, p.rows[0], p.columns[0])) for p in ranked]
    found.sort(reverse=True)
    return [place for _, place in found[:count]]


def learn(root: Path, data: Data, plan: Plan, places: list[Place], seed: int, more: int) -> Outcome:
    """Train on some places, score, and propose more."""
    pool, tests = load(root, data)
    masks = [known(example, image, places) for image, example in enumerate(pool)]
    examples = [
        nu.Example(example.image, np.where(mask, example.labels, 0), region=mask, axes="YX")
        for example, mask in zip(pool, masks, strict=True)
        if mask.any()
    ]
    base = None if data.base is None else nu.Model.load(data.base)
    model, seconds = fit(
        examples,
        plan,
        steps=plan.steps_or(STEPS),
        seed=seed,
        base=base,
        task="instance",
        features=SMALL if base is None else base.card.architecture.features,
        patch=PATCH,
        batch_size=BATCH,
        validation_fraction=0.0,
    )
    scores = score_objects(model, tests, plan)
    objects = sum(
        len(np.unique(pool[i].labels[y : y + SIDE, x : x + SIDE])) - 1 for i, y, x in places
    )
    proposed = propose(model, pool, places, more, plan) if more else []
    details = {"places": places, "objects": objects, "next": proposed}
    return Outcome(scores["AP 0.5"], scores, seconds, details)


def iter_runs(
    root: Path, data: Data, plan: Plan, seed: int, find: Callable[[Run], Any]
) -> Iterator[Run]:
    """The runs of a seed, each when those that it stands on are made."""
    places = {way: draw(load(root, data)[0], seed, COUNTS[0]) for way in WAYS}
    for count, following in zip(COUNTS, (*COUNTS[1:], 0), strict=True):
        more = max(following - count, 0)
        shared = count == COUNTS[0]
        for way in WAYS[:1] if shared else WAYS:
            name = "both" if shared else way
            measure = partial(learn, root, data, plan, list(places[way]), seed, more)
            condition = {"data": data.folder, "way": name, "places": count}
            run = Run(EXPERIMENT, condition, seed, plan.steps_or(STEPS), measure)
            yield run
            if not more:
                continue
            entry = find(run)
            if shared or way == "proposed":
                own = [tuple(place) for place in entry["details"]["next"]]
                places["proposed"] = places[way] + own
            if shared or way == "random":
                places["random"] = draw(load(root, data)[0], seed, following)


def find_entry(records: Records, run: Run) -> dict[str, Any]:
    """What was kept of a run."""
    wanted = (run.experiment, dict(run.condition), run.seed, run.steps)
    keys = ("experiment", "condition", "seed", "steps")
    return next(e for e in records.entries if tuple(e[key] for key in keys) == wanted)


def write_page(entries: Sequence[dict[str, Any]]) -> None:
    """Write what was measured."""
    lines = [
        "# Label here next",
        "",
        "Written by `studies/study_label_next.py` from the runs of one processor thread.",
        "",
        "Does it help to label where the scores of a model are unsure, rather than",
        "anywhere? A place",
        f"is a square of {SIDE} x {SIDE} pixels in which everything is labelled. Both",
        "ways begin with",
        f"the same {COUNTS[0]} random places. A model is trained on what is labelled",
        f"for {STEPS} steps",
        f"(patches of {PATCH[0]} x {PATCH[1]}, batches of {BATCH}, nothing held out,",
        "the last weights",
        "and the usual decoding); for the proposed places its scores of the whole pool",
        "are compared",
        "with the maps of its own labels, and the windows that disagree most are taken,",
        "no two beside",
        "each other. AP at IoU 0.5 on images that were never labelled, the mean over the images.",
        "",
    ]
    lost = []
    for data in DATA:
        runs = [e for e in entries if e["condition"]["data"] == data.folder and not e["quick"]]
        seeds = sorted({e["seed"] for e in runs})
        lines += [
            f"## {data.title}",
            "",
            f"`{data.folder}`: {data.pool} images to label, {data.tests} others to score on.",
            f"Seeds {', '.join(map(str, seeds))}.",
            "",
            "| places | random: AP by seed | mean | proposed: AP by seed | mean | objects |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for count in COUNTS:
            cells, means, objects = [], [], []
            for way in WAYS:
                found = sorted(
                    (
                        e
                        for e in runs
                        if e["condition"]["places"] == count
                        and e["condition"]["way"] in (way, "both")
                    ),
                    key=lambda e: e["seed"],
                )
                if not found:
                    continue
                scores = [e["score"] for e in found]
                means.append(float(np.mean(scores)))
                objects.append(f"{np.mean([e['details']['objects'] for e in found]):.0f}")
                cells += [", ".join(f"{s:.3f}" for s in scores), f"{means[-1]:.3f}"]
            if cells:
                lines.append(f"| {count} | {' | '.join(cells)} | {' / '.join(objects)} |")
                if count > COUNTS[0]:
                    lost.append(means[1] - means[0])
        lines += [
            "",
            "The last column: labelled objects, random / proposed, mean over the seeds.",
            "",
        ]
    better = all(gain > NOISE for gain in lost)
    lines += [
        "## What follows",
        "",
        "The proposed places beat random ones at every number of labels."
        if better
        else "The proposed places do not beat random ones, so that the dock does not propose any.",
        f"Means, proposed - random: {', '.join(f'{gain:+.3f}' for gain in lost)}.",
        "",
        f"Where AP falls with more places, trainings of {STEPS} steps say little about",
        "the worth of",
        "labels; longer ones, with a held-out part, were not measured.",
        "",
    ]
    PAGE.write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    """Make the runs that are missing, or the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument("results", type=Path, help="JSON file, made or added to")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    parser.add_argument("--page", action="store_true", help="write the page and stop")
    arguments = parser.parse_args()
    logging.getLogger("napari_unet").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    records = Records(arguments.results, quick=arguments.quick)
    plan = Plan(data=arguments.data, quick=arguments.quick, device="cpu")
    if arguments.page:
        write_page(records.entries)
        return
    for seed in arguments.seeds:
        for data in DATA:
            for run in iter_runs(arguments.data, data, plan, seed, partial(find_entry, records)):
                if not records.has(run):
                    entry = records.make(run, plan)
                    told = entry.get("error") or f"{entry['score']:.4f}"
                    print(f"{run.name}: {told} ({entry['seconds']:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
