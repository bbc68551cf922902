"""The parts of the dock together: channels, regions, measuring, cost, preview, tab order."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.theme import get_theme
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QWidget

import napari_unet as nu
from napari_unet.samples import load_sample
from napari_unet.widgets._extent_picker import PLANE, TIME, VIEW, WHOLE
from napari_unet.widgets._form import FAULT_COLOUR
from napari_unet.widgets._image_picker import PER_CHANNEL

PLUGIN = "napari-unet-torch"


@pytest.fixture(scope="module")
def nuclei() -> np.ndarray:
    """A part of the sample, uint8."""
    return load_sample("nuclei_2d").image[:160, :192]


@pytest.fixture
def movie(dock: Any, viewer: Any, nuclei: np.ndarray) -> Any:
    """Two time points of three planes; each plane is of another brightness."""
    small = nuclei[:72, :80].astype(float)
    planes = [[small / (1 + z + t) for z in range(3)] for t in range(2)]
    return viewer.add_image(
        np.array(planes).astype(np.uint8),
        name="movie",
        axis_labels=("t", "z", "y", "x"),
        scale=(1, 2, 0.5, 0.5),
        translate=(0, 10, 20, 30),
    )


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
    dock.form.extents.region.value = viewer.layers["drawn"]
    assert "inside the outline" in dock.rows["region"].note
    run(dock)
    part = labels_of(viewer)[-1]
    assert part is not whole
    extent = dock.form.request.extent
    assert (extent.y, extent.x) == ((20, 140), (11, 150))
    inside = extent.inside
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
    dock.form.extents.region.value = TIME
    check(dock, viewer, run, data[1:], (1, 10, 20, 30))
    dock.form.extents.planes.first.value = 1
    check(dock, viewer, run, data[1:, 1:], (1, 12, 20, 30))
    dock.form.extents.region.value = PLANE
    check(dock, viewer, run, data[:, 2:], (0, 14, 20, 30))
    dock.form.extents.times.last.value = 0
    check(dock, viewer, run, data[:1, 2:], (0, 14, 20, 30))
    viewer.dims.set_current_step(1, 0)  # moved after the form was filled
    check(dock, viewer, run, data[:1, :1], (0, 10, 20, 30))
    dock.form.extents.region.value = WHOLE
    check(dock, viewer, run, data[:1, 1:], (0, 12, 20, 30))


def check(dock: Any, viewer: Any, run: Any, expected: np.ndarray, place: Any) -> None:
    run(dock)
    part = viewer.layers.selection.active
    assert agree(part.data, expected)
    np.testing.assert_allclose(part.translate, place)


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
    dock.form.extents.region.value = PLANE
    run(dock)
    part = viewer.layers.selection.active
    assert part.data.shape == (2, 1, 72, 80)
    np.testing.assert_allclose(part.translate, (0, 14, 20, 30))
    # a part of the canvas: 20 pixels of the image, which are 10 µm, around (30 µm, 40 µm)
    viewer.scene.camera.center = (0, 30_000, 40_000)
    viewer.scene.camera.zoom = min(viewer.canvas.size) / 10_000
    dock.form.extents.region.value = VIEW
    extent = dock.form.extents.extent()
    size = np.array(viewer.canvas.size) / min(viewer.canvas.size) * 20
    for (start, stop), middle, length, most in zip(
        (extent.y, extent.x), (20, 20), size, (72, 80), strict=True
    ):
        assert abs(start - max(0, middle - length / 2)) <= 1.5
        assert abs(stop - min(most, middle + length / 2)) <= 2.5
    viewer.layers.remove(other)


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


# Models, cost, activity


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
    from napari_unet.widgets import _model_picker

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
    for words in ("about ", "MB of memory", "1 tile", "on cpu in float32"):
        assert words in dock.bar.cost.value
    dock.rows["tile"].editor.value = 64
    qtbot.waitUntil(lambda: "9 tiles" in dock.bar.cost.value, timeout=10_000)
    dock.form.axes.value = "Y"
    assert dock.bar.cost.value == ""


def test_the_activity_bar_comes_and_goes(
    dock: Any, viewer: Any, qtbot: Any, press: Any, finish: Any, nuclei: np.ndarray
) -> None:
    from napari.utils.progress import progress

    before = set(progress._all_instances)
    viewer.add_image(nuclei, name="nuclei")
    dock.rows["tile"].editor.value = 16
    press(dock.bar.run)
    (bar,) = set(progress._all_instances) - before
    assert bar.desc.startswith("Segmenting nuclei")
    qtbot.waitUntil(lambda: bar.total > 10 and bar.n > 0, timeout=30_000)
    finish(dock)
    assert set(progress._all_instances) == before


# Order and place of the fields


def test_tab_walks_the_fields_from_top_to_bottom(
    dock: Any, viewer: Any, qtbot: Any, nuclei: np.ndarray, save_model: Any
) -> None:
    save_model("two", in_channels=2)
    for name in "ab":
        stack = np.stack([nuclei[:32, :32]] * 3)
        viewer.add_image(stack, name=name, axis_labels=("z", "y", "x"))
    dock.reset_choices()
    viewer.window.show()
    qtbot.waitExposed(viewer.window._qt_window)
    form = dock.form.native.widget()
    dock.form.more.native.click()
    for several in (True, False):  # the editors of the channels are made later than the others
        dock.form.models.choose("two" if several else "nuclei")
        dock.form.images.image.value = PER_CHANNEL if several else viewer.layers["a"]
        qtbot.wait(100)
        fields = [w for w in dock.native.findChildren(QWidget) if is_stop(w)]
        stops = tab_stops(dock)
        assert set(stops) == set(fields)
        # the buttons are under the form
        tops = [at(w, form).y() if form.isAncestorOf(w) else 10_000 for w in stops]
        assert len(tops) > 20
        for upper, lower in itertools.pairwise(tops):
            assert lower >= upper - 8, tops  # editors beside each other may differ in height
        assert stops[-1] is dock.bar.preview.native or not dock.bar.preview.enabled


def is_stop(widget: QWidget) -> bool:
    """Whether Tab stops at a widget."""
    focus = bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)
    return focus and widget.isVisible() and widget.isEnabled()


def tab_stops(dock: Any) -> list[QWidget]:
    """Where Tab goes in the dock, from its first field on, until it leaves the dock."""
    first = widget = dock.rows["image"].editor.native
    stops = []
    while True:
        if is_stop(widget):
            if not dock.native.isAncestorOf(widget):
                return stops
            stops.append(widget)
        widget = widget.nextInFocusChain()
        if widget is first:
            return stops


def at(widget: Any, around: Any) -> QPoint:
    return widget.mapTo(around, QPoint(0, 0))


@pytest.fixture
def alone(dock: Any, qtbot: Any) -> Iterator[Callable[[], Any]]:
    """``alone()``: the content of the dock as a window of its own, narrow and low."""

    def alone() -> Any:
        native = dock.native
        native.setParent(None)
        native.resize(350, 768)
        native.show()
        qtbot.waitExposed(native)
        qtbot.wait(50)
        return native

    yield alone
    dock.native.close()
    dock.native.deleteLater()


def test_the_buttons_stay_where_they_are(
    dock: Any, viewer: Any, qtbot: Any, nuclei: np.ndarray, alone: Any
) -> None:
    """Whatever is said above them: nobody presses Preview who aimed at Cancel."""
    viewer.add_image(nuclei)
    native = alone()
    places = set()
    for text, running in (("short", False), ("long " * 40, False), ("Starting …", True)):
        dock.bar.settle(ready=True)
        if running:
            dock.bar.begin(text)
        dock.bar.say(text)
        dock.bar.cost.value = text
        qtbot.wait(50)
        place = at(dock.bar.cancel.native, native)
        places.add((place.x(), place.y()))
    assert len(places) == 1


def test_with_all_rows_nothing_is_clipped(
    dock: Any, viewer: Any, nuclei: np.ndarray, save_model: Any, alone: Any
) -> None:
    save_model("two", in_channels=2)
    dock.reset_choices()
    dock.form.models.choose("two")
    levels = [np.zeros((3, 4, 2, n, n), np.uint8) for n in (64, 32)]
    viewer.add_image(levels, multiscale=True, name="a name " * 9)
    dock.form.axes.value = "TZCYX"
    dock.form.more.native.click()
    dock.form.channels.value = "0, 7"  # a fault, in words
    native = alone()
    shown = [name for name, row in dock.rows.items() if row.native.isVisible()]
    assert {"level", "axes", "channels", "times", "planes", "device", "scores"} <= set(shown)
    inside = dock.form.native.widget()
    for name in shown:
        row = dock.rows[name]
        for part in (row.editor.native, row.label, row._note):
            if part is not None and part.isVisible():
                place = at(part, inside)
                assert place.x() >= 0, name
                assert at(part, native).x() + part.width() <= 350, name
                assert part.height() >= part.minimumSizeHint().height(), name
        assert row.editor.native.width() >= row.editor.native.minimumSizeHint().width(), name
    for button in (dock.bar.run, dock.bar.preview, dock.bar.cancel):
        place = at(button.native, native)
        assert place.x() + button.native.width() <= 350
        assert place.y() + button.native.height() <= 768
    assert inside.width() <= dock.form.native.viewport().width()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_colour_of_faults_is_legible(theme: str) -> None:
    """The ratio of contrast, as the web's guidelines (WCAG 2) reckon it, is 3 at least."""
    background = get_theme(theme).background.as_rgb_tuple()
    colour = tuple(int(FAULT_COLOUR[i : i + 2], 16) for i in (1, 3, 5))
    lights = sorted(luminance(each) for each in (background, colour))
    assert (lights[1] + 0.05) / (lights[0] + 0.05) > 3


def luminance(colour: tuple[float, ...]) -> float:
    """Of an sRGB colour, 0 to 1."""
    parts = np.array(colour[:3]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


# Opening


def test_the_dock_opens_at_once(viewer: Any) -> None:
    """Processor time, which other programs do not stretch; the best of several."""
    times = []
    for _ in range(4):
        start = time.process_time()
        viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
        times.append(time.process_time() - start)
        viewer.window.remove_dock_widget("all")
    assert min(times) < 0.3


def test_opening_takes_no_heavy_library() -> None:
    """Not even the dock's modules import one; napari's own imports do not count."""
    code = (
        "import json, sys\n"
        "from npe2 import PluginManager\n"
        "manager = PluginManager.instance()\n"
        "manager.discover()\n"
        f"manager.get_manifest({PLUGIN!r})\n"
        "found = [name for name in sys.modules if name.startswith('napari_unet')]\n"
        "import napari.layers, napari.utils.transforms, magicgui.widgets, superqt.utils\n"
        "before = set(sys.modules)\n"
        "import napari_unet.widgets.segment\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "heavy = {'torch', 'numba', 'skimage', 'scipy', 'zarr', 'dask', 'tifffile', 'edt'}\n"
        "print(json.dumps([found, sorted(new & heavy)]))\n"
    )
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [[], []]
