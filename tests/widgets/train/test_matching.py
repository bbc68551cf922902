"""The dock "Train" takes labels by where they lie, and names what it cannot take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from napari_unet.dataset.labelled_image import open_example
from napari_unet.replay.kept_arrays import settle
from napari_unet.replay.records import run_of
from napari_unet.samples import load_sample
from napari_unet.widgets.train.form import TrainForm
from napari_unet.widgets.train.recorded import draft_of
from napari_unet.widgets.viewer.layer_image import RECORD_KEY

pytestmark = pytest.mark.windowless


class Opened:
    """A form on a viewer, as the dock holds it."""

    def __init__(self, form: TrainForm, wait: Any) -> None:
        self.form = form
        self._wait = wait

    def settle(self) -> TrainForm:
        """The form when everything has been looked at."""
        self.form.changed()
        self._wait(lambda: self.form.checked or self.form.request is None)
        self.form.show_messages()
        return self.form

    def said(self) -> str:
        """All that stands under the first line of the table."""
        return " ".join(self.settle().table.lines[0].findings.texts)

    def labels(self) -> Any:
        """The labels that the training takes, and where they are known."""
        request = self.settle().request
        assert request is not None, self.said()
        results = []
        for copy in (True, False):
            example = request.examples(copy=copy)[0]
            opened = open_example(example, ndim=2, in_channels=None, task="instance")
            parts = [
                opened.read_labels(t, tuple(slice(0, n) for n in opened.shape))
                for t in opened.times
            ]
            results.append([np.stack([p[i] for p in parts]) for i in (0, 1)])
        for first, second in zip(*results, strict=True):
            np.testing.assert_array_equal(first, second)
        return results[0][0][:, 0], results[0][1]


@pytest.fixture
def opened(
    _loaded: None, bare_viewer: Any, listen: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Opened]:
    from qtpy.QtCore import QThreadPool

    monkeypatch.setattr("napari_unet.widgets.train.findings.CHECK_DELAY_MS", 0)
    form = TrainForm(bare_viewer, lambda: None)
    qtbot.addWidget(form.native)
    listen(bare_viewer, form)
    form.start({})
    yield Opened(form, qtbot.waitUntil)
    form.close()
    assert QThreadPool.globalInstance().waitForDone(60_000), "a thread was left behind"


@pytest.fixture
def image() -> Any:
    return load_sample("nuclei_2d").image[:192, :240]


@pytest.fixture
def truth() -> Any:
    return load_sample("nuclei_2d").truth[:192, :240].astype(np.int32)


def test_labels_are_paired_with_the_image_on_which_they_lie(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    bare_viewer.add_image(image, name="tile_0")
    bare_viewer.add_image(image[::-1], name="tile_1", translate=(0, 240))
    bare_viewer.add_labels(truth[::-1], name="mask of tile_1", translate=(0, 240))
    line = opened.settle().table.lines[0]
    assert (line.image.name, line.labels.name) == ("tile_1", "mask of tile_1")
    assert opened.said() == ""
    bare_viewer.add_labels(truth, name="mask of tile_0")
    line = opened.form.table.add()
    assert (line.image.name, line.labels.name) == ("tile_0", "mask of tile_0")


def test_an_image_that_was_chosen_stays_and_what_lies_beside_it_is_named(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    first = bare_viewer.add_image(image, name="tile_0")
    second = bare_viewer.add_image(image, name="tile_1", translate=(0, 240))
    for layer in (second, first):
        opened.form.table.lines[0].image_choice.value = layer
    bare_viewer.add_labels(truth, name="mask", translate=(0, 240))
    assert "‘mask’ lies beside ‘tile_0’ along X, without a pixel in common" in opened.said()
    assert opened.form.table.lines[0].image.name == "tile_0"


@pytest.mark.parametrize(
    ("made", "place", "part"),
    [
        (lambda y: np.roll(y, -30, 0), {"translate": (30, 0)}, (slice(30, 192), slice(0, 240))),
        (lambda y: y[40:140, 60:160], {"translate": (40, 60)}, (slice(40, 140), slice(60, 160))),
        (
            lambda y: np.pad(y, 8)[None],
            {"translate": (0, -8, -8)},
            (slice(0, 192), slice(0, 240)),
        ),
    ],
    ids=["shifted", "crop", "larger, with an axis of length 1"],
)
def test_labels_are_read_where_they_lie(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any, made: Any, place: Any, part: Any
) -> None:
    layer = bare_viewer.add_image(image, name="img")
    labels = bare_viewer.add_labels(made(truth), name="lab", **place)
    read, known = opened.labels()
    expected = np.zeros(known.shape[1:], bool)
    expected[part] = True
    np.testing.assert_array_equal(known[0], expected)
    for y, x in np.random.default_rng(0).integers((0, 0), (192, 240), (50, 2)):
        seen = labels.get_value((0,) * (labels.ndim - 2) + layer.data_to_world((y, x)), world=True)
        assert read[0, y, x] == (seen or 0)
    share = expected.mean()
    assert ("The labels lie on" in opened.said()) == (share < 1)
    assert_runs_alike(opened.form.request, read, known)


def assert_runs_alike(request: Any, read: Any, known: Any) -> None:
    """The example of the script is that of the dock."""
    run = run_of(settle(draft_of(request))[0])
    scope: dict[str, Any] = {}
    exec(run.as_python().partition("model = ")[0], scope)  # our own
    found = open_example(scope["example_1"], ndim=2, in_channels=None, task="instance")
    again, where = found.read_labels(0, tuple(slice(0, n) for n in found.shape))
    np.testing.assert_array_equal(again[0], read[0])
    np.testing.assert_array_equal(where, known[0])


def test_done_planes_of_labels_of_some_planes_count_where_they_lie(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    from napari_unet.widgets.annotation.marks import Marks, set_marks

    stack = np.stack([image] * 5)
    bare_viewer.add_image(stack, name="stack", axis_labels=("z", "y", "x"))
    some = np.stack([truth[:100], truth[:100] * 0])
    labels = bare_viewer.add_labels(some, name="lab", translate=(2, 50, 0))
    set_marks(labels, Marks("stack", "ZYX", done=((0, 0), (0, 1))))
    read, known = opened.labels()
    expected = np.zeros((1, 5, 192, 240), bool)
    expected[0, 2:4, 50:150] = True
    np.testing.assert_array_equal(known, expected)
    np.testing.assert_array_equal(read[0, 2, 50:150], truth[:100])


def test_labels_of_one_plane_count_on_that_plane(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    bare_viewer.add_image(np.stack([image] * 5), name="stack", axis_labels=("z", "y", "x"))
    bare_viewer.add_labels(truth, name="flat")
    assert "‘flat’ has no axis Z" in opened.said()
    assert "which of the 5 planes of ‘stack’" in opened.said()
    bare_viewer.layers.remove("flat")
    bare_viewer.add_labels(truth[None], name="lab", translate=(3, 0, 0))
    read, known = opened.labels()
    assert known[0].any(axis=(1, 2)).tolist() == [False, False, False, True, False]
    np.testing.assert_array_equal(read[0, 3], truth)


def test_pyramids_are_matched_level_to_level(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    bare_viewer.add_image([image, image[::2, ::2]], name="img", multiscale=True)
    bare_viewer.add_labels([truth, truth[::2, ::2]], name="lab", multiscale=True)
    read, known = opened.labels()
    assert known.all()
    np.testing.assert_array_equal(read[0], truth)
    bare_viewer.layers.remove("lab")
    bare_viewer.add_labels(truth[::2, ::2], name="coarse", scale=(2, 2), translate=(0.5, 0.5))
    read, known = opened.labels()
    assert known.all()
    np.testing.assert_array_equal(read[0], truth[::2, ::2])
    assert opened.form.request.layers[0].image.shape == (96, 120)


@pytest.mark.parametrize(
    ("size", "place", "words"),
    [
        ((192, 240), {"translate": (3.5, 0)}, "‘lab’ lies 3.5 pixels beside ‘img’ along Y"),
        ((192, 240), {"rotate": 30}, "‘lab’ is turned by 30° against ‘img’"),
        ((192, 240), {"scale": (1, -1), "translate": (0, 239)}, "‘lab’ is flipped along X"),
        ((96, 120), {"scale": (2, 2)}, "‘lab’ has pixels of 2 times the size along Y and X"),
        (
            (90, 120),
            {},
            "‘lab’ has another size (90 × 120) than ‘img’ (192 × 240), and nothing says",
        ),
        ((96, 120), {}, "‘lab’ has another size (96 × 120) than ‘img’ (192 × 240)"),
        ((3, 192, 240), {}, "‘lab’ has an axis Z of length 3"),
    ],
)
def test_labels_that_cannot_be_taken_are_named_with_the_reason(
    opened: Opened, bare_viewer: Any, image: Any, size: Any, place: Any, words: str
) -> None:
    bare_viewer.add_image(image, name="img")
    labels = bare_viewer.add_labels(np.ones(size, int), name="lab", **place)
    assert words in opened.said()
    assert "There are no labels" not in opened.said()
    assert opened.form.has_faults
    # chosen by hand they are not taken either, but for what lies at the first pixels
    opened.form.table.lines[0].choose(bare_viewer.layers["img"], labels)
    if size[0] in (90, 96) and not place:
        _, known = opened.labels()
        assert known.sum() == size[0] * size[1]
        assert "The labels lie on rows 0 to " in opened.said()
        assert ("half" in opened.said()) == (size == (96, 120))
    else:
        assert words in opened.said()
        assert opened.form.has_faults


def test_labels_without_the_pixel_size_of_their_image_are_laid_on_it_with_a_click(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    bare_viewer.add_image(image, name="img", scale=(0.325, 0.325), translate=(10, 20))
    bare_viewer.add_labels(truth, name="lab")
    assert "‘lab’ has the size of ‘img’, but not its pixel size 0.325 × 0.325" in opened.said()
    opened.form.table.lines[0].findings.press("Lay ‘lab’ on ‘img’")
    read, known = opened.labels()
    assert known.all()
    np.testing.assert_array_equal(read[0], truth)


def test_labels_that_are_moved_onto_an_image_are_taken(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    bare_viewer.add_image(image, name="img")
    labels = bare_viewer.add_labels(truth, name="lab", translate=(500, 0))
    assert "‘lab’ lies beside ‘img’ along Y" in opened.said()
    labels.translate = (5, 0)
    assert opened.form.table.lines[0].labels == labels
    _, known = opened.labels()
    assert known[0, 5:].all()
    assert not known[0, :5].any()
    labels.translate = (0.5, 0)
    assert "0.5 pixels beside" in opened.said()


def test_labels_in_an_image_layer_are_named_and_converted(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    bare_viewer.add_image(image, name="img", scale=(0.5, 0.5))
    picture = bare_viewer.add_image(truth.astype(np.float32), name="lab", scale=(0.5, 0.5))
    assert "‘lab’ lies on ‘img’ and looks like labels, but is an Image layer" in opened.said()
    assert "Convert to Labels" in opened.said()
    opened.form.table.lines[0].findings.press("Convert ‘lab’ to Labels")
    read, known = opened.labels()
    assert known.all()
    np.testing.assert_array_equal(read[0], truth)
    assert not picture.visible


def test_another_image_is_not_taken_for_labels(
    opened: Opened, bare_viewer: Any, image: Any
) -> None:
    bare_viewer.add_image(image, name="img")
    bare_viewer.add_image(image[::-1], name="other")
    assert opened.said().startswith("There are no labels of ‘img’")


def test_a_dock_that_opens_later_takes_the_image_and_not_the_picture_of_its_labels(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any, qtbot: Any
) -> None:
    bare_viewer.add_image(image, name="img")
    bare_viewer.add_image(truth.astype(np.uint16), name="lab")  # the selected layer
    later = TrainForm(bare_viewer, lambda: None)
    qtbot.addWidget(later.native)
    later.start({})
    try:
        assert later.table.lines[0].image.name == "img"
    finally:
        later.close()


def test_previews_that_move_are_not_heard(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    bare_viewer.add_image(image, name="img")
    bare_viewer.add_labels(truth, name="lab")
    preview = bare_viewer.add_labels(truth, name="preview", metadata={RECORD_KEY: {"axes": "YX"}})
    before = opened.settle().table.content
    preview.translate = (3, 3)
    assert opened.form.table.content == before
    bare_viewer.layers["lab"].translate = (3, 3)
    assert opened.form.table.content != before


def test_labels_beside_channels_that_stand_after_time_are_taken(
    opened: Opened, bare_viewer: Any, image: Any, truth: Any
) -> None:
    from napari_unet.widgets.annotation.painting import new_labels

    series = np.stack([np.stack([image, image[::-1]])] * 3)
    layer = bare_viewer.add_image(series, name="series", axis_labels=("t", "c", "y", "x"))
    labels = new_labels(bare_viewer, layer, "TCYX")
    labels.data[1, 0] = truth
    labels.refresh()
    opened.form.table.lines[0].trust("all")
    read, known = opened.labels()
    assert known.all()
    np.testing.assert_array_equal(read[1], truth)
    bare_viewer.layers.remove(labels)
    # of some time points of one part, with an axis of length 1 in the place of the channels
    some = truth[None, None, 50:150]
    bare_viewer.add_labels(some, name="some", translate=(2, 0, 50, 0))
    opened.form.table.lines[0].trust("all")
    read, known = opened.labels()
    assert known[2, 50:150].all()
    assert known.sum() == some.size
    np.testing.assert_array_equal(read[2, 50:150], truth[50:150])
