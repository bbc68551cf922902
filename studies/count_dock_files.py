"""Count the files of the package that a run of the dock "Segment" enters, up to its layer.

    bash scripts/with_display.sh python studies/count_dock_files.py

A run warms everything up and its labels are removed. Then Run is pressed again, and every file
that has a function called is listed, in the thread of the viewer and in the worker, until the
viewer inserts the layer.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from napari.components import ViewerModel  # noqa: TID251
from qtpy.QtCore import QThreadPool  # noqa: TID251
from qtpy.QtWidgets import QApplication  # noqa: TID251

import napari_unet
from napari_unet.samples import load_sample

ROOT = Path(napari_unet.__file__).parent
LONGEST_WAIT_S = 300


def wait_until(condition: Callable[[], bool]) -> None:
    """Process events of the window until a condition holds."""
    end = time.monotonic() + LONGEST_WAIT_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("The dock did not come to rest.")
        QApplication.processEvents()
        time.sleep(0.005)


def count_files() -> dict[str, set[str]]:
    """The functions that a run calls, by file."""
    from napari_unet.widgets.segment import SegmentWidget

    viewer = ViewerModel()
    dock = SegmentWidget(viewer)  # type: ignore[arg-type]
    for event in ("inserted", "removed"):
        getattr(viewer.layers.events, event).connect(dock.reset_choices)
    viewer.add_image(load_sample("nuclei_2d").image[:128, :128], name="nuclei")
    wait_until(lambda: dock.warm and bool(dock.bar.cost.value))
    dock.bar.run.native.click()
    wait_until(lambda: not dock.runner.running)
    viewer.layers.remove("nuclei labels")
    dock.bar.cost.value = ""
    wait_until(lambda: bool(dock.bar.cost.value))  # else the estimate is counted too

    found: dict[str, set[str]] = {}

    def record(frame: Any, event: str, _: Any) -> None:
        file = Path(frame.f_code.co_filename)
        if event == "call" and file.is_relative_to(ROOT):
            found.setdefault(str(file.relative_to(ROOT)), set()).add(frame.f_code.co_name)

    start = dock.runner.start

    def start_recorded(make: Callable[[], Generator[Any, None, Any]], title: str) -> None:
        def job() -> Generator[Any, None, Any]:
            sys.setprofile(record)  # in the worker thread
            try:
                return (yield from make())
            finally:
                sys.setprofile(None)

        start(job, title)

    dock.runner.start = start_recorded  # type: ignore[method-assign]
    viewer.layers.events.inserting.connect(lambda _: sys.setprofile(None))
    sys.setprofile(record)
    dock.bar.run.native.click()
    wait_until(lambda: not dock.runner.running)
    sys.setprofile(None)
    QThreadPool.globalInstance().waitForDone(10_000)
    return found


if __name__ == "__main__":
    application = QApplication([])
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("CONFIG", "MODELS", "STATE"):
            os.environ[f"NAPARI_UNET_{name}"] = str(Path(scratch) / name.lower())
        files = count_files()
    for file, functions in files.items():
        print(f"{file}: {', '.join(sorted(functions))}")
    print(f"{len(files)} files")
