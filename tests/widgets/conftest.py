"""A viewer in a real window, docks in it, and what a user does with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from napari.layers import Labels

PLUGIN = "napari-unet-torch"


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the user's settings nor the user's models."""
    monkeypatch.setenv("NAPARI_UNET_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(tmp_path / "models"))


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Iterator[Any]:
    """An empty viewer; afterwards no thread of the pool may be at work."""
    from qtpy.QtCore import QThreadPool

    viewer = make_napari_viewer()
    yield viewer
    assert QThreadPool.globalInstance().waitForDone(10_000), "a thread was left behind"


@pytest.fixture
def dock(viewer: Any) -> Any:
    """The dock "Segment" of the viewer."""
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    return dock


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
