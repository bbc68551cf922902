"""Seconds that the bundled models take for a plane of 1024 x 1024 and a stack of 64 x 256 x 256.

    python studies/measure_seconds.py DATA --threads 2 --models nuclei nuclei-3d

The plane is a field of BBBC039, the stack one of an embryo of BBBC050, each mirrored until it is
full. Medians of three runs after a first one; files and imports are not counted. The peak memory is
that of the process with all that ran in it so far, so that one model alone tells its own.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from measure_models import BUNDLED
from numpy.typing import NDArray

import napari_unet as nu
from napari_unet.network.model import Model

ROUNDS = 3
PLANE, STACK = (1024, 1024), (64, 256, 256)


def fill(image: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """An image of a shape, mirrored at its ends until it is full."""
    pads = [(0, max(0, n - m)) for n, m in zip(shape, image.shape, strict=False)]
    pads += [(0, 0)] * (image.ndim - len(shape))
    full = np.pad(image, pads, mode="symmetric")
    return full[tuple(slice(0, n) for n in shape)]


def read_images(data: Path) -> dict[int, NDArray[Any]]:
    """A plane and a stack, by the number of their axes."""
    plane = tifffile.imread(sorted((data / "bbbc039-u2os-nuclei" / "images").iterdir())[0])
    stack = tifffile.imread(sorted((data / "bbbc050-mouse-embryo-3d" / "images").iterdir())[0])
    return {2: fill(plane, PLANE), 3: fill(stack, STACK)}


def main() -> None:
    """Print a row for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--threads", type=int, default=2, help="of the CPU")
    parser.add_argument("--models", nargs="+", choices=BUNDLED, default=BUNDLED)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    images = read_images(arguments.data)
    for name in arguments.models:
        model = Model.load(name)
        ndim = model.card.architecture.ndim
        image = images[ndim]
        if model.card.takes_colours:
            image = np.stack([image] * 3, axis=-1)
        run = nu.predict if model.card.task == "regression" else nu.segment
        axes = "ZYX"[-ndim:] + ("C" if model.card.takes_colours else "")
        seconds = []
        for _ in range(ROUNDS + 1):
            start = time.perf_counter()
            run(image, model, axes=axes, device="cpu", threads=arguments.threads)
            seconds.append(time.perf_counter() - start)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        size = " x ".join(map(str, image.shape))
        print(f"{name}, {size}: {np.median(seconds[1:]):.1f} s, {peak:.1f} GiB", flush=True)


if __name__ == "__main__":
    main()
