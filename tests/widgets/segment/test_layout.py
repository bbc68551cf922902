"""The dock in a window: its size, the order and the place of its fields, how fast it opens."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from napari.utils.theme import get_theme
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QWidget

from napari_unet.samples import load_sample
from napari_unet.widgets.qt.form import FAULT_COLOUR
from napari_unet.widgets.segment.image_picker import PER_CHANNEL

PLUGIN = "napari-unet-torch"


@pytest.fixture(scope="module")
def nuclei() -> np.ndarray:
    """A part of the sample, uint8."""
    return load_sample("nuclei_2d").image[:160, :192]


# While it runs


def test_the_activity_bar_comes_and_goes(
    dock: Any, viewer: Any, qtbot: Any, press: Any, finish: Any, nuclei: np.ndarray
) -> None:
    from napari.utils.progress import progress

    before = set(progress._all_instances)
    viewer.add_image(nuclei[:80, :96], name="nuclei")
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
        # the menu of scripts stands after the buttons of the run
        assert not dock.bar.preview.enabled or dock.bar.preview.native in stops[-2:]


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
def alone(dock: Any, qtbot: Any) -> Iterator[Callable[..., Any]]:
    """``alone(height)``: the content of the dock as a window of its own, narrow and low."""

    def alone(height: int = 768) -> Any:
        native = dock.native
        native.setParent(None)
        native.resize(350, height)
        native.show()
        qtbot.waitExposed(native)
        qtbot.wait(50)
        return native

    yield alone
    dock.native.close()
    dock.native.deleteLater()


def test_every_field_has_a_tooltip_and_nothing_is_clipped(
    dock: Any, viewer: Any, alone: Callable[..., Any]
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
    native = alone(700)
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


def test_the_buttons_stay_where_they_are(
    dock: Any, viewer: Any, qtbot: Any, nuclei: np.ndarray, alone: Any
) -> None:
    """Whatever is said above them: nobody presses Preview who aimed at Cancel."""
    viewer.add_image(nuclei)
    native = alone()
    places = set()
    for text, running in (("short", False), ("long " * 40, False), ("Starting …", True)):
        dock.bar.set_ready(ready=True)
        if running:
            dock.bar.begin(text)
        dock.bar.show_message(text)
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
    """Processor time of the window's thread, whatever else runs; the best of several."""
    times = []
    for _ in range(4):
        start = time.thread_time()
        viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
        times.append(time.thread_time() - start)
        viewer.window.remove_dock_widget("all")
    assert min(times) < 0.5


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
        "import napari_unet.widgets.segment.dock\n"
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
