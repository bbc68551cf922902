"""The dock "Train" and run records: what it would train as one, and one taken over into it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels

from napari_unet.dataset.correction import CorrectedLabels
from napari_unet.dataset.example import Example
from napari_unet.errors import InputError
from napari_unet.image.given import FILE_KEY, origin_of_layer
from napari_unet.image.identity import differ, identify
from napari_unet.io.naming import plain_stem
from napari_unet.network.files import file_sha256, find_model, model_files
from napari_unet.replay.kept_arrays import HeldArray
from napari_unet.replay.records import read_run
from napari_unet.replay.references import ArrayReference
from napari_unet.replay.training import ExampleReference, TrainRun
from napari_unet.widgets.annotation.marks import Marks, marks_of, set_marks
from napari_unet.widgets.viewer.layer_image import shape_of

if TYPE_CHECKING:
    from napari import Viewer

    from napari_unet.widgets.train.form import TrainForm
    from napari_unet.widgets.train.labelled_layers import LabelledLayers
    from napari_unet.widgets.train.request import TrainingRequest


def draft_of(request: TrainingRequest) -> dict[str, Any]:
    """The record of what a request would train; painted labels as they are at this moment."""
    base = None
    if request.base is not None:
        path = find_model(request.base)
        name = str(request.base) if str(request.base) in model_files() else path.stem
        base = {"name": name, "sha256": file_sha256(path), "path": str(path.absolute())}
    examples = request.examples(copy=True)
    return {
        "operation": "train",
        "base": base,
        "config": request.config.model_dump(mode="json", exclude_defaults=True)
        | {"task": request.config.task},
        "examples": [
            _example(each, example) for each, example in zip(request.layers, examples, strict=True)
        ],
    }


def _example(layers: LabelledLayers, example: Example) -> dict[str, Any]:
    image, labels = layers.image, example.labels
    parts = example.region if isinstance(example.region, tuple) else (example.region,)
    corrected = isinstance(labels, CorrectedLabels)
    origin = {} if layers.labels_file is None else {"path": layers.labels_file}
    as_labels = layers.task != "regression"
    return {
        "image": [
            HeldArray(array, image.name, place)
            for array, place in zip(image.arrays, image.origins, strict=True)
        ],
        "labels": HeldArray(
            np.asarray(labels) if corrected else labels, layers.labels_name, origin, as_labels
        ),
        "correction": labels.correction.as_json() if corrected else None,
        "region": [
            each
            if isinstance(each, str)
            else HeldArray(np.asarray(each), f"{layers.labels_name} known", as_labels=True)
            for each in parts
        ],
        "background": example.background,
        "axes": example.axes,
        "channels": None if example.channels is None else list(example.channels),
        "pixel_size": None if example.pixel_size is None else list(_listed(example.pixel_size)),
    }


def _listed(sizes: Any) -> list[float | None]:
    return list(sizes) if isinstance(sizes, list | tuple) else [sizes]


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
    run = read_run(path)
    if not isinstance(run, TrainRun):
        raise InputError(
            f"{path.name} is the record of another kind of run ({run.operation})",
            "open it in the dock of its kind, or repeat it by napari-unet run",
        )
    base = None
    if run.base is not None:
        found = run.base.find()
        known = {file.resolve(): name for name, file in model_files().items()}
        base = known.get(found.resolve(), str(found))
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
    said = f"As in {path.name}; look at where the labels count."
    if left:
        said += f" Not taken over, since the form has no field for it: {', '.join(left)}."
        said += " ‘napari-unet run’ repeats it exactly."
    return said


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
