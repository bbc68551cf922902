"""Painted labels are written to disk now and then, and offered again after a crash."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_unet.errors import FileError
from napari_unet.painted_work import PaintedStore, PaintedWork, lost_work
from napari_unet.progress import Progress, drain
from napari_unet.sparse_file import sparse_bytes
from napari_unet.widgets._blank import blank
from napari_unet.widgets._job import JobRunner, Outcome
from napari_unet.widgets._layer_details import details_of, layer_from
from napari_unet.widgets._marks import (
    Marks,
    Plane,
    level_of,
    marks_of,
    plane_index,
)
from napari_unet.widgets._touched import TouchWatch

if TYPE_CHECKING:
    from napari import Viewer

__all__ = ["Autosave", "PaintedWork", "lost_work", "restore"]

DELAY = 3000  # milliseconds after a change
MERCY = 5000  # milliseconds from the removal of a layer until it is forgotten
SHARE = 20  # writing may take one part in so many of the time
WHOLE = 1 << 31  # bytes; of larger labels only planes are kept that somebody worked on
PATIENCE = 10.0  # seconds that closing a window may take


@dataclass(eq=False)
class _Watched:
    """A layer, and what of it is not on disk yet."""

    layer: Labels
    store: PaintedStore
    data: Any  # as it was when all of it was written
    watch: TouchWatch | None = None
    planes: set[Plane] = field(default_factory=set)
    anew: bool = True  # every plane must be looked at
    dirty: bool = False
    old: PaintedStore | None = None  # of other data, until the new is written


class Autosave:
    """Keeps painted labels of a viewer on disk.

    Every Labels layer that has marks is kept from its first change on. One that the user
    removes is forgotten; what is there when the window is closed, or the process dies, is
    offered by `lost_work`.

    Parameters
    ----------
    viewer : Viewer
        Whose layers.
    on_fault : callable, optional
        Called with words, once, where nothing can be written.
    """

    def __init__(self, viewer: Viewer, on_fault: Callable[[str], None] = lambda _: None) -> None:
        self._viewer = viewer
        self._on_fault = on_fault
        self._faulty = False
        self._watched: dict[Labels, _Watched] = {}
        self._heard: list[Labels] = []  # that may get marks
        self._saving: list[_Watched] = []
        self._began = 0.0
        self._not_before = 0.0
        self._closed = False
        self._gone: list[Labels] = []  # removed a moment ago
        self._forgetting = QTimer()
        self._forgetting.setSingleShot(True)
        self._forgetting.timeout.connect(self._forget_gone)
        self._runner = JobRunner(lambda _: None, self._saved)
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.save)
        viewer.layers.events.inserted.connect(self._inserted)
        viewer.layers.events.removed.connect(self._removed)
        self._application = QApplication.instance()
        if self._application is not None:
            self._application.aboutToQuit.connect(self.close)
        for layer in viewer.layers:
            self._hear(layer)

    @property
    def busy(self) -> bool:
        """Whether anything is still to be written."""
        return self._runner.running or any(each.dirty for each in self._watched.values())

    def restore(self, work: PaintedWork) -> Labels:
        """Put lost work back into the viewer, and go on keeping it.

        Raises
        ------
        FileError
            If it is damaged, gone, or open in another window.
        """
        return restore(self._viewer, work, self)

    def keep(self, layer: Labels, store: PaintedStore | None = None) -> None:
        """Begin to keep a layer, where it has marks; by default in a place of its own."""
        marks = marks_of(layer)
        if marks is None or layer in self._watched:
            return
        store = store or _stores.get(_plain(layer)) or PaintedStore.new()
        _stores[_plain(layer)] = store
        watched = _Watched(layer, store, level_of(layer))
        watched.watch = TouchWatch(
            layer, marks.axes, lambda planes: self._heard_of(watched, planes)
        )
        layer.events.name.connect(self._renamed)
        self._watched[layer] = watched
        if not store.is_empty:
            self._touch(watched, set())  # whatever happened to it meanwhile

    def forget(self, layer: Labels) -> None:
        """Keep a layer no more, and remove what was kept of it; such as when it was saved."""
        watched = self._watched.get(layer)
        if watched is None:
            return
        if watched in self._saving:
            self._runner.drop()
            for each in self._saving:
                each.dirty = each.anew = True
            self._saving = []
            self._timer.start(DELAY)
        for store in (watched.store, watched.old):
            if store is not None:
                store.discard()
        watched.store, watched.old = PaintedStore.new(), None
        _stores[_plain(watched.layer)] = watched.store
        watched.dirty, watched.anew, watched.planes = False, True, set()

    def save(self) -> None:
        """Write what has changed, in a worker thread."""
        if self._runner.running or self._closed:
            return
        wait = self._not_before - time.monotonic()
        if wait > 0:
            self._timer.start(int(1000 * wait) + 1)
            return
        self._saving = [each for each in self._watched.values() if each.dirty]
        jobs = [self._job(each) for each in self._saving]
        if jobs:
            self._began = time.monotonic()
            self._runner.start(lambda: _write_all(jobs), "")

    def close(self) -> None:
        """Write what is not written yet, and stop; for a window that is closed."""
        if self._closed:
            return
        self._closed = True
        with suppress(RuntimeError):  # Qt may have gone first, where Python ends
            self._timer.stop()
            self._forgetting.stop()
        if self._application is not None:
            self._application.aboutToQuit.disconnect(self.close)
        self._viewer.layers.events.inserted.disconnect(self._inserted)
        self._viewer.layers.events.removed.disconnect(self._removed)
        for layer in self._heard:
            layer.events.metadata.disconnect(self._marked)
        for each in self._saving:
            each.dirty = each.anew = True  # it may be cut off
        self._runner.drop()
        end = time.monotonic() + PATIENCE
        for each in self._watched.values():
            self._unhear(each)
            if each.dirty:
                _finish(self._job(each, end))
        self._watched, self._heard, self._saving = {}, [], []

    # what is heard

    def _inserted(self, event: Any) -> None:
        self._hear(event.value)

    def _hear(self, layer: Any) -> None:
        if not isinstance(layer, Labels) or layer in self._heard:
            return
        layer.events.metadata.connect(self._marked)
        self._heard.append(layer)
        self.keep(layer)

    def _marked(self, event: Any) -> None:
        layer = event.source
        watched = self._watched.get(layer)
        if watched is None:
            self.keep(layer)
            watched = self._watched.get(layer)
        if watched is not None:
            self._touch(watched, set())

    def _unhear(self, watched: _Watched) -> None:
        if watched.watch is not None:
            watched.watch.close()
        watched.layer.events.name.disconnect(self._renamed)

    def _renamed(self, event: Any) -> None:
        watched = self._watched.get(event.source)
        if watched is not None and not watched.store.is_empty:
            self._touch(watched, set())

    def _heard_of(self, watched: _Watched, planes: set[Plane] | None) -> None:
        if planes is None:
            watched.anew = True
        if planes is None or planes:  # not where only a slider was moved
            self._touch(watched, planes or set())

    def _touch(self, watched: _Watched, planes: set[Plane]) -> None:
        watched.planes |= planes
        watched.dirty = True
        if not self._timer.isActive() and not self._runner.running:
            self._timer.start(DELAY)

    def _removed(self, event: Any) -> None:
        layer = next((each for each in self._heard if each == event.value), None)
        if layer is not None:
            # a viewer that is closed takes its layers away first, and closes its docks then
            self._gone.append(layer)
            self._forgetting.start(MERCY)

    def _forget_gone(self) -> None:
        """Forget the layers that the user has removed."""
        if not self._window_is_open():
            self.close()  # the viewer has removed them, not the user
            return
        gone, self._gone = self._gone, []
        for layer in gone:
            if layer in self._viewer.layers or layer not in self._heard:
                continue
            self._heard.remove(layer)
            layer.events.metadata.disconnect(self._marked)
            watched = self._watched.get(layer)
            if watched is not None:
                self.forget(layer)
                self._unhear(watched)
                del self._watched[layer]

    def _window_is_open(self) -> bool:
        window = getattr(_plain(self._viewer), "window", None)
        return window is None or hasattr(window, "_qt_window")

    # writing

    def _job(self, watched: _Watched, end: float = math.inf) -> Generator[Progress, None, None]:
        """Write a layer; what changes from now on is left to the next time."""
        layer, data = watched.layer, level_of(watched.layer)
        marks = marks_of(layer) or Marks("", "TZYX"[-layer.ndim :])
        if data is not watched.data:
            watched.anew = True
            if getattr(watched.data, "shape", None) != data.shape:
                watched.old = watched.old or watched.store
                watched.store = PaintedStore.new()
                _stores[_plain(layer)] = watched.store
            watched.data = data
        whole = watched.anew and sparse_bytes(data) <= WHOLE
        planes = dict.fromkeys(sorted(watched.planes))  # first what was worked on
        watched.planes, watched.dirty, watched.anew = set(), False, False
        if whole:
            sizes = dict(zip(marks.axes, data.shape, strict=True))
            planes |= dict.fromkeys(product(range(sizes.get("T", 1)), range(sizes.get("Z", 1))))
        details = details_of(layer, marks)
        return _write(watched.store, layer.name, marks.axes, data, list(planes), details, end)

    def _saved(self, outcome: Outcome) -> None:
        now = time.monotonic()
        self._not_before = now + SHARE * (now - self._began)
        for each in self._saving:
            if outcome.error is not None:
                each.dirty = each.anew = True
            elif each.old is not None:
                each.old.discard()
                each.old = None
        self._saving = []
        if outcome.error is not None and not self._faulty:
            self._faulty = True
            self._on_fault(f"Painted labels are not kept: {outcome.error}")
        if any(each.dirty for each in self._watched.values()):
            self._timer.start(DELAY * (SHARE if outcome.error is not None else 1))


# where layers are kept, so that a dock that is opened again goes on in the same place
_stores: weakref.WeakKeyDictionary[Any, PaintedStore] = weakref.WeakKeyDictionary()


def _plain(proxy: Any) -> Any:
    """The viewer or layer itself: plugins get proxies, other ones each time."""
    return getattr(proxy, "__wrapped__", proxy)


def restore(viewer: Viewer, work: PaintedWork, autosave: Autosave | None = None) -> Labels:
    """Put lost work back as a layer, with its place, marks, name and colours.

    Parameters
    ----------
    viewer : Viewer
        Where.
    work : PaintedWork
        From `lost_work`. It belongs to this process then, and is offered to no other.
    autosave : Autosave, optional
        Goes on keeping it in the same place.

    Raises
    ------
    FileError
        If it is damaged, gone, or open in another window.
    InputError
        If the system does not give the memory.
    """
    from napari_unet.widgets._painting import bind_done_key

    labels = work.read(blank(work.shape, work.dtype))
    layer = layer_from(labels, work.name, work.details)
    store = work.take_over()
    if autosave is not None:
        autosave.keep(layer, store)
    viewer.add_layer(layer)
    bind_done_key(viewer, layer)
    viewer.layers.selection.active = layer
    return layer


def _write(
    store: PaintedStore,
    name: str,
    axes: str,
    labels: Any,
    planes: list[Plane],
    details: dict[str, Any],
    end: float,
) -> Generator[Progress, None, None]:
    for i, plane in enumerate(planes):
        yield Progress(i, len(planes) + 1, "saving")
        if time.monotonic() > end:
            break
        try:
            store.write_plane(plane, np.array(labels[plane_index(axes, plane)]))
        except IndexError:
            continue  # of data that was replaced meanwhile
    yield Progress(len(planes), len(planes) + 1, "saving")
    if store.is_empty:
        store.clear()
    else:
        store.save(name, axes, labels.shape, labels.dtype, details, {})


def _write_all(jobs: list[Generator[Progress, None, None]]) -> Generator[Progress, None, bool]:
    for job in jobs:
        yield from job
    return True


def _finish(job: Generator[Progress, None, None]) -> None:
    """Write in the thread of the window, which is closing."""
    with suppress(FileError):  # there is nobody to tell any more
        drain(job)
