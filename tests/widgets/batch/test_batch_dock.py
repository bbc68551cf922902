"""The dock Batch in a real window: a walk from dropped files to the table, again, and Cancel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent

import napari_unet as nu
from napari_unet.io import read_image, write_image

PLUGIN = "napari-unet-torch"


def drop(table: Any, *paths: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    event = QDropEvent(
        QPointF(5, 5),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    table.dropEvent(event)


def test_a_walk(
    window_viewer: Any,
    tmp_path: Path,
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    qtbot: Any,
) -> None:
    viewer = window_viewer
    image = nu.load_sample("nuclei_2d").image[:120, :160]
    for name in "ab":
        write_image(tmp_path / "in" / f"{name}.tif", image, axes="YX", pixel_size=(0.5, 0.5))
    (tmp_path / "in" / "c.tif").write_bytes(b"nothing")
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Batch")
    assert not dock.bar.run.enabled
    drop(dock.table, tmp_path / "in")
    assert [row[:2] for row in dock.table.texts()] == [
        ("a.tif", "waiting"),
        ("b.tif", "waiting"),
        ("c.tif", "waiting"),
    ]
    press(dock.bar.preview)
    finish(dock)
    (labels,) = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    np.testing.assert_array_equal(labels.data, nu.segment(image, "nuclei", pixel_size=0.5))
    assert not (tmp_path / "out").exists()
    viewer.layers.clear()

    dock.form.output.value = str(tmp_path / "out")
    dock.form.kinds["measurements"].value = True
    dock.rows["threshold"].editor.value = 0.6
    press(dock.bar.run)
    finish(dock)
    assert [row[1] for row in dock.table.texts()] == ["done", "done", "failed"]
    assert "no TIFF" in dock.table.texts()[2][2]
    assert dock.bar.message.value.startswith("2 done, 1 failed.")
    expected = nu.segment(image, "nuclei", pixel_size=0.5, threshold=0.6)
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "a_labels.tif").array, expected)
    assert (tmp_path / "out" / "a_measurements.csv").is_file()
    assert (tmp_path / "out" / "batch.csv").is_file()

    dock.table.cellClicked.emit(1, 0)
    kinds = [type(layer) for layer in viewer.layers]
    assert kinds == [Image, Labels]
    np.testing.assert_array_equal(viewer.layers[1].data, expected)

    press(dock.bar.run)
    finish(dock)
    assert [row[1] for row in dock.table.texts()] == ["finished before"] * 2 + ["failed"]

    dock.form.overwrite.value = True
    dock.rows["tile"].editor.value = 32
    press(dock.bar.run)
    qtbot.waitUntil(lambda: dock.table.texts()[0][1] == "done")
    if dock.runner.running:
        dock.cancel()
    finish(dock)
    assert dock.table.texts()[0][1] == "done"

    dock.form.add["Clear"].native.click()
    viewer.layers.clear()
    viewer.add_image(image, name="in memory")
    dock.form.add["Layers"].native.click()
    assert [row[0] for row in dock.table.texts()] == ["in memory.ome.tif"]
    dock.form.output.value = ""
    assert "Results in" in dock.bar.message.value
    assert not dock.bar.run.enabled
