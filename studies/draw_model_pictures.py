"""Draw what a bundled model makes of its held-out images: the best, a middling one, the worst.

    python studies/draw_model_pictures.py DATA docs/images --models nuclei nuclei-histology

For each part of the held-out images a row: outlines that were found, by AP at IoU 0.5, which
stands in the corner. Of one or two fields the quarters are drawn, of stacks the plane with the most
objects. Denoised images stand between the noisy and the clean one, with their decibels: the
middling one and the worst.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure_models import BUNDLED, RECIPES, read_fluorescence
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from recipes import denoise

import napari_unet as nu
from napari_unet.image.overlay import draw_overlay
from napari_unet.network.model import Model

SIDE = 256  # pixels of a picture
GAP = 4
MOST = 12  # images of a part that are looked at


def draw_example(example: nu.Example, model: Model) -> tuple[float, NDArray[np.uint8]]:
    """AP at IoU 0.5, and the outlines that were found."""
    labels = nu.segment(example.image, model, axes=example.axes)
    truth = np.asarray(example.labels)
    ap = nu.evaluate(labels, truth, task="instance").ap[0.5]
    image: NDArray[Any] = np.asarray(example.image)
    if labels.ndim == 3:
        plane = int(np.argmax([len(np.unique(each)) for each in truth]))
        image, labels = image[plane], labels[plane]
    colours = image.ndim == 3
    image, labels = image[:SIDE, :SIDE], labels[:SIDE, :SIDE]
    shown = np.moveaxis(image, -1, 0) if colours else image
    picture = Image.fromarray(draw_overlay(shown, labels, in_colour=colours))
    return ap, write_on(picture, f"AP {ap:.2f}")


def draw_denoised(example: nu.Example, model: Model) -> tuple[float, list[NDArray[np.uint8]]]:
    """Decibels that are gained, and the noisy, the denoised and the clean image, scaled alike."""
    clean = np.asarray(example.labels, np.float64)
    found = denoise.score_image(model, example)
    low, high = np.percentile(clean, (0.5, 99.9))
    told = (
        (np.asarray(example.image), f"noisy, {found.noisy:.1f} dB"),
        (denoise.denoise(model, example), f"{found.model:.1f} dB"),
        (clean, "clean"),
    )
    drawn = []
    for values, text in told:
        fitted = denoise.fit_line(values, clean)[:SIDE, :SIDE]
        grey = (np.clip((fitted - low) / (high - low), 0, 1) * 255).astype(np.uint8)
        drawn.append(write_on(Image.fromarray(grey).convert("RGB"), text))
    return found.model - found.noisy, drawn


def write_on(picture: Image.Image, text: str) -> NDArray[np.uint8]:
    """A picture of the usual size with some words in its corner."""
    enlarged = picture.resize((SIDE, round(SIDE * picture.height / picture.width)))
    canvas = Image.new("RGB", (SIDE, SIDE))
    canvas.paste(enlarged)
    ImageDraw.Draw(canvas).text((6, 4), text, fill="white", stroke_width=2, stroke_fill=0)
    return np.asarray(canvas)


def join_row(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Pictures beside one another."""
    return np.concatenate([np.pad(p, ((0, GAP), (0, GAP), (0, 0))) for p in pictures], 1)


def quarter(example: nu.Example) -> list[nu.Example]:
    """The quarters of a field, where there are few; a stack as it is."""
    image, labels = np.asarray(example.image), np.asarray(example.labels)
    if labels.ndim != 2:
        return [example]
    halves = [(slice(0, n // 2), slice(n // 2, n)) for n in labels.shape]
    return [
        nu.Example(image[y, x], labels[y, x], axes=example.axes)
        for y in halves[0]
        for x in halves[1]
    ]


def draw_model(name: str, data: Path) -> NDArray[np.uint8]:
    """Rows of three pictures, one row or two for each part."""
    model = Model.load(name)
    parts = RECIPES[name].hold_out(data) if name in RECIPES else read_fluorescence(data)
    rows = []
    for examples in parts.values():
        parted = examples if len(examples) > 2 else [q for e in examples for q in quarter(e)]
        chosen = list(parted)[:: max(1, len(parted) // MOST)]
        if model.card.task == "regression":
            gains = sorted((draw_denoised(e, model) for e in chosen), key=lambda each: -each[0])
            rows += [join_row(gains[len(gains) // 2][1]), join_row(gains[-1][1])]
            continue
        drawn = sorted((draw_example(e, model) for e in chosen), key=lambda each: -each[0])
        rows.append(join_row([drawn[0][1], drawn[len(drawn) // 2][1], drawn[-1][1]]))
    return np.concatenate(rows)


def main() -> None:
    """Draw a sheet for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="+", default=BUNDLED)
    arguments = parser.parse_args()
    for name in arguments.models:
        sheet = Image.fromarray(draw_model(name, arguments.data))
        target = arguments.folder / f"model_{name}.jpg"
        sheet.save(target, quality=85)
        print(target, sheet.size, flush=True)


if __name__ == "__main__":
    main()
