"""`napari-unet train`: models of images and labels in files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

import napari_unet as nu
from napari_unet.cli import commands, main
from napari_unet.cli.bars import run_with_bar
from napari_unet.io import read_image, write_image, write_labels
from napari_unet.model_file import read_header


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder, and no models of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(tmp_path / "models"))
    return tmp_path


def squares(count: int = 2) -> np.ndarray:
    """Bright squares of 7 x 7 pixels in a row."""
    image = np.full((20, 12 * count + 4), 20, np.uint8)
    for i in range(count):
        image[5:12, 4 + 12 * i : 11 + 12 * i] = 200
    return image


def written(folder: str = "out") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


QUICK = ["--steps", "3", "--features", "4,8", "--patch", "32,32", "--batch-size", "2"]
QUICK += ["--validation-every", "3"]


@pytest.fixture
def pairs(here: Path) -> tuple[str, str]:
    """Folders of three images and of their labels."""
    for name, count in (("a", 1), ("b", 2), ("c", 3)):
        write_image(f"images/{name}.tif", squares(count), axes="YX")
        truth = (squares(count) > 100) * (1 + np.arange(12 * count + 4) // 12)
        write_labels(f"labels/{name}.tif", truth.astype(np.uint8), axes="YX")
    return "images", "labels"


def test_train_to_a_file_and_use_it(
    pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *pairs, "-o", "my/first.v2", *QUICK]) == 0
    path = Path("my/first.v2.safetensors")
    line = capsys.readouterr().out
    assert line.startswith(f"{path}: 3 steps on 3 examples (")
    card = read_header(path)
    assert (card.name, card.task) == ("first.v2", "instance")
    assert card.architecture.features == (4, 8)
    assert card.training is not None
    assert card.training.steps == 3
    assert main(["models", "verify", str(path)]) == 0
    assert main(["segment", "images", "-m", str(path), "-o", "out"]) == 0
    assert len(written()) == 6


def test_train_a_model_of_ones_own(
    pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", *pairs, *QUICK, "--description", "1, 2"]
    assert main([*words, "-o", "mine"]) == 0
    assert written("models") == ["mine.safetensors"]
    assert main(["predict", "images/a.tif", "-m", "mine", "-o", "out"]) == 0
    capsys.readouterr()
    assert main(["models", "list"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert ["mine", "yours", "2D instance", "1, 2"] in rows

    before = Path("models/mine.safetensors").read_bytes()
    assert main([*words, "-o", "mine"]) == 2
    assert "already" in capsys.readouterr().err
    assert Path("models/mine.safetensors").read_bytes() == before

    # on from there, under another name
    base = ["--steps", "2", "--patch", "32,32", "--batch-size", "2", "--base", "mine"]
    assert main(["train", *pairs, "-o", "next.safetensors", *base]) == 0
    card = read_header(Path("next.safetensors"))
    assert card.training is not None
    assert card.training.base == "mine"
    assert card.training.base_sha256 == nu.Model.load("mine").sha256
    assert card.architecture.features == (4, 8)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("nuclei", "'nuclei' is the name of a bundled model"),
        ("nuclei.safetensors", "'nuclei' is the name of a bundled model"),
        ("folder/nuclei", "'nuclei' is the name of a bundled model"),
        ("there.safetensors", "a model there.safetensors already"),
        ("", "'' is no name"),
        ("..", "'..' is no name"),
        ("folder/", "'folder/' is no name"),
    ],
)
def test_names_that_no_new_model_can_have(
    output: str,
    said: str,
    pairs: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("there.safetensors").touch()
    # said before any work
    monkeypatch.setattr(commands, "_examples", lambda _: pytest.fail("worked"))
    assert main(["train", *pairs, "-o", output, *QUICK]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        repr(output) in line or "'nuclei' is the name of a bundled model" in line or output in line
    )
    assert not Path("models").exists()
    assert not Path("folder").exists()
    assert Path("there.safetensors").read_bytes() == b""


def test_an_image_without_labels(
    pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("labels/b.tif").unlink()
    assert main(["train", *pairs, "-o", "new.safetensors", *QUICK]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "b.tif has no labels" in line
    assert not Path("new.safetensors").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--steps", "0"], "--steps"),
        (["--minutes", "1"], "minutes"),
        (["--task", "guess"], "--task"),
        (["--patch", "32,32,32,32"], "patch"),
        (["--features", "big"], "--features"),
        (["--base", "nowhere"], "'nowhere'"),
        (["--task", "semantic", "--classes", '[{"value": 0, "name": "none"}]'], "value 1"),
    ],
    ids=str,
)
def test_training_settings_that_cannot_be(
    options: list[str],
    said: str,
    pairs: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["train", *pairs, "-o", "new.safetensors", *QUICK, *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(".")
    assert said in line
    assert not Path("new.safetensors").exists()


def test_train_semantic(pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    classes = [{"value": 0, "name": "none"}, *({"value": v, "name": f"{v}"} for v in (1, 2, 3))]
    options = ["--task", "semantic", "--classes", json.dumps(classes)]
    assert main(["train", *pairs, "-o", "semantic.safetensors", *QUICK, *options]) == 0
    assert main(["segment", "images/c.tif", "-m", "semantic.safetensors", "-o", "out"]) == 0
    assert set(np.unique(read_image("out/c_labels.tif").array)) <= {0, 1, 2, 3}
    assert re.search(r"none [0-9.]+%, 1 [0-9.]+%", capsys.readouterr().out)


def test_train_regression(pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--task", "regression", "--loss", "mse"]
    assert main(["train", *pairs, "-o", "values.safetensors", *QUICK, *options]) == 0
    assert main(["predict", "images/c.tif", "-m", "values.safetensors", "-o", "out"]) == 0
    assert read_image("out/c_scores.tif").array.shape[-2:] == squares(3).shape
    assert main(["segment", "images/c.tif", "-m", "values.safetensors", "-o", "out"]) == 2
    assert "predict" in capsys.readouterr().err


def test_a_training_goes_on_from_its_checkpoint(
    pairs: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", *pairs, *QUICK, "--validation-every", "1"]
    assert main([*words, "-o", "whole.safetensors"]) == 0

    with monkeypatch.context() as patched:

        def stop(job: Any) -> None:
            next(job)
            next(job)
            job.close()
            raise KeyboardInterrupt

        patched.setattr(commands, "run_with_bar", stop)
        assert main([*words, "-o", "parts.safetensors", "--checkpoint", "state.pt"]) == 130
    assert Path("state.pt").exists()
    assert not Path("parts.safetensors").exists()

    with monkeypatch.context() as patched:
        steps: list[Any] = []
        patched.setattr(commands, "run_with_bar", lambda job: run_with_bar(job, steps.append))
        assert main([*words, "-o", "parts.safetensors", "--checkpoint", "state.pt"]) == 0
    assert steps[0].step > 1
    assert steps[-1].step == 3
    assert not Path("state.pt").exists()
    whole, parts = load_file("whole.safetensors"), load_file("parts.safetensors")
    for name, value in whole.items():
        np.testing.assert_array_equal(parts[name].numpy(), value.numpy())


def test_a_checkpoint_of_another_training(
    pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("state.pt").write_bytes(b"something else")
    words = ["train", *pairs, "-o", "new.safetensors", *QUICK, "--checkpoint", "state.pt"]
    assert main(words) == 2
    assert "state.pt" in capsys.readouterr().err
    assert Path("state.pt").read_bytes() == b"something else"
    assert not Path("new.safetensors").exists()
