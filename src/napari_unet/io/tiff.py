"""Opening TIFF files: plain, BigTIFF, OME-TIFF and ImageJ hyperstacks."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import FileError, UNetError
from napari_unet.io.lazy import LazyArray
from napari_unet.io.opened import Opened
from napari_unet.io.photometric import Conversion, ConvertedArray, tiff_conversion
from napari_unet.io.pixel_size import order_sizes
from napari_unet.io.reason import reason_of
from napari_unet.io.scenes import Scene, choose_scene
from napari_unet.io.tiff_check import (
    find_broken_list,
    find_damaged_metadata,
    find_missing_pixels,
    has_damaged_xml,
)
from napari_unet.io.tiff_metadata import (
    KIND_KEY,
    LABELS,
    PLACE_KEY,
    credible_axes,
    own_metadata,
    tiff_axes,
    tiff_channel_names,
    tiff_sizes,
)

_PAGE_BYTES = 4 * 2**20
"""Planes up to this size are decoded whole; larger ones in the strips or tiles they have."""


def open_tiff(
    path: Path, eager_bytes: int, scene: int | str | None = None, *, as_labels: bool = False
) -> Opened:
    """Open an image of a TIFF file; of a pyramid, its full resolution.

    Parameters
    ----------
    path : Path
        The file.
    eager_bytes : int
        Images up to this size are read at once.
    scene : int, str or None
        Which image of several; None: as `choose_scene` has it.
    as_labels : bool
        Whether to leave the numbers as they are stored, without palette or inversion.

    Raises
    ------
    FileError
        If the file is no TIFF, is truncated or damaged, or needs a codec that is missing.
    InputError
        If it has no such image.
    """
    import tifffile

    tif = None
    lazy = False
    try:
        with _quiet(tifffile.logger()):
            tif = tifffile.TiffFile(path)
            _refuse(path, find_broken_list(path, tif))
            if has_damaged_xml(tif):
                tif.close()
                tif = tifffile.TiffFile(path, is_ome=False)
            scenes = tuple(_describe(series) for series in tif.series)
            chosen, notes = choose_scene(path, scenes, scene)
            series = tif.series[chosen]
            _refuse(path, find_missing_pixels(tif, series))
            order, axes = tiff_axes(tif, series)
            axes = credible_axes(axes, [series.get_shape(squeeze=False)[i] for i in order], tif)
            sizes, told = tiff_sizes(tif, chosen)
            damaged = find_damaged_metadata(tif)
            notes += told if damaged is None else (*told, damaged)
            names = tiff_channel_names(tif, chosen)
            own = own_metadata(tif) if len(scenes) == 1 else {}
            conversion = None
            if not as_labels:
                conversion, told = tiff_conversion(series.keyframe)
                notes += told
            array: NDArray[Any] | LazyArray
            if series.nbytes <= eager_bytes:
                array = _read_whole(series, order)
                array = array if conversion is None else conversion.apply(array)
            else:
                array = _read_lazily(path, tif, series, order, conversion)
                lazy = True
            if conversion is not None and conversion.colours and axes:
                axes += "C"
    except UNetError:
        raise
    except OSError as error:
        raise FileError(
            f"{path} cannot be read ({reason_of(error)})", "check the disk and retry"
        ) from error
    except MemoryError:
        raise  # it is not the file's fault
    except Exception as error:
        # On damaged files tifffile raises errors of any kind, not only its own.
        raise _open_error(path, error) from error
    finally:
        if tif is not None and not lazy:
            tif.close()
    known = order_sizes(sizes, axes) if axes else None
    is_labels, place = own.get(KIND_KEY) == LABELS, _parse_place(own.get(PLACE_KEY))
    return Opened(array, axes, known, notes, scenes, chosen, names, is_labels, place)


def _parse_place(text: str | None) -> dict[str, Any] | None:
    try:
        place = json.loads(text or "")
    except ValueError:
        return None
    return place if isinstance(place, dict) else None


def _describe(series: Any) -> Scene:
    shape, axes = series.shape, series.axes
    rows, columns = (int(shape[axes.index(axis)]) if axis in axes else 1 for axis in "YX")
    return Scene(str(series.name or ""), tuple(shape), (rows, columns))


def read_tiff_layout(path: Path) -> tuple[str, tuple[int, ...]] | None:
    """Axes that a TIFF file declares, in the order of storage, and the length of each.

    None where it declares none: pages are not counted. No pixels are read.
    """
    import tifffile

    with _quiet(tifffile.logger()), tifffile.TiffFile(path) as tif:
        _refuse(path, find_broken_list(path, tif))
        if not (tif.is_ome or tif.is_imagej or tif.is_shaped or tif.is_lsm or tif.is_stk):
            return None
        series = tif.series[0]
        order, axes = tiff_axes(tif, series)
        shape = [series.get_shape(squeeze=False)[i] for i in order]
        axes = credible_axes(axes, shape, tif)
    if axes is None:
        return None
    stored = sorted(zip(order, axes, shape, strict=True))
    return "".join(axis for _, axis, _ in stored), tuple(int(n) for _, _, n in stored)


def _refuse(path: Path, damage: str | None) -> None:
    if damage is not None:
        raise FileError(f"{path} is truncated or damaged: {damage}", "copy or export the file anew")


def _read_whole(series: Any, order: tuple[int, ...]) -> NDArray[Any]:
    shape = series.get_shape(squeeze=False)
    whole = series.asarray().reshape(shape)
    rest = [axis for axis in range(len(shape)) if axis not in order]
    whole = whole.transpose([*rest, *order]).reshape([shape[axis] for axis in order])
    return np.ascontiguousarray(whole, dtype=whole.dtype.newbyteorder("="))


def _read_lazily(
    path: Path, tif: Any, series: Any, order: tuple[int, ...], conversion: Conversion | None
) -> LazyArray:
    shape = series.get_shape(squeeze=False)
    keyframe = series.keyframe
    source: Any
    if series.dataoffset is not None and not series.is_multifile:
        dtype = np.dtype(tif.byteorder + series.dtype.char)
        source = np.memmap(path, dtype, "r", series.dataoffset, shape)
        return _lazy(path, tif, source, order, conversion)
    stored = shape[:-1] if series.get_axes(squeeze=False)[-1] == "S" and shape[-1] == 1 else shape
    if tuple(stored[-len(keyframe.shape) :]) != tuple(keyframe.shape):
        # Planes of another shape than the image's last axes, as tifffile stores an image one
        # pixel wide, cannot be addressed one by one.
        source = _read_whole(series, order)
        return _lazy(path, tif, source, tuple(range(source.ndim)), conversion)
    import zarr

    # Per plane is faster, but a large plane must not be decoded again for each tile of it.
    whole_planes = not keyframe.is_tiled and keyframe.nbytes <= _PAGE_BYTES
    store = series.aszarr(level=0, squeeze=False, chunkmode=2 if whole_planes else 0)
    array = _lazy(path, tif, zarr.open_array(store, mode="r"), order, conversion)
    _ = array[(0,) * array.ndim]  # a missing codec or a broken start shows here, not later
    return array


def _lazy(
    path: Path, tif: Any, source: Any, order: tuple[int, ...], conversion: Conversion | None
) -> LazyArray:
    if conversion is not None:
        order += (len(source.shape),) if conversion.colours else ()
        source = ConvertedArray(source, conversion)
    return LazyArray(path, source, order, tif.close)


def _open_error(path: Path, error: Exception) -> FileError:
    if "imagecodecs" in str(error):
        return FileError(
            f"{path} is compressed in a way that needs the package imagecodecs "
            f"({reason_of(error)})",
            "run 'pip install imagecodecs', or save the file with ZIP compression or none",
        )
    return FileError(
        f"{path} is no TIFF file, or a damaged one ({reason_of(error)})",
        "open it in another program, or copy or export it anew",
    )


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep this thread's messages from a logger: what matters is raised as an error."""
    thread = threading.get_ident()

    def others(record: logging.LogRecord) -> bool:
        return record.thread != thread

    logger.addFilter(others)
    try:
        yield
    finally:
        logger.removeFilter(others)
