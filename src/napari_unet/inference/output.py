"""Where results go: an array in memory, or a zarr array written block by block."""

from __future__ import annotations

import contextlib
import errno
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_unet.axes import label_axes, score_axes
from napari_unet.errors import FileError, InputError
from napari_unet.inference.region_view import RegionView, arrange, arrange_back, index_of
from napari_unet.io.atomic import flush_tree
from napari_unet.io.reason import reason_of
from napari_unet.io.scratch import ScratchFolder
from napari_unet.tiling import Region

ARRAY = "array.zarr"  # in a scratch folder, until it is complete
CHUNK = {"T": 1, "C": 1, "Z": 32, "Y": 512, "X": 512}


class OutputArray:
    """The result array of an image, in the image's order of axes.

    Parameters
    ----------
    axes : str
        Of the image.
    sizes : mapping of str to int
        Length of each of its axes; that of C does not matter.
    channels : int or None
        Number of score channels; None for labels.
    dtype : dtype
        Of the result.
    planewise : bool
        Whether planes are written one by one: then a chunk holds one.
    output : path or URL, optional
        Where a zarr array is written; None keeps the result in memory. A local array is
        written under a temporary name and renamed when it is complete; a remote one is
        removed again when it is discarded.

    Raises
    ------
    FileError
        If the output exists or cannot be created.
    """

    def __init__(
        self,
        axes: str,
        sizes: Mapping[str, int],
        channels: int | None,
        dtype: Any,
        output: str | Path | None,
        *,
        planewise: bool = False,
    ) -> None:
        self.axes = label_axes(axes) if channels is None else score_axes(axes)
        shape = tuple((channels or 1) if axis == "C" else sizes[axis] for axis in self.axes)
        self._target: Path | None = None
        self._scratch: ScratchFolder | None = None
        self._remote: str | None = None
        self.array: Any
        if output is None:
            _check_memory(shape, np.dtype(dtype))
            self.array = np.zeros(shape, dtype)
        else:
            chunk = CHUNK | {"Z": 1} if planewise else CHUNK
            self.array = self._create(shape, np.dtype(dtype), output, chunk)

    @property
    def folder(self) -> Path | None:
        """Where a local zarr array is written."""
        return None if self._target is None else self._target.parent

    @property
    def view(self) -> RegionView:
        """The zarr array for workers, who open it by its place."""
        if self._remote is not None:
            return RegionView(self._remote, self.axes)
        assert self._scratch is not None
        return RegionView(str(self._scratch.path.absolute() / ARRAY), self.axes)

    def write(self, time: int, region: Region, block: NDArray[Any]) -> None:
        """Put a block ([C,] *spatial, canonical order) at a time point and region."""
        with self._named_faults():
            self.array[index_of(self.axes, time, region)] = arrange(self.axes, block)

    def add(self, time: int, region: Region, block: NDArray[Any]) -> None:
        """Add a block to what is there."""
        index = index_of(self.axes, time, region)
        with self._named_faults():
            self.array[index] = np.nan_to_num(self.array[index]) + arrange(self.axes, block)

    def read(self, time: int, region: Region) -> NDArray[Any]:
        """A block that was written, [C,] *spatial in canonical order."""
        return arrange_back(self.axes, np.asarray(self.array[index_of(self.axes, time, region)]))

    def finish(self, record: dict[str, Any]) -> Any:
        """Complete the array and return it; the record goes into a zarr array's attributes.

        Raises
        ------
        FileError
            If the array is not under its name, or has no record. It is kept all the same: the
            message says where.
        """
        remote, self._remote = self._remote, None  # from here on nothing is discarded
        scratch, self._scratch = self._scratch, None
        if scratch is None and remote is None:
            return self.array
        fault: Exception | None = None
        try:
            self.array.attrs["napari_unet"] = json.loads(json.dumps(record, default=str))
        except Exception as error:  # noqa: BLE001 - a store raises what it likes
            fault = error
        place: str | Path | None = remote
        if scratch is not None and self._target is not None:
            place = _move_into_place(scratch, self._target)
        if fault is not None:
            raise FileError(
                f"The output {place} is complete, but its record cannot be written "
                f"({reason_of(fault)})",
                "make room; the values can be used as they are",
            ) from fault
        if remote is not None:
            return self.array
        import zarr

        return zarr.open_array(self._target, mode="r")

    def discard(self) -> None:
        """Remove an incomplete array."""
        if self._scratch is not None:
            self._scratch.remove()
            self._scratch = None
        if self._remote is not None:
            import fsspec

            filesystem, path = fsspec.core.url_to_fs(self._remote)
            filesystem.rm(path, recursive=True)
            self._remote = None

    @contextlib.contextmanager
    def _named_faults(self) -> Iterator[None]:
        """A disk that is full, or gone, in one sentence."""
        try:
            yield
        except OSError as error:
            name = self._target or self._remote
            raise FileError(
                f"The output {name} cannot be written ({error.strerror or error})",
                "make room, or choose another folder",
            ) from error

    def _create(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        output: str | Path,
        chunk: dict[str, int],
    ) -> Any:
        import zarr

        chunks = tuple(min(n, chunk[axis]) for n, axis in zip(shape, self.axes, strict=True))
        store: str | Path = output
        local = _local_path(output)
        if local is not None:
            self._target = local
            if self._target.exists():
                raise FileError(f"The output {output} exists", "give another name or remove it")
        try:
            if self._target is not None:
                self._target.parent.mkdir(parents=True, exist_ok=True)
                self._scratch = ScratchFolder(self._target.parent)
                store = self._scratch.path / ARRAY
            array = zarr.create_array(
                store=str(store),
                shape=shape,
                chunks=chunks,
                dtype=dtype,
                fill_value=np.nan if dtype.kind == "f" else 0,  # missing scores are no scores
                dimension_names=[axis.lower() for axis in self.axes],
            )
        except (OSError, ValueError, ImportError) as error:
            self.discard()
            raise FileError(
                f"The output {output} cannot be written ({error})", "choose another folder"
            ) from None
        if self._target is None:
            self._remote = str(output)
        return array


def _check_memory(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse an array that is larger than the memory of the machine, which may seem to be had."""
    needed, there = math.prod(shape) * dtype.itemsize, psutil.virtual_memory().total
    if needed > there:
        raise InputError(
            f"The result would take {needed / 1e9:,.0f} GB of memory, of which this machine has "
            f"{there / 1e9:,.0f} GB",
            "have it written to a zarr array with ⟨output⟩, or run a part of the image",
            code="out-of-memory",
        )


def _move_into_place(scratch: ScratchFolder, target: Path) -> Path:
    """Give a finished array its name; where another run has taken that, it is kept beside it."""
    whole = scratch.path / ARRAY
    flush_tree(whole)
    names = [target.name, *(f"{target.stem}-{n}{target.suffix}" for n in range(2, 100))]
    fault: OSError | None = None
    for place in map(target.with_name, names):
        try:
            if place.exists():  # an empty folder would be replaced
                continue
            whole.rename(place)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                continue
            fault = error
            break
        scratch.remove()
        if place != target:
            raise FileError(
                f"The output {target} was made by another run meanwhile; this one's is {place}",
                "compare the two, and remove one",
                code="exists",
            )
        return place
    scratch.abandon()
    reason = "" if fault is None else f" ({reason_of(fault)})"
    raise FileError(
        f"The output {target} is complete, but cannot get its name{reason}; it is {whole}",
        "rename it by hand",
    )


def _local_path(output: str | Path) -> Path | None:
    """The path that is meant, also by a ``file:`` URL; None for another URL."""
    text = str(output)
    if text.startswith("file:"):
        return Path(url2pathname(urlsplit(text).path))
    return None if "://" in text else Path(output)
