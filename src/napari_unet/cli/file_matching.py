"""Where label files lie on their image, and whether their pixels are its, as both declare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.axes import label_axes
from napari_unet.dataset.label_placement import LabelPlacement
from napari_unet.dataset.pixel_grid import MismatchError, PixelGrid, match_grids
from napari_unet.io import read_image
from napari_unet.io.position import Position, read_position, read_steps
from napari_unet.io.reading import TIFF_SUFFIXES, ImageFile


def check_pixel_sizes(image: ImageFile, axes: str | None, path: Path) -> None:
    """Refuse labels of which the file declares other pixel sizes than that of their image.

    Sizes count along the axes of which both files know them. As in the viewer, labels may be off
    by a part of a pixel at the end of the image, as rounded sizes are.

    Parameters
    ----------
    image : ImageFile
        The image.
    axes : str or None
        Of its array.
    path : Path
        Of the labels.

    Raises
    ------
    MismatchError
        If the sizes differ by more.
    """
    if len(axes or "") != len(image.array.shape) or not _may_declare(path):
        return
    file = read_image(path, eager_bytes=0, as_labels=True)
    theirs, ours = read_steps(image, axes), read_steps(file)
    if theirs is None or ours is None or theirs[1] != ours[1]:
        return
    sizes = dict(zip(axes or "", image.array.shape, strict=True))
    shared = "".join(a for a in label_axes(axes or "") if {a} <= theirs[0].keys() & ours[0].keys())
    if not shared:
        return
    shape = tuple(int(sizes[axis]) for axis in shared)
    # relative to the image: neither of the two is one that declares nothing
    ratios = np.diag([*(ours[0][axis] / theirs[0][axis] for axis in shared), 1.0])
    middle = (np.array(shape) - 1) / 2
    ratios[:-1, -1] = middle - np.diag(ratios)[:-1] * middle  # both have the same centre
    grid = PixelGrid(image.path.name, shape, shared, np.eye(len(shape) + 1))
    try:
        match_grids(grid, PixelGrid(path.name, shape, shared, ratios))
    except MismatchError as error:
        if error.code != "pixel-size":
            raise
        raise MismatchError(
            error.problem,
            "give both at the same size; where a file is wrong, give the true ⟨pixel_size⟩",
            code=error.code,
        ) from None


def _may_declare(path: Path) -> bool:
    """Whether files of this kind can say where their pixels lie."""
    return path.is_dir() or path.suffix.lower() in TIFF_SUFFIXES


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
    if not _may_declare(path):
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
