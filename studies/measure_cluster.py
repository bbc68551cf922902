"""The speed-up of two workers over one, the cost of a block, and what 10 TB would take.

    OMP_NUM_THREADS=1 python studies/measure_cluster.py

writes docs/results/cluster.md from a zarr of 64 x 1024 x 1024, in which planes are linked. Each
worker has one thread; a machine of two cores must do nothing else meanwhile. ``--planes 4 --size
256`` tries it in a minute.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

import napari_unet as nu
from napari_unet.inference.cluster import open_client

PLANES, SIZE = 64, 1024
BLOCK = 1024  # pixels along each side of the block that the page counts in
VOLUME_BYTES, VOXEL_BYTES, LABEL_BYTES = 10e12, 2, 4
WORKERS = (1, 10, 100, 1000)
WARM_UP = 2  # planes, in which models are loaded and the decoding is compiled
RUNS = ((1, "linked"), (2, "linked"), (1, "slices"), (2, "slices"))


@dataclass(frozen=True)
class Measured:
    """Seconds of each run, the bytes of the stored labels, and whether both runs agree."""

    planes: int
    size: int
    seconds: dict[tuple[int, str], float]
    stored_bytes: int
    equal: bool

    @property
    def blocks(self) -> float:
        """How many blocks of `BLOCK` squared pixels were run."""
        return self.planes * self.size**2 / BLOCK**2

    def block_seconds(self, workers: int, mode: str) -> float:
        """Seconds of a block, of all workers together."""
        return self.seconds[workers, mode] / self.blocks

    @property
    def linking_seconds(self) -> float:
        """What a block takes longer where planes are linked, which one process does."""
        return max(self.block_seconds(2, "linked") - self.block_seconds(2, "slices"), 0.0)

    def speed_up(self, mode: str) -> float:
        """How many times as fast two workers are."""
        return self.seconds[1, mode] / self.seconds[2, mode]


def make_volume(path: Path, planes: int, size: int) -> Any:
    """A zarr of nuclei that move from plane to plane, in chunks of at most 512 x 512."""
    sample = nu.load_sample("nuclei_2d").image
    tiles = [-(-size // n) for n in sample.shape]
    plane: NDArray[Any] = np.tile(sample, tiles)[:size, :size]
    side = min(512, size)
    stored = zarr.create_array(
        path,
        shape=(planes, size, size),
        chunks=(1, side, side),
        dtype=plane.dtype,
        dimension_names=["z", "y", "x"],
    )
    for z in range(planes):
        stored[z] = np.roll(plane, z, axis=1)
    return stored


def measure(folder: Path, planes: int, size: int) -> Measured:
    """Run the volume with one worker and with two, linked and not."""
    stored = make_volume(folder / "in.zarr", planes, size)
    first = stored[: min(WARM_UP, planes)]
    seconds: dict[tuple[int, str], float] = {}
    for workers, mode in RUNS:
        with open_client(f"local:{workers}") as client:
            for _ in range(2):  # each worker gets a plane
                nu.segment(first, "nuclei", axes="ZYX", client=client)
            began = time.perf_counter()
            nu.segment(
                stored,
                "nuclei",
                axes="ZYX",
                volume_mode=mode,
                client=client,
                output=folder / f"{mode}{workers}.zarr",
            )
            seconds[workers, mode] = time.perf_counter() - began
        print(f"{workers} workers, {mode}: {seconds[workers, mode]:.1f} s", flush=True)
    found = [zarr.open_array(folder / f"linked{n}.zarr", mode="r") for n in (1, 2)]
    equal = all(np.array_equal(found[0][z], found[1][z]) for z in range(planes))
    return Measured(planes, size, seconds, int(found[0].nbytes_stored()), equal)


def write_page(measured: Measured) -> str:
    """The page, with the plan for a large volume."""
    rows = "\n".join(
        f"| {workers} | {'linked' if mode == 'linked' else 'each by itself'} | "
        f"{measured.seconds[workers, mode]:.1f} | {measured.block_seconds(workers, mode):.3f} |"
        for workers, mode in RUNS
    )
    blocks = VOLUME_BYTES / VOXEL_BYTES / BLOCK**2
    alone = measured.block_seconds(1, "slices")
    efficiency = min(measured.speed_up("slices") / 2, 1.0)
    ratio = measured.planes * measured.size**2 * LABEL_BYTES / max(measured.stored_bytes, 1)
    pixels = BLOCK**2
    plan = []
    for workers in WORKERS:
        share = 1.0 if workers == 1 else efficiency
        hours = blocks * alone / (workers * share) / 3600
        rate = workers * share / alone * pixels
        plan.append(
            f"| {workers} | {_duration(hours)} | {rate * VOXEL_BYTES / 1e6:.1f} MB/s | "
            f"{rate * LABEL_BYTES / ratio / 1e6:.2f} MB/s |"
        )
    table = "\n".join(plan)
    linking = _duration(blocks * measured.linking_seconds / 3600)
    verdict = "equal bit by bit" if measured.equal else "NOT equal: a fault"
    shape = f"{measured.planes} x {measured.size} x {measured.size}"
    linked, plain = measured.speed_up("linked"), measured.speed_up("slices")
    pixels_in_all = VOLUME_BYTES / VOXEL_BYTES
    return f"""# Two workers over one

Written by `studies/measure_cluster.py`, on {platform.machine()} with {platform.system()}: one
thread a worker, model `nuclei`, a zarr of {shape} pixels.

| workers | planes | seconds | seconds a block of {BLOCK}² |
| --- | --- | --- | --- |
{rows}

Speed-up of two workers over one: **{linked:.2f}** with linked planes, {plain:.2f} without. Labels
of one and of two workers are {verdict}. On disk they are {ratio:.0f} times smaller than their
{LABEL_BYTES} bytes a pixel.

## What 10 TB would take

10 TB of 16-bit voxels are {pixels_in_all:.0e} pixels, or {blocks / 1e6:.2f} million blocks of
{BLOCK}². A block takes one worker {alone:.2f} s: reading, prediction, decoding and writing
together. Two workers are {efficiency:.0%} as efficient, which is taken for any number of them:

| workers | time | read from storage | written |
| --- | --- | --- | --- |
{table}

Linking the planes comes on top of it where it is wanted: {measured.linking_seconds:.3f} s a block
by one process, {linking} for all. Parts of z, each with a client of its own, are linked beside
each other.
"""


def _duration(hours: float) -> str:
    """Hours in words.

    >>> _duration(0.01), _duration(30), _duration(200)
    ('36 s', '30 h', '8 days')
    """
    if hours < 1:
        return f"{hours * 60:.0f} min" if hours * 60 >= 1 else f"{hours * 3600:.0f} s"
    return f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.0f} days"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/results/cluster.md"))
    parser.add_argument("--planes", type=int, default=PLANES)
    parser.add_argument("--size", type=int, default=SIZE)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        measured = measure(Path(scratch), options.planes, options.size)
    text = write_page(measured)
    options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
