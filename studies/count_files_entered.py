"""Count the source files that a call passes through on its way to the result.

The fewer files a reader has to open to follow one job, the easier it is to change. Counted are
the files of the package in which a function is called between the start of the job and its
result, after a first run (imports, compilation and caches do not count), and the turns back: the
distinct steps from a file to another one that was entered before. Compiled kernels are no Python
calls and do not count. "Without the vocabulary" leaves out the modules that every other one uses
(axes, card, errors, installation, progress, settings, tiling, unet_config). Of the dock, what the
viewer does with the finished layer does not count, nor does the estimate of the time.

    python studies/count_files_entered.py            # all jobs; the docks need a display
    python studies/count_files_entered.py segment -v # one job, its files in order
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import napari_unet as nu
from napari_unet.samples import load_sample

PACKAGE = Path(nu.__file__).parent
VOCABULARY = (
    "axes",
    "card",
    "errors",
    "installation",
    "progress",
    "settings",
    "tiling",
    "unet_config",
)


class Recorder:
    """Notes in which files functions are called, in order."""

    def __init__(self) -> None:
        self.visits: list[str] = []

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """Take note of an event, as `sys.setprofile` tells it."""
        del argument
        code = frame.f_code
        path = Path(code.co_filename)
        if event != "call" or not path.is_relative_to(PACKAGE):
            return
        name = path.relative_to(PACKAGE).with_suffix("").as_posix()
        module = sys.modules.get(f"{nu.__name__}.{name.replace('/', '.')}")
        if hasattr(getattr(module, code.co_name, None), "py_func"):
            return  # a kernel of numba, which shows itself to profilers
        if not self.visits or self.visits[-1] != name:
            self.visits.append(name)

    @property
    def files(self) -> list[str]:
        """The files, in the order in which they were first entered."""
        return list(dict.fromkeys(self.visits))

    @property
    def turns_back(self) -> int:
        """Distinct steps to a file that was entered before the one that is left."""
        order = {name: number for number, name in enumerate(self.files)}
        steps = set(zip(self.visits, self.visits[1:], strict=False))
        return sum(order[after] < order[before] for before, after in steps)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record what happens in this thread, and in those that are started meanwhile."""
        threading.setprofile(self)
        sys.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)


def run_segment(recorder: Recorder) -> None:
    """`segment` on a sample, from the call to the labels."""
    sample, model = load_sample("nuclei_2d"), nu.Model.load("nuclei")
    nu.segment(sample.image, model, axes=sample.axes)
    with recorder.recording():
        nu.segment(sample.image, model, axes=sample.axes)


def run_segment_by_name(recorder: Recorder) -> None:
    """The same with the name of a model, which is read from its file."""
    sample = load_sample("nuclei_2d")
    nu.segment(sample.image, "nuclei", axes=sample.axes)
    with recorder.recording():
        nu.segment(sample.image, "nuclei", axes=sample.axes)


def run_dock(recorder: Recorder) -> None:
    """The dock "Segment", from the button Run to the layer with the labels."""
    import napari  # noqa: TID251 - the docks are measured in a viewer
    from qtpy.QtWidgets import QApplication  # noqa: TID251

    from napari_unet.widgets.qt.job import JobRunner
    from napari_unet.widgets.segment import SegmentWidget

    viewer = napari.Viewer(show=False)
    viewer.add_image(load_sample("nuclei_2d").image, name="nuclei")
    dock = SegmentWidget(viewer)

    def wait_until(ready: Callable[[], bool]) -> None:
        while not ready():
            QApplication.processEvents()

    wait_until(lambda: dock.warm)
    dock.reset_choices()
    viewer.layers.events.inserting.connect(lambda: sys.setprofile(None))

    def press_run() -> None:
        dock.bar.run.native.click()
        wait_until(lambda: not dock.runner.running)

    press_run()  # the first run compiles
    viewer.layers.remove("nuclei labels")
    dock.bar.cost.value = ""
    wait_until(lambda: bool(dock.bar.cost.value))
    start = JobRunner.start

    def start_recorded(self: JobRunner, make_job: Callable[[], Any], title: str) -> None:
        def job() -> Any:
            sys.setprofile(recorder)  # Qt's threads do not ask `threading`
            return (yield from make_job())

        start(self, job, title)

    JobRunner.start = start_recorded  # type: ignore[method-assign]
    try:
        with recorder.recording():
            press_run()
    finally:
        JobRunner.start = start  # type: ignore[method-assign]
    assert "nuclei labels" in viewer.layers
    viewer.close()


def run_stroke(recorder: Recorder) -> None:
    """A stroke on a Labels layer, from the paint to the loss of the first step."""
    _paint_and_train(recorder, while_training=False)


def run_stroke_while_training(recorder: Recorder) -> None:
    """The same in mid-training, from the paint to the loss of the next step."""
    _paint_and_train(recorder, while_training=True)


def _paint_and_train(recorder: Recorder, *, while_training: bool) -> None:
    from napari.layers import Labels  # noqa: TID251

    from napari_unet.widgets.annotation.snapshot import snapshot

    sample = load_sample("nuclei_2d")
    layer = Labels(np.array(sample.truth))
    settings = {"features": (4, 8), "patch": (64, 64), "device": "cpu", "precision": "float32"}

    def example() -> nu.Example:
        labels, region, background = snapshot(layer, "all")
        return nu.Example(sample.image, labels, region, background, axes=sample.axes)

    def start() -> Any:
        return nu.iter_train([example()], steps=9, validation_every=9, **settings)

    job = start()
    next(job)  # imports, compilation and caches
    with recorder.recording():
        layer.paint((20, 20), 5)
        if while_training:
            job.send(nu.MoreLabels([example()]))
        else:
            next(start())
    last = max(i for i, name in enumerate(recorder.visits) if name == "training/losses")
    recorder.visits = recorder.visits[: last + 1]
    job.close()


JOBS: dict[str, tuple[Callable[[Recorder], None], int]] = {
    "segment": (run_segment, 14),
    "segment-by-name": (run_segment_by_name, 14),
    "dock": (run_dock, 20),
    "stroke": (run_stroke, 25),
    "stroke-while-training": (run_stroke_while_training, 25),
}


def main() -> None:
    """Count, and print a line for each job."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("jobs", nargs="*", metavar="job", help=f"of {', '.join(JOBS)}; all")
    parser.add_argument("-v", "--verbose", action="store_true", help="name the files, in order")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for folder in ("CONFIG", "MODELS", "STATE"):  # not those of the user
            os.environ[f"NAPARI_UNET_{folder}"] = str(Path(scratch) / folder.lower())
        _count(options)


def _count(options: argparse.Namespace) -> None:
    for name in options.jobs or JOBS:
        run, aim = JOBS[name]
        recorder = Recorder()
        run(recorder)
        files = recorder.files
        rest = [file for file in files if file not in VOCABULARY]
        print(
            f"{name}: {len(files)} files entered (aim: {aim}), {len(rest)} without the "
            f"vocabulary, {recorder.turns_back} turns back"
        )
        for file in files if options.verbose else ():
            print(f"  {file}")


if __name__ == "__main__":
    main()
