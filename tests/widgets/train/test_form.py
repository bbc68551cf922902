"""The form of the dock "Train": from layers and fields to a request, and what is wrong with it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from napari.utils._proxies import PublicOnlyProxy

from napari_unet.samples import load_sample
from napari_unet.widgets.annotation.marks import Marks, marks_of, set_marks
from napari_unet.widgets.annotation.painting import new_labels
from napari_unet.widgets.train.form import TrainForm
from napari_unet.widgets.viewer.layer_image import RECORD_KEY

pytestmark = pytest.mark.windowless

RECORD = {"operation": "segment", "axes": "YX", "model": {"name": "nuclei", "sha256": "0"}}


class Opened:
    """A form on a viewer, as the dock holds it."""

    def __init__(self, form: TrainForm, wait: Callable[..., None], seen: list[bool]) -> None:
        self.form = form
        self.seen = seen  # at each change: whether the findings were of the present request
        self._wait = wait

    def settle(self) -> TrainForm:
        """The form when everything has been looked at."""
        form = self.form
        form.changed()
        self._wait(lambda: form.checked or form.request is None)
        form.show_messages()
        return form


@pytest.fixture
def opened(
    _loaded: None, bare_viewer: Any, listen: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Opened]:
    from qtpy.QtCore import QThreadPool

    monkeypatch.setattr("napari_unet.widgets.train.findings.CHECK_DELAY_MS", 0)
    seen: list[bool] = []
    form = TrainForm(bare_viewer, lambda: seen.append(form.checked))
    qtbot.addWidget(form.native)
    listen(bare_viewer, form)
    form.start({})
    yield Opened(form, qtbot.waitUntil, seen)
    form.close()
    assert QThreadPool.globalInstance().waitForDone(60_000), "a thread was left behind"


@pytest.fixture
def image(bare_viewer: Any) -> Any:
    return bare_viewer.add_image(load_sample("nuclei_2d").image[:128, :160], name="cells")


@pytest.fixture
def truth() -> Any:
    return load_sample("nuclei_2d").truth[:128, :160].astype(np.int32)


def said(form: TrainForm, line: int = 0) -> str:
    """All that stands under a line of the table."""
    return " ".join(form.table.lines[line].findings.texts)


# what a training does not take in cannot be changed while it runs


def test_while_a_training_runs_only_examples_can_be_changed(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    bare_viewer.add_labels(truth, name="truth")
    form = opened.settle()
    line = form.table.lines[0]
    held = [form.rows[name].editor for name in ("task", "base", "preset", "minutes", "batch_size")]
    free = [line.image_choice, line.trusted_choice, form.table.more, form.painting.new]
    form.hold(held=True)
    assert not any(each.native.isEnabled() for each in held)
    assert all(each.native.isEnabled() for each in free)
    assert "while it trains" in form.rows["task"].note
    assert all("while it trains" in each.tooltip for each in held)
    bare_viewer.add_labels(truth, name="more", metadata={RECORD_KEY: RECORD})
    before = form.models.source
    form.models.choose(None)
    form.take(image, bare_viewer.layers["more"])
    assert form.models.source is None  # that of the training that runs
    form.hold(held=False)
    assert all(each.native.isEnabled() for each in held)
    assert form.rows["task"].note == ""
    assert not any("while it trains" in each.tooltip for each in held)
    form.take(image, bare_viewer.layers["more"])
    assert form.models.source == before


def test_long_names_get_more_room_and_stand_in_the_tooltip(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    bare_viewer.add_labels(truth, name="cells that were painted")
    form = opened.settle()
    line = form.table.lines[0]
    form.native.resize(400, 700)
    form.native.show()
    form.native.grab()  # lays it out
    assert line.labels_choice.native.width() > 1.5 * line.image_choice.native.width()
    assert line.labels_choice.tooltip.startswith("cells that were painted")
    bare_viewer.layers["cells that were painted"].name = "b"
    assert line.labels_choice.tooltip.startswith("b\n")


def test_the_choices_of_an_example_begin_where_the_other_fields_do(
    opened: Opened, image: Any
) -> None:
    from qtpy.QtCore import QPoint

    form = opened.settle()
    form.native.resize(400, 700)
    form.native.show()

    def left(part: Any) -> int:
        return int(part.native.mapTo(form.native, QPoint(0, 0)).x())

    for task in ("instance", "regression", "instance"):  # other labels stand before the fields
        form.task.value = task
        form.table.add()
        form.native.grab()
        assert {left(line.trusted_choice) for line in form.table.lines} == {left(form.task)}


def test_counts_name_the_classes_as_the_form_does(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    opened.form.task.value = "semantic"
    bare_viewer.add_labels((truth > 0).astype(np.int32) + 1, name="classes")
    form = opened.settle()
    opened._wait(lambda: not form.painting.counting)
    form.classes.rename(2, "nucleus")
    assert "labelled: class 1" in form.painting.counts_line.value
    assert ", nucleus" in form.painting.counts_line.value


# from layers to a request


def test_without_an_image_it_says_what_to_do(opened: Opened) -> None:
    form = opened.settle()
    assert form.request is None
    assert form.has_faults
    assert "File > Open Sample" in said(form)


def test_an_image_alone_asks_for_labels(opened: Opened, image: Any) -> None:
    form = opened.settle()
    assert form.table.lines[0].image is image
    assert form.request is None
    assert "press ‘New labels for cells’" in said(form)
    assert form.rows["new_labels"].editor.text == "New labels for cells"


def test_labels_that_fit_are_taken(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    bare_viewer.add_labels(np.zeros((9, 9), int), name="of something else")
    labels = bare_viewer.add_labels(truth, name="truth")
    form = opened.settle()
    assert form.table.lines[0].labels is labels
    assert form.table.lines[0].where == "all"
    assert not form.has_faults
    assert form.request is not None
    (example,) = form.request.examples(copy=True)
    assert example.region == "all"
    assert example.axes == "YX"
    assert np.array_equal(example.labels, truth)
    assert form.request.base == "nuclei"
    assert form.request.config.task == "instance"
    assert form.request.config.minutes == 10


def test_a_copy_is_not_painted_on_any_more(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    labels = bare_viewer.add_labels(truth.copy(), name="truth")
    request = opened.settle().request
    assert request is not None
    (copied,), (live,) = request.examples(copy=True), request.examples(copy=False)
    labels.data_setitem((np.array([3]), np.array([4])), 999)
    assert live.labels[3, 4] == 999
    assert copied.labels[3, 4] == truth[3, 4]


def test_new_labels_become_the_example(opened: Opened, bare_viewer: Any, image: Any) -> None:
    opened.form.rows["new_labels"].editor.native.click()
    labels = bare_viewer.layers[-1]
    form = opened.settle()
    line = form.table.lines[0]
    assert (line.image, line.labels) == (image, labels)
    assert line.where == "painted"
    assert "Paint something" in said(form)
    assert form.has_faults


def test_strokes_need_a_background(opened: Opened, bare_viewer: Any, image: Any) -> None:
    labels = new_labels(bare_viewer, image, "YX")
    labels.selected_label = 1
    labels.paint((40, 40), 1)
    form = opened.settle()
    assert form.has_faults
    assert "Background is" in said(form)
    labels.selected_label = 2
    labels.paint((90, 90), 2)
    marks = marks_of(labels)
    assert marks is not None
    set_marks(labels, Marks(marks.image, marks.axes, background=2))
    form = opened.settle()
    assert not form.has_faults
    assert form.request is not None
    assert form.request.examples(copy=True)[0].background == 2


def test_strokes_are_looked_at_and_sliders_are_not(
    opened: Opened, bare_viewer: Any, qtbot: Any
) -> None:
    image = bare_viewer.add_image(np.random.default_rng(0).random((4, 32, 32)), name="stack")
    labels = new_labels(bare_viewer, image, "ZYX")
    other = bare_viewer.add_labels(np.zeros((4, 32, 32), int), name="selected")
    form = opened.settle()
    assert bare_viewer.layers.selection.active is other  # the counts are of this one

    def is_idle() -> bool:
        # labels that are counted for the first time are looked at again when that has ended
        waits = form.checks.running or form._pause.isActive() or form.painting.counting
        return form.checked and not waits

    def wait_for_look() -> None:
        # a small example is looked at so fast that a state between would be missed
        qtbot.waitUntil(lambda: False in opened.seen and is_idle())
        opened.seen.clear()

    qtbot.waitUntil(is_idle)
    request = form.request
    opened.seen.clear()
    bare_viewer.dims.set_point(0, 2)
    labels.refresh()
    assert not form._pause.isActive()  # a stroke would have set it going
    qtbot.waitUntil(is_idle)
    assert form.request is request
    labels.paint((2, 5, 5), 1)
    wait_for_look()
    before = form.board.findings
    set_marks(labels, Marks("stack", "ZYX", done=((0, 2),)))
    qtbot.waitUntil(lambda: form.table.lines[0].where == "planes")
    wait_for_look()
    assert form.board.findings != before
    labels.undo()
    wait_for_look()


def test_done_planes_are_trusted_alone(opened: Opened, bare_viewer: Any) -> None:
    stack = load_sample("nuclei_3d")
    image = bare_viewer.add_image(stack.image[4:12, :64, :64], name="stack")
    labels = new_labels(bare_viewer, image, "ZYX")
    truth = stack.truth[4:12, :64, :64]
    labels.data = truth.astype(np.int32)
    set_marks(labels, Marks("stack", "ZYX", done=((0, 2), (0, 5))))
    form = opened.settle()
    assert form.table.lines[0].where == "planes"
    assert form.request is not None
    assert form.request.base == "nuclei"
    for copy in (True, False):
        (example,) = form.request.examples(copy=copy)
        found = example.labels[(slice(0, 8), slice(0, 64), slice(0, 64))]
        assert np.array_equal(found[[2, 5]], truth[[2, 5]])
        assert not np.delete(found, [2, 5], axis=0).any()
    form.models.choose(None)
    form = opened.settle()
    assert form.request is not None
    assert form.request.config.ndim == 2  # a plane does not say how deep its objects are


def test_a_plane_that_is_done_and_empty_is_known(opened: Opened, bare_viewer: Any) -> None:
    image = bare_viewer.add_image(np.random.default_rng(0).random((4, 32, 32)), name="stack")
    labels = new_labels(bare_viewer, image, "ZYX")
    labels.data[1, 4:9, 4:9] = 1
    set_marks(labels, Marks("stack", "ZYX", done=((0, 1), (0, 3))))
    request = opened.settle().request
    assert request is not None
    from napari_unet.dataset.labelled_image import open_example

    for copy in (True, False):
        (example,) = request.examples(copy=copy)
        found = open_example(example, ndim=2, in_channels=1, task="instance")
        whole = slice(0, 32), slice(0, 32)
        known = [found.read_labels(0, (slice(z, z + 1), *whole))[1].all() for z in range(4)]
        assert known == [False, True, False, True]


def test_inside_a_shapes_layer(opened: Opened, bare_viewer: Any, image: Any, truth: Any) -> None:
    bare_viewer.add_labels(truth, name="truth")
    box = bare_viewer.add_shapes([[10, 20], [10, 60], [50, 60], [50, 20]], name="box")
    form = opened.settle()
    form.table.lines[0].trust(box)
    form = opened.settle()
    assert form.request is not None
    (example,) = form.request.examples(copy=True)
    assert example.region.shape == truth.shape
    assert example.region[10:50, 20:60].all()
    assert example.region.sum() == 40 * 40
    box.data = []
    form = opened.settle()
    assert form.request is None
    assert "no area" in said(form)


def test_a_prediction_is_never_taken_unasked(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    result = bare_viewer.add_labels(truth, name="cells labels", metadata={RECORD_KEY: RECORD})
    form = opened.settle()
    assert form.request is None
    assert "a prediction that nobody has corrected" in said(form)
    form.table.lines[0].findings.press("Take as truth")
    form = opened.settle()
    assert form.request is not None
    # another prediction takes its place: nobody has said anything of that one
    result.metadata = {**result.metadata, RECORD_KEY: {**RECORD, "started": "later"}}
    assert opened.settle().request is None


def test_correcting_a_prediction_within_the_table(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    bare_viewer.add_labels(truth, name="cells labels", metadata={RECORD_KEY: RECORD})
    form = opened.settle()
    form.models.choose(None)
    form.table.lines[0].findings.press("Correct and train on this")
    form = opened.settle()
    (line,) = form.table.lines
    assert line.labels.name == "cells corrected"
    assert line.where == "planes"
    assert "marked as done" in said(form)
    assert form.models.source == "nuclei"  # the one that predicted it


@pytest.fixture
def corrected(opened: Opened, bare_viewer: Any, image: Any, truth: Any) -> Any:
    """A copy of a prediction that can be painted on, in the table."""
    bare_viewer.add_labels(truth, name="cells labels", metadata={RECORD_KEY: RECORD})
    opened.settle().table.lines[0].findings.press("Correct and train on this")
    return bare_viewer.layers["cells corrected"]


def test_a_background_makes_no_truth_of_a_prediction(opened: Opened, corrected: Any) -> None:
    form = opened.settle()
    form.painting._choose(1)
    marks = marks_of(corrected)
    assert marks is not None
    assert (marks.background, marks.corrected) == (1, RECORD)
    form = opened.settle()
    assert form.table.lines[0].where == "planes"
    assert form.request is None
    assert "marked as done" in said(form)
    set_marks(corrected, replace(marks, done=((0, 0),)))
    form = opened.settle()
    assert form.table.lines[0].where == "planes"
    assert not form.has_faults, form.first_fault


@pytest.mark.parametrize("way", ["all", "painted"])
def test_all_of_a_prediction_is_taken_on_request_alone(
    opened: Opened, corrected: Any, way: str
) -> None:
    line = opened.settle().table.lines[0]
    line.trust(way)
    form = opened.settle()
    assert form.request is None
    assert "began as a prediction" in said(form)
    line.findings.press("Done planes")
    assert opened.settle().table.lines[0].where == "planes"
    line.trust(way)
    opened.settle()
    line.findings.press("Take as truth")
    form = opened.settle()
    assert form.request is not None
    assert form.request.layers[0].trusted.way == way


def test_a_prediction_that_is_done_is_no_prediction_any_more(
    opened: Opened, corrected: Any
) -> None:
    marks = marks_of(corrected)
    assert marks is not None
    set_marks(corrected, replace(marks, done=((0, 0),)))
    opened.settle().table.lines[0].trust("all")
    assert opened.settle().request is not None


# labels of which nothing is known but what is in them


def test_a_few_painted_objects_do_not_hold_everywhere(
    opened: Opened, bare_viewer: Any, image: Any
) -> None:
    labels = bare_viewer.add_labels(np.zeros((128, 160), int), name="Labels")
    form = opened.settle()
    assert form.table.lines[0].labels is labels
    assert form.table.lines[0].where == "painted"
    labels.selected_label, labels.brush_size = 1, 9
    labels.paint((40, 40), 1)
    assert marks_of(labels) == Marks("cells", "YX")  # so that it is kept
    labels.brush_size = 60
    labels.paint((60, 60), 1)
    assert opened.settle().table.lines[0].where == "painted"


def test_labels_that_hold_everywhere_do_so_when_they_are_painted_on(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    labels = bare_viewer.add_labels(truth, name="truth")
    other = bare_viewer.add_labels(truth.copy(), name="not chosen")
    opened.settle()
    assert marks_of(labels) is None
    for layer in (labels, other):
        layer.paint((40, 40), 500)
    assert marks_of(labels) == Marks("cells", "YX")
    assert marks_of(other) is None
    form = opened.settle()
    assert form.table.lines[0].where == "all"
    assert not form.has_faults
    set_marks(labels, Marks("cells", "YX", done=((0, 0),)))
    assert opened.settle().table.lines[0].where == "planes"


def test_a_prediction_gets_no_marks_by_a_stroke(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    result = bare_viewer.add_labels(truth, name="cells labels", metadata={RECORD_KEY: RECORD})
    opened.settle()
    result.paint((40, 40), 500)
    assert marks_of(result) is None
    assert opened.settle().request is None


def test_two_examples_and_one_is_left_out(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    bare_viewer.add_labels(truth, name="truth")
    other = bare_viewer.add_image(image.data[:64], name="other")
    labels = bare_viewer.add_labels(truth[:64], name="other truth")
    line = opened.form.table.add()
    assert (line.image, line.labels) == (other, labels)
    form = opened.settle()
    assert form.request is not None
    assert [each.image.name for each in form.request.layers] == ["cells", "other"]
    bare_viewer.layers.remove(other)
    form = opened.settle()
    assert form.request is not None
    assert [each.image.name for each in form.request.layers] == ["cells"]


def test_a_fault_stands_under_its_example(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    bare_viewer.add_labels(truth, name="truth")
    wrong = bare_viewer.add_labels(truth, name="cut", translate=(0.5, 0))
    opened.form.table.add()
    opened.form.table.lines[1].choose(image, wrong)
    form = opened.settle()
    assert form.has_faults
    assert said(form, 0) == ""
    assert "‘cut’ lies 0.5 pixels beside" in said(form, 1)
    assert form.first_fault in said(form, 1)


def test_doubts_are_dismissed_until_the_example_changes(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    flat = bare_viewer.add_image(np.full(truth.shape, 7), name="flat")
    bare_viewer.add_labels(truth, name="truth")
    line = opened.form.table.lines[0]
    line.choose(flat, line.labels)
    form = opened.settle()
    assert "constant" in said(form)
    assert not form.has_faults
    line.findings.press("Dismiss")
    form.show_messages()
    assert said(form) == ""
    assert said(opened.settle()) == ""
    line.choose(image, line.labels)
    opened.settle()
    form.set_values({"base": None, "task": "instance"})
    line.choose(flat, line.labels)
    assert "constant" in said(opened.settle())


def test_the_objects_of_a_mask_are_numbered_by_a_button(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any, qtbot: Any
) -> None:
    mask = bare_viewer.add_labels((truth > 0) * 255, name="mask")
    form = opened.settle()
    (line,) = form.table.lines
    assert "mask, not objects" in said(form)
    line.findings.press("Number the objects")
    qtbot.waitUntil(lambda: line.labels != mask)
    form = opened.settle()
    assert form.table.lines == [line]
    assert (line.labels.name, mask.visible) == ("cells objects", False)
    assert line.labels.data.max() == 10
    assert np.array_equal(line.labels.data > 0, truth > 0)
    assert line.where == "all"
    assert "mask" not in said(form)
    assert form.request is not None
    assert set(np.unique(mask.data)) == {0, 255}  # as it was


def test_negative_labels_are_unknown_by_a_button(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any, qtbot: Any
) -> None:
    labels = truth.copy()
    labels[:40] = -1
    given = bare_viewer.add_labels(labels, name="partly")
    form = opened.settle()
    (line,) = form.table.lines
    assert "negative" in said(form)
    assert form.has_faults
    line.findings.press("Negative is unknown")
    qtbot.waitUntil(lambda: line.labels != given)
    form = opened.settle()
    assert form.table.lines == [line]
    assert not form.has_faults
    assert form.request is not None
    (example,) = form.request.examples(copy=True)
    assert example.region == "painted"
    assert not example.labels[:40].any()
    assert (example.labels[40:] > 0).all()
    assert np.array_equal(example.labels[40:] == example.background, truth[40:] == 0)


# tasks


def test_classes_are_listed_by_themselves(opened: Opened, bare_viewer: Any, image: Any) -> None:
    drawn = np.zeros((128, 160), np.int32)
    drawn[20:40, 20:60], drawn[60:90] = 3, 5
    labels = bare_viewer.add_labels(drawn, name="tissue")
    form = opened.form
    form.task.value = "semantic"
    form = opened.settle()
    assert [(c.value, c.name) for c in form.classes.classes] == [
        (0, "background"),
        (3, "class 3"),
        (5, "class 5"),
    ]
    form.classes.rename(5, "stroma")
    labels.data[100:110] = 7
    form = opened.settle()
    assert form.request is not None
    names = {c.value: c.name for c in form.request.config.classes}
    assert names == {0: "background", 3: "class 3", 5: "stroma", 7: "class 7"}
    assert form.request.base is None  # no model of classes is among the bundled ones
    shown = {c.value: c.colour for c in form.classes.classes}
    red, green, blue = (round(255 * float(part)) for part in labels.get_color(5)[:3])
    assert shown[5] == f"#{red:02x}{green:02x}{blue:02x}"


def test_values_of_pixels_from_two_images(opened: Opened, bare_viewer: Any, image: Any) -> None:
    target = bare_viewer.add_image(image.data.astype(float) / 2 + 1, name="clean")
    bare_viewer.add_labels(np.zeros((128, 160), int), name="labels")
    form = opened.form
    form.table.take(image, bare_viewer.layers["labels"])
    form.task.value = "regression"
    form = opened.settle()
    assert form.table.lines[0].labels is target
    assert not form.has_faults
    assert form.request is not None
    assert form.request.config.task == "regression"
    assert form.request.examples(copy=True)[0].labels is target.data
    assert form.rows["new_labels"].native.isHidden()
    form.task.value = "instance"
    assert opened.form.table.lines[0].labels is bare_viewer.layers["labels"]


# fields


def test_a_doubt_about_axes_and_what_was_typed(opened: Opened, bare_viewer: Any) -> None:
    rng = np.random.default_rng(0)
    bare_viewer.add_image(rng.random((5, 32, 32)), name="movie")
    bare_viewer.add_labels(np.arange(5 * 32 * 32).reshape(5, 32, 32) // 64, name="labels")
    form = opened.settle()
    assert form.rows["axes"].editor.value == "ZYX"
    assert "Z or T" in form.rows["axes"].note
    form.rows["axes"].editor.value = "tyx"
    form = opened.settle()
    assert form.request is not None
    assert form.request.layers[0].axes == "TYX"
    assert form.rows["axes"].note == ""
    form.rows["axes"].editor.value = "TY"
    form = opened.settle()
    assert form.request is None
    assert "one letter per axis" in form.rows["axes"].fault


def test_axes_that_were_typed_stay_when_layers_are_listed_anew(
    bare_viewer: Any, listen: Any, qtbot: Any
) -> None:
    form = TrainForm(PublicOnlyProxy(bare_viewer), lambda: None)  # as a plugin gets the viewer
    qtbot.addWidget(form.native)
    listen(bare_viewer, form)
    bare_viewer.add_image(np.zeros((5, 32, 32)), name="movie")
    form.start({})
    form.show_messages()
    form.rows["axes"].editor.value = "TYX"
    bare_viewer.add_labels(np.zeros((5, 32, 32), int), name="labels")
    gc.collect()
    form.show_messages()
    assert form.rows["axes"].editor.value == "TYX"
    assert form.fields.axes_of(bare_viewer.layers["movie"]) == "TYX"
    form.close()


def test_channels_that_labels_have_not(opened: Opened, bare_viewer: Any) -> None:
    rng = np.random.default_rng(0)
    image = bare_viewer.add_image(rng.random((2, 40, 48)), name="two channels")
    labels = bare_viewer.add_labels(np.arange(40 * 48).reshape(40, 48) // 96, name="labels")
    form = opened.form
    form.models.choose(None)
    form.table.take(image, labels)
    form = opened.settle()
    assert form.request is not None
    assert (form.request.layers[0].axes, form.request.layers[0].channels) == ("CYX", (0, 1))
    form.rows["channels"].editor.value = "1"
    form = opened.settle()
    assert form.request is not None
    assert form.request.layers[0].channels == (1,)


def test_presets_set_time_and_augmentation(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    bare_viewer.add_labels(truth, name="truth")
    form = opened.form
    form.rows["preset"].editor.value = "Thorough"
    request = opened.settle().request
    assert request is not None
    assert (request.config.minutes, request.config.augmentation) == (60, "strong")
    form.rows["minutes"].editor.value = 7
    assert form.rows["preset"].editor.value == "Own"
    form.rows["steps"].editor.value = 30
    request = opened.settle().request
    assert request is not None
    assert (request.config.minutes, request.config.steps) == (None, 30)


def test_settings_come_back(opened: Opened, bare_viewer: Any, image: Any, truth: Any) -> None:
    bare_viewer.add_labels(truth, name="truth")
    form = opened.form
    form.rows["learning_rate"].editor.value = 0.0003
    form.rows["minutes"].editor.value = 2.5
    form.models.choose(None)
    kept = form.values()
    form.set_values({})
    assert form.values() != kept
    form.set_values(kept)
    assert form.values() == kept
    request = opened.settle().request
    assert request is not None
    assert (request.config.learning_rate, request.config.minutes) == (0.0003, 2.5)
    form.set_values({"task": 3, "settings": "nonsense", "base": "not there"})
    assert opened.settle().request is not None


def test_only_models_of_the_task_are_offered(
    opened: Opened, save_model: Any, bare_viewer: Any, image: Any, truth: Any
) -> None:
    save_model("classes", task="semantic")
    bare_viewer.add_labels(truth, name="truth")
    form = opened.form
    form.reset_choices()
    assert "classes" not in form.models.sources
    form.task.value = "semantic"
    assert form.models.sources == ["classes"]
    form.task.value = "instance"
    assert "nuclei" in form.models.sources


def test_what_the_last_session_left_is_said_and_dropped(
    opened: Opened, image: Any, save_model: Callable[..., Any]
) -> None:
    from napari_unet.widgets.train.carried_over import CarriedOver

    save_model("mine", features=(4, 8))
    form = opened.form
    form.reset_choices()
    nothing = CarriedOver(form)
    nothing.start({})
    assert (nothing.text, nothing.native.isHidden()) == ("", True)
    fresh = form.values()
    assert fresh["base"] == "nuclei"
    settings = {"steps": 40, "device": "cpu"}
    carried = CarriedOver(form)
    carried.start({"task": "semantic", "base": None, "settings": settings})
    assert carried.text.startswith("Carried over: task ‘Classes of pixels’, ")
    assert "40 from the last session" in carried.text
    assert "device" not in carried.text  # that belongs to the machine
    assert "scratch" not in carried.text  # there is no model of the task to start from
    assert not carried.native.isHidden()
    carried.hold(held=True)  # a training runs
    assert carried.native.isHidden()
    carried.hold(held=False)
    form.settings.rows["steps"].editor.value = 50
    carried.follow()
    assert carried.text == "Carried over: task ‘Classes of pixels’ from the last session."
    carried.drop.native.click()
    assert form.values() == {**fresh, "settings": {"steps": 50, "device": "cpu"}}
    assert carried.native.isHidden()
    models = [str(each) for each in form.models.sources]
    carried.start({"task": "instance", "base": "mine", "settings": {}})
    assert carried.text == "Carried over: a start from ‘mine’ from the last session.", models
    carried.drop.native.click()
    assert form.values()["base"] == "nuclei"
