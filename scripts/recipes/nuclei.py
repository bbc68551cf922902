"""``nuclei``: nuclei in 2D fluorescence images, of cultures and of tissue, 8 to 80 pixels wide.

Trained on the fluorescence images of the 2018 Data Science Bowl (BBBC038, CC0 1.0), those of its
stage 1 test, and BBBC039 (U2OS cells, CC0 1.0). Held out: groups of look-alike images of the Bowl,
whole rows of the plate of BBBC039, and some images of each kind of the stage 1 test.

Sections of tissue are few, so each is shown several times; some images are shown at half and at
twice their size, with the noise of a short exposure, blurred, and with the defects that users'
images have. The empty well and noise alone teach that nothing may be found.

A round of 85 minutes from the bundled model gave no more than that model, see docs/models.md, so
that it is still the one of `train_nuclei.py`.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

import napari_unet as nu
from recipes.defects import spoil
from recipes.recipe import Recipe

VALIDATION_LIST = Path(__file__).parents[1] / "nuclei_validation.txt"
BOWL, TESTS, PLATE = "dsb2018-nuclei", "dsb2018-stage1test-nuclei", "bbbc039-u2os-nuclei"
SELECTION_IMAGES = 16  # of the Bowl
HELD_OUT_ROWS, SELECTION_ROWS = "BFK", "GJ"  # of the plate
HELD_OUT_TESTS = (
    "0114f484a16c",
    "1879f4f4f05e",
    "1962d0c5faf3",
    "295682d9eb5a",
    "336d3e410576",
    "43a71aeb641f",
    "505bc0a3928d",
    "519dc0d672d1",
    "8b59819fbc92",
    "912a679e4b9b",
    "9ab2d381f90b",
    "d616d323a9ee",
    "d6eb7ce7723e",
    "d8d4bf68a76e",
)
SELECTION_TESTS = ("52b267e20519", "5cee644e5ffb", "ca20076870e8", "fe9adb627a6f")
TEST_COPIES = 3  # of each image of the stage 1 test, as there are few of them
EMPTY_COPIES = 4  # of wells without a nucleus
DEFECT_SHARE, SIZE_SHARE, EXPOSURE_SHARE = 0.2, 0.2, 0.2  # of the images, as further copies
SIZES = (0.5, 2.0)


def read_example(path: Path) -> nu.Example:
    """An image in grey, with the labels of the same name."""
    image = tifffile.imread(path)
    if image.ndim == 3:
        image = image[..., :3].mean(-1).astype(np.float32)
    labels = tifffile.imread(path.parent.parent / "labels" / path.name)
    return nu.Example(image, labels.astype(np.int32), axes="YX")


def resize(given: nu.Example, factor: float) -> nu.Example:
    """A copy at another size, smoothed before it is made smaller."""
    image = np.asarray(given.image, np.float32)
    if factor < 1:
        image = ndimage.gaussian_filter(image, 0.4 / factor)
    labels = ndimage.zoom(np.asarray(given.labels), factor, order=0)
    return nu.Example(ndimage.zoom(image, factor, order=1), labels, axes="YX")


def expose_shortly(given: nu.Example, rng: np.random.Generator) -> nu.Example:
    """A copy with the shot and read noise of few photons, some of them out of focus."""
    image = np.asarray(given.image, np.float32)
    low, high = np.percentile(image, (1, 99.8))
    photons = 10 ** rng.uniform(0.5, 2.0)  # at the brightest
    if rng.random() < 0.3:
        image = ndimage.gaussian_filter(image, rng.uniform(0.7, 2.0))
    share = np.clip((image - low) / max(high - low, 1), 0, 2)
    noisy = rng.poisson(share * photons) / photons + rng.normal(0, 0.02, image.shape)
    shown: NDArray[np.float32] = ((noisy + 0.1) * 1000).clip(0).astype(np.float32)
    return nu.Example(shown, np.asarray(given.labels), axes="YX")


def split(data: Path) -> dict[str, list[Path]]:
    """Paths of the images by part: train, select, and one held-out part per source."""
    parts: dict[str, list[Path]] = {"train": [], "select": []}
    with (data / BOWL / "index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "fluorescence"]
    held_out = VALIDATION_LIST.read_text().split()
    groups = {row["group"] for row in rows if row["file"] in held_out}
    rest = sorted(row["file"] for row in rows if row["group"] not in groups)
    order = np.random.default_rng(7).permutation(len(rest))
    named = {
        "DSB fluorescence": held_out,
        "select": [rest[i] for i in order[:SELECTION_IMAGES]],
        "train": [rest[i] for i in order[SELECTION_IMAGES:]],
    }
    for part, names in named.items():
        parts[part] = [data / BOWL / "images" / name for name in names]
    for path in sorted((data / TESTS / "images").glob("fluor_*")):
        name = path.stem.removeprefix("fluor_")
        part = "select" if name in SELECTION_TESTS else "train"
        part = "DSB stage 1 test fluorescence" if name in HELD_OUT_TESTS else part
        parts.setdefault(part, []).append(path)
    for path in sorted((data / PLATE / "images").iterdir()):
        row = path.stem.split("_")[1][0]
        part = "select" if row in SELECTION_ROWS else "train"
        parts.setdefault("BBBC039" if row in HELD_OUT_ROWS else part, []).append(path)
    return parts


def teach(data: Path) -> list[nu.Example]:
    """The training images and their copies."""
    rng = np.random.default_rng(3)
    shown = []
    for path in split(data)["train"]:
        example = read_example(path)
        copies = TEST_COPIES if TESTS in str(path) else 1
        copies = copies if np.any(example.labels) else EMPTY_COPIES
        shown += [example] * copies
    further = []
    for example in shown:
        if rng.random() < DEFECT_SHARE:
            further.append(spoil(example, rng))
        if rng.random() < SIZE_SHARE:
            further.append(resize(example, float(rng.choice(SIZES))))
        if rng.random() < EXPOSURE_SHARE:
            further.append(expose_shortly(example, rng))
    return shown + further


def select(data: Path) -> list[nu.Example]:
    """The images that pick weights and decoding, as they are."""
    return [read_example(path) for path in split(data)["select"]]


def hold_out(data: Path) -> dict[str, list[nu.Example]]:
    """The held-out images, as they are."""
    return {
        name: [read_example(path) for path in paths]
        for name, paths in split(data).items()
        if name not in ("train", "select")
    }


RECIPE = Recipe(
    settings={
        "task": "instance",
        "name": "nuclei",
        "description": "Nuclei in 2D fluorescence images (DAPI, Hoechst and the like).",
        "patch": (192, 192),
        "batch_size": 8,
        "learning_rate": 1e-3,
        "augmentation": "strong",
        "features": (16, 32, 64, 128, 256),
        "seed": 0,
    },
    teach=teach,
    select=select,
    hold_out=hold_out,
    facts={
        "channels": ("nuclei",),
        "licence": "CC0-1.0",
        "authors": ("napari-unet contributors",),
        "citation": "Images: Caicedo et al. 2019, Nature Methods 16, 1247 (BBBC038); "
        "Caicedo et al. 2019, Cytometry A 95, 952 (BBBC039)",
    },
    base="nuclei",
)
