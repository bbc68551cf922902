"""A Labels layer, and what of it is not on disk yet."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.io import record_path
from napari_unet.progress import Progress
from napari_unet.recovery.arrays import size_bytes
from napari_unet.recovery.labels import LabelStore
from napari_unet.recovery.ownership import read_index
from napari_unet.recovery.stored_array import StoredArray
from napari_unet.widgets.annotation.layer_state import details_of
from napari_unet.widgets.annotation.layer_watch import watch_layer
from napari_unet.widgets.annotation.marks import (
    MARKS_KEY,
    Marks,
    Plane,
    marks_for,
    marks_of,
    plane_index,
)
from napari_unet.widgets.annotation.saved_marks import check_room, write_marks
from napari_unet.widgets.recovery.stores import set_store, store_of
from napari_unet.widgets.viewer.layer_image import level_of

if TYPE_CHECKING:
    from napari.layers import Labels

WHOLE_BYTES = 1 << 31  # of larger labels only planes are written that somebody worked on


class KeptLayer:
    """Notes what happens to a layer, once it has marks, and writes it to its store.

    Of labels that are edited on disk the pixels are there already: marks and journal alone are
    written, into the record beside them.

    Parameters
    ----------
    layer : Labels
        Any.
    on_change : callable
        Called when there is something to be written, with whether at once: marks are small.

    Attributes
    ----------
    store : LabelStore or None
        Where it is kept; None until it has marks, and for labels on disk.
    dirty : bool
        Whether anything is not on disk yet.
    """

    def __init__(self, layer: Labels, on_change: Callable[[bool], None]) -> None:
        self.layer = layer
        self.store: LabelStore | None = None
        self.dirty = False
        self._on_change = on_change
        self._data: Any = None  # that was written as a whole
        self._planes: set[Plane] = set()  # to be written
        self._written: set[Plane] = set()  # by the last job
        self._outdated: LabelStore | None = None  # with data of another kind
        self._watch = watch_layer(layer)
        self._watch.touched.connect(self._note_touch)
        self._watch.marked.connect(self._note_marks)
        layer.events.name.connect(self._note_name)

    def close(self) -> None:
        """Note no more."""
        self._watch.touched.disconnect(self._note_touch)
        self._watch.marked.disconnect(self._note_marks)
        self.layer.events.name.disconnect(self._note_name)

    def keep(self, store: LabelStore | None = None) -> None:
        """Begin to keep the layer where it has marks; in a store of its own by default."""
        if self._is_kept or marks_of(self.layer) is None:
            return
        found = store or store_of(self.layer) or LabelStore()
        # another dock may have released it, and another window taken it
        self.store = set_store(self.layer, found if found.claim() else LabelStore())
        if store is not None or not self.store.is_empty:
            self._change()  # whatever happened to it meanwhile

    def write(self, end: float = math.inf) -> Generator[Progress, None, None]:
        """A job for a worker thread that writes what has changed until now.

        Parameters
        ----------
        end : float
            Value of ``time.monotonic()`` from which on no plane is begun.
        """
        layer, data = self.layer, level_of(self.layer)
        beside = self._beside
        if beside is not None:
            self.dirty = False
            return _write_beside(beside, details_of(layer, marks_for(layer)))
        marks = marks_of(layer) or Marks("", "TZYX"[-layer.ndim :])
        store = self.store or LabelStore()
        if store.kind not in (None, (marks.axes, tuple(data.shape), np.dtype(data.dtype))):
            self._outdated = self._outdated or store
            store = LabelStore()
        self.store = set_store(layer, store)
        parts = [sorted(self._planes)]  # first what somebody worked on
        if data is not self._data and size_bytes(data) <= WHOLE_BYTES:
            sizes = dict(zip(marks.axes, data.shape, strict=True))
            parts.append(list(product(range(sizes.get("T", 1)), range(sizes.get("Z", 1)))))
        self._data, self.dirty = data, False
        self._written, self._planes = self._planes, set()
        return _write(store, layer.name, data, parts, details_of(layer, marks), marks, end)

    def end_write(self, *, failed: bool) -> None:
        """Take note of how the last job ended."""
        if failed:
            self._planes |= self._written
            self._data, self.dirty = None, True
        elif self._outdated is not None:
            self._outdated.discard()
            self._outdated = None

    @property
    def _beside(self) -> Path | None:
        """The file beside which the record of labels on disk stands; None for others."""
        if marks_of(self.layer) is None or not isinstance(level_of(self.layer), StoredArray):
            return None
        path: Path = level_of(self.layer).path
        opened = self.layer.source.path
        if opened and Path(opened).resolve() in (path, *path.parents):
            return Path(opened).resolve()
        return path

    @property
    def _is_kept(self) -> bool:
        return self.store is not None or self._beside is not None

    def _note_touch(self, planes: set[Plane] | None) -> None:
        if not self._is_kept:
            return
        if planes is None:
            self._data = None
        if planes is None or planes:  # not where only a slider was moved
            self._planes |= planes or set()
            self._change()

    def _note_marks(self) -> None:
        self.keep()
        if self._is_kept:
            self._change(at_once=True)

    def _note_name(self, _: Any = None) -> None:
        if self.store is not None and not self.store.is_empty:
            self.dirty = True
            self._on_change(False)  # noqa: FBT003

    def _change(self, *, at_once: bool = False) -> None:
        if self.store is not None:
            self.store.saved_as = ""  # no file has them any more
        self.dirty = True
        self._on_change(at_once)


def _write_beside(path: Path, details: dict[str, Any]) -> Generator[Progress, None, None]:
    """Write what is known of labels into the record that stands beside them."""
    yield Progress(0, 1, "saving")
    check_room(path)
    record = {k: v for k, v in read_index(record_path(path)).items() if k != MARKS_KEY}
    write_marks(path, details["marks"], details["place"], record, details.get("journal"))


def _write(
    store: LabelStore,
    name: str,
    labels: Any,
    parts: list[list[Plane]],
    details: dict[str, Any],
    marks: Marks,
    end: float,
) -> Generator[Progress, None, None]:
    """Write planes, and after each part of them what is known of the labels."""
    about = name, marks.axes, labels.shape, labels.dtype
    total, count = sum(map(len, parts)) + 1, 0
    for planes in parts:
        for plane in planes:
            yield Progress(count, total, "saving")
            count += 1
            if time.monotonic() > end:
                break
            try:
                pixels = np.array(labels[plane_index(marks.axes, plane)])
            except IndexError:
                continue  # of data that was replaced meanwhile
            if store.kind is None and pixels.any():  # no plane is done before it is on disk
                store.save(*about, {**details, "marks": replace(marks, done=()).as_json()})
            store.write_plane(plane, pixels)
        yield Progress(count, total, "saving")
        if (planes or planes is parts[-1]) and not (store.is_empty and not marks.done):
            store.save(*about, details)
    if store.is_empty and not marks.done:
        store.clear()
