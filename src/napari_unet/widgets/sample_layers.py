"""The sample images as layers, for the viewer's menu File > Open Sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_unet.axes import label_axes
from napari_unet.image.given import FILE_KEY
from napari_unet.samples import load_sample

LayerData = tuple[Any, dict[str, Any], str]


def nuclei_2d() -> list[LayerData]:
    """Nuclei in one plane, fluorescence."""
    return _layer("nuclei_2d", "nuclei")


def histology() -> list[LayerData]:
    """Nuclei in stained tissue, in colour."""
    return _layer("histology", "histology")


def nuclei_3d() -> list[LayerData]:
    """Nuclei in a stack, fluorescence."""
    return _layer("nuclei_3d", "nuclei 3D")


def time_series() -> list[LayerData]:
    """Nuclei that move and divide; synthetic."""
    return _layer("time_series", "nuclei over time")


def _layer(sample: str, name: str) -> list[LayerData]:
    """The image alone: its truth would lie over it, and is for those who ask for it."""
    found = load_sample(sample)
    rgb = "C" in found.axes
    options: dict[str, Any] = {
        "name": name,
        "axis_labels": tuple(label_axes(found.axes).lower()),
        "rgb": rgb,
        "metadata": {"source": found.source},
    }
    if found.path is not None:
        options["metadata"][FILE_KEY] = str(found.path)
    if not rgb:  # else eight bits are shown from 0 to 255, and dim nuclei as black
        low, high = np.percentile(found.image, (0.1, 99.9))
        options["contrast_limits"] = (float(low), float(high))
    return [(found.image, options, "image")]
