"""The dock "Correct" and run records: its corrections as one, and one made again in the viewer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.correction.journal import repeat_entries
from napari_unet.errors import InputError
from napari_unet.replay.correcting import CorrectRun, iter_largest
from napari_unet.replay.kept_arrays import HeldArray
from napari_unet.replay.records import read_run_of_kind
from napari_unet.widgets.correct.journal import split_history

if TYPE_CHECKING:
    from napari_unet.widgets.correct.session import CorrectionSession


def draft_of(session: CorrectionSession) -> dict[str, Any]:
    """The record of the corrections of the active layer since its last stroke of the brush.

    Raises
    ------
    InputError
        If there is no layer, its labels are on disk, or there are no corrections.
    """
    target = session.target
    if target is None:
        raise InputError(session.problem, "select one", code="no-labels")
    layer = target.layer
    if not isinstance(layer.data, np.ndarray):
        raise InputError(
            f"‘{layer.name}’ is corrected on disk, where nothing is left of the labels before",
            "repeat its corrections on a new prediction by the button above",
        )
    labels, entries = split_history(layer)
    if not entries:
        raise InputError(
            f"‘{layer.name}’ has no corrections that can be repeated",
            "correct something first; strokes of the brush are no part of it",
        )
    return {
        "operation": "correct",
        "labels": HeldArray(labels, layer.name, as_labels=True),
        "entries": entries,
        "axes": target.axes,
        "pixel_size": None if target.spacing is None else list(target.spacing),
        "name": "".join(c if c.isalnum() or c in "-_ " else "_" for c in layer.name),
    }


def take_over(path: Path, session: CorrectionSession) -> str:
    """Open the labels of a record, and make its corrections, each one step of undo.

    Returns
    -------
    str
        What is to be said of it.

    Raises
    ------
    UNetError
        If it is no record of corrections, or its labels are gone or have changed.
    """
    run = read_run_of_kind(path, CorrectRun)
    labels = np.array(run.labels.open().array)
    sizes = iter(run.pixel_size or ())
    scale = [next(sizes) if run.pixel_size and axis in "ZYX" else 1.0 for axis in run.axes]
    units = ["um" if run.pixel_size and axis in "ZYX" else "pixel" for axis in run.axes]
    layer = session.viewer.add_labels(
        labels, name=run.name, scale=scale, units=units, axis_labels=list(run.axes.lower())
    )
    session.viewer.layers.selection.active = layer
    target = session.target
    if target is None:
        raise InputError(session.problem, "select the layer")
    largest = iter_largest(run.entries, target.labels)
    misfits = repeat_entries(
        run.entries,
        lambda: replace(target.scene, largest=next(largest)),
        session.write,
        same_numbers=True,
    )
    done = len(run.entries) - len(misfits)
    text = f"As in {path.name}: {done} of {len(run.entries)} corrections were made."
    return f"{text} These do not fit: {'; '.join(map(str, misfits))}." if misfits else text
