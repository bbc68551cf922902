"""Layers to files, for the viewer's menu File > Save Selected Layers.

The viewer's own writers keep the pixels alone; these keep axes, pixel size and run record too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from napari import current_viewer
from napari.layers import Image, Labels

from napari_unet.axes import guess_axes
from napari_unet.errors import FileError, InputError
from napari_unet.formats.export import iter_export
from napari_unet.io import WRITE_SUFFIXES, record_path, write_image, write_labels
from napari_unet.progress import drain
from napari_unet.widgets.annotation.layer_state import place_of
from napari_unet.widgets.annotation.marks import JOURNAL_KEY, MARKS_KEY
from napari_unet.widgets.annotation.saved_marks import check_room, write_marks
from napari_unet.widgets.recovery.stores import mark_saved
from napari_unet.widgets.viewer.label_data import (
    AXES_BY_NUMBER,
    PLACE,
    LabelData,
    axes_by_number,
    known_axes,
    one_pixel,
    record_of,
    recorded_sizes,
)
from napari_unet.widgets.viewer.layer_image import LayerImage, plain
from napari_unet.widgets.viewer.placement import lift

EXPORTED = (".zarr", ".zip", ".geojson", ".json", "_seg.npy", ".csv", ".tsv")
"""Endings of what `napari_unet.export` writes; the others keep what the viewer knows too."""


def write_labels_layer(
    path: str | os.PathLike[str], data: Any, attributes: Mapping[str, Any]
) -> list[str]:
    """Write a labels layer without loss, in the smallest data type that holds its labels.

    The axes are those that the layer's axis labels name (such as z, y, x), else those of its
    marks or its run record, else YX, ZYX, TZYX or TCZYX by their number. The pixel size is scale
    times unit, and unknown where the unit is no length. Where the layer lies (its translation and
    rotation) is not kept. A run record in the layer's metadata is written beside the file, and so
    are the marks of painted labels: their image, the planes that are done, and the background. They
    come back when the file is opened, with the place of the layer. An axis of length 1 that the
    labels have for the channels of their image is left out. In a TIFF painted labels take
    32 bits, which viewers tell labels by.

    Parameters
    ----------
    path : path-like
        File to write, ending in one of `napari_unet.io.WRITE_SUFFIXES`, or in one of `EXPORTED`, of
        which `napari_unet.export` keeps what their format can; ``.ome.tif`` is appended to a name
        without an ending. An existing file is replaced, unless the ending was appended: then
        nobody was asked.
    data : array-like, or sequence of such
        Integers >= 0 or bool; of a multiscale layer the finest level first.
    attributes : mapping
        Of the layer, as in napari's layer data tuples. ``axis_labels``, ``units``, ``scale``,
        ``rotate``, ``shear``, ``affine``, ``multiscale`` and ``metadata`` are read.

    Returns
    -------
    list of str
        The file, and the record beside it where there is one.

    Raises
    ------
    InputError
        If labels are negative, or the layer has more axes than a file can name.
    FileError
        If the file cannot be written, its format cannot hold these labels, or the record would
        replace another file.
    """
    if Path(path).name.lower().endswith(EXPORTED):
        return [str(_export(Path(path), data, attributes))]
    metadata = attributes.get("metadata") or {}
    marks = metadata.get(MARKS_KEY)
    if not isinstance(marks, Mapping):
        files = _write(write_labels, path, data, attributes)
    else:
        path = _finalize(Path(path))
        check_room(path)
        least = np.int32 if path.suffix.lower() in (".tif", ".tiff") else np.uint8
        files = _write(partial(write_labels, least=least), path, data, attributes)
        ndim = (data[0] if attributes.get("multiscale") else data).ndim
        place = _place(ndim, attributes)
        journal = metadata.get(JOURNAL_KEY)
        files[1:] = [str(write_marks(path, marks, place, record_of(metadata), journal))]
    mark_saved(data[0] if attributes.get("multiscale") else data, Path(files[0]))
    return files


def _export(path: Path, data: Any, attributes: Mapping[str, Any]) -> Path:
    """Write labels for another program; the viewer's dialog has asked whether to replace a file."""
    found = LabelData.of(data, attributes)
    return drain(
        iter_export(
            found.array,
            path,
            axes=found.axes,
            pixel_size=found.pixel_size,
            record=found.record or {},
            replace=True,
        )
    )


def write_image_layer(
    path: str | os.PathLike[str], data: Any, attributes: Mapping[str, Any]
) -> list[str]:
    """Write an image layer; colours become the axis C.

    Axes, pixel size and run record are those that `write_labels_layer` describes; where the layer
    does not name its axes, those that its own file declares, else the guess of the docks. Data
    type and values stay as they are.

    Parameters
    ----------
    path : path-like
        As for `write_labels_layer`.
    data : array-like, or sequence of such
        Real numbers or bool; of a multiscale layer the finest level first.
    attributes : mapping
        As for `write_labels_layer`, and ``rgb``.

    Returns
    -------
    list of str
        The file, and the run record where there is one.

    Raises
    ------
    InputError
        If the values are complex, or the layer has more axes than a file can name.
    FileError
        If the file cannot be written, or its format cannot hold this image.
    """
    return _write(write_image, path, data, attributes)


def _write(
    write: Callable[..., Path],
    path: str | os.PathLike[str],
    data: Any,
    attributes: Mapping[str, Any],
) -> list[str]:
    array = data[0] if attributes.get("multiscale") else data
    rgb = bool(attributes.get("rgb"))
    record = record_of(attributes.get("metadata") or {})
    is_result = write is not write_image or record is not None
    ndim = array.ndim - rgb
    layer = one_pixel(ndim, attributes, rgb=rgb)
    axes = known_axes(layer.axis_labels, attributes.get("metadata") or {}, array.shape)
    if axes is not None:
        axes += "C" * rgb
    elif write is write_image and ndim in AXES_BY_NUMBER:
        axes = _axes_of_source(data) or guess_axes(array.shape, colours=rgb)[0]
    else:
        axes = axes_by_number(ndim)
    if axes.count("C") > 1:
        raise InputError(
            "The layer has colours and an axis named channel too, but a file has one axis C",
            "split the channels into layers, or rename that axis",
        )
    sizes = layer.pixel_size(axes)
    if all(size is None for size in sizes):
        sizes = recorded_sizes(record, axes)
    laid = {**_place(ndim, attributes), "axes": axes}
    if is_result and not rgb and "C" in axes and array.shape[axes.index("C")] == 1:
        array, axes = lift(array, axes)  # it lay beside its channels
    file = write(
        _finalize(Path(path)),
        array,
        axes=axes,
        pixel_size=sizes,
        record=record,
        place=laid,
    )
    return [str(file)] if record is None else [str(file), str(record_path(file))]


def _place(ndim: int, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Where a layer lies, as plain values."""
    keys = [key for key in (*PLACE, "translate") if attributes.get(key) is not None]
    pixel = np.zeros((1,) * ndim, np.uint8)
    return place_of(Labels(pixel, **{key: attributes[key] for key in keys}))


def _axes_of_source(data: Any) -> str | None:
    """Axes that the file of an image declares; which file it is, only the layer knows."""
    viewer = plain(current_viewer())
    layers = () if viewer is None else viewer.layers
    layer = next((x for x in layers if isinstance(x, Image) and x.data is data), None)
    return None if layer is None else LayerImage.of(layer).known_axes


def _finalize(path: Path) -> Path:
    """The path with an ending; the dot of a name such as "cells 0.5" begins none."""
    if path.name.lower().endswith(WRITE_SUFFIXES) or re.search(r"\.[A-Za-z]\w{0,4}$", path.name):
        return path
    complete = path.with_name(path.name + WRITE_SUFFIXES[0])
    if complete.exists():
        raise FileError(
            f"{complete} exists already",
            "give the name with its ending to replace the file, or another name",
        )
    return complete
