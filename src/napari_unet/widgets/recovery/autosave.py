"""Painted labels are written to disk now and then, and offered again after a crash."""

from __future__ import annotations

import math
import time
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
from napari_unet.progress import Progress, drain
from napari_unet.recovery.labels import PaintedStore, PaintedWork
from napari_unet.recovery.sparse_file import sparse_bytes
from napari_unet.widgets.annotation.layer_state import details_of
from napari_unet.widgets.annotation.marks import (
    ImageNames,
    Marks,
    Plane,
    marks_of,
    plane_index,
)
from napari_unet.widgets.annotation.saved_marks import bring_back_marks
from napari_unet.widgets.annotation.touched import TouchWatch
from napari_unet.widgets.qt.job import JobRunner, Outcome
from napari_unet.widgets.recovery.restoring import restore
from napari_unet.widgets.recovery.stores import keep_in, store_of
from napari_unet.widgets.viewer.layer_image import level_of, plain

if TYPE_CHECKING:
    from napari import Viewer

DELAY = 3000  # milliseconds after a change
MERCY = 2000  # milliseconds from the removal of a layer until it is let go
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

    Every Labels layer that has marks is kept from its first change on; one that was read from
    a file gets the marks that stand beside it. What the user removes, and what is there when
    the window is closed or the process dies, is offered by `lost_work`.

    Parameters
    ----------
    viewer : Viewer
        Whose layers.
    on_fault : callable, optional
        Called with words where nothing can be written, once, and where something is damaged.
    on_removed : callable, optional
        Called with labels that no file has and whose layer the user has removed.
    """

    def __init__(
        self,
        viewer: Viewer,
        on_fault: Callable[[str], None] = lambda _: None,
        on_removed: Callable[[PaintedWork], None] = lambda _: None,
    ) -> None:
        self._viewer = viewer
        self._on_fault = on_fault
        self._on_removed = on_removed
        self._faulty = False
        self._names = ImageNames(viewer)
        self._watched: dict[Labels, _Watched] = {}
        self._heard: list[Labels] = []  # that may get marks
        self._saving: list[_Watched] = []
        self._began = 0.0
        self._not_before = 0.0
        self._urgent = False  # marks have changed, which are tiny
        self._closed = False
        self._gone: list[Labels] = []  # removed a moment ago
        self._leaving = QTimer()
        self._leaving.setSingleShot(True)
        self._leaving.timeout.connect(self._let_go)
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
        layer, fault = restore(self._viewer, work, self.keep)
        if fault:
            self._on_fault(fault)
        return layer

    def keep(self, layer: Labels, store: PaintedStore | None = None) -> None:
        """Begin to keep a layer, where it has marks; by default in a place of its own."""
        marks = marks_of(layer)
        if marks is None or layer in self._watched:
            return
        given, store = store, store_of(layer) if store is None else keep_in(layer, store)
        store.claim()  # another dock may have released it
        watched = _Watched(layer, store, level_of(layer))
        watched.watch = TouchWatch(
            layer, marks.axes, lambda planes: self._heard_of(watched, planes)
        )
        layer.events.name.connect(self._renamed)
        self._watched[layer] = watched
        if given is not None or not store.is_empty:
            self._change(watched, set())  # whatever happened to it meanwhile

    def save(self) -> None:
        """Write what has changed, in a worker thread."""
        if self._runner.running or self._closed:
            return
        wait = self._not_before - time.monotonic()
        if wait > 0 and not self._urgent:
            self._timer.start(int(1000 * wait) + 1)
            return
        self._urgent = False
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
            self._leaving.stop()
        self._names.close()
        if self._application is not None:
            self._application.aboutToQuit.disconnect(self.close)
        self._viewer.layers.events.inserted.disconnect(self._inserted)
        self._viewer.layers.events.removed.disconnect(self._removed)
        for layer in self._heard:
            layer.events.metadata.disconnect(self._marked)
        for each in self._saving:
            each.dirty = each.anew = True  # it may be cut off
        self._runner.drop()
        end, shown = time.monotonic() + PATIENCE, self._is_shown()
        for each in self._watched.values():
            self._unhear(each)
            if each.dirty:
                _finish(self._job(each, end))
            if shown and each.layer in self._viewer.layers:
                self._release_with_window(each.store)
            else:  # a window that this process opens next may offer it
                each.store.release()
        self._watched, self._heard, self._saving = {}, [], []

    # what is heard

    def _inserted(self, event: Any) -> None:
        self._hear(event.value)

    def _hear(self, layer: Any) -> None:
        if not isinstance(layer, Labels) or layer in self._heard:
            return
        bring_back_marks(layer)  # before the dock, which hears of it later, looks at the layer
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
            self._change(watched, set())
            self._urgent = True
            self._timer.start(0)

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
            self._change(watched, planes or set())

    def _change(self, watched: _Watched, planes: set[Plane]) -> None:
        watched.store.saved_as = ""  # no file has them any more
        self._touch(watched, planes)

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
            self._leaving.start(MERCY)

    def _let_go(self) -> None:
        """Leave the layers that the user has removed, when all of them is on disk."""
        if not self._window_is_open():
            self.close()  # the viewer has removed them, not the user
            return
        gone, self._gone = self._gone, []
        for layer in gone:
            if layer in self._viewer.layers or layer not in self._heard:
                continue
            watched = self._watched.get(layer)
            if watched is not None and (watched.dirty or watched in self._saving):
                self._gone.append(layer)
                self._leaving.start(MERCY)
                continue
            self._heard.remove(layer)
            layer.events.metadata.disconnect(self._marked)
            if watched is not None:
                self._unhear(watched)
                del self._watched[layer]
                self._leave(watched.store)

    def _leave(self, store: PaintedStore) -> None:
        """Offer what the user may have removed by mistake."""
        if store.saved_as:
            store.discard()
            return
        store.release(removed=True)
        with suppress(FileError):  # nothing was painted
            self._on_removed(PaintedWork.at(store.folder))

    def _window_is_open(self) -> bool:
        window = getattr(plain(self._viewer), "window", None)
        return window is None or hasattr(window, "_qt_window")

    def _is_shown(self) -> bool:
        """Whether the viewer goes on, as far as can be told while a dock is closed."""
        window = getattr(plain(self._viewer), "window", None)
        try:
            return window is None or window._qt_window.isVisible()
        except (AttributeError, RuntimeError):  # it is gone already
            return False

    def _release_with_window(self, store: PaintedStore) -> None:
        """The dock alone is closed: its layers are offered when the window is closed too."""
        window = getattr(plain(self._viewer), "window", None)
        if window is not None:
            window._qt_window.destroyed.connect(lambda _=None: store.release())

    # writing

    def _job(self, watched: _Watched, end: float = math.inf) -> Generator[Progress, None, None]:
        """Write a layer; what changes from now on is left to the next time."""
        layer, data = watched.layer, level_of(watched.layer)
        marks = marks_of(layer) or Marks("", "TZYX"[-layer.ndim :])
        if data is not watched.data:
            watched.anew = True
            if getattr(watched.data, "shape", None) != data.shape:
                watched.old = watched.old or watched.store
                watched.store = keep_in(layer, PaintedStore.new())
            watched.data = data
        whole = watched.anew and sparse_bytes(data) <= WHOLE
        parts = [sorted(watched.planes)]  # first what was worked on
        watched.planes, watched.dirty, watched.anew = set(), False, False
        if whole:
            sizes = dict(zip(marks.axes, data.shape, strict=True))
            parts.append(list(product(range(sizes.get("T", 1)), range(sizes.get("Z", 1)))))
        return _write(watched.store, layer.name, data, parts, details_of(layer, marks), marks, end)

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
            failed = outcome.error is not None
            self._timer.start(DELAY * SHARE if failed else 0 if self._urgent else DELAY)


def _write(
    store: PaintedStore,
    name: str,
    labels: Any,
    parts: list[list[Plane]],
    details: dict[str, Any],
    marks: Marks,
    end: float,
) -> Generator[Progress, None, None]:
    """Write planes, and after each part of them what is known of the labels."""
    total, count = sum(map(len, parts)) + 1, 0
    for planes in parts:
        for plane in planes:
            yield Progress(count, total, "saving")
            count += 1
            if time.monotonic() > end:
                break
            try:
                store.write_plane(plane, np.array(labels[plane_index(marks.axes, plane)]))
            except IndexError:
                continue  # of data that was replaced meanwhile
        yield Progress(count, total, "saving")
        nothing = store.is_empty and not marks.done
        if (planes or planes is parts[-1]) and not nothing:
            store.save(name, marks.axes, labels.shape, labels.dtype, details, {})
    if store.is_empty and not marks.done:
        store.clear()


def _write_all(jobs: list[Generator[Progress, None, None]]) -> Generator[Progress, None, bool]:
    for job in jobs:
        yield from job
    return True


def _finish(job: Generator[Progress, None, None]) -> None:
    """Write in the thread of the window, which is closing."""
    with suppress(FileError):  # there is nobody to tell any more
        drain(job)
