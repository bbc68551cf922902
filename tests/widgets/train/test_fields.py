"""Parts of the form of a training: numbers, classes, presets, findings, the request as a script."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_unet.checks import Finding
from napari_unet.dataset.label_placement import LabelPlacement
from napari_unet.io import read_image
from napari_unet.replay.kept_arrays import settle
from napari_unet.replay.records import run_of
from napari_unet.settings import TrainConfig
from napari_unet.widgets.annotation.marks import Marks
from napari_unet.widgets.annotation.snapshot import Trusted
from napari_unet.widgets.qt.form import Form, SettingsForm
from napari_unet.widgets.qt.settings_form import SmallNumber
from napari_unet.widgets.qt.wording import worded
from napari_unet.widgets.train import findings as _findings
from napari_unet.widgets.train.class_table import ClassTable, appearance_of
from napari_unet.widgets.train.example_line import guessed
from napari_unet.widgets.train.finding_lines import FindingLines, Line
from napari_unet.widgets.train.findings import Checked, FindingsRunner
from napari_unet.widgets.train.labelled_layers import LabelledLayers
from napari_unet.widgets.train.recorded import draft_of
from napari_unet.widgets.train.request import TrainingRequest
from napari_unet.widgets.viewer.layer_image import LayerImage

pytestmark = pytest.mark.windowless


def request_of(labels: Any, way: str = "all", **more: Any) -> TrainingRequest:
    """A training on one image."""
    axes = "ZYX"[-labels.ndim :]
    image = LayerImage.of(Image(np.random.default_rng(0).random(labels.shape), name="cells"))
    config = TrainConfig(task=more.pop("task", "instance"), minutes=1)
    base = more.pop("base", None)
    background = more.pop("background", None)
    trusted = Trusted(labels, Marks("cells", axes, background=background), way, **more)
    place = LabelPlacement(axes, axes, labels.shape, labels.shape, (0,) * labels.ndim)
    layers = LabelledLayers(image, "labels", trusted, axes, place, task=config.task)
    return TrainingRequest((layers,), base, config)


@pytest.fixture
def put(qtbot: Any) -> Callable[..., None]:
    """``put(row, ...)``: into a form, which lives as long as the test."""
    forms = []

    def put(*rows: Any) -> None:
        forms.append(Form(rows))
        qtbot.addWidget(forms[-1])

    return put


# numbers


@pytest.mark.parametrize(
    ("value", "shown"), [(0.001, "0.001"), (0.0003, "0.0003"), (1.0, "1"), (1e-6, "0.000001")]
)
def test_small_numbers_are_shown_as_they_are(qtbot: Any, value: float, shown: str) -> None:
    number = SmallNumber(1.0, 0.5)
    qtbot.addWidget(number.native)
    number.value = value
    assert number.native.text() == shown
    assert number.value == value


def test_a_small_number_is_typed_and_told_once(qtbot: Any) -> None:
    number, told = SmallNumber(1.0, 0.001), []
    qtbot.addWidget(number.native)
    number.changed.connect(told.append)
    line = number.native.lineEdit()
    line.clear()
    qtbot.keyClicks(line, "2e-4")
    assert told == []
    number.native.clearFocus()
    number.native.interpretText()
    assert told == [0.0002]
    line.clear()
    qtbot.keyClicks(line, "x7")
    assert line.text() == "7"
    number.native.interpretText()
    assert number.value == 0.0002  # 7 is too large


def test_the_learning_rate_keeps_its_digits(put: Any) -> None:
    form = SettingsForm(TrainConfig, ["learning_rate", "ndim"], on_change=lambda: None)
    put(*form.rows.values())
    editor = form.rows["learning_rate"].editor
    assert editor.native.text() == "0.001"
    assert form.values() == {}
    form.set_values({"learning_rate": 0.0005, "ndim": 2})
    assert form.values() == {"learning_rate": 0.0005, "ndim": 2}
    assert TrainConfig.model_validate(form.values()).ndim == 2


# classes


def test_names_come_back_with_their_values(put: Any) -> None:
    told: list[None] = []
    table = ClassTable(lambda: told.append(None), lambda *_: "#123456")
    put(table.row)
    assert "two labels" in table.row.note
    assert table.show_values([0, 4], {4: {"colour": "#ff0000"}})
    assert not table.show_values([0, 4], {4: {"colour": "#ff0000"}})
    assert table.row.note == ""
    table.rename(4, "gland")
    table._lines[1].swatch.click()
    assert len(told) == 2
    table.show_values([0, 1])
    assert [c.name for c in table.classes] == ["background", "class 1"]
    table.show_values([0, 1, 4])
    assert [(c.name, c.colour) for c in table.classes][2] == ("gland", "#123456")
    table.rename(4, "  ")
    assert table.classes[2].name == "class 4"


def test_a_colour_that_nobody_chose_stays(put: Any) -> None:
    table = ClassTable(lambda: None, lambda *_: None)
    put(table.row)
    table.show_values([0, 1], {1: {"colour": "#00ff00"}})
    table._lines[1].swatch.click()
    assert table.classes[1].colour == "#00ff00"


def test_a_layer_tells_names_and_colours() -> None:
    names = {"index": [0, 2], "class": ["background", "gland"]}
    layer = Labels(np.array([[0, 2]]), features=names)
    look = appearance_of(layer, 2)
    assert look["name"] == "gland"
    assert look["colour"].startswith("#")
    assert "colour" not in appearance_of(layer, 0)
    assert appearance_of(Image(np.zeros((2, 2))), 1) == {}


# what is said


def test_lines_say_and_ask(qtbot: Any) -> None:
    lines, pressed = FindingLines(), []
    around = Form([])
    qtbot.addWidget(around)
    lines.native.setParent(around)
    assert lines.native.isHidden()
    lines.show(
        [Line("wrong", fault=True), Line("odd", False, (("Dismiss", lambda: pressed.append(1)),))]
    )
    assert lines.texts == ["wrong", "odd"]
    assert not lines.native.isHidden()
    lines.press("Dismiss")
    assert pressed == [1]
    lines.show([])
    assert lines.native.isHidden()


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Choose the task ⟨task:'semantic'⟩.", "Choose the task ‘Classes of pixels’."),
        ("⟨background=9⟩ says that.", "The background label 9 says that."),
        ("Region ⟨region:'painted'⟩ is odd.", "Region ‘painted pixels’ is odd."),
    ],
)
def test_findings_in_the_words_of_the_form(message: str, words: str) -> None:
    assert worded(Finding("doubt", "code", 0, "labels", message, "Do it.")) == f"{words} Do it."


# looking in the background


@pytest.fixture
def seen() -> list[Checked]:
    return []


@pytest.fixture
def runner(qtbot: Any, seen: list[Checked], monkeypatch: pytest.MonkeyPatch) -> Any:
    from qtpy.QtCore import QObject, QThreadPool

    monkeypatch.setattr(_findings, "CHECK_DELAY_MS", 0)
    parent = QObject()
    runner = FindingsRunner(parent, seen.append)
    yield runner
    runner.drop()
    pool = QThreadPool.globalInstance()
    assert pool.waitForDone(10_000)


def test_only_the_last_request_is_told_of(runner: Any, seen: list[Checked], qtbot: Any) -> None:
    labels = np.arange(64 * 64).reshape(64, 64) // 128
    first, second, third = (request_of(labels) for _ in range(3))
    runner.check(first)
    runner.check(second)
    runner._start()  # as if the pause was over
    runner.check(third)  # while the second is looked at
    qtbot.waitUntil(lambda: not runner.running, timeout=10_000)
    assert [each.request for each in seen] == [third]


def test_nothing_is_told_of_what_was_taken_back(
    runner: Any, seen: list[Checked], qtbot: Any
) -> None:
    runner.check(request_of(np.ones((32, 32), int)))
    runner._start()
    runner.check(None)
    qtbot.waitUntil(lambda: not runner.running, timeout=10_000)
    qtbot.wait(50)
    assert seen == []


def test_a_long_look_ends_when_it_is_taken_back(
    runner: Any, seen: list[Checked], qtbot: Any
) -> None:
    reads: list[Any] = []

    class Slow:
        shape, dtype, ndim = (4000, 2000, 2000), np.dtype(np.int32), 3

        def __getitem__(self, index: Any) -> Any:
            reads.append(index)
            time.sleep(0.01)
            return np.zeros([len(range(*part.indices(9999))) for part in index], np.int32)

    slow = request_of(np.zeros((2, 2, 2), int))
    (layers,) = slow.layers
    trusted = replace(layers.trusted, labels=Slow(), way="painted")
    image = replace(layers.image, arrays=(Slow(),))
    runner.check(replace(slow, layers=(replace(layers, trusted=trusted, image=image),)))
    runner._start()
    qtbot.waitUntil(lambda: len(reads) > 2, timeout=10_000)
    runner.check(None)
    qtbot.waitUntil(lambda: not runner.running, timeout=20_000)
    assert seen == []


def test_what_is_held_waits(runner: Any, seen: list[Checked], qtbot: Any) -> None:
    runner.hold(held=True)
    runner.check(request_of(np.ones((32, 32), int)))
    qtbot.wait(100)
    assert seen == []
    runner.hold(held=False)
    qtbot.waitUntil(lambda: len(seen) == 1, timeout=10_000)


@pytest.mark.parametrize(
    ("way", "values"), [("all", {0, 3, 300}), ("painted", {3, 300}), ("planes", {0, 3})]
)
def test_values_that_are_known(
    runner: Any, seen: list[Checked], qtbot: Any, way: str, values: set[int]
) -> None:
    labels = np.zeros((3, 16, 16), np.int32)
    labels[0, :4], labels[1, :4] = 3, 300
    planes = ((0, 0),) if way == "planes" else ()
    runner.check(request_of(labels, way, planes=planes, task="semantic"))
    qtbot.waitUntil(lambda: len(seen) == 1, timeout=10_000)
    assert seen[0].values == (values,)


# where labels hold


def test_where_unmarked_labels_seem_to_hold() -> None:
    dense = np.zeros((40, 64, 64), np.int32)
    dense[3:38, 10:40, 10:40] = 1
    sparse, some = np.zeros_like(dense), dense.copy()
    sparse[20, 10:14, 10:14] = 1
    some[7:] = 0
    assert guessed(dense) == guessed(dense[5]) == "all"
    assert guessed(sparse) == guessed(sparse[20]) == guessed(some) == "painted"
    assert guessed(np.zeros((0, 4), int)) == "all"
    movie = np.stack([dense[:16], dense[:16] * 0])
    assert guessed(movie) == "painted"
    assert guessed(movie[:1]) == "all"


def test_of_large_labels_little_is_looked_at() -> None:
    reads: list[Any] = []

    class Stored:
        dtype = np.dtype(np.int32)

        def __init__(self, *shape: int, broken: bool = False) -> None:
            self.shape, self.ndim, self.broken = shape, len(shape), broken

        def __getitem__(self, index: Any) -> Any:
            if self.broken:
                raise RuntimeError("codec failed")
            found = np.zeros(self.shape[len(index) - 1 :], np.int32)
            reads.append(found.size)
            return found

    assert guessed(Stored(1000, 512, 512)) == "painted"
    assert 0 < sum(reads) <= 4 << 20
    reads.clear()
    assert guessed(Stored(1000, 30_000, 30_000)) == "all"
    assert guessed(Stored(9, 9, 9, broken=True)) == "all"
    assert reads == []
    start = time.process_time()
    assert guessed(np.zeros((500, 4000, 4000), np.uint8)) == "painted"  # never written to
    assert time.process_time() - start < 2


# a script


@pytest.mark.parametrize("way", ["all", "planes", "painted"])
def test_the_script_makes_the_same_examples(
    way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    labels = np.zeros((4, 16, 16), np.int32)
    labels[1, 2:6, 2:6], labels[2, 9:12, 2:6] = 1, 2
    planes = ((0, 1), (0, 3)) if way == "planes" else ()
    background = 2 if way == "painted" else None
    request = request_of(labels, way, planes=planes, background=background, base="nuclei")
    called: dict[str, Any] = {}

    class Trained:
        def save(self, path: str) -> None:
            called["path"] = path

    def train(examples: Any, **arguments: Any) -> Trained:
        called.update(arguments, examples=examples)
        return Trained()

    monkeypatch.setattr("napari_unet.train", train, raising=False)
    run = run_of(settle(draft_of(request))[0])
    exec(compile(run.as_python(), "script", "exec"), {})
    (made,), (wanted,) = called["examples"], request.examples(copy=True)
    assert np.array_equal(made.labels, wanted.labels)
    assert (made.background, made.axes) == (wanted.background, wanted.axes)
    if way == "planes":
        assert made.region[0] == wanted.region[0] == "planes"
        assert np.array_equal(made.region[1], wanted.region[1])
    else:
        assert made.region == wanted.region
    assert called["base"] == "nuclei"
    given = {name: called[name] for name in TrainConfig.model_fields if name in called}
    assert TrainConfig.model_validate(given) == request.config
    assert called["path"] == "my-model.safetensors"


def test_a_script_reads_the_files_that_layers_know(tmp_path: Path) -> None:
    from napari_unet.io import write_image, write_labels

    request = request_of(np.ones((8, 8), np.uint8))
    (each,) = request.layers
    image = write_image(tmp_path / "a.tif", each.image.array.astype(np.float32), axes="YX")
    labels = write_labels(tmp_path / "b.tif", np.ones((8, 8), np.uint8), axes="YX")
    place = ({"path": str(image)},)
    known = replace(each.image, arrays=(read_image(image).array,), origins=place)
    layers = (replace(each, image=known, labels_file=str(labels)),)
    content, written = settle(draft_of(replace(request, layers=layers)))
    assert written == []
    text = run_of(content).as_python()
    assert repr(str(image)) in text
    assert repr(str(labels)) in text
    # labels that were painted on since are not those of the file
    painted = replace(each.trusted, labels=np.eye(8, dtype=np.uint8))
    content, written = settle(
        draft_of(replace(request, layers=(replace(layers[0], trusted=painted),)))
    )
    assert [path.suffix for path in written] == [".npy"]


def test_a_request_in_plain_values() -> None:
    import json

    values = request_of(np.ones((8, 8), int), base=Path("m.safetensors")).values()
    assert json.loads(json.dumps(values)) == values
    assert values["examples"][0]["image"] == "cells"
    assert values["config"] == {"minutes": 1.0} or values["config"]["minutes"] == 1.0
