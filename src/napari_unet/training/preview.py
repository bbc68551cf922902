"""Previews: what the network of a running training makes of a part of an image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.card import Normalization
from napari_unet.inference.prediction import predict
from napari_unet.inference.segmentation import iter_segmentation
from napari_unet.network.model import Model
from napari_unet.progress import drain
from napari_unet.training.steps import Preview


def make_preview(request: Preview, model: Model, **run: Any) -> NDArray[Any]:
    """Labels, or values of a regression, of the requested image.

    ``run`` are fields of `SegmentSettings`: the device, the number format, the threads.

    Raises
    ------
    UNetError, ValueError
        If the image, its axes or its intensity limits cannot be used.
    """
    settings: dict[str, Any] = {
        "axes": request.axes,
        "channels": request.channels,
        "pixel_size": request.pixel_size,
        **run,
    }
    if request.limits is not None:
        limits = tuple(request.limits)
        settings["normalization"] = Normalization(mode="range", limits=limits)
    if model.card.task == "regression":
        return np.asarray(predict(request.image, model, **settings).scores)
    labels: NDArray[Any] = drain(iter_segmentation(request.image, model, **settings)).labels
    return labels
