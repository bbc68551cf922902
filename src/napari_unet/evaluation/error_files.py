"""The errors of images as files: one table for all, and labels of them per image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_unet.errors import FileError
from napari_unet.evaluation.atlas import KINDS, Atlas
from napari_unet.evaluation.table import table_text
from napari_unet.io.atomic import atomic_path
from napari_unet.io.naming import plain_stem
from napari_unet.io.writing import write_labels

TABLE = "errors.csv"


def check_errors_folder(folder: Path) -> Path:
    """Make the folder; raises FileError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"The folder {folder} cannot be made ({error.strerror or error})",
            "choose another one",
        ) from error
    return folder


def write_error_labels(folder: Path, image: str, atlas: Atlas) -> Path:
    """Labels of the errors of an image, each with its number in the table."""
    stem = plain_stem(image).replace("/", "_")
    path = folder / f"{stem}_errors.tif"
    dtype = np.uint8 if len(atlas.errors) < 256 else np.uint16
    array = atlas.labels if len(atlas.errors) > 65535 else atlas.labels.astype(dtype)
    axes = atlas.axes or "TZYX"[-array.ndim :]
    return write_labels(path, array, axes=axes)


def write_error_table(folder: Path, atlases: Sequence[tuple[str, str, Atlas]]) -> Path:
    """One table of the errors of images, given as (image, candidate, atlas); the worst first."""
    rows = [
        {"image": image, "candidate": candidate, **error.as_row(atlas.axes)}
        for image, candidate, atlas in atlases
        for error in atlas.errors
    ]
    if not rows:  # a table says so by its columns
        rows = [dict.fromkeys(("image", "candidate", "number", "kind"))]
        text = table_text(rows).splitlines()[0] + "\n"
    else:
        text = table_text(rows)
    path = folder / TABLE
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def describe_errors(atlas: Atlas) -> str:
    """The kinds of errors and how many there are, in a line.

    >>> empty = Atlas((), np.zeros((2, 2), np.int32), "YX", 4)
    >>> describe_errors(empty)
    'no errors, 4 objects right'
    """
    counts = atlas.counts
    told = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind]) or "no errors"
    return f"{told}, {atlas.right} objects right"
