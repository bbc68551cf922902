"""The dock "Train" where something is wrong, taken away, or done at the wrong moment."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_unet import segment
from napari_unet.errors import InputError
from napari_unet.network.files import bundled_names, list_models
from napari_unet.network.library import delete_model
from napari_unet.recovery.training import sessions_folder
from napari_unet.samples import load_sample
from napari_unet.widgets.qt.notice import Notice
from napari_unet.widgets.train.bar import READY, READY_ON_BASE
from napari_unet.widgets.train.job import _Views
from napari_unet.widgets.train.request import TrainingRequest

PLUGIN = "napari-unet-torch"
SIZE = 96


@pytest.fixture
def nuclei() -> tuple[np.ndarray, np.ndarray]:
    """A part of the sample, and its labels."""
    sample = load_sample("nuclei_2d")
    return sample.image[:SIZE, :SIZE], sample.truth[:SIZE, :SIZE]


@pytest.fixture
def painted(viewer: Any, nuclei: Any) -> Any:
    """A labelled image; everything is labelled."""
    viewer.add_image(nuclei[0], name="nuclei")
    return viewer.add_labels(nuclei[1].astype(np.int32), name="truth")


@pytest.fixture
def dock(painted: Any, open_train: Callable[..., Any], settle: Callable[..., None]) -> Any:
    """The dock with a labelled image; a training of it is quick."""
    dock = open_train()
    dock.form.models.choose("random")
    settle(dock, steps=8, batch_size=2)
    assert dock.bar.train.enabled
    return dock


@pytest.fixture
def begin(
    press: Callable[[Any], None], settle: Callable[..., None], qtbot: Any
) -> Callable[..., None]:
    """``begin(dock, steps=1)``: press Train for a long training, and wait for so many steps."""

    def begin(dock: Any, steps: int = 1) -> None:
        settle(dock, steps=None, minutes=5)
        press(dock.bar.train)
        qtbot.waitUntil(lambda: taken(dock) >= steps or not dock.runner.running, timeout=60_000)
        assert dock.runner.running, dock.bar.message.value

    return begin


def taken(dock: Any) -> int:
    """How many steps the dock has heard of."""
    return dock.curves.curve.latest.step if dock.curves.curve.latest else 0


def notices(dock: Any) -> list[Any]:
    """What is offered above the form."""
    return [x for x in dock.native.findChildren(Notice) if x.isVisibleTo(dock.native)]


def faults(dock: Any) -> str:
    """All that stands in the form as a fault."""
    lines = [x.text for line in dock.form.table.lines for x in line.findings.lines if x.fault]
    return " | ".join([*lines, dock.form.first_fault])


def can_be_set(dock: Any) -> set[bool]:
    """Whether fields are enabled that a training takes no notice of while it runs."""
    names = ("task", "base", "preset", "minutes", "steps", "device")
    return {dock.rows[name].editor.native.isEnabled() for name in names}


def no_trace() -> bool:
    """Neither a new model nor a session on disk."""
    folder = sessions_folder()
    left = list(folder.iterdir()) if folder.is_dir() else []
    return not left and {card.name for card in list_models()} == {*bundled_names(), "random"}


def test_wrong_input_of_each_kind(
    viewer: Any, dock: Any, nuclei: Any, settle: Callable[..., None]
) -> None:
    image, truth = nuclei
    line = dock.form.table.lines[0]

    def look(pixels: Any, labels: Any) -> tuple[bool, list[str]]:
        """Whether these can be trained on, and what is said of them."""
        layers = [viewer.add_image(pixels, name="other"), viewer.add_labels(labels, name="wrong")]
        line.image_choice.value, line.labels_choice.value = layers
        settle(dock)
        assert line.image is layers[0], line.image
        assert line.labels is layers[1], line.labels
        enabled, said = dock.bar.train.enabled, line.findings.texts
        # beside the button as well, but there without the advice
        assert enabled or any(text.startswith(dock.bar.message.value[:-1]) for text in said)
        assert enabled or dock.bar.message.tooltip in said
        for layer in layers:
            viewer.layers.remove(layer)
        return enabled, said

    enabled, said = look(image, np.zeros_like(truth))
    assert not enabled
    assert "labels are empty" in said[0]
    enabled, said = look(image, truth[:-8])  # read where they lie; what is beside is not known
    assert enabled
    assert any("rows 0 to 87 of the image only" in text for text in said), said
    _, said = look(np.full_like(image, 7), truth)
    assert "constant" in said[0]
    nan = np.full(image.shape, np.nan, np.float32)
    enabled, said = look(nan, truth)
    assert not enabled
    assert "NaN" in said[0]

    line.image_choice.value = viewer.layers["nuclei"]
    line.labels_choice.value = viewer.layers["truth"]
    for axes in ("ZX", "XYZ", "QY"):
        dock.rows["axes"].editor.value = axes
        settle(dock)
        assert not dock.bar.train.enabled
        assert f"'{axes}'" in dock.rows["axes"].fault
    dock.rows["axes"].editor.value = "YX"
    settle(dock)
    assert dock.bar.train.enabled


def test_a_prediction_is_no_truth_unasked(
    viewer: Any,
    dock: Any,
    nuclei: Any,
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    settle: Callable[..., None],
) -> None:
    viewer.layers.remove("truth")
    _, segment = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    segment.form.models.choose("nuclei")
    press(segment.bar.run)
    finish(segment)
    result = viewer.layers["nuclei labels"]
    line = dock.form.table.lines[0]
    line.labels_choice.value = result
    settle(dock)
    assert not dock.bar.train.enabled
    assert "nobody has corrected" in line.findings.texts[0]
    line.findings.press("Correct and train on this")
    settle(dock)
    corrected = viewer.layers["nuclei corrected"]
    (line,) = dock.form.table.lines  # it took the place of the prediction
    assert line.labels is corrected
    assert not dock.bar.train.enabled  # nothing is marked as done
    dock.form.painting.done.value = True
    settle(dock)
    assert dock.bar.train.enabled
    assert "learn its own answer" in line.findings.texts[0]  # told, and left to the user
    corrected.paint((3, 3), corrected.selected_label)
    settle(dock)
    assert line.findings.texts == []
    viewer.layers.remove(corrected)
    line.labels_choice.value = result
    settle(dock)
    assert not dock.bar.train.enabled
    line.findings.press("Take as truth")
    settle(dock)
    assert dock.bar.train.enabled


@pytest.mark.slow
def test_layers_that_change_in_mid_run(
    viewer: Any,
    dock: Any,
    painted: Any,
    nuclei: Any,
    begin: Callable[..., None],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    qtbot: Any,
) -> None:
    begin(dock, steps=2)
    viewer.layers["nuclei"].name = "renamed"
    painted.name = "also renamed"
    painted.data_setitem((np.array([1, 1]), np.array([1, 2])), 77)
    viewer.dims.ndisplay = 3
    at = taken(dock)
    qtbot.waitUntil(lambda: taken(dock) > at + 8, timeout=60_000)
    viewer.dims.ndisplay = 2
    press(dock.bar.add)  # what was painted since
    qtbot.waitUntil(lambda: "were taken in" in dock.bar.message.value, timeout=60_000)

    viewer.layers["renamed"].data = np.stack([nuclei[0]] * 4)  # another image under the old name
    at = taken(dock)
    qtbot.waitUntil(lambda: taken(dock) > at + 12 or not dock.runner.running, timeout=60_000)
    assert dock.runner.running, dock.bar.message.value
    press(dock.bar.add)
    qtbot.waitUntil(lambda: "ot taken in" in dock.bar.message.value, timeout=60_000)

    viewer.layers.remove("renamed")
    viewer.layers.remove(painted)
    assert not dock.bar.train.visible
    at = taken(dock)
    qtbot.waitUntil(lambda: taken(dock) > at + 8, timeout=60_000)
    assert not [layer for layer in viewer.layers if "preview" in layer.name]
    press(dock.bar.add)
    assert "ot taken in" in dock.bar.message.value
    press(dock.bar.stop)
    finish(dock)
    dock.verdict.name = "mine"
    press(dock.verdict.keep)
    assert "mine" in {card.name for card in list_models()}
    assert not dock.bar.train.enabled
    assert "Kept as ‘mine’" in dock.bar.message.value
    assert "There is no image" in faults(dock)


@pytest.mark.slow
def test_labels_are_copied_beside_the_window_and_may_come_too_late(
    dock: Any,
    begin: Callable[..., None],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    monkeypatch: pytest.MonkeyPatch,
    qtbot: Any,
) -> None:
    threads: list[threading.Thread] = []
    go_on = threading.Event()
    go_on.set()
    examples = TrainingRequest.examples

    def slowly(request: TrainingRequest, *, copy: bool) -> Any:
        if copy:
            threads.append(threading.current_thread())
            go_on.wait(0.5 if threads[-1] is threading.main_thread() else 20)
        return examples(request, copy=copy)

    monkeypatch.setattr(TrainingRequest, "examples", slowly)
    begin(dock, steps=2)
    press(dock.bar.add)
    qtbot.waitUntil(lambda: "were taken in" in dock.bar.message.value, timeout=20_000)
    go_on.clear()
    press(dock.bar.add)
    qtbot.waitUntil(lambda: len(threads) == 3, timeout=20_000)
    press(dock.bar.stop)
    go_on.set()
    finish(dock)
    assert dock.trained is not None
    assert "came too late; training again takes them in" in dock.bar.message.value
    assert "Keep the new model under a name" in dock.bar.message.value
    assert threading.main_thread() not in threads
    press(dock.verdict.discard)

    def fail(_: TrainingRequest, *, copy: bool) -> Any:
        raise InputError(f"They are gone, with ⟨background={int(copy)}⟩")

    monkeypatch.setattr(TrainingRequest, "examples", fail)
    press(dock.bar.train)
    finish(dock)
    assert dock.bar.message.value == "They are gone, with the background label 1."
    assert no_trace()
    monkeypatch.setattr(TrainingRequest, "examples", examples)
    begin(dock)
    monkeypatch.setattr(TrainingRequest, "examples", fail)
    press(dock.bar.add)
    told = "not taken in: They are gone, with the background label 1."
    qtbot.waitUntil(lambda: told in dock.bar.message.value, timeout=20_000)
    press(dock.bar.stop)
    finish(dock)
    assert dock.trained is not None
    assert "too late" not in dock.bar.message.value
    press(dock.verdict.discard)


@pytest.mark.slow
def test_only_what_was_accepted_is_kept_for_a_resumption(
    viewer: Any,
    dock: Any,
    painted: Any,
    begin: Callable[..., None],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    qtbot: Any,
) -> None:
    def kept() -> tuple[list[str], Any, list[str]]:
        """Files of additions, what is known of them, and names of the images."""
        (folder,) = sessions_folder().iterdir()
        values = json.loads((folder / "session.json").read_text())
        names = [line["image"] for line in values["values"]["examples"]]
        return sorted(x.name for x in folder.glob("added-*")), values.get("added"), names

    begin(dock, steps=2)
    sample = load_sample("nuclei_2d")
    there = np.s_[200 : 200 + SIZE, 200 : 200 + SIZE]
    viewer.add_image(sample.image[there], name="second")
    viewer.add_labels(sample.truth[there].astype(np.int32), name="its labels")
    line = dock.form.table.add()
    line.image_choice.value = viewer.layers["second"]
    line.labels_choice.value = viewer.layers["its labels"]
    press(dock.bar.add)
    qtbot.waitUntil(lambda: "taken in:" in dock.bar.message.value, timeout=20_000)
    assert "taken in: 2 examples" in dock.bar.message.value
    before = kept()
    assert before[0]
    assert before[2] == ["nuclei", "second"]
    viewer.layers["nuclei"].visible = False  # then previews are of the other
    qtbot.waitUntil(lambda: "second training preview" in viewer.layers, timeout=60_000)

    painted.data = np.zeros_like(painted.data)
    viewer.layers["its labels"].data = np.zeros_like(painted.data)
    press(dock.bar.add)
    qtbot.waitUntil(lambda: "were not taken in" in dock.bar.message.value, timeout=20_000)
    assert kept() == before
    press(dock.bar.cancel)
    finish(dock)


@pytest.mark.slow
def test_the_preview_beside_the_verdict_is_of_the_model_that_is_decided_on(
    viewer: Any, dock: Any, nuclei: Any, press: Callable[[Any], None], finish: Callable[[Any], None]
) -> None:
    press(dock.bar.train)
    finish(dock)
    (layer,) = [each for each in viewer.layers if "training preview" in each.name]
    assert "(early)" not in layer.name  # as all of the few steps were
    found = segment(nuclei[0], dock.trained.model)
    assert np.mean((np.asarray(layer.data) > 0) == (found > 0)) > 0.95
    press(dock.verdict.discard)


@pytest.mark.slow
def test_an_image_that_went_bad_is_not_taken_in(
    viewer: Any,
    dock: Any,
    nuclei: Any,
    begin: Callable[..., None],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    qtbot: Any,
) -> None:
    image = viewer.layers["nuclei"]
    image.data = nuclei[0].astype(np.float32)
    begin(dock)
    image.data[:] = np.nan
    viewer.layers["truth"].paint((50, 50), 1)
    press(dock.bar.add)
    qtbot.waitUntil(lambda: "were not taken in" in dock.bar.message.value, timeout=20_000)
    assert "NaN" in dock.bar.message.value
    assert dock.runner.running
    press(dock.bar.cancel)
    finish(dock)


def test_cancel_at_each_moment_leaves_nothing(
    viewer: Any,
    dock: Any,
    begin: Callable[..., None],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    monkeypatch: pytest.MonkeyPatch,
    qtbot: Any,
) -> None:
    layers = list(viewer.layers)

    def ended() -> None:
        finish(dock)
        assert dock.bar.message.value == "Cancelled: nothing was changed."
        assert no_trace()
        assert list(viewer.layers) == layers
        assert dock.bar.train.enabled
        assert dock.trained is None
        assert can_be_set(dock) == {True}

    for words in ("Starting", "Asking", "Reading"):  # the set-up
        press(dock.bar.train)
        qtbot.waitUntil(lambda words=words: words in dock.bar.message.value, timeout=20_000)
        assert not dock.bar.stop.enabled
        assert can_be_set(dock) == {False}
        press(dock.bar.cancel)
        ended()
    begin(dock, steps=3)
    press(dock.bar.stop)
    qtbot.waitUntil(lambda: "Scoring" in dock.bar.message.value, timeout=20_000)
    press(dock.bar.cancel)
    ended()
    pressed = threading.Event()
    compare = _Views.compare

    def slowly(views: Any, model: Any) -> Any:
        assert pressed.wait(20)
        return compare(views, model)

    monkeypatch.setattr(_Views, "compare", slowly)
    begin(dock, steps=3)
    press(dock.bar.stop)
    qtbot.waitUntil(lambda: "Comparing" in dock.bar.message.value, timeout=20_000)
    press(dock.bar.cancel)
    pressed.set()
    ended()


@pytest.mark.slow
def test_the_last_word_gives_way_when_the_form_changes(
    viewer: Any,
    dock: Any,
    painted: Any,
    settle: Callable[..., None],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
) -> None:
    def decide(button: Any, word: str) -> None:
        press(dock.bar.train)
        finish(dock)
        settle(dock, steps=9)
        assert "Trained" in dock.bar.message.value  # as long as nobody has decided
        dock.verdict.name = "mine"
        press(button)
        settle(dock)
        assert word in dock.bar.message.value  # nothing was changed since
        assert can_be_set(dock) == {True}

    decide(dock.verdict.discard, "discarded")
    settle(dock, steps=8)
    assert dock.bar.message.value == READY_ON_BASE
    decide(dock.verdict.keep, "Kept as ‘mine’")
    painted.data_setitem((np.array([1, 1]), np.array([1, 2])), 77)
    settle(dock)
    assert dock.bar.message.value == READY_ON_BASE
    dock.form.models.choose(None)
    settle(dock)
    assert dock.bar.message.value == READY


@pytest.mark.slow
def test_train_is_pressed_twice(
    dock: Any, finish: Callable[[Any], None], press: Callable[[Any], None]
) -> None:
    dock.bar.train.native.click()
    dock.bar.train.native.click()
    finish(dock)
    dock.bar.train.native.click()  # first decide
    assert not dock.runner.running
    assert dock.trained is not None
    assert len(list(sessions_folder().iterdir())) == 1
    press(dock.verdict.discard)
    assert no_trace()


def test_a_dock_that_is_closed_leaves_its_training_to_the_next(
    viewer: Any,
    dock: Any,
    open_train: Callable[..., Any],
    close_dock: Callable[[Any], None],
    begin: Callable[..., None],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    qtbot: Any,
) -> None:
    begin(dock, steps=8)
    close_dock(dock)
    assert not [layer for layer in viewer.layers if "preview" in layer.name]
    dock = open_train()
    qtbot.waitUntil(lambda: bool(notices(dock)), timeout=20_000)
    (notice,) = notices(dock)
    assert "‘nuclei’" in notice.text.value
    assert "interrupted" in notice.text.value
    press(notice.buttons["Resume"])
    qtbot.waitUntil(lambda: taken(dock) > 0, timeout=20_000)
    assert not notices(dock)
    press(dock.bar.stop)
    finish(dock)
    assert dock.trained is not None

    close_dock(dock)  # undecided
    dock = open_train()
    qtbot.waitUntil(lambda: bool(notices(dock)), timeout=20_000)
    (notice,) = notices(dock)
    assert "neither kept nor discarded" in notice.text.value
    press(notice.buttons["Decide"])
    assert not notices(dock)
    dock.verdict.name = "mine"
    press(dock.verdict.keep)
    assert "mine" in {card.name for card in list_models()}
    assert not list(sessions_folder().iterdir())


@pytest.mark.slow
def test_a_training_that_ends_while_nobody_listens_is_offered(
    viewer: Any,
    dock: Any,
    open_train: Callable[..., Any],
    close_dock: Callable[[Any], None],
    press: Callable[[Any], None],
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from napari_unet.widgets.train import job as _training_job

    comparing = threading.Event()
    go_on = threading.Event()

    def compare(*_: Any) -> None:
        comparing.set()
        go_on.wait(20)

    monkeypatch.setattr(_training_job._Views, "compare", compare)
    press(dock.bar.train)
    qtbot.waitUntil(comparing.is_set, timeout=30_000)
    close_dock(dock)
    go_on.set()
    dock = open_train()
    qtbot.waitUntil(lambda: bool(notices(dock)), timeout=20_000)
    (notice,) = notices(dock)
    assert "neither kept nor discarded" in notice.text.value
    press(notice.buttons["Discard"])
    assert no_trace()


def test_a_full_disk(
    viewer: Any,
    dock: Any,
    painted: Any,
    settle: Callable[..., None],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    begin: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    qtbot: Any,
) -> None:
    def full(_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:  # the folder of the state is full from the beginning
        patch.setattr("napari_unet.io.atomic._flush", full)
        press(dock.bar.train)
        finish(dock)
        assert "disk is full" in dock.bar.message.value
        assert dock.bar.train.enabled
    assert no_trace()

    begin(dock)
    with monkeypatch.context() as patch:  # it runs full later
        patch.setattr("napari_unet.io.atomic._flush", full)
        painted.data_setitem((np.array([1, 1]), np.array([1, 2])), 77)
        press(dock.bar.add)
        qtbot.waitUntil(lambda: "taken in:" in dock.bar.message.value, timeout=20_000)
        assert "would be lost in a crash" in dock.bar.message.value
        press(dock.bar.stop)
        finish(dock)
        assert dock.trained is not None
        press(dock.verdict.keep)
        assert "disk is full" in dock.bar.message.value
    press(dock.verdict.keep)
    assert "Kept" in dock.bar.message.value


def test_a_loss_that_is_not_finite(
    dock: Any,
    settle: Callable[..., None],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from napari_unet.training.loop import TrainingLoop

    take_step = TrainingLoop._take_step
    breaks_at = 0

    def diverge(loop: Any) -> float | None:
        if loop.state.step == breaks_at:
            for weights in loop.state.network.parameters():
                weights.data.fill_(np.nan)
        return take_step(loop)

    monkeypatch.setattr(TrainingLoop, "_take_step", diverge)
    press(dock.bar.train)
    finish(dock)
    assert "not finite at step 1, for the third time; lower the ‘Learning rate’" in (
        dock.bar.message.value
    )
    assert dock.trained is None
    assert dock.curves.isHidden()  # there is nothing in it
    assert no_trace()
    settle(dock)
    assert "not finite" in dock.bar.message.value  # still there
    assert dock.bar.train.enabled

    breaks_at = 22
    settle(dock, steps=60)
    press(dock.bar.train)
    finish(dock)
    assert dock.trained is not None  # what was best until then
    assert not dock.curves.isHidden()
    assert "not finite at step 23" in dock.bar.message.value
    assert dock.trained.model.card.training.steps == 22
    dock.verdict.name = "mine"
    press(dock.verdict.keep)


@pytest.mark.slow
def test_models_that_come_and_go(
    viewer: Any,
    dock: Any,
    save_model: Callable[..., Any],
    settle: Callable[..., None],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    begin: Callable[..., None],
    qtbot: Any,
) -> None:
    begin(dock)
    delete_model("random")  # that it started from
    press(dock.bar.stop)
    finish(dock)
    assert dock.trained is not None
    dock.verdict.name = "nuclei"
    assert not dock.verdict.keep.enabled
    assert "nuclei" in dock.verdict.fault
    dock.verdict.name = "mine"
    save_model("mine")  # somebody else was faster
    dock.verdict.keep.native.click()
    assert dock.trained is not None
    assert "mine" in dock.bar.message.value
    dock.verdict.name = "mine-2"
    press(dock.verdict.keep)
    assert dock.form.models.fault == "The model ‘random’ is gone; choose another."
    assert dock.form.models.fault in faults(dock)  # it never trains from scratch unasked
    assert not dock.bar.train.enabled

    dock.form.models.choose("mine-2")
    settle(dock)
    delete_model("mine-2")
    press(dock.bar.train)  # before anybody has noticed
    finish(dock)
    assert "There is no model 'mine-2'" in dock.bar.message.value
    assert not list(sessions_folder().iterdir())


@pytest.mark.slow
def test_two_viewers_train_at_once(
    viewer: Any,
    dock: Any,
    make_napari_viewer: Callable[..., Any],
    nuclei: Any,
    open_train: Callable[..., Any],
    begin: Callable[..., None],
    settle: Callable[..., None],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
) -> None:
    other_viewer = make_napari_viewer()
    other_viewer.add_image(nuclei[0][:, ::-1], name="other")
    other_viewer.add_labels(nuclei[1][:, ::-1].astype(np.int32), name="labels")
    begin(dock)
    other = open_train(other_viewer)
    assert not notices(other)  # what runs is no leftover
    other.form.models.choose("random")
    begin(other, steps=3)
    press(dock.bar.cancel)
    finish(dock)
    assert len(list(sessions_folder().iterdir())) == 1
    press(other.bar.stop)
    finish(other)
    assert other.trained is not None
    assert dock.trained is None
    other.verdict.name = "other"
    press(other.verdict.keep)
    assert not list(sessions_folder().iterdir())
    settle(dock)
    assert "other" in dock.form.models.sources
