"""Painted labels survive a crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from napari.layers import Image, Labels

from napari_unet.errors import FileError
from napari_unet.recovery.arrays import INDEX
from napari_unet.recovery.labels import StoredLabels, find_lost_labels, labels_folder
from napari_unet.widgets.annotation.layer_state import details_of, layer_from
from napari_unet.widgets.annotation.painting import marks_of, new_labels, set_marks, toggle_done
from napari_unet.widgets.layer_writer import write_labels_layer
from napari_unet.widgets.recovery import autosave as _autosave
from napari_unet.widgets.recovery.autosave import Autosave
from napari_unet.widgets.recovery.restoring import restore_labels
from napari_unet.widgets.recovery.stores import _stores

pytestmark = pytest.mark.windowless

# paints, says when it is on disk, and goes on until it is killed
CHILD = """
import numpy as np
from napari.components import ViewerModel
from napari.utils.colormaps import DirectLabelColormap
from qtpy.QtWidgets import QApplication
from napari_unet.widgets.recovery import autosave as _autosave
from napari_unet.widgets.recovery.autosave import Autosave
from napari_unet.widgets.annotation.painting import new_labels, toggle_done

app = QApplication([])
_autosave.SAVE_DELAY_MS, _autosave.TIME_SHARE = 20, 0
viewer = ViewerModel()
image = viewer.add_image(
    np.zeros((5, 40, 60), np.uint8), name="stack", scale=(3, 0.5, 0.5), rotate=20,
    translate=(1, 2, 3), units=("um", "um", "um"),
)
autosave = Autosave(viewer)
layer = new_labels(viewer, image, "ZYX")
colours = {0: "transparent", 7: "red", None: "transparent"}
layer.colormap = DirectLabelColormap(color_dict=colours)
layer.features = {"index": [7], "class": ["cell"]}
viewer.dims.set_current_step(0, 2)
layer.paint((2, 10, 20), 7)
layer.paint((4, 30, 30), 3)
toggle_done(viewer, layer)
layer.name = "mine"
count = 0
while True:  # until it is killed, mostly while it writes
    app.processEvents()
    if not autosave.busy:
        if count == 3:
            print("saved", flush=True)
        layer.paint((0, 5 + count % 30, 5 + count % 50), 9)
        count += 1
"""


@pytest.fixture
def stack(bare_viewer: Any) -> Image:
    return bare_viewer.add_image(np.zeros((5, 40, 60), np.uint8), name="stack")


@pytest.fixture
def autosave(bare_viewer: Any, monkeypatch: pytest.MonkeyPatch, qtbot: Any) -> Iterator[Autosave]:
    monkeypatch.setattr(_autosave, "SAVE_DELAY_MS", 30)
    monkeypatch.setattr(_autosave, "REMOVAL_DELAY_MS", 30)
    monkeypatch.setattr(_autosave, "TIME_SHARE", 0)
    autosave = Autosave(bare_viewer)
    yield autosave
    autosave.close()


@pytest.fixture
def layer(bare_viewer: Any, stack: Image, autosave: Autosave) -> Labels:
    return new_labels(bare_viewer, stack, "ZYX")


@pytest.fixture
def settle(autosave: Autosave, qtbot: Any) -> Callable[[], None]:
    """Wait until everything is on disk."""
    return lambda: qtbot.waitUntil(lambda: not autosave.busy, timeout=10_000)


def kept() -> list[Path]:
    """What is kept on disk, whoever has it."""
    return sorted(labels_folder().glob(f"*/{INDEX}"))


def die() -> None:
    """As if the process that keeps things had died: its locks are gone."""
    for store in list(_stores.values()):
        store.release()


@pytest.fixture
def crashed() -> Iterator[None]:
    """A process has painted, and was killed while it wrote on."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "saved\n"
        assert find_lost_labels() == []  # it is alive
        time.sleep(0.5)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
    return


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_what_a_killed_process_painted_is_put_back(
    crashed: None, bare_viewer: Any, autosave: Autosave, settle: Any
) -> None:
    (work,) = find_lost_labels()
    assert (work.record.name, work.record.axes, work.shape) == ("mine", "ZYX", (5, 40, 60))
    layer = autosave.restore(work)
    assert layer.data.dtype == np.int32
    assert np.unique(layer.data[2]).tolist() == [0, 7]
    assert np.unique(layer.data[4]).tolist() == [0, 3]
    assert layer.data[2, 10, 20] == 7
    assert (layer.data[0] == 9).any()
    marks = marks_of(layer)
    assert (marks.image, marks.done) == ("stack", ((0, 2),))
    assert layer.name == "mine"
    assert np.allclose(layer.get_color(7), [1, 0, 0, 1])
    assert list(layer.features["class"]) == ["cell"]
    image = Image(
        np.zeros((5, 40, 60)),
        scale=(3, 0.5, 0.5),
        rotate=20,
        translate=(1, 2, 3),
        units=("um", "um", "um"),
    )
    assert np.allclose(layer.data_to_world((1, 2, 3)), image.data_to_world((1, 2, 3)))
    assert layer.units == image.units
    # it is ours now, and kept in the same place
    assert find_lost_labels() == []
    assert toggle_done(bare_viewer, layer) in (True, False)
    layer.paint((3, 30, 30), 4)
    settle()
    assert len(kept()) == 1
    die()
    (again,) = find_lost_labels()
    assert np.array_equal(again.read(), layer.data)


def test_only_changes_are_written(layer: Labels, settle: Any) -> None:
    settle()
    assert kept() == []  # nothing was painted
    layer.paint((1, 10, 10), 1)
    layer.paint((3, 10, 10), 1)
    settle()
    (index,) = kept()
    files = {path.name: path.stat().st_mtime_ns for path in index.parent.glob("c.*")}
    assert sorted(files) == ["c.1.0.0", "c.3.0.0"]
    layer.paint((3, 20, 20), 2)
    settle()
    again = {path.name: path.stat().st_mtime_ns for path in index.parent.glob("c.*")}
    assert again["c.1.0.0"] == files["c.1.0.0"]
    assert again["c.3.0.0"] > files["c.3.0.0"]


def test_undo_is_written_too(layer: Labels, settle: Any) -> None:
    layer.paint((1, 10, 10), 1)
    layer.paint((3, 10, 10), 1)
    settle()
    layer.undo()
    settle()
    die()
    assert np.array_equal(find_lost_labels()[0].read(), layer.data)
    layer.undo()
    settle()
    assert kept() == []
    layer.redo()
    settle()
    die()
    assert np.array_equal(find_lost_labels()[0].read(), layer.data)


def test_data_of_another_shape_replaces_the_old(layer: Labels, settle: Any) -> None:
    layer.paint((1, 10, 10), 1)
    settle()
    layer.data = np.full((2, 8, 9), 3, np.uint8)
    settle()
    assert len(kept()) == 1
    die()
    (work,) = find_lost_labels()
    assert np.array_equal(work.read(), layer.data)


def save(layer: Labels, folder: Path) -> None:
    """As the viewer does it with this plugin."""
    data, attributes, _ = layer.as_layer_data_tuple()
    write_labels_layer(folder / f"{layer.name}.tif", data, attributes)


def test_a_layer_that_the_user_removes_can_be_put_back(
    layer: Labels, bare_viewer: Any, autosave: Autosave, qtbot: Any
) -> None:
    removed: list[StoredLabels] = []
    autosave._on_removed = removed.append
    layer.paint((1, 10, 10), 1)
    expected = layer.data.copy()
    bare_viewer.layers.remove(layer)  # before all of it is on disk
    del layer
    qtbot.waitUntil(lambda: bool(removed), timeout=2000)
    (work,) = find_lost_labels()
    assert work.folder == removed[0].folder
    assert work.record.removed is not None
    again = autosave.restore(removed[0])
    assert np.array_equal(again.data, expected)
    assert marks_of(again).image == "stack"
    assert find_lost_labels() == []


def test_a_layer_that_was_saved_or_is_empty_goes_without_a_word(
    layer: Labels,
    bare_viewer: Any,
    stack: Image,
    autosave: Autosave,
    settle: Any,
    tmp_path: Path,
    qtbot: Any,
) -> None:
    removed: list[StoredLabels] = []
    autosave._on_removed = removed.append
    empty = new_labels(bare_viewer, stack, "ZYX")
    layer.paint((1, 10, 10), 1)
    settle()
    save(layer, tmp_path)
    for each in (layer, empty):
        bare_viewer.layers.remove(each)
    qtbot.waitUntil(lambda: not kept(), timeout=2000)
    qtbot.waitUntil(lambda: not autosave._removal_timer.isActive(), timeout=2000)
    assert removed == []


def test_a_layer_that_was_saved_is_offered_from_its_next_change_on(
    layer: Labels, settle: Any, bare_viewer: Any, stack: Image, tmp_path: Path
) -> None:
    other = Labels(np.zeros((5, 40, 60), np.int32), name=layer.name)  # in another window
    set_marks(other, marks_of(layer))
    from napari.components import ViewerModel

    second = ViewerModel()
    second.add_layer(other)
    elsewhere = Autosave(second)
    layer.paint((1, 10, 10), 1)
    other.paint((2, 10, 10), 2)
    elsewhere.save()
    settle()
    layer.paint((3, 10, 10), 1)  # not on disk yet
    save(layer, tmp_path)
    settle()
    elsewhere.close()
    die()
    (work,) = find_lost_labels()
    assert np.array_equal(work.read(), other.data)
    layer.paint((3, 20, 20), 1)
    settle()
    die()
    assert any(np.array_equal(work.read(), layer.data) for work in find_lost_labels())


def test_marks_are_on_disk_at_once_with_what_they_are_about(
    layer: Labels,
    autosave: Autosave,
    bare_viewer: Any,
    settle: Any,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer.paint((3, 10, 10), 1)
    settle()
    autosave._timer.stop()
    monkeypatch.setattr(_autosave, "SAVE_DELAY_MS", 60_000)
    monkeypatch.setattr(_autosave, "TIME_SHARE", 1e6)
    layer.paint((1, 10, 10), 1)
    layer.paint((1, 20, 20), 2)
    bare_viewer.dims.set_current_step(0, 1)
    toggle_done(bare_viewer, layer)
    settle()  # ten seconds at most
    die()
    (work,) = find_lost_labels()
    assert work.record.details["marks"]["done"] == [[0, 1]]
    assert np.array_equal(work.read(), layer.data)


def test_planes_that_are_done_are_kept_though_nothing_is_on_them(
    layer: Labels, bare_viewer: Any, autosave: Autosave, settle: Any
) -> None:
    toggle_done(bare_viewer, layer)
    settle()
    die()
    (work,) = find_lost_labels()
    bare_viewer.layers.remove(layer)
    assert len(marks_of(autosave.restore(work)).done) == 1


def test_planes_that_cannot_be_read_are_told_of_and_stay(
    layer: Labels, bare_viewer: Any, autosave: Autosave, settle: Any
) -> None:
    for z in (1, 3):
        layer.paint((z, 10, 10), 1)
    settle()
    expected = layer.data.copy()
    expected[1] = 0
    die()
    (work,) = find_lost_labels()
    damaged = work.folder / "c.1.0.0"
    damaged.write_bytes(b"rubbish")
    told: list[str] = []
    autosave._on_fault = told.append
    again = autosave.restore(work)
    assert np.array_equal(again.data, expected)
    assert "1 of 2 planes" in told[0]
    assert str(work.folder) in told[0]
    die()  # at once: what could be read is safe already
    assert [np.array_equal(each.read(), expected) for each in find_lost_labels()] == [True]
    again.paint((2, 10, 10), 1)
    settle()
    assert damaged.is_file()
    die()
    (work,) = find_lost_labels()  # that of the new layer
    assert np.array_equal(work.read(), again.data)


def test_a_window_that_was_closed_leaves_its_labels_to_the_next(
    layer: Labels, autosave: Autosave, bare_viewer: Any
) -> None:
    layer.paint((1, 10, 10), 1)
    expected = layer.data.copy()
    autosave.close()  # the dock alone: the layer is still there
    assert find_lost_labels() == []
    again = Autosave(bare_viewer)
    bare_viewer.layers.clear()  # as a viewer does that is closed
    again.close()
    (work,) = find_lost_labels()
    assert np.array_equal(work.read(), expected)


def test_labels_beside_channels_are_put_back_beside_them(
    bare_viewer: Any, autosave: Autosave, settle: Any
) -> None:
    image = bare_viewer.add_image(np.zeros((5, 2, 40, 60), np.uint8), name="movie")
    layer = new_labels(bare_viewer, image, "TCYX")
    layer.paint((3, 0, 10, 10), 7)
    bare_viewer.dims.set_current_step((0, 1), (3, 1))
    toggle_done(bare_viewer, layer)
    settle()
    die()
    (work,) = find_lost_labels()
    assert work.planes == [(3, 0)]
    restored, fault = restore_labels(bare_viewer, work)
    assert fault == ""
    assert np.array_equal(restored.data, layer.data)
    assert marks_of(restored) == marks_of(layer)
    assert np.allclose(restored.data_to_world((3, 0, 9, 9)), layer.data_to_world((3, 0, 9, 9)))


def test_labels_follow_the_name_of_their_image(
    layer: Labels, stack: Image, autosave: Autosave, bare_viewer: Any
) -> None:
    other = bare_viewer.add_image(np.zeros((5, 40, 60)), name="other")
    others = new_labels(bare_viewer, other, "ZYX")
    stack.name = "cells"
    assert marks_of(layer).image == "cells"
    assert marks_of(others).image == "other"
    stack.name = "other"  # which the viewer makes "other [1]"
    assert marks_of(layer).image == stack.name
    assert marks_of(others).image == "other"


def test_closing_keeps_what_is_not_written_yet(
    layer: Labels, autosave: Autosave, bare_viewer: Any
) -> None:
    layer.paint((1, 10, 10), 1)
    expected = layer.data.copy()
    bare_viewer.layers.clear()  # as a viewer does that is closed
    autosave.close()
    die()
    assert np.array_equal(find_lost_labels()[0].read(), expected)


def test_a_layer_of_the_user_is_kept_once_it_has_marks(
    bare_viewer: Any, stack: Image, autosave: Autosave, settle: Any
) -> None:
    own = bare_viewer.add_labels(np.zeros((5, 40, 60), np.uint16), name="own")
    own.paint((1, 10, 10), 1)
    settle()
    assert kept() == []
    toggle_done(bare_viewer, own)
    settle()
    die()
    (work,) = find_lost_labels()
    assert np.array_equal(work.read(), own.data)
    assert work.dtype == own.data.dtype


def test_a_dock_that_is_opened_again_goes_on_in_the_same_place(
    layer: Labels, autosave: Autosave, bare_viewer: Any, qtbot: Any
) -> None:
    layer.paint((1, 10, 10), 1)
    autosave.close()
    assert len(kept()) == 1
    layer.paint((2, 10, 10), 1)  # nobody hears it
    again = Autosave(bare_viewer)
    qtbot.waitUntil(lambda: not again.busy, timeout=5000)
    again.close()
    assert len(kept()) == 1
    die()
    assert np.array_equal(find_lost_labels()[0].read(), layer.data)


def test_moving_the_slider_writes_nothing(
    layer: Labels, autosave: Autosave, settle: Any, bare_viewer: Any
) -> None:
    layer.paint((1, 10, 10), 1)
    settle()
    bare_viewer.dims.set_current_step(0, 3)
    assert not autosave.busy


def test_writing_takes_a_small_share_of_the_time(
    layer: Labels, autosave: Autosave, settle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_autosave, "TIME_SHARE", 1e6)
    layer.paint((1, 10, 10), 1)
    settle()
    before = kept()[0].stat().st_mtime_ns
    layer.paint((2, 10, 10), 1)
    autosave.save()
    assert autosave.busy  # later
    assert not autosave._runner.running
    assert kept()[0].stat().st_mtime_ns == before


def test_of_fifty_gigabytes_what_was_painted_is_kept(
    bare_viewer: Any, autosave: Autosave, settle: Any
) -> None:
    image = bare_viewer.add_image(np.broadcast_to(np.uint8(0), (1000, 3500, 3500)), name="large")
    layer = new_labels(bare_viewer, image, "ZYX")
    before = psutil.Process().memory_info().rss
    layer.paint((700, 2000, 2000), 5)
    settle()
    die()
    (work,) = find_lost_labels()
    restored, _ = restore_labels(bare_viewer, work)
    assert np.array_equal(restored.data[700], layer.data[700])
    assert psutil.Process().memory_info().rss - before < 5e8


def test_a_full_disk_is_told_of_once_and_tried_again(
    bare_viewer: Any, stack: Image, autosave: Autosave, qtbot: Any, settle: Any
) -> None:
    autosave.close()
    told: list[str] = []
    again = Autosave(bare_viewer, told.append)
    labels_folder().parent.mkdir(parents=True, exist_ok=True)
    labels_folder().write_text("a file is in the way")
    layer = new_labels(bare_viewer, stack, "ZYX")
    layer.paint((1, 10, 10), 1)
    qtbot.waitUntil(lambda: bool(told), timeout=5000)
    assert "Painted labels are not kept" in told[0]
    labels_folder().unlink()
    again.save()
    qtbot.waitUntil(lambda: bool(kept()), timeout=5000)
    assert len(told) == 1
    again.close()


def test_work_can_be_taken_over_once(layer: Labels, settle: Any, bare_viewer: Any) -> None:
    layer.paint((1, 10, 10), 1)
    settle()
    die()
    (work,) = find_lost_labels()
    restore_labels(bare_viewer, work)
    with pytest.raises(FileError, match="another window"):
        restore_labels(bare_viewer, work)


def test_details_go_through_a_file(bare_viewer: Any, stack: Image) -> None:
    layer = new_labels(bare_viewer, stack, "ZYX")
    layer.new_colormap(seed=7)
    layer.opacity = 0.3
    set_marks(layer, replace(marks_of(layer), done=((0, 2),)))
    details = json.loads(json.dumps(details_of(layer, marks_of(layer))))
    again = layer_from(layer.data, layer.name, details)
    assert marks_of(again) == marks_of(layer)
    assert again.opacity == pytest.approx(0.3)
    assert np.array_equal(again.get_color(5), layer.get_color(5))
    assert layer_from(layer.data, "x", {}).name == "x"
    assert layer_from(layer.data, "x", {**details, "place": {"scale": "large"}}).name == "x"
