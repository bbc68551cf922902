"""Time and memory of measuring: a million objects, and a large volume from the disk.

    python studies/benchmark_measuring.py [--scratch FOLDER] [CASE ...]

Each case runs in a process of its own, whose peak of resident memory is read at the end, beside
that of the same process before it measured. Labels and image are zarr arrays of 256 pixels along
each axis of a plane. Machine code was compiled before (it is kept on the disk). Prints the table
of docs/results/measure.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from skimage.draw import ellipse

BASIC = ["area", "centroid", "bbox", "axis_major_length", "touches_border", "intensity_mean"]
FAST_3D = [*BASIC, "axis_minor_length", "orientation", "intensity_std", "surface_area"]
CASES: dict[str, dict[str, Any]] = {
    "warm-up": {"shape": (512, 512), "cell": 10},
    "million": {"shape": (10240, 10240), "cell": 10},
    "million, sums": {"shape": (10240, 10240), "cell": 10, "properties": BASIC},
    "100,000, 3D": {"shape": (100, 1040, 1040), "cell": (10, 10, 10), "properties": FAST_3D},
    "volume": {"shape": (64, 1024, 1024), "cell": (16, 32, 32)},
    "volume, fast": {"shape": (64, 1024, 1024), "cell": (16, 32, 32), "properties": FAST_3D},
    "neighbours": {
        "shape": (10240, 10240),
        "cell": 10,
        "properties": ["neighbours"],
        "neighbour_distance": 5,
    },
}


def make_arrays(folder: Path, shape: tuple[int, ...], cell: Any) -> tuple[Any, Any, int]:
    """Labels and image on the disk, written slab by slab: ellipses, one in each cell."""
    import zarr

    ndim = len(shape)
    cells = (cell,) * ndim if isinstance(cell, int) else cell
    chunks = tuple(min(n, 256 if i >= ndim - 2 else 8) for i, n in enumerate(shape))
    place = folder / f"{'x'.join(map(str, (*shape, *cells)))}.zarr"
    if not place.exists():
        group = zarr.open_group(place, mode="w")
        labels = group.create_array("labels", shape=shape, chunks=chunks, dtype=np.int32)
        image = group.create_array("image", shape=shape, chunks=chunks, dtype=np.uint16)
        rng = np.random.default_rng(0)
        one = np.zeros(cells, bool)
        flat = one if ndim == 2 else one[0]
        rows, columns = ellipse(
            (cells[-2] - 1) / 2, (cells[-1] - 1) / 2, cells[-2] * 0.45, cells[-1] * 0.38, flat.shape
        )
        flat[rows, columns] = True
        if ndim == 3:
            one[1:-1] = flat
        counts = [n // c for n, c in zip(shape, cells, strict=True)]
        numbers = np.arange(1, np.prod(counts) + 1, dtype=np.int32).reshape(counts)
        for slab in range(counts[0]):
            part = np.kron(numbers[slab][None], one.astype(np.int32))
            block = np.zeros((cells[0], *shape[1:]), np.int32)
            block[tuple(slice(0, n) for n in part.shape)] = part
            at = slice(slab * cells[0], (slab + 1) * cells[0])
            labels[at] = block
            noise = rng.integers(0, 200, block.shape, dtype=np.uint16)
            image[at] = noise + 400 * (block > 0).astype(np.uint16)
    group = zarr.open_group(place, mode="r")
    return (
        group["labels"],
        group["image"],
        int(np.prod([n // c for n, c in zip(shape, cells, strict=True)])),
    )


def peak_mb() -> float:
    """Most memory that this process held at a time, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def run(name: str, folder: Path) -> dict[str, Any]:
    """Measure a case in this process."""
    import napari_unet as nu

    case = dict(CASES[name])
    labels, image, count = make_arrays(folder, case.pop("shape"), case.pop("cell"))
    axes = "ZYX"[-labels.ndim :]
    size = (1.0, 0.5, 0.5)[-labels.ndim :]
    nu.measure(np.ones((2,) * labels.ndim, np.int32), axes=axes, properties=["area"])  # imports
    before, began, cpu = peak_mb(), time.perf_counter(), time.process_time()
    pictured = None if case.get("properties") == ["neighbours"] else image
    table = nu.measure(labels, pictured, axes=axes, pixel_size=size, **case)
    if len(table) != count:
        raise SystemExit(f"{len(table)} objects instead of {count}")
    return {
        "case": name,
        "shape": list(labels.shape),
        "objects": len(table),
        "columns": len(table.columns),
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "table_mb": float(table.memory_usage(index=False).sum() / 1e6),
        "before_mb": before,
        "peak_mb": peak_mb(),
        "checksum": float(np.nansum(table.iloc[:, 1:].to_numpy(float))),
    }


def main() -> None:
    """Run the cases, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "measuring")
    parser.add_argument("--here", action="store_true", help="in this process")
    parser.add_argument("cases", nargs="*", metavar="CASE")
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    if options.here:
        print(json.dumps(run(options.cases[0], options.scratch)))
        return
    print(
        "| case | pixels | objects | columns | s | µs an object | table, MB | peak - before, MB |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in options.cases or [name for name in CASES if name != "warm-up"]:
        make = CASES[name]
        make_arrays(options.scratch, make["shape"], make["cell"])
        done = subprocess.run(
            [sys.executable, __file__, "--scratch", str(options.scratch), "--here", name],
            capture_output=True,
            text=True,
            check=True,
        )
        it = json.loads(done.stdout)
        cells = (
            it["case"],
            " x ".join(map(str, it["shape"])),
            f"{it['objects']:,}",
            it["columns"],
            f"{it['cpu']:.1f}",
            f"{it['cpu'] / it['objects'] * 1e6:.1f}",
            f"{it['table_mb']:.0f}",
            f"{it['peak_mb'] - it['before_mb']:.0f}",
        )
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
