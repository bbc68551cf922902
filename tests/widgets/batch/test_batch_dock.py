"""The dock Batch in a real window: a walk from dropped files to the table, again, and Cancel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
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


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.filterwarnings("default")
def test_a_cluster_from_the_dock_with_progress_and_cancel(
    window_viewer: Any, tmp_path: Path, qtbot: Any
) -> None:
    image = nu.load_sample("nuclei_2d").image[:120, :160]
    for n in range(8):
        write_image(tmp_path / "in" / f"{n}.tif", np.roll(image, n, 0), axes="YX")
    _, dock = window_viewer.window.add_plugin_dock_widget(PLUGIN, "Batch")
    dock.form.cluster.value = "local:2"
    dock.output = tmp_path / "out"
    dock.run(image=tmp_path / "in", model="nuclei", settings={"tile": 32, "flips": True})
    told: list[str] = []

    def is_done() -> bool:
        told.append(dock.bar.message.value)
        return any(row[1] == "done" for row in dock.table.texts())

    qtbot.waitUntil(is_done, timeout=240_000)
    assert any("of 8 files done" in text for text in told)
    dock.cancel()
    results = dock.wait(240)
    assert results is None or len(results) <= 8
    states = [row[1] for row in dock.table.texts()]
    assert "done" in states
    assert "not run" in states
    assert dock.bar.message.value.startswith("Cancelled.")
    written = sorted((tmp_path / "out").glob("*_labels.tif"))
    assert states.count("done") <= len(written) < 8
    assert not list((tmp_path / "out").glob(".*"))

    # what is done is kept: the rest is run by the same workers' labels, here without a cluster
    dock.form.cluster.value = ""
    dock.run()
    results = dock.wait(240)
    assert [result.error for result in results] == [None] * 8
    assert [result.state for result in results].count("skipped") == len(written)
    for n in (0, 7):
        expected = nu.segment(
            read_image(tmp_path / "in" / f"{n}.tif"), "nuclei", tile=32, flips=True
        )
        np.testing.assert_array_equal(
            read_image(tmp_path / "out" / f"{n}_labels.tif").array, expected
        )
