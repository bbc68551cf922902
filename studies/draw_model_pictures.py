"""Draw what a bundled model makes of its held-out images: the best, a middling one, the worst.

    python studies/draw_model_pictures.py DATA docs/images --models nuclei nuclei-histology

For each part of the held-out images a row: outlines that were found, by AP at IoU 0.5, which
stands in the corner. Of stacks the plane with the most objects is drawn.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from measure_models import RECIPES, read_fluorescence
from numpy.typing import NDArray
from PIL import Image, ImageDraw

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
    enlarged = picture.resize((SIDE, round(SIDE * picture.height / picture.width)))
    canvas = Image.new("RGB", (SIDE, SIDE))
    canvas.paste(enlarged)
    ImageDraw.Draw(canvas).text((6, 4), f"AP {ap:.2f}", fill="white", stroke_width=2, stroke_fill=0)
    return ap, np.asarray(canvas)


def draw_model(name: str, data: Path) -> NDArray[np.uint8]:
    """Rows of three pictures, one row for each part."""
    model = Model.load(name)
    parts = RECIPES[name].hold_out(data) if name in RECIPES else read_fluorescence(data)
    rows = []
    for examples in parts.values():
        chosen = list(examples)[:: max(1, len(examples) // MOST)]
        drawn = sorted((draw_example(e, model) for e in chosen), key=lambda each: -each[0])
        three = [drawn[0][1], drawn[len(drawn) // 2][1], drawn[-1][1]]
        rows.append(np.concatenate([np.pad(p, ((0, GAP), (0, GAP), (0, 0))) for p in three], 1))
    return np.concatenate(rows)


def main() -> None:
    """Draw a sheet for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="+", default=["nuclei", *RECIPES])
    arguments = parser.parse_args()
    for name in arguments.models:
        sheet = Image.fromarray(draw_model(name, arguments.data))
        target = arguments.folder / f"model_{name}.jpg"
        sheet.save(target, quality=85)
        print(target, sheet.size, flush=True)


if __name__ == "__main__":
    main()
