"""A viewer in a real window, and docks in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


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
