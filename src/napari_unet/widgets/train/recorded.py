"""The dock "Train" and run records: what it would train as one, and one taken over into it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels

from napari_unet.image.given import FILE_KEY, origin_of_layer
from napari_unet.image.identity import differ, identify
from napari_unet.io.naming import plain_stem
from napari_unet.replay.records import describe_taken, read_run_of_kind
from napari_unet.replay.references import ArrayReference
from napari_unet.replay.training import (
    ExampleOrigin,
    ExampleReference,
    TrainRun,
    describe_training,
)
from napari_unet.widgets.annotation.marks import Marks, marks_of, set_marks
from napari_unet.widgets.viewer.layer_image import shape_of

if TYPE_CHECKING:
    from napari import Viewer

    from napari_unet.widgets.train.form import TrainForm
    from napari_unet.widgets.train.request import TrainingRequest


def draft_of(request: TrainingRequest) -> dict[str, Any]:
    """The record of what a request would train; painted labels as they are at this moment."""
    origins = [
        ExampleOrigin(
            each.image.origins,
            {} if each.labels_file is None else {"path": each.labels_file},
            each.image.name,
            each.labels_name,
        )
        for each in request.layers
    ]
    examples = request.examples(copy=True)
    return describe_training(examples, request.base, request.config, origins=origins)


def take_over(path: Path, form: TrainForm, viewer: Viewer) -> str:
    """Fill the form from a record, and open its examples where no layers show them.

    Returns
    -------
    str
        What is to be said of it.

    Raises
    ------
    UNetError
        If it is no record of a training, its base is not here, or its examples are gone or have
        changed.
    """
    run = read_run_of_kind(path, TrainRun)
    base = None
    if run.base is not None:
        base = str(run.base.find_to_choose())
    settings = run.config.model_dump(mode="json", exclude_defaults=True)
    settings.pop("task", None)
    layers = [_open_example(each, viewer) for each in run.examples]
    form.set_values({"task": run.config.task, "base": base, "settings": settings})
    if run.config.task != "regression":
        for image, labels in layers:
            form.take(image, labels)
    form.set_values({"task": run.config.task, "base": base, "settings": settings})
    left = [
        name
        for name in settings
        if name not in form.settings.rows and name not in ("minutes", "steps", "classes")
    ]
    return describe_taken(path, left, "; look at where the labels count")


def _open_example(example: ExampleReference, viewer: Viewer) -> tuple[Any, Any]:
    """Layers of an image and its labels; those that are there, else new ones."""
    opened = example.open()
    images = opened.image if isinstance(opened.image, list) else [opened.image]
    axes = example.axes or ""
    image, labels = (
        _layer(kind, reference, array, axes if kind is Image else axes.replace("C", ""), viewer)
        for kind, reference, array in (
            (Image, example.image[0], images[0]),
            (Labels, example.labels, np.asarray(opened.labels)),
        )
    )
    parts = [each for each in example.region if not isinstance(each, str)]
    if isinstance(labels, Labels) and marks_of(labels) is None and not parts:
        known = example.axes.replace("C", "") if example.axes else ""
        background = example.background
        set_marks(labels, Marks("", known, background=background))
    return image, labels


def _layer(kind: Any, reference: ArrayReference, array: Any, axes: str, viewer: Viewer) -> Any:
    for layer in viewer.layers:
        if not isinstance(layer, kind) or layer.multiscale:
            continue
        origin = origin_of_layer(layer).get("path")
        if origin == reference.path and shape_of(layer) == tuple(array.shape):
            return layer
        if shape_of(layer) == tuple(array.shape) and not differ(
            identify(layer.data), reference.model_dump()
        ):
            return layer
    rgb = kind is Image and axes.endswith("C") and array.shape[-1] in (3, 4)
    names = axes[:-1] if rgb else axes
    fits = len(names) == array.ndim - rgb
    arguments: dict[str, Any] = {
        "name": plain_stem(Path(str(reference.path))),
        "metadata": {FILE_KEY: reference.path},
        **({"axis_labels": tuple(names.lower())} if fits else {}),
    }
    if kind is Image:
        return viewer.add_image(array, rgb=rgb, **arguments)
    return viewer.add_labels(np.array(array), **arguments)
