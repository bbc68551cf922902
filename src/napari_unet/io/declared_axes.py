"""Axes that a file declares for an array that a viewer has read from it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from napari_unet.io.reading import TIFF_SUFFIXES
from napari_unet.io.tiff import read_tiff_layout
from napari_unet.io.zarr_files import open_zarr
from napari_unet.io.zarr_members import is_inside_zarr

Layout = tuple[str, tuple[int, ...]]
"""Axes over TCZYX in the order of storage, and the length of each."""

REMEMBERED_FILES = 64


def declared_axes(path: str | os.PathLike[str] | None, shape: Sequence[int]) -> str | None:
    """What the metadata of a file say of an array that was read from it.

    Only the metadata are read, once for each state of the file. ImageJ, OME-TIFF, OME-Zarr and
    this package's files declare axes.

    Parameters
    ----------
    path : path-like or None
        The file, which may be gone, or something else than a file.
    shape : sequence of int
        Of the array: that of the file, or without its axes of length 1, or one channel of it.

    Returns
    -------
    str or None
        One letter over TCZYX per axis; None where the file says nothing, or has another shape.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from napari_unet.io import write_image
    >>> path = Path(tempfile.mkdtemp()) / "series.tif"
    >>> _ = write_image(path, np.zeros((3, 2, 16, 16), np.uint8), axes="TCYX")
    >>> declared_axes(path, (3, 2, 16, 16)), declared_axes(path, (3, 16, 16))
    ('TCYX', 'TYX')
    >>> declared_axes("gone.tif", (3, 2, 16, 16)) is None
    True
    """
    if path is None:
        return None
    try:
        file = Path(path)
        state = file.stat()
        layout = _read_layout(file, state.st_mtime_ns, state.st_size)
    except (OSError, TypeError, ValueError):  # no name of a file, among others
        return None
    return None if layout is None else _match(layout, tuple(shape))


def _match(layout: Layout, shape: tuple[int, ...]) -> str | None:
    axes, sizes = layout
    whole = list(zip(axes, sizes, strict=True))
    one_channel = [(axis, n) for axis, n in whole if axis != "C"]
    for part in (whole, one_channel):
        for found in (part, [(axis, n) for axis, n in part if n > 1]):
            if tuple(n for _, n in found) == shape:
                letters = "".join(axis for axis, _ in found)
                return letters if "Y" in letters and "X" in letters else None
    return None


@lru_cache(REMEMBERED_FILES)
def _read_layout(file: Path, modified_ns: int, size: int) -> Layout | None:
    """Axes and shape of the image in a file; a file that was changed is read anew."""
    del modified_ns, size
    try:
        if file.is_dir():
            if not is_inside_zarr(file):
                return None
            found = open_zarr(file)
            return None if found.axes is None else (found.axes, tuple(found.array.shape))
        return read_tiff_layout(file) if file.suffix.lower() in TIFF_SUFFIXES else None
    except Exception:  # noqa: BLE001  # a guess is made then: the pixels are there already
        return None
