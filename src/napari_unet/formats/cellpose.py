"""Cellpose's ``_seg.npy`` files, as its window opens them.

References
----------
.. [1] Cellpose, "Outputs", https://cellpose.readthedocs.io/en/latest/outputs.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import FileError
from napari_unet.formats.labels import Extent, LabelSource
from napari_unet.formats.record import MARK
from napari_unet.formats.steps import Steps
from napari_unet.progress import Progress


def check_cellpose(target: Path, labels: LabelSource) -> None:
    """Refuse time, which the format does not have."""
    if labels.shape[0] > 1:
        raise FileError(
            f"{target} cannot hold {labels.shape[0]} time points: a _seg.npy file of Cellpose has "
            "one image or one stack of planes",
            "export each time point on its own, or end the name in .tif",
        )


def write_cellpose(
    part: Path,
    labels: LabelSource,
    extent: Extent,
    record: Mapping[str, Any],
    image_file: str | None,
) -> Steps:
    """Write masks and their outlines, with the image where there is one; all of it in memory."""
    dtype = np.dtype(np.uint16) if extent.largest <= np.iinfo(np.uint16).max else extent.dtype
    _, depth, height, width = labels.shape
    masks: NDArray[Any] = np.zeros((depth, height, width), dtype)
    outlines = np.zeros_like(masks)
    for plane in labels.planes():
        masks[plane.z or 0] = plane.labels
        outlines[plane.z or 0] = _outline(masks[plane.z or 0])
        yield Progress(plane.number + 1, labels.plane_count, "writing")
    flat = labels.axes.count("Z") == 0 or depth == 1
    content: dict[str, Any] = {
        MARK: json.dumps(record),
        "masks": masks[0] if flat else masks,
        "outlines": outlines[0] if flat else outlines,
        "filename": image_file or "",
        "chan_choose": [0, 0],
        "ismanual": np.zeros(extent.largest, bool),
        "manual_changes": [],
    }
    if labels.image is not None:
        content["img"] = _image(labels, flat=flat)
    with part.open("wb") as file:
        np.save(file, content, allow_pickle=True)  # type: ignore[arg-type]


def _outline(labels: NDArray[Any]) -> NDArray[Any]:
    """The outermost pixels of each object; 0 elsewhere."""
    from skimage.segmentation import find_boundaries

    border = find_boundaries(labels, mode="inner")  # type: ignore[no-untyped-call]
    # find_boundaries knows no outside
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        border[edge] |= labels[edge] > 0
    return np.where(border, labels, 0).astype(labels.dtype)


def _image(labels: LabelSource, *, flat: bool) -> NDArray[Any]:
    """The image with its channels last, if it has any."""
    assert labels.image is not None
    at = {axis: 0 for axis in "TZ" if axis in labels.axes and (axis == "T" or flat)}
    pixels = labels.image.read(at)  # C, then Z, Y and X
    return pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)
