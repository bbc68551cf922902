"""Labels on disk and stacks, corrected in a window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr


def balls() -> np.ndarray:
    z, y, x = np.ogrid[:20, :64, :96]
    labels = np.zeros((20, 64, 96), np.int32)
    for label, (cy, cx) in {1: (20, 20), 2: (20, 60), 3: (45, 40)}.items():
        labels[((z - 10) * 2) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < 144] = label
    labels[((z - 10) * 2) ** 2 + (y - 45) ** 2 + (x - 58) ** 2 < 144] = 3
    return labels


def walk(viewer: Any, hand: Any, dock: Any, layer: Any) -> None:
    """Split, merge and delete in a stack, undo and redo; the states are those of NumPy."""
    before = np.array(layer.data)
    viewer.reset_view()
    viewer.dims.set_current_step(0, 10)
    hand.move(10, 20, 20)
    dock.hover.refresh()
    count = int((before == 1).sum())
    assert f"Object 1 · {count * 0.5:.4g} µm³ ({count} voxels)" in dock.hover.text
    hand.key("C")
    hand.click(10, 45, 38)
    hand.click(10, 45, 60)
    assert "Split 3: the other part is 4" in dock.message.value
    assert int(layer.data[10, 45, 60]) == 4
    hand.drag((10, 20, 20), (10, 20, 40), (10, 20, 60))
    assert "Merged 1 and 2" in dock.message.value
    assert not (np.array(layer.data) == 2).any()
    hand.move(10, 45, 38)
    hand.key("Delete")
    assert layer.selected_label == 5
    corrected = np.array(layer.data)
    assert np.unique(corrected).tolist() == [0, 1, 4]
    for _ in range(3):
        hand.key("Control-Z")
    assert (np.array(layer.data) == before).all()
    for _ in range(3):
        hand.key("Control-Shift-Z")
    assert (np.array(layer.data) == corrected).all()


def test_a_stack_in_memory_with_planes_drawn_and_filled_in_between(
    viewer: Any, hand: Any, open_correct: Callable[[], Any]
) -> None:
    dock = open_correct()
    layer = viewer.add_labels(
        balls(), name="stack", scale=(2, 0.5, 0.5), units=("um",) * 3, axis_labels=("z", "y", "x")
    )
    walk(viewer, hand, dock, layer)
    viewer.dims.set_current_step(0, 2)
    hand.key("O")
    loop = [(50, 70), (50, 90), (60, 90), (60, 70), (51, 70)]
    hand.drag(*((2, *point) for point in loop))
    assert "Drew 5" in dock.message.value
    viewer.dims.set_current_step(0, 6)
    hand.drag(*((6, *point) for point in loop), modifiers=("SHIFT",))
    assert "Drew 5" in dock.message.value
    hand.move(6, 55, 80)
    hand.key("I")
    assert (layer.data[2:7, 55, 80] == 5).all()
    assert (layer.data == 5).any(axis=(1, 2)).sum() == 5
    tools = dock.tools
    tools.plane_only.setChecked(True)
    hand.key("Delete")
    assert (layer.data[2:7, 55, 80] == [5, 5, 5, 5, 0]).all()
    # another layer in mid-drag, and a layer that goes in mid-drag
    hand.key("C")
    hand.press(6, 20, 20)
    image = viewer.add_image(np.zeros((20, 64, 96)), name="image")
    assert tools.mouse.tool is None
    viewer.layers.selection.active = layer
    steps = len(layer._undo_history)
    hand.move(6, 20, 60)
    hand.release(6, 20, 60)
    assert len(layer._undo_history) == steps
    hand.key("Control-Z")
    assert layer.data[6, 55, 80] == 5
    viewer.layers.remove(image)
    # while the brush paints, no tool cuts in
    viewer.layers.selection.active = layer
    hand.key("P")
    hand.press(6, 5, 5)
    hand.move(6, 5, 8)
    hand.key("Delete")
    assert "being painted" in dock.message.value
    hand.release(6, 5, 8)
    hand.key("C")
    hand.press(6, 20, 20)
    viewer.layers.remove(layer)
    assert "Select a labels layer" in dock.heading.value
    viewer.add_labels([np.ones((64, 64), int), np.ones((32, 32), int)], multiscale=True)
    assert "several resolutions" in dock.heading.value


def test_labels_on_disk_are_written_by_windows_and_never_by_the_brush(
    viewer: Any, hand: Any, open_correct: Callable[[], Any], tmp_path: Path, qtbot: Any
) -> None:
    path = tmp_path / "result.zarr"
    array = zarr.create_array(path, shape=(20, 64, 96), dtype="int32", chunks=(8, 32, 32))
    array[:] = balls()
    dock = open_correct()
    layer = viewer.add_labels(
        zarr.open_array(path, mode="r"),
        name="stack",
        scale=(2, 0.5, 0.5),
        units=("um",) * 3,
        axis_labels=("z", "y", "x"),
    )
    qtbot.waitUntil(lambda: dock.session.target.has_numbers and layer.selected_label == 4)
    assert not layer.editable
    walk(viewer, hand, dock, layer)
    hand.key("P")
    assert layer.mode == "pan_zoom"
    layer.data.flush()
    assert np.array_equal(zarr.open_array(path)[:], np.array(layer.data))
    qtbot.waitUntil(lambda: not dock.session._writing.running)
    viewer.layers.remove(layer)
