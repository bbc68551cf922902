"""Score bundled models on images that they never saw, by kind; writes a page.

    python studies/measure_models.py DATA docs/results/models.md
    python studies/measure_models.py DATA docs/results/models.md --models nuclei-histology

Sections of models that are not named stay as they are. Intervals are 95 % of 2,000 bootstrap
samples of the images.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import napari_unet as nu
from napari_unet.metrics import InstanceScores
from napari_unet.network.files import bundled_names, find_model
from napari_unet.network.model import Model
from napari_unet.training.scoring import make_pieces, predict_piece, score_predictions

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import train_nuclei
from recipes import denoise, histology, nuclei3d, phase
from recipes.defects import spoil
from recipes.nuclei import read_example

RECIPES = {recipe.RECIPE.name: recipe.RECIPE for recipe in (histology, nuclei3d, phase, denoise)}
BUNDLED = [name for name in ("nuclei", *RECIPES) if name in bundled_names()]

IOUS = (0.5, 0.7, 0.9)
SAMPLES = 2000
HEAD = "| images | number | AP at IoU 0.5 | 0.7 | 0.9 | F1 at IoU 0.5 | area |\n"
HEAD += "| --- | --- | --- | --- | --- | --- | --- |"
DENOISING_HEAD = "| images | number | noisy, dB | by the model | gain | by non-local means |\n"
DENOISING_HEAD += "| --- | --- | --- | --- | --- | --- |"
INTRODUCTION = """# How good the bundled models are

Written by `studies/measure_models.py`. None of the images was trained on. Mean over images, with
95 % intervals (bootstrap over images); the area is that of an object that was found over the true
one, the median of the images' medians with the least and the largest of them.

"""
DENOISING = """The peak signal-to-noise ratio after the best straight line; the peak is the range of
the clean image.

"""
DEFECT_WORDS = {
    None: "as they are",
    "border": "a constant border of 4 to 48 pixels",
    "turned": "turned by 5 to 40 degrees, corners empty",
    "hot": "40 hot pixels",
    "lump": "a saturated lump, 40 pixels wide",
    "light": "light that falls to 30 % across the image",
    "noise": "noise alone, no nucleus (1 is: nothing found)",
}


def score_each(model: Model, examples: Sequence[nu.Example]) -> list[InstanceScores]:
    """Scores of each image by itself."""
    found = []
    for example in examples:
        pieces = make_pieces([example], model.card)
        predictions = [predict_piece(model, piece) for piece in pieces]
        scores = score_predictions(predictions, pieces, **model.card.decoding.model_dump())
        assert isinstance(scores, InstanceScores)
        found.append(scores)
    return found


def mean_interval(values: list[float], digits: int = 3) -> str:
    """Mean with its interval, over images."""
    rng = np.random.default_rng(0)
    array = np.array(values)
    means = array[rng.integers(0, len(array), (SAMPLES, len(array)))].mean(1)
    low, high = np.percentile(means, (2.5, 97.5))
    mean, low, high = (f"{value:.{digits}f}" for value in (array.mean(), low, high))
    return f"{mean} ({low} to {high})"


def make_row(name: str, found: list[InstanceScores]) -> str:
    """A line of the table."""
    areas = [each.area_ratio for each in found if each.area_ratio is not None]
    cells = [name, str(len(found))]
    cells += [mean_interval([each.ap[iou] for each in found]) for iou in IOUS]
    cells.append(mean_interval([each.f1[0.5] for each in found]))
    cells.append(f"{np.median(areas):.2f} ({min(areas):.2f} to {max(areas):.2f})" if areas else "–")
    return "| " + " | ".join(cells) + " |"


def make_table(model: Model, parts: Mapping[str, Sequence[nu.Example]]) -> str:
    """A line for each part, printed as it is found."""
    lines = [HEAD]
    for name, examples in parts.items():
        lines.append(make_row(name, score_each(model, examples)))
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def make_denoising_table(model: Model, parts: Mapping[str, Sequence[nu.Example]]) -> str:
    """A line for each part, in decibels."""
    lines = [DENOISING_HEAD]
    for name, examples in parts.items():
        found = [denoise.score_image(model, example) for example in examples]
        columns = (
            [f.noisy for f in found],
            [f.model for f in found],
            [f.model - f.noisy for f in found],
            [f.non_local_means for f in found],
        )
        cells = [name, str(len(found)), *(mean_interval(c, digits=1) for c in columns)]
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    return DENOISING + "\n".join(lines) + "\n"


def read_fluorescence(data: Path) -> dict[str, list[nu.Example]]:
    """What `nuclei` was never trained on."""
    held_out = train_nuclei.VALIDATION_LIST.read_text().split()
    bowl = data / "dsb2018-nuclei" / "images"
    tests = (data / "dsb2018-stage1test-nuclei" / "images").glob("fluor_*")
    cells = (data / "bbbc039-u2os-nuclei" / "images").iterdir()
    paths = {
        "Data Science Bowl, fluorescence, held out": [bowl / name for name in held_out],
        "Data Science Bowl, stage 1 test, fluorescence (tissue, large nuclei)": sorted(tests),
        "BBBC039, U2OS cells": sorted(cells),
    }
    return {part: [read_example(path) for path in found] for part, found in paths.items()}


def spoil_each(originals: Sequence[nu.Example]) -> dict[str, list[nu.Example]]:
    """The images, and copies with each kind of defect."""
    parts = {}
    for kind, words in DEFECT_WORDS.items():
        rng = np.random.default_rng(5)
        parts[words] = [spoil(e, rng, kind) if kind else e for e in originals]
    return parts


def write_section(name: str, data: Path) -> str:
    """What the page tells of a model."""
    model = Model.load(find_model(name))
    text = f"## How good `{name}` is\n\n"
    if name in RECIPES:
        parts = RECIPES[name].hold_out(data)
        make = make_denoising_table if model.card.task == "regression" else make_table
        return text + make(model, parts)
    parts = read_fluorescence(data)
    text += make_table(model, parts)
    originals = next(iter(parts.values()))[::3]
    return (
        f"{text}\n### Images with defects\n\nEvery third of the held-out fluorescence images, and "
        "spoiled copies of them (`scripts/recipes/defects.py`). The intensity limits leave "
        "such pixels out; the weights were trained without such images.\n\n"
        + make_table(model, spoil_each(originals))
    )


def main() -> None:
    """Score, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("page", type=Path)
    parser.add_argument("--models", nargs="+", default=BUNDLED)
    arguments = parser.parse_args()
    page: Path = arguments.page
    text = page.read_text() if page.exists() else ""
    sections = {re.findall("`(.+?)`", part)[0]: part for part in re.split("(?m)^(?=## )", text)[1:]}
    for name in arguments.models:
        sections[name] = write_section(name, arguments.data)
    page.write_text(INTRODUCTION + "\n".join(part.strip() + "\n" for part in sections.values()))


if __name__ == "__main__":
    main()
