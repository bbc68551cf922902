"""How well objects that are found fit the true ones, at equal steps; writes the page's tables.

    python studies/study_outlines.py DATA docs/results/outlines.json usiigaci fluorescence embryos
    python studies/study_outlines.py DATA docs/results/outlines.json --page docs/results/outlines.md

Every run is added to the JSON file as it ends; runs that are there already are not made again. Rows
are named by the package that made them (--package): to compare with an older one, run this
script with PYTHONPATH on its source.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from training_study import data
from training_study.learning import SMALL, fit
from training_study.planes import SETTINGS as VOLUME_SETTINGS
from training_study.records import Condition, Outcome, Plan, Records, Run

import napari_unet as nu
from napari_unet.card import Decoding

EXPERIMENT = "outlines"
STEPS = {"usiigaci": 300, "fluorescence": 250, "embryos": 60}
FOLDS = {"usiigaci": (1, 2, 3, 4), "fluorescence": (0, 1), "embryos": (1, 2)}
CHOSEN_ON = {"usiigaci": 1, "fluorescence": 15}  # images that changes were chosen on: not scored
DECODINGS = ("calibrated", "default")
COLUMNS = ("AP 0.5", "AP 0.5 to 0.9", "IoU", "area")
BEGIN, END = "<!-- tables -->", "<!-- end of tables -->"
PLACES = {
    "usiigaci": "usiigaci, phase contrast, leave one out",
    "fluorescence": "DSB fluorescence, 40 images to learn from",
    "embryos": "BBBC050, split by embryo, 3D",
}


def iter_runs(
    plan: Plan, names: Sequence[str], package: str, folds: Sequence[int] | None = None
) -> Iterator[Run]:
    """Each fold of each data set; the folds of fluorescence differ by the seed alone."""
    for name in names:
        for fold in plan.some(folds or FOLDS[name]):
            condition: Condition = {"data": name, "fold": fold, "package": package}
            yield Run(
                EXPERIMENT, condition, fold, plan.steps_or(STEPS[name]), _measure(plan, name, fold)
            )


def _measure(plan: Plan, name: str, fold: int) -> Callable[[], Outcome]:
    def measure() -> Outcome:
        examples, tests, settings = _load(plan, name, fold)
        model, seconds = fit(
            examples,
            plan,
            steps=plan.steps_or(STEPS[name]),
            seed=fold,
            task="instance",
            threads=plan.threads,
            **{**settings, "patch": plan.patch(*settings["patch"])},
        )
        scores = {}
        for kind in DECODINGS:
            decoding = model.card.decoding if kind == "calibrated" else Decoding()
            found = score_outlines(model, tests, plan, decoding)
            scores |= {f"{kind} {key}": value for key, value in found.items()}
        details = {
            "decoding": model.card.decoding.model_dump(),
            "training images": len(examples),
            "test images": len(tests),
        }
        return Outcome(scores["calibrated IoU"], scores, seconds, details)

    return measure


def _load(
    plan: Plan, name: str, fold: int
) -> tuple[Sequence[nu.Example], Sequence[nu.Example], dict[str, Any]]:
    """Examples, tests and settings."""
    if name == "usiigaci":
        fields = data.phase_contrast(plan.data)
        test = sorted(fields)[fold]
        settings: dict[str, Any] = {"features": SMALL, "patch": (192, 192), "batch_size": 4}
        return [fields[each] for each in fields if each != test], [fields[test]], settings
    if name == "fluorescence":
        training, tests = data.fluorescence(plan.data)
        settings = {"features": SMALL, "patch": (128, 128), "batch_size": 4}
        return training, tests[CHOSEN_ON[name] :], settings
    volumes, tests = data.embryos(plan.data, fold)
    return volumes, tests[:1], VOLUME_SETTINGS["3D"]


def score_outlines(
    model: nu.Model, tests: Sequence[nu.Example], plan: Plan, decoding: Decoding
) -> dict[str, float]:
    """AP, and of the objects that are found at IoU 0.5 the mean IoU and the median area ratio."""
    run = {"device": plan.device, "threads": plan.threads, **decoding.model_dump()}
    found = [nu.segment(test.image, model, axes=test.axes, **run) for test in tests]
    scores = nu.evaluate(found, [test.labels for test in tests], task="instance")
    return {
        "AP 0.5": scores.ap_mean[0.5],
        "AP 0.5 to 0.9": float(np.mean([ap for t, ap in scores.ap_mean.items() if t < 0.91])),
        "IoU": scores.segmentation_quality,
        "area": scores.area_ratio or float("nan"),
        "objects": scores.tp[0.5],
    }


def write_page(records: Records, page: Path) -> None:
    """Put the tables between the marks of a page."""
    lines: list[str] = []
    for name, title in PLACES.items():
        of_name = [
            e for e in records.entries if e["condition"]["data"] == name and "error" not in e
        ]
        if not of_name:
            continue
        lines += ["", f"### {title}: {of_name[0]['steps']} steps"]
        packages = list(dict.fromkeys(e["condition"]["package"] for e in of_name))
        compared: set[int] = set()
        for i in range(max(1, len(packages) - 1)):
            # the same folds for all in a table; a later package may have more of them
            folds = _common_folds(of_name, packages[i:])
            if folds > compared:
                compared = folds
                lines += ["", *_make_table(of_name, packages[i:], folds)]
    text = page.read_text()
    before, rest = text.split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n\n{END}{rest.split(END)[1]}")


def _common_folds(entries: Sequence[dict[str, Any]], packages: Sequence[str]) -> set[int]:
    """Folds that were run with each of the packages."""
    folds = [{e["seed"] for e in entries if e["condition"]["package"] == p} for p in packages]
    return set.intersection(*folds)


def _make_table(
    entries: Sequence[dict[str, Any]], packages: Sequence[str], folds: set[int]
) -> list[str]:
    lines = ["| package | decoding | runs | " + " | ".join(COLUMNS) + " |"]
    lines += ["| --- " * (3 + len(COLUMNS)) + "|"]
    for package in packages:
        rows = [e for e in entries if e["condition"]["package"] == package and e["seed"] in folds]
        lines += [_line(package, kind, rows) for kind in DECODINGS]
    return lines


def _line(package: str, kind: str, rows: Sequence[dict[str, Any]]) -> str:
    cells = []
    for column in COLUMNS:
        values = [row["scores"][f"{kind} {column}"] for row in rows]
        told = f"{np.mean(values):.3f}"
        if len(values) > 1:
            told += f" ({min(values):.3f} to {max(values):.3f})"
        cells.append(told)
    return f"| {package} | {kind} | {len(rows)} | " + " | ".join(cells) + " |"


def main() -> None:
    """Make the runs that are missing, and the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument("results", type=Path, help="JSON file, made or added to")
    parser.add_argument("names", nargs="*", choices=[*STEPS, []])
    parser.add_argument("--package", default="now", help="what the package is called in the tables")
    parser.add_argument("--folds", type=int, nargs="+", help="instead of all")
    parser.add_argument("--page", type=Path, help="write the tables into this page")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    arguments = parser.parse_args()
    logging.getLogger("napari_unet").setLevel(logging.ERROR)
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    plan = Plan(data=arguments.data, quick=arguments.quick, threads=arguments.threads, device="cpu")
    records = Records(arguments.results, quick=plan.quick)
    for run in iter_runs(plan, arguments.names, arguments.package, arguments.folds):
        if not records.has(run):
            entry = records.make(run, plan)
            told = entry.get("error") or f"{entry['score']:.4f}"
            print(f"{run.name}: {told} ({entry['seconds']:.0f} s)", flush=True)
    if arguments.page:
        write_page(records, arguments.page)


if __name__ == "__main__":
    main()
