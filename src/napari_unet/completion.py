"""The last touches to a trained model: decoding settings that suit it, and a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import label_axes
from napari_unet.calibration import calibrate
from napari_unet.examples import Example
from napari_unet.image import open_image
from napari_unet.model import Model
from napari_unet.overlay import encode_thumbnail
from napari_unet.progress import drain
from napari_unet.segmentation import iter_segmentation
from napari_unet.training_setup import TrainingSetup


def complete(model: Model, setup: TrainingSetup, precision: str) -> Model:
    """The model with calibrated decoding (instances, where validated) and a thumbnail."""
    run = {"device": setup.config.device, "precision": precision}
    card = model.card
    if card.task == "instance" and setup.validation:
        card = card.model_copy(update={"decoding": calibrate(model, setup.validation, **run)})
    if card.task != "regression" and setup.validation:
        model = Model(card, model.network)
        picture = make_thumbnail(model, setup.validation[0], **run)
        card = card.model_copy(update={"thumbnail": picture})
    return Model(card, model.network)


def make_thumbnail(model: Model, example: Example, **run: Any) -> str:
    """An example as the model sees it, of a stack its middle plane: a small PNG in base64."""
    architecture = model.card.architecture
    source = open_image(
        example.image,
        axes=example.axes,
        channels=example.channels,
        ndim=architecture.ndim,
        in_channels=architecture.in_channels,
    )
    job = iter_segmentation(
        example.image, model, axes=source.axes, channels=example.channels, **run
    )
    labels = np.asarray(drain(job).labels)
    axes = label_axes(source.axes)
    middle = source.size("Z") // 2
    index: tuple[Any, ...] = tuple(
        0 if axis == "T" else middle if axis == "Z" else slice(None) for axis in axes
    )
    plane: NDArray[Any] = labels[index]
    if axes.index("X") < axes.index("Y"):
        plane = plane.T
    region = tuple(slice(0, source.size(a)) for a in "YX")
    if "Z" in source.axes:
        region = (slice(middle, middle + 1), *region)
    image = source.read(0, region).reshape(len(source.channels), *plane.shape)
    return encode_thumbnail(image, plane)
