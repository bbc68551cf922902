"""Labels follow their settings: kept scores are decoded again, the network is not run."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QThreadPool

import napari_unet as nu
from napari_unet.inference import cost
from napari_unet.network.model import Model
from napari_unet.samples import load_sample

PLUGIN = "napari-unet-torch"


def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was run")

    monkeypatch.setattr("napari_unet.inference.single_frame.run_plan", fail)


def test_labels_follow_the_settings_in_their_colours_until_they_are_painted_on(
    segmented: Any,
    viewer: Any,
    monkeypatch: pytest.MonkeyPatch,
    labels_of: Any,
    set_value: Any,
    run: Any,
) -> None:
    with monkeypatch.context() as patch:
        no_network(patch)
        (labels,) = labels_of(viewer)
        before, looks = labels.data.copy(), colours_of(labels)
        assert "at once" in segmented.rows["threshold"].note
        set_value(segmented, threshold=0.9, min_size=60)
        assert labels_of(viewer) == [labels]
        assert np.count_nonzero(labels.data) < np.count_nonzero(before)
        record = labels.metadata["napari_unet"]
        assert (record["settings"]["threshold"], record["settings"]["min_size"]) == (0.9, 60)
        assert f"{record['objects']} objects" in segmented.bar.message.value
    again = nu.segment(viewer.layers["nuclei"].data, "nuclei", threshold=0.9, min_size=60)
    np.testing.assert_array_equal(labels.data, again)

    # objects keep their colours
    def flip() -> None:
        segmented.rows["flips"].editor.value = True
        run(segmented)  # into another layer

    renumbered = False
    for change in (lambda: None, lambda: set_value(segmented, threshold=0.4, min_size=0), flip):
        change()
        layer = labels_of(viewer)[-1]
        both = (before > 0) & (layer.data > 0)
        same = (looks[before[both]] == colours_of(layer)[layer.data[both]]).all(1)
        assert same.mean() > 0.97  # but for objects that were split or joined
        renumbered |= bool((before[both] != layer.data[both]).mean() > 0.5)
        before, looks = layer.data.copy(), colours_of(layer)
    assert renumbered

    # a layer that was painted on stays as it is
    layers = labels_of(viewer)
    layers[-1].paint((5, 5), 999)
    kept = layers[-1].data.copy()
    set_value(segmented, threshold=0.9)
    assert len(labels_of(viewer)) == len(layers) + 1
    np.testing.assert_array_equal(layers[-1].data, kept)
    set_value(segmented, threshold=0.8)
    assert len(labels_of(viewer)) == len(layers) + 1  # the new one is renewed from now on


def colours_of(layer: Any) -> np.ndarray:
    return np.array([[0] * 4, *map(layer.get_color, range(1, layer.data.max() + 1))])


def test_semantic_results_have_the_colours_and_names_of_the_card(
    dock: Any, viewer: Any, save_model: Callable[..., Model], run: Any, labels_of: Any
) -> None:
    model = save_model(task="semantic", values=(0, 2, 5))
    # patches, as noise alone has nothing to be seen
    image = np.random.default_rng(0).integers(0, 200, (10, 10)).astype(np.uint8)
    image = np.kron(image, np.ones((4, 5), np.uint8))
    viewer.add_image(image, name="slide")
    dock.reset_choices()
    dock.form.models.choose("random")
    assert not dock.rows["threshold"].native.isVisible()
    run(dock)
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
    run(dock)
    assert labels_of(viewer) == [labels]


# What can happen meanwhile


def no_thread_is_left(qtbot: Any) -> None:
    pool = QThreadPool.globalInstance()
    qtbot.waitUntil(lambda: pool.activeThreadCount() == 0, timeout=10_000)


def test_labels_removed_while_they_are_renewed_stay_away(
    segmented: Any, viewer: Any, qtbot: Any, labels_of: Any, run: Any, begin: Any
) -> None:
    begin(segmented, threshold=0.9)
    viewer.layers.remove("nuclei labels")
    assert not segmented.live.running
    no_thread_is_left(qtbot)
    qtbot.wait(50)
    assert labels_of(viewer) == []
    run(segmented)
    assert len(labels_of(viewer)) == 1


def test_closing_the_viewer_while_labels_are_renewed(
    stack: Any, viewer: Any, qtbot: Any, begin: Any
) -> None:
    begin(stack, threshold=0.9)
    viewer.close()
    no_thread_is_left(qtbot)


def test_closing_the_dock_while_labels_are_renewed(
    stack: Any, viewer: Any, qtbot: Any, labels_of: Any, begin: Any
) -> None:
    begin(stack, threshold=0.9)
    viewer.window.remove_dock_widget("all")
    no_thread_is_left(qtbot)
    assert len(labels_of(viewer)) == 1
    viewer.layers.clear()  # nobody listens who is gone


def test_an_estimate_of_what_is_gone_is_not_shown(
    dock: Any, viewer: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimate, begun, go_on = cost.estimate_cost, threading.Event(), threading.Event()

    def wait(*arguments: Any, **options: Any) -> cost.CostEstimate:
        begun.set()
        assert go_on.wait(90)
        return estimate(*arguments, **options)

    layer = viewer.add_image(load_sample("nuclei_2d").image[:64, :64])
    qtbot.waitUntil(lambda: dock.bar.cost.value != "", timeout=60_000)
    monkeypatch.setattr(cost, "estimate_cost", wait)
    layer.scale = (2, 2)
    qtbot.waitUntil(begun.is_set)
    viewer.layers.remove(layer)
    go_on.set()
    no_thread_is_left(qtbot)
    qtbot.wait(400)
    assert dock.bar.cost.value == ""
    begun.clear()
    go_on.clear()
    viewer.add_image(layer.data)
    qtbot.waitUntil(begun.is_set)
    viewer.close()
    go_on.set()
    no_thread_is_left(qtbot)


# What others do with the layers


def remove_selected(layers: Any) -> None:
    layers.select_all()
    layers.remove_selected()


def remove_all(layers: Any) -> None:
    del layers[:]


def test_all_layers_can_be_removed_at_once(
    segmented: Any, viewer: Any, qtbot: Any, run: Callable[[Any], None]
) -> None:
    pixels = viewer.layers["nuclei"].data
    for remove in (remove_selected, remove_all):
        if not viewer.layers:
            viewer.add_image(pixels, name="nuclei")
            run(segmented)
        segmented.form.scores.value = True
        assert len(viewer.layers) == 4
        remove(viewer.layers)
        qtbot.wait(20)
        assert len(viewer.layers) == 0
        assert segmented.live.kept is None


def test_scores_shown_go_with_their_labels_unless_the_dock_is_closed(
    on_disk: None, segmented: Any, viewer: Any, qtbot: Any, run: Any
) -> None:
    segmented.form.scores.value = True
    folder = segmented.live.kept.outputs.scratch.path
    viewer.layers.remove("nuclei labels")
    run(segmented)  # may show others before the ones are gone
    assert not folder.exists()
    names = ["nuclei distance", "nuclei foreground", "nuclei", "nuclei labels"]
    assert [layer.name for layer in viewer.layers] == names
    viewer.layers.remove("nuclei labels")
    viewer.window.remove_dock_widget("all")
    qtbot.wait(20)
    assert viewer.layers["nuclei foreground"].data.max().compute() > 0.5


def test_removed_layers_are_not_held(
    segmented: Any, viewer: Any, qtbot: Any, labels_of: Any
) -> None:
    segmented.form.scores.value = True
    layers = [viewer.layers["nuclei foreground"], *labels_of(viewer)]
    gone = [weakref.ref(layer) for layer in layers]
    for layer in layers:
        viewer.layers.remove(layer)
    del layers, layer
    qtbot.wait(50)
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_values_on_disk_last_as_long_as_their_layer(
    on_disk: None,
    dock: Any,
    viewer: Any,
    qtbot: Any,
    save_model: Callable[..., Model],
    run: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    model = save_model(task="regression")
    image = np.random.default_rng(0).integers(0, 200, (40, 50)).astype(np.uint8)
    viewer.add_image(image, name="noisy")
    dock.reset_choices()
    dock.form.models.choose("random")
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))

    def folders() -> int:
        qtbot.wait(50)
        gc.collect()
        return len(list((tmp_path / "scratch").glob(".*.partial")))

    run(dock)
    run(dock)
    viewer.window.remove_dock_widget("all")
    assert folders() == 2
    expected = nu.predict(image, model).scores[0]
    for name in ("noisy random", "noisy random [1]"):
        assert not isinstance(viewer.layers[name].data, np.ndarray)
        np.testing.assert_allclose(viewer.layers[name].data, expected, rtol=1e-5)
    viewer.layers.remove("noisy random")
    assert folders() == 1
    viewer.layers.clear()
    assert folders() == 0
