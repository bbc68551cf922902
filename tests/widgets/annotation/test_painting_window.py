"""Painting in a real window, with the viewer that napari gives to plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_unet.recovery.labels import find_lost_labels
from napari_unet.widgets.annotation.painting import marks_of
from napari_unet.widgets.annotation.panel import PaintingPanel
from napari_unet.widgets.qt.events import ClosingWatch
from napari_unet.widgets.qt.form import Form
from napari_unet.widgets.recovery import autosave as _autosave
from napari_unet.widgets.recovery.autosave import Autosave
from napari_unet.widgets.recovery.stores import store_of


class Dock(QWidget):
    """A panel and an autosave, as a dock has them."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.panel = PaintingPanel(viewer, lambda: None)
        self.autosave = Autosave(viewer)
        layout = QVBoxLayout(self)
        layout.addWidget(Form(self.panel.rows.values()))
        self.watch = ClosingWatch(self, self._closed)

    def _closed(self) -> None:
        self.panel.close()
        self.autosave.close()


def die(layer: Any) -> None:
    """As if the process that keeps the layer had died: the lock is gone."""
    store_of(layer).release()


@pytest.fixture
def dock(window: Any, monkeypatch: pytest.MonkeyPatch) -> Dock:
    monkeypatch.setattr(_autosave, "SAVE_DELAY_MS", 50)
    monkeypatch.setattr(_autosave, "REMOVAL_DELAY_MS", 50)
    window.add_image(np.zeros((6, 64, 80), np.uint8), name="stack")
    dock = Dock(PublicOnlyProxy(window))
    window.window.add_dock_widget(dock)
    dock.panel.set_image(PublicOnlyProxy(window.layers["stack"]), "ZYX")
    return dock


def test_paint_mark_and_close(dock: Dock, window: Any, press: Any, qtbot: Any) -> None:
    press(dock.panel.new)
    layer = window.layers["stack labels"]
    assert layer.mode == "paint"
    window.dims.set_current_step(0, 4)
    canvas = window.window._qt_viewer.canvas.native
    qtbot.mouseMove(canvas, canvas.rect().center())
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas.rect().center())
    assert layer.data[4].any()
    assert not layer.data[:4].any()
    qtbot.keyClick(canvas, Qt.Key.Key_D)
    qtbot.waitUntil(lambda: bool(marks_of(layer).done), timeout=2000)
    assert marks_of(layer).done == ((0, 4),)
    assert dock.panel.done.value
    qtbot.waitUntil(lambda: "1 object" in dock.panel.counts_line.value, timeout=5000)
    qtbot.waitUntil(lambda: not dock.autosave.busy, timeout=5000)
    painted = layer.data.copy()
    layer.undo()
    qtbot.waitUntil(lambda: "Nothing" in dock.panel.counts_line.value, timeout=5000)
    layer.redo()
    layer.paint((1, 5, 5), 3)
    painted[:] = layer.data
    window.close()  # takes its layers away first
    qtbot.wait(200)
    qtbot.waitUntil(lambda: not dock.autosave.busy, timeout=5000)
    die(layer)
    (work,) = find_lost_labels()
    assert np.array_equal(work.read(), painted)
    assert work.record.details["marks"]["done"] == [[0, 4]]


def test_a_dock_that_was_closed_leaves_its_labels_to_the_window(
    dock: Dock, window: Any, press: Any, qtbot: Any
) -> None:
    press(dock.panel.new)
    layer = window.layers["stack labels"]
    layer.paint((1, 30, 30), 3)
    painted = layer.data.copy()
    window.window.remove_dock_widget(dock)
    assert find_lost_labels() == []  # the layer is still there
    window.close()
    qtbot.waitUntil(lambda: bool(find_lost_labels()), timeout=5000)  # by the same process
    (work,) = find_lost_labels()
    assert np.array_equal(work.read(), painted)


def test_what_was_saved_is_not_offered(
    dock: Dock, window: Any, press: Any, qtbot: Any, tmp_path: Path
) -> None:
    press(dock.panel.new)
    layer = window.layers["stack labels"]
    layer.paint((1, 30, 30), 3)
    qtbot.waitUntil(lambda: not dock.autosave.busy, timeout=5000)
    layer.save(str(tmp_path / "mine.tif"), plugin="napari-unet-torch")
    dock.autosave.close()
    die(layer)
    assert find_lost_labels() == []
