"""Writing labels and images with their axes, pixel size and run record."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import check_axes
from napari_unet.errors import FileError, InputError
from napari_unet.io.atomic import atomic_path
from napari_unet.io.bitmaps import write_png
from napari_unet.io.pixel_size import PixelSize, check_pixel_size
from napari_unet.io.record import FILE, encode_record, identity_of, record_path
from napari_unet.io.tiff_metadata import KIND_KEY, LABELS, PLACE_KEY
from napari_unet.io.tiff_writing import OME_DTYPES, write_ome_tiff, write_tiff

WRITE_SUFFIXES = (".ome.tif", ".ome.tiff", ".tif", ".tiff", ".png", ".npy")
"""Endings of the files that `write_labels` and `write_image` write."""


def write_labels(
    path: str | os.PathLike[str],
    labels: Any,
    *,
    axes: str,
    pixel_size: PixelSize = None,
    record: Mapping[str, Any] | None = None,
    place: Mapping[str, Any] | None = None,
    least: Any = np.uint8,
) -> Path:
    """Write labels without loss.

    Values never change. In TIFF and PNG files the data type is the smallest of uint8,
    uint16, int32 and uint32 that holds the largest label; a ``.npy`` file
    keeps the data type as it is. `write_image` describes the files.

    Parameters
    ----------
    path : path-like
        File to write, ending in one of WRITE_SUFFIXES. An existing one is replaced.
    labels : array-like
        Integers >= 0 or bool; anything with shape, dtype and slicing, read plane by plane.
    axes : str
        One letter over TCZYX per axis.
    pixel_size : tuple of float or None, optional
        Micrometres per spatial axis, in the order of ``axes``; None where unknown.
    record : mapping, optional
        Run record, written beside the file (`write_record`).
    place : mapping, optional
        Where a viewer has laid the labels, as JSON values; a TIFF file keeps it.
    least : data type
        None smaller is taken: viewers tell labels from images by their 32 bits.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the labels are negative or no integers, or axes or pixel size do not fit.
    FileError
        If the file cannot be written, or its format cannot hold these labels. Nothing is
        left behind then.
    """
    labels = _as_array(labels)
    dtype = np.dtype(labels.dtype)
    if dtype.kind not in "bui":
        raise InputError(f"Labels must be integers, but these are {dtype}", "convert them first")
    axes = check_axes(axes, labels.shape)
    low, high = _value_range(labels)
    if low < 0:
        raise InputError(f"Labels must not be negative, but {low} is", "relabel them first")
    size = np.dtype(least).itemsize
    types = [t for t in (np.uint8, np.uint16, np.int32, np.uint32) if np.dtype(t).itemsize >= size]
    fits = (t for t in types if high <= np.iinfo(t).max)
    smallest = np.dtype(next(fits, dtype))
    more = {KIND_KEY: LABELS, **_place(place)}
    return _write(path, labels, smallest, axes, pixel_size, record, more)


def write_image(
    path: str | os.PathLike[str],
    image: Any,
    *,
    axes: str,
    pixel_size: PixelSize = None,
    record: Mapping[str, Any] | None = None,
    place: Mapping[str, Any] | None = None,
) -> Path:
    """Write an image with its axes and pixel size.

    ``.tif`` becomes an ImageJ hyperstack where ImageJ knows the data type (uint8, uint16,
    float32), else a plain TIFF with the axes and pixel size in its description; from 4 GB
    on a BigTIFF of that second kind. ``.ome.tif`` becomes an OME-TIFF. Both are compressed
    without loss (deflate). `read_image` gives back the same values, axes and pixel size.
    ``.npy`` keeps the array only. ``.png`` takes (Y, X) uint8 or uint16, or (Y, X, C)
    uint8 with 3 or 4 channels, and no pixel size.

    Parameters
    ----------
    path : path-like
        File to write, ending in one of WRITE_SUFFIXES. An existing one is replaced.
    image : array-like
        Real numbers or bool (written as 0 and 1, except to ``.npy``); anything with shape,
        dtype and slicing, read plane by plane.
    axes : str
        One letter over TCZYX per axis.
    pixel_size : tuple of float or None, optional
        Micrometres per spatial axis, in the order of ``axes``; None where unknown.
    record : mapping, optional
        Run record, written beside the file (`write_record`).
    place : mapping, optional
        Where a viewer has laid the image, as JSON values; a TIFF file keeps it.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the image is complex or not numeric, or axes or pixel size do not fit.
    FileError
        If the file cannot be written, or its format cannot hold this image. Nothing is
        left behind then.
    """
    image = _as_array(image)
    dtype = np.dtype(image.dtype).newbyteorder("=")
    if dtype.kind not in "buif":
        raise InputError(
            f"An image of {dtype} cannot be written", "convert it to integers or floats first"
        )
    axes = check_axes(axes, image.shape)
    stored = np.dtype(np.uint8) if dtype.kind == "b" else dtype
    return _write(path, image, stored, axes, pixel_size, record, _place(place))


def _place(place: Mapping[str, Any] | None) -> dict[str, str]:
    return {} if place is None else {PLACE_KEY: json.dumps(place)}


def _as_array(data: Any) -> Any:
    return data if hasattr(data, "shape") and hasattr(data, "dtype") else np.asarray(data)


def _write(
    path: str | os.PathLike[str],
    array: Any,
    dtype: np.dtype[Any],
    axes: str,
    pixel_size: PixelSize,
    record: Mapping[str, Any] | None,
    more: Mapping[str, str],
) -> Path:
    path = Path(path)
    kind = _kind(path)
    sizes = check_pixel_size(pixel_size, axes)
    _check_fit(path, kind, array.shape, dtype, axes)
    if record is not None:
        encode_record(record)  # what it cannot hold is told before the work
    with ExitStack() as stack:
        # Both files are complete before either gets its name; the record gets it first, and tells
        # by the hash that it is not that of an earlier file.
        part = stack.enter_context(atomic_path(path))
        record_part = None
        if record is not None:
            record_part = stack.enter_context(atomic_path(record_path(path)))
        if kind == "ome":
            write_ome_tiff(part, array, dtype, axes, sizes, more)
        elif kind == "tiff":
            write_tiff(part, array, dtype, axes, sizes, more)
        elif kind == "png":
            write_png(part, np.asarray(array[...]).astype(dtype, copy=False))
        else:
            _write_npy(part, array)
        if record is not None and record_part is not None:
            record_part.write_bytes(encode_record({**record, FILE: identity_of(part)}))
    return path


def _kind(path: Path) -> str:
    name = path.name.lower()
    if name.endswith((".ome.tif", ".ome.tiff")):
        return "ome"
    kinds = {".tif": "tiff", ".tiff": "tiff", ".png": "png", ".npy": "npy"}
    if path.suffix.lower() not in kinds:
        raise FileError(
            f"{path} ends in {path.suffix or 'nothing'!r}, which cannot be written",
            f"choose one of {', '.join(WRITE_SUFFIXES)}",
        )
    return kinds[path.suffix.lower()]


def _check_fit(
    path: Path, kind: str, shape: tuple[int, ...], dtype: np.dtype[Any], axes: str
) -> None:
    if kind == "ome" and dtype.name not in OME_DTYPES:
        raise FileError(
            f"{path} cannot hold {dtype} values, which OME-TIFF does not know",
            "end the name in .tif or convert the array",
        )
    if kind == "png":
        grey = axes == "YX" and dtype.name in ("uint8", "uint16")
        colour = axes == "YXC" and dtype.name == "uint8" and shape[2] in (3, 4)
        if not (grey or colour):
            raise FileError(
                f"{path} cannot hold {dtype} values with axes {axes!r} of shape {tuple(shape)}, "
                "only 2D uint8 or uint16 or 8-bit RGB",
                "end the name in .tif",
            )


def _write_npy(part: Path, array: Any) -> None:
    shape = tuple(int(size) for size in array.shape)
    dtype = np.dtype(array.dtype)
    with part.open("wb") as file:
        header = {
            "descr": np.lib.format.dtype_to_descr(dtype),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(file, header)
        for plane in _planes(array):
            file.write(np.ascontiguousarray(plane).data)


def _value_range(array: Any) -> tuple[int, int]:
    low, high = 0, 0
    for plane in _planes(array):
        low, high = min(low, int(plane.min())), max(high, int(plane.max()))
    return low, high


def _planes(array: Any) -> Iterator[NDArray[Any]]:
    """Parts along all axes but the last two, in order: never the whole array at once."""
    for index in np.ndindex(*array.shape[:-2]):
        yield np.asarray(array[index] if index else array[...])
