"""Another project's distribution that owns the import package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from napari_unet.cli import main
from napari_unet.installation import foreign_distribution


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "napari_unet-0.2.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: napari-unet\nVersion: 0.2.4\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


def test_our_own_distribution_is_no_stranger() -> None:
    assert foreign_distribution() is None


@pytest.mark.usefixtures("foreign")
def test_the_stranger_is_named_with_its_version_and_the_repair() -> None:
    said = foreign_distribution()
    assert said is not None
    assert "napari-unet 0.2.4" in said
    assert "pip uninstall -y napari-unet &&" in said
    assert said.endswith("napari-unet-torch")
    assert "\n" not in said


@pytest.mark.usefixtures("foreign")
def test_the_command_line_warns_and_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("napari-unet: warning: napari-unet 0.2.4")
    assert "nuclei" in printed.out


def test_without_a_stranger_there_is_no_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(tmp_path))
    assert main(["models", "list"]) == 0
    assert capsys.readouterr().err == ""
