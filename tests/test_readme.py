"""The README's code blocks run as they stand."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import napari_unet as nu
from napari_unet.cli import main
from napari_unet.io import write_image, write_labels
from napari_unet.samples import load_sample

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
PYTHON = [text for kind, text in BLOCKS if kind == "python"]
COMMANDS = [
    line for kind, text in BLOCKS if kind == "console" for line in text.splitlines() if line
]


def test_there_are_blocks_to_run() -> None:
    assert len(PYTHON) >= 2
    assert len(COMMANDS) >= 5


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_python_block_runs(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(PYTHON[number], f"README block {number}", "exec"), {})
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("line", COMMANDS)
def test_command_runs(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(tmp_path / "models"))
    flat, stack = load_sample("nuclei_2d"), load_sample("nuclei_3d")
    image, truth = flat.image[:96, :128], flat.truth[:96, :128]  # quickly trained on
    write_image(tmp_path / "images/a.tif", image, axes="YX")
    shutil.copy(stack.path, tmp_path / "stack.tif")
    rows = (np.arange(len(truth)) % 8 == 0)[:, None]
    planes = (np.arange(len(stack.truth)) % 8 == 4)[:, None, None]
    for name, labels, axes in (
        ("labels/a.tif", truth, "YX"),
        ("painted/a.tif", np.where(truth > 0, truth, 9999) * rows, "YX"),
        ("classes/a.tif", (truth > 0) * (1 + truth % 2), "YX"),
        ("planes.tif", stack.truth * planes, "ZYX"),
    ):
        write_labels(tmp_path / name, labels.astype(np.uint16), axes=axes)
    Image.fromarray(image[:64, :64]).save(tmp_path / "image.png")
    words = shlex.split(line)
    assert words.pop(0) == "napari-unet"
    if words[0] == "train":  # nobody waits ten minutes for a test
        words += ["--minutes", "0.005", "--patch", "64,64", "--batch-size", "2"]
    if words[0] == "run":  # what it repeats
        assert main(["segment", "stack.tif", "-m", "nuclei", "-o", "results"]) == 0
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert main(words) == 0
    written = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert bool(written) == ("-o" in words)


def test_the_five_most_useful_lines_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari.components import ViewerModel

    from napari_unet.viewer import add_result, segment_layer

    monkeypatch.chdir(tmp_path)
    image = load_sample("nuclei_2d").image[:96, :96]
    for name in ("cells.tif", "folder/cells.tif"):
        write_image(tmp_path / name, image, axes="YX")
    viewer = ViewerModel()
    viewer.add_image(image)
    (lines,) = [text for kind, text in BLOCKS if kind == "text" and "nu.segment_files(" in text]
    assert len(lines.splitlines()) == 5
    names: dict[str, Any] = {
        "nu": nu, "viewer": viewer, "add_result": add_result, "segment_layer": segment_layer
    }  # fmt: skip
    exec(compile(lines, "the five lines", "exec"), names)
    assert len(names["table"]) == names["labels"].max() > 0
    assert [result.error for result in names["results"]] == [None]
    assert np.array_equal(names["again"], names["labels"])
    assert np.array_equal(viewer.layers[1].data, names["labels"])


def test_the_foreign_name_is_never_recommended() -> None:
    assert not re.search(r"pip install\s+napari-unet(?!-torch)", README.read_text(encoding="utf-8"))
