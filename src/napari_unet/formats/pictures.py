"""PNG files of one plane: a mask of label values, or the image with outlines and a scale bar."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import FileError, InputError
from napari_unet.formats.kinds import Kind
from napari_unet.formats.labels import Extent, LabelSource
from napari_unet.formats.record import MARK
from napari_unet.formats.steps import Steps
from napari_unet.image.overlay import draw_overlay, draw_scale_bar
from napari_unet.io.bitmaps import write_png
from napari_unet.progress import Progress

COLOUR_CHANNELS = 3


def check_picture(target: Path, kind: Kind, labels: LabelSource) -> None:
    """Refuse several planes, and outlines without an image."""
    times, depth = labels.shape[:2]
    if times * depth > 1:
        raise FileError(
            f"{target} holds one plane, but the labels have {times * depth} (axes {labels.axes})",
            "export one plane, as labels[0] is one, or end the name in .tif or .ome.zarr",
            code="one-plane",
        )
    if kind.name == "overlay" and labels.image is None:
        raise InputError(
            "a picture with outlines needs the image",
            "give ⟨image⟩, or ⟨format='png'⟩ for the label values",
            parameter="image",
        )


def check_depth(target: Path, extent: Extent) -> None:
    """Refuse labels of more than 16 bits."""
    if extent.largest > np.iinfo(np.uint16).max:
        raise FileError(
            f"{target} holds labels up to 65,535, but the largest is {extent.largest:,}",
            "end the name in .tif, which has 32 bits, or number the labels anew",
        )


def write_mask(part: Path, labels: LabelSource, extent: Extent, record: Mapping[str, Any]) -> Steps:
    """Write the label values as grey levels of 8 or 16 bits."""
    yield Progress(0, 1, "writing")
    (plane,) = labels.planes()
    write_png(
        part, plane.labels.astype(extent.dtype), labels.pixel_size, {MARK: json.dumps(record)}
    )
    yield Progress(1, 1, "writing")


def write_overlay(part: Path, labels: LabelSource, record: Mapping[str, Any]) -> Steps:
    """Write the image with the outline of each object, and a scale bar if its scale is known."""
    yield Progress(0, 1, "writing")
    (plane,) = labels.planes()
    assert labels.image is not None
    pixels = labels.image.read({axis: 0 for axis in "TZ" if axis in labels.axes})
    picture = draw_overlay(pixels, plane.labels, in_colour=_is_colour(pixels))
    if "X" in labels.pixel_size:
        picture = draw_scale_bar(picture, labels.pixel_size["X"])
    write_png(part, picture, labels.pixel_size, {MARK: json.dumps(record)})
    yield Progress(1, 1, "writing")


def _is_colour(pixels: NDArray[Any]) -> bool:
    return len(pixels) == COLOUR_CHANNELS and pixels.dtype == np.uint8
