"""Time and peak memory of exporting a million objects; writes docs/results/export.md.

``python studies/measure_export.py FOLDER [FORMAT ...]``: each format is written by a process of its
own, from a zarr array. What a process holds by itself is measured too, with a small volume.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

PAGE = Path(__file__).parents[1] / "docs" / "results" / "export.md"
FORMATS = ("tif", "ome.tif", "ome.zarr", "coco", "geojson", "roi")
ENDINGS = {"coco": ".json", "roi": ".zip"}
SHAPES = {"small": (1, 64, 64), "million": (64, 1024, 1024)}
SIDE = 8  # pixels of an object; each lies in one plane

HEAD = """\
# Exporting a million objects

64 × 1024 × 1024 pixels of uint32 (268 MB) in a zarr array with chunks of 16 × 256 × 256, with
1,048,576 objects of 8 × 8 pixels that touch each other, each in one plane. Every format is written
by a process of its own with one thread, `nu.export(array, path, axes="ZYX")`, on a machine that
others use: seconds are an upper bound. "Above the start" is the peak (`VmHWM`) less that of the
same export of one plane of 64 × 64 pixels, which is what Python and the libraries take.

| format | file, MB | seconds | peak, MB | above the start, MB |
| --- | --- | --- | --- | --- |
"""
TAIL = """
Label images are read and written a slab of chunks (here 67 MB) at a time, COCO and GeoJSON entry
by entry, one plane of outlines in memory. A zip file's directory names every region and is written
at its end, so that memory grows by about 600 bytes per region. Cellpose's `_seg.npy` is one
pickled array and is held whole. Tables are measured block by block, but all rows are held; neither
was measured here.

Made by `studies/measure_export.py`.
"""


def make_volume(path: Path, size: str) -> None:
    """A volume of objects that touch."""
    import zarr

    depth, height, width = SHAPES[size]
    array = zarr.create_array(
        str(path),
        shape=(depth, height, width),
        chunks=(min(16, depth), min(256, height), min(256, width)),
        dtype=np.uint32,
    )
    rows, columns = height // SIDE, width // SIDE
    grid = np.arange(rows * columns, dtype=np.uint32).reshape(rows, columns)
    plane = np.kron(grid, np.ones((SIDE, SIDE), np.uint32))
    for start in range(0, depth, 16):
        planes = range(start, min(start + 16, depth))
        array[start : planes.stop] = np.stack([plane + 1 + z * grid.size for z in planes])


def export_and_tell(source: Path, target: Path, kind: str) -> None:
    """Export in this process, and print what it took."""
    import zarr

    import napari_unet as nu

    array = zarr.open_array(source, mode="r")
    start = time.perf_counter()
    path = nu.export(array, target, format=kind, axes="ZYX")
    seconds = time.perf_counter() - start
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    size = sum(p.stat().st_size for p in files)
    # not ru_maxrss, which begins with what the process held that started this one
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = 1024 * int(next(x for x in status.splitlines() if x.startswith("VmHWM")).split()[1])
    print(json.dumps({"seconds": seconds, "bytes": size, "peak": peak}))


def measure(folder: Path, size: str, kind: str) -> dict[str, float]:
    """The export of a volume, in a process of its own."""
    source = folder / f"{size}.zarr"
    if not source.exists():
        make_volume(source, size)
    target = folder / f"{size}{ENDINGS.get(kind, f'.{kind}')}"
    target = target.with_name(f"out_{target.name}")
    command = [sys.executable, __file__, "--one", str(source), str(target), kind]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("formats", nargs="*", default=FORMATS)
    parser.add_argument("--one", nargs=3, metavar=("SOURCE", "TARGET", "FORMAT"))
    options = parser.parse_args()
    if options.one:
        source, target, kind = options.one
        export_and_tell(Path(source), Path(target), kind)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for kind in options.formats:
        least, found = (measure(options.folder, size, kind) for size in SHAPES)
        cells = (
            f"`{kind}`",
            f"{found['bytes'] / 1e6:.0f}",
            f"{found['seconds']:.0f}",
            f"{found['peak'] / 1e6:.0f}",
            f"{(found['peak'] - least['peak']) / 1e6:.0f}",
        )
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    PAGE.write_text(HEAD + "\n".join(rows) + "\n" + TAIL, encoding="utf-8")


if __name__ == "__main__":
    main()
