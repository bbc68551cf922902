"""How long the dock Measure takes with very many objects, and how long the window stands still.

    bash scripts/with_display.sh python studies/benchmark_measure_dock.py [OBJECTS ...]

The figures stand in docs/results/measure.md.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari  # noqa: TID251
import numpy as np
from qtpy.QtWidgets import QApplication  # noqa: TID251

PLUGIN = "napari-unet-torch"
SQUARE = np.pad(np.ones((6, 6), np.int32), 1)  # an object and its background


def measure_dock(count: int) -> None:
    """Print the seconds of each thing that a user does with so many objects."""
    side = int(np.ceil(np.sqrt(count)))
    numbers = np.arange(1, side * side + 1, dtype=np.int32).reshape(side, side)
    labels = np.kron(numbers, SQUARE)
    image = np.random.default_rng(0).integers(0, 255, labels.shape).astype(np.uint8)
    viewer = napari.Viewer()
    viewer.add_image(image, name="image")
    viewer.add_labels(labels, name="labels")
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Measure")
    QApplication.processEvents()
    dock.bar.run.native.click()
    start, stall = time.perf_counter(), 0.0
    while dock.runner.running:
        stall = max(stall, _seconds(QApplication.processEvents))
        time.sleep(0.005)
    print(f"{len(dock.result):,} objects")
    print(f"measured and shown | {time.perf_counter() - start:.1f}")
    print(f"longest time that the window stood still meanwhile | {stall:.1f}")
    panel = dock.panel
    with tempfile.TemporaryDirectory() as folder:
        for what, act in {
            "sorted": lambda: panel.table.model.sort(3),
            "filtered": lambda: panel.table.filter.setText("intensity_mean > 128"),
            "scatter plot": lambda: panel.plot.plot("area", "intensity_mean"),
            "half of them chosen in the plot": lambda: panel.plot._tell(panel.table.shown),
            "gone to one": lambda: panel.table.view.selectRow(3),
            "coloured": lambda: panel.colour.setCurrentText("intensity_mean"),
            "saved as CSV, in the background": lambda: _save(dock, Path(folder) / "t.csv"),
        }.items():
            print(f"{what} | {_seconds(act):.1f}", flush=True)
    viewer.close()


def _seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    QApplication.processEvents()
    return time.perf_counter() - start


def _save(dock: object, path: Path) -> None:
    dock._save(path)  # type: ignore[attr-defined]
    while dock.saver.running:  # type: ignore[attr-defined]
        QApplication.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    for argument in sys.argv[1:] or ["100000", "1000000"]:
        measure_dock(int(argument))
