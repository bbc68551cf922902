"""Painted labels are written to disk now and then, and offered again after a crash."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_unet.errors import FileError
from napari_unet.progress import Progress, drain
from napari_unet.recovery.labels import LabelStore, StoredLabels
from napari_unet.widgets.annotation.marks import ImageNames
from napari_unet.widgets.annotation.saved_marks import bring_back_marks
from napari_unet.widgets.qt.job import JobRunner, Outcome
from napari_unet.widgets.recovery.kept_layer import KeptLayer
from napari_unet.widgets.recovery.restoring import restore_labels
from napari_unet.widgets.viewer.layer_image import plain

if TYPE_CHECKING:
    from napari import Viewer

SAVE_DELAY_MS = 3000  # after a change
REMOVAL_DELAY_MS = 2000  # from the removal of a layer until its labels are offered
TIME_SHARE = 20  # writing may take one part in so many of the time
CLOSING_LIMIT_S = 10.0  # that closing a window may take


class Autosave:
    """Keeps the painted labels of a viewer on disk.

    Every Labels layer that has marks is kept from its first change on; one that was read from
    a file gets the marks that stand beside it. What the user removes, and what is there when
    the window is closed or the process dies, is found by `find_lost_labels`.

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
        on_removed: Callable[[StoredLabels], None] = lambda _: None,
    ) -> None:
        self._viewer = viewer
        self._on_fault = on_fault
        self._on_removed = on_removed
        self._names = ImageNames(viewer)
        self._kept: dict[Labels, KeptLayer] = {}
        self._removed: list[Labels] = []  # a moment ago
        self._saving: list[KeptLayer] = []
        self._began = self._not_before = 0.0
        self._at_once = self._faulty = self._closed = False
        self._runner = JobRunner(lambda _: None, self._end_save)
        self._timer = _single_shot(self.save)
        self._removal_timer = _single_shot(self._release_removed)
        viewer.layers.events.inserted.connect(self._add)
        viewer.layers.events.removed.connect(self._note_removal)
        self._application = QApplication.instance()
        if self._application is not None:
            self._application.aboutToQuit.connect(self.close)
        for layer in viewer.layers:
            self.keep(layer)

    @property
    def busy(self) -> bool:
        """Whether anything is still to be written."""
        return self._runner.running or any(each.dirty for each in self._kept.values())

    def restore(self, stored: StoredLabels) -> Labels:
        """Put lost labels back into the viewer, and go on keeping them.

        Raises
        ------
        FileError
            If they are damaged, gone, or open in another window.
        """
        layer, fault = restore_labels(self._viewer, stored, self.keep)
        if fault:
            self._on_fault(fault)
        return layer

    def keep(self, layer: Any, store: LabelStore | None = None) -> None:
        """Keep a layer from the time on that it has marks; by default in a store of its own."""
        layer = plain(layer)
        if not isinstance(layer, Labels) or layer in self._kept:
            return
        bring_back_marks(layer)  # before other parts of the dock see the layer
        self._kept[layer] = kept = KeptLayer(layer, self._schedule)
        kept.keep(store)

    def save(self) -> None:
        """Write what has changed, in a worker thread."""
        if self._runner.running or self._closed:
            return
        wait_s = self._not_before - time.monotonic()
        if wait_s > 0 and not self._at_once:
            self._timer.start(int(1000 * wait_s) + 1)
            return
        self._at_once = False
        self._saving = [each for each in self._kept.values() if each.dirty]
        jobs = [each.write() for each in self._saving]
        if jobs:
            self._began = time.monotonic()
            self._runner.start(lambda: _run_all(jobs), "")

    def close(self) -> None:
        """Write what is not written yet, and stop; for a window that is closed."""
        if self._closed:
            return
        self._closed = True
        with suppress(RuntimeError):  # Qt may have gone first, where Python ends
            self._timer.stop()
            self._removal_timer.stop()
        self._names.close()
        if self._application is not None:
            self._application.aboutToQuit.disconnect(self.close)
        self._viewer.layers.events.inserted.disconnect(self._add)
        self._viewer.layers.events.removed.disconnect(self._note_removal)
        for each in self._saving:
            each.end_write(failed=True)  # it may be cut off
        self._runner.drop()
        end, shown = time.monotonic() + CLOSING_LIMIT_S, self._is_shown()
        for each in self._kept.values():
            each.close()
            if each.dirty:
                with suppress(FileError):  # there is nobody to tell any more
                    drain(each.write(end))
            if each.store is None:
                continue
            if shown and each.layer in self._viewer.layers:
                self._release_with_window(each.store)
            else:  # a window that this process opens next may offer it
                each.store.release()
        self._kept, self._removed, self._saving = {}, [], []

    # layers that come and go

    def _add(self, event: Any) -> None:
        self.keep(event.value)

    def _note_removal(self, event: Any) -> None:
        layer = plain(event.value)
        if layer in self._kept:
            # a viewer that is closed takes its layers away first, and closes its docks then
            self._removed.append(layer)
            self._removal_timer.start(REMOVAL_DELAY_MS)

    def _release_removed(self) -> None:
        """Offer the layers that the user has removed, when all of them is on disk."""
        if not self._window_is_open():
            self.close()  # the viewer has removed them, not the user
            return
        removed, self._removed = self._removed, []
        for layer in removed:
            kept = self._kept.get(layer)
            if kept is None or layer in self._viewer.layers:
                continue
            if kept.dirty or kept in self._saving:
                self._removed.append(layer)
                self._removal_timer.start(REMOVAL_DELAY_MS)
                continue
            kept.close()
            del self._kept[layer]
            if kept.store is not None:
                self._offer(kept.store)

    def _offer(self, store: LabelStore) -> None:
        """Offer what the user may have removed by mistake."""
        if store.saved_as:
            store.discard()
            return
        store.release(removed=True)
        with suppress(FileError):  # nothing was painted
            self._on_removed(StoredLabels.open(store.folder))

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

    def _release_with_window(self, store: LabelStore) -> None:
        """The dock alone is closed: its layers are offered when the window is closed too."""
        window = getattr(plain(self._viewer), "window", None)
        if window is not None:
            window._qt_window.destroyed.connect(lambda _=None: store.release())

    # writing

    def _schedule(self, at_once: bool) -> None:
        self._at_once |= at_once
        if at_once:
            self._timer.start(0)
        elif not self._timer.isActive() and not self._runner.running:
            self._timer.start(SAVE_DELAY_MS)

    def _end_save(self, outcome: Outcome) -> None:
        now, failed = time.monotonic(), outcome.error is not None
        self._not_before = now + TIME_SHARE * (now - self._began)
        for each in self._saving:
            each.end_write(failed=failed)
        self._saving = []
        if failed and not self._faulty:
            self._faulty = True
            self._on_fault(f"Painted labels are not kept: {outcome.error}")
        if any(each.dirty for each in self._kept.values()):
            delay_ms = 0 if self._at_once else SAVE_DELAY_MS
            self._timer.start(SAVE_DELAY_MS * TIME_SHARE if failed else delay_ms)


def _single_shot(callback: Callable[[], None]) -> QTimer:
    timer = QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(callback)
    return timer


def _run_all(jobs: list[Generator[Progress, None, None]]) -> Generator[Progress, None, bool]:
    for job in jobs:
        yield from job
    return True
