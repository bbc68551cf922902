"""Painted labels on disk, one zarr array a layer: a crash takes no more than the last strokes."""

from __future__ import annotations

import logging
import threading
import uuid
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from napari_unet.axes import Plane, plane_index
from napari_unet.errors import FileError
from napari_unet.io.locks import try_lock
from napari_unet.io.reason import reason_of
from napari_unet.recovery.arrays import (
    CHUNK_EDGE,
    INDEX,
    create_array,
    find_chunks,
    open_array,
    read_array,
    write_attributes,
)
from napari_unet.recovery.ownership import (
    CONTENTION_S,
    find_abandoned,
    lock_folder,
    read_index,
    remove_folder,
)
from napari_unet.state import state_folder

logger = logging.getLogger(__name__)

REMOVED_KEPT = timedelta(days=1)  # that labels whose layer was removed are offered
AXES = "^[TCZYX]{2,5}$"


def labels_folder() -> Path:
    """Where painted labels are kept."""
    return state_folder() / "labels"


class LabelRecord(BaseModel, frozen=True, extra="forbid"):
    """What is known of stored labels; the attributes of their array."""

    name: str = Field(description="Of the layer.")
    axes: str = Field(pattern=AXES, description="Of the labels.")
    saved: AwareDatetime = Field(description="When the record was written.")
    details: dict[str, Any] = Field({}, description="Marks, place and look of the layer.")
    saved_as: str = Field("", description="A file that has these labels too; empty: none.")
    removed: AwareDatetime | None = Field(None, description="When the user removed the layer.")


@dataclass(frozen=True, eq=False)
class StoredLabels:
    """Labels on disk, whoever owns them.

    Attributes
    ----------
    folder : Path
        Of the array.
    record : LabelRecord
        What is known of them.
    shape : tuple of int
        Of the labels.
    dtype : dtype
        Of integers or bool.
    planes : list of (int, int)
        Those that are not empty.
    """

    folder: Path
    record: LabelRecord
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    planes: list[Plane]

    @classmethod
    def open(cls, folder: Path) -> StoredLabels:
        """The labels in a folder; raises `FileError` if there are none, or damaged ones."""
        values = read_index(folder / INDEX)
        try:
            record = LabelRecord.model_validate(values["attributes"])
            shape = tuple(int(n) for n in values["shape"])
            dtype = np.dtype(values["data_type"])
            chunks = find_chunks(folder)
            planes = sorted({plane_of_chunk(record.axes, place) for place in chunks})
        except (KeyError, TypeError, ValueError, ValidationError):
            raise _damaged(folder) from None
        if len(record.axes) != len(shape) or dtype.kind not in "uib":
            raise _damaged(folder)
        return cls(folder, record, shape, dtype, planes)

    def read(
        self,
        into: NDArray[Any] | None = None,
        on_damage: Callable[[Plane], None] = lambda _: None,
    ) -> NDArray[Any]:
        """The labels; ``on_damage`` is called with planes that cannot be read and stay empty."""

        def pass_over(place: tuple[int, ...]) -> None:
            plane = plane_of_chunk(self.record.axes, place)
            logger.warning("The plane %s of ‘%s’ is lost.", plane, self.record.name)
            on_damage(plane)

        return read_array(self.folder, into, pass_over)

    def take_over(self) -> LabelStore:
        """Make them this process's; raises `FileError` if another one has them."""
        store = LabelStore(self.folder, self._lock())
        store.set_planes(self.planes)
        store.save(self.record.name, self.record.axes, self.shape, self.dtype, self.record.details)
        return store

    def discard(self) -> None:
        """Remove them from the disk; raises `FileError` if another process has them."""
        remove_folder(self.folder, INDEX, self._lock())

    def _lock(self) -> FileLock:
        lock = try_lock(self.folder, CONTENTION_S)
        if not (self.folder / INDEX).is_file():  # removed meanwhile
            if lock is not None:
                lock.release()
            raise _damaged(self.folder)
        if lock is None:
            raise FileError(f"‘{self.record.name}’ is open in another window", "look there")
        return lock


class LabelStore:
    """Writes the labels of a layer plane by plane, from any thread.

    Parameters
    ----------
    folder : Path, optional
        With labels that were taken over; None: a new one, made when something is written.
    lock : FileLock, optional
        On that folder.

    Attributes
    ----------
    saved_as : str
        A file that has these labels too, so that they are not offered; empty: none.
    kind : tuple or None
        Axes, shape and dtype of the array; None where there is none on disk.
    """

    def __init__(self, folder: Path | None = None, lock: FileLock | None = None) -> None:
        self.folder = folder or labels_folder() / uuid.uuid4().hex[:16]
        self.saved_as = ""
        self.is_discarded = False
        self.kind: tuple[str, tuple[int, ...], np.dtype[Any]] | None = None
        self._lock = lock
        self._array: Any = None
        self._record: LabelRecord | None = None  # as it is on disk
        self._digests: dict[Plane, int] = {}  # of the planes on disk
        self._mutex = threading.RLock()

    @property
    def is_empty(self) -> bool:
        """Whether no label is on disk."""
        return not self._digests

    def set_planes(self, planes: Sequence[Plane]) -> None:
        """Tell which planes are on disk already."""
        self._digests = dict.fromkeys(planes, -1)

    def save(
        self,
        name: str,
        axes: str,
        shape: Sequence[int],
        dtype: Any,
        details: Mapping[str, Any],
    ) -> None:
        """Write what is known of the labels; it creates their array where there is none.

        Parameters
        ----------
        name : str
            Of the layer.
        axes : str
            Some of TZYX, and C of length 1.
        shape, dtype
            Of the labels; those of one store do not change.
        details : mapping
            JSON values.

        Raises
        ------
        FileError
            If it cannot be written.
        """
        record = LabelRecord(
            name=name,
            axes=axes,
            saved=datetime.now(UTC),
            details=dict(details),
            saved_as=self.saved_as,
        )
        with self._mutex:
            if self.is_discarded:
                return
            if self._lock is None:
                self._lock = lock_folder(self.folder)
            if (self.folder / INDEX).is_file():
                self._write_record(record)
            else:
                sizes = zip(axes, shape, strict=True)
                chunks = [1 if a in "TCZ" else max(1, min(n, CHUNK_EDGE)) for a, n in sizes]
                values = record.model_dump(mode="json")
                self._array = create_array(self.folder, shape, dtype, chunks, values)
                self._record = record
            self.kind = axes, tuple(shape), np.dtype(dtype)

    def write_plane(self, plane: Plane, labels: NDArray[Any]) -> bool:
        """Write a plane; the array must be there.

        Returns
        -------
        bool
            Whether it differed from what is on disk.

        Raises
        ------
        FileError
            If it cannot be written.
        """
        filled = bool(labels.any())
        digest = 1 + zlib.crc32(np.ascontiguousarray(labels).data) if filled else 0
        with self._mutex:
            if self.is_discarded or self._digests.get(plane, 0) == digest or self._record is None:
                return False
            if self._record.saved_as != self.saved_as:  # before it is true no more
                self._write_record(self._record.model_copy(update={"saved_as": self.saved_as}))
            if self._array is None:
                self._array = open_array(self.folder)
            try:
                self._array[plane_index(self._record.axes, plane)] = labels
            except OSError as error:  # an empty chunk cannot be removed
                raise FileError(
                    f"{self.folder} cannot be written to ({reason_of(error)})",
                    "check the permissions of the folder",
                ) from None
            if filled:
                self._digests[plane] = digest
            else:
                self._digests.pop(plane, None)
        return True

    def mark_saved(self, path: str | Path) -> None:
        """Tell that a file has these labels: they are not offered, unless they change."""
        self.saved_as = str(path)
        self._update_record(saved_as=self.saved_as)

    def claim(self) -> bool:
        """Take up again what was released; False where another process has it now."""
        with self._mutex:
            if self._lock is None and self._record is not None:
                self._lock = try_lock(self.folder, CONTENTION_S)
                return self._lock is not None and (self.folder / INDEX).is_file()
        return True

    def release(self, *, removed: bool = False) -> None:
        """Let others take the labels over, though this process goes on.

        Parameters
        ----------
        removed : bool
            Whether the user has removed the layer: they are offered for a day then.
        """
        with self._mutex:
            if removed:
                self._update_record(removed=datetime.now(UTC))
            if self._lock is not None:
                self._lock.release()
            self._lock = None

    def clear(self) -> None:
        """Remove what is on disk, since nothing is painted any more; it may be again."""
        with self._mutex:
            if self._record is not None and self.claim():
                remove_folder(self.folder, INDEX, self._lock)
            self._lock = self._array = self._record = self.kind = None
            self._digests = {}

    def discard(self) -> None:
        """Remove what is on disk for good."""
        with self._mutex:
            self.clear()
            self.is_discarded = True

    def _update_record(self, **changes: Any) -> None:
        with self._mutex:
            if self._record is None or not self.claim():
                return
            try:
                self._write_record(self._record.model_copy(update=changes))
            except FileError as error:  # they are offered once too often, or later
                logger.warning("%s", error)

    def _write_record(self, record: LabelRecord) -> None:
        write_attributes(self.folder, record.model_dump(mode="json"))
        self._record = record


def find_lost_labels() -> list[StoredLabels]:
    """Labels that no process owns and no file has, the newest first.

    Removes what is older than thirty days and, of what the user had removed, one day.
    """
    found = []
    for folder in find_abandoned(labels_folder()):
        try:
            stored = StoredLabels.open(folder)
            removed = stored.record.removed
            if removed is not None and datetime.now(UTC) - removed > REMOVED_KEPT:
                stored.discard()
            elif not stored.record.saved_as:
                found.append(stored)
        except FileError as error:
            logger.info("%s", error)
    return sorted(found, key=lambda stored: stored.record.saved, reverse=True)


def plane_of_chunk(axes: str, place: Sequence[int]) -> Plane:
    """The plane that a chunk belongs to.

    >>> plane_of_chunk("TYX", (2, 0, 1))
    (2, 0)
    """
    found = dict(zip(axes, place, strict=True))
    return found.get("T", 0), found.get("Z", 0)


def _damaged(folder: Path) -> FileError:
    return FileError(f"the labels kept in {folder} are damaged or gone", "remove that folder")
