"""Outlines of labels drawn over an image, for thumbnails."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import find_boundaries


def draw_overlay(image: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.uint8]:
    """A grey image with the outline of each object in a colour of its own.

    Parameters
    ----------
    image : (Y, X) or (C, Y, X) array
        Channels are averaged.
    labels : (Y, X) integer array
        0 is background.

    Returns
    -------
    (Y, X, 3) uint8 array

    Examples
    --------
    >>> draw_overlay(np.zeros((4, 4)), np.ones((4, 4), int)).shape
    (4, 4, 3)
    """
    grey = np.asarray(image, np.float32)
    grey = grey.mean(0) if grey.ndim == 3 else grey
    low, high = np.percentile(grey, (1, 99.8))
    # a square root keeps dim objects visible beside bright ones
    grey = np.sqrt(np.clip((grey - low) / max(high - low, 1e-9), 0, 1))
    picture = np.repeat((grey * 255).astype(np.uint8)[..., None], 3, axis=2)
    outline = find_boundaries(labels, mode="inner")  # type: ignore[no-untyped-call]
    picture[outline] = _colours(np.asarray(labels)[outline])
    return picture


def encode_thumbnail(image: NDArray[Any], labels: NDArray[Any], size: int = 96) -> str:
    """A square PNG of at most ``size`` pixels a side of `draw_overlay`, in base64.

    Of an image that is not square the corner at the origin is shown.
    """
    from PIL import Image

    side = min(labels.shape)
    crop = (..., slice(0, side), slice(0, side))
    picture = Image.fromarray(draw_overlay(image[crop], labels[crop]))
    picture = picture.resize((min(size, side), min(size, side)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _colours(labels: NDArray[Any]) -> NDArray[np.uint8]:
    """Bright colours whose hue jumps by the golden ratio from label to label."""
    hue = (labels.astype(np.float64) * 0.618034) % 1.0
    phase = hue[:, None] * 6 + np.array([0, 4, 2])
    colours: NDArray[np.uint8] = (255 * np.clip(np.abs(phase % 6 - 3) - 1, 0.15, 1)).astype("u1")
    return colours
