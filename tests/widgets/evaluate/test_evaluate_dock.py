"""The dock Evaluate: a walk in a real window, and what may be wrong, without one."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QWidget

import napari_unet as nu
from napari_unet.cli import main
from napari_unet.evaluation import find_errors
from napari_unet.image.given import FILE_KEY
from napari_unet.progress import Progress
from napari_unet.samples import load_sample
from napari_unet.widgets.evaluate.form import FILES
from napari_unet.widgets.evaluate.request import LayersRequest
from napari_unet.widgets.viewer.docks import frame_of

PLUGIN = "napari-unet-torch"


def test_a_walk(
    window: Any,
    tmp_path: Path,
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    qtbot: Any,
) -> None:
    """Segment, evaluate, the worst error by a click, back by a click, the scores in a file."""
    viewer = window
    sample = load_sample("nuclei_2d")
    image, true = sample.image[:200, :240], sample.truth[:200, :240].astype(np.int32)
    place = {"scale": (0.5, 0.5), "units": ("um", "um")}
    viewer.add_image(image, name="nuclei", **place)
    _, segment = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    press(segment.bar.run)
    finish(segment)
    labels = viewer.layers["nuclei labels"]
    labels.data = np.where(np.isin(labels.data, (2, 5)), 0, labels.data)  # two are missed
    truth = viewer.add_labels(true, name="truth", **place)
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Evaluate")
    dock.form.prediction.value = labels
    assert dock.form.true_layer is truth  # it lies on the same pixels, and no run made it
    press(dock.bar.run)
    finish(dock)
    expected = nu.evaluate(labels.data, true, axes="YX")
    assert dock.result.evaluation.scores[0].as_dict() == expected.as_dict()
    assert f"AP {expected.ap[0.5]:.3f}" in dock.bar.message.value
    assert dock.panel.isVisible()
    names = dock.panel.scores.model.columns["score"].tolist()
    values = dock.panel.scores.model.columns["nuclei labels"]
    assert values[names.index("AP @ 0.5")] == expected.ap[0.5]
    assert dock.panel.curve.curves == {"nuclei labels": expected.ap}

    errors = find_errors(labels.data, true, axes="YX").errors
    assert len(errors) > 1
    atlas = viewer.layers["nuclei labels errors"]
    assert atlas.scale.tolist() == [0.5, 0.5]
    assert dock.panel.errors.model.columns["kind"].tolist() == [e.kind for e in errors]
    model, view = dock.panel.errors.model, dock.panel.errors.view
    qtbot.mouseClick(
        view.viewport(), Qt.MouseButton.LeftButton, pos=view.visualRect(model.index(0, 0)).center()
    )
    middle = [p / 2 for p in errors[0].position]
    np.testing.assert_allclose(viewer.scene.camera.center[1:], middle)
    last = errors[-1]
    viewer.scene.camera.center = (0, *(p / 2 for p in last.position))
    qtbot.wait(50)
    native = viewer.window._qt_viewer.canvas.native
    qtbot.mouseClick(native, Qt.MouseButton.LeftButton, pos=native.rect().center())
    number = atlas.data[last.position]
    qtbot.waitUntil(lambda: dock.panel.errors.chosen.tolist() == [number - 1])

    dock.panel.copy.click()
    assert "AP @ 0.5\t" in QGuiApplication.clipboard().text()
    for name in ("s.csv", "s.json"):
        dock.panel.ask = lambda _, name=name: str(tmp_path / name)
        dock.panel.save.click()
        qtbot.waitUntil(lambda: not dock.saver.running)
        assert f"Saved to {name}" in dock.bar.message.value
    with (tmp_path / "s.csv").open() as file:
        row = next(csv.DictReader(file))
    assert float(row["ap@0.5"]) == pytest.approx(expected.ap[0.5])
    kept = json.loads((tmp_path / "s.json").read_text())
    assert kept["candidates"][0]["scores"]["ap"]["0.5"] == pytest.approx(expected.ap[0.5])

    # once more the same layer of errors; without a truth by confidence
    press(dock.bar.run)
    finish(dock)
    assert [x.name for x in viewer.layers if "errors" in x.name] == ["nuclei labels errors"]
    dock.run(labels)
    dock.wait()
    found = dock.panel.errors.model.columns
    assert (np.diff(found["confidence"]) >= 0).all()
    assert sorted(found["label"]) == np.unique(labels.data)[1:].tolist()
    view.selectRow(0)
    assert labels.selected_label == found["label"][0]
    frame_of(dock).destroyOnClose()
    assert "Scores and errors" not in viewer.window.dock_widgets


@pytest.fixture
def open_evaluate(bare_viewer: Any, qtbot: Any, listen: Any) -> Iterator[Callable[[], Any]]:
    """``open_evaluate()``: the dock on the viewer without a window."""
    from qtpy.QtCore import QThreadPool

    from napari_unet.widgets.evaluate import EvaluateWidget

    around, docks = QWidget(), []
    qtbot.addWidget(around)

    def open_evaluate() -> Any:
        dock = EvaluateWidget(bare_viewer)
        dock.native.setParent(around)
        dock.panel.setParent(around)
        listen(bare_viewer, dock)
        docks.append(dock)
        return dock

    yield open_evaluate
    for dock in docks:
        dock.native.setParent(None)  # this is how the viewer closes one
        dock.native.deleteLater()
    assert QThreadPool.globalInstance().waitForDone(60_000), "a thread was left behind"


def squares() -> Any:
    labels = np.zeros((40, 60), np.int32)
    labels[4:14, 4:14], labels[20:32, 10:40] = 1, 2
    return labels


@pytest.mark.windowless
def test_two_predictions_on_a_truth_that_is_a_crop(
    bare_viewer: Any, open_evaluate: Callable[[], Any]
) -> None:
    true = squares()
    first, second = true.copy(), true.copy()
    first[20:32, 25:40], second[4:14, 4:14] = 0, 0
    one = bare_viewer.add_labels(first, name="one")
    two = bare_viewer.add_labels(second, name="two")
    crop = bare_viewer.add_labels(true[2:, 2:50], name="truth", translate=(2, 2))
    dock = open_evaluate()
    dock.run(one, crop, two)
    found = dock.wait().evaluation
    assert found.candidates == ("one", "two")
    assert [s.ap[0.5] for s in found.scores] == [
        nu.evaluate(each[2:, 2:50], true[2:, 2:50]).ap[0.5] for each in (first, second)
    ]
    assert "two - one" in dock.panel.scores.model.names
    assert list(dock.panel.curve.curves) == ["one", "two"]
    # a time series: each error in its own frame
    series = np.stack([true, true])
    missing = series.copy()
    missing[1, 4:14, 4:14] = 0
    names = ("t", "y", "x")
    late = bare_viewer.add_labels(missing, name="late", axis_labels=names)
    whole = bare_viewer.add_labels(series, name="series", axis_labels=names)
    dock.run(late, whole)
    (error,) = dock.wait().atlas.errors
    assert (error.kind, error.frame) == ("missed", 1)
    dock.panel.errors.view.selectRow(0)
    assert bare_viewer.dims.current_step[0] == 1


@pytest.mark.windowless
def test_images_are_compared_by_their_values(
    bare_viewer: Any, open_evaluate: Callable[[], Any]
) -> None:
    rng = np.random.default_rng(0)
    clean = rng.random((40, 60))
    noisy = clean + rng.normal(0, 0.1, clean.shape)
    one = bare_viewer.add_image(noisy, name="noisy")
    two = bare_viewer.add_image(clean, name="clean")
    dock = open_evaluate()
    dock.run(one, two)
    found = dock.wait()
    expected = nu.evaluate(noisy, clean, task="regression")
    assert found.evaluation.scores[0].as_dict() == expected.as_dict()
    assert found.atlas is None
    assert "PSNR" in dock.bar.message.value


@pytest.mark.windowless
def test_what_is_wrong_is_said(
    bare_viewer: Any,
    open_evaluate: Callable[[], Any],
    finish: Callable[[Any], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dock = open_evaluate()
    assert "There is no layer to judge" in dock.bar.message.value
    assert not dock.bar.run.enabled
    labels = bare_viewer.add_labels(squares(), name="cells")
    assert "no scores of this layer, and no truth" in dock.bar.message.value
    large = bare_viewer.add_labels(np.pad(squares(), 9), name="large")
    floats = bare_viewer.add_image(squares() / 2, name="halves")
    moved = bare_viewer.add_labels(squares(), name="moved", translate=(0, 0.5))
    for truth, said in ((large, "reaches beyond"), (moved, "‘moved’")):
        dock.form.choose(labels, truth)
        assert said in dock.rows["truth"].fault
        assert not dock.bar.run.enabled
    dock.form.choose(labels, labels)
    assert "the prediction itself" in dock.rows["truth"].fault
    dock.form.choose(labels, floats)
    dock.form.task.value = "objects"
    assert "values with decimals" in dock.rows["truth"].fault
    dock.form.task.value = "as the layers are"
    good = bare_viewer.add_labels(squares(), name="good")
    dock.form.choose(labels, good)
    dock.form.ignore.value = "x"
    assert "is no label" in dock.rows["ignore"].fault
    dock.form.ignore.value = ""
    negative = bare_viewer.add_labels(squares() - 1, name="negative")
    dock.form.choose(negative, good)
    dock.bar.run.native.click()
    finish(dock)
    assert "-1" in dock.bar.message.value
    assert dock.result is None
    empty = bare_viewer.add_labels(squares() * 0, name="empty")
    dock.run(empty, good)
    assert dock.wait().evaluation.scores[0].fn[0.5] == 2

    def endless(_: LayersRequest) -> Iterator[Progress]:
        while True:
            yield Progress(0, 1, "evaluating")

    monkeypatch.setattr(LayersRequest, "job", endless)
    dock.form.choose(labels, good)
    dock.bar.run.native.click()
    dock.cancel()
    finish(dock)
    assert "Cancelled" in dock.bar.message.value


@pytest.mark.windowless
def test_folders_are_compared(
    bare_viewer: Any, open_evaluate: Callable[[], Any], tmp_path: Path, finish: Any
) -> None:
    for name in ("found", "true"):
        (tmp_path / name).mkdir()
    rng = np.random.default_rng(0)
    for number in range(6):
        true = np.roll(squares(), number, 1)
        predicted = (true * (rng.random() < 0.6)).astype(np.int32)
        nu.write_labels(tmp_path / "true" / f"{number}.tif", true, axes="YX")
        nu.write_labels(tmp_path / "found" / f"{number}_labels.tif", predicted, axes="YX")
    dock = open_evaluate()
    dock.form.source.value = FILES
    assert "where the predictions are" in dock.bar.message.value
    dock.form.files["predictions"].value = tmp_path / "found"
    dock.form.files["true_files"].value = tmp_path / "gone"
    assert "There is no" in dock.rows["true_files"].fault
    dock.form.files["true_files"].value = tmp_path / "true"
    dock.bar.run.native.click()
    finish(dock)
    found = dock.result.evaluation
    assert len(found.images) == 6
    assert "evaluate_files(" in dock.as_python()
    words = shlex.split(dock.as_command())
    assert words[:4] == ["napari-unet", "evaluate", str(tmp_path / "found"), str(tmp_path / "true")]
    # the command as it stands, and its record in another dock
    assert main([*words[1:-1], str(tmp_path / "scores.csv")]) == 0
    with (tmp_path / "scores.csv").open() as file:
        assert float(next(csv.DictReader(file))["ap@0.5"]) == found.scores[0].ap[0.5]
    other = open_evaluate()
    other.open_record(tmp_path / "scores.csv.json")
    other.run()
    assert other.wait().evaluation.scores[0].as_dict() == found.scores[0].as_dict()
    columns = dock.panel.scores.model.columns
    at = columns["score"].tolist().index("AP @ 0.5")
    low, middle, high = (columns[f"found{each}"][at] for each in (" from", "", " to"))
    assert low <= middle <= high
    assert middle == found.scores[0].ap[0.5]


@pytest.mark.windowless
def test_a_script_compares_what_the_dock_compared(
    bare_viewer: Any, open_evaluate: Callable[[], Any], tmp_path: Path, listen: Any
) -> None:
    """Axes, edits and the part that has a truth: none is in the files by itself."""
    true = np.stack([squares(), squares()])
    predicted = np.stack([squares(), np.array([0, 2, 1])[squares()]])  # right at each time point
    layers = []
    for name, data in (("found", predicted), ("true", true)):
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, data.astype(np.uint16))  # whose axes nothing tells
        layers.append(
            bare_viewer.add_labels(
                data.astype(np.uint16),
                name=name,
                axis_labels=("t", "y", "x"),
                metadata={FILE_KEY: str(path)},
            )
        )
    found, truth = layers
    dock = open_evaluate()

    def run_both() -> tuple[float, float]:
        dock.run(found, truth)
        shown = dock.wait().evaluation.scores[0].ap[0.5]
        words = shlex.split(dock.as_command())
        assert main([*words[1:-1], str(tmp_path / "scores.json")]) == 0
        kept = json.loads((tmp_path / "scores.json").read_text())
        return shown, kept["candidates"][0]["scores"]["ap"]["0.5"]

    assert run_both() == (1.0, 1.0)
    assert str(tmp_path / "found.tif") in dock.as_command()
    edited = found.data.copy()
    edited[1] = 0
    found.data = edited
    assert run_both() == (0.5, 0.5)
    truth.data, truth.translate = truth.data[1:], (1, 0, 0)
    assert run_both() == (0.0, 0.0)


@pytest.mark.windowless
def test_numbers_of_labels_are_not_compared_as_values(
    bare_viewer: Any, open_evaluate: Callable[[], Any], finish: Callable[[Any], None]
) -> None:
    """Neither labels that were opened as an image, nor a mask, nor one of several channels."""
    dock = open_evaluate()
    true = bare_viewer.add_labels(squares(), name="true")
    swapped = np.array([0, 2, 1])[squares()]
    image = bare_viewer.add_image(swapped.astype(np.uint16), name="opened as an image")
    dock.run(image, true)
    assert dock.wait().evaluation.scores[0].ap[0.5] == 1.0
    floats = bare_viewer.add_image(squares() / 2, name="halves")
    dock.form.choose(floats, true)
    assert "values with decimals" in dock.rows["prediction"].fault

    many = np.zeros((40, 60), np.int32)
    for number in range(6):
        many[4:10, 2 + 9 * number : 8 + 9 * number] = number + 1
    objects = bare_viewer.add_labels(many, name="objects")
    mask = bare_viewer.add_labels((many > 0).astype(np.int32), name="mask")
    dock.form.choose(mask, objects)
    dock.bar.run.native.click()
    finish(dock)
    assert "looks like a mask" in dock.bar.message.value
    assert "‘pieces of a mask’" in dock.bar.message.value
    dock.form.task.value = "pieces of a mask"
    dock.bar.run.native.click()
    finish(dock)
    assert dock.result.evaluation.scores[0].ap[0.5] == 1.0
    dock.form.task.value = "as the layers are"

    channels = np.random.default_rng(0).random((3, 40, 60))
    several = bare_viewer.add_image(channels, name="several", axis_labels=("c", "y", "x"))
    one = bare_viewer.add_image(channels[0].copy(), name="one")
    dock.form.choose(several, one)
    assert "3 channels" in dock.rows["truth"].fault
    same = bare_viewer.add_image(channels[0].copy(), name="same")
    dock.run(one, same)
    dock.wait()
    assert "MAE 0" in dock.bar.message.value


@pytest.mark.windowless
def test_a_stack_is_no_time_series_until_somebody_says_so(
    bare_viewer: Any, open_evaluate: Callable[[], Any]
) -> None:
    true = np.stack([squares(), squares()])
    predicted = np.stack([squares(), np.array([0, 2, 1])[squares()]])
    found = bare_viewer.add_labels(predicted, name="found")
    truth = bare_viewer.add_labels(true, name="truth")
    dock = open_evaluate()
    dock.form.choose(found, truth)
    assert "Z or T" in dock.rows["axes"].fault
    assert not dock.bar.run.enabled
    dock.form.axes.choices.buttons["TYX"].click()
    dock.run()
    assert dock.wait().evaluation.scores[0].ap[0.5] == 1.0
    # where the truth says it, nobody is asked
    unnamed = bare_viewer.add_labels(predicted, name="unnamed")
    truth.axis_labels = ("t", "y", "x")
    dock.run(unnamed, truth)
    assert dock.wait().evaluation.scores[0].ap[0.5] == 1.0
