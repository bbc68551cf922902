"""The dock "Train" as its user meets it: paint, train, watch, stop, use."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QGuiApplication
from scipy.ndimage import distance_transform_edt

from napari_unet import evaluate, segment
from napari_unet.network.files import bundled_names, list_models
from napari_unet.recovery.training import sessions_folder
from napari_unet.samples import load_sample

PLUGIN = "napari-unet-torch"
SIZE = 160


@pytest.fixture
def dock(viewer: Any, save_model: Callable[..., Any], qtbot: Any) -> Any:
    """The dock, with a small model of random weights to start from."""
    save_model(features=(8, 16, 32))
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Train")
    qtbot.waitUntil(lambda: dock.warm, timeout=60_000)
    return dock


@pytest.fixture
def set_up(dock: Any, qtbot: Any) -> Callable[..., None]:
    """``set_up(steps=20)``: the small model, and settings."""

    def set_up(**values: Any) -> None:
        dock.form.models.choose("random")
        for name, value in {"batch_size": 2, "learning_rate": 5e-3, **values}.items():
            dock.rows[name].editor.value = value
        qtbot.waitUntil(lambda: dock.form.checked, timeout=20_000)

    return set_up


@pytest.fixture
def painted(viewer: Any, dock: Any, press: Callable[[Any], None]) -> Any:
    """The sample, its left part painted and marked by a Shapes layer; labels of the rest."""
    sample = load_sample("nuclei_2d")
    truth = sample.truth[:SIZE, : 2 * SIZE]
    viewer.add_image(sample.image[:SIZE, : 2 * SIZE], name="nuclei")
    press(dock.form.painting.new)
    labels = viewer.layers["nuclei labels"]
    left = truth[:, :SIZE]
    paint_inside(labels, left)
    # the rest of them, as a fill: goes through the layer's history like a stroke
    place = np.nonzero((left > 0) & (labels.data[:, :SIZE] == 0))
    labels.data_setitem(place, truth[place])
    assert np.array_equal(labels.data[:, :SIZE], left)
    background_strokes(labels, left)
    corners = [[0, 0], [0, SIZE], [SIZE, SIZE], [SIZE, 0]]
    box = viewer.add_shapes([corners], shape_type="polygon", name="box", opacity=0.1)
    dock.form.table.lines[0].trusted_choice.value = box
    viewer.layers.selection.active = labels
    return labels


def paint_inside(labels: Any, truth: np.ndarray) -> None:
    """Strokes of a large brush inside the largest objects."""
    depth = np.stack([distance_transform_edt(truth == n) for n in range(1, truth.max() + 1)])
    middles = [np.unravel_index(each.argmax(), each.shape) for each in depth]
    strokes = 0
    for number, (middle, each) in enumerate(zip(middles, depth, strict=True), 1):
        radius = int(each.max())
        if radius < 5:
            continue
        labels.selected_label = number
        labels.brush_size = 2 * (radius - 3)
        for shift in (-1, 0, 1):
            labels.paint(np.add(middle, (0.0, shift)), number)
            strokes += 1
    assert strokes >= 9


def background_strokes(labels: Any, truth: np.ndarray) -> None:
    """Strokes of 0 beside the objects, over slips of the brush."""
    away = distance_transform_edt(truth == 0)
    for _ in range(4):
        middle = np.unravel_index(away.argmax(), away.shape)
        labels.brush_size = 7
        labels.paint(np.array(middle, float), 99)  # a slip
        labels.brush_size = 11
        labels.paint(np.array(middle, float), 0)
        away[np.hypot(*(np.indices(away.shape) - np.reshape(middle, (2, 1, 1)))) < 12] = 0
    assert np.array_equal(labels.data[:, : truth.shape[1]], truth)
    labels.brush_size = 10


@pytest.fixture
def steps_taken(dock: Any) -> Callable[[], int]:
    """How many steps the dock has heard of."""
    return lambda: dock.curves.curve.latest.step if dock.curves.curve.latest else 0


def ap_right(labels: np.ndarray) -> float:
    """AP at IoU 0.5 where nothing was painted."""
    truth = load_sample("nuclei_2d").truth[:SIZE, SIZE : 2 * SIZE]
    return float(evaluate(labels[:, SIZE:], truth, task="instance").ap[0.5])


def labelled_pixels(dock: Any, qtbot: Any) -> list[int]:
    """How many are learned from and how many are held out, as it is said in the dock."""
    said = "new labels were taken in"
    qtbot.waitUntil(lambda: said in dock.bar.message.value, timeout=60_000)
    assert "taken in: 1 example," in dock.bar.message.value  # though it is learned from in pieces
    (found,) = re.findall(r"(\d+) labelled pixels, and (\d+) that", dock.bar.message.value)
    return [int(each) for each in found]


def previews(viewer: Any) -> list[Any]:
    return [layer for layer in viewer.layers if "training preview" in layer.name]


def no_trace() -> bool:
    """Neither a new model nor a session on disk."""
    folder = sessions_folder()
    left = list(folder.iterdir()) if folder.is_dir() else []
    return not left and {card.name for card in list_models()} == {*bundled_names(), "random"}


def test_paint_train_watch_stop_keep_and_segment(
    viewer: Any,
    dock: Any,
    painted: Any,
    set_up: Callable[..., None],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    steps_taken: Callable[[], int],
    qtbot: Any,
) -> None:
    _, segment = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    segment.form.models.choose("random")
    press(segment.bar.run)
    finish(segment)
    before = ap_right(viewer.layers["nuclei labels [1]"].data)
    viewer.layers.remove("nuclei labels [1]")
    viewer.layers.selection.active = painted

    set_up(minutes=5)
    press(dock.bar.train)
    qtbot.waitUntil(lambda: bool(previews(viewer)), timeout=60_000)
    first = previews(viewer)[0].data.copy()
    assert painted.mode == "paint"  # the brush stays in the user's hand
    assert viewer.layers.selection.active == painted
    qtbot.waitUntil(lambda: not np.array_equal(previews(viewer)[0].data, first), timeout=60_000)
    qtbot.waitUntil(lambda: steps_taken() >= 30, timeout=120_000)
    press(dock.bar.stop)
    finish(dock)

    assert dock.verdict.native.isVisibleTo(dock.native)
    assert not dock.bar.train.enabled  # first decide
    dock.verdict.name = "mine"
    press(dock.verdict.keep)
    assert not previews(viewer)
    assert segment.form.models.source == "mine"
    viewer.layers.remove(painted)
    press(segment.bar.run)
    finish(segment)
    after = ap_right(viewer.layers["nuclei labels"].data)
    assert after > before + 0.2, (before, after)


def test_labels_are_added_in_mid_run_and_cancel_changes_nothing(
    viewer: Any,
    dock: Any,
    painted: Any,
    set_up: Callable[..., None],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    steps_taken: Callable[[], int],
    qtbot: Any,
) -> None:
    set_up(minutes=5)
    press(dock.bar.train)
    qtbot.waitUntil(lambda: steps_taken() >= 2, timeout=60_000)
    press(dock.bar.add)  # as they are: says how many they are
    before = labelled_pixels(dock, qtbot)
    at = steps_taken()
    truth = load_sample("nuclei_2d").truth[:SIZE, : SIZE + 60]
    rows, columns = np.nonzero(truth)
    painted.data_setitem((rows, columns), truth[rows, columns])
    wider = [[0, 0], [0, SIZE + 60], [SIZE, SIZE + 60], [SIZE, 0]]
    viewer.layers["box"].data = [np.array(wider, float)]
    press(dock.bar.add)
    after = labelled_pixels(dock, qtbot)
    assert sum(after) > 1.2 * sum(before), (before, after)
    assert after[0] > 1.2 * before[0]  # learned from, not all held out
    qtbot.waitUntil(lambda: steps_taken() > at + 3, timeout=60_000)  # it went on, not anew
    press(dock.bar.stop)
    finish(dock)
    known = dock.trained.model.card.training.labelled_pixels
    press(dock.verdict.discard)
    assert known == after[0]
    assert no_trace()

    layers = list(viewer.layers)
    set_up(minutes=5)
    dock.scripts.actions["python"].trigger()
    script = QGuiApplication.clipboard().text()
    assert "nu.train(" in script
    assert "minutes=5.0" in script
    press(dock.bar.train)
    qtbot.waitUntil(lambda: steps_taken() >= 1 and bool(previews(viewer)), timeout=60_000)
    press(dock.bar.cancel)
    finish(dock)
    assert dock.bar.message.value == "Cancelled: nothing was changed."
    assert list(viewer.layers) == layers
    assert no_trace()
    assert dock.bar.train.enabled


@pytest.fixture
def three_planes(viewer: Any, dock: Any, press: Callable[[Any], None]) -> Any:
    """The truth of a stack that is shown, of which three planes are painted and done."""
    sample = load_sample("nuclei_3d")
    stack, truth = sample.image[6:18], sample.truth[6:18]
    viewer.add_image(stack, name="stack", axis_labels=("z", "y", "x"))
    press(dock.form.painting.new)
    labels = viewer.layers["stack labels"]
    for plane in (2, 5, 8):
        viewer.dims.set_point(0, plane)
        rows, columns = np.nonzero(truth[plane])
        labels.data_setitem((np.full(rows.size, plane), rows, columns), truth[plane, rows, columns])
        dock.form.painting.done.value = True
    assert "2, 5, 8 of 12" in dock.form.painting.rows["done"].note
    return truth


@pytest.mark.slow
def test_three_planes_of_a_stack(
    viewer: Any,
    dock: Any,
    three_planes: Any,
    set_up: Callable[..., None],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    qtbot: Any,
) -> None:
    truth = three_planes
    set_up(steps=60)
    assert dock.form.table.lines[0].where == "planes"
    press(dock.bar.train)
    qtbot.waitUntil(lambda: bool(previews(viewer)), timeout=60_000)
    finish(dock)
    dock.verdict.name = "planes"
    press(dock.verdict.keep)
    _, segment = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    scores = {}
    for name in ("random", "planes"):
        segment.form.models.choose(name)
        press(segment.bar.run)
        finish(segment)
        found = next(layer for layer in viewer.layers if layer.name.startswith("stack labels ["))
        others = [z for z in range(12) if z not in (2, 5, 8)]
        pairs = [(found.data[z], truth[z]) for z in others]
        each = [evaluate(a, b, task="instance").ap[0.5] for a, b in pairs]
        scores[name] = float(np.mean(each))
        viewer.layers.remove(found)
    assert scores["planes"] > scores["random"] + 0.15, scores


@pytest.mark.slow
def test_three_planes_for_a_network_of_volumes(
    viewer: Any,
    dock: Any,
    three_planes: Any,
    save_model: Callable[..., Any],
    set_up: Callable[..., None],
    press: Callable[[Any], None],
    qtbot: Any,
) -> None:
    save_model(ndim=3, features=(8, 16))
    dock.form.models.reset_choices()
    set_up(steps=80, batch_size=2)
    press(dock.bar.train)
    qtbot.waitUntil(lambda: bool(previews(viewer)), timeout=60_000)
    qtbot.waitUntil(lambda: not dock.runner.running, timeout=300_000)
    assert dock.trained is not None, dock.bar.message.value
    model = dock.trained.model
    assert model.card.architecture.ndim == 3
    stack = viewer.layers["stack"].data
    others = [z for z in range(12) if z not in (2, 5, 8)]
    scores = []
    for each in ("random", model):
        found = segment(stack, each)[others] > 0
        there = three_planes[others] > 0
        scores.append(2 * (found & there).sum() / (found.sum() + there.sum()))
    assert scores[1] > scores[0] + 0.2, scores
    press(dock.verdict.discard)


def test_closing_the_viewer_in_mid_run_ends_the_worker_and_keeps_the_training(
    viewer: Any,
    dock: Any,
    painted: Any,
    set_up: Callable[..., None],
    press: Callable[[Any], None],
    steps_taken: Callable[[], int],
    qtbot: Any,
) -> None:
    set_up(minutes=5)
    press(dock.bar.train)
    qtbot.waitUntil(lambda: steps_taken() >= 1, timeout=60_000)
    viewer.close()
    (session,) = sessions_folder().iterdir()
    assert (session / "checkpoint.pt").is_file()
