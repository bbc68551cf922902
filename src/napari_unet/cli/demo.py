"""The main job on the bundled images: what ``napari-unet demo`` does."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.cli.bars import run_with_bar
from napari_unet.cli.printing import print_result, say
from napari_unet.image.overlay import draw_overlay
from napari_unet.inference.segmentation import iter_segmentation
from napari_unet.io import atomic_path, write_labels
from napari_unet.io.folders import check_writable
from napari_unet.metrics import evaluate
from napari_unet.network.model import Model
from napari_unet.samples import Sample, load_sample

# real images, each with the model for its kind, which was not trained on it
SAMPLES = {"nuclei_2d": "nuclei", "histology": "nuclei-histology", "nuclei_3d": "nuclei"}
QT_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")


def run_demo(folder: Path, *, window: bool = True) -> int:
    """Segment the SAMPLES, compare them with their truth, write the results.

    Parameters
    ----------
    folder : Path
        Gets ``*_labels.tif``, the run records ``*_labels.json`` and ``*_overlay.png``.
    window : bool
        Open napari on the results where there is a display.
    """
    check_writable(folder)
    shown: list[Path] = []
    for name, model in SAMPLES.items():
        sample = load_sample(name)
        job = iter_segmentation(sample.image, Model.load(model), axes=sample.axes)
        result = run_with_bar(job)
        scores = evaluate(result.labels, sample.truth, task="instance")
        path = write_labels(
            folder / f"{name}_labels.tif",
            result.labels,
            axes=result.axes,
            pixel_size=None,
            record={**result.record, "source": sample.source, "scores": scores.as_dict()},
        )
        _write_png(folder / f"{name}_overlay.png", sample, result.labels)
        record = result.record
        true = len(np.unique(sample.truth)) - 1
        print_result(
            f"{name}, {model}: {record['objects']} objects in {record['seconds']:.1f} s, "
            f"{true} in the truth, AP at IoU 0.5: {scores.ap[0.5]:.3f}",
            source=name,
            model=model,
            output=path,
            objects=record["objects"],
            objects_in_truth=true,
            ap=scores.ap[0.5],
            seconds=record["seconds"],
        )
        if sample.path is not None:
            shown += [sample.path, path]
    say(f"written to {folder.resolve()}")
    if window:
        _open_window(shown)
    return 0


def _open_window(shown: Sequence[Path]) -> None:
    """Open napari in a process of its own, where it can be."""
    if not _has_display():
        return
    if not _is_installed("napari") or not any(map(_is_installed, QT_BINDINGS)):
        say('napari opens the results once it is installed with: pip install "napari[pyqt6]"')
        return
    command = [sys.executable, "-m", "napari_unet.widgets.show_results", *map(str, shown)]
    # it outlives the command, and does not keep a pipe open that the command writes to
    subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    say("opening napari")


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _write_png(path: Path, sample: Sample, labels: NDArray[Any]) -> None:
    """The overlay of a plane; of a stack, of planes side by side."""
    from PIL import Image

    image = sample.image
    if sample.axes == "YXC":
        picture = draw_overlay(np.moveaxis(image, -1, 0), labels, in_colour=True)
    elif image.ndim == 2:
        picture = draw_overlay(image, labels)
    else:
        planes = np.linspace(0, len(image) - 1, 6).round().astype(int)[1:-1]
        picture = np.concatenate([draw_overlay(image[z], labels[z]) for z in planes], axis=1)
        picture = picture.repeat(3, axis=0).repeat(3, axis=1)
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, "PNG")


def _has_display() -> bool:
    windows = ("win32", "darwin")
    return sys.platform in windows or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
