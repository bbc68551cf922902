"""What becomes of the earlier results of an image when there is a new one."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from napari.layers import Image

from napari_unet.progress import Progress
from napari_unet.samples import load_sample
from napari_unet.widgets.segment import live_decoding

pytestmark = pytest.mark.windowless


def seen(layers: list[Any]) -> list[tuple[str, bool]]:
    return [(layer.name, layer.visible) for layer in layers]


def test_a_new_result_hides_the_one_before_and_keeps_it(
    segmented: Any, viewer: Any, run: Any, labels_of: Any
) -> None:
    (first,) = labels_of(viewer)
    kept, record = first.data.copy(), first.metadata["napari_unet"]
    segmented.rows["flips"].editor.value = True
    run(segmented)
    assert seen(labels_of(viewer)) == [("nuclei labels", False), ("nuclei labels [1]", True)]
    np.testing.assert_array_equal(first.data, kept)
    assert first.metadata["napari_unet"] == record
    second = labels_of(viewer)[-1]
    assert second.metadata["napari_unet"]["settings"]["flips"] is True
    assert viewer.layers.selection.active == second
    first.visible = True  # to compare: the next result is seen alone again
    segmented.rows["flips"].editor.value = False
    segmented.rows["object_diameter"].editor.value = 9.0
    run(segmented)
    assert [visible for _, visible in seen(labels_of(viewer))] == [False, False, True]


def test_an_edited_result_stays_in_sight(
    segmented: Any, viewer: Any, run: Any, labels_of: Any
) -> None:
    (first,) = labels_of(viewer)
    first.paint((5, 5), 999)
    segmented.rows["flips"].editor.value = True
    run(segmented)
    assert [visible for _, visible in seen(labels_of(viewer))] == [True, True]
    assert first.data[5, 5] == 999


def test_the_same_run_again_renews_its_layer(
    segmented: Any, viewer: Any, run: Any, labels_of: Any, set_value: Any
) -> None:
    (first,) = labels_of(viewer)
    run(segmented)
    set_value(segmented, threshold=0.8)
    run(segmented)
    assert labels_of(viewer) == [first]
    assert first.metadata["napari_unet"]["settings"]["threshold"] == 0.8


def test_a_threshold_that_goes_and_comes_back_renews_its_layer(
    stack: Any, viewer: Any, qtbot: Any, labels_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = labels_of(viewer)
    found = first.data.copy()
    decode_whole, go_on = live_decoding._whole_job, threading.Event()

    def wait_for_the_first(scores: Any, settings: Any) -> Any:
        if settings.threshold == 0.99:
            yield Progress(0, 1, "waiting")
            assert go_on.wait(90)
        return (yield from decode_whole(scores, settings))

    monkeypatch.setattr(live_decoding, "_whole_job", wait_for_the_first)
    threshold = stack.rows["threshold"].editor
    threshold.value = 0.99
    qtbot.waitUntil(lambda: not np.array_equal(first.data, found))  # the plane in view
    threshold.value = None
    qtbot.waitUntil(lambda: not stack.live.running)
    go_on.set()
    assert labels_of(viewer) == [first]
    np.testing.assert_array_equal(first.data, found)


def test_labels_of_a_hyperstack_are_renewed(
    dock: Any, viewer: Any, run: Any, labels_of: Any
) -> None:
    image = load_sample("nuclei_2d").image[:64, :80]
    names = ("t", "c", "y", "x")
    viewer.add_image(np.stack([[image, image // 2]] * 2), name="cells", axis_labels=names)
    dock.form.axes.value, dock.form.channels.value = "TCYX", "0"
    run(dock)
    run(dock)
    assert seen(labels_of(viewer)) == [("cells labels", True)]


def test_pixels_that_changed_make_another_result(
    segmented: Any, viewer: Any, run: Any, labels_of: Any
) -> None:
    (first,) = labels_of(viewer)
    kept = first.data.copy()
    image = viewer.layers["nuclei"]
    image.data = image.data[::-1].copy()  # whose intensity limits are the same
    run(segmented)
    np.testing.assert_array_equal(first.data, kept)
    assert seen(labels_of(viewer)) == [("nuclei labels", False), ("nuclei labels [1]", True)]


def test_results_of_other_parts_and_images_stay_in_sight(
    dock: Any, viewer: Any, run: Any, labels_of: Any
) -> None:
    image = load_sample("nuclei_2d").image[:90, :200]
    viewer.add_image(image, name="cells")
    shapes = viewer.add_shapes(name="part")
    for left in (0, 120, 30):
        shapes.data = [[[0, left], [0, left + 60], [80, left + 60], [80, left]]]
        dock.reset_choices()
        dock.form.roi_picker.region.value = shapes
        run(dock)
    assert [visible for _, visible in seen(labels_of(viewer))] == [False, True, True]
    other = viewer.add_image(image, name="others")
    dock.form.images.choose(other)
    dock.form.roi_picker.region.value = "Whole image"
    run(dock)
    assert [visible for _, visible in seen(labels_of(viewer))] == [False, True, True, True]


def test_values_take_the_place_of_earlier_ones(
    dock: Any, viewer: Any, save_model: Any, run: Any, press: Any, finish: Any
) -> None:
    save_model(task="regression")
    image = np.random.default_rng(0).integers(0, 200, (40, 50)).astype(np.uint8)
    viewer.add_image(image, name="noisy")
    dock.reset_choices()
    dock.form.models.choose("random")
    run(dock)
    run(dock)
    press(dock.bar.preview)
    finish(dock)
    values = [layer for layer in viewer.layers if isinstance(layer, Image)][1:]
    assert [visible for _, visible in seen(values)] == [False, True, True]


def test_results_of_a_closed_dock_are_replaced_by_the_next_one(
    open_dock: Any, viewer: Any, run: Any, labels_of: Any, press: Any, finish: Any
) -> None:
    viewer.add_image(load_sample("nuclei_2d").image[:200, :240], name="nuclei")
    first = open_dock()
    run(first)
    (kept,) = labels_of(viewer)
    first.form.images.choose(viewer.layers["nuclei"])
    press(first.bar.preview)
    finish(first)
    first.native.setParent(None)  # this is how the viewer closes one
    second = open_dock()
    second.rows["flips"].editor.value = True
    run(second)
    assert seen(labels_of(viewer)) == [("nuclei labels", False), ("nuclei labels [1]", True)]
    assert second.results.image_of(kept) is viewer.layers["nuclei"]
    # what was painted on meanwhile stays in sight, and what is gone is not held
    newer = labels_of(viewer)[-1]
    newer.paint((5, 5), 999)
    viewer.layers.remove(kept)
    third = open_dock()
    third.rows["flips"].editor.value = False
    run(third)
    assert [visible for _, visible in seen(labels_of(viewer))] == [True, True]
