"""Labels follow their settings: kept scores are decoded again, the network is not run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels

import napari_unet as nu
from napari_unet.model import Model
from napari_unet.samples import load_sample

PLUGIN = "napari-unet-torch"


@pytest.fixture
def dock(viewer: Any) -> Any:
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    return dock


@pytest.fixture
def segmented(dock: Any, viewer: Any, qtbot: Any) -> Any:
    """A dock that has segmented a part of the sample."""
    viewer.add_image(load_sample("nuclei_2d").image[:200, :240], name="nuclei")
    run(qtbot, dock)
    return dock


@pytest.fixture
def stack(dock: Any, viewer: Any, qtbot: Any) -> Any:
    """A dock that has segmented a small stack."""
    viewer.add_image(load_sample("nuclei_3d").image[8:16], name="stack", scale=(2, 0.5, 0.5))
    run(qtbot, dock)
    return dock


def run(qtbot: Any, dock: Any) -> None:
    assert dock.bar.run.enabled
    dock.bar.run.native.click()
    qtbot.waitUntil(lambda: not dock.runner.running, timeout=30_000)


def set_value(qtbot: Any, dock: Any, **values: Any) -> None:
    for name, value in values.items():
        dock.rows[name].editor.value = value
    qtbot.waitUntil(lambda: not dock.live.running, timeout=10_000)


def labels_of(viewer: Any) -> list[Labels]:
    return [layer for layer in viewer.layers if isinstance(layer, Labels)]


def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was run")

    monkeypatch.setattr("napari_unet.prediction.run_plan", fail)


def test_labels_follow_the_threshold_without_the_network(
    segmented: Any, viewer: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_network(monkeypatch)
    (labels,) = labels_of(viewer)
    before = labels.data
    assert "at once" in segmented.rows["threshold"].note
    set_value(qtbot, segmented, threshold=0.9, min_size=60)
    assert labels_of(viewer) == [labels]
    assert np.count_nonzero(labels.data) < np.count_nonzero(before)
    record = labels.metadata["napari_unet"]
    assert (record["settings"]["threshold"], record["settings"]["min_size"]) == (0.9, 60)
    assert f"{record['objects']} objects" in segmented.bar.message.value
    monkeypatch.undo()
    again = nu.segment(viewer.layers["nuclei"].data, "nuclei", threshold=0.9, min_size=60)
    np.testing.assert_array_equal(labels.data, again)


def test_nothing_left_is_said_to_be_empty(segmented: Any, viewer: Any, qtbot: Any) -> None:
    set_value(qtbot, segmented, min_size=100_000)
    assert labels_of(viewer)[0].data.max() == 0
    assert "No objects were found" in segmented.bar.message.value
    segmented.rows["min_size"].editor.value = None
    qtbot.waitUntil(lambda: not segmented.live.running, timeout=10_000)
    assert labels_of(viewer)[0].data.max() > 0


def test_the_plane_in_view_comes_first(
    stack: Any, viewer: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (labels,) = labels_of(viewer)
    viewer.dims.set_current_step(0, 5)
    before = labels.data.copy()
    seen: list[np.ndarray] = []
    monkeypatch.setattr(
        stack.live._whole_runner, "start", lambda *_: seen.append(labels.data.copy())
    )
    set_value(qtbot, stack, threshold=0.95)
    qtbot.waitUntil(lambda: bool(seen), timeout=10_000)
    changed = [z for z in range(8) if not np.array_equal(seen[0][z] > 0, before[z] > 0)]
    assert changed == [5]
    monkeypatch.undo()
    set_value(qtbot, stack, threshold=0.9)
    again = nu.segment(
        viewer.layers["stack"].data, "nuclei", axes="ZYX", threshold=0.9, pixel_size=(2, 0.5, 0.5)
    )
    np.testing.assert_array_equal(labels.data, again)


def test_a_painted_layer_stays_as_it_is(segmented: Any, viewer: Any, qtbot: Any) -> None:
    (labels,) = labels_of(viewer)
    labels.paint((5, 5), 999)
    kept = labels.data.copy()
    set_value(qtbot, segmented, threshold=0.9)
    assert len(labels_of(viewer)) == 2
    np.testing.assert_array_equal(labels.data, kept)
    set_value(qtbot, segmented, threshold=0.8)
    assert len(labels_of(viewer)) == 2  # the new one is renewed from now on


def test_scores_go_with_their_labels(segmented: Any, viewer: Any, qtbot: Any) -> None:
    viewer.layers.remove("nuclei labels")
    assert segmented.live.kept is None
    assert segmented.rows["threshold"].note == ""
    set_value(qtbot, segmented, threshold=0.9)
    assert labels_of(viewer) == []


def test_what_changes_the_scores_asks_for_a_run(segmented: Any, viewer: Any, qtbot: Any) -> None:
    (labels,) = labels_of(viewer)
    before = labels.data.copy()
    set_value(qtbot, segmented, flips=True, threshold=0.9)
    assert segmented.rows["threshold"].note == ""
    np.testing.assert_array_equal(labels.data, before)
    assert "Press Run" in segmented.bar.message.value
    set_value(qtbot, segmented, flips=False)  # the scores are those again
    assert labels.metadata["napari_unet"]["settings"]["threshold"] == 0.9


def test_the_scores_are_shown_on_request(segmented: Any, viewer: Any, qtbot: Any) -> None:
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
    run(qtbot, segmented)
    assert [layer.name for layer in viewer.layers] == names


def test_scores_too_large_for_memory_go_to_disk_and_are_removed(
    segmented: Any, viewer: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (labels,) = labels_of(viewer)
    expected = labels.data.copy()
    monkeypatch.setattr("napari_unet.widgets._request.Request._is_large", lambda _: True)
    run(qtbot, segmented)
    scratch = segmented.live.kept.outputs.scratch
    assert (Path(scratch.name) / "scores.zarr").is_dir()
    np.testing.assert_array_equal(labels.data, expected)
    set_value(qtbot, segmented, threshold=0.9)
    assert np.count_nonzero(labels.data) < np.count_nonzero(expected)
    viewer.layers.remove(labels)
    assert not Path(scratch.name).exists()


def test_fast_changes_end_with_the_last(segmented: Any, viewer: Any, qtbot: Any) -> None:
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
    from napari_unet.extent_prediction import decode_plane, iter_predict_extent
    from napari_unet.progress import drain

    sample = load_sample("nuclei_2d").image
    image = np.tile(sample, (-(-1024 // sample.shape[0]), -(-1024 // sample.shape[1])))
    found = drain(iter_predict_extent(image[:1024, :1024], "nuclei", device="cpu"))
    decode_plane(found)  # compiles
    times = []
    for _ in range(7):
        start = time.process_time()
        labels = decode_plane(found)
        times.append(time.process_time() - start)
    assert labels.max() > 200
    assert min(times) < 0.1


def test_semantic_results_have_the_colours_and_names_of_the_card(
    dock: Any, viewer: Any, qtbot: Any, make_model: Callable[..., Model], tmp_path: Any
) -> None:
    model = make_model(task="semantic", values=(0, 2, 5))
    (tmp_path / "models").mkdir()
    model.save(tmp_path / "models" / "random.safetensors")
    image = np.random.default_rng(0).integers(0, 200, (40, 50)).astype(np.uint8)
    viewer.add_image(image, name="slide")
    dock.reset_choices()
    dock.form.models.choose("random")
    assert not dock.rows["threshold"].native.isVisible()
    run(qtbot, dock)
    (labels,) = labels_of(viewer)
    np.testing.assert_array_equal(labels.data, nu.segment(image, model))
    for each in model.card.classes:
        if each.value:
            colour = labels.colormap.map(each.value)
            expected = [int(each.colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
            np.testing.assert_allclose(colour[:3], expected, atol=0.01)
            place = np.argwhere(labels.data == each.value)[0]
            assert each.name in labels.get_status(place)["value"] + str(
                labels._get_properties(place)
            )
    assert "%" in dock.bar.message.value
    run(qtbot, dock)
    assert labels_of(viewer) == [labels]


def test_a_regression_model_gives_images(
    dock: Any, viewer: Any, qtbot: Any, make_model: Callable[..., Model], tmp_path: Any
) -> None:
    model = make_model(task="regression")
    (tmp_path / "models").mkdir()
    model.save(tmp_path / "models" / "random.safetensors")
    image = np.random.default_rng(0).integers(0, 200, (40, 50)).astype(np.uint8)
    viewer.add_image(image, name="noisy", scale=(0.5, 0.5), units="um", rotate=30)
    dock.reset_choices()
    dock.form.models.choose("random")
    run(qtbot, dock)
    layer = viewer.layers["noisy random"]
    assert isinstance(layer, Image)
    np.testing.assert_allclose(layer.data, nu.predict(image, model).scores[0], rtol=1e-5)
    np.testing.assert_allclose(layer.scale, (0.5, 0.5))
    np.testing.assert_allclose(layer.rotate, viewer.layers["noisy"].rotate)
    assert layer.metadata["napari_unet"]["model"]["name"] == "random"
    assert "Values predicted" in dock.bar.message.value
