"""The parts of the dock together: channels, regions, measuring, models, cost; without a window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import napari_unet as nu
from napari_unet.network.precision import choose_precision, device_capability
from napari_unet.samples import load_sample
from napari_unet.widgets.segment.image_picker import PER_CHANNEL
from napari_unet.widgets.segment.roi_picker import PLANE, TIME, WHOLE

pytestmark = pytest.mark.windowless


@pytest.fixture(scope="module")
def nuclei() -> np.ndarray:
    """A part of the sample, uint8."""
    return load_sample("nuclei_2d").image[:160, :192]


def agree(a: Any, b: Any) -> bool:
    """Whether two labellings have the same foreground, but for a few pixels."""
    return bool(a.shape == b.shape and np.mean((a > 0) == (b > 0)) > 0.99)


# Channels


def test_one_layer_per_channel_in_the_order_picked(
    dock: Any, viewer: Any, run: Any, labels_of: Any, nuclei: np.ndarray, save_model: Any
) -> None:
    model = save_model("two", in_channels=2)
    viewer.add_image(nuclei[:64, :64], name="channel 1", scale=(2, 2), translate=(5, 6))
    viewer.add_image(nuclei[64:128, :64], name="channel 0", scale=(2, 2), translate=(5, 6))
    dock.reset_choices()
    dock.form.models.choose("two")
    dock.form.images.image.value = PER_CHANNEL
    first, second = dock.form.images.editors
    assert (first.value.name, second.value.name) == ("channel 0", "channel 1")  # by their names
    results = []
    for _ in range(2):
        run(dock)
        labels = viewer.layers.selection.active
        expected = nu.segment([first.value.data, second.value.data], model)
        np.testing.assert_array_equal(labels.data, expected)
        np.testing.assert_allclose(labels.translate, (5, 6))
        assert "channel" in labels.name
        results.append(labels.data)
        first.value, second.value = second.value, first.value
    assert not np.array_equal(*results)


# Regions


def test_a_polygon_is_the_cut_of_the_whole(
    dock: Any, viewer: Any, run: Any, labels_of: Any, nuclei: np.ndarray
) -> None:
    viewer.add_image(nuclei, scale=(0.5, 0.5), translate=(1, 2))
    run(dock)
    (whole,) = labels_of(viewer)
    drawn = np.array([[19.7, 10.3], [20.2, 149.7], [120.2, 100.1], [140, 30]])
    viewer.add_shapes([drawn * 0.5 + (1, 2)], shape_type="polygon", name="drawn")
    dock.form.roi_picker.region.value = viewer.layers["drawn"]
    assert "inside the outline" in dock.rows["region"].note
    run(dock)
    part = labels_of(viewer)[-1]
    assert part is not whole
    roi = dock.form.request.roi
    assert (roi.y, roi.x) == ((20, 140), (11, 150))
    inside = roi.inside
    assert part.data.shape == inside.shape
    np.testing.assert_allclose(part.translate, (11, 7.5))
    np.testing.assert_allclose(part.scale, (0.5, 0.5))
    assert part.data[~inside].max() == 0
    assert part.data.max() == len(np.unique(part.data)) - 1 > 5
    assert agree(part.data, np.where(inside, whole.data[20:140, 11:150], 0))
    record = part.metadata["napari_unet"]
    assert record["extent"] == {"Y": [20, 140], "X": [11, 150]}
    assert record["objects"] == part.data.max()


def test_time_points_and_planes(
    dock: Any, viewer: Any, run: Any, labels_of: Any, movie: Any
) -> None:
    dock.rows["volume_mode"].editor.value = "slices"
    run(dock)
    (whole,) = labels_of(viewer)
    data = whole.data.copy()
    viewer.dims.set_current_step((0, 1), (1, 2))
    dock.form.roi_picker.region.value = TIME
    check(dock, viewer, run, data[1:], (1, 10, 20, 30))
    dock.form.roi_picker.planes.first.value = 1
    check(dock, viewer, run, data[1:, 1:], (1, 12, 20, 30))
    dock.form.roi_picker.region.value = PLANE
    check(dock, viewer, run, data[:, 2:], (0, 14, 20, 30))
    dock.form.roi_picker.times.last.value = 0
    check(dock, viewer, run, data[:1, 2:], (0, 14, 20, 30))
    viewer.dims.set_current_step(1, 0)  # moved after the form was filled
    check(dock, viewer, run, data[:1, :1], (0, 10, 20, 30))
    dock.form.roi_picker.region.value = WHOLE
    check(dock, viewer, run, data[:1, 1:], (0, 12, 20, 30))


def check(dock: Any, viewer: Any, run: Any, expected: np.ndarray, place: Any) -> None:
    run(dock)
    part = viewer.layers.selection.active
    assert agree(part.data, expected)
    np.testing.assert_allclose(part.translate, place)


def test_threshold_follows_on_the_plane_in_view_in_any_unit(
    dock: Any, viewer: Any, run: Any, movie: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    movie.units = ("second", "um", "um", "um")
    viewer.add_image(np.zeros((4, 4)), units="nm", name="small")
    dock.form.images.choose(movie)
    dock.rows["object_diameter"].editor.value = 21
    run(dock)
    viewer.dims.set_point(1, 12_000)
    viewer.dims.set_current_step(0, 1)
    assert dock.live._in_view(dock.live.kept)[:2] == (1, 1)


# Measuring


def test_a_line_across_an_object_sets_the_diameter(
    dock: Any, viewer: Any, run: Any, press: Any, labels_of: Any, nuclei: np.ndarray
) -> None:
    viewer.add_image(nuclei, scale=(0.25, 0.25))
    press(dock.form.diameter.button)
    lines = viewer.layers.selection.active
    lines.add_lines([[10, 10], [10, 40]])
    assert dock.rows["object_diameter"].editor.value == 30
    lines.add_lines([[50, 10], [90, 10]])
    assert dock.rows["object_diameter"].editor.value == 35  # the median
    press(dock.form.diameter.button)
    assert lines not in viewer.layers
    run(dock)
    (labels,) = labels_of(viewer)
    assert labels.metadata["napari_unet"]["settings"]["object_diameter"] == 35
    np.testing.assert_array_equal(labels.data, nu.segment(nuclei, "nuclei", object_diameter=35))


# Models and cost


def test_a_model_file_from_anywhere_is_run(
    dock: Any,
    viewer: Any,
    run: Any,
    labels_of: Any,
    nuclei: np.ndarray,
    make_model: Any,
    tmp_path: Path,
) -> None:
    model = make_model()
    path = model.save(tmp_path / "elsewhere" / "of mine.safetensors")
    viewer.add_image(nuclei[:64, :64])
    dock.form.models._ask_file = lambda _: path
    combo = dock.form.models.row.editor
    combo.value = combo.choices[-1]  # "Open a model file …"
    assert dock.form.models.source == path
    run(dock)
    (labels,) = labels_of(viewer)
    np.testing.assert_array_equal(labels.data, nu.segment(nuclei[:64, :64], path))
    assert labels.metadata["napari_unet"]["model"]["sha256"] == model.sha256


def test_models_are_listed_anew_only_when_their_files_change(
    dock: Any, viewer: Any, save_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[None] = []
    from napari_unet.widgets.models import picker as _model_picker

    listed = _model_picker.list_models
    monkeypatch.setattr(_model_picker, "list_models", lambda: read.append(None) or listed())
    for _ in range(5):
        viewer.add_image(np.zeros((8, 8)))
    assert read == []
    save_model("new")
    viewer.add_image(np.zeros((8, 8)))
    assert "new" in dock.form.models.row.editor.choices


def test_the_cost_stands_above_the_buttons(
    dock: Any, viewer: Any, qtbot: Any, nuclei: np.ndarray
) -> None:
    viewer.add_image(nuclei)
    qtbot.waitUntil(lambda: dock.bar.cost.value != "", timeout=60_000)
    model = nu.Model.load("nuclei")
    precision = choose_precision(device_capability(torch.device("cpu")), model.card.architecture)
    for words in ("about ", "MB of memory", "1 tile", f"on cpu in {precision}"):
        assert words in dock.bar.cost.value
    dock.rows["tile"].editor.value = 64
    qtbot.waitUntil(lambda: "9 tiles" in dock.bar.cost.value, timeout=10_000)
    dock.form.axes.value = "Y"
    assert dock.bar.cost.value == ""
