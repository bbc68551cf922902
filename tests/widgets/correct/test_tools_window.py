"""Tools of the dock "Correct" in a window: keys, undo, the label in the hand."""

from __future__ import annotations

from typing import Any

import numpy as np

PLUGIN = "napari-unet-torch"


def point_at(viewer: Any, *point: float) -> None:
    """Put the cursor on a pixel of the active layer."""
    viewer.cursor.position = viewer.layers.selection.active.data_to_world(point)


def press_key(viewer: Any, key: str) -> None:
    """Press a key over the canvas."""
    viewer.window._qt_viewer.canvas._key_map_handler.press_key(key)


def test_a_key_deletes_the_object_under_the_cursor_in_one_step_of_undo(viewer: Any) -> None:
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Correct")
    assert "Select a labels layer" in dock.heading.value
    labels = np.zeros((40, 50), np.int32)
    labels[2:10, 2:10], labels[20:30, 20:40] = 1, 7
    before = labels.copy()
    layer = viewer.add_labels(labels)
    assert layer.selected_label == 8
    point_at(viewer, 25, 30)
    press_key(viewer, "Delete")
    assert np.unique(layer.data).tolist() == [0, 1]
    layer.undo()
    assert (layer.data == before).all()
    layer.redo()
    assert np.unique(layer.data).tolist() == [0, 1]
    assert layer.selected_label == 8
    point_at(viewer, 15, 15)
    press_key(viewer, "Delete")
    assert "no object" in dock.message.value
