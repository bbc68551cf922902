"""Planes of an array on disk, read a slab of chunks at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_SLAB_BYTES = 1 << 30


class SlabReader:
    """An array whose planes are asked for in order, as where they are written to a file.

    A chunk holds several planes: each would be decoded once a plane. Larger slabs than
    `MAX_SLAB_BYTES` are not kept.

    Parameters
    ----------
    array : array-like
        With shape, dtype and chunks, either their shape or, as of Dask, their lengths by axis.
    axis : int
        Along which the planes are asked for.
    """

    def __init__(self, array: Any, axis: int) -> None:
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype = np.dtype(array.dtype)
        self.ndim = len(self.shape)
        self._array = array
        self._axis = axis
        length = array.chunks[axis]
        length = max(length) if isinstance(length, tuple) else length
        self._planes = min(length, self.shape[axis])
        self._key: tuple[Any, ...] = ()
        self._slab: NDArray[Any] | None = None

    def __getitem__(self, index: Any) -> NDArray[Any]:
        parts = index if isinstance(index, tuple) else (index,)
        if Ellipsis not in parts:
            parts += (slice(None),) * (self.ndim - len(parts))
        if not self._is_plane(parts):
            return np.asarray(self._array[index])
        number = parts[self._axis]
        start = number // self._planes * self._planes
        wide = list(parts)
        wide[self._axis] = slice(start, start + self._planes)
        key = (start, *(p if isinstance(p, int) else None for p in parts[: self._axis]))
        key += tuple(p if isinstance(p, int) else None for p in parts[self._axis + 1 :])
        if key != self._key or self._slab is None:
            self._slab = None  # before the next one needs its room
            self._slab, self._key = np.asarray(self._array[tuple(wide)]), key
        place = sum(isinstance(part, slice) for part in parts[: self._axis])
        plane: NDArray[Any] = self._slab.take(number - start, axis=place)
        return plane

    def _is_plane(self, parts: tuple[Any, ...]) -> bool:
        """Whether one place along the axis is asked for, all or one of every other, and it fits."""
        if len(parts) <= self._axis or not isinstance(parts[self._axis], int):
            return False
        if not all(isinstance(part, int) or part == slice(None) for part in parts):
            return False
        kept = [
            1 if isinstance(part, int) else size
            for part, size in zip(parts, self.shape, strict=True)
        ]
        size = math.prod(kept) * self._planes * int(self.dtype.itemsize)
        return bool(size <= MAX_SLAB_BYTES)
