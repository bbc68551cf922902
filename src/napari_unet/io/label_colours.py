"""A colour for each label, so that neighbours differ."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LUT_SIZE = 256


def label_colours(labels: NDArray[Any]) -> NDArray[np.uint8]:
    """Bright colours whose hue jumps by the golden ratio from label to label.

    >>> label_colours(np.array([1, 2])).tolist()
    [[38, 74, 255], [148, 255, 38]]
    """
    hue = (labels.astype(np.float64) * 0.618034) % 1.0
    phase = hue[:, None] * 6 + np.array([0, 4, 2])
    colours: NDArray[np.uint8] = (255 * np.clip(np.abs(phase % 6 - 3) - 1, 0.15, 1)).astype("u1")
    return colours


def colour_table() -> NDArray[np.uint8]:
    """Red, green and blue (256, 3) of the labels 0 (black) to 255."""
    table = label_colours(np.arange(LUT_SIZE))
    table[0] = 0
    return table
