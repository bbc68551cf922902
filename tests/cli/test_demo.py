"""`napari-unet demo`: the main job on the images that come with the package."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import napari_unet as nu
from napari_unet.cli import main
from napari_unet.cli.demo import SAMPLES
from napari_unet.io import read_image
from napari_unet.samples import load_sample


@pytest.fixture(scope="module")
def bright(bright_model: Callable[..., nu.Model], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model file that takes bright pixels as objects."""
    return str(bright_model().save(tmp_path_factory.mktemp("model") / "bright"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder, and no models of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(tmp_path / "models"))
    return tmp_path


def written(folder: str = "out") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def test_demo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a window"))
    monkeypatch.setenv("DISPLAY", ":9")
    assert main(["demo", "-o", "results", "--no-window"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(SAMPLES) + 1
    for line, (name, model) in zip(lines, SAMPLES.items(), strict=False):
        sample = load_sample(name)
        labels = read_image(f"results/{name}_labels.tif")
        record = json.loads(Path(f"results/{name}_labels.json").read_text())
        assert labels.axes == sample.axes.replace("C", "")
        assert labels.array.shape == sample.truth.shape
        assert line.startswith(
            f"{name}, {model}: {labels.array.max()} objects in {record['seconds']:.1f} s"
        )
        ap = nu.evaluate(labels.array, sample.truth).ap[0.5]
        assert line.endswith(
            f"{len(np.unique(sample.truth)) - 1} in the truth, AP at IoU 0.5: {ap:.3f}"
        )
        assert record["source"] == sample.source
        assert record["model"]["name"] == model
        assert ap > 0.5  # each sample has the model for its kind
        with Image.open(f"results/{name}_overlay.png") as picture:
            assert picture.mode == "RGB"
            assert min(picture.size) > 100
    assert len(written("results")) == 3 * len(SAMPLES)


@pytest.fixture
def started(bright: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, Any]]]:
    """Processes that a demo with a quick model starts."""
    calls: list[tuple[list[str], dict[str, Any]]] = []
    monkeypatch.setattr(
        "napari_unet.cli.demo.SAMPLES", dict.fromkeys(("nuclei_2d", "nuclei_3d"), bright)
    )
    monkeypatch.setattr(subprocess, "Popen", lambda words, **more: calls.append((words, more)))
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return calls


def test_demo_opens_a_window_that_outlives_it(
    started: list[tuple[list[str], dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DISPLAY", ":9")
    monkeypatch.setattr("napari_unet.cli.demo._is_installed", lambda _: True)
    assert main(["demo"]) == 0
    ((words, more),) = started
    assert words[:3] == [sys.executable, "-m", "napari_unet.widgets.show_results"]
    expected = [
        (load_sample(n).path, Path("demo", f"{n}_labels.tif")) for n in ("nuclei_2d", "nuclei_3d")
    ]
    assert [Path(word) for word in words[3:]] == [path for pair in expected for path in pair]
    assert all(Path(word).is_file() for word in words[3:])
    assert more["start_new_session"] is True
    assert more["stdout"] == subprocess.DEVNULL
    assert "opening napari" in capsys.readouterr().out


def test_demo_without_a_display(
    started: list[tuple[list[str], dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo"]) == 0
    assert started == []
    assert "napari" not in capsys.readouterr().out


def test_demo_without_qt(
    started: list[tuple[list[str], dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setattr("napari_unet.cli.demo._is_installed", lambda module: module == "napari")
    assert main(["demo"]) == 0
    assert started == []
    assert "napari[pyqt6]" in capsys.readouterr().out
