"""What a run gives: scores, labels, and the record that says how they came about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari_unet.card import ModelCard
from napari_unet.image.source import PixelSize


@dataclass(frozen=True)
class Prediction:
    """Scores of an image.

    Attributes
    ----------
    scores : array
        float32; axes of the image with C (the model's output channels) before the spatial
        ones: class probabilities (semantic), the maps that `napari_unet.instances.maps` defines
        (instance), values (regression). NumPy, or zarr where ``output`` was given.
    axes : str
        Axes of ``scores``.
    pixel_size : tuple of float or None
        Micrometres per spatial axis (ZYX order); None where unknown.
    card : ModelCard
        Of the model.
    record : dict
        The run record: resolved settings, model and its SHA-256, versions, time.
    """

    scores: Any
    axes: str
    pixel_size: PixelSize
    card: ModelCard
    record: dict[str, Any]


@dataclass(frozen=True)
class Segmentation:
    """Labels of an image.

    Attributes
    ----------
    labels : array
        int32 (instances) or the card's class values as uint8 or uint16 (semantic); the
        axes of the image less C. NumPy, or zarr where ``output`` was given.
    axes : str
        Axes of ``labels``.
    pixel_size : tuple of float or None
        Micrometres per spatial axis (ZYX order); None where unknown.
    card : ModelCard
        Of the model.
    record : dict
        The run record; ``record["message"]`` says the result in words.
    """

    labels: Any
    axes: str
    pixel_size: PixelSize
    card: ModelCard
    record: dict[str, Any]
