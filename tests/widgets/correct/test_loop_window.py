"""The loop in a real window: segment, put right, train on that alone, and find it better."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from scipy import ndimage
from skimage.measure import approximate_polygon, find_contours

import napari_unet as nu
from napari_unet import evaluate
from napari_unet.samples import load_sample
from napari_unet.widgets.annotation.marks import marks_of
from napari_unet.widgets.annotation.snapshot import trusted
from napari_unet.widgets.correct.journal import entries_of
from napari_unet.widgets.correct.review_panel import ReviewPanel
from napari_unet.widgets.viewer.layer_image import RECORD_KEY

PLUGIN = "napari-unet-torch"
STEPS = 16
DONE = (12, 18)  # planes of the stack


class Corrector:
    """Somebody who knows the truth, with a mouse and keys, in the dock "Correct"."""

    def __init__(self, viewer: Any, hand: Any, dock: Any, layer: Any, qtbot: Any) -> None:
        self.hand, self.dock, self.layer = hand, dock, layer
        self._viewer, self._qtbot = viewer, qtbot
        (self.review,) = (each for each in dock.panels if isinstance(each, ReviewPanel))

    def wait(self) -> None:
        """Until the list is up to date."""
        self._qtbot.waitUntil(lambda: not self.review.working)

    def see_all(self) -> None:
        self._viewer.reset_view()

    def said(self, words: str) -> None:
        assert words in self.dock.message.value, self.dock.message.value

    def hold(self, key: str) -> None:
        """Take a tool into the hand, if it is not there."""
        tools = self.dock.tools
        if tools.mouse.tool is None or tools.mouse.tool.key != key:
            self.hand.key(key)

    def split(self, first: tuple[int, ...], second: tuple[int, ...]) -> None:
        self.hold("C")
        for point in (first, second):
            self._turn_to(point)
            self.hand.click(*point)
        self.said("the other part is")

    def merge(self, first: tuple[int, ...], second: tuple[int, ...]) -> None:
        """Drag from one to the other; in a stack in a plane that has both."""
        self.hold("C")
        if len(first) == 3:
            now = np.array(self.layer.data)
            one, other = (now == now[point] for point in (first, second))
            z = int((one.any(axis=(1, 2)) & other.any(axis=(1, 2))).argmax())
            first, second = ((z, *innermost(each[z])) for each in (one, other))
            self._turn_to(first)
        self.hand.drag(first, second)
        self.said("Merged")

    def delete(self, point: tuple[int, ...]) -> None:
        self._turn_to(point)
        self.hand.move(*point)
        self.hand.key("Delete")
        self.said("Deleted")

    def put_plane_right(self, z: int, truth: np.ndarray) -> None:
        """Delete what is wrong in a plane, and draw what is missing; tools work in it alone."""
        now = np.array(self.layer.data[z])
        for label, iou in match(now, truth).items():
            if iou < 0.75:
                self.delete((z, *innermost(now == label)))
        now = np.array(self.layer.data[z])
        for n in np.unique(truth)[1:].tolist():
            missing = (truth == n) & (now == 0)
            if missing.sum() > max(0.6 * (truth == n).sum(), 4):
                self.draw(missing, (z,))

    def _turn_to(self, point: tuple[int, ...]) -> None:
        """Show the plane of a point."""
        if len(point) == 3:
            self._viewer.dims.set_current_step(0, point[0])

    def draw(self, mask: np.ndarray, plane: tuple[int, ...] = ()) -> None:
        """Drag around what is missing in a plane."""
        self.hold("O")
        outline = max(find_contours(np.pad(mask, 1).astype(float), 0.5), key=len) - 1
        way = np.rint(approximate_polygon(outline, 0.7)).astype(int)
        way = np.clip(way, 0, np.array(mask.shape) - 1)
        self.hand.drag(*((*plane, *map(int, point)) for point in way))

    def look_through(self, right: dict[int, bool]) -> None:
        """Step through all objects that are left: accept some, go on from the others."""
        self.review.order.setCurrentText("All, by number")
        self.wait()
        self.hand.key("N")
        for _ in self.review.left:
            assert self.review.current is not None
            self.hand.key("Q" if right[self.review.current[1]] else "N")


def innermost(mask: np.ndarray) -> tuple[int, ...]:
    """The pixel of a mask that is farthest from its outline."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))
    return tuple(int(n) - 1 for n in np.unravel_index(depth.argmax(), depth.shape))


def parts_in(labels: np.ndarray, label: int, truth: np.ndarray) -> list[int]:
    """True objects most of which lie in an object."""
    inside = np.bincount(truth[labels == label], minlength=int(truth.max()) + 1)
    sizes = np.bincount(truth.ravel())
    return [int(n) for n in np.flatnonzero(inside > 0.5 * sizes) if n]


def match(labels: np.ndarray, truth: np.ndarray) -> dict[int, float]:
    """The best intersection over union of each object."""
    found = {}
    for label in np.unique(labels[labels > 0]).tolist():
        mask = labels == label
        values, counts = np.unique(truth[mask], return_counts=True)
        found[label] = max(
            (
                int(n) / int((mask | (truth == v)).sum())
                for v, n in zip(values, counts, strict=True)
                if v
            ),
            default=0.0,
        )
    return found


@pytest.fixture
def segmented_with(
    viewer: Any, press: Callable[[Any], None], finish: Callable[[Any], None]
) -> Callable[[str], Any]:
    """``segmented_with(model)``: the dock "Segment" after a run on the image."""

    def run(model: str) -> Any:
        _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
        dock.form.models.choose(model)
        press(dock.bar.run)
        finish(dock)
        return dock

    return run


@pytest.fixture
def learned(
    viewer: Any, press: Callable[[Any], None], finish: Callable[[Any], None], qtbot: Any
) -> Callable[..., None]:
    """``learned(layer, name, steps=9)``: the dock "Train" has learned from what was looked at."""

    def learned(layer: Any, name: str, **values: Any) -> None:
        _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Train")
        qtbot.waitUntil(lambda: dock.warm)
        (line,) = dock.form.table.lines
        assert line.labels is layer
        assert line.where == "seen"
        for key, value in {"batch_size": 4, "seed": 1, **values}.items():
            dock.rows[key].editor.value = value
        qtbot.waitUntil(lambda: dock.form.checked)
        press(dock.bar.train)
        finish(dock)
        assert "held-out part" in dock.verdict.sentence.value
        dock.verdict.name = name
        press(dock.verdict.keep)

    return learned


@pytest.fixture
def compared(
    viewer: Any, press: Callable[[Any], None], finish: Callable[[Any], None]
) -> Callable[..., tuple[float, float]]:
    """``compared(before, after, truth)``: their AP at IoU 0.5, from the dock "Evaluate"."""

    def compared(before: Any, after: Any, truth: np.ndarray) -> tuple[float, float]:
        true = viewer.add_labels(truth, name="truth", scale=before.scale, units=before.units)
        _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Evaluate")
        dock.form.choose(before, true, after)
        press(dock.bar.run)
        finish(dock)
        first, second = (scores.ap[0.5] for scores in dock.result.evaluation.scores)
        return first, second

    return compared


@pytest.mark.slow
def test_a_picture_is_corrected_and_learned_from(
    viewer: Any,
    qtbot: Any,
    hand: Any,
    open_correct: Callable[[], Any],
    segmented_with: Callable[[str], Any],
    learned: Callable[..., None],
    compared: Callable[..., tuple[float, float]],
    press: Callable[[Any], None],
) -> None:
    sample = load_sample("histology")
    truth, width = sample.truth.astype(np.int32), 160
    viewer.add_image(sample.image, name="tissue", rgb=True)
    segment = segmented_with("nuclei-histology")
    result = viewer.layers["tissue labels"]
    press(segment.form.correct.button)
    layer = viewer.layers["tissue corrected"]
    someone = Corrector(viewer, hand, open_correct(), layer, qtbot)
    review = someone.review

    # what is most likely wrong comes first, and is
    review.order.setCurrentText("Suggested splits")
    someone.wait()
    hand.key("N")
    assert review.current is not None
    label = review.current[1]
    parts = parts_in(layer.data, label, truth)
    assert len(parts) > 1
    someone.see_all()
    before = layer.data.copy()
    halves = [innermost((layer.data == label) & (truth == n)) for n in parts[:2]]
    someone.split(*halves)
    split = layer.data.copy()
    someone.merge(*halves)
    assert (layer.data == before).all()
    hand.key("Control-Z")
    assert (layer.data == split).all()
    hand.key("Control-Z")
    assert (layer.data == before).all()
    hand.key("Control-Shift-Z")
    assert (layer.data == split).all()

    # the left half is put right, nobody looks at the other
    left, right = np.s_[:, :width], np.s_[:, width:]
    for label in np.unique(layer.data[left])[1:].tolist():
        while len(parts := parts_in(layer.data[left], label, truth[left])) > 1:
            someone.split(*(innermost((layer.data == label) & (truth == n)) for n in parts[:2]))
    for label, iou in match(layer.data[left], truth[left]).items():
        if iou < 0.6:
            someone.delete(innermost(layer.data == label))
    for n in np.unique(truth[:, : width - 10])[1:].tolist():
        missing = (truth == n) & (layer.data == 0)
        if missing.sum() > 0.6 * (truth == n).sum():
            someone.draw(missing)
            someone.said("Drew")
    someone.wait()
    good = match(layer.data, truth)
    right_of = ndimage.maximum(np.indices(truth.shape)[1], layer.data, list(good))
    kept = {n: good[n] > 0.6 and x < width for n, x in zip(good, right_of, strict=True)}
    someone.look_through(kept)
    someone.wait()
    marks = marks_of(layer)
    assert marks is not None
    accepted = {each.label for each in marks.review.accepted}
    assert len(accepted) > 20
    assert accepted <= {n for n, right in kept.items() if right}
    assert f"Accepted {len(accepted)}, corrected" in review.seen.text()
    labels, region, _ = trusted(layer, "seen").copy()
    assert not region[:, width + 30 :].any()
    assert set(np.unique(labels)) >= accepted

    learned(layer, "tissue-2", steps=STEPS)
    assert segment.form.models.source == "tissue-2"
    segmented_with("tissue-2")
    second = viewer.layers["tissue labels [1]"]
    before, after = compared(result, second, truth)
    assert after > before + 0.03, (before, after)
    beside = [evaluate(each.data[right], truth[right]).ap[0.5] for each in (result, second)]
    assert beside[1] > beside[0], beside  # where nobody has looked


@pytest.mark.parametrize(
    "on_disk", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["in memory", "zarr"]
)
def test_a_stack_is_corrected_and_learned_from(
    on_disk: bool,
    viewer: Any,
    qtbot: Any,
    hand: Any,
    open_correct: Callable[[], Any],
    segmented_with: Callable[[str], Any],
    learned: Callable[..., None],
    compared: Callable[..., tuple[float, float]],
    press: Callable[[Any], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sample = load_sample("nuclei_3d")
    truth = sample.truth.astype(np.int32)
    place = {"scale": (2.0, 0.5, 0.5), "units": ("um",) * 3, "axis_labels": ("z", "y", "x")}
    image = viewer.add_image(sample.image, name="stack", **place)
    if on_disk:  # as a result that is too large for memory is opened
        path = tmp_path / "stack labels.zarr"
        nu.segment(sample.image, "nuclei", axes="ZYX", pixel_size=(2, 0.5, 0.5), output=path)
        monkeypatch.setattr("napari_unet.widgets.layer_reader.PAINTABLE_BYTES", 0)
        (layer,) = viewer.open(str(path), plugin=PLUGIN)
        result = viewer.add_labels(zarr.open_array(path)[:], name="as it was", **place)
        result.visible = False
        viewer.layers.selection.active = layer
    else:
        segment = segmented_with("nuclei")
        result = viewer.layers["stack labels"]
        press(segment.form.correct.button)
        layer = viewer.layers["stack corrected"]
    dock = open_correct()
    someone = Corrector(viewer, hand, dock, layer, qtbot)
    review = someone.review
    qtbot.waitUntil(lambda: dock.session.target.has_numbers)
    first = np.array(layer.data)
    someone.see_all()
    someone.wait()
    if on_disk:  # the scores were not kept
        review.order.setCurrentText("All, by number")
    hand.key("N")
    assert review.current is not None
    found = match(first, truth)
    worst = min(found, key=found.__getitem__) if on_disk else review.current[1]
    assert found[worst] < 0.1  # the least certain one is indeed none
    someone.see_all()
    someone.delete(innermost(first == worst))
    label, parts = next(
        (n, p) for n in np.unique(first) if len(p := parts_in(first, n, truth)) == 2
    )
    halves = [innermost((first == label) & (truth == n)) for n in parts]
    before = np.array(layer.data)
    someone.split(*halves)
    split = np.array(layer.data)
    someone.merge(*halves)
    assert (np.array(layer.data) == before).all()
    hand.key("Control-Z")
    assert (np.array(layer.data) == split).all()
    for _ in range(2):
        hand.key("Control-Z")
    assert (np.array(layer.data) == first).all()
    for _ in range(2):
        hand.key("Control-Shift-Z")
    assert (np.array(layer.data) == split).all()
    good = match(split, truth)
    someone.look_through({n: iou > 0.7 for n, iou in good.items()})
    dock.tools.plane_only.setChecked(True)
    for z in DONE:
        viewer.dims.set_current_step(0, z)
        someone.see_all()
        someone.put_plane_right(z, truth[z])
        hand.key("D")
    someone.wait()
    marks = marks_of(layer)
    assert marks is not None
    assert marks.done == tuple((0, z) for z in DONE)
    assert f"done: {', '.join(map(str, DONE))} of 31 planes" in review.seen.text()
    _, region, _ = trusted(layer, "seen").copy()
    assert region[list(DONE)].all()
    assert not region.all()
    if on_disk:
        layer.data.flush()
        qtbot.waitUntil(lambda: not dock.autosave.busy)
        assert (zarr.open_array(path)[:] == np.array(layer.data)).all()
        (again,) = viewer.open(str(path), plugin=PLUGIN)
        back = marks_of(again)
        assert back is not None
        assert (back.done, back.review) == (marks.done, marks.review)
        assert RECORD_KEY not in again.metadata
        assert len(entries_of(again)) == len(entries_of(layer))
        viewer.layers.remove(again)
        viewer.layers.selection.active = layer
        review.train.click()
        _, train = viewer.window.add_plugin_dock_widget(PLUGIN, "Train")
        assert train.image is image
    learned(layer, "stack-2", steps=STEPS)
    segmented_with("stack-2")
    before, after = compared(result, viewer.layers["stack labels [1]"], truth)
    assert after > before + 0.05, (before, after)
