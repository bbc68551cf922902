"""Layers whose labels are on disk: edited there by windows, never by the brush."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.errors import InputError, UNetError
from napari_unet.io.zarr_files import level_paths
from napari_unet.recovery.stored_array import StoredArray

if TYPE_CHECKING:
    from napari.layers import Labels

_stored: weakref.WeakKeyDictionary[Labels, StoredArray] = weakref.WeakKeyDictionary()


def open_stored(layer: Labels) -> StoredArray:
    """The array on disk of a layer, which the layer shows from now on; its brush is put away.

    Raises
    ------
    InputError
        If the labels are in no zarr array on a local disk.
    FileError
        If it cannot be written to, or another window edits it.
    """
    if isinstance(layer.data, StoredArray):
        return layer.data
    path = _find_array(layer)
    if path is None:
        raise InputError(
            f"The labels ‘{layer.name}’ are read from a file that cannot be changed in parts",
            "save them as a zarr array, or load them into memory, and open that",
            code="not-in-memory",
        )
    known = _stored.get(layer)
    stored = known if known is not None and known.path == path.resolve() else StoredArray(path)
    _stored[layer] = stored
    layer.data = stored
    layer.editable = False  # the brush would write every stroke to the disk
    return stored


def close_stored(layer: Labels) -> None:
    """Write what is not written yet, and let others edit the array of a layer that is gone."""
    stored = _stored.pop(layer, None)
    if stored is not None:
        stored.close()


def _find_array(layer: Labels) -> Path | None:
    """The folder of the zarr array that a layer shows; None where it shows none as it is."""
    data: Any = layer.data
    root = getattr(getattr(data, "store", None), "root", None)
    if root is not None:
        return Path(root, str(getattr(data, "path", "")))
    if not layer.source.path or not Path(layer.source.path).is_dir():
        return None
    path = Path(layer.source.path)
    try:
        found = [path, *level_paths(path)[:1]]
    except (UNetError, OSError, KeyError, ValueError):
        return None
    return next((each for each in found if _is_array(each, data)), None)


def _is_array(path: Path, data: Any) -> bool:
    """Whether a folder holds a zarr array of the shape and dtype of some data."""
    import zarr

    try:
        array = zarr.open_array(path, mode="r")
    except Exception:  # noqa: BLE001  # zarr raises errors of any kind
        return False
    return tuple(array.shape) == tuple(data.shape) and np.dtype(array.dtype) == data.dtype
