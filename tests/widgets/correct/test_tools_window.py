"""Tools of the dock "Correct" in a window: mouse, keys, undo, the label in the hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.action_manager import action_manager
from napari.utils.shortcuts import default_shortcuts

import napari_unet as nu
from napari_unet.correction.journal import read_entries
from napari_unet.progress import drain
from napari_unet.recovery.labels import StoredLabels, labels_folder
from napari_unet.replay.run import iter_repeat
from napari_unet.widgets.correct.keys import PREFIX


def disks() -> np.ndarray:
    """Two disks that touch as object 3, one apart as 4, a broken one as 5 and 6."""
    y, x = np.ogrid[:120, :160]
    labels = np.zeros((120, 160), np.int32)
    labels[(y - 30) ** 2 + (x - 30) ** 2 < 200] = 3
    labels[(y - 30) ** 2 + (x - 54) ** 2 < 200] = 3
    labels[(y - 30) ** 2 + (x - 110) ** 2 < 200] = 4
    whole = (y - 85) ** 2 + (x - 50) ** 2 < 400
    labels[whole & (x < 50)] = 5
    labels[whole & (x >= 50)] = 6
    return labels


def test_mouse_and_keys_correct_each_in_one_step_of_undo(
    viewer: Any, hand: Any, open_correct: Callable[[], Any], qtbot: Any
) -> None:
    dock = open_correct()
    assert "Select a labels layer" in dock.heading.value
    viewer.add_image(np.zeros((120, 160)), name="cells")
    assert "Select a labels layer" in dock.heading.value
    layer = viewer.add_labels(disks(), name="cells labels")
    viewer.reset_view()
    tools, before = dock.tools, layer.data.copy()
    states = [before]

    def step(words: str) -> None:
        assert words in dock.message.value
        assert len(layer._undo_history) == len(states)
        assert (layer.data != states[-1]).any()
        states.append(layer.data.copy())
        assert layer.selected_label not in layer.data  # a free label is in the hand

    assert layer.selected_label == 7
    assert "Delete" in tools.buttons["delete"].text()
    hand.key("C")
    assert tools.buttons["merge_split"].isChecked()
    assert not layer.mouse_pan
    hand.drag((85, 40), (85, 45), (85, 60))
    step("Merged 5 and 6")
    assert not (layer.data == 6).any()
    hand.click(30, 25)
    assert "One half of 3" in dock.message.value
    hand.click(30, 60)
    step("Split 3: the other part is 7")
    assert layer.data[30, 30] == 3
    assert layer.data[30, 54] == 7
    hand.click(5, 150)
    assert "no object here" in dock.message.value
    hand.drag((30, 30), (30, 33))
    assert "another object" in dock.message.value
    hand.key("K")
    hand.drag((60, 50), (80, 50), (110, 51))
    step("Cut 5: the other part is 8")
    hand.key("O")
    hand.drag((80, 100), (80, 130), (110, 130), (110, 100), (82, 100))
    step("Drew 9")
    assert layer.data[95, 115] == 9
    hand.drag((95, 128), (95, 140), (105, 140), (105, 128))
    step("Drew 9")
    hand.key("U")
    hand.drag((90, 110), (90, 116), (98, 116), (98, 110))
    step("Erased")
    hand.key("U")
    assert tools.mouse.tool is None
    assert layer.mouse_pan
    hand.move(95, 120)
    hand.key("H")
    step("Filled the holes of 9")
    hand.key("S")
    step("Smoothed 9")
    hand.key("G")
    step("Grew 9")
    hand.key("Shift-G")
    step("Shrank 9")
    hand.move(30, 110)
    hand.key("Delete")
    step("Deleted 4")
    hand.key("Delete")
    assert "no object" in dock.message.value
    hand.key("T")
    hand.key("I")
    assert "no planes" in dock.message.value
    assert len(layer._undo_history) == len(states) - 1
    for state in reversed(states[:-1]):
        hand.key("Control-Z")
        assert (layer.data == state).all()
    for state in states[1:]:
        hand.key("Control-Shift-Z")
        assert (layer.data == state).all()
    # the brush of the viewer puts the tool away
    hand.key("C")
    hand.key("P")
    assert tools.mouse.tool is None
    assert layer.mode == "paint"


def test_no_key_is_one_that_the_viewer_has_for_labels(open_correct: Callable[[], Any]) -> None:
    open_correct()
    ours = {name: keys for name, keys in action_manager._shortcuts.items() if PREFIX in name}
    assert len(ours) == 15
    taken = {
        str(key)
        for name, keys in default_shortcuts.items()
        if (action := action_manager._actions.get(name)) is not None
        if action.keymapprovider is None
        or action.keymapprovider.__name__ in ("Labels", "ViewerModel", "Viewer")
        for key in keys
    }
    assert not taken & {str(key) for keys in ours.values() for key in keys}


@pytest.mark.process
def test_corrections_are_copied_as_code_that_makes_them_again(
    viewer: Any,
    hand: Any,
    open_correct: Callable[[], Any],
    tmp_path: Path,
    run_command: Callable[[str, Path], None],
) -> None:
    dock = open_correct()
    with pytest.raises(nu.UNetError, match="Select a labels layer"):
        dock.as_python()
    layer = viewer.add_labels(disks(), name="cells", scale=(0.5, 0.5), units=("um", "um"))
    viewer.reset_view()
    with pytest.raises(nu.UNetError, match="no corrections"):
        dock.as_python()
    hand.key("C")
    hand.drag((85, 40), (85, 60))  # merge; then a stroke, which no script knows
    layer.data_setitem((np.array([2]), np.array([2])), np.array([99]))
    painted = layer.data.copy()
    hand.click(30, 25)
    hand.click(30, 60)  # split
    hand.move(30, 110)
    hand.key("Delete")
    dock.scripts.actions["python"].trigger()
    assert "is on the clipboard" in dock.message.value
    script, command = dock.as_python(), dock.as_command()
    assert script.count("'tool':") == 2
    corrected = layer.data.copy()
    assert (corrected != painted).any()
    run_command(command, tmp_path / "command")
    (tmp_path / "python").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path / "python",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name in ("python", "command"):
        (file,) = (tmp_path / name).glob("*_corrected.tif")
        np.testing.assert_array_equal(nu.read_image(file).array, corrected)
    # the record of the file is opened in the dock, and run on another prediction
    record = tmp_path / "command" / "cells_corrected.json"
    viewer.layers.clear()
    dock.open_record(record)
    assert "2 of 2 corrections were made" in dock.message.value
    np.testing.assert_array_equal(viewer.layers[0].data, corrected)
    np.testing.assert_allclose(viewer.layers[0].scale, (0.5, 0.5))
    hand.key("Control-Z")
    assert (viewer.layers[0].data != corrected).any()
    other = painted.copy()
    other[other == 4] = 0  # what was deleted is not there
    again = drain(iter_repeat(record, input=other))
    assert again.status == 1
    assert "1 of 2 corrections; these do not fit: delete at (30, 110)" in again.message
    np.testing.assert_array_equal(again.value, corrected)


def test_the_journal_follows_undo_is_kept_on_disk_and_is_repeated_on_a_new_prediction(
    viewer: Any, hand: Any, open_correct: Callable[[], Any], qtbot: Any
) -> None:
    dock = open_correct()
    layer = viewer.add_labels(disks(), name="cells corrected")
    viewer.reset_view()
    hand.key("C")
    hand.drag((85, 40), (85, 60))
    hand.click(30, 25)
    hand.click(30, 60)
    hand.move(30, 110)
    hand.key("Delete")
    journal = dock.journal
    assert journal.text.startswith("3 corrections")
    hand.key("Control-Z")
    assert journal.text.startswith("2 corrections")
    hand.key("Control-Shift-Z")
    assert journal.text.startswith("3 corrections")
    dock.autosave.save()
    qtbot.waitUntil(lambda: not dock.autosave.busy)
    (stored,) = [StoredLabels.open(path) for path in labels_folder().iterdir()]
    kept = read_entries(stored.record.details["journal"])
    assert [entry.tool for entry in kept] == ["merge", "split", "delete"]
    other = disks()
    other[other == 4] = 0
    new = viewer.add_labels(other, name="cells labels")
    assert "3 corrections of ‘cells corrected’" in journal.repeat.text()
    journal.repeat.click()
    assert "2 of 3 corrections were repeated" in dock.message.value
    assert "delete at (30, 110): There is no object here" in dock.message.value
    assert (new.data == layer.data).all()
    before = disks()
    before[before == 4] = 0
    new.undo()
    assert (new.data == before).all()
    assert journal.text == ""
