"""The command line does the same however errors, findings and notes are worded."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import napari_unet as nu
from napari_unet.cli import main
from napari_unet.io import write_image, write_labels


@pytest.fixture
def words_of_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bright_model: Callable[..., nu.Model]
) -> dict[str, list[str]]:
    """Command lines, sound ones and others, in a folder with what they name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(tmp_path / "models"))
    bright_model().save("bright")
    image = np.full((20, 28), 20, np.uint8)
    image[5:12, 4:11] = image[5:12, 16:23] = 200
    write_image("a.tif", image, axes="YX")
    np.save("stack.npy", np.stack([image] * 3))
    for folder in ("images", "labels"):
        Path(folder).mkdir()
    for name in ("a", "b"):
        write_image(f"images/{name}.tif", image, axes="YX")
        write_labels(f"labels/{name}.tif", (image[:, :-1] > 99).astype(np.uint8), axes="YX")
    segment = ["-m", "bright.safetensors", "-o", "out"]
    return {
        "sound": ["segment", "a.tif", *segment],
        "axes in doubt": ["segment", "stack.npy", *segment],
        "axes": ["segment", "a.tif", *segment, "--axes", "QYX"],
        "channels": ["segment", "a.tif", *segment, "--channels", "1"],
        "size": ["segment", "a.tif", *segment, "--min-size", "-1"],
        "no file": ["segment", "missing.tif", *segment],
        "no model": ["segment", "a.tif", "-m", "missing", "-o", "out"],
        "labels": ["train", "images", "labels", "-o", "new", "--steps", "2"],
        "budgets": ["train", "images", "labels", "-o", "new", "--steps", "2", "--minutes", "1"],
    }


def test_exit_codes_and_streams_stay(
    words_of_runs: dict[str, list[str]],
    reword: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(words: list[str]) -> tuple[int, int, list[str]]:
        shutil.rmtree("out", ignore_errors=True)  # a finished file would be skipped
        status = main(words)
        told = capsys.readouterr()
        kinds = [line.split(":")[1].strip() for line in told.err.splitlines()]
        return status, len(told.out.splitlines()), kinds

    before = {name: run(words) for name, words in words_of_runs.items()}
    assert before["sound"] == (0, 1, [])
    assert before["axes in doubt"] == (0, 1, ["note"])
    assert {
        status for name, (status, *_) in before.items() if name[:5] not in ("sound", "axes ")
    } == {2}
    reword()
    assert {name: run(words) for name, words in words_of_runs.items()} == before
