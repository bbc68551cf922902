"""Labels follow their settings: the dock, without a window around it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Image

import napari_unet as nu
from napari_unet.errors import UNetError
from napari_unet.network.model import Model
from napari_unet.samples import load_sample

pytestmark = pytest.mark.windowless


def test_nothing_left_is_said_to_be_empty(
    segmented: Any, viewer: Any, qtbot: Any, labels_of: Any, set_value: Any
) -> None:
    set_value(segmented, min_size=100_000)
    assert labels_of(viewer)[0].data.max() == 0
    assert "No objects were found" in segmented.bar.message.value
    segmented.rows["min_size"].editor.value = None
    qtbot.waitUntil(lambda: not segmented.live.running, timeout=10_000)
    assert labels_of(viewer)[0].data.max() > 0


def test_the_plane_in_view_comes_first(
    stack: Any,
    viewer: Any,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
    labels_of: Any,
    set_value: Any,
) -> None:
    (labels,) = labels_of(viewer)
    viewer.dims.set_current_step(0, 5)
    before = labels.data.copy()
    seen: list[np.ndarray] = []
    monkeypatch.setattr(
        stack.live._whole_runner, "start", lambda *_: seen.append(labels.data.copy())
    )
    set_value(stack, threshold=0.95)
    qtbot.waitUntil(lambda: bool(seen), timeout=10_000)
    changed = [z for z in range(8) if not np.array_equal(seen[0][z] > 0, before[z] > 0)]
    assert changed == [5]
    monkeypatch.undo()
    set_value(stack, threshold=0.9)
    again = nu.segment(
        viewer.layers["stack"].data, "nuclei", axes="ZYX", threshold=0.9, pixel_size=(2, 0.5, 0.5)
    )
    np.testing.assert_array_equal(labels.data, again)


def test_scores_go_with_their_labels(
    segmented: Any, viewer: Any, labels_of: Any, set_value: Any
) -> None:
    viewer.layers.remove("nuclei labels")
    assert segmented.live.kept is None
    assert segmented.rows["threshold"].note == ""
    set_value(segmented, threshold=0.9)
    assert labels_of(viewer) == []


def test_what_changes_the_scores_asks_for_a_run(
    segmented: Any, viewer: Any, labels_of: Any, set_value: Any
) -> None:
    (labels,) = labels_of(viewer)
    before = labels.data.copy()
    set_value(segmented, flips=True, threshold=0.9)
    assert segmented.rows["threshold"].note == ""
    np.testing.assert_array_equal(labels.data, before)
    assert "Press Run" in segmented.bar.message.value
    set_value(segmented, flips=False)  # the scores are those again
    assert labels.metadata["napari_unet"]["settings"]["threshold"] == 0.9


def test_the_scores_are_shown_on_request(segmented: Any, viewer: Any, run: Any) -> None:
    segmented.form.scores.value = True
    names = [layer.name for layer in viewer.layers]
    assert names == ["nuclei distance", "nuclei foreground", "nuclei", "nuclei labels"]
    expected = nu.predict(viewer.layers["nuclei"].data, "nuclei").scores
    # the worker may run with another number of threads
    for name, scores in zip(("foreground", "distance"), expected, strict=True):
        np.testing.assert_allclose(viewer.layers[f"nuclei {name}"].data, scores, atol=1e-5)
    assert viewer.layers.selection.active.name == "nuclei labels"
    assert viewer.layers["nuclei foreground"].metadata["napari_unet"]["operation"] == "predict"
    segmented.form.scores.value = False
    assert [layer.name for layer in viewer.layers] == ["nuclei", "nuclei labels"]
    segmented.form.scores.value = True
    run(segmented)
    assert [layer.name for layer in viewer.layers] == names


def test_scores_too_large_for_memory_go_to_disk_and_are_removed(
    segmented: Any,
    viewer: Any,
    monkeypatch: pytest.MonkeyPatch,
    run: Any,
    labels_of: Any,
    set_value: Any,
) -> None:
    (labels,) = labels_of(viewer)
    expected = labels.data.copy()
    monkeypatch.setattr("napari_unet.widgets.segment.request.Request._is_large", lambda _: True)
    run(segmented)
    scratch = segmented.live.kept.outputs.scratch
    assert (scratch.path / "scores.zarr").is_dir()
    np.testing.assert_array_equal(labels.data, expected)
    set_value(segmented, threshold=0.9)
    assert np.count_nonzero(labels.data) < np.count_nonzero(expected)
    viewer.layers.remove(labels)
    assert not scratch.path.exists()


def test_fast_changes_end_with_the_last(
    segmented: Any, viewer: Any, qtbot: Any, labels_of: Any
) -> None:
    (labels,) = labels_of(viewer)
    for threshold in np.linspace(0.3, 0.9, 13):
        segmented.rows["threshold"].editor.value = float(threshold)
        qtbot.wait(5)
    qtbot.waitUntil(lambda: not segmented.live.running, timeout=10_000)
    assert labels.metadata["napari_unet"]["settings"]["threshold"] == pytest.approx(0.9)
    again = nu.segment(viewer.layers["nuclei"].data, "nuclei", threshold=0.9)
    np.testing.assert_array_equal(labels.data, again)


def test_a_plane_of_a_megapixel_is_decoded_in_a_tenth_of_a_second() -> None:
    """CPU time, which other programs do not stretch; the best of several."""
    from napari_unet.inference.roi import decode_plane
    from napari_unet.inference.segmentation import iter_run
    from napari_unet.progress import drain

    sample = load_sample("nuclei_2d").image
    image = np.tile(sample, (-(-1024 // sample.shape[0]), -(-1024 // sample.shape[1])))
    run = iter_run(image[:1024, :1024], "nuclei", labels=False, scores=True, device="cpu")
    found = drain(run).scores
    assert found is not None
    decode_plane(found)  # compiles
    times = []
    for _ in range(7):
        start = time.process_time()
        labels = decode_plane(found)
        times.append(time.process_time() - start)
    assert labels.max() > 200
    assert min(times) < 0.1


def test_a_regression_model_gives_images(
    dock: Any, viewer: Any, save_model: Callable[..., Model], run: Any
) -> None:
    model = save_model(task="regression")
    image = np.random.default_rng(0).integers(0, 200, (40, 50)).astype(np.uint8)
    viewer.add_image(image, name="noisy", scale=(0.5, 0.5), units="um", rotate=30)
    dock.reset_choices()
    dock.form.models.choose("random")
    run(dock)
    layer = viewer.layers["noisy random"]
    assert isinstance(layer, Image)
    np.testing.assert_allclose(layer.data, nu.predict(image, model).scores[0], rtol=1e-5)
    np.testing.assert_allclose(layer.scale, (0.5, 0.5))
    np.testing.assert_allclose(layer.rotate, viewer.layers["noisy"].rotate)
    assert layer.metadata["napari_unet"]["model"]["name"] == "random"
    assert "Values predicted" in dock.bar.message.value


# What can happen meanwhile


def test_the_image_changed_or_removed_while_labels_are_renewed(
    segmented: Any, viewer: Any, qtbot: Any, labels_of: Any, run: Any, set_value: Any, begin: Any
) -> None:
    (labels,) = labels_of(viewer)
    begin(segmented, threshold=0.9)
    viewer.layers["nuclei"].data = viewer.layers["nuclei"].data[:100, :120].copy()
    qtbot.waitUntil(lambda: not segmented.live.running, timeout=10_000)
    assert labels.data.shape == (200, 240)
    assert segmented.rows["threshold"].note == ""  # other pixels: the scores are no longer its
    set_value(segmented, threshold=0.5)
    assert labels.metadata["napari_unet"]["settings"]["threshold"] == 0.9
    run(segmented)
    newest = labels_of(viewer)[-1]
    assert newest.data.shape == (100, 120)
    begin(segmented, threshold=0.8)
    viewer.layers.remove("nuclei")
    qtbot.waitUntil(lambda: not segmented.live.running, timeout=10_000)
    assert "There is no image" in segmented.bar.message.value
    assert newest in viewer.layers


def test_a_renamed_layer_stays_as_it_is(
    segmented: Any, viewer: Any, qtbot: Any, labels_of: Any, begin: Any
) -> None:
    (labels,) = labels_of(viewer)
    kept = labels.data.copy()
    begin(segmented, threshold=0.9)
    labels.name = "mine"
    qtbot.waitUntil(lambda: not segmented.live.running, timeout=10_000)
    assert [layer.name for layer in labels_of(viewer)] == ["mine", "nuclei labels"]
    np.testing.assert_array_equal(labels.data, kept)


def test_two_docks_renew_the_same_labels_one_after_the_other(
    segmented: Any, open_dock: Any, viewer: Any, qtbot: Any, labels_of: Any, run: Any, begin: Any
) -> None:
    other = open_dock()
    run(other)
    (labels,) = labels_of(viewer)  # results outlive docks, and belong to their image
    counts = []
    for dock, threshold in ((segmented, 0.9), (other, 0.2)):
        begin(dock, threshold=threshold)
        qtbot.waitUntil(lambda dock=dock: not dock.live.running, timeout=10_000)
        assert labels_of(viewer) == [labels]
        assert labels.metadata["napari_unet"]["settings"]["threshold"] == threshold
        counts.append(np.count_nonzero(labels.data))
    assert counts[0] < counts[1]


def test_a_fault_is_not_talked_over(segmented: Any, qtbot: Any, begin: Any) -> None:
    begin(segmented, threshold=0.9)
    segmented.form.axes.value = "TZ"
    qtbot.waitUntil(lambda: not segmented.live.running, timeout=10_000)
    assert segmented.bar.message.value == segmented.rows["axes"].fault != ""


def test_cancel_at_once_and_run_again(
    segmented: Any, viewer: Any, press: Any, finish: Any, run: Any, labels_of: Any
) -> None:
    (labels,) = labels_of(viewer)
    before = labels.data.copy()
    press(segmented.bar.run)
    press(segmented.bar.cancel)
    assert not segmented.bar.run.enabled  # not before it has stopped
    finish(segmented)
    assert "Cancelled" in segmented.bar.message.value
    np.testing.assert_array_equal(labels.data, before)
    assert segmented.rows["threshold"].note != ""  # the scores before are still there
    run(segmented)
    assert labels_of(viewer) == [labels]


# What others do with the layers


def replace_data(layer: Any, data: np.ndarray) -> None:
    layer.data = data


def write_into_data(layer: Any, data: np.ndarray) -> None:
    layer.data[...] = data


@pytest.mark.parametrize("edit", [replace_data, write_into_data])
def test_an_edit_of_a_script_between_plane_and_whole_stays(
    stack: Any,
    viewer: Any,
    monkeypatch: pytest.MonkeyPatch,
    labels_of: Any,
    edit: Callable[[Any, np.ndarray], None],
    set_value: Any,
) -> None:
    (labels,) = labels_of(viewer)
    viewer.dims.set_current_step(0, 5)
    start = stack.live._whole_runner.start
    edited: list[np.ndarray] = []

    def edit_and_start(*arguments: Any) -> None:
        edited.append(np.where(labels.data > 0, 7, 0).astype(labels.data.dtype))
        edit(labels, edited[0].copy())
        start(*arguments)

    monkeypatch.setattr(stack.live._whole_runner, "start", edit_and_start)
    set_value(stack, threshold=0.9)
    np.testing.assert_array_equal(labels.data, edited[0])
    assert len(labels_of(viewer)) == 2


def test_data_replaced_where_the_checksum_does_not_look_stays(
    request: Any, viewer: Any, monkeypatch: pytest.MonkeyPatch, labels_of: Any, set_value: Any
) -> None:
    monkeypatch.setattr(
        "napari_unet.widgets.viewer.result_layers.COMPARED_BYTES", 200 * 240
    )  # every fourth row
    segmented = request.getfixturevalue("segmented")
    (labels,) = labels_of(viewer)
    edited = labels.data.copy()
    edited[101] = 999
    labels.data = edited.copy()
    set_value(segmented, threshold=0.9)
    np.testing.assert_array_equal(labels.data, edited)
    assert len(labels_of(viewer)) == 2


@pytest.mark.parametrize(
    ("what", "value"),
    [("rotate", 20), ("shear", [0.2]), ("affine", [[1, 0.1, 0], [0, 1, 0], [0, 0, 1]])],
)
def test_a_layer_that_was_turned_or_sheared_stays_as_it_is(
    segmented: Any, viewer: Any, labels_of: Any, what: str, value: Any, set_value: Any
) -> None:
    (labels,) = labels_of(viewer)
    kept = labels.data.copy()
    setattr(labels, what, value)
    set_value(segmented, threshold=0.9)
    assert len(labels_of(viewer)) == 2
    np.testing.assert_array_equal(labels.data, kept)


def test_labels_of_a_turned_image_are_renewed(
    dock: Any, viewer: Any, run: Any, labels_of: Any, set_value: Any
) -> None:
    image = load_sample("nuclei_2d").image[:100, :120]
    turned = {"rotate": 33, "shear": [0.3], "affine": [[1, 0.1, 2], [0, 1, 3], [0, 0, 1]]}
    viewer.add_image(image, name="nuclei", **turned)
    run(dock)
    set_value(dock, threshold=0.9)
    assert len(labels_of(viewer)) == 1


def test_scores_on_disk_are_shown_without_loading_them(
    on_disk: None, stack: Any, viewer: Any, run: Any
) -> None:
    stack.form.scores.value = True
    layer = viewer.layers["stack foreground"]
    assert not isinstance(layer.data, np.ndarray)
    folder = stack.live.kept.outputs.scratch.path
    scores = np.asarray(stack.live.kept.found.scores[0])
    np.testing.assert_array_equal(layer.data, scores)
    stack.form.scores.value = False
    stack.form.scores.value = True
    del layer
    gc.collect()
    np.testing.assert_array_equal(viewer.layers["stack foreground"].data, scores)
    stack.form.scores.value = False
    gc.collect()
    assert folder.is_dir()  # the labels still follow
    viewer.layers.remove("stack labels")
    assert not folder.exists()


# What fails


def fail(*_: Any, **__: Any) -> Any:
    raise UNetError("It did not work; try again.")


def test_a_plane_that_cannot_be_decoded_does_not_stop_the_whole(
    stack: Any, viewer: Any, monkeypatch: pytest.MonkeyPatch, labels_of: Any, set_value: Any
) -> None:
    (labels,) = labels_of(viewer)
    said: list[str] = []
    stack.bar.message.changed.connect(said.append)
    monkeypatch.setattr("napari_unet.inference.roi.decode_plane", fail)
    set_value(stack, threshold=0.9)
    assert labels.metadata["napari_unet"]["settings"]["threshold"] == 0.9
    assert not any("did not work" in text for text in said)


def test_a_plane_whose_whole_fails_is_put_back(
    stack: Any, viewer: Any, monkeypatch: pytest.MonkeyPatch, labels_of: Any, set_value: Any
) -> None:
    (labels,) = labels_of(viewer)
    viewer.dims.set_current_step(0, 5)
    before = labels.data.copy()
    planes: list[bool] = []
    start = stack.live._whole_runner.start

    def see(*arguments: Any) -> None:
        planes.append(np.array_equal(labels.data, before))
        if len(planes) == 2:
            start(*arguments)

    monkeypatch.setattr("napari_unet.inference.roi.iter_decode_roi", fail)
    monkeypatch.setattr(stack.live._whole_runner, "start", see)
    set_value(stack, threshold=0.95)
    set_value(stack, threshold=0.9)  # a second one before the whole follows
    assert planes == [False, False]
    np.testing.assert_array_equal(labels.data, before)
    assert "did not work" in stack.bar.message.value
    monkeypatch.undo()
    set_value(stack, threshold=0.8)
    assert labels_of(viewer) == [labels]
    assert labels.metadata["napari_unet"]["settings"]["threshold"] == 0.8


def test_a_large_plane_is_not_decoded_first(
    stack: Any, viewer: Any, monkeypatch: pytest.MonkeyPatch, labels_of: Any, set_value: Any
) -> None:
    asked: list[tuple[int, tuple[int, ...]]] = []
    planes: list[Any] = []

    def is_large(channels: int, shape: tuple[int, ...]) -> bool:
        asked.append((channels, shape))
        return True

    monkeypatch.setattr("napari_unet.inference.frames.is_large", is_large)
    monkeypatch.setattr(stack.live._plane_runner, "start", lambda *_: planes.append(None))
    set_value(stack, threshold=0.9)
    (labels,) = labels_of(viewer)
    assert set(asked) == {(2, labels.data.shape[1:])}
    assert not planes
    assert labels.metadata["napari_unet"]["settings"]["threshold"] == 0.9
