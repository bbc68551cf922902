"""The dock "Segment" in a real window: what a microscopist does, and what can go wrong."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import QPoint, QThreadPool

import napari_unet as nu
from napari_unet.errors import InputError
from napari_unet.progress import Progress
from napari_unet.samples import load_sample

PLUGIN = "napari-unet-torch"


@pytest.fixture
def small(dock: Any, viewer: Any) -> Any:
    """A dock with a part of the sample, fast to segment."""
    viewer.add_image(load_sample("nuclei_2d").image[:128, :160], name="nuclei")
    return dock


def slow(dock: Any) -> None:
    """A hundred tiny tiles with their halo: seconds, in small steps."""
    dock.rows["tile"].editor.value = 1


def tiles_are_done(dock: Any) -> bool:
    return dock.bar.progress.value > 1


# The way of a newcomer


def test_from_the_menu_to_labels(viewer: Any, run: Any, labels_of: Any) -> None:
    from napari._app_model import get_app_model

    commands = get_app_model().commands
    commands.execute_command(f"{PLUGIN}.nuclei_2d").result()
    image = viewer.layers["nuclei"]
    image.scale, image.translate, image.units = (0.5, 0.5), (3, 4), "um"
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    assert dock.form.axes.value == "YX"
    assert dock.form.pixel_size.value == "Y 0.5 × X 0.5 µm"

    run(dock)

    (labels,) = labels_of(viewer)
    sample = load_sample("nuclei_2d")
    np.testing.assert_allclose(labels.scale, (0.5, 0.5))
    np.testing.assert_allclose(labels.translate, (3, 4))
    assert labels.units == image.units
    assert labels.axis_labels == ("y", "x")
    assert labels.data.dtype == np.int32
    assert labels.data.shape == sample.image.shape
    scores = nu.evaluate(labels.data, sample.truth, task="instance")
    assert scores.ap[0.5] > 0.5
    found, count = len(np.unique(labels.data)) - 1, len(np.unique(sample.truth)) - 1
    assert 0.7 * count < found < 1.3 * count
    assert dock.bar.message.value.startswith(f"{found} objects in ")
    record = labels.metadata["napari_unet"]
    assert record["model"]["name"] == "nuclei"
    assert record["objects"] == found
    assert record["pixel_size"] == [0.5, 0.5]


def test_the_dock_is_in_the_menu_of_layers(viewer: Any) -> None:
    from napari._app_model import get_app_model

    app = get_app_model()
    titles = [str(item.command.title) for item in app.menus.get_menu("napari/layers/segment")]
    assert "Segment (U-Net)" in titles
    app.commands.execute_command(f"{PLUGIN}.segment").result()
    assert "Segment (U-Net)" in viewer.window.dock_widgets


def test_stack_is_linked_through_z(dock: Any, viewer: Any, run: Any, labels_of: Any) -> None:
    viewer.open_sample(PLUGIN, "nuclei_3d")
    assert dock.form.axes.value == "ZYX"
    assert dock.rows["axes"].note == ""  # the sample names its axes
    run(dock)
    (labels,) = labels_of(viewer)
    assert labels.data.shape == (31, 61, 57)
    planes = [set(np.unique(plane)) - {0} for plane in labels.data]
    assert any(a & b for a, b in itertools.pairwise(planes))


# What stands in the form


def test_without_an_image_the_dock_says_what_to_do(dock: Any) -> None:
    assert not dock.bar.run.enabled
    assert "Open Sample" in dock.rows["image"].fault
    assert "Open Sample" in dock.bar.message.value


def test_an_image_that_is_gone_leaves_nothing_in_the_form(dock: Any, viewer: Any) -> None:
    viewer.add_image(np.zeros((5, 32, 32)))
    dock.native.show()
    assert dock.form.axes.value == "ZYX"
    assert dock.form.extents.planes.size == 5
    viewer.layers.clear()
    assert dock.form.axes.value == ""
    assert dock.form.extents.planes.size == 1
    assert "Open Sample" in dock.rows["image"].fault
    viewer.add_image(np.zeros((4, 32, 32)))
    assert dock.form.axes.value == "ZYX"
    assert dock.form.extents.planes.size == 4


def test_a_foreign_distribution_is_noticed(viewer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "napari_unet.widgets.segment.foreign_distribution", lambda: "another project's files"
    )
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    viewer.add_image(np.zeros((32, 32)))
    assert "another project's files" in dock.bar.message.value


def test_doubt_about_the_axes_stands_beside_the_field(dock: Any, viewer: Any) -> None:
    viewer.add_image(np.zeros((5, 32, 32)))
    assert dock.form.axes.value == "ZYX"
    assert "may be Z or T" in dock.rows["axes"].note
    assert dock.rows["axes"].fault == ""
    dock.form.axes.value = "TYX"
    assert dock.rows["axes"].note == ""
    assert dock.bar.run.enabled
    assert dock.form.pixel_size.value == "unknown"


def test_wrong_axes_are_told_beside_the_field(dock: Any, viewer: Any) -> None:
    viewer.add_image(np.zeros((5, 32, 32)))
    for axes, words in (
        ("TZX", "must contain Y and X"),
        ("YX", "one letter per axis"),
        ("QYX", "at most once"),
        ("", "one letter per axis"),
    ):
        dock.form.axes.value = axes
        assert words in dock.rows["axes"].fault
        assert words in dock.bar.message.value
        assert "border" in dock.form.axes.native.styleSheet()
        assert not dock.bar.run.enabled
        dock.form.axes.value = "ZYX"
        assert dock.rows["axes"].fault == ""
        assert dock.form.axes.native.styleSheet() == ""
        assert dock.bar.run.enabled


def test_wrong_channels_are_told_beside_the_field(
    dock: Any, viewer: Any, run: Any, labels_of: Any
) -> None:
    viewer.add_image(np.zeros((32, 33, 3), np.uint8), rgb=True)
    assert dock.form.axes.value == "YXC"
    assert "channels 0 to 2" in dock.rows["channels"].note
    for channels, words in (
        ("3", "no channel 3"),
        ("red", "must be numbers"),
        ("0, 1", "takes 1"),
        ("", "must be numbers"),
    ):
        dock.form.channels.value = channels
        assert words in dock.rows["channels"].fault
        assert not dock.bar.run.enabled
    dock.form.channels.value = "1"
    run(dock)
    (labels,) = labels_of(viewer)
    assert labels.data.shape == (32, 33)
    assert labels.metadata["napari_unet"]["channels"] == [1]


def test_typed_axes_stay_for_their_layer_only(dock: Any, viewer: Any) -> None:
    first = viewer.add_image(np.zeros((5, 32, 32)), name="first")
    dock.form.axes.value = "TYX"
    second = viewer.add_image(np.zeros((32, 32)), name="second")
    first.name = "renamed"
    assert dock.form.axes.value == "TYX"
    dock.form.images.choose(second)
    assert dock.form.axes.value == "YX"


def test_the_layer_is_read_anew_when_it_changes(dock: Any, viewer: Any) -> None:
    layer = viewer.add_image(np.zeros((5, 32, 32)))
    layer.units = ("um", "um", "um")
    layer.scale = (2, 0.5, 0.5)
    assert dock.form.pixel_size.value == "Z 2 × Y 0.5 × X 0.5 µm"
    layer.axis_labels = ("t", "y", "x")
    assert dock.form.axes.value == "TYX"
    assert dock.form.pixel_size.value == "Y 0.5 × X 0.5 µm"


def test_unfit_images_leave_the_dock_usable(
    dock: Any, viewer: Any, run: Any, labels_of: Any
) -> None:
    nan = np.ones((32, 32), np.float32)
    nan[3, 4] = np.nan
    viewer.add_image(np.zeros((1, 1, 2, 2, 8, 8)), name="six axes")
    assert "axes" in dock.bar.message.value
    assert not dock.bar.run.enabled
    dock.form.images.choose(viewer.add_image(nan, name="nan"))
    run(dock)
    assert "NaN" in dock.bar.message.value
    dock.form.images.choose(viewer.add_image(np.zeros((1, 1)), name="tiny"))
    run(dock)
    assert labels_of(viewer)[0].data.shape == (1, 1)


def test_every_field_has_a_tooltip_and_nothing_is_clipped(
    dock: Any, viewer: Any, qtbot: Any
) -> None:
    viewer.add_image(np.zeros((5, 32, 33, 3), np.uint8), rgb=True, name="a very long name " * 5)
    dock.form.more.native.click()
    for row in dock.rows.values():
        assert row.editor.tooltip
        assert row.label.toolTip()
    for button in (
        dock.bar.run,
        dock.bar.preview,
        dock.bar.cancel,
        dock.form.more,
        dock.form.defaults,
    ):
        assert button.tooltip
    native = dock.native
    native.setParent(None)
    native.resize(350, 700)
    native.show()
    qtbot.waitExposed(native)
    visible = [row for row in dock.rows.values() if row.native.isVisible()]
    assert len(visible) > 15
    for row in visible:
        editor = row.editor.native
        right = editor.mapTo(native, QPoint(editor.width(), 0)).x()
        assert right <= 350, row.label.text()
        assert editor.width() >= editor.minimumSizeHint().width(), row.label.text()
    for button in (dock.bar.run, dock.bar.preview, dock.bar.cancel):
        corner = button.native.mapTo(native, QPoint(button.native.width(), button.native.height()))
        assert corner.x() <= 350
        assert corner.y() <= 700
    native.close()
    native.deleteLater()


def test_settings_are_kept_for_the_next_dock(
    small: Any, viewer: Any, qtbot: Any, run: Any, labels_of: Any
) -> None:
    small.rows["threshold"].editor.value = 0.35
    small.rows["flips"].editor.value = True
    assert "(1 changed)" in small.form.more.text
    run(small)
    from napari_unet.widgets.segment import SegmentWidget

    other = SegmentWidget(viewer)
    qtbot.waitUntil(lambda: not other._warm_up.running)
    assert other.rows["threshold"].editor.value == 0.35
    assert other.rows["flips"].editor.value is True
    other.form.defaults.native.click()
    assert other.rows["threshold"].editor.value is None
    other.native.close()
    other.native.deleteLater()
    (labels,) = labels_of(viewer)
    assert labels.metadata["napari_unet"]["settings"]["threshold"] == 0.35


# Results


def test_an_empty_result_is_said_to_be_empty(
    dock: Any, viewer: Any, run: Any, labels_of: Any
) -> None:
    viewer.add_image(np.zeros((32, 32), np.uint8))
    run(dock)
    assert "No objects were found" in dock.bar.message.value
    assert "the image is constant" in dock.bar.message.value
    assert labels_of(viewer)[0].data.max() == 0


def test_the_result_is_the_one_of_the_api(
    small: Any, viewer: Any, run: Any, labels_of: Any
) -> None:
    run(small)
    (labels,) = labels_of(viewer)
    settings = nu.SegmentSettings.model_validate(labels.metadata["napari_unet"]["settings"])
    again = nu.segment(viewer.layers["nuclei"].data, "nuclei", settings=settings)
    np.testing.assert_array_equal(labels.data, again)


def test_an_untouched_result_is_renewed(small: Any, viewer: Any, run: Any, labels_of: Any) -> None:
    run(small)
    (labels,) = labels_of(viewer)
    labels.opacity = 0.3
    small.rows["threshold"].editor.value = 0.9
    run(small)
    assert labels_of(viewer) == [labels]
    assert labels.opacity == 0.3
    assert labels.metadata["napari_unet"]["settings"]["threshold"] == 0.9


def paint(labels: Labels) -> None:
    labels.paint((5, 5), 77)


def rename(labels: Labels) -> None:
    labels.name = "mine"


def edit_in_place(labels: Labels) -> None:
    labels.data[0, 0] += 1


def test_a_touched_result_is_never_overwritten(
    small: Any, viewer: Any, run: Any, labels_of: Any
) -> None:
    for count, touch in enumerate((paint, rename, edit_in_place), start=1):
        run(small)
        newest = labels_of(viewer)[-1]
        assert len(labels_of(viewer)) == count
        touch(newest)
        kept = newest.data.copy()
        run(small)
        assert len(labels_of(viewer)) == count + 1
        np.testing.assert_array_equal(newest.data, kept)


def test_preview_is_what_the_run_gives_there(
    dock: Any, viewer: Any, run: Any, press: Any, finish: Any, labels_of: Any
) -> None:
    image = load_sample("nuclei_2d").image[:256, :300]
    stack = np.stack([image // 2, image, image // 4])
    viewer.add_image(stack, name="stack", scale=(3, 0.5, 0.5))
    dock.rows["volume_mode"].editor.value = "slices"
    viewer.dims.set_current_step(0, 1)
    layer = viewer.layers["stack"]
    layer.corner_pixels = np.array([[1, 80, 90], [1, 179, 209]])
    press(dock.bar.preview)
    finish(dock)
    (preview,) = labels_of(viewer)
    assert preview.data.shape == (1, 100, 120)
    np.testing.assert_allclose(preview.translate, (3, 40, 45))
    assert not preview.editable
    assert dock.bar.message.value.startswith("Preview of 100 × 120 pixels: ")

    run(dock)
    (labels,) = labels_of(viewer)  # the preview has given way
    whole = labels.data[1, 80:180, 90:210]
    assert np.mean((whole > 0) == (preview.data[0] > 0)) > 0.995


# What can go wrong while it runs


def test_cancel_in_mid_run(
    small: Any, viewer: Any, qtbot: Any, run: Any, press: Any, finish: Any, labels_of: Any
) -> None:
    slow(small)
    press(small.bar.run)
    assert not small.bar.run.enabled
    qtbot.waitUntil(lambda: tiles_are_done(small), timeout=30_000)
    start = time.monotonic()
    press(small.bar.cancel)
    finish(small)
    assert time.monotonic() - start < 5
    assert labels_of(viewer) == []
    assert "Cancelled" in small.bar.message.value
    assert not small.bar.cancel.enabled
    small.rows["tile"].editor.value = "auto"
    run(small)
    assert len(labels_of(viewer)) == 1


def test_errors_in_the_worker_are_told_in_words(
    small: Any, viewer: Any, monkeypatch: pytest.MonkeyPatch, run: Any, labels_of: Any
) -> None:
    for error, words in (
        (RuntimeError("the kernel broke"), "the kernel broke"),
        (MemoryError(), "not enough memory"),
        (ValueError("a strange value"), "a strange value"),
        (InputError("min_size is out of this world."), "Min. size is out"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr("napari_unet.extent_prediction.iter_predict_extent", breaking(error))
            run(small)
        assert words in small.bar.message.value
        assert (words in small.rows["min_size"].fault) == isinstance(error, InputError)
        assert labels_of(viewer) == []
    run(small)
    assert len(labels_of(viewer)) == 1


def breaking(error: Exception) -> Callable[..., Generator[Progress, None, None]]:
    def job(*arguments: Any, **options: Any) -> Generator[Progress, None, None]:
        yield Progress(0, 2, "breaking")
        raise error

    return job


def test_closing_the_viewer_in_mid_run_ends_the_worker(
    small: Any, viewer: Any, qtbot: Any, press: Any
) -> None:
    slow(small)
    press(small.bar.run)
    qtbot.waitUntil(lambda: tiles_are_done(small), timeout=30_000)
    viewer.close()
    qtbot.waitUntil(lambda: QThreadPool.globalInstance().activeThreadCount() == 0, timeout=10_000)


def test_closing_the_dock_in_mid_run_ends_the_worker(
    small: Any, viewer: Any, qtbot: Any, press: Any, labels_of: Any
) -> None:
    slow(small)
    press(small.bar.run)
    qtbot.waitUntil(lambda: tiles_are_done(small), timeout=30_000)
    viewer.window.remove_dock_widget("all")
    qtbot.waitUntil(lambda: QThreadPool.globalInstance().activeThreadCount() == 0, timeout=3000)
    assert labels_of(viewer) == []
    viewer.add_image(np.zeros((4, 4)))  # nobody listens who is gone


def test_deleting_the_image_in_mid_run_keeps_the_result(
    small: Any, viewer: Any, run: Any, press: Any, finish: Any, labels_of: Any
) -> None:
    small.rows["tile"].editor.value = 64
    press(small.bar.run)
    viewer.layers.remove("nuclei")
    finish(small)
    (labels,) = labels_of(viewer)
    assert labels.name == "nuclei labels"
    assert "objects in" in small.bar.message.value
    assert not small.bar.run.enabled
    viewer.add_image(load_sample("nuclei_2d").image[:64, :64])
    run(small)
    assert len(labels_of(viewer)) == 2


def test_two_docks_at_once(
    small: Any, viewer: Any, press: Any, finish: Any, labels_of: Any
) -> None:
    from napari_unet.widgets.segment import SegmentWidget

    other = SegmentWidget(viewer)
    viewer.window.add_dock_widget(other, name="other")
    press(small.bar.run)
    press(other.bar.run)
    finish(small)
    finish(other)
    assert len(labels_of(viewer)) == 2
