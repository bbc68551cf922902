"""A process that is killed while somebody corrects: what the next one has of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_unet.correction.edits import Scene
from napari_unet.correction.journal import repeat_entries
from napari_unet.inference.segmentation import segment
from napari_unet.samples import load_sample
from napari_unet.widgets.annotation.marks import marks_of
from napari_unet.widgets.correct.journal import entries_of
from napari_unet.widgets.qt.notice import Notice

PLUGIN = "napari-unet-torch"
PATIENCE_S = 90
BEFORE = 3  # corrections that are on disk before the kill

CHILD = f"""
import sys, time
from pathlib import Path
import napari
import numpy as np
import zarr
from qtpy.QtWidgets import QApplication

end = time.monotonic() + {PATIENCE_S}

def wait(condition):
    while not condition():
        assert time.monotonic() < end
        QApplication.processEvents()
        time.sleep(0.01)

folder = Path(sys.argv[1])
labels = np.load(folder / "labels.npy")
points = [tuple(point) for point in np.load(folder / "points.npy").tolist()]
viewer = napari.Viewer(show=False)
dock = viewer.window.add_plugin_dock_widget("{PLUGIN}", "Correct")[1]
session = dock.session

stored = viewer.add_labels(zarr.open_array(folder / "disk.zarr", mode="r"), name="disk")
wait(lambda: session.target is not None and session.target.has_numbers)
assert session.make(session.place("delete", (points[0],)))
stored.data.flush()
wait(lambda: not dock.autosave.busy)

layer = viewer.add_labels(labels.copy(), name="cells corrected")
tools = iter(("delete", "grow", "merge"))
for tool, first, second in zip(tools, points[:{BEFORE}], points[1:]):
    assert session.make(session.place(tool, (first, second) if tool == "merge" else (first,)))
dock.autosave.save()
wait(lambda: not dock.autosave.busy)
print("ready", flush=True)
for point in points[{BEFORE} + 1:] * 1000:  # goes on, until it is killed
    session.make(session.place("grow", (point,)))
    dock.autosave.save()
    QApplication.processEvents()
"""


def put_in(path: Path, labels: np.ndarray) -> None:
    array = zarr.create_array(path, shape=labels.shape, dtype=labels.dtype, chunks=(64, 64))
    array[:] = labels


@pytest.mark.slow
@pytest.mark.process
def test_corrections_of_a_killed_process_are_offered_and_made_again_on_a_new_prediction(
    viewer: Any,
    open_correct: Callable[[], Any],
    press: Callable[[Any], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: Any,
) -> None:
    image = load_sample("nuclei_2d").image[:128, :160]
    labels = np.asarray(segment(image, "nuclei", axes="YX"))
    whole = [n for n in np.unique(labels)[1:].tolist() if (labels == n).sum() > 50]
    points = [np.argwhere(labels == n).mean(axis=0).round().astype(int) for n in whole]
    points = [p for p, n in zip(points, whole, strict=True) if labels[tuple(p)] == n]
    assert len(points) > 8
    np.save(tmp_path / "labels.npy", labels)
    np.save(tmp_path / "points.npy", points)
    put_in(tmp_path / "disk.zarr", labels)
    monkeypatch.setenv("NAPARI_CONFIG", str(tmp_path / "napari.yaml"))
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        assert any(line == "ready\n" for line in child.stdout)  # napari prints as well
        os.kill(child.pid, signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()

    dock = open_correct()
    (notice,) = dock.native.findChildren(Notice)
    assert "‘cells corrected’" in notice.text.value
    press(notice.buttons["Restore"])
    layer = viewer.layers["cells corrected"]
    entries = entries_of(layer)
    assert [entry.tool for entry in entries[:BEFORE]] == ["delete", "grow", "merge"]
    assert dock.journal.text.startswith(f"{len(entries)} corrections, kept")
    assert marks_of(layer) is not None
    # the labels are those that the journal tells of
    made = labels.copy()
    apply = lambda change, _: change.apply(made)  # noqa: E731
    assert not repeat_entries(entries, lambda: Scene(made), apply, same_numbers=True)
    late = layer.data != made  # pixels may be on disk a moment before their entry
    assert np.isin(layer.data[late], [labels[tuple(p)] for p in points[BEFORE + 1 :]]).all()
    assert layer.selected_label not in layer.data

    # another prediction of the image, by which the first object was not found
    other = segment(image, "nuclei", axes="YX", threshold=0.6)
    other = np.where(other == other[tuple(points[0])], 0, other) + 0
    new = viewer.add_labels(other.copy(), name="cells labels")
    assert f"{len(entries)} corrections of ‘cells corrected’" in dock.journal.repeat.text()
    dock.journal.repeat.click()
    done = len(entries) - 1
    place = ", ".join(map(str, points[0]))
    assert f"{done} of {len(entries)} corrections were repeated" in dock.message.value
    assert f"delete at ({place}): There is no object here" in dock.message.value
    assert new.data[tuple(points[2])] == new.data[tuple(points[3])]  # merged
    new.undo()
    assert (new.data == other).all()

    # on disk there is nothing to restore: labels, marks and journal are there
    stored = zarr.open_array(tmp_path / "disk.zarr")[:]
    assert not (stored == labels[tuple(points[0])]).any()
    (again,) = viewer.open(str(tmp_path / "disk.zarr"), plugin=PLUGIN, layer_type="labels")
    assert marks_of(again) is not None
    assert [entry.tool for entry in entries_of(again)] == ["delete"]
