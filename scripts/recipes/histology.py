"""``nuclei-histology``: nuclei in stained sections, RGB as they are, or grey.

Trained on the histology and brightfield images of the 2018 Data Science Bowl (BBBC038, CC0 1.0)
and on TNBC (Naylor et al. 2018, CC BY 4.0). Held out: whole patients of TNBC, groups of
look-alike images of the Bowl, and the sections of its stage 1 test, none of which is trained on.

Each training image is shown as it is, with other strengths of its two stains, in grey, and
inverted, so that other stains and dark backgrounds are no news.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from skimage.color import hed2rgb, rgb2hed

import napari_unet as nu
from recipes.recipe import Recipe

HELD_OUT_PATIENTS = ("tnbc_06", "tnbc_09")
SELECTION_PATIENTS = ("tnbc_02",)
HELD_OUT_SHARE, SELECTION_SHARE = 0.25, 0.1  # of the groups of look-alike images
STAIN_VARIANTS = 2
GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601

Picture = NDArray[np.uint8]


def read_rgb(path: Path) -> Picture:
    """(Y, X, 3) pixels; a grey image three times, transparency dropped."""
    image = tifffile.imread(path)
    image = np.stack([image] * 3, -1) if image.ndim == 2 else image[..., :3]
    return np.ascontiguousarray(image)


def make_example(image: Picture, path: Path) -> nu.Example:
    """An example of an image, with the labels that belong to a path."""
    labels = tifffile.imread(path.parent.parent / "labels" / path.name).astype(np.int32)
    return nu.Example(image, labels, axes="YXC")


def vary_stain(image: Picture, rng: np.random.Generator) -> Picture:
    """Other strengths of haematoxylin and eosin (colour deconvolution, Ruifrok 2001)."""
    stains = rgb2hed(image)
    varied = hed2rgb(stains * rng.uniform(0.6, 1.4, 3) + rng.uniform(-0.02, 0.02, 3))
    return np.asarray((np.clip(varied, 0, 1) * 255).round(), np.uint8)


def iter_variants(image: Picture, rng: np.random.Generator) -> Iterator[Picture]:
    """The image twice, with other stains, in grey, and with its light inverted."""
    yield image
    yield image
    for _ in range(STAIN_VARIANTS):
        yield vary_stain(image, rng)
    grey = np.stack([image @ np.array(GREY)] * 3, -1).astype(np.uint8)
    yield grey
    yield 255 - (grey if rng.random() < 0.5 else image)


def split(data: Path) -> dict[str, list[Path]]:
    """Paths of the images by part: train, select, and one held-out part per source."""
    parts: dict[str, list[Path]] = {"train": [], "select": []}
    bowl = data / "dsb2018-nuclei"
    with (bowl / "index.csv").open() as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["file"])
    for kind in ("histology", "brightfield"):
        chosen = [row for row in rows if row["kind"] == kind]
        groups = sorted({row["group"] for row in chosen}, key=int)
        order = [groups[i] for i in np.random.default_rng(2018).permutation(len(groups))]
        held = round(HELD_OUT_SHARE * len(order))
        select = round(SELECTION_SHARE * len(order))
        for row in chosen:
            rank = order.index(row["group"])
            part = f"DSB {kind}" if rank < held else "select" if rank < held + select else "train"
            parts.setdefault(part, []).append(bowl / "images" / row["file"])
    for path in sorted((data / "tnbc-hne-nuclei" / "images").iterdir()):
        patient = path.name[:7]
        part = (
            "TNBC"
            if patient in HELD_OUT_PATIENTS
            else "select"
            if patient in SELECTION_PATIENTS
            else "train"
        )
        parts.setdefault(part, []).append(path)
    tests = sorted((data / "dsb2018-stage1test-nuclei" / "images").glob("histo_*"))
    parts["DSB stage 1 test histology"] = tests
    return parts


def teach(data: Path) -> list[nu.Example]:
    """The training images in their variants."""
    rng = np.random.default_rng(0)
    return [
        make_example(image, path)
        for path in split(data)["train"]
        for image in iter_variants(read_rgb(path), rng)
    ]


def select(data: Path) -> list[nu.Example]:
    """The images that pick weights and decoding, as they are."""
    return [make_example(read_rgb(path), path) for path in split(data)["select"]]


def hold_out(data: Path) -> dict[str, list[nu.Example]]:
    """The held-out images, as they are."""
    return {
        name: [make_example(read_rgb(path), path) for path in paths]
        for name, paths in split(data).items()
        if name not in ("train", "select")
    }


RECIPE = Recipe(
    settings={
        "task": "instance",
        "name": "nuclei-histology",
        "description": "Nuclei in stained tissue sections (H&E and the like), RGB or grey.",
        "patch": (192, 192),
        "batch_size": 8,
        "learning_rate": 1.5e-3,
        "augmentation": "strong",
        "features": (16, 32, 64, 128, 256),
        "seed": 0,
    },
    teach=teach,
    select=select,
    hold_out=hold_out,
    facts={
        "channels": ("red", "green", "blue"),
        "licence": "CC-BY-4.0",
        "authors": ("napari-unet contributors",),
        "citation": "Images: Caicedo et al. 2019, Nature Methods 16, 1247 (BBBC038, CC0 1.0); "
        "Naylor et al. 2018, IEEE TMI 38, 448 (TNBC, CC BY 4.0)",
    },
)
