"""Exporting labels: what is asked for, checked; written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from napari_unet.errors import FileError
from napari_unet.formats.kinds import Kind, kind_of
from napari_unet.formats.labels import Extent, LabelSource, check_labels
from napari_unet.formats.record import describe_export, file_of
from napari_unet.formats.replacing import atomic_folder, check_free
from napari_unet.formats.steps import Steps
from napari_unet.io.atomic import atomic_path
from napari_unet.io.naming import plain_stem
from napari_unet.io.record import (
    FILE,
    encode_record,
    export_record_path,
    find_record,
    identity_of,
)
from napari_unet.progress import Progress, drain

BESIDE = ("tif", "ome.tif", "csv")
"""Formats whose record stands in a file beside them; of others it stands in the file alone."""


def export(
    labels: Any,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002
    axes: str | None = None,
    pixel_size: float | Sequence[float | None] | None = None,
    image: Any = None,
    record: Mapping[str, Any] | None = None,
) -> Path:
    """Write labels to a file that other programs read.

    The ending of the path tells the format:

    ============================ ===============================================================
    ``.tif``                     label TIFF as ImageJ and Fiji read it, with colours
    ``.ome.tif``                 OME-TIFF
    ``.ome.zarr``                OME-Zarr 0.5 with its pyramid; with ``image`` also that
    ``.zip``                     regions of ImageJ's ROI Manager, with holes and pieces
    ``.geojson``                 GeoJSON as QuPath reads it
    ``.json``                    COCO annotations with run-length masks
    ``_seg.npy``                 Cellpose
    ``.png``                     mask of one plane; with ``image`` that with outlines and scale bar
    ``.csv``, ``.tsv``           table of objects, as `measure` gives it
    ============================ ===============================================================

    Axes, pixel size, the names of classes and the record of the run are kept, in the file where
    that can hold them, and for TIFF and tables in a file beside it. Label values stay what they
    are, in the smallest of 8, 16 and 32 bits that holds them. What lies on a disk is read plane by
    plane; only Cellpose's files need all of it in memory. docs/formats.md tells what each
    program makes of it.

    Parameters
    ----------
    labels : array-like of int
        0 is background, each other value an object, or a class. Anything with shape, dtype and
        slicing.
    path : path-like
        The file. One that was exported earlier is replaced, any other is not.
    format : str, optional
        ``tif``, ``ome.tif``, ``ome.zarr``, ``roi``, ``geojson``, ``coco``, ``cellpose``, ``png``,
        ``overlay`` or ``csv``, where the ending does not tell it.
    axes : str, optional
        Axes over TCZYX of the image if there is one, else of the labels, which have no C. Can be
        left out in two dimensions, or where the record says them.
    pixel_size : float or sequence of float, optional
        Micrometres, one for all spatial axes or one for each in the order of ``axes``; None: as the
        record says, or not known.
    image : array-like, or list of array-like, optional
        The image of the labels: measured for a table, drawn under outlines, kept by OME-Zarr and
        Cellpose.
    record : mapping, optional
        The record of the run that made the labels; None: that of the labels' file, if there is one.
        Its ``classes`` name label values.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If labels are negative or no integers, shapes differ, or axes are not known.
    FileError
        If the ending means no format, there is another file, the format cannot hold these labels,
        or the file cannot be written. Nothing is changed then.

    Examples
    --------
    >>> import json, tempfile
    >>> import numpy as np
    >>> labels = np.zeros((64, 64), np.uint16)
    >>> labels[10:20, 10:30] = 7
    >>> path = export(labels, Path(tempfile.mkdtemp()) / "cells.geojson", pixel_size=0.5)
    >>> json.loads(path.read_text())["features"][0]["properties"]["label"]
    7
    """
    return drain(
        iter_export(
            labels,
            path,
            format=format,
            axes=axes,
            pixel_size=pixel_size,
            image=image,
            record=record,
        )
    )


def iter_export(
    labels: Any,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002
    axes: str | None = None,
    pixel_size: float | Sequence[float | None] | None = None,
    image: Any = None,
    record: Mapping[str, Any] | None = None,
    replace: bool = False,
    files: Mapping[str, str | None] | None = None,
) -> Generator[Progress, None, Path]:
    """Export labels step by step; closing the generator cancels, and leaves no file.

    The parameters are those of `export`, and ``replace``: whether any file of that name is
    replaced, because the user was asked; ``files``: the paths of "labels" and "image" for the
    record, where the arrays do not know them.

    Yields
    ------
    Progress
        How far it is.

    Returns
    -------
    Path
        The file.
    """
    target = Path(path)
    kind = kind_of(target, format, has_image=image is not None)
    run = find_record(labels) if record is None else record
    source = check_labels(labels, axes=axes, pixel_size=pixel_size, image=image, record=run)
    _check_fit(target, kind, source)
    check_free(target, kind, replace=replace)
    extent = yield from source.scan()
    _check_extent(target, kind, extent)
    known = files or {"labels": file_of(labels), "image": file_of(image)}
    about = describe_export(kind, source, extent, known, run)
    if kind.name == "ome.zarr":
        with atomic_folder(target) as folder:
            yield from _write(folder, target, kind, source, extent, about)
        return target
    with ExitStack() as stack:
        # the record gets its name first, and tells by the hash that it is of no earlier file
        part = stack.enter_context(atomic_path(target))
        beside = None
        if kind.name in BESIDE:
            beside = stack.enter_context(atomic_path(export_record_path(target)))
        yield from _write(part, target, kind, source, extent, about)
        if beside is not None:
            beside.write_bytes(encode_record({**about, FILE: identity_of(part)}))
    return target


def _check_fit(target: Path, kind: Kind, source: LabelSource) -> None:
    """What a format cannot hold by its nature, told before anything is read."""
    if kind.is_planar:
        from napari_unet.formats.pictures import check_picture

        check_picture(target, kind, source)
    elif kind.name == "cellpose":
        from napari_unet.formats.cellpose import check_cellpose

        check_cellpose(target, source)


def _check_extent(target: Path, kind: Kind, extent: Extent) -> None:
    if kind.name == "png":
        from napari_unet.formats.pictures import check_depth

        check_depth(target, extent)


def _write(
    part: Path,
    target: Path,
    kind: Kind,
    source: LabelSource,
    extent: Extent,
    record: Mapping[str, Any],
) -> Steps:
    image_file = record.get("image")
    match kind.name:
        case "tif" | "ome.tif":
            from napari_unet.formats.tiff import write_label_tiff

            return write_label_tiff(part, source, extent, record, ome=kind.name == "ome.tif")
        case "ome.zarr":
            from napari_unet.formats.ome_zarr import write_ome_zarr

            return write_ome_zarr(part, source, extent, record, plain_stem(target))
        case "roi":
            from napari_unet.formats.roi_zip import write_roi_zip

            return write_roi_zip(part, source, record)
        case "geojson":
            from napari_unet.formats.geojson import write_geojson

            return write_geojson(part, source, record)
        case "coco":
            from napari_unet.formats.coco import write_coco

            return write_coco(part, source, record, image_file)
        case "cellpose":
            from napari_unet.formats.cellpose import write_cellpose

            return write_cellpose(part, source, extent, record, image_file)
        case "png":
            from napari_unet.formats.pictures import write_mask

            return write_mask(part, source, extent, record)
        case "overlay":
            from napari_unet.formats.pictures import write_overlay

            return write_overlay(part, source, record)
        case "csv":
            from napari_unet.formats.table import write_object_table

            return write_object_table(part, target, source)
    raise FileError(f"{target} is of no format that is written", "choose another ending")
