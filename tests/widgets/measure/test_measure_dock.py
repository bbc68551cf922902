"""The dock Measure: a walk in a real window, and what may be wrong, without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QGuiApplication

import napari_unet as nu
from napari_unet.samples import load_sample

PLUGIN = "napari-unet-torch"


def test_a_walk(
    window: Any,
    tmp_path: Path,
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Segment, measure, the largest object by a click, back by a click, plots, colours, a file."""
    viewer = window
    image = load_sample("nuclei_2d").image[:160, :200]
    viewer.add_image(image, name="nuclei", scale=(0.5, 0.5), units=("um", "um"))
    _, segment = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    press(segment.bar.run)
    finish(segment)
    labels = viewer.layers["nuclei labels"]
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Measure")
    press(dock.bar.run)
    finish(dock)
    expected = nu.measure(labels.data, image, axes="YX", pixel_size=0.5)
    table = dock.result
    assert "objects measured; lengths are in µm" in dock.bar.message.value
    assert dock.panel.isVisible()
    pd.testing.assert_frame_equal(table[expected.columns], expected)
    assert ((table["confidence"] > 0.5) & (table["confidence"] <= 1)).all()

    # the largest: sorted by area, the first row clicked
    model, view = dock.panel.table.model, dock.panel.table.view
    view.sortByColumn(model.names.index("area"), Qt.SortOrder.DescendingOrder)
    qtbot.mouseClick(
        view.viewport(), Qt.MouseButton.LeftButton, pos=view.visualRect(model.index(0, 0)).center()
    )
    largest = int(table["area"].argmax())
    assert dock.panel.table.chosen.tolist() == [largest]
    label = int(table["label"][largest])
    center = [table[f"bbox-{i}"][largest] for i in range(4)]
    middle = [(center[i] + center[i + 2] - 1) / 4 for i in (0, 1)]  # in micrometres
    np.testing.assert_allclose(viewer.scene.camera.center[1:], middle)
    assert labels.selected_label == label
    lines = dock.outline.lines
    assert len(lines) > 8
    rows = np.argwhere(labels.data == label)
    np.testing.assert_allclose(lines.min(0), (rows.min(0) - 0.5) / 2)
    np.testing.assert_allclose(lines.max(0), (rows.max(0) + 0.5) / 2)
    assert np.isclose(dock.outline._visual.pos.max(), lines.max())

    # values in the layer, and their colours
    assert labels.features.set_index("index")["area"][label] == table["area"].max()
    before = labels.colormap
    dock.panel.colour.setCurrentText("area")
    np.testing.assert_allclose(labels.get_color(label)[:3], [0.993, 0.906, 0.144], atol=0.01)
    dock.panel.colour.setCurrentIndex(0)
    assert labels.colormap == before

    # a click on another object in the canvas
    other = (largest + 1) % len(table)
    canvas = viewer.window._qt_viewer.canvas
    place = np.argwhere(labels.data == table["label"][other])[0]
    viewer.scene.camera.zoom = 4
    viewer.scene.camera.center = (0, *(place / 2))
    qtbot.wait(50)
    native = canvas.native
    spot = native.rect().center()
    qtbot.mouseClick(native, Qt.MouseButton.LeftButton, pos=spot)
    assert dock.panel.table.chosen.tolist() == [other]

    # a part of the histogram, a point of the scatter plot
    plot = dock.panel.plot
    assert plot.can_plot
    half = float(table["area"].median())
    plot._rectangle(QRectF(half, 0, 1e9, 1))
    assert sorted(dock.panel.table.chosen) == np.flatnonzero(table["area"] >= half).tolist()
    plot.plot("area", "intensity_mean")
    plot._clicked(table["area"][0], table["intensity_mean"][0], (1.0, 1.0))
    assert dock.panel.table.chosen.tolist() == [0]
    dock.panel.table.filter.setText(f"area > {half}")
    assert len(plot._shown) == (table["area"] > half).sum() == len(dock.panel.table.shown)
    plot.plot("area")
    plot._rectangle(QRectF(0, 0, half, 1))
    assert dock.panel.table.chosen.tolist() == []
    dock.panel.table.filter.clear()

    # copied and saved
    dock.panel.copy.click()
    text = QGuiApplication.clipboard().text()
    assert text.splitlines()[0].startswith("label\tarea (µm²)\t")
    assert len(text.splitlines()) == len(table) + 1
    for name in ("t.csv", "t.tsv", "t.xlsx"):
        path = tmp_path / name
        dock.panel.ask = lambda *_, path=path: (str(path), "")
        dock.panel.save.click()
        qtbot.waitUntil(lambda: not dock.saver.running)
        assert f"Saved to {name}" in dock.panel.said.text()
        read = (
            pd.read_excel(path)
            if name == "t.xlsx"
            else pd.read_csv(path, sep=None, engine="python")
        )
        assert "area (µm²)" in read
        assert "centroid-0 (µm)" in read
        np.testing.assert_allclose(read.to_numpy(float), table.to_numpy(float), equal_nan=True)
    dock.panel.ask = lambda *_: (str(tmp_path / "no folder" / "t.csv"), "")
    dock.panel.save.click()
    qtbot.waitUntil(lambda: not dock.saver.running)
    assert dock.panel.said.text()

    # scripts say the same; a changed layer is told
    script = dock.as_python()
    assert "nu.measure(" in script
    assert "pixel_size=" in script
    labels.data_setitem((np.array([0]), np.array([0])), 999)
    assert "changed since" in dock.bar.message.value

    # the frame below may be closed, and comes back
    dock.below.close()
    press(dock.bar.run)
    finish(dock)
    assert dock.panel.isVisible()
    viewer.layers.remove(labels)
    assert not len(dock.outline.lines)
