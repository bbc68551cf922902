"""Painted labels on disk, plane by plane, so that a crash takes no more than the last strokes."""

from __future__ import annotations

import json
import logging
import shutil
import threading
import uuid
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import FileError, UNetError
from napari_unet.io.atomic import atomic_path
from napari_unet.recovery.ownership import Owner, is_abandoned, prune, read_index, state_folder

logger = logging.getLogger(__name__)

Plane = tuple[int, int]  # time point and z; 0 where the labels have no such axis
INDEX = "work.json"
REMOVED_KEPT = timedelta(days=1)  # that labels whose layer was removed are offered


def painted_folder() -> Path:
    """Where painted labels are kept."""
    return state_folder() / "painted"


@dataclass(frozen=True, eq=False)
class PaintedWork:
    """Labels that a process left.

    Attributes
    ----------
    folder : Path
        Their own.
    name : str
        Of the layer.
    axes : str
        Of the labels: some of TZYX.
    shape : tuple of int
        Of the labels.
    dtype : str
        Of the labels.
    saved : datetime
        When they were written last.
    details : mapping
        What else was kept with them, plain values.
    planes : mapping of (int, int) to str
        Files of the planes that are not empty.
    removed : datetime or None
        When the user removed the layer; None: it was there to the end.
    """

    folder: Path
    name: str
    axes: str
    shape: tuple[int, ...]
    dtype: str
    saved: datetime
    details: Mapping[str, Any]
    planes: Mapping[Plane, str]
    removed: datetime | None = None

    @classmethod
    def at(cls, folder: Path) -> PaintedWork:
        """What lies in a folder.

        Raises
        ------
        FileError
            If there is none, or it is damaged.
        """
        return cls._of(folder, _read_index(folder))

    @classmethod
    def _of(cls, folder: Path, values: Mapping[str, Any]) -> PaintedWork:
        removed = values.get("removed")
        try:
            found = cls(
                folder=folder,
                name=str(values["name"]),
                axes=str(values["axes"]),
                shape=tuple(int(n) for n in values["shape"]),
                dtype=np.dtype(values["dtype"]).str,
                saved=datetime.fromisoformat(values["saved"]),
                details=dict(values["details"]),
                planes={(int(t), int(z)): str(file) for t, z, file in values["planes"]},
                removed=datetime.fromisoformat(removed) if removed else None,
            )
        except (KeyError, TypeError, ValueError):
            raise _damaged(folder) from None
        files = all(Path(file).name == file for file in found.planes.values())
        kind = np.dtype(found.dtype).kind in "uib"
        times = all(moment.tzinfo for moment in (found.saved, found.removed or found.saved))
        if len(found.axes) != len(found.shape) or not (files and kind and times):
            raise _damaged(folder)
        return found

    def read(
        self,
        into: NDArray[Any] | None = None,
        on_damage: Callable[[Plane], None] = lambda _: None,
    ) -> NDArray[Any]:
        """The labels; planes whose file is damaged are left empty.

        Parameters
        ----------
        into : integer array, optional
            Zeros of the shape of the labels; None: new ones.
        on_damage : callable, optional
            Called with each plane that cannot be read.
        """
        labels = np.zeros(self.shape, self.dtype) if into is None else into
        for plane, file in self.planes.items():
            index = plane_index(self.axes, plane)
            try:
                raw = zlib.decompress((self.folder / file).read_bytes())
                found = np.frombuffer(raw, self.dtype).reshape(labels[index].shape)
            except (OSError, ValueError, IndexError, zlib.error) as error:
                logger.warning("The plane %s of ‘%s’ is lost: %s", plane, self.name, error)
                on_damage(plane)
                continue
            labels[index] = found
        return labels

    def take_over(self) -> PaintedStore:
        """Make it the work of this process, which goes on writing there.

        Raises
        ------
        FileError
            If it is gone, or another process has it.
        """
        values = _read_index(self.folder)
        if not is_abandoned(values):
            raise FileError(f"‘{self.name}’ is open in another window already; look there.")
        store = PaintedStore(self.folder, _planes=dict(self.planes))
        store.save(self.name, self.axes, self.shape, self.dtype, self.details, {})
        return store

    def discard(self) -> None:
        """Remove it from the disk."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class PaintedStore:
    """Writes labels that somebody paints on; planes are written again where they changed.

    Any thread may write.

    Attributes
    ----------
    folder : Path
        Of its own.
    saved_as : str
        A file that has these labels too, so that they are offered to nobody; empty: there is
        none. It counts from the next `save` on.
    """

    folder: Path
    saved_as: str = ""
    _planes: dict[Plane, str] = field(default_factory=dict)
    _digests: dict[Plane, int] = field(default_factory=dict)
    _about: dict[str, Any] = field(default_factory=dict)  # as it was written last
    _discarded: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def new(cls) -> PaintedStore:
        """One with a folder of its own, which is made when something is saved."""
        return cls(painted_folder() / uuid.uuid4().hex[:16])

    def write_plane(self, plane: Plane, labels: NDArray[Any]) -> bool:
        """Keep a plane; it counts from the next `save` on.

        Parameters
        ----------
        plane : (int, int)
            Time point and z.
        labels : 2D integer array
            All of the plane.

        Returns
        -------
        bool
            Whether it differs from what is there.

        Raises
        ------
        FileError
            If it cannot be written.
        """
        if not labels.any():
            with self._lock:
                return self._planes.pop(plane, None) is not None
        raw = np.ascontiguousarray(labels).tobytes()
        digest = zlib.crc32(raw)
        if plane in self._planes and self._digests.get(plane) == digest:
            return False
        content = zlib.compress(raw, 1)
        name = f"plane-{plane[0]}-{plane[1]}.z"
        with self._lock:
            if self._discarded:
                return False
            with atomic_path(self.folder / name) as part:
                part.write_bytes(content)
            self._planes[plane], self._digests[plane] = name, digest
        return True

    def save(
        self,
        name: str,
        axes: str,
        shape: Iterable[int],
        dtype: Any,
        details: Mapping[str, Any],
        planes: Mapping[Plane, NDArray[Any]],
    ) -> None:
        """Keep planes, and what is known of the labels as they are now.

        Parameters
        ----------
        name, axes, shape, dtype, details
            As in `PaintedWork`.
        planes : mapping of (int, int) to 2D array
            Those that may have changed.

        Raises
        ------
        FileError
            If it cannot be written.
        """
        for plane, labels in planes.items():
            self.write_plane(plane, labels)
        with self._lock:
            if self._discarded:
                return
            self._about = {
                "saved": _now(),
                "name": name,
                "axes": axes,
                "shape": [int(n) for n in shape],
                "dtype": np.dtype(dtype).str,
                "details": dict(details),
            }
            self._write_index()

    def mark_saved(self, path: str | Path) -> None:
        """Say that a file has these labels: they are offered no more, unless they change."""
        self.saved_as = str(path)
        self._note()

    def claim(self) -> None:
        """Take up again what was released."""
        self._note()

    def release(self, *, removed: bool = False) -> None:
        """Leave it to whoever wants to go on with it, though this process still runs.

        Parameters
        ----------
        removed : bool
            Whether the user has removed the layer: it is offered for a day then.
        """
        self._note(released=True, removed=_now() if removed else "")

    def _note(self, **values: Any) -> None:
        """Write down whose the labels are, where they were written at all."""
        with self._lock:
            if self._discarded or not self._about:
                return
            try:
                self._write_index(**values)
            except FileError as error:  # they are offered once too often, or later
                logger.warning("%s", error)

    def _write_index(self, **more: Any) -> None:
        planes = [[*plane, file] for plane, file in sorted(self._planes.items())]
        owner = Owner.here().as_json()
        values = {"format": 1, "owner": owner, **self._about, "planes": planes, **more}
        with atomic_path(self.folder / INDEX) as part:
            part.write_text(json.dumps({**values, "saved_as": self.saved_as}), encoding="utf-8")
        used = set(self._planes.values())
        for path in self.folder.glob("plane-*.z"):
            if path.name not in used:
                path.unlink(missing_ok=True)

    @property
    def is_empty(self) -> bool:
        """Whether no label was kept."""
        return not self._planes

    @property
    def is_discarded(self) -> bool:
        """Whether nothing is written here any more."""
        return self._discarded

    def clear(self) -> None:
        """Remove what is on disk, since nothing is painted any more; it may be again."""
        with self._lock:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._planes, self._digests, self._about = {}, {}, {}

    def discard(self) -> None:
        """Remove it from the disk; nothing is written to it any more."""
        with self._lock:
            self._discarded = True
            shutil.rmtree(self.folder, ignore_errors=True)
            self._planes, self._digests, self._about = {}, {}, {}


def lost_work() -> list[PaintedWork]:
    """Painted labels that processes left, the newest first.

    What is older than thirty days is removed; what the user had removed, after one day.
    """
    folder = painted_folder()
    prune(folder, INDEX)
    found = []
    for each in sorted(folder.iterdir()) if folder.is_dir() else []:
        try:
            values = _read_index(each)
            if not is_abandoned(values) or values.get("saved_as"):
                continue
            work = PaintedWork._of(each, values)
        except UNetError as error:
            logger.info("%s", error)
            continue
        if work.removed is None or datetime.now(UTC) - work.removed < REMOVED_KEPT:
            found.append(work)
        else:
            work.discard()
    return sorted(found, key=lambda work: work.saved, reverse=True)


def plane_index(axes: str, plane: Plane) -> tuple[int | slice, ...]:
    """Where a plane stands in labels with these axes.

    >>> plane_index("TYX", (2, 0))
    (2, slice(None, None, None), slice(None, None, None))
    """
    place = dict(zip("TZ", plane, strict=True))
    return tuple(place.get(axis, slice(None)) for axis in axes)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read_index(folder: Path) -> dict[str, Any]:
    values = read_index(folder / INDEX)
    if not values:
        raise _damaged(folder)
    return values


def _damaged(folder: Path) -> FileError:
    return FileError(f"The labels kept in {folder} are damaged; remove that folder.")
