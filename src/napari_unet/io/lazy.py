"""An array in a file, of which only what is asked for is read.

A Dask or zarr array reads parts too, but neither names the file where reading fails nor closes it
when it is no longer in use.
"""

from __future__ import annotations

import math
import operator
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import FileError
from napari_unet.io.reason import reason_of


class LazyArray:
    """A read-only array whose parts are read from a file when they are sliced.

    Slicing with integers, slices (also negative steps) and ``...`` gives NumPy arrays in
    the machine's byte order; ``np.asarray`` reads everything. What goes wrong while
    reading becomes a FileError that names the file.

    Parameters
    ----------
    path : Path
        The file, for messages.
    source : array-like
        Anything with shape, dtype and basic slicing.
    order : sequence of int, optional
        Axes of ``source`` in the order that this array shows them. Axes left out must have
        length 1. By default all, in their order.
    close : callable, optional
        Releases the file. Called by `close`, or when the array is no longer in use.

    Attributes
    ----------
    path : Path
        The file.
    shape : tuple of int
        Length of each axis.
    dtype : numpy.dtype
        Data type, in the machine's byte order.
    chunks : tuple of int
        Shape of the parts that are best read whole.
    """

    def __init__(
        self,
        path: Path,
        source: Any,
        order: Sequence[int] | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        source_shape = tuple(int(size) for size in source.shape)
        self._source = source
        self._order = tuple(range(len(source_shape)) if order is None else order)
        left_out = set(range(len(source_shape))) - set(self._order)
        if any(source_shape[axis] != 1 for axis in left_out):
            raise ValueError(f"order {self._order} leaves out axes of shape {source_shape}")
        self.path = path
        self.shape: tuple[int, ...] = tuple(source_shape[axis] for axis in self._order)
        self.dtype: np.dtype[Any] = np.dtype(source.dtype).newbyteorder("=")
        source_chunks = getattr(source, "chunks", None)
        self.chunks: tuple[int, ...] = (
            _blocks(self.shape, self.dtype)
            if source_chunks is None
            else tuple(int(source_chunks[axis]) for axis in self._order)
        )
        self._finalizer = None if close is None else weakref.finalize(self, close)

    @property
    def is_zarr(self) -> bool:
        """Whether it reads a zarr array, so that another process can open it as well."""
        return type(self._source).__module__.startswith("zarr.")

    def __reduce__(self) -> tuple[Any, ...]:
        if not self.is_zarr:
            raise TypeError(f"{self!r} cannot be sent to another process")
        return (LazyArray, (self.path, self._source, self._order))

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Size of the whole array in bytes, once read."""
        return self.size * self.dtype.itemsize

    def close(self) -> None:
        """Release the file; reading is no longer possible afterwards."""
        self._source = None
        if self._finalizer is not None:
            self._finalizer()

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"LazyArray({str(self.path)!r}, shape={self.shape}, dtype={self.dtype})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError(f"{self!r} can only be read as a copy")
        whole = np.asarray(self[...])
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def __getitem__(self, index: Any) -> Any:
        asked = _basic_index(index, self.shape)
        if self._source is None:
            raise FileError(f"{self.path} has been closed", "open it again to read from it")
        request: list[int | slice] = [0] * len(self._source.shape)
        flips = []
        for axis, part, size in zip(self._order, asked, self.shape, strict=True):
            if isinstance(part, slice):
                request[axis], flip = _ascending(part, size)
                flips.append(slice(None, None, -1 if flip else None))
            else:
                request[axis] = part
        kept = [
            axis for axis, part in zip(self._order, asked, strict=True) if isinstance(part, slice)
        ]
        try:
            block = np.asarray(self._source[tuple(request)])
        except MemoryError:
            raise  # it is not the file's fault
        except Exception as error:
            # Codecs, stores and memory maps raise anything on damaged data.
            raise FileError(
                f"{self.path} is damaged or can no longer be read ({reason_of(error)})",
                "check the disk, or copy or export the file anew",
            ) from error
        ranks = sorted(kept)
        block = block.transpose([ranks.index(axis) for axis in kept])[tuple(flips)]
        # From a memory map: read now, where errors are expected, and give something writable.
        block = block.astype(self.dtype, copy=isinstance(self._source, np.memmap))
        return block if block.ndim else block[()]


def _blocks(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, ...]:
    """Blocks of at most 4 MiB, as long as possible along the last axes."""
    left = max(1, 2**22 // dtype.itemsize)
    sizes: list[int] = []
    for size in reversed(shape):
        sizes.append(min(size, left))
        left = max(1, left // max(1, size))
    return tuple(reversed(sizes))


def _basic_index(index: Any, shape: tuple[int, ...]) -> tuple[int | slice, ...]:
    """One integer or slice per axis, integers counted from the front."""
    parts = list(index) if isinstance(index, tuple) else [index]
    dots = [place for place, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can hold only one '...'")
    missing = len(shape) - (len(parts) - len(dots))
    if missing < 0:
        raise IndexError(f"{len(parts)} indices for an array of {len(shape)} axes")
    place = dots[0] if dots else len(parts)
    parts[place : place + len(dots)] = [slice(None)] * missing
    result: list[int | slice] = []
    for axis, (part, size) in enumerate(zip(parts, shape, strict=True)):
        if isinstance(part, slice):
            result.append(part)
            continue
        try:
            number = operator.index(part)
        except TypeError:
            raise IndexError(
                f"an array in a file takes integers, slices and '...', not {part!r}; read it "
                "with np.asarray first"
            ) from None
        if not -size <= number < size:
            raise IndexError(f"index {number} is out of bounds for axis {axis} of length {size}")
        result.append(number % size)
    return tuple(result)


def _ascending(part: slice, size: int) -> tuple[slice, bool]:
    """The same elements from front to back, and whether to reverse them afterwards."""
    steps = range(*part.indices(size))
    if not steps:
        return slice(0, 0), False
    low, high = min(steps[0], steps[-1]), max(steps[0], steps[-1])
    return slice(low, high + 1, abs(steps.step)), steps.step < 0
