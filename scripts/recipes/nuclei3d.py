"""``nuclei-3d``: nuclei in fluorescence stacks, the planes as far apart as they are.

Trained on mouse embryos (BBBC050, Tokuoka et al. 2020, CC BY 3.0), on a part of a plant ovule
(GoNuclear, Vijayan et al. 2024, CC0) and on made-up stacks (`synthetic_stack`). The split goes
by embryo; the other part of the ovule crop and StarDist's sample are held out as well.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

import napari_unet as nu
from recipes.recipe import Recipe
from recipes.synthetic_stack import make_stack

EMBRYOS = ("bbbc050-mouse-embryo-3d", "bbbc050-mouse-embryo-3d-more")
SELECTION_EMBRYOS = ("Emb08",)
HELD_OUT_EMBRYOS = ("Emb09", "Emb11")
OVULE, OVULE_COPIES = "gonuclear-ovule-nuclei-3d", 12
OVULE_TRAINED = slice(0, 62)  # columns; the rest is held out
SYNTHETIC = 48


def read_example(folder: Path, name: str, columns: slice = slice(None)) -> nu.Example:
    """Some columns of a stack with their labels."""
    image = tifffile.imread(folder / "images" / name)[..., columns]
    labels = tifffile.imread(folder / "labels" / name)[..., columns].astype(np.int32)
    return nu.Example(image, labels, axes="ZYX")


def read_embryos(data: Path, *, part: str) -> list[nu.Example]:
    """The stacks of the embryos of a part: train, select, hold out."""
    chosen = []
    for folder in EMBRYOS:
        for path in sorted((data / folder / "images").iterdir()):
            embryo = path.name.split("_")[1]
            named = dict.fromkeys(SELECTION_EMBRYOS, "select")
            named |= dict.fromkeys(HELD_OUT_EMBRYOS, "hold out")
            if named.get(embryo, "train") == part:
                chosen.append(read_example(data / folder, path.name))
    return chosen


def teach(data: Path) -> list[nu.Example]:
    """Embryos, the ovule, made-up stacks."""
    made = [nu.Example(*make_stack(seed), axes="ZYX") for seed in range(SYNTHETIC)]
    name = next((data / OVULE / "images").iterdir()).name
    ovule = [read_example(data / OVULE, name, OVULE_TRAINED)] * OVULE_COPIES
    return read_embryos(data, part="train") + ovule + made


def select(data: Path) -> list[nu.Example]:
    """Another embryo, and made-up stacks of other seeds."""
    made = [nu.Example(*make_stack(seed), axes="ZYX") for seed in range(1000, 1006)]
    return read_embryos(data, part="select")[1::2] + made


def calibrate(data: Path) -> list[nu.Example]:
    """The other embryo alone: made-up objects are many, and nobody drew their outlines."""
    return read_embryos(data, part="select")[1::2]


def hold_out(data: Path) -> dict[str, list[nu.Example]]:
    """Embryos, the rest of the ovule crop, StarDist's sample."""
    name = next((data / OVULE / "images").iterdir()).name
    rest = slice(OVULE_TRAINED.stop, None)
    return {
        "BBBC050 embryos 09 and 11": read_embryos(data, part="hold out"),
        "GoNuclear ovule, other columns": [read_example(data / OVULE, name, rest)],
        "StarDist sample stack": [read_example(data / "stardist-tiny-3d", "img3d.tif")],
    }


RECIPE = Recipe(
    settings={
        "task": "instance",
        "ndim": 3,
        "name": "nuclei-3d",
        "description": "Nuclei in fluorescence stacks (embryos, tissue, culture), bright on dark.",
        "patch": (20, 80, 80),
        "batch_size": 4,
        "learning_rate": 1.2e-3,
        "augmentation": "standard",
        "features": (16, 32, 64, 128),
        "strides": ((1, 2, 2), (2, 2, 2), (2, 2, 2)),
        "seed": 0,
    },
    teach=teach,
    select=select,
    calibrate=calibrate,
    hold_out=hold_out,
    facts={
        "channels": ("nuclei",),
        "licence": "CC-BY-4.0",
        "authors": ("napari-unet contributors",),
        "citation": "Images: Tokuoka et al. 2020, npj Syst Biol Appl 6, 32 (BBBC050, A. "
        "Funahashi, CC BY 3.0); Vijayan et al. 2024, Development (GoNuclear, S-BIAD1026, CC0)",
    },
)
