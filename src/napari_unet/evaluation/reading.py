"""Predicted and true labels of an image, brought onto the same axes and checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import label_axes
from napari_unet.dataset.components import number_regions
from napari_unet.dataset.label_axes import arrange_labels
from napari_unet.dataset.label_values import WholeNumbers
from napari_unet.errors import InputError, Note
from napari_unet.evaluation.run import LoadedImage
from napari_unet.evaluation.settings import EvaluationSettings
from napari_unet.io import READ_SUFFIXES, read_image
from napari_unet.io.cellpose_files import is_pickled
from napari_unet.io.label_files import read_labels
from napari_unet.renumbering import renumber

MASK_PIECES = 4  # of a single value, from which it is surely a mask and no object in pieces


def load_files(
    predictions: Sequence[Path],
    truth: Sequence[Path],
    settings: EvaluationSettings,
    axes: str | None,
) -> LoadedImage:
    """Read the files of an image.

    Parameters
    ----------
    predictions : sequence of Path
        One per candidate.
    truth : sequence of Path
        One, or one per object.
    settings : EvaluationSettings
        Says what the files hold.
    axes : str or None
        Of all; None: as the files say.

    Raises
    ------
    FileError, InputError
        If a file cannot be read, or has other axes or another shape than the rest.
    """
    notes: list[Note] = []
    arrays: list[tuple[str, Any, str | None]] = []
    for path in predictions:
        array, own, said = _read((path,), None, settings)
        notes += said
        arrays.append((path.name, array, own))
    like = None
    if settings.task != "regression" and truth[0].suffix.lower() in (".zip", ".roi"):
        like = read_image(predictions[0], as_labels=True)
    array, own, said = _read(tuple(truth), like, settings)
    notes += said
    name = truth[0].name if len(truth) == 1 else f"{truth[0].parent.name}/"
    *found, true = bring_together([*arrays, (name, array, own)], axes, settings)
    known = axes or next((own for *_, own in arrays if own), None) or own
    return LoadedImage(tuple(found), true, _letters(known, true.ndim), tuple(notes))


def _read(
    paths: tuple[Path, ...], like: Any, settings: EvaluationSettings
) -> tuple[Any, str | None, tuple[Note, ...]]:
    plain = paths[0].is_dir() or paths[0].suffix.lower() in READ_SUFFIXES
    pickled = paths[0].suffix.lower() == ".npy" and is_pickled(paths[0])
    if settings.task == "regression" and len(paths) == 1 and plain and not pickled:
        file = read_image(paths[0])
        return file.array, file.axes, file.notes
    labels = read_labels(list(paths), like, axes=None, classes=settings.task == "semantic")
    return labels.array, labels.axes, labels.notes


def bring_together(
    arrays: Sequence[tuple[str, Any, str | None]],
    axes: str | None,
    settings: EvaluationSettings,
) -> list[NDArray[Any]]:
    """Arrays of an image in the order of the axes of the first, with equal shapes.

    Parameters
    ----------
    arrays : sequence of (str, array-like, str or None)
        Name, array, and its axes where they are known.
    axes : str or None
        Of all arrays; None: what each says.
    settings : EvaluationSettings
        Says what they hold.

    Raises
    ------
    InputError
        If the shapes differ, labels are no whole numbers, or objects are a mask.
    """
    if axes is not None:
        arrays = [
            (name, array, axes if array.ndim == len(axes) else own) for name, array, own in arrays
        ]
    first_name, first, target = arrays[0]
    if target is None:
        target = next((own for _, array, own in arrays if own and array.ndim == first.ndim), None)
    found = []
    for name, array, own in arrays:
        if target is not None and own is not None and settings.task != "regression":
            goal = label_axes(target)
            sizes = dict(zip(target, first.shape, strict=True))
            array = arrange_labels(array, own, goal, sizes)  # noqa: PLW2901
        if settings.task != "regression" and np.dtype(array.dtype).kind == "f":
            array = WholeNumbers(array)  # noqa: PLW2901
        found.append((name, np.asarray(array)))
    _, reference = found[0]
    for name, array in found[1:]:
        if array.shape != reference.shape:
            raise InputError(
                f"{first_name} has shape {reference.shape} and {name} {array.shape}",
                "they must lie on the same pixels: give the truth of this image, at the size at "
                "which it was segmented",
                parameter="truth",
                value=array.shape,
                code="shapes-differ",
            )
    if settings.task != "instance":
        return [array for _, array in found]
    letters = _letters(axes or target, reference.ndim)
    return [_as_objects(name, array, letters, settings) for name, array in found]


def _letters(axes: str | None, ndim: int) -> str | None:
    """Axes of labels, where they are known to describe an array of this many axes."""
    if axes is None:
        return None
    letters = axes.upper() if len(axes) == ndim else label_axes(axes.upper())
    return letters if len(letters) == ndim else None


def _as_objects(
    name: str, labels: NDArray[Any], axes: str | None, settings: EvaluationSettings
) -> NDArray[Any]:
    """Labels of objects; a mask is refused, or its regions are numbered where that is wanted."""
    if settings.components:
        return number_regions(labels, axes, background=settings.ignore)
    if labels.size and not _holds_several(labels, settings.ignore):
        letters = axes or "TZYX"[-labels.ndim :]
        regions, _ = renumber(number_regions(labels, letters, background=settings.ignore))
        pieces = int(np.count_nonzero((regions != 0) & (regions != settings.ignore)))
        if pieces >= MASK_PIECES:
            value = int(labels.max())
            raise InputError(
                f"{name} holds the value {value} only, in {pieces} separate pieces: it looks like "
                "a mask, which does not tell objects apart",
                "give ⟨components=True⟩ to make an object of each piece, or ⟨task='semantic'⟩ to "
                "compare the mask",
                parameter="components",
                value=value,
                code="objects-are-a-mask",
            )
    return labels


def _holds_several(labels: NDArray[Any], ignore: int | None) -> bool:
    """Whether there is more than one value beside background and what is left out."""
    values = labels[(labels != 0) & (labels != ignore)] if ignore is not None else labels
    high = values.max(initial=0)
    return bool(high <= 0 or ((values != 0) & (values != high)).any())
