"""`napari-unet train`: models of images and labels in files."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from roifile import ROI_TYPE, ImagejRoi, roiwrite
from safetensors.torch import load_file

import napari_unet as nu
from napari_unet.cli import main, training
from napari_unet.cli.bars import run_with_bar, seconds_left
from napari_unet.cli.parser import build_parser
from napari_unet.cli.training_files import (
    find_files,
    known_parts,
    read_examples,
    refuse_predictions,
)
from napari_unet.errors import FileError, Note, TrainingInterruptedError
from napari_unet.io import read_image, write_image, write_labels
from napari_unet.network.files import read_header


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


@pytest.fixture
def refusal(pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """``refusal("--steps", "0")``: the one sentence that a training ends with at once."""

    def refusal(*options: str) -> str:
        assert main(["train", *pairs, "-o", "new.safetensors", *QUICK, *options]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.endswith(".")
        assert not Path("new.safetensors").exists()
        return line

    return refusal


def test_train_to_a_file_and_use_it(
    pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *pairs, "-o", "my/first.v2", *QUICK]) == 0
    path = Path("my/first.v2.safetensors")
    printed = capsys.readouterr()
    assert all(line.startswith("napari-unet: warning: ") for line in printed.err.splitlines())
    lines = printed.out.splitlines()
    # how the files were paired, what was decided, the validation, the file, and how good it is
    assert lines[0] == "3 pairs by the same name"
    assert "held out" in lines[1]
    assert any(line.startswith("step 3 of 3: loss ") and "mean AP" in line for line in lines)
    assert any(line.startswith(f"{path}: 3 steps on 2 examples (") for line in lines)
    assert re.search(r"^held-out part, 1 image +first.v2$", printed.out, re.MULTILINE)
    assert re.search(r"^AP at IoU 0.5 +[01]\.[0-9]{3}$", printed.out, re.MULTILINE)
    assert re.fullmatch(r"The new model was scored on only \d+ objects?\.", lines[-1])
    card = read_header(path)
    assert (card.name, card.task) == ("first.v2", "instance")
    assert card.architecture.features == (4, 8)
    assert card.training is not None
    assert (card.training.steps, card.training.examples) == (3, 2)  # the third is held out
    assert main(["models", "verify", str(path)]) == 0
    assert main(["segment", "images", "-m", str(path), "-o", "out"]) == 0
    assert len(written()) == 3 * 2 + 2  # labels and their records; the batch's table and record


def test_train_a_model_of_ones_own(
    pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", *pairs, *QUICK, "--description", "1, 2"]
    assert main([*words, "-o", "mine"]) == 0
    assert written("models") == ["mine.json", "mine.safetensors"]  # its record beside it
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
    base += ["--start", "base"]  # which has learned next to nothing
    capsys.readouterr()
    assert main(["train", *pairs, "-o", "next.safetensors", *base]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "held-out part, 1 image     next     mine" in lines
    assert re.match(r"(The new model is|The base is|Neither is) better", lines[-1])
    assert Path("models/mine.safetensors").read_bytes() == before
    card = read_header(Path("next.safetensors"))
    assert card.training is not None
    assert card.training.base == "mine"
    assert card.training.base_sha256 == nu.Model.load("mine").sha256
    assert card.architecture.features == (4, 8)


LAYOUTS = {
    "beside": (("d/{}.tif", "d/{}_masks.tif"), ("d", "d"), "2 pairs by the ending _masks"),
    "one folder": (("d/{}.tif", "d/{}_seg.npy"), ("d",), "2 pairs by the ending _seg.npy"),
    "two folders": (("i/{}.tif", "m/{}_mask.tif"), ("i", "m"), "2 pairs by the ending _mask"),
    "beginnings": (("i/image_{}.tif", "m/mask_{}.tif"), ("i", "m"), "image_… with mask_…"),
    "nnU-Net": (("i/c_{:03d}_0000.tif", "m/c_{:03d}.tif"), ("i", "m"), "nnU-Net"),
    "cases": (("d/{}/image.tif", "d/{}/mask.tif"), ("d",), "2 pairs by the names image with mask"),
    "tracking": (("01/t00{}.tif", "01_GT/SEG/man_seg00{}.tif"), ("01", "01_GT"), "Cell Tracking"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pairs_as_people_keep_them(
    layout: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (image_name, labels_name), folders, said = LAYOUTS[layout]
    for i in range(2):
        truth = (squares(2) > 100) * (1 + np.arange(28) // 12 + i)
        write_image(image_name.format(i), squares(2), axes="YX")
        if labels_name.endswith(".npy"):
            np.save(labels_name.format(i), {"masks": truth.astype(np.uint16)})  # type: ignore[arg-type]
        else:
            write_labels(labels_name.format(i), truth.astype(np.uint8), axes="YX")
    assert main(["train", *folders, "-o", "new.safetensors", *QUICK, "--steps", "1"]) == 0
    printed = capsys.readouterr()
    assert said in printed.out.splitlines()[0]
    assert "note:" not in printed.err


def test_channels_in_files_of_their_own_are_one_image(here: Path) -> None:
    for i in range(2):
        write_image(f"i/c_{i:04d}.tif", squares(2) + np.uint8(i), axes="YX")
    write_labels("m/c.tif", (squares(2) > 100).astype(np.uint8), axes="YX")
    files = find_files([(Path("i"), Path("m"))], None)
    options = build_parser(["train"]).parse_args(["train", "i", "m", "-o", "x"])
    (example,) = read_examples(files, options, "instance")
    assert [int(each[0, 0]) for each in example.image] == [20, 21]


def test_masks_of_one_object_each_are_joined(here: Path) -> None:
    write_image("d/7/images/x.tif", squares(2), axes="YX")
    for i in range(2):
        mask = np.zeros(squares(2).shape, np.uint8)
        mask[5:12, 4 + 12 * i : 11 + 12 * i] = 255
        write_labels(f"d/7/masks/{i}.tif", mask, axes="YX")
    files = find_files([(Path("d"), Path("d"))], None)
    options = build_parser(["train"]).parse_args(["train", "d", "-o", "x"])
    (example,) = read_examples(files, options, "instance")
    assert sorted(np.unique(example.labels)) == [0, 1, 2]


def read(*options: str) -> nu.Example:
    """The one example that the options of a training name."""
    options = ("train", *options, "-o", "x")
    named = build_parser(options).parse_args(options)
    files = find_files([(named.images, named.labels or named.images)], None)
    (example,) = read_examples(files, named, "instance")
    return example


def test_a_mask_is_offered_as_objects(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image("i.tif", squares(3), axes="YX")
    Image.fromarray(squares(3) > 100).save("bit.png")
    Image.fromarray((squares(3) > 100) * np.uint8(255)).save("byte.png")
    words = ["-o", "new.safetensors", *QUICK, "--steps", "1"]
    for name in ("bit.png", "byte.png"):
        assert main(["train", "i.tif", name, *words]) == 2
        assert "give --components" in capsys.readouterr().err.lower()
        assert not Path("new.safetensors").exists()
        assert sorted(np.unique(read("i.tif", name, "--components").labels)) == [0, 1, 2, 3]
    assert main(["train", "i.tif", "byte.png", *words, "--no-checks"]) == 0
    again = ["-o", "objects.safetensors", *QUICK, "--steps", "1", "--components"]
    assert main(["train", "i.tif", "bit.png", *again]) == 0
    assert "mask" not in capsys.readouterr().err


def test_indices_of_a_palette_are_labels(here: Path) -> None:
    numbers = (squares(2) > 100).astype(np.uint8)
    numbers[:, 14:] *= 2
    write_image("i.tif", squares(2), axes="YX")
    picture = Image.fromarray(numbers, "P")
    picture.putpalette([0, 0, 0, 200, 10, 10, 10, 200, 10])
    for name in ("p.png", "p.gif", "p.bmp", "p.tif"):
        picture.save(name)
        np.testing.assert_array_equal(read("i.tif", name).labels, numbers)


def test_negative_labels_are_unknown_if_that_is_said(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = (squares(2) > 100).astype(np.int16)
    labels[:, 14:] *= 2
    labels[:3] = -1
    write_image("i.tif", squares(2), axes="YX")
    tifffile.imwrite("l.tif", labels)
    words = ["train", "i.tif", "l.tif", "-o", "new.safetensors", *QUICK, "--steps", "1"]
    for options in ([], ["--no-checks"]):
        assert main([*words, *options]) == 2
        assert "give --negative-unknown" in capsys.readouterr().err.lower()
    example = read("i.tif", "l.tif", "--negative-unknown")
    np.testing.assert_array_equal(example.region, labels >= 0)
    np.testing.assert_array_equal(example.labels, np.maximum(labels, 0))
    assert read("i.tif", "l.tif", "--negative-unknown", "--region", "painted").region == "painted"
    assert main([*words, "--negative-unknown"]) == 0


def test_known_parts_of_regions() -> None:
    labels = np.zeros((3, 2, 2), int)
    labels[1, 0, 0] = 1
    known = np.ones(labels.shape, bool)
    known[:, 1, 1] = False
    (inside,) = known_parts(["planes"], None, labels, known)
    assert np.argwhere(inside).tolist() == [[1, 0, 0], [1, 0, 1], [1, 1, 0]]
    inside, name = known_parts(["painted"], np.arange(3)[:, None, None] == 2, labels, known)
    assert name == "painted"
    assert np.argwhere(inside).tolist() == [[2, 0, 0], [2, 0, 1], [2, 1, 0]]


def test_regions_of_imagej_are_labels(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image("d/a.tif", squares(2), axes="YX")
    rois = [ImagejRoi(roitype=ROI_TYPE.RECT, left=4 + 12 * i, top=5, right=11 + 12 * i, bottom=12)
            for i in range(2)]  # fmt: skip
    far = ImagejRoi(roitype=ROI_TYPE.RECT, left=900, top=900, right=910, bottom=910)
    roiwrite("d/a_RoiSet.zip", [*rois, far], name=["one", "two", "far"])
    example = read("d")
    assert sorted(np.unique(example.labels)) == [0, 1, 2]
    np.testing.assert_array_equal(example.labels > 0, squares(2) > 100)
    assert main(["train", "d", "-o", "new.safetensors", *QUICK, "--steps", "1"]) == 0
    printed = capsys.readouterr()
    assert "1 pair by the ending _RoiSet" in printed.out
    assert "outside the image" in printed.err
    assert "far" in printed.err


def test_components_are_objects(refusal: Callable[..., str]) -> None:
    assert "--components" in refusal("--components", "--task", "semantic")


def test_labels_are_not_segmented(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("d/a.tif", "d/a_masks.tif", "d/b.tif"):
        write_image(name, squares(2), axes="YX")
    np.save("d/b_seg.npy", {"masks": squares(2)})  # type: ignore[arg-type]
    assert main(["segment", "d", "-m", "nuclei", "-o", "out"]) == 0
    assert [name for name in written() if name.endswith(".tif")] == ["a_labels.tif", "b_labels.tif"]
    err = capsys.readouterr().err
    assert "a_masks.tif" in err
    assert "b_seg.npy" in err


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("random", "'random' is the base model itself"),
        ("elsewhere/random.safetensors", "is the base model itself"),
        ("models/renamed.safetensors", "is the base model itself"),
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
    bright_model: Callable[..., nu.Model],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("there.safetensors").touch()
    base = bright_model().save("models/renamed")  # its card says "random"
    before = base.read_bytes()
    # said before any work
    monkeypatch.setattr(training, "read_examples", lambda *_: pytest.fail("worked"))
    assert main(["train", *pairs, "-o", output, "--base", "renamed", *QUICK]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert written("models") == ["renamed.safetensors"]
    assert base.read_bytes() == before
    assert not Path("folder").exists()
    assert not Path("elsewhere").exists()
    assert Path("there.safetensors").read_bytes() == b""


def test_an_image_without_labels_is_left_out_and_told(
    pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("labels/b.tif").rename("labels/other.tif")
    assert main(["train", *pairs, "-o", "new.safetensors", *QUICK, "--steps", "1"]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if "note:" in line]
    assert "1 image has no labels in labels, and is left out: b.tif" in notes[0]
    assert "_masks" in notes[0]
    assert "other.tif" in notes[1]


def test_no_image_with_labels(pairs: tuple[str, str], refusal: Callable[..., str]) -> None:
    for name in "abc":
        Path(f"labels/{name}.tif").rename(f"labels/truth of {name}.tif")
    line = refusal()
    for said in ("b.tif", "truth of a.tif", "_masks", "man_seg000"):
        assert said in line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--steps", "0"], "--steps"),
        (["--minutes", "1"], "minutes"),
        (["--task", "guess"], "--task"),
        (["--patch", "32,32,32,32"], "(32, 32, 32, 32) needs 2 or 3 sizes"),
        (["--features", "big"], "--features"),
        (["--base", "nowhere"], "'nowhere'"),
        (["--task", "semantic", "--classes", '[{"value": 0, "name": "none"}]'], "value 1"),
        (["--region", "planes,some"], "'planes,some' is unknown; choose all, planes or painted"),
        (["--background", "low"], "--background"),
        (["--class", "nucleus"], "'nucleus' is no label and name"),
        (["--class=-1=nucleus"], "'-1=nucleus' is no label and name"),
        (["--class", "1=nucleus"], "--task semantic"),
        (["--task", "semantic", "--class", "1=a", "--class", "1=b"], "a value twice"),
        (
            ["--task", "semantic", "--class", "1=a", "--classes", '[{"value": 1, "name": "a"}]'],
            "--class and --classes",
        ),
        (["--task", "semantic", "--class", "1=nucleus", "--no-checks"], "the value 2"),
    ],
    ids=str,
)
def test_options_that_cannot_be(options: list[str], said: str, refusal: Callable[..., str]) -> None:
    assert said in refusal(*options)


def test_train_semantic(pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    classes = [{"value": 0, "name": "none"}, *({"value": v, "name": f"{v}"} for v in (1, 2, 3))]
    options = ["--task", "semantic", "--classes", json.dumps(classes)]
    assert main(["train", *pairs, "-o", "semantic.safetensors", *QUICK, *options]) == 0
    assert re.search(
        r"^step 3 of 3: loss [0-9.]+, Dice [01]", capsys.readouterr().out, re.MULTILINE
    )
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

        def stop(job: Any, on_step: Any) -> None:
            next(job)
            next(job)
            job.close()
            raise KeyboardInterrupt

        patched.setattr(training, "run_with_bar", stop)
        assert main([*words, "-o", "parts.safetensors", "--checkpoint", "state.pt"]) == 130
    assert Path("state.pt").exists()
    assert not Path("parts.safetensors").exists()

    capsys.readouterr()
    assert main([*words, "-o", "parts.safetensors", "--checkpoint", "state.pt"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (after,) = (int(m[1]) for m in map(re.compile(r"state\.pt: .* step (\d)$").match, lines) if m)
    assert after in (1, 2)
    validated = [int(m[1]) for m in map(re.compile(r"step (\d) of 3: ").match, lines) if m]
    assert validated == list(range(after + 1, 4))
    assert not Path("state.pt").exists()
    whole, parts = load_file("whole.safetensors"), load_file("parts.safetensors")
    for name, value in whole.items():
        np.testing.assert_array_equal(parts[name].numpy(), value.numpy())


def test_a_checkpoint_stays_until_the_model_is_saved(
    pairs: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", *pairs, "-o", "new.safetensors", *QUICK, "--checkpoint", "state.pt"]

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training, "_save", interrupt)
        assert main(words) == 130
    assert Path("state.pt").exists()
    assert main(words) == 0
    assert Path("new.safetensors").exists()
    assert not Path("state.pt").exists()


def test_a_checkpoint_of_another_training(
    pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("state.pt").write_bytes(b"something else")
    words = ["train", *pairs, "-o", "new.safetensors", *QUICK, "--checkpoint", "state.pt"]
    assert main(words) == 2
    assert "state.pt" in capsys.readouterr().err
    assert Path("state.pt").read_bytes() == b"something else"
    assert not Path("new.safetensors").exists()


# Regions

WHOLE = ["--validation-fraction", "0"]  # so that all known pixels are learned from


def known_pixels(path: str = "new.safetensors") -> int:
    record = read_header(Path(path)).training
    assert record is not None
    return record.labelled_pixels


def painted(count: int, background: int = 9) -> np.ndarray:
    """Strokes through the squares, and one below them."""
    strokes = np.zeros((20, 12 * count + 4), np.uint8)
    for i in range(count):
        strokes[7:9, 5 + 12 * i : 10 + 12 * i] = i + 1
    strokes[15:17] = background
    return strokes


def test_painted_labels(pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    for name, count in (("a", 1), ("b", 2), ("c", 3)):
        write_labels(f"strokes/{name}.tif", painted(count), axes="YX")
    words = ["train", "images", "strokes", "-o", "new.safetensors", *QUICK, *WHOLE]
    words += ["--no-checks", "--region", "painted"]
    assert main([*words, "--background", "9"]) == 0
    assert known_pixels() == sum(np.count_nonzero(painted(n)) for n in (1, 2, 3))
    assert "Nothing was held out" in capsys.readouterr().out.splitlines()[-1]

    Path("new.safetensors").unlink()
    for name, count in (("a", 1), ("b", 2), ("c", 3)):
        write_labels(f"strokes/{name}.tif", painted(count, background=0), axes="YX")
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no background" in line
    assert "--background" in line
    assert main([*words, "--background", "0"]) == 2
    assert "--background 0 cannot be painted" in capsys.readouterr().err


def test_labelled_planes_of_a_stack(here: Path) -> None:
    image, truth = np.stack([squares(3)] * 6), np.zeros((6, *squares(3).shape), np.uint8)
    truth[2] = truth[4] = (squares(3) > 100) * (1 + np.arange(40) // 12)
    write_image("stack.tif", image, axes="ZYX")
    write_labels("planes.tif", truth, axes="ZYX")
    words = ["train", "stack.tif", "planes.tif", "-o", "new.safetensors", *QUICK, *WHOLE]
    assert main([*words, "--region", "planes", "--no-checks"]) == 0
    assert known_pixels() == 2 * squares(3).size


def test_masks(pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", *pairs, "-o", "new.safetensors", *QUICK, *WHOLE, "--no-checks"]
    words += ["--region-masks", "masks"]
    assert main(words) == 2
    assert "masks does not exist" in capsys.readouterr().err
    for name, count in (("a.png", 1), ("b_mask.tif", 2)):
        mask = np.zeros_like(squares(count))
        mask[:14, :15] = 255
        write_image(f"masks/{name}", mask, axes="YX")
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "c.tif has no mask in masks" in line
    write_image("masks/c.ome.tif", np.zeros_like(squares(3)), axes="YX")
    assert main(words) == 0
    assert known_pixels() == 2 * 14 * 15
    # with what is painted: the third square of c, the second one of b
    assert main([*words, "--region", "painted", "-o", "both.safetensors"]) == 0
    beyond = sum(np.count_nonzero(squares(n)[:, 15:] > 100) for n in (2, 3))
    inside = np.count_nonzero(squares(3)[:, :15] > 100)
    assert known_pixels("both.safetensors") == 2 * 14 * 15 + beyond + inside


def test_a_mask_of_fewer_axes_counts_for_all_planes(here: Path) -> None:
    stack = np.stack([squares(2)] * 3)
    write_image("a.tif", stack, axes="ZYX")
    write_labels("a_labels.tif", (stack > 100).astype(np.uint8), axes="ZYX")
    mask = np.zeros_like(squares(2))
    mask[:14] = 1
    write_image("mask.tif", mask, axes="YX")
    words = ["train", "a.tif", "a_labels.tif", "-o", "new.safetensors", *QUICK, *WHOLE]
    assert main([*words, "--no-checks", "--region-masks", "mask.tif"]) == 0
    assert known_pixels() == 3 * mask.sum()


def test_images_of_one_name_share_no_mask(
    pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    write_image("more/a.tif", squares(), axes="YX")
    write_labels("more/a_labels.tif", (squares() > 100).astype(np.uint8), axes="YX")
    for name, count in (("a", 1), ("b", 2), ("c", 3)):
        write_image(f"masks/{name}.tif", np.ones_like(squares(count)), axes="YX")
    words = ["train", *pairs, "--also", "more", "more", "-o", "new.safetensors", *QUICK]
    assert main([*words, "--region-masks", "masks"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "two images of the same name" in line
    assert main([*words, "--region-masks", "masks/a.tif"]) == 2
    assert "one mask for 4 images" in capsys.readouterr().err


# Classes


def test_classes_by_name(pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    names = [word for v in (3, 1, 2) for word in ("--class", f"{v}=part {v}")]
    words = ["train", *pairs, *QUICK, "--task", "semantic", *names]
    assert main([*words, "-o", "new.safetensors"]) == 0
    classes = read_header(Path("new.safetensors")).classes
    # 0 occurs in the labels
    assert [(c.value, c.name) for c in classes] == [
        (0, "background"),
        (1, "part 1"),
        (2, "part 2"),
        (3, "part 3"),
    ]
    assert len({c.colour for c in classes}) == 4
    shown = capsys.readouterr().out
    assert re.search(r"^Dice of part 1 +[01]\.", shown, re.MULTILINE)

    assert main([*words, "--class", "0=outside", "-o", "named.safetensors"]) == 0
    assert read_header(Path("named.safetensors")).classes[0].name == "outside"


def test_what_is_not_painted_is_no_class(pairs: tuple[str, str]) -> None:
    for name, count in (("a", 1), ("b", 2), ("c", 3)):
        strokes = np.where(painted(count) == 9, 2, painted(count) > 0).astype(np.uint8)
        write_labels(f"strokes/{name}.tif", strokes, axes="YX")
    words = ["train", "images", "strokes", *QUICK, "--task", "semantic", "--region", "painted"]
    words += ["--class", "1=cell", "--no-checks"]
    assert main([*words, "--class", "2=medium", "-o", "two.safetensors"]) == 0
    classes = read_header(Path("two.safetensors")).classes
    assert [(c.value, c.name) for c in classes] == [(1, "cell"), (2, "medium")]
    # a label that means background becomes 0
    assert main([*words, "--background", "2", "-o", "zero.safetensors"]) == 0
    classes = read_header(Path("zero.safetensors")).classes
    assert [(c.value, c.name) for c in classes] == [(0, "background"), (1, "cell")]


def test_the_task_is_the_base_s(pairs: tuple[str, str]) -> None:
    words = ["train", *pairs, "--steps", "2", "--patch", "32,32", "--no-checks"]
    values = ["--task", "regression", "--features", "4,8"]
    assert main([*words, *values, "-o", "values.safetensors"]) == 0
    assert main([*words, "--base", "values.safetensors", "-o", "next.safetensors"]) == 0
    assert read_header(Path("next.safetensors")).task == "regression"


# Several folders


def test_further_folders_and_files_to_validate_on(
    pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("more/d", "other/e", "held/f"):
        write_image(f"{name}.tif", squares(2), axes="YX")
        write_labels(f"{name}_labels.tif", (squares(2) > 100).astype(np.uint8), axes="YX")
    words = ["train", *pairs, "--also", "more", "more", "--also", "other/e.tif"]
    words += ["other/e_labels.tif", "--validation", "held", "held", "--no-checks"]
    assert main([*words, "-o", "new.safetensors", *QUICK]) == 0
    shown = capsys.readouterr().out
    assert "3 steps on 5 examples" in shown
    card = read_header(Path("new.safetensors"))
    assert card.training is not None
    assert card.training.examples == 5
    assert card.scores[0].images == 1


# Looked at before


def test_doubts_are_told_and_faults_end_it(
    pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", *pairs, *QUICK]

    def told() -> list[str]:
        lines = capsys.readouterr().err.splitlines()
        return [line for line in lines if "are empty" in line]

    write_labels("labels/b.tif", np.zeros_like(squares(2)), axes="YX")
    assert main([*words, "-o", "doubtful.safetensors"]) == 0
    (line,) = told()
    image = Path("images", "b.tif")
    assert line.startswith(f"napari-unet: warning: {image}: The labels are empty")
    assert main([*words, "-o", "unchecked.safetensors", "--no-checks"]) == 0
    assert told() == []

    for name, count in (("a", 1), ("c", 3)):
        write_labels(f"labels/{name}.tif", np.zeros_like(squares(count)), axes="YX")
    assert main([*words, "-o", "new.safetensors"]) == 2
    (line,) = told()
    assert line.startswith("napari-unet: error: The labels are empty")
    assert not Path("new.safetensors").exists()


def test_examples_to_validate_on_are_looked_at_too(
    pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    write_image("held/f.tif", squares(2), axes="YX")
    write_labels("held/f_labels.tif", np.zeros((5, 5), np.uint8), axes="YX")
    words = ["train", *pairs, "--validation", "held", "held", "-o", "new.safetensors", *QUICK]
    assert main(words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if ": error: " in line]
    (line,) = lines
    assert str(Path("held", "f.tif")) in line
    assert "(5, 5)" in line


def test_a_prediction_is_not_taken_as_truth(
    pairs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    truth = (squares(2) > 100).astype(np.uint8)
    record = {"operation": "segment", "model": {"name": "nuclei"}}
    write_labels("labels/b.tif", truth, axes="YX", record=record)
    words = ["train", *pairs, "-o", "new.safetensors", *QUICK]
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "b.tif are a result of the model 'nuclei'" in line
    assert not Path("new.safetensors").exists()
    # corrected, and saved later than its record
    later = Path("labels/b.json").stat().st_mtime + 600
    os.utime("labels/b.tif", (later, later))
    assert main(words) == 0
    os.utime("labels/b.json", (later, later))
    assert main([*words, "-o", "unasked.safetensors"]) == 2
    assert main([*words, "-o", "asked.safetensors", "--no-checks"]) == 0


@pytest.mark.parametrize("version", [2, 3])
def test_a_prediction_in_zarr_is_not_taken_as_truth(
    here: Path, capsys: pytest.CaptureFixture[str], version: Literal[2, 3]
) -> None:
    write_image("im.tif", squares(2), axes="YX")
    truth = (squares(2) > 100).astype(np.uint8)
    # the attributes come last, as in a run
    stored = zarr.create_array("pred.zarr", data=truth, zarr_format=version)
    stored.attrs["napari_unet"] = {"operation": "segment", "model": {"name": "nuclei"}}
    words = ["train", "im.tif", "pred.zarr", "-o", "new.safetensors", *QUICK]
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pred.zarr are a result of the model 'nuclei'" in line
    assert "attributes" in line
    assert not Path("new.safetensors").exists()
    assert main([*words[:4], "asked.safetensors", *QUICK, "--no-checks"]) == 0
    # corrected: pixels were saved later than the attributes
    records = {"zarr.json", ".zarray", ".zattrs"}
    pixels = [p for p in Path("pred.zarr").rglob("*") if p.is_file() and p.name not in records]
    later = max(p.stat().st_mtime for p in pixels) + 600
    for path in pixels:
        os.utime(path, (later, later))
    assert main(words) == 0


def test_labels_with_another_record_are_taken(pairs: tuple[str, str]) -> None:
    for name, text in (("a", "{"), ("b", '{"operation": "export"}'), ("c", "[1]")):
        Path(f"labels/{name}.json").write_text(text)
    refuse_predictions([Path(f"labels/{name}.tif") for name in "abc"])
    # a record without the name of the model tells enough
    Path("labels/c.json").write_text('{"operation": "predict"}')
    with pytest.raises(FileError, match=r"a result of a model, as c\.json beside them says"):
        refuse_predictions([Path("labels/c.tif")])


@pytest.mark.parametrize("ending", ["png", "npy", "ome.tif"])
def test_predictions_of_every_format_are_refused(here: Path, ending: str) -> None:
    path = Path(f"cells.{ending}")
    record = {"operation": "segment", "model": {"name": "nuclei"}}
    write_labels(path, (squares() > 100).astype(np.uint8), axes="YX", record=record)
    with pytest.raises(FileError, match="a result of the model 'nuclei'"):
        refuse_predictions([path])


# Interruptions


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl+C as in a terminal: a process in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press_at(*steps: int) -> Callable[..., Any]:
    """`run_with_bar` during which Ctrl+C is pressed after these steps; 0: before the first."""

    def run(job: Any, on_step: Callable[[Any], Any]) -> Any:
        if 0 in steps:
            signal.raise_signal(signal.SIGINT)

        def listen(step: Any) -> Any:
            answer = on_step(step)
            for _ in range(steps.count(step.step)):
                signal.raise_signal(signal.SIGINT)
            return answer

        return run_with_bar(job, listen)

    return run


def test_ctrl_c_stops_and_keeps_the_best(
    pairs: tuple[str, str],
    ctrl_c: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    words = ["train", *pairs, "-o", "new.safetensors", *QUICK, "--steps", "500", "--no-checks"]
    monkeypatch.setattr(training, "run_with_bar", press_at(2))
    assert main(words) == 0
    printed = capfd.readouterr()
    assert "stopping; the best model so far is kept. Ctrl+C again discards" in printed.err
    assert re.search(r"^new.safetensors: [23] steps", printed.out, re.MULTILINE)
    record = read_header(Path("new.safetensors")).training
    assert record is not None
    assert record.steps == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("steps", [(0,), (2, 2), (2, 3)], ids=str)
def test_ctrl_c_before_anything_was_learned_or_twice_discards(
    steps: tuple[int, ...],
    pairs: tuple[str, str],
    ctrl_c: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    words = ["train", *pairs, "-o", "new.safetensors", *QUICK, "--steps", "500", "--no-checks"]
    monkeypatch.setattr(training, "run_with_bar", press_at(*steps))
    assert main([*words, "--checkpoint", "state.pt"]) == 130
    assert ("state.pt keeps its state" in capfd.readouterr().err) == (0 not in steps)
    assert not Path("new.safetensors").exists()
    assert Path("state.pt").exists() == (0 not in steps)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("learned", [True, False])
def test_a_training_that_cannot_go_on_keeps_the_best(
    learned: bool,
    pairs: tuple[str, str],
    bright_model: Callable[..., nu.Model],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        yield nu.TrainStep(
            1, 3, 0.5, 0.001, None, None, 1.0, (Note("memory-short", "The memory is short."),)
        )
        raise TrainingInterruptedError(
            "The loss became nan at step 2.", bright_model() if learned else None
        )

    monkeypatch.setattr(training, "iter_train", broken)
    assert main(["train", *pairs, "-o", "new.safetensors", *QUICK, "--no-checks"]) == 2
    printed = capsys.readouterr()
    assert printed.out == "3 pairs by the same name\nThe memory is short.\n"
    (line,) = printed.err.splitlines()
    assert line.startswith("napari-unet: error: The loss became nan at step 2.")
    assert ("was saved as new.safetensors" in line) == learned
    assert Path("new.safetensors").exists() == learned


def test_a_full_disk_at_the_end(
    pairs: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = os.fsync
    calls = []

    def fsync(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    words = ["train", *pairs, "-o", "full/new.safetensors", *QUICK, "--no-checks"]
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "disk is full" in line
    kept = Path("models/new.safetensors").absolute()
    assert f"was saved as {kept} instead" in line
    assert written("full") == []
    assert main(["models", "verify", str(kept)]) == 0


# The time that is left


def test_the_time_left_is_as_the_steps_took() -> None:
    assert seconds_left(nu.TrainStep(5, 20, 0.5, 0.001, None, None, 10.0)) == 30
    assert seconds_left(nu.TrainStep(20, 20, 0.5, 0.001, None, None, 10.0)) == 0
    assert seconds_left(nu.Progress(5, 20)) is None
