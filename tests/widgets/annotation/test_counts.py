"""Counting what was painted, and the rows of the form that go with painting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from napari.layers import Image, Labels

from napari_unet.progress import drain
from napari_unet.widgets.annotation import counts as _label_counts
from napari_unet.widgets.annotation.counts import LabelCounts, _count, _Seen
from napari_unet.widgets.annotation.painting import (
    Marks,
    marks_of,
    new_labels,
    set_marks,
    toggle_done,
)
from napari_unet.widgets.annotation.panel import NONE_YET, PaintingPanel
from napari_unet.widgets.qt.form import Form
from napari_unet.widgets.viewer.layer_image import RECORD_KEY

pytestmark = pytest.mark.windowless


@pytest.fixture
def stack(bare_viewer: Any) -> Image:
    return bare_viewer.add_image(np.zeros((5, 40, 60), np.uint8), name="stack")


@pytest.fixture
def layer(bare_viewer: Any, stack: Image) -> Labels:
    return new_labels(bare_viewer, stack, "ZYX")


@pytest.fixture
def count(qtbot: Any, changes: list[None]) -> Iterator[Callable[[Labels], LabelCounts]]:
    """``count(layer)``: and wait for the first counts."""
    made = []

    def count(layer: Labels) -> LabelCounts:
        counts = LabelCounts(layer, lambda: changes.append(None))
        made.append(counts)
        settle(counts, qtbot)
        return counts

    yield count
    for counts in made:
        counts.close()


def settle(counts: Any, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not counts.counting, timeout=10_000)


def truth(data: np.ndarray) -> dict[int, int]:
    values, pixels = np.unique(data[data != 0], return_counts=True)
    return dict(zip(values.tolist(), pixels.tolist(), strict=True))


@pytest.fixture
def panel(bare_viewer: Any, changes: list[None], qtbot: Any) -> Iterator[PaintingPanel]:
    panel = PaintingPanel(bare_viewer, lambda: changes.append(None))
    form = Form(panel.rows.values())
    qtbot.addWidget(form)
    yield panel
    panel.close()


# counts


@given(
    arrays(np.int32, (2, 3, 5, 7), elements=st.integers(0, 5)),
    st.sets(st.tuples(st.integers(0, 1), st.integers(0, 2))),
)
def test_counts_are_those_of_numpy(data: np.ndarray, planes: set[tuple[int, int]]) -> None:
    seen = drain(_count(data, "TZYX", _Seen(), (), whole=True, look=False))
    assert dict(zip(seen.total.values, seen.total.pixels, strict=True)) == truth(data)
    for plane in planes:
        data[plane] = 3 - data[plane].clip(0, 3)
    again = drain(_count(data, "TZYX", seen, planes, whole=False, look=False))
    assert dict(zip(again.total.values, again.total.pixels, strict=True)) == truth(data)


def test_what_is_painted_is_counted(
    layer: Labels, count: Any, qtbot: Any, changes: list[None], bare_viewer: Any
) -> None:
    counts = count(layer)
    assert (counts.counts.painted, counts.counts.objects) == (0, 0)
    assert counts.counts.describe() == "Nothing is painted yet"

    def check() -> None:
        settle(counts, qtbot)
        assert counts.counts.by_value == truth(layer.data)

    layer.paint((0, 10, 10), 1)
    check()
    assert counts.counts.objects == 1
    layer.brush_size = 7
    layer.paint((3, 20, 20), 2)  # in a plane that is not shown
    check()
    layer.paint((0, 10, 10), 0)
    check()
    layer.undo()
    layer.undo()
    check()
    layer.redo()
    check()
    layer.fill((4, 0, 0), 9)
    check()
    assert counts.counts.by_value[9] == 2400
    layer.data = np.full_like(layer.data, 5)
    check()
    assert changes


def test_what_a_script_writes_is_found_after_a_refresh(
    layer: Labels, count: Any, qtbot: Any
) -> None:
    counts = count(layer)
    layer.data[4, :3] = 7
    layer.refresh()
    settle(counts, qtbot)
    assert counts.counts.by_value == {7: 180}


def test_the_background_is_no_object(layer: Labels, count: Any, qtbot: Any) -> None:
    counts = count(layer)
    layer.paint((0, 10, 10), 1)
    layer.paint((0, 30, 30), 9)
    settle(counts, qtbot)
    assert counts.counts.objects == 2
    set_marks(layer, Marks("stack", "ZYX", background=9, done=((0, 1), (0, 99))))
    assert counts.counts.objects == 1
    assert (counts.counts.done, counts.counts.planes) == (1, 5)


def test_painting_on_and_on_does_not_put_counting_off(
    layer: Labels, count: Any, qtbot: Any
) -> None:
    counts = count(layer)
    for i in range(1000):
        layer.paint((0, 5 + i % 30, 5 + i % 50), 1 + i % 9)
        qtbot.wait(20)
        if counts.counts.painted:
            return
    pytest.fail("it was never counted")


def test_counting_does_not_hold_up_the_window(bare_viewer: Any, count: Any, qtbot: Any) -> None:
    rng = np.random.default_rng(0)
    large = np.kron(rng.integers(0, 4000, (4, 64, 64)), np.ones((1, 32, 32), int)).astype(np.int32)
    layer = bare_viewer.add_labels(large)
    counts = count(layer)
    layer.data[1] = 5
    waits = []
    layer.paint((1, 300, 300), 7)
    while counts.counting:
        before = time.thread_time()  # of the processor: other programs do not count
        qtbot.wait(1)
        waits.append(time.thread_time() - before)
    assert np.quantile(waits, 0.9) < 0.1
    assert counts.counts.by_value == truth(layer.data)


def test_of_very_large_labels_only_touched_planes_are_counted(
    layer: Labels, count: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_label_counts, "WHOLE_COUNT_BYTES", 1000)
    monkeypatch.setattr(_label_counts, "SCANNED_BYTES", 1)
    layer.data[4] = 3
    counts = count(layer)
    assert counts.counts.painted == 0
    layer.paint((2, 10, 10), 1)
    settle(counts, qtbot)
    assert counts.counts.by_value == {1: int((layer.data == 1).sum())}
    assert "in the planes that were worked on" in counts.counts.describe()


def test_fifty_gigabytes_are_counted_at_once(bare_viewer: Any, count: Any, qtbot: Any) -> None:
    image = bare_viewer.add_image(np.broadcast_to(np.uint8(0), (1000, 3500, 3500)), name="large")
    layer = new_labels(bare_viewer, image, "ZYX")
    start = time.process_time()
    counts = count(layer)
    layer.paint((700, 20, 20), 1)
    settle(counts, qtbot)
    assert counts.counts.by_value == {1: int((layer.data[700] == 1).sum())}
    assert time.process_time() - start < 5


# the panel


def text(panel: PaintingPanel) -> str:
    return str(panel.counts_line.value)


def test_an_empty_panel_says_what_to_do(panel: PaintingPanel) -> None:
    assert not panel.new.enabled
    assert not panel.done.enabled
    assert text(panel) == "No labels are selected; make new ones, or select a Labels layer."


def test_the_button_makes_labels_for_the_image(
    panel: PaintingPanel, stack: Image, press: Any, bare_viewer: Any, qtbot: Any
) -> None:
    panel.set_image(stack, "ZYX")
    assert panel.new.text == "New labels for stack"
    press(panel.new)
    assert panel.layer is bare_viewer.layers["stack labels"]
    panel.layer.paint((0, 10, 10), 4)
    qtbot.waitUntil(lambda: "1 object" in text(panel), timeout=5000)
    panel.set_task("semantic")
    assert "label 4" in text(panel)
    panel.set_task("semantic", {4: "stroma"})
    assert "labelled: stroma" in text(panel)
    panel.set_image(stack, "YX")
    press(panel.new)
    assert "do not fit" in panel.rows["new_labels"].fault


def test_the_check_box_follows_the_slider_and_the_key(
    panel: PaintingPanel, layer: Labels, bare_viewer: Any, changes: list[None]
) -> None:
    bare_viewer.dims.set_current_step(0, 3)
    panel.done.native.click()
    assert marks_of(layer).done == ((0, 3),)
    assert panel.done.value
    assert "done: 3 of 5 planes" in panel.rows["done"].note
    assert changes
    bare_viewer.dims.set_current_step(0, 1)
    assert not panel.done.value
    assert marks_of(layer).done == ((0, 3),)
    toggle_done(bare_viewer, layer)  # what the key does
    assert panel.done.value
    bare_viewer.dims.ndisplay = 3
    assert not panel.done.enabled
    assert marks_of(layer).done == ((0, 1), (0, 3))


def test_the_button_puts_the_background_in_the_hand(
    panel: PaintingPanel, stack: Image, press: Any, bare_viewer: Any, qtbot: Any
) -> None:
    assert not panel.paint_background.enabled  # there is nothing to paint on
    panel.set_image(stack, "ZYX")
    press(panel.paint_background)
    made = panel.layer
    assert (made.name, made.mode, made.selected_label) == ("stack labels", "paint", 2)
    assert marks_of(made).background == 2  # the first label is left to the first object
    made.paint((0, 10, 10), 2)
    made.selected_label, made.mode = 7, "erase"
    made.paint((0, 30, 30), 9)
    qtbot.waitUntil(lambda: "1 object" in text(panel), timeout=5000)
    press(panel.paint_background)
    assert (made.mode, made.selected_label) == ("paint", 2)
    mine = bare_viewer.add_labels(np.full((5, 40, 60), 250, np.uint8), name="mine")
    qtbot.waitUntil(lambda: panel.counts is not None)
    mine.visible, mine.selected_label = False, 255
    press(panel.paint_background)
    assert (mine.visible, mine.selected_label, marks_of(mine).background) == (True, 1, 1)
    bare_viewer.add_labels(mine.data, name="found", metadata={RECORD_KEY: {"a": 1}})
    press(panel.paint_background)  # not on a prediction
    assert bare_viewer.layers.selection.active.name == "stack labels [1]"


def test_the_background_is_picked_by_name(
    panel: PaintingPanel, layer: Labels, qtbot: Any, bare_viewer: Any
) -> None:
    layer.features = {"index": [9], "class": ["dark"]}
    layer.paint((0, 10, 10), 1)
    layer.paint((0, 30, 30), 9)
    names = ["none yet", "label 1", "label 9 (dark)"]

    def items() -> list[str]:
        native = panel.background.native
        return [native.itemText(i) for i in range(native.count())]

    qtbot.waitUntil(lambda: items() == names, timeout=5000)
    panel.background.value = 9
    assert marks_of(layer).background == 9
    assert "1 object" in text(panel)
    other = bare_viewer.add_labels(np.zeros((40, 60), int), name="other")
    assert panel.layer is other
    assert panel.background.value == NONE_YET
    bare_viewer.layers.selection.active = layer
    qtbot.waitUntil(lambda: not panel.counting, timeout=5000)
    assert panel.background.value == 9
    assert marks_of(other) is None
    panel.background.value = NONE_YET
    assert marks_of(layer).background is None


def test_the_panel_stays_with_the_labels_while_the_image_is_selected(
    panel: PaintingPanel, layer: Labels, stack: Image, bare_viewer: Any
) -> None:
    bare_viewer.layers.selection.active = stack
    assert panel.layer is layer
    bare_viewer.layers.remove(layer)
    assert panel.layer is None


def test_labels_of_the_user_are_taken_up(
    panel: PaintingPanel, stack: Image, bare_viewer: Any
) -> None:
    panel.set_image(stack, "ZYX")
    own = bare_viewer.add_labels(np.zeros((5, 40, 60), int))
    bare_viewer.dims.set_current_step(0, 2)
    panel.done.native.click()
    assert marks_of(own) == Marks("stack", "ZYX", done=((0, 2),))


def test_a_prediction_cannot_be_marked(panel: PaintingPanel, bare_viewer: Any) -> None:
    bare_viewer.add_labels(np.ones((40, 60), int), name="found", metadata={RECORD_KEY: {"a": 1}})
    assert not panel.done.enabled
    assert "‘found’ is a prediction" in panel.rows["done"].note


def test_a_closed_panel_hears_nothing(
    panel: PaintingPanel, layer: Labels, bare_viewer: Any, changes: list[None], qtbot: Any
) -> None:
    panel.close()
    changes.clear()
    layer.paint((0, 10, 10), 1)
    toggle_done(bare_viewer, layer)
    bare_viewer.add_labels(np.zeros((40, 60), int))
    qtbot.wait(400)
    assert not changes
