"""Seconds from the call of a training to its first step, for 15 fields of 520 x 696 pixels.

python studies/measure_start.py DATA            # --threads 2; imports are not counted
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import tifffile
import torch

import napari_unet as nu

FIELDS = "bbbc039-u2os-nuclei"
COUNT = 15


def main() -> None:
    """Print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument("--threads", type=int, help="of the CPU")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    images, labels = (arguments.data / FIELDS / kind for kind in ("images", "labels"))
    examples = [
        nu.Example(tifffile.imread(path), tifffile.imread(labels / path.name), axes="YX")
        for path in sorted(images.iterdir())[:COUNT]
    ]
    train = nu.iter_train  # imports all that it needs
    start = time.perf_counter()
    job = train(examples, minutes=8)
    next(job)
    print(json.dumps(round(time.perf_counter() - start, 3)))
    job.close()


if __name__ == "__main__":
    main()
