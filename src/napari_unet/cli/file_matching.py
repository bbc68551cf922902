"""Label files that lie on a part of their image, by what both files declare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.axes import label_axes
from napari_unet.dataset.label_placement import LabelPlacement
from napari_unet.dataset.pixel_grid import PixelGrid, match_grids
from napari_unet.io import read_image
from napari_unet.io.position import Position, read_position
from napari_unet.io.reading import TIFF_SUFFIXES, ImageFile


def place_labels(
    image: ImageFile, axes: str | None, path: Path, labels: Any
) -> LabelPlacement | None:
    """Where labels lie on the pixels of their image.

    Parameters
    ----------
    image : ImageFile
        The image.
    axes : str or None
        Of its array.
    path : Path
        Of the labels.
    labels : array-like
        With the image's axes less C.

    Returns
    -------
    LabelPlacement or None
        None where one of the files declares no place: then the sizes have to be equal.

    Raises
    ------
    MismatchError
        If they lie elsewhere, or between the pixels of the image.
    """
    target = label_axes(axes or "")
    if len(axes or "") != len(image.array.shape) or len(target) != len(labels.shape):
        return None
    if not (path.is_dir() or path.suffix.lower() in TIFF_SUFFIXES):
        return None
    theirs = read_position(image)
    if theirs is None:
        return None
    ours = read_position(read_image(path, eager_bytes=0, as_labels=True))
    if ours is None or not ours.is_declared:
        return None
    if ours.in_micrometres != theirs.in_micrometres:
        return None
    sizes = dict(zip(axes or "", image.array.shape, strict=True))
    shape = tuple(int(sizes[axis]) for axis in target)
    found = match_grids(
        PixelGrid(image.path.name, shape, target, _matrix(theirs, target)),
        PixelGrid(path.name, tuple(int(n) for n in labels.shape), target, _matrix(ours, target)),
    )
    return None if found.is_whole else found


def _matrix(position: Position, axes: str) -> Any:
    matrix = np.diag([*(position.steps.get(axis, 1.0) for axis in axes), 1.0])
    matrix[:-1, -1] = [position.origin.get(axis, 0.0) for axis in axes]
    return matrix
