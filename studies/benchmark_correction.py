"""How long each correction takes, in milliseconds, with its writing and its undo.

    OMP_NUM_THREADS=1 python studies/benchmark_correction.py
    OMP_NUM_THREADS=1 python studies/benchmark_correction.py --layers > docs/results/correction.md

With ``--layers`` each change is made in a Labels layer of napari, as the dock Correct does it: with
the step of undo and the update of the layer. A zarr array is edited by windows there, and written
by a thread, whose time does not count. The list of 10,000 objects is made as the dock makes it.

On 2048 x 2048 and 64 x 512 x 512 pixels, in memory and in a zarr array, with a point in the
object known: a disk of radius 30, an ellipsoid of 15 x 30 x 30. The best of five runs.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from napari_unet.correction.change import Change
from napari_unet.correction.component import detach_component
from napari_unet.correction.drawing import draw_stroke
from napari_unet.correction.interpolation import interpolate_planes
from napari_unet.correction.line_split import split_by_line
from napari_unet.correction.merging import delete_object, merge_objects
from napari_unet.correction.outline import fill_holes, grow_object, shrink_object, smooth_object
from napari_unet.correction.seed_split import split_by_seeds

CASES = {
    (2048, 2048): ((1000, 1000), (30, 30)),
    (64, 512, 512): ((32, 250, 250), (15, 30, 30)),
}
RUNS = 5
OBJECTS = 10_000


def main() -> None:
    """Print a line per tool, shape and kind of array."""
    for shape, (center, radii) in CASES.items():
        for kind in ("numpy", "zarr"):
            for name, labels, tool in list_tools(shape, center, radii, kind):
                print(f"{shape} {kind:5} {name:16} {1000 * measure(labels, tool):7.1f} ms")


def print_layers() -> None:
    """Print a table of the times in a layer."""
    rows: dict[tuple[tuple[int, ...], str], dict[str, float]] = {}
    for shape, (center, radii) in CASES.items():
        for kind in ("numpy", "zarr"):
            for name, labels, tool in list_tools(shape, center, radii, "numpy"):
                seconds = measure_in_layer(labels, tool, kind)
                rows.setdefault((shape, kind), {})[name] = 1000 * seconds
    print("# How long a correction takes\n")
    print("Milliseconds on the clock from the tool to the updated layer, the best of five runs on")
    print("two cores without other load. `studies/benchmark_correction.py --layers` measures it.\n")
    heads = [f"{' x '.join(map(str, shape))}, {kind}" for shape, kind in rows]
    print("| tool | " + " | ".join(heads) + " |")
    print("| --- |" + " ---: |" * len(heads))
    for name in dict.fromkeys(name for row in rows.values() for name in row):
        times = [f"{row[name]:.1f}" if name in row else "" for row in rows.values()]
        print(f"| {name} | " + " | ".join(times) + " |")
    print("\n# How long the list of objects takes\n")
    print("Milliseconds on the clock, in the background, for 10,000 objects, and to order them.\n")
    print("| labels | with scores | list | order |\n| --- | --- | ---: | ---: |")
    for shape in CASES:
        labels = draw_boxes(shape)
        for scores in (None, np.random.default_rng(0).random(shape, np.float32)):
            listing, ordering = measure_list(labels, scores)
            known = "no" if scores is None else "yes"
            size = " x ".join(map(str, shape))
            print(f"| {size} | {known} | {1000 * listing:.0f} | {1000 * ordering:.1f} |")


def measure_list(labels: np.ndarray, scores: Any) -> tuple[float, float]:
    """Seconds to look at all objects, and to put them into all orders."""
    from napari_unet.evaluation.review_order import ORDERS, rank_objects
    from napari_unet.progress import drain
    from napari_unet.widgets.annotation.marks import Marks
    from napari_unet.widgets.correct.review_survey import look_through

    axes, times = "ZYX"[-labels.ndim :], []
    for _ in range(RUNS):
        start = time.perf_counter()
        job = look_through(labels, axes, Marks("", axes), lambda _: scores, None, [], labels.shape)
        found = drain(job)
        middle = time.perf_counter()
        for order in ORDERS:
            if order != "confidence" or scores is not None:
                rank_objects(found.survey, order)
        times.append((middle - start, time.perf_counter() - middle))
    assert len(found.survey) == OBJECTS
    return min(times)


def draw_boxes(shape: tuple[int, ...]) -> np.ndarray:
    """Labels of 10,000 boxes."""
    counts = (100, 100) if len(shape) == 2 else (4, 50, 50)
    numbers = np.arange(1, OBJECTS + 1, dtype=np.int32).reshape(counts)
    steps = [size // count for size, count in zip(shape, counts, strict=True)]
    box = np.zeros(steps, np.int32)
    box[tuple(slice(0, (3 * step) // 4) for step in steps)] = 1
    found = np.kron(numbers, box)
    return np.pad(found, [(0, n - m) for n, m in zip(shape, found.shape, strict=True)])


def measure_in_layer(labels: np.ndarray, tool: Callable[[Any], Change], kind: str) -> float:
    """Seconds from a tool until its change is in a layer."""
    from napari.layers import Labels  # noqa: TID251

    from napari_unet.recovery.stored_array import StoredArray
    from napari_unet.widgets.correct.history import write_change

    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_UNET_STATE"] = str(Path(folder, "state"))
        data: Any = labels
        if kind == "zarr":
            chunks = (512, 512) if labels.ndim == 2 else (32, 512, 512)  # as runs write them
            path = Path(folder, "labels.zarr")
            array = zarr.create_array(path, shape=labels.shape, dtype="int32", chunks=chunks)
            array[:] = labels
            data = StoredArray(path)
        layer = Labels(data)
        for _ in range(RUNS):
            start = time.perf_counter()
            write_change(layer, tool(layer.data))
            seconds.append(time.perf_counter() - start)
            layer.undo()
            if kind == "zarr":
                data.flush()
        if kind == "zarr":
            data.close()
    return min(seconds)


def measure(labels: Any, tool: Callable[[Any], Change]) -> float:
    """Seconds of CPU for a change, its writing and its undo."""
    seconds = []
    for _ in range(RUNS):
        start = time.process_time()
        change = tool(labels)
        change.apply(labels)
        change.revert(labels)
        seconds.append(time.process_time() - start)
    return min(seconds)


def list_tools(
    shape: tuple[int, ...], center: tuple[int, ...], radii: tuple[int, ...], kind: str
) -> list[tuple[str, Any, Callable[[Any], Change]]]:
    """Name, labels and call of each tool."""
    other = (*center[:-1], center[-1] + 50)
    apart = np.zeros(shape, np.int32)
    apart[draw_ball(shape, center, radii)] = 7
    apart[draw_ball(shape, other, radii) & (apart == 0)] = 8
    merged = np.where(apart == 8, 7, apart)
    pieces = merged.copy()
    pieces[..., center[-1] + 24 : center[-1] + 27] = 0
    x = center[-1] + 25
    line = [(*center[:-2], center[-2] + y, x) for y in (-60, 60)]
    way = [center[-2:], (center[-2] + 200, center[-1] + 200)]
    tools: list[tuple[str, np.ndarray, Callable[[Any], Change]]] = [
        ("merge", apart, lambda a: merge_objects(a, 7, 8, near=other)),
        ("delete", apart, lambda a: delete_object(a, 7, near=center)),
        ("delete, searched", apart, lambda a: delete_object(a, 7)),
        ("fill holes", apart, lambda a: fill_holes(a, 7, near=center)),
        ("smooth", apart, lambda a: smooth_object(a, 7, near=center)),
        ("grow", apart, lambda a: grow_object(a, 7, near=center)),
        ("shrink", apart, lambda a: shrink_object(a, 7, near=center)),
        ("split by seeds", merged, lambda a: split_by_seeds(a, 7, [center, other], largest=8)),
        ("split by a line", merged, lambda a: split_by_line(a, 7, line, largest=8)),
        ("take off", pieces, lambda a: detach_component(a, center, largest=8)),
        ("draw a stroke", apart, lambda a: draw_stroke(a, 9, way, 10, frame=center[:-2])),
    ]
    if len(shape) == 3:
        planes = apart.copy()
        planes[25:40] = 0
        tools.append(("interpolate", planes, lambda a: interpolate_planes(a, 7, 24, 40)))
    if kind == "numpy":
        return [(name, labels.copy(), tool) for name, labels, tool in tools]
    chunks = (256, 256) if len(shape) == 2 else (16, 128, 128)
    return [(name, zarr.array(labels, chunks=chunks), tool) for name, labels, tool in tools]


def draw_ball(
    shape: tuple[int, ...], center: tuple[int, ...], radii: tuple[int, ...]
) -> np.ndarray:
    """The pixels of an ellipsoid."""
    grid = np.ogrid[tuple(slice(0, size) for size in shape)]
    parts = zip(grid, center, radii, strict=True)
    inside: np.ndarray = sum(((axis - at) / radius) ** 2 for axis, at, radius in parts) <= 1
    return inside


if __name__ == "__main__":
    print_layers() if "--layers" in sys.argv else main()
