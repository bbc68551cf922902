"""Put a sample of its training images into a bundled model, for fine-tuning that keeps it.

    python scripts/add_replay.py nuclei DATA
    python scripts/add_replay.py nuclei-histology DATA --output nuclei-histology.safetensors

The patches come from images that the model's recipe trains on, none from those that it is scored
on: one of each group of look-alike images, around an object. Of the Data Science Bowl alone, whose
licence (CC0 1.0) lets them be in the package. Weights, card and stored test stay as they are.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from recipes import histology, nuclei

import napari_unet as nu
from napari_unet.network.files import BUNDLED
from napari_unet.network.model import Model
from napari_unet.training.replay import pack_patches
from napari_unet.training.scoring import make_pieces

BOWL = "dsb2018-nuclei"
SIDE = 128
PATCHES = {"nuclei": 64, "nuclei-histology": 24}  # as many as take less than a megabyte
RECIPES = {"nuclei": nuclei, "nuclei-histology": histology}


def choose_paths(name: str, data: Path, rng: np.random.Generator) -> list[Path]:
    """An image of each of some groups."""
    with (data / BOWL / "index.csv").open() as file:
        groups = {row["file"]: row["group"] for row in csv.DictReader(file)}
    paths = [p for p in RECIPES[name].split(data)["train"] if p.parents[1].name == BOWL]
    shuffled = [paths[i] for i in rng.permutation(len(paths))]
    by_group = {groups[path.name]: path for path in shuffled}
    return sorted(by_group.values())


def read(name: str, path: Path) -> nu.Example:
    """An image as the model was shown it."""
    if name == "nuclei":
        return nuclei.read_example(path)
    return histology.make_example(histology.read_rgb(path), path)


def cut_patch(
    example: nu.Example, model: Model, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int32]] | None:
    """A normalised patch around an object, with its labels; None where the image is smaller."""
    piece = make_pieces([example], model.card)[0]
    labels = piece.labels[0]
    places = np.argwhere(labels > 0)
    if min(labels.shape) < SIDE or not len(places):
        return None
    centre = places[rng.integers(len(places))]
    start = np.clip(centre - SIDE // 2, 0, np.array(labels.shape) - SIDE)
    part = tuple(slice(int(a), int(a) + SIDE) for a in start)
    return piece.image[:, *part], labels[part].astype(np.int32)


def main() -> None:
    """Draw, pack, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=RECIPES)
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, help="else the bundled file is replaced")
    arguments = parser.parse_args()
    name = arguments.model
    file = BUNDLED / f"{name}.safetensors"
    model = Model.load(file)
    rng = np.random.default_rng(16)
    paths = choose_paths(name, arguments.data, rng)
    found = (cut_patch(read(name, paths[i]), model, rng) for i in rng.permutation(len(paths)))
    patches = [patch for patch in found if patch is not None][: PATCHES[name]]
    packed = pack_patches([image for image, _ in patches], [labels for _, labels in patches])
    print(f"{len(patches)} patches, {len(packed)} bytes")
    print(replace(model, replay=packed).save(arguments.output or file))


if __name__ == "__main__":
    main()
