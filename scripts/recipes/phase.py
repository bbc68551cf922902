"""``cells-phase``: cells in phase contrast and quantitative phase images, without a stain.

Trained on T98G cells in phase contrast (Usiigaci, Tsai et al. 2019, MIT) and on PC-3 and PNT1A
cells in quantitative phase (Vicar et al. 2021, CC BY 4.0). There are few images, so the split
goes by field: one field of each source is held out, and halves of one field of each pick the
weights; nothing of the held-out fields is trained on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

import napari_unet as nu
from recipes.recipe import Recipe

PHASE_CONTRAST, QUANTITATIVE = "usiigaci-phase-t98g", "qpi-pc3-pnt1a-cells"
TRAIN = {
    PHASE_CONTRAST: ("set6", "set15", "set20"),
    QUANTITATIVE: ("pc3_img_00001", "pnt_img_00001"),
}
HALVED = {PHASE_CONTRAST: "set37", QUANTITATIVE: "pnt_img_00003"}
HELD_OUT = {PHASE_CONTRAST: ("set44",), QUANTITATIVE: ("pc3_img_00002",)}


def read_example(data: Path, folder: str, name: str, rows: slice = slice(None)) -> nu.Example:
    """Some rows of a field with their labels."""
    image = tifffile.imread(data / folder / "images" / f"{name}.tif")
    labels = tifffile.imread(data / folder / "labels" / f"{name}.tif")
    return nu.Example(image[rows], labels[rows].astype(np.int32), axes="YX")


def teach(data: Path) -> list[nu.Example]:
    """Whole fields, and the lower half of one of each source."""
    whole = [read_example(data, folder, n) for folder, names in TRAIN.items() for n in names]
    return whole + [read_example(data, f, n, slice(400, None)) for f, n in HALVED.items()]


def select(data: Path) -> list[nu.Example]:
    """The upper half of one field of each source."""
    return [read_example(data, folder, n, slice(0, 400)) for folder, n in HALVED.items()]


def hold_out(data: Path) -> dict[str, list[nu.Example]]:
    """One field of each source."""
    return {
        folder: [read_example(data, folder, name) for name in names]
        for folder, names in HELD_OUT.items()
    }


RECIPE = Recipe(
    settings={
        "task": "instance",
        "name": "cells-phase",
        "description": "Cells in phase contrast and quantitative phase images (no stain).",
        "patch": (256, 256),
        "batch_size": 4,
        "learning_rate": 1e-3,
        "augmentation": "strong",
        "start": "base",
        "match_size": True,
        "seed": 0,
    },
    teach=teach,
    select=select,
    hold_out=hold_out,
    facts={
        "channels": ("phase",),
        "licence": "CC-BY-4.0",
        "authors": ("napari-unet contributors",),
        "citation": "Images: Tsai et al. 2019, SoftwareX 9, 230 (Usiigaci, MIT); Vicar et al. "
        "2021, Zenodo 5153251 (CC BY 4.0)",
    },
    base="nuclei-histology",
    rounds=(None, 28.0, 36.0),  # 36 is so near to the images' own 44 that they stay as they are
)
