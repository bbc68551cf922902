"""Dense tissue: the boundary between objects against their relative distance, both as trained.

    python studies/measure_dense_tissue.py DATA --folder FOLDER [--steps N] [--only NAME]

DATA has the folders of ``SPLITS``. Each representation is trained by `napari_unet.train` with the
same seed, steps, patches and network, on the first part of the x axis of a volume; a share of that
part is held out by the training itself, and calibrates the decoding. The last part of x is scored,
behind a gap. An object that leaves a part and comes back is two objects in it; pieces under
`SMALLEST_PIECE` voxels are learned, but not scored. FOLDER gets the models, which are not
trained again, so that a stopped run goes on. Prints the rows of docs/decisions/dense_tissue.md.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Literal

import cc3d
import numpy as np
import tifffile
import torch
from numpy.typing import NDArray

import napari_unet as nu
from napari_unet.card import Normalization

SPLITS = {
    "flyem-fibsem-neurons-3d": (slice(0, 146), slice(162, None)),
    "plantseg-ovule-cells-3d": (slice(0, 80), slice(88, None)),
}
REPRESENTATIONS: tuple[Literal["distance", "boundary"], ...] = ("distance", "boundary")
SMALLEST_PIECE = 100  # voxels
IOUS = (0.5, 0.7, 0.9)


def read_part(data: Path, name: str, x: slice) -> tuple[nu.Example, NDArray[np.bool_]]:
    """A part of the volume of a data set along x, its pieces as objects; and which are tiny."""
    path = next((data / name / "images").glob("*.tif"))
    image = tifffile.imread(path)[..., x]
    labels = tifffile.imread(data / name / "labels" / path.name).astype(np.uint32)[..., x]
    pieces = np.asarray(
        cc3d.connected_components(np.ascontiguousarray(labels), connectivity=6), np.int32
    )
    tiny = np.bincount(pieces.ravel())[pieces] < SMALLEST_PIECE
    return nu.Example(np.ascontiguousarray(image), pieces, axes="ZYX"), tiny


def measure(
    data: Path,
    folder: Path,
    name: str,
    representation: Literal["distance", "boundary"],
    steps: int,
) -> str:
    """Train, unless that was done, and score: a row of the table."""
    (learned, _), (tested, tiny) = (read_part(data, name, x) for x in SPLITS[name])
    file = folder / f"{name}-{representation}-{steps}.safetensors"
    started = time.perf_counter()
    if not file.exists():
        nu.train(
            [learned],
            representation=representation,
            steps=steps,
            validation_every=steps,
            patch=(20, 40, 40),
            batch_size=2,
            features=(16, 32, 64),
            learning_rate=3e-3,
            augmentation="light",
            normalization=Normalization(),
            seed=0,
            device="cpu",
            precision="float32",
            name=file.stem,
        ).save(file)
    seconds = time.perf_counter() - started
    model = nu.Model.load(file)
    found = nu.segment(tested.image, model, axes="ZYX", device="cpu", precision="float32")
    scores = nu.evaluate(found, tested.labels, ignore=tiny)
    decoding = model.card.decoding
    reached = " / ".join(f"{scores.ap[iou]:.2f}" for iou in IOUS)
    return (
        f"| {name} | {representation} | {reached} | {scores.f1[0.5]:.2f} | "
        f"{scores.tp[0.5] + scores.fn[0.5]} | {int(np.max(found))} | "
        f"{decoding.split_depth:g} / {decoding.smoothing:g} | {seconds:.0f} |"
    )


def main() -> None:
    """Print a row for each data set and representation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--folder", type=Path, required=True, help="where models are kept")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--only", choices=SPLITS, help="this data set alone")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in [arguments.only] if arguments.only else SPLITS:
        for representation in REPRESENTATIONS:
            print(
                measure(arguments.data, arguments.folder, name, representation, arguments.steps),
                flush=True,
            )


if __name__ == "__main__":
    main()
