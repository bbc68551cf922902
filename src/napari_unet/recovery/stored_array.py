"""A zarr array on a local disk that is edited by windows, each written wholly or not at all.

A window may lie in several chunks, and a process may die between two of them. So the pixels
before an edit are on disk until all of its chunks are: what is found there later was interrupted,
and is put back. A chunk itself is replaced atomically.

Chunks are tens of megabytes: a thread writes them, while what is read is the edited labels already.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from napari_unet.errors import FileError
from napari_unet.io.atomic import atomic_path
from napari_unet.io.reason import reason_of
from napari_unet.recovery.arrays import open_array
from napari_unet.recovery.ownership import lock_folder
from napari_unet.state import state_folder

CACHE_BYTES = 1 << 28  # of chunks that were read last
PASSING_BYTES = CACHE_BYTES // 4  # of a window from which on it takes nobody's place there
INTERRUPTED = "interrupted.npz"

Slices = tuple[slice, ...]


class StoredArray:
    """A zarr array that is read and written by slices, with the chunks read last in memory.

    Parameters
    ----------
    path : Path
        Of the array, on a local disk.

    Attributes
    ----------
    path : Path
        The same.
    shape, dtype, chunks
        Of the array.
    was_interrupted : bool
        Whether an edit of an earlier process was put back.

    Raises
    ------
    FileError
        If there is no such array, it cannot be written to, or another window edits it.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path).resolve()
        try:
            self._array = open_array(self.path)
            self.shape: tuple[int, ...] = tuple(int(n) for n in self._array.shape)
            self.dtype = np.dtype(self._array.dtype)
            self.chunks: tuple[int, ...] = tuple(int(n) for n in self._array.chunks)
        except Exception as error:  # noqa: BLE001  # zarr raises errors of any kind
            raise FileError(
                f"{path} cannot be opened for writing ({reason_of(error)})",
                "check that it is a zarr array in a folder that you may write to",
            ) from None
        self._blocks: OrderedDict[tuple[int, ...], NDArray[Any]] = OrderedDict()
        self._guard = threading.RLock()  # of the blocks; whoever writes to disk never waits for it
        name = hashlib.sha256(str(self.path).encode()).hexdigest()[:16]
        self._folder = state_folder() / "edits" / name
        self._lock: FileLock | None = lock_folder(self._folder)
        self._pool = ThreadPoolExecutor(1)
        self._writes: list[Future[None]] = []
        self._fault: FileError | None = None
        self.was_interrupted = self._put_back()

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return self.size * int(self.dtype.itemsize)

    def __len__(self) -> int:
        return self.shape[0]

    def flush(self) -> None:
        """Wait until all edits are on disk.

        Raises
        ------
        FileError
            If one could not be written: it and those after it are undone.
        """
        self._wait()
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault

    def close(self) -> None:
        """Write what is not written yet, and let others edit the array."""
        if self._lock is None:
            return
        try:
            self.flush()
        finally:
            self._pool.shutdown()
            self._lock.release()
            self._lock = None

    def __getitem__(self, index: Any) -> NDArray[Any]:
        index = index if isinstance(index, tuple) else (index,)
        window = self._window(index)
        if window is None:
            self._wait()
            return np.asarray(self._array[index])
        found = self._read(window)
        numbers = tuple(
            0 if isinstance(part, int | np.integer) else slice(None)
            for part in _whole(index, self.ndim)
        )
        result: NDArray[Any] = found[numbers]
        return result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All of it."""
        del copy  # what is read is new
        return np.asarray(self[(slice(None),) * self.ndim], dtype)

    def __setitem__(self, index: Any, values: Any) -> None:
        """Write a window: what is read has it at once, the disk soon; `flush` waits for it.

        Raises
        ------
        FileError
            If an earlier window could not be written.
        """
        index = index if isinstance(index, tuple) else (index,)
        window = self._window(index)
        if window is None:
            raise IndexError(f"labels on disk are written by slices, not by {index!r}")
        shape = tuple(part.stop - part.start for part in window)
        if 0 in shape:
            return
        numbers = tuple(
            0 if isinstance(part, int | np.integer) else slice(None)
            for part in _whole(index, self.ndim)
        )
        if self._lock is None or self._fault is not None:
            raise self._fault or FileError(f"{self.path} was closed", "open it again")
        with self._guard:
            old = self._read(window)
            new = old.copy()
            new[numbers] = values
            for place, block, part in self._chunks_of(window):
                self._block(place)[block] = new[part]
            self._writes = [write for write in self._writes if not write.done()]
            self._writes.append(self._pool.submit(self._write, window, old, new))

    def _write(self, window: Slices, old: NDArray[Any], new: NDArray[Any]) -> None:
        """Write a window to disk; in the thread."""
        if self._fault is not None:
            return  # it is of labels that were not written
        try:
            if len(list(self._chunks_of(window))) > 1:
                self._keep(window, old)
            self._store(window, new)
        except Exception as error:  # noqa: BLE001  # a full disk, a folder that is gone
            self._fault = FileError(
                f"{self.path} cannot be written to ({reason_of(error)}); the last edit is undone",
                "check the disk and its permissions",
            )
            self._blocks.clear()
            try:
                self._store(window, old)
            except Exception:  # noqa: BLE001  # it is put back when the array is opened again
                return
        self._forget()

    def _store(self, window: Slices, pixels: NDArray[Any]) -> None:
        """Write the chunks of a window, each as a whole."""
        for place, block, part in self._chunks_of(window):
            region = self._region(place)
            changed = np.array(self._array[region])
            changed[block] = pixels[part]
            self._array[region] = changed

    def _keep(self, window: Slices, pixels: NDArray[Any]) -> None:
        with atomic_path(self._folder / INTERRUPTED) as part, part.open("wb") as file:
            ends = np.array([[each.start, each.stop] for each in window])
            about = json.dumps({"path": str(self.path), "shape": self.shape})
            np.savez_compressed(file, ends=ends, pixels=pixels, about=np.array(about))

    def _forget(self) -> None:
        (self._folder / INTERRUPTED).unlink(missing_ok=True)

    def _put_back(self) -> bool:
        """Put back what an edit has left half written; whether there was such."""
        file = self._folder / INTERRUPTED
        if not file.is_file():
            return False
        try:
            with np.load(file) as kept:
                about = json.loads(str(kept["about"]))
                window = tuple(slice(int(a), int(b)) for a, b in kept["ends"])
                pixels = kept["pixels"]
        except Exception:  # noqa: BLE001  # it was written whole, so somebody has changed it
            self._forget()
            return False
        fits = tuple(about["shape"]) == self.shape and pixels.dtype == self.dtype
        if fits:
            self._store(window, pixels)
        self._forget()
        return fits

    # reading, chunk by chunk

    def _window(self, index: tuple[Any, ...]) -> Slices | None:
        """The window of an index of integers and slices without steps; None for others."""
        parts = []
        for part, size in zip(_whole(index, self.ndim), self.shape, strict=True):
            if isinstance(part, int | np.integer):
                at = int(part) + size * (part < 0)
                if not 0 <= at < size:
                    raise IndexError(f"{part} is out of bounds for an axis of {size}")
                parts.append(slice(at, at + 1))
            elif isinstance(part, slice) and part.step in (None, 1):
                start, stop, _ = part.indices(size)
                parts.append(slice(start, max(start, stop)))
            else:
                return None
        return tuple(parts)

    def _read(self, window: Slices) -> NDArray[Any]:
        found = np.empty(tuple(part.stop - part.start for part in window), self.dtype)
        passing = found.nbytes > PASSING_BYTES
        for place, block, part in self._chunks_of(window):
            with self._guard:  # chunk by chunk, so that an edit need not wait for a long reading
                found[part] = self._block(place, passing=passing)[block]
        return found

    def _chunks_of(self, window: Slices) -> Iterator[tuple[tuple[int, ...], Slices, Slices]]:
        """Chunks that a window lies in: their places, and both parts that lie on each other."""
        ranges = [
            range(part.start // size, -(-part.stop // size))
            for part, size in zip(window, self.chunks, strict=True)
        ]
        for place in itertools.product(*ranges):
            block, inner = [], []
            for number, size, part in zip(place, self.chunks, window, strict=True):
                first = number * size
                start, stop = max(part.start, first), min(part.stop, first + size)
                block.append(slice(start - first, stop - first))
                inner.append(slice(start - part.start, stop - part.start))
            yield place, tuple(block), tuple(inner)

    def _region(self, place: tuple[int, ...]) -> Slices:
        return tuple(
            slice(number * size, min((number + 1) * size, whole))
            for number, size, whole in zip(place, self.chunks, self.shape, strict=True)
        )

    def _wait(self) -> None:
        """Until the disk has all edits; what is wrong with one is told by `flush`."""
        for write in tuple(self._writes):
            write.result()

    def _block(self, place: tuple[int, ...], *, passing: bool = False) -> NDArray[Any]:
        """A chunk; one that is read in passing is kept only if it was there before."""
        found = self._blocks.get(place)
        if found is None:
            self._wait()  # else what is on disk may be older
            found = np.array(self._array[self._region(place)])
            if passing:
                return found
            self._blocks[place] = found
            while len(self._blocks) > 1 and self._cached_bytes() > CACHE_BYTES:
                self._blocks.popitem(last=False)
        else:
            self._blocks.move_to_end(place)
        return found

    def _cached_bytes(self) -> int:
        return sum(block.nbytes for block in self._blocks.values())


def _whole(index: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    """An index with a part for each axis."""
    if any(part is Ellipsis for part in index):
        at = next(i for i, part in enumerate(index) if part is Ellipsis)
        filled = (slice(None),) * (ndim - len(index) + 1)
        index = (*index[:at], *filled, *index[at + 1 :])
    return (*index, *(slice(None),) * (ndim - len(index)))
