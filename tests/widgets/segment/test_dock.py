"""The dock "Segment" in a real window: what a microscopist does, and what can go wrong."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import QThreadPool

import napari_unet as nu
from napari_unet.errors import InputError
from napari_unet.progress import Progress
from napari_unet.samples import load_sample
from napari_unet.widgets.segment.roi_picker import PLANE, VIEW

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

    app = get_app_model()
    app.commands.execute_command(f"{PLUGIN}.nuclei_2d").result()
    image = viewer.layers["nuclei"]
    image.scale, image.translate, image.units = (0.5, 0.5), (3, 4), "um"
    titles = [str(item.command.title) for item in app.menus.get_menu("napari/layers/segment")]
    assert "Segment (U-Net)" in titles
    app.commands.execute_command(f"{PLUGIN}.segment").result()
    assert "Segment (U-Net)" in viewer.window.dock_widgets
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


def test_stack_is_linked_through_z(dock: Any, viewer: Any, run: Any, labels_of: Any) -> None:
    viewer.open_sample(PLUGIN, "nuclei_3d")
    assert dock.form.axes.value == "ZYX"
    assert dock.rows["axes"].note == ""  # the sample names its axes
    run(dock)
    (labels,) = labels_of(viewer)
    assert labels.data.shape == (31, 61, 57)
    planes = [set(np.unique(plane)) - {0} for plane in labels.data]
    assert any(a & b for a, b in itertools.pairwise(planes))


# Results


def test_an_empty_result_is_said_to_be_empty(
    dock: Any, viewer: Any, run: Any, labels_of: Any
) -> None:
    viewer.add_image(np.zeros((32, 32), np.uint8))
    run(dock)
    assert "No objects were found" in dock.bar.message.value
    assert "the image is constant" in dock.bar.message.value
    assert labels_of(viewer)[0].data.max() == 0


def test_the_result_is_the_one_of_the_api_and_is_renewed_while_nobody_touches_it(
    small: Any, viewer: Any, run: Any, labels_of: Any
) -> None:
    run(small)
    (labels,) = labels_of(viewer)
    settings = nu.SegmentSettings.model_validate(labels.metadata["napari_unet"]["settings"])
    again = nu.segment(viewer.layers["nuclei"].data, "nuclei", settings=settings)
    np.testing.assert_array_equal(labels.data, again)
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


def test_the_view_in_another_unit_than_the_viewers(
    dock: Any, viewer: Any, run: Any, labels_of: Any, movie: Any, qtbot: Any
) -> None:
    """The viewer counts in the smallest unit of all layers, here nanometres."""
    movie.units = ("second", "um", "um", "um")
    other = viewer.add_image(
        np.zeros((2, 4, 4)), scale=(1000, 1, 1), units=("nm",) * 3, name="small"
    )
    assert str(viewer.dims.units[-1]) == "nanometer"
    dock.form.images.choose(movie)
    dock.rows["object_diameter"].editor.value = 21
    viewer.dims.set_point(1, 14_000)  # the plane at 14 µm
    viewer.dims.set_current_step(0, 1)
    dock.form.roi_picker.region.value = PLANE
    run(dock)
    part = viewer.layers.selection.active
    assert part.data.shape == (2, 1, 72, 80)
    np.testing.assert_allclose(part.translate, (0, 14, 20, 30))
    # a part of the canvas: 20 pixels of the image, which are 10 µm, around (30 µm, 40 µm)
    viewer.scene.camera.center = (0, 30_000, 40_000)
    viewer.scene.camera.zoom = min(viewer.canvas.size) / 10_000
    dock.form.roi_picker.region.value = VIEW
    roi = dock.form.roi_picker.roi()
    size = np.array(viewer.canvas.size) / min(viewer.canvas.size) * 20
    for (start, stop), middle, length, most in zip(
        (roi.y, roi.x), (20, 20), size, (72, 80), strict=True
    ):
        assert abs(start - max(0, middle - length / 2)) <= 1.5
        assert abs(stop - min(most, middle + length / 2)) <= 2.5
    viewer.layers.remove(other)


# What can go wrong while it runs


def test_cancel_in_mid_run(
    small: Any, viewer: Any, qtbot: Any, run: Any, press: Any, finish: Any, labels_of: Any
) -> None:
    slow(small)
    press(small.bar.run)
    assert not small.bar.run.enabled
    qtbot.waitUntil(lambda: tiles_are_done(small), timeout=30_000)
    press(small.bar.cancel)
    finish(small)
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
        (InputError("⟨min_size⟩ is out", parameter="min_size"), "‘Min. size’ is out"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr("napari_unet.inference.segmentation.iter_run", breaking(error))
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
    qtbot.waitUntil(lambda: QThreadPool.globalInstance().activeThreadCount() == 0, timeout=20_000)
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
