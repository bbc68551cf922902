"""A viewer in a real window, docks in it, and what a user does with them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from napari_unet.progress import drain
from napari_unet.samples import load_sample

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

PLUGIN = "napari-unet-torch"
PATIENCE_MS = 90_000  # at least, for any event: a busy machine is slow, and then a test must wait


class PatientBot(QtBot):
    """Waits for an event much longer than a busy machine needs for it.

    Only a test that fails takes that long. A shorter time limit that a test names is raised.
    """

    def waitUntil(self, callback: Any, *, timeout: int = 0) -> None:  # Qt's name
        super().waitUntil(callback, timeout=max(timeout, PATIENCE_MS))

    def waitExposed(self, widget: Any, *, timeout: int = 0) -> Any:
        return super().waitExposed(widget, timeout=max(timeout, PATIENCE_MS))


@pytest.fixture
def qtbot(qapp: Any, request: pytest.FixtureRequest) -> QtBot:
    """pytest-qt's, with more patience."""
    return PatientBot(request)


def pytest_configure(config: pytest.Config) -> None:
    """Tests of one file may share a mark: ``pytestmark = pytest.mark.windowless``."""
    config.addinivalue_line("markers", "windowless: viewer and dock have no window around them")


def windowless(request: pytest.FixtureRequest) -> bool:
    """Whether a test does without a window, which takes seconds to open and to close."""
    return request.node.get_closest_marker("windowless") is not None


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the user's settings nor the user's models."""
    monkeypatch.setenv("NAPARI_UNET_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("NAPARI_UNET_STATE", str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def _small_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of a run is estimated from a tiny tile: every dock does it once."""
    from napari_unet.inference import cost

    monkeypatch.setattr(cost, "PROBE", {2: 32, 3: 16})


@pytest.fixture(autouse=True)
def _frequent_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second preview of a training is due long before minutes have passed."""
    from napari_unet.widgets.train import link

    monkeypatch.setattr(link, "TRAINING_PER_PREVIEW", 3)


@pytest.fixture(scope="session")
def _loaded() -> Iterator[None]:
    """What a dock needs is imported, and left out when garbage is collected.

    napari collects all garbage whenever a layer is removed or a window closed, and would
    search the hundreds of thousands of objects of torch and numba each time.
    """
    from napari._qt import qt_main_window  # noqa: F401

    from napari_unet.widgets.qt.warm_up import import_torch

    drain(import_torch())
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def _earlier_left_out(_loaded: None) -> None:
    """What the tests before have left is not searched either: they load more and more."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def window_viewer(_earlier_left_out: None, make_napari_viewer: Callable[..., Any]) -> Iterator[Any]:
    """An empty viewer in a window; afterwards no thread of the pool may be at work."""
    from qtpy.QtCore import QThreadPool

    yield make_napari_viewer()
    assert QThreadPool.globalInstance().waitForDone(PATIENCE_MS), "a thread was left behind"


@pytest.fixture
def window(_earlier_left_out: None, make_napari_viewer: Callable[..., Any]) -> Any:
    """An empty viewer whose window is shown."""
    return make_napari_viewer(show=True)


@pytest.fixture
def bare_viewer(qapp: Any) -> ViewerModel:
    """A viewer without a window, which takes seconds to open and to close."""
    from napari.components import ViewerModel

    return ViewerModel()


@pytest.fixture
def viewer(request: pytest.FixtureRequest) -> Any:
    """An empty viewer, in a window or, where the tests are marked so, without one."""
    return request.getfixturevalue("bare_viewer" if windowless(request) else "window_viewer")


@pytest.fixture
def plugins(request: pytest.FixtureRequest) -> None:
    """Plugins are known as they are in a viewer, also where there is no window."""
    names = request.fixturenames
    if "make_napari_viewer" in names or ("viewer" in names and not windowless(request)):
        return  # a window takes care of it
    from napari.plugins import _initialize_plugins

    request.getfixturevalue("mock_app_model")
    _initialize_plugins()


@pytest.fixture
def listen() -> Callable[[Any, Any], None]:
    """``listen(viewer, widget)``: to the layers, as the viewer does it for a dock."""

    def listen(viewer: Any, widget: Any) -> None:
        for event in ("inserted", "removed", "reordered", "renamed"):
            getattr(viewer.layers.events, event).connect(widget.reset_choices)

    return listen


@pytest.fixture
def changes() -> list[None]:
    """Grows with each change that a part of the form tells of."""
    return []


@pytest.fixture
def dock(request: pytest.FixtureRequest, viewer: Any) -> Any:
    """The dock "Segment" of the viewer."""
    if windowless(request):
        return request.getfixturevalue("open_dock")()
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    return dock


@pytest.fixture
def open_dock(
    _loaded: None, bare_viewer: ViewerModel, listen: Callable[[Any, Any], None], qtbot: Any
) -> Iterator[Callable[[], Any]]:
    """``open_dock()``: the dock "Segment" on the viewer without a window."""
    from qtpy.QtCore import QThreadPool
    from qtpy.QtWidgets import QWidget

    from napari_unet.widgets.segment.dock import SegmentWidget

    around, docks = QWidget(), []
    qtbot.addWidget(around)

    def open_dock() -> Any:
        dock = SegmentWidget(bare_viewer)
        dock.native.setParent(around)
        listen(bare_viewer, dock)
        docks.append(dock)
        return dock

    yield open_dock
    for dock in docks:
        dock.native.setParent(None)  # this is how the viewer closes one
        dock.native.deleteLater()
    assert QThreadPool.globalInstance().waitForDone(PATIENCE_MS), "a thread was left behind"


@pytest.fixture
def press() -> Callable[[Any], None]:
    """``press(button)``: as with the mouse; the button must be enabled."""

    def press(button: Any) -> None:
        assert button.enabled
        button.native.click()

    return press


@pytest.fixture
def finish(qtbot: Any) -> Callable[[Any], None]:
    """``finish(dock)``: wait until its run has ended."""
    return lambda dock: qtbot.waitUntil(lambda: not dock.runner.running, timeout=30_000)


@pytest.fixture
def run(press: Callable[[Any], None], finish: Callable[[Any], None]) -> Callable[[Any], None]:
    """``run(dock)``: press Run, and wait until the run has ended."""

    def run(dock: Any) -> None:
        press(dock.bar.run)
        finish(dock)

    return run


@pytest.fixture
def segmented(dock: Any, viewer: Any, run: Callable[[Any], None]) -> Any:
    """A dock that has segmented a part of the sample."""
    viewer.add_image(load_sample("nuclei_2d").image[:200, :240], name="nuclei")
    run(dock)
    return dock


@pytest.fixture
def stack(dock: Any, viewer: Any, run: Callable[[Any], None]) -> Any:
    """A dock that has segmented a small stack."""
    viewer.add_image(load_sample("nuclei_3d").image[8:16], name="stack", scale=(2, 0.5, 0.5))
    run(dock)
    return dock


@pytest.fixture
def movie(dock: Any, viewer: Any) -> Any:
    """Two time points of three planes; each plane is of another brightness."""
    small = load_sample("nuclei_2d").image[:72, :80].astype(float)
    planes = [[small / (1 + z + t) for z in range(3)] for t in range(2)]
    return viewer.add_image(
        np.array(planes).astype(np.uint8),
        name="movie",
        axis_labels=("t", "z", "y", "x"),
        scale=(1, 2, 0.5, 0.5),
        translate=(0, 10, 20, 30),
    )


@pytest.fixture
def begin() -> Callable[..., None]:
    """``begin(dock, threshold=0.9)``: change settings, and do not wait for the labels."""

    def begin(dock: Any, **values: Any) -> None:
        for name, value in values.items():
            dock.rows[name].editor.value = value
        assert dock.live.running

    return begin


@pytest.fixture
def set_value(qtbot: Any) -> Callable[..., None]:
    """``set_value(dock, threshold=0.9)``: change settings, and wait for the labels, if any."""

    def set_value(dock: Any, **values: Any) -> None:
        for name, value in values.items():
            dock.rows[name].editor.value = value
        qtbot.waitUntil(lambda: not dock.live.running, timeout=10_000)

    return set_value


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores are taken for too large for memory."""
    monkeypatch.setattr("napari_unet.widgets.segment.request.Request._is_large", lambda _: True)


@pytest.fixture
def labels_of() -> Callable[[Any], list[Labels]]:
    """``labels_of(viewer)``: its Labels layers."""
    from napari.layers import Labels

    return lambda viewer: [layer for layer in viewer.layers if isinstance(layer, Labels)]


@pytest.fixture
def save_model(make_model: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """``save_model(in_channels=2, ...)``: a model among the user's, with random weights."""

    def save(file: str = "random", **fields: Any) -> Any:
        model = make_model(**fields)
        (tmp_path / "models").mkdir(exist_ok=True)
        model.save(tmp_path / "models" / f"{file}.safetensors")
        return model

    return save


@pytest.fixture
def open_train(viewer: Any, save_model: Callable[..., Any], qtbot: Any) -> Callable[..., Any]:
    """``open_train()``: the dock "Train", with a small model "random" to start from."""

    def open_train(on: Any = None) -> Any:
        save_model(features=(4, 8))
        _, dock = (on or viewer).window.add_plugin_dock_widget(PLUGIN, "Train")
        qtbot.waitUntil(lambda: dock.warm, timeout=60_000)
        return dock

    return open_train


@pytest.fixture
def close_dock(viewer: Any) -> Callable[[Any], None]:
    """``close_dock(dock)``: by the button in its corner."""
    from qtpy.QtWidgets import QDockWidget

    def close_dock(dock: Any) -> None:
        around = dock.native.parent()
        while not isinstance(around, QDockWidget):
            around = around.parent()
        around.destroyOnClose()

    return close_dock


@pytest.fixture
def settle(qtbot: Any) -> Callable[..., None]:
    """``settle(dock, steps=8)``: set settings, and wait until the examples were looked at."""

    def settle(dock: Any, **values: Any) -> None:
        for name, value in values.items():
            dock.rows[name].editor.value = value
        dock.form.refresh()
        if dock.form.request is not None:
            qtbot.waitUntil(lambda: dock.form.checked, timeout=20_000)

    return settle


@pytest.fixture
def fill() -> Callable[[Any, Any], None]:
    """``fill(layer, labels)``: label pixels like a stroke, which can be undone."""

    def fill(layer: Any, labels: Any) -> None:
        place = np.nonzero(labels)
        layer.data_setitem(place, np.asarray(labels)[place])

    return fill
