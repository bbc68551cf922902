"""Measure what weights of rare classes and calibrated classes bring.

    python studies/study_classes.py DATA RESULTS.json sections membranes spots
    python studies/study_classes.py DATA RESULTS.json sections --steps 600 --seeds 0 --weights root
    python studies/study_classes.py DATA RESULTS.json --write      # the table of the page

Every run is added to RESULTS.json as it ends; those that are there are not made again. Each is
scored twice: as it was learned, and with the offsets of the classes that are calibrated on the
held-out part, which is one of the training sections (slices, images). No test image is trained on
or calibrated on. The weights and the calibration were chosen on sections 7 and 8 with seed 0, which
are neither.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parent))

from training_study.figures import Entry, budgets, markdown, of_steps, pick, scores, spread
from training_study.learning import fit
from training_study.records import Outcome, Plan, Records, Run

import napari_unet as nu
from napari_unet.network.devices import resolve_device
from napari_unet.network.model import Model
from napari_unet.training import class_balance, finalize

PAGE = Path(__file__).parents[1] / "docs" / "results" / "training.md"
STEPS = {"sections": 300, "membranes": 150, "spots": 150}
POWERS = {"none": 0.0, "root": 0.5}

COUNTED = {"sections": (1, 2, 3, 4), "membranes": (1,), "spots": (1, 2)}  # shown one by one

Sets = tuple[list[nu.Example], list[nu.Example]]


def sections(folder: Path) -> Sets:
    """Sections 1 to 6 as one stack, and 9 and 10."""
    return _split_stack(folder / "vnc-sstem-multiclass", "stack1_slices_00-09.tif", 6, 8)


def membranes(folder: Path) -> Sets:
    """Slices 1 to 12 as one stack, and 17 to 20."""
    return _split_stack(folder / "isbi2012-em-membranes", "slices_00-19.tif", 12, 16)


def _split_stack(folder: Path, name: str, end: int, begin: int) -> Sets:
    image = tifffile.imread(folder / "images" / name)
    labels = tifffile.imread(folder / "labels" / name)
    tests = [nu.Example(image[begin:], labels[begin:], axes="ZYX")]
    return [nu.Example(image[:end], labels[:end], axes="ZYX")], tests


def spots(_: Path) -> Sets:
    """Made-up images: clouds (class 1), rings (class 2, 0.1 %), and discs, which are background."""
    made = [_draw_spots(seed) for seed in range(7)]
    return made[:4], made[4:]


def _draw_spots(seed: int, side: int = 512, count: int = 12) -> nu.Example:
    rng = np.random.default_rng([2026, seed])
    clouds = ndimage.gaussian_filter(rng.standard_normal((side, side)), 24)
    labels = (clouds > np.quantile(clouds, 0.8)).astype(np.uint8)
    image = 0.3 + 0.2 * labels
    y, x = np.indices((side, side))
    for number, (row, column) in enumerate(rng.integers(8, side - 8, (2 * count, 2))):
        distance = np.hypot(y - row, x - column)
        disc = distance <= 3
        image[disc] = 0.8
        if number < count:
            image[distance <= 1.5] = 0.3
            labels[disc] = 2
    image = ndimage.gaussian_filter(image, 0.7) + rng.normal(0, 0.08, image.shape)
    return nu.Example(image.astype(np.float32), labels, axes="YX")


LOAD: dict[str, Callable[[Path], Sets]] = {
    "sections": sections,
    "membranes": membranes,
    "spots": spots,
}


def iter_runs(plan: Plan, name: str, weights: Sequence[str], ndim: int) -> Iterator[Run]:
    """Each kind of weights; the spatial axes of the network are told where they are three."""
    steps = plan.steps_or(STEPS[name])
    for seed in plan.seeds:
        for kind in weights:
            condition = {"data": name, "weights": kind} | ({"ndim": 3} if ndim == 3 else {})
            yield Run("classes", condition, seed, steps, _measure(plan, condition, seed, steps))


def _measure(plan: Plan, condition: dict[str, Any], seed: int, steps: int) -> Callable[[], Outcome]:
    name, ndim = condition["data"], condition.get("ndim", 2)

    def measure() -> Outcome:
        training, tests = LOAD[name](plan.data)
        plain: list[Model] = []
        shift = finalize.shift_classes

        def note_and_shift(model: Model, offsets: Any) -> Model:
            plain.append(model)
            return shift(model, offsets)

        power = class_balance.RARITY_POWER
        class_balance.RARITY_POWER = POWERS[condition["weights"]]
        finalize.shift_classes = note_and_shift
        try:
            settings = {"task": "semantic", "ndim": ndim}
            model, seconds = fit(training, plan, steps=steps, seed=seed, **settings)
        finally:
            class_balance.RARITY_POWER, finalize.shift_classes = power, shift
        found = {"plain": _score(plain[0], tests, plan), "calibrated": _score(model, tests, plan)}
        told = {f"{how}, {value}": dice for how, by in found.items() for value, dice in by.items()}
        for how, by in found.items():
            counted = [dice for value, dice in by.items() if value or name == "membranes"]
            told[how] = float(np.mean(counted))
        record = model.card.training
        assert record is not None
        details = {
            key: record.config[key] for key in ("patch", "batch_size", "features", "precision")
        }
        return Outcome(told["calibrated"], told, seconds, details)

    return measure


def _score(model: Model, tests: Sequence[nu.Example], plan: Plan) -> dict[int, float]:
    found = [nu.segment(test.image, model, axes=test.axes, device=plan.device) for test in tests]
    dice = nu.evaluate(found, [test.labels for test in tests], task="semantic").dice
    return {value: float(each) for value, each in dice.items()}


def weight_table(entries: Sequence[Entry]) -> str:
    """Dice by steps, weights and calibration."""
    rows = []
    for name in ("sections", "membranes", "spots"):
        made = pick(entries, "classes", data=name)
        for steps, ndim, kind in itertools.product(budgets(made), (2, 3), POWERS):
            runs = pick(of_steps(made, steps), "classes", weights=kind)
            runs = [run for run in runs if run["condition"].get("ndim", 2) == ndim]
            for how in ("plain", "calibrated") if runs else ():
                cells = [spread(scores(runs, how))]
                each = ", ".join(
                    f"{np.mean(scores(runs, f'{how}, {v}')):.2f}" for v in COUNTED[name]
                )
                rows.append([name, f"{ndim}D", str(steps), kind, how, *cells, each])
    return markdown(
        ["", "network", "steps", "weights", "classes", "mean Dice", "of the classes"], rows
    )


def write_table(entries: Sequence[Entry]) -> None:
    """Replace what stands between the markers of the page."""
    text = PAGE.read_text()
    before, rest = text.split("<!-- table: class weights -->")
    after = rest.split("<!-- end: class weights -->")[1]
    start, end = "<!-- table: class weights -->\n", "<!-- end: class weights -->"
    text = before + start + weight_table(entries) + end + after
    PAGE.write_text(text)


def main() -> None:
    """Make the runs that are missing, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument("results", type=Path, help="JSON file, made or added to")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(LOAD)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int)
    parser.add_argument("--weights", nargs="+", choices=POWERS, default=list(POWERS))
    parser.add_argument("--ndim", type=int, choices=(2, 3), default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write the table and stop")
    asked = parser.parse_args()
    logging.getLogger("napari_unet").setLevel(logging.ERROR)
    torch.set_num_threads(asked.threads)
    torch.set_flush_denormal(True)
    records = Records(asked.results)
    if asked.write:
        write_table(records.entries)
        return
    device = str(resolve_device("cpu"))
    plan = Plan(asked.data, tuple(asked.seeds), asked.steps, device=device, threads=asked.threads)
    for name in asked.names:
        for run in iter_runs(plan, name, asked.weights, asked.ndim):
            if not records.has(run):
                entry = records.make(run, plan)
                told = entry.get("error") or entry["scores"]
                print(f"{run.name}: {told} ({entry['seconds']:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
