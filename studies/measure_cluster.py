"""The speed-up of two workers over one, on a zarr of 64 x 1024 x 1024: docs/results/cluster.md.

    OMP_NUM_THREADS=1 python studies/measure_cluster.py

Each worker has one thread. The labels of both runs must be equal. It takes about five minutes on a
quiet machine of two cores.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import zarr

import napari_unet as nu
from napari_unet.inference.cluster import open_client

SHAPE = (64, 1024, 1024)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/results/cluster.md"))
    parser.add_argument("--planes", type=int, default=SHAPE[0])
    options = parser.parse_args()
    sample = nu.load_sample("nuclei_2d").image
    tiles = [-(-n // m) for n, m in zip(SHAPE[1:], sample.shape[-2:], strict=True)]
    plane = np.tile(sample, tiles)[: SHAPE[1], : SHAPE[2]]
    seconds: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        stored = zarr.create_array(
            folder / "in.zarr",
            shape=(options.planes, *SHAPE[1:]),
            chunks=(1, 512, 512),
            dtype=plane.dtype,
            dimension_names=["z", "y", "x"],
        )
        for z in range(options.planes):
            stored[z] = np.roll(plane, z, axis=1)
        found = []
        for workers in (1, 2):
            with open_client(f"local:{workers}") as client:
                nu.segment(stored[:8], "nuclei", axes="ZYX", client=client)  # loads and compiles
                began = time.perf_counter()
                nu.segment(
                    stored,
                    "nuclei",
                    axes="ZYX",
                    client=client,
                    output=folder / f"out{workers}.zarr",
                )
                seconds[workers] = time.perf_counter() - began
            found.append(zarr.open_array(folder / f"out{workers}.zarr", mode="r"))
        equal = all(np.array_equal(found[0][z], found[1][z]) for z in range(options.planes))
    text = f"""# Two workers over one

Measured by `studies/measure_cluster.py` on {platform.machine()}, {platform.system()}; one thread a
worker, model `nuclei`, a zarr of {options.planes} x {SHAPE[1]} x {SHAPE[2]}, planes linked.

| workers | seconds | seconds per plane of 1024² |
| --- | --- | --- |
| 1 | {seconds[1]:.0f} | {seconds[1] / options.planes:.2f} |
| 2 | {seconds[2]:.0f} | {seconds[2] / options.planes:.2f} |

Speed-up: {seconds[1] / seconds[2]:.2f}. Labels are equal: {"yes" if equal else "NO"}.
"""
    options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
