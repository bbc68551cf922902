"""Arrays that workers of a cluster can open by themselves, whatever the image was given as."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from napari_unet.image.source import ImageSource
from napari_unet.io.lazy import LazyArray

SLAB_BYTES = 1 << 26  # copied at once
MAX_CHUNK_PIXELS = 512


def share_source(source: ImageSource, folder: str) -> ImageSource:
    """An image whose arrays can be sent to other processes; those in memory are put on disk.

    Parameters
    ----------
    source : ImageSource
        Any image.
    folder : str
        Path or URL of a folder that all workers see, for copies of arrays that are in memory here.
    """
    arrays = [
        array if _is_shared(array) else _copy(array, f"{folder}/input-{number}.zarr")
        for number, array in enumerate(source.arrays)
    ]
    return replace(source, arrays=tuple(arrays), origins=())


def _is_shared(array: Any) -> bool:
    """Whether an array can be opened in another process from what it is sent as."""
    if isinstance(array, LazyArray):
        return array.is_zarr
    store = getattr(array, "store", None)
    if store is not None:
        kind = type(store).__name__
        return kind in ("LocalStore", "FsspecStore", "ObjectStore")
    return type(array).__module__.startswith("dask.")


def _copy(array: Any, location: str) -> Any:
    import zarr

    shape = tuple(int(n) for n in array.shape)
    flat = len(shape) - 2  # axes of planes
    chunks = tuple(min(n, MAX_CHUNK_PIXELS) if i >= flat else 1 for i, n in enumerate(shape))
    copied = zarr.create_array(
        store=location, shape=shape, chunks=chunks, dtype=np.dtype(array.dtype), overwrite=True
    )
    for part in _slabs(shape, np.dtype(array.dtype).itemsize):
        copied[part] = np.asarray(array[part])
    return copied


def _slabs(shape: tuple[int, ...], itemsize: int) -> Iterator[tuple[slice, ...]]:
    row = max(1, math.prod(shape[1:]) * itemsize)
    step = max(1, SLAB_BYTES // row)
    for start in range(0, shape[0], step):
        yield (slice(start, min(start + step, shape[0])),)
