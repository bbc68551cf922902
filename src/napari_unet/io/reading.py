"""Opening an image file of any supported kind."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import spatial_in_order
from napari_unet.errors import FileError, InputError, Note, UNetError
from napari_unet.io.bioio_files import BIOIO_SUFFIXES, open_bioio
from napari_unet.io.bitmaps import open_bitmap
from napari_unet.io.lazy import LazyArray
from napari_unet.io.naming import LABEL_ONLY
from napari_unet.io.opened import Opened
from napari_unet.io.pixel_size import PixelSize
from napari_unet.io.reason import reason_of
from napari_unet.io.scenes import Scene
from napari_unet.io.tiff import open_tiff
from napari_unet.io.zarr_files import open_zarr
from napari_unet.io.zarr_members import is_inside_zarr

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8")
BITMAPS = (".png", ".bmp", ".gif", ".jpg", ".jpeg")
READ_SUFFIXES = (*TIFF_SUFFIXES, *BITMAPS, ".npy", ".zarr")
"""Endings of the files that `read_image` opens."""

_EAGER_BYTES = 64 * 2**20
MAX_PIXELS = 2**56
MAX_CHUNK_BYTES = 2**32


@dataclass(frozen=True, eq=False)
class ImageFile:
    """An image as its file gives it.

    Attributes
    ----------
    path : Path
        The file, or the folder of a Zarr image.
    array : ndarray or LazyArray
        The pixels, with the file's data type in the machine's byte order. A LazyArray
        reads what is sliced, when it is sliced.
    axes : str or None
        One letter over TCZYX per axis of ``array``; None where the file does not say what
        an axis is, or calls rows of pixels what is far too short for them.
    pixel_size : tuple of float or None, or None
        Micrometres per spatial axis in the order of ``axes``; None where the file does not
        say. Always None where ``axes`` is None.
    notes : tuple of Note
        What was left out of the file, or taken otherwise than it is stored, in words: further
        images, a thumbnail, an inversion, a pixel size that none can have.
    scenes : tuple of Scene
        All images of the file, where it can hold several; else empty.
    scene : int
        Which of them was read.
    channel_names : tuple of str
        Names along the axis C; empty where the file does not give them.
    is_labels : bool
        Whether the file says that it holds labels.
    place : mapping or None
        Where a viewer had laid the array when this package saved it.
    unitless_size : mapping of str to float
        Pixel sizes, by axis letter, in a unit that the file does not name; 1 is not among them,
        which programs write where they know nothing.
    """

    path: Path
    array: NDArray[Any] | LazyArray
    axes: str | None
    pixel_size: PixelSize
    notes: tuple[Note, ...] = ()
    scenes: tuple[Scene, ...] = ()
    scene: int = 0
    channel_names: tuple[str, ...] = ()
    is_labels: bool = False
    place: Mapping[str, Any] | None = None
    unitless_size: Mapping[str, float] = field(default_factory=dict)

    def pixel_size_along(self, axes: str | None) -> list[float | None] | None:
        """Micrometres along each spatial axis of ``axes``, where others than the file's are used.

        None inside the list, or for all of it, where the file does not know.
        """
        if self.pixel_size is None or self.axes is None:
            return None
        known = dict(zip(spatial_in_order(self.axes), self.pixel_size, strict=True))
        return [known.get(axis) for axis in spatial_in_order(axes or self.axes)]


def read_image(
    path: str | os.PathLike[str],
    *,
    scene: int | str | None = None,
    as_labels: bool = False,
    eager_bytes: int = _EAGER_BYTES,
) -> ImageFile:
    """Open an image file.

    TIFF (plain, BigTIFF, OME-TIFF, ImageJ hyperstack), PNG, BMP, GIF, JPEG, ``.npy``, and Zarr
    folders (an array, an OME-Zarr image at full resolution, one of its levels or labels, an image
    in a well of a plate). Of a file with several images one is read, the first unless that is a
    thumbnail of another, and the others are named in ``notes``. Colour samples become the axis C.
    The alpha channel of a PNG is dropped where it is opaque everywhere; a TIFF keeps all of its
    samples.

    Images are read as they are shown: a palette is replaced by its colours, unless these only
    stand for brightness, and unsigned integers of which the file says that small ones are bright
    are inverted. Labels are read as they are stored.

    Pixel sizes come from OME metadata, from ImageJ's unit and resolution, or from the TIFF
    resolution tags where these hold a length and not a print setting such as 72 or 300 dots
    per inch. The other files have none.

    Parameters
    ----------
    path : path-like
        The file, or the folder of a Zarr image.
    scene : int or str, optional
        Which image of a file that holds several: its number from 0, or its name.
    as_labels : bool
        Whether to leave the numbers as they are stored, such as the indices of a palette.
    eager_bytes : int
        TIFF and ``.npy`` images up to this many bytes are read at once, which also finds
        damaged pixels. Larger ones, and all Zarr images, are read when they are sliced.

    Returns
    -------
    ImageFile
        Pixels, axes, pixel size, and what is to be told of them.

    Raises
    ------
    FileError
        If the file is missing, empty, truncated, damaged, not readable for the user, or of
        a kind that is not supported.
    InputError
        If it has no such scene.

    Examples
    --------
    >>> import tempfile
    >>> from napari_unet.io import write_labels
    >>> labels = np.zeros((4, 32, 32), np.uint16)
    >>> path = Path(tempfile.mkdtemp()) / "labels.tif"
    >>> _ = write_labels(path, labels, axes="ZYX", pixel_size=(2.0, 0.325, 0.325))
    >>> image = read_image(path)
    >>> image.array.shape, image.axes, image.pixel_size
    ((4, 32, 32), 'ZYX', (2.0, 0.325, 0.325))
    """
    path = Path(path)
    suffix = path.suffix.lower()
    _check_path(path, suffix)
    if path.is_dir():
        found = open_zarr(path, scene)
    elif suffix in BIOIO_SUFFIXES:
        found = open_bioio(path, scene)
    elif suffix in TIFF_SUFFIXES:
        found = open_tiff(path, eager_bytes, scene, as_labels=as_labels)
    else:
        if scene not in (None, 0):
            raise InputError(
                f"{path} has no image ⟨scene={scene!r}⟩: such a file holds one",
                "leave it out",
                parameter="scene",
                value=scene,
            )
        bitmap = suffix in BITMAPS
        found = open_bitmap(path, as_labels=as_labels) if bitmap else _open_npy(path, eager_bytes)
    array = found.array
    if array.dtype.kind not in "buifc":
        raise FileError(
            f"{path} holds values of type {array.dtype}, which are no pixels",
            "save integers or floats",
        )
    absurd = _find_absurd_layout(array)
    if absurd is not None:
        raise FileError(f"{path} {absurd}", "copy or export it anew")
    if array.ndim < 2 or 0 in array.shape:
        raise FileError(
            f"{path} holds an array of shape {array.shape}, which is no image",
            "an image has at least two axes, none of length 0",
        )
    return ImageFile(
        path,
        array,
        found.axes,
        found.pixel_size,
        found.notes,
        found.scenes,
        found.scene,
        found.channel_names,
        found.is_labels,
        found.place,
        found.unitless_size,
    )


def count_scenes(path: str | os.PathLike[str]) -> int:
    """How many images a file holds; 1 where it cannot be opened."""
    try:
        return max(1, len(read_image(path, eager_bytes=0).scenes))
    except UNetError:
        return 1


def _find_absurd_layout(array: NDArray[Any] | LazyArray) -> str | None:
    """What no program writes of a shape and its chunks; None where they are sound.

    A store of a few bytes can declare any: sizes that no disk holds, chunks of no pixel.
    """
    chunks = getattr(array, "chunks", ())
    if min(array.shape, default=1) < 0 or math.prod(array.shape) > MAX_PIXELS:
        return f"declares a shape of {array.shape}, which no disk holds"
    if 0 not in array.shape and min(chunks, default=1) < 1:
        return f"declares chunks of {chunks} pixels, which hold none"
    if math.prod(chunks) * array.dtype.itemsize > MAX_CHUNK_BYTES:
        return f"declares chunks of {chunks} pixels, which are read as one piece and do not fit"
    return None


def _check_path(path: Path, suffix: str) -> None:
    """Raise what can be said of a file before it is opened."""
    kinds = ", ".join(READ_SUFFIXES)
    try:
        if path.is_dir():
            if not is_inside_zarr(path):
                raise FileError(
                    f"{path} is a folder, not an image", f"give the path of one image ({kinds})"
                )
            return
        if not path.exists():
            raise FileError(f"{path} does not exist", "check the name and the folder")
        if not path.is_file():
            raise FileError(f"{path} is no file, but a pipe or a device", "give a file")
        if suffix in LABEL_ONLY:
            raise FileError(
                f"{path} holds regions, which are labels and no image",
                "give it as the labels of an image, or read it by napari_unet.io.read_labels",
            )
        if suffix not in (*READ_SUFFIXES, *BIOIO_SUFFIXES) or suffix == ".zarr":
            raise FileError(
                f"{path} is of a kind that cannot be read",
                f"export it as OME-TIFF, or give one of {kinds}",
            )
        if path.stat().st_size == 0:
            raise FileError(f"{path} is empty (0 bytes)", "copy or export the file anew")
        with path.open("rb"):
            pass
    except PermissionError as error:
        raise FileError(
            f"{path} may not be read by you", "change its permissions or copy it elsewhere"
        ) from error
    except OSError as error:
        raise FileError(
            f"{path} cannot be read ({reason_of(error)})", "check the name and the disk"
        ) from error


def _open_npy(path: Path, eager_bytes: int) -> Opened:
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(mapped, np.ndarray):
            mapped.close()
            raise ValueError("it is an archive of arrays")
    except MemoryError:
        raise  # it is not the file's fault
    except Exception as error:
        # NumPy lets a Python tokenizer loose on the header.
        raise FileError(
            f"{path} is no .npy array of numbers, or a damaged one ({reason_of(error)})",
            "save it anew with numpy.save",
        ) from error
    axes = "YX" if mapped.ndim == 2 else None
    lazy = LazyArray(path, mapped)
    return Opened(lazy if mapped.nbytes > eager_bytes else np.asarray(lazy), axes)
