"""The sample images as layers, for the viewer's menu File > Open Sample."""

from __future__ import annotations

from typing import Any

from napari_unet.samples import load_sample

LayerData = tuple[Any, dict[str, Any], str]


def nuclei_2d() -> list[LayerData]:
    """Nuclei in one plane."""
    return _layer("nuclei_2d", "nuclei")


def nuclei_3d() -> list[LayerData]:
    """Nuclei in a stack."""
    return _layer("nuclei_3d", "nuclei 3D")


def _layer(sample: str, name: str) -> list[LayerData]:
    found = load_sample(sample)
    options = {
        "name": name,
        "axis_labels": tuple(found.axes.lower()),
        "metadata": {"source": found.source},
    }
    return [(found.image, options, "image")]
