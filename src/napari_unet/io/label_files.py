"""Label files, read as what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import check_axes, label_axes
from napari_unet.errors import FileError, InputError, Note, note_about
from napari_unet.io.cellpose_files import is_pickled, read_cellpose_labels
from napari_unet.io.naming import LABEL_ONLY
from napari_unet.io.reading import BITMAPS, ImageFile, read_image
from napari_unet.io.roi_files import read_roi_labels

COLOURS = (3, 4)  # channels of a colour picture, without and with alpha
FEW_COLOURS = 1000  # up to which each may stand for an object


@dataclass(frozen=True, eq=False)
class LabelFile:
    """Labels as a file means them.

    Attributes
    ----------
    array : array-like
        The labels.
    axes : str or None
        One letter over TCZYX per axis; None where the file does not say.
    notes : tuple of Note
        What is to be told of them.
    """

    array: Any
    axes: str | None
    notes: tuple[Note, ...] = ()


def read_labels(
    paths: str | Path | Sequence[Path],
    like: ImageFile | None = None,
    *,
    axes: str | None = None,
    classes: bool = False,
) -> LabelFile:
    """Read the labels of an image.

    A colour picture of which all channels are equal is grey. Cellpose's ``_seg.npy`` files are
    read without unpickling them. ImageJ's regions (``.roi``, or a ``.zip`` of them) are drawn.

    Parameters
    ----------
    paths : path, or sequence of Path
        One file; or several masks of one object each, which are numbered in this order.
    like : ImageFile, optional
        The image, which regions need. Of a file that holds as many images as the image's, that of
        its scene is read.
    axes : str, optional
        Of the image; None: as its file says.
    classes : bool
        Whether labels are classes, which are the groups of regions, and not objects.

    Raises
    ------
    FileError
        If a file cannot be read, is a colour picture, or one of several masks holds other than
        one object.
    """
    paths = [Path(paths)] if isinstance(paths, str | Path) else paths
    if len(paths) > 1:
        return _join_masks(paths)
    (path,) = paths
    if path.suffix.lower() == ".npy" and is_pickled(path):
        return LabelFile(*read_cellpose_labels(path))
    if path.suffix.lower() in LABEL_ONLY:
        return _draw_regions(path, like, axes, classes=classes)
    file = read_image(path, as_labels=True)
    if like is not None and 1 < len(file.scenes) == len(like.scenes):
        file = read_image(path, as_labels=True, scene=like.scene)
    return _without_colours(file)


def _draw_regions(
    path: Path, image: ImageFile | None, axes: str | None, *, classes: bool
) -> LabelFile:
    axes = axes or (None if image is None else image.axes)
    if image is None or axes is None:
        raise InputError(
            f"the image of {path} does not say its axes, so that the planes of the regions are not "
            "known",
            "give ⟨axes⟩",
            parameter="axes",
        )
    axes = check_axes(axes, image.array.shape)
    array, notes = read_roi_labels(path, image.array.shape, axes, classes=classes)
    return LabelFile(array, label_axes(axes), tuple(note_about(path, note) for note in notes))


def _without_colours(file: ImageFile) -> LabelFile:
    axes = file.axes
    # what is said of their pixel size matters only for images
    told = [note for note in file.notes if note.code != "pixel-size"]
    notes = tuple(note_about(file.path, note) for note in told)
    if axes == "YXC" and file.array.shape[-1] == 2 and file.path.suffix.lower() in BITMAPS:
        return LabelFile(np.asarray(file.array)[..., 0], "YX", notes)  # the other is alpha
    if axes is None or axes[-1] != "C" or file.array.shape[-1] not in COLOURS:
        return LabelFile(file.array, axes, notes)
    picture: NDArray[Any] = np.asarray(file.array)
    red = picture[..., 0]
    if (red == picture[..., 1]).all() and (red == picture[..., 2]).all():
        return LabelFile(red, axes[:-1], notes)
    count = len(np.unique(picture[..., :3].reshape(-1, 3), axis=0))
    remedy = (
        "save the labels themselves, as a TIFF or PNG of 16 bits with a number for each object or "
        "class, and not an overlay of them on the image"
    )
    if count <= FEW_COLOURS:
        remedy += (
            "; where each has a flat colour of its own, "
            "numpy.unique(picture.reshape(-1, 3), axis=0, return_inverse=True) numbers them"
        )
    raise FileError(
        f"{file.path} is a colour picture with {count} colours, and no labels, which are numbers",
        remedy,
    )


def _join_masks(paths: Sequence[Path]) -> LabelFile:
    """Masks of one object each as labels 1, 2, ...; a later one lies on top."""
    joined: NDArray[np.int32] | None = None
    axes, covered = None, 0
    for number, path in enumerate(paths, 1):
        found = read_labels([path])
        mask: NDArray[Any] = np.asarray(found.array)
        if len(np.unique(mask[mask != 0])) > 1:
            raise FileError(
                f"{path} holds several values, but there are {len(paths)} masks of the same image "
                "and each should be one object",
                "leave one file with the labels of all objects",
            )
        if joined is None:
            joined, axes = np.zeros(mask.shape, np.int32), found.axes
        elif mask.shape != joined.shape:
            raise FileError(
                f"{path} has shape {mask.shape}, but the other masks of the same image have "
                f"{joined.shape}",
                "export them anew",
            )
        covered += int(np.count_nonzero(joined[mask != 0]))
        joined[mask != 0] = number
    notes = []
    if covered:
        text = f"Masks in {paths[0].parent} overlap in {covered} pixels, where the later one counts"
        notes.append(Note("masks-overlap", text))
    return LabelFile(joined, axes, tuple(notes))
