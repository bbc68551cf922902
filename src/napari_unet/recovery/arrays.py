"""Arrays on disk in zarr: a chunk a plane, none for empty planes, each written atomically."""

from __future__ import annotations

import asyncio
import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import FileError
from napari_unet.io.atomic import atomic_path
from napari_unet.io.reason import reason_of
from napari_unet.recovery.ownership import read_index

INDEX = "zarr.json"
CHUNK_EDGE = 4096  # pixels; larger planes have several chunks
CHUNK_BYTES = 1 << 20  # smaller planes share a chunk, unless the chunks are given


def size_bytes(array: Any) -> int:
    """Bytes of an array in memory.

    >>> size_bytes(np.zeros((2, 3), np.int32))
    24
    """
    return math.prod(int(n) for n in array.shape) * int(np.dtype(array.dtype).itemsize)


def create_array(
    folder: Path,
    shape: Sequence[int],
    dtype: Any,
    chunks: Sequence[int],
    attributes: dict[str, Any] | None = None,
) -> Any:
    """A new zarr array of zeros; the checksum of each chunk tells damage.

    Raises
    ------
    FileError
        If the folder cannot be written to.
    """
    import zarr
    from zarr.codecs import ZstdCodec

    try:
        return zarr.create_array(
            store=_open_store(folder),
            shape=tuple(shape),
            dtype=np.dtype(dtype),
            chunks=tuple(chunks),
            fill_value=0,
            compressors=ZstdCodec(level=1, checksum=True),
            chunk_key_encoding={"name": "default", "separator": "."},  # all files in one folder
            attributes=attributes or {},
        )
    except OSError as error:
        raise FileError(
            f"the folder {folder} cannot be created ({reason_of(error)})",
            "check the disk and its permissions, or set NAPARI_UNET_STATE to another folder",
        ) from None


def open_array(folder: Path) -> Any:
    """The zarr array in a folder, to be read and written."""
    import zarr

    return zarr.open_array(store=_open_store(folder), mode="r+")


def write_attributes(folder: Path, attributes: dict[str, Any]) -> None:
    """Replace the attributes of an array, atomically."""
    values = {**read_index(folder / INDEX), "attributes": attributes}
    with atomic_path(folder / INDEX) as part:
        part.write_text(json.dumps(values), encoding="utf-8")


def find_chunks(folder: Path) -> list[tuple[int, ...]]:
    """Places of the chunks that are on disk, in units of chunks."""
    names = (path.name.split(".")[1:] for path in folder.glob("c.*"))
    return sorted(tuple(map(int, name)) for name in names if all(map(str.isdecimal, name)))


def write_array(folder: Path, array: Any, same: Path | None = None) -> None:
    """Write an array, chunk by chunk.

    Parameters
    ----------
    folder : Path
        New.
    array : array-like
        Numbers or bool, of one axis or more.
    same : Path, optional
        Folder of a stored array. Chunks that are equal there become hard links to its files,
        which take no room: a chunk is never changed in place, only replaced.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    source = _open_similar(same, array)
    chunks = _chunk_shape(array) if source is None else source.chunks
    stored = create_array(folder, array.shape, array.dtype, chunks)
    for place in np.ndindex(*(math.ceil(n / c) for n, c in zip(array.shape, chunks, strict=True))):
        region = _region(place, chunks)
        part = np.asarray(array[region])
        if not part.any():
            continue
        name = ".".join(map(str, ("c", *place)))
        if same is None or source is None or not _link(same / name, folder / name):
            stored[region] = part
        elif not _equals(stored, region, part):
            stored[region] = part  # replaces the link, not what it points to


def read_array(
    folder: Path,
    into: NDArray[Any] | None = None,
    on_damage: Callable[[tuple[int, ...]], None] | None = None,
) -> NDArray[Any]:
    """Read an array; memory is taken only for the chunks that are on disk.

    Parameters
    ----------
    folder : Path
        Of the array.
    into : array, optional
        Zeros of its shape and dtype; None: new ones.
    on_damage : callable, optional
        Called with the place of each chunk that cannot be read and is left 0; None: the first
        is an error.

    Raises
    ------
    FileError
        If it is missing or damaged.
    """
    try:
        stored = open_array(folder)
        result = np.zeros(stored.shape, stored.dtype) if into is None else into
        places = find_chunks(folder)
    except Exception:  # noqa: BLE001  # zarr raises errors of any kind
        raise _damaged(folder) from None
    for place in places:
        region = _region(place, stored.chunks)
        try:
            result[region] = stored[region]
        except Exception:  # noqa: BLE001  # codecs as well
            if on_damage is None:
                raise _damaged(folder) from None
            on_damage(place)
    return result


def _open_store(folder: Path) -> Any:
    from zarr.core.buffer import Buffer
    from zarr.storage import LocalStore

    class DurableStore(LocalStore):
        """Replaces files atomically and flushes them; zarr's own store only from 3.1 on."""

        async def set(self, key: str, value: Buffer) -> None:
            await asyncio.to_thread(_replace, self.root / key, value.to_bytes())

    return DurableStore(folder)


def _replace(path: Path, content: bytes) -> None:
    with atomic_path(path) as part:
        part.write_bytes(content)


def _chunk_shape(array: Any) -> tuple[int, ...]:
    chunks, size = [], int(np.dtype(array.dtype).itemsize)
    for number, length in enumerate(reversed(array.shape)):
        most = CHUNK_EDGE if number < 2 else CHUNK_BYTES // size
        chunks.append(max(1, min(int(length), most)))
        size *= chunks[-1]
    return tuple(reversed(chunks))


def _open_similar(folder: Path | None, array: Any) -> Any:
    """A stored array of the same shape and dtype; None where there is none."""
    if folder is None:
        return None
    try:
        found = open_array(folder)
    except Exception:  # noqa: BLE001  # it may have been removed; then everything is written
        return None
    same = found.shape == tuple(array.shape) and found.dtype == np.dtype(array.dtype)
    return found if same else None


def _region(place: Sequence[int], chunks: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(i * c, (i + 1) * c) for i, c in zip(place, chunks, strict=True))


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:  # there is no such chunk, or there are no hard links
        return False
    return True


def _equals(stored: Any, region: tuple[slice, ...], part: NDArray[Any]) -> bool:
    try:
        return bool(np.array_equal(stored[region], part))
    except Exception:  # noqa: BLE001  # the linked chunk is damaged
        return False


def _damaged(folder: Path) -> FileError:
    return FileError(f"the data kept in {folder} is damaged or gone", "remove that folder")
