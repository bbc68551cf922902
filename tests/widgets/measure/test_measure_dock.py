"""The dock Measure: a walk in a real window, and what may be wrong, without one."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from qtpy.QtCore import QPoint, QRectF, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QWidget
from scipy.ndimage import distance_transform_edt

import napari_unet as nu
from napari_unet.io import write_image
from napari_unet.samples import load_sample
from napari_unet.widgets.qt.object_plot import ObjectPlot
from napari_unet.widgets.viewer.docks import frame_of
from napari_unet.widgets.viewer.layer_image import plain

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
    other = int(table["area"].drop(largest).idxmax())
    canvas = viewer.window._qt_viewer.canvas
    inside = distance_transform_edt(labels.data == table["label"][other])
    place = np.array(np.unravel_index(inside.argmax(), inside.shape))
    viewer.scene.camera.zoom = 4
    viewer.scene.camera.center = (0, *(place / 2))
    qtbot.wait(50)
    native = canvas.native
    spot = native.rect().center()
    qtbot.mouseClick(native, Qt.MouseButton.LeftButton, pos=spot)
    qtbot.waitUntil(lambda: dock.panel.table.chosen.tolist() == [other])

    # a part of the histogram, a point of the scatter plot
    plot = dock.panel.plot
    assert plot.can_plot
    half = float(table["area"].median())
    plot._rectangle(QRectF(half, 0, 1e9, 1))
    assert sorted(dock.panel.table.chosen) == np.flatnonzero(table["area"] >= half).tolist()
    view_of_plot = plot._area.viewport()
    corners = plot._area.getViewBox().sceneBoundingRect().toRect()
    first, last = corners.bottomLeft() + QPoint(5, -5), corners.topRight() + QPoint(-5, 5)
    qtbot.mousePress(view_of_plot, Qt.MouseButton.LeftButton, pos=first)
    for place in (first + QPoint(20, -20), last):
        qtbot.mouseMove(view_of_plot, pos=place)
    qtbot.mouseRelease(view_of_plot, Qt.MouseButton.LeftButton, pos=last)
    assert len(dock.panel.table.chosen) > len(table) // 2
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
        assert f"Saved to {name}" in dock.bar.message.value
        read = (
            pd.read_excel(path)
            if name == "t.xlsx"
            else pd.read_csv(path, sep=None, engine="python")
        )
        assert "area (µm²)" in read
        assert "centroid-0 (µm)" in read
        np.testing.assert_allclose(read.to_numpy(float), table.to_numpy(float), equal_nan=True)
    dock.panel.ask = lambda *_: (str(tmp_path / "t.csv" / "beneath a file.csv"), "")
    dock.panel.save.click()
    qtbot.waitUntil(lambda: not dock.saver.running)
    assert "beneath a file.csv" in dock.bar.message.value
    assert len(pd.read_csv(tmp_path / "t.csv")) == len(table)

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
    frame_of(dock).destroyOnClose()
    assert "Objects" not in viewer.window.dock_widgets


@pytest.fixture
def open_measure(bare_viewer: Any, qtbot: Any, listen: Any) -> Iterator[Callable[[], Any]]:
    """``open_measure()``: the dock on the viewer without a window."""
    from qtpy.QtCore import QThreadPool

    from napari_unet.widgets.measure import MeasureWidget

    around, docks = QWidget(), []
    qtbot.addWidget(around)

    def open_measure() -> Any:
        dock = MeasureWidget(bare_viewer)
        dock.native.setParent(around)
        dock.panel.setParent(around)
        listen(bare_viewer, dock)
        docks.append(dock)
        return dock

    yield open_measure
    for dock in docks:
        dock.native.setParent(None)  # this is how the viewer closes one
        dock.native.deleteLater()
    assert QThreadPool.globalInstance().waitForDone(60_000), "a thread was left behind"


def series() -> tuple[Any, Any]:
    """Labels TZYX, equal numbers at both times, and an image TCZYX of two channels."""
    labels = np.zeros((2, 4, 40, 50), np.int32)
    labels[0, 1:3, 5:15, 5:15], labels[0, 1:3, 22:30, 20:40] = 1, 2
    labels[1, 0:2, 8:28, 5:15], labels[1, 2:4, 30:38, 30:48] = 1, 2
    image = np.random.default_rng(3).integers(0, 900, (2, 2, 4, 40, 50)).astype(np.uint16)
    return labels, image


def test_channels_of_a_series_of_stacks(
    bare_viewer: Any, open_measure: Callable[[], Any], run: Callable[[Any], None]
) -> None:
    labels, image = series()
    place = {"scale": (1, 2, 0.5, 0.5), "units": ("s", "um", "um", "um")}
    names = ("t", "z", "y", "x")
    for number, name in enumerate(("DAPI", "GFP")):
        bare_viewer.add_image(image[:, number], name=name, axis_labels=names, **place)
    layer = bare_viewer.add_labels(labels, name="cells", axis_labels=names, **place)
    dock = open_measure()
    assert [each.name for each in dock.form.images.ticked] == ["DAPI"]  # nothing says they are one
    dock.form.images.native.item(1).setCheckState(Qt.CheckState.Checked)
    dock.form.distance.value = 8
    run(dock)
    expected = nu.measure(
        labels, image, axes="TCZYX", pixel_size=(2, 0.5, 0.5), neighbour_distance=8
    )
    pd.testing.assert_frame_equal(dock.result, expected)
    assert dock.result["neighbours"].tolist() == [1, 1, 0, 0]
    assert "0 is ‘DAPI’, 1 is ‘GFP’" in dock.bar.message.value

    # each row is its own time, though numbers come again
    dock.panel.colour.setCurrentText("area")
    dock.panel.table.view.selectRow(2)
    assert bare_viewer.dims.current_step[:2] == (1, 0)
    area = expected["area"]
    assert layer.features.set_index("index")["area"].to_dict() == {1: area[2], 2: area[3]}
    one = layer.get_color(1)
    bare_viewer.mouse_over_canvas = True
    bare_viewer.dims.set_point(1, 2.0)
    bare_viewer.cursor.position = (1, 2, 5, 5)  # on object 1, at both times
    assert "frame: 1" in bare_viewer.status["coordinates"]
    bare_viewer.dims.set_point(0, 0)
    assert "frame: 0" in bare_viewer.status["coordinates"]
    assert layer.features.set_index("index")["area"].to_dict() == {1: area[0], 2: area[1]}
    assert not np.allclose(layer.get_color(1), one)
    dock._clicked(layer, 2, (1, 3, 33, 40))
    assert dock.panel.table.chosen.tolist() == [3]
    bare_viewer.dims.set_point([0, 1], [1, 6.0])
    np.testing.assert_allclose(dock.outline.lines.min(0), (29.5 / 2, 29.5 / 2))
    bare_viewer.dims.set_point(1, 0)
    assert not len(dock.outline.lines)  # the object has no pixel in this plane
    bare_viewer.dims.ndisplay = 3
    assert len(dock.outline.lines) == 24  # a box

    # one layer that holds both channels gives the same
    bare_viewer.dims.ndisplay = 2
    for name in ("DAPI", "GFP"):
        bare_viewer.layers.remove(name)
    bare_viewer.add_image(
        image,
        name="both",
        axis_labels=("t", "c", "z", "y", "x"),
        scale=(1, 1, 2, 0.5, 0.5),
        units=("s", "pixel", "um", "um", "um"),
    )
    assert [each.name for each in dock.form.images.ticked] == ["both"]
    run(dock)
    pd.testing.assert_frame_equal(dock.result, expected)


def test_what_is_wrong_is_said(
    bare_viewer: Any,
    open_measure: Callable[[], Any],
    run: Callable[[Any], None],
    finish: Callable[[Any], None],
) -> None:
    squares = np.zeros((30, 40), np.int32)
    squares[2:8, 3:9], squares[12:20, 10:30] = 1, 2
    dock = open_measure()
    assert "There is no labels layer" in dock.bar.message.value
    floats = bare_viewer.add_image(squares.astype(float), name="probabilities")
    assert "‘probabilities’ looks like labels" in dock.bar.message.value
    assert not dock.bar.run.enabled
    bare_viewer.layers.remove(floats)

    layer = bare_viewer.add_labels(squares, name="cells")
    small = bare_viewer.add_image(np.ones((20, 40)), name="small")
    moved = bare_viewer.add_image(np.ones((30, 40)), name="moved", translate=(0, 0.5))
    assert dock.form.images.ticked == []  # neither lies on the pixels of the labels
    for number, image in enumerate((small, moved)):
        item = dock.form.images.native.item(number)
        item.setCheckState(Qt.CheckState.Checked)
        assert not dock.bar.run.enabled
        assert image.name in dock.rows["image"].fault
        item.setCheckState(Qt.CheckState.Unchecked)
    for text in ("no", "0", "0.5, 0.5, 2"):
        dock.form.pixel_size.value = text
        assert "no pixel size" in dock.rows["pixel_size"].fault
    dock.form.pixel_size.value = "0,5"
    assert dock.rows["pixel_size"].note == "Y 0.5 × X 0.5 µm"
    dock.form.pixel_size.value = "2, 0.5"
    layer.features = {"index": [0, 1, 2], "class": ["none", "a", "b"]}
    run(dock)
    assert dock.result["area"].tolist() == [36, 160]
    assert layer.features.set_index("index")["class"].to_dict() == {0: "none", 1: "a", 2: "b"}
    dock.form.pixel_size.value = ""
    kept = dock.panel.frame

    negative = bare_viewer.add_labels(squares - 1, name="negative")  # selected, so chosen
    assert dock.form.layer is negative
    run(dock)
    assert "-1" in dock.bar.message.value
    assert dock.panel.frame is kept
    bare_viewer.add_labels(np.zeros((9, 9), int), name="empty")
    run(dock)
    assert dock.bar.message.value == "There are no objects: the labels are 0 everywhere."
    assert len(dock.panel.frame) == 0

    stack = bare_viewer.add_labels(np.stack([squares] * 3), name="Z or T")
    assert "Z or T" in dock.bar.message.value
    assert not dock.bar.run.enabled
    dock.form.axes.choices.buttons["TYX"].click()
    assert stack.axis_labels == ("t", "y", "x")
    dock.bar.run.native.click()
    dock.cancel()
    finish(dock)
    assert "Cancelled" in dock.bar.message.value
    assert len(dock.panel.frame) == 0
    run(dock)
    assert dock.result["frame"].tolist() == [0, 0, 1, 1, 2, 2]


def test_a_table_is_made_again_from_its_record(
    bare_viewer: Any,
    plugins: None,
    tmp_path: Path,
    open_measure: Callable[[], Any],
    run: Callable[[Any], None],
    qtbot: Any,
) -> None:
    sample = load_sample("nuclei_2d")
    image, truth = sample.image[:90, :120], sample.truth[:90, :120].astype(np.uint16)
    write_image(tmp_path / "cells.tif", image, axes="YX", pixel_size=(0.5, 0.5))
    nu.write_labels(tmp_path / "truth.tif", truth, axes="YX", pixel_size=(0.5, 0.5))
    bare_viewer.open(tmp_path / "cells.tif", plugin=PLUGIN)
    bare_viewer.open(tmp_path / "truth.tif", plugin=PLUGIN, layer_type="labels")
    dock = open_measure()
    dock.form.groups["shape"].value = False
    dock.form.distance.value = 3
    run(dock)
    table = dock.result
    assert "eccentricity" not in table
    dock.panel.ask = lambda *_: (str(tmp_path / "table"), "Table with commas (*.csv)")
    dock.panel.save.click()
    qtbot.waitUntil(lambda: not dock.saver.running)
    assert (tmp_path / "table.csv.json").is_file()
    held = [weakref.ref(plain(layer)) for layer in bare_viewer.layers]
    command = dock.as_command()
    assert "--neighbour-distance 3.0" in command
    again = nu.run(tmp_path / "table.csv.json", output=tmp_path / "again.csv")
    pd.testing.assert_frame_equal(again, table)

    bare_viewer.add_image(np.zeros((3, 3)), name="other")  # the viewer holds what is selected
    for name in ("truth", "cells"):
        bare_viewer.layers.remove(name)
    gc.collect()
    assert [layer() for layer in held] == [None, None]
    assert dock.panel.save.isEnabled()  # the table stays
    dock.form.groups["shape"].value = True
    dock.form.distance.value = 0
    dock.open_record(tmp_path / "table.csv.json")
    assert dock.bar.message.value.startswith("As in table.csv.json")
    assert sorted(layer.name for layer in bare_viewer.layers) == ["cells", "other", "truth"]
    run(dock)
    pd.testing.assert_frame_equal(dock.result, table)


def test_without_pyqtgraph_there_is_the_table_alone(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyqtgraph", None)
    plot = ObjectPlot(lambda _: None)
    qtbot.addWidget(plot)
    plot.show_table({"area": np.array([1.0, 2.0])}, {})
    plot.choose(np.array([1]))
    assert not plot.can_plot
    assert "pip install pyqtgraph" in plot.note.text()
