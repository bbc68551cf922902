"""What users get wrong: one sentence, through the Python API and the command line alike."""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from safetensors.torch import load_file, save_file

import napari_unet as nu
from napari_unet.cli import main
from napari_unet.errors import FileError, InputError, ModelError, SettingsError
from napari_unet.io import write_image

IMAGE = np.zeros((24, 20), np.float32)
IMAGE[4:10, 5:12] = 1


def damaged(image: np.ndarray, value: float) -> np.ndarray:
    out = image.copy()
    out[17, 3] = value
    return out


def check_sentence(message: str, *named: str) -> None:
    """One sentence on one line that names what it is about."""
    assert message.endswith(".")
    assert "\n" not in message
    assert not re.search(r"[.!?] +[A-Z]", message), "more than one sentence"
    assert "Traceback" not in message
    for text in named:
        assert text in message


@pytest.fixture(scope="module")
def model(
    bright_model: Callable[..., nu.Model], tmp_path_factory: pytest.TempPathFactory
) -> nu.Model:
    return nu.Model.load(bright_model().save(tmp_path_factory.mktemp("model") / "bright"))


# Image files


def missing(path: Path) -> None:
    pass


def truncated(path: Path) -> None:
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 255, (60, 60), np.uint8))
    path.write_bytes(path.read_bytes()[:-1500])


def random_bytes(path: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(5000))


def no_bytes(path: Path) -> None:
    path.touch()


def text(path: Path) -> None:
    path.write_text("no image")


def with_nan(path: Path) -> None:
    write_image(path, np.full(IMAGE.shape, np.nan, np.float32), axes="YX")


def with_infinity(path: Path) -> None:
    write_image(path, np.full(IMAGE.shape, -np.inf, np.float32), axes="YX")


def complex_numbers(path: Path) -> None:
    np.save(path, IMAGE.astype(np.complex64))


def empty_axis(path: Path) -> None:
    np.save(path, np.zeros((0, 5)))


def one_axis(path: Path) -> None:
    np.save(path, np.zeros(5))


def three_channels(path: Path) -> None:
    write_image(path, np.zeros((16, 16, 3), np.uint8), axes="YXC")


BAD_FILES = [
    (missing, "a.tif", "does not exist"),
    (truncated, "a.tif", "truncated"),
    (random_bytes, "a.tif", "TIFF"),
    (random_bytes, "a.png", "PNG"),
    (no_bytes, "a.tif", "empty"),
    (text, "a.txt", "kind"),
    (with_nan, "a.tif", "NaN"),
    (with_infinity, "a.tif", "infinite"),
    (complex_numbers, "a.npy", "complex64"),
    (empty_axis, "a.npy", "(0, 5)"),
    (one_axis, "a.npy", "(5,)"),
    (three_channels, "a.png", "has 3"),
]


@pytest.mark.parametrize(
    ("make", "name", "said"), BAD_FILES, ids=lambda v: getattr(v, "__name__", v)
)
@pytest.mark.parametrize("command", ["segment", "predict"])
def test_an_image_file_that_cannot_be_used(
    command: str,
    make: Callable[[Path], None],
    name: str,
    said: str,
    model: nu.Model,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, out = tmp_path / name, tmp_path / "out"
    make(path)
    (result,) = nu.segment_files([path], model, out, scores=command == "predict")
    assert result.output is None
    assert result.record is None
    assert result.error is not None
    check_sentence(result.error, said)
    assert not out.exists()

    status = main([command, str(path), "-m", str(model.path), "-o", str(out)])
    printed = capsys.readouterr()
    assert status == 2
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith(f"napari-unet: error: {path}")
    check_sentence(line, said)
    assert not out.exists()


# Arrays

BAD_ARRAYS = [
    (np.full(IMAGE.shape, np.nan), {}, "NaN"),
    (np.full(IMAGE.shape, np.inf), {}, "infinite"),
    (IMAGE.astype(complex), {}, "complex128"),
    (IMAGE.astype(str), {}, "dtype <U"),
    (IMAGE.astype(object), {}, "dtype object"),
    (np.zeros((0, 5)), {}, "(0, 5)"),
    (np.zeros((3, 0, 5)), {"axes": "ZYX"}, "axis Y"),
    (np.zeros(5), {}, "(5,)"),
    (np.float32(1), {}, "has 0"),
    ("cells.tif", {}, "str"),
    (None, {}, "NoneType"),
    ([], {}, "empty"),
    ([IMAGE, IMAGE[1:]], {}, "(23, 20)"),
    ([IMAGE, IMAGE], {}, "has 2"),
    (IMAGE, {"axes": "ZYX"}, "'ZYX'"),
    (IMAGE, {"axes": "YQ"}, "'YQ'"),
    (IMAGE, {"axes": "YY"}, "'YY'"),
    (IMAGE, {"axes": "ZX"}, "'ZX'"),
    (np.zeros((9, 9, 3)), {}, "has 3"),
    (np.zeros((4, 9, 9)), {"axes": "CYX"}, "has 4"),
    (np.zeros((9, 9, 3)), {"channels": [3]}, "no channel 3"),
    (np.zeros((9, 9, 3)), {"channels": [0, 1]}, "(0, 1)"),
    (np.zeros((9, 9, 3)), {"channels": ["red"]}, "['red']"),
    (IMAGE, {"pixel_size": -1}, "-1"),
    (IMAGE, {"pixel_size": float("nan")}, "nan"),
    (IMAGE, {"pixel_size": (1, 1, 1)}, "3 values"),
]


@pytest.mark.parametrize(("image", "options", "said"), BAD_ARRAYS, ids=lambda v: str(v)[:20])
@pytest.mark.parametrize("run", [nu.segment, nu.predict])
def test_an_array_that_cannot_be_used(
    run: Callable[..., Any], image: Any, options: Any, said: str, model: nu.Model, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        run(image, model, output=tmp_path / "out.zarr", **options)
    check_sentence(str(caught.value), said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--axes", "ZYX"], "axes 'ZYX'"),
        (["--channels", "1"], "--channels"),
        (["--pixel-size", "-2"], "--pixel-size -2.0"),
        (["--pixel-size", "1,2,3"], "--pixel-size has 3"),
    ],
)
def test_options_that_do_not_fit_the_image(
    options: list[str],
    said: str,
    model: nu.Model,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_image(tmp_path / "a.tif", IMAGE, axes="YX")
    assert main(["segment", str(path), "-m", str(model.path), "-o", str(tmp_path), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    check_sentence(line, str(path), said)
    assert list(tmp_path.iterdir()) == [path]


# Models


def rewrite(source: Path, target: Path, old: bytes, new: bytes) -> None:
    data = source.read_bytes()
    assert len(old) == len(new)
    assert old in data
    target.write_bytes(data.replace(old, new))


def cut_short(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes()[:-100])


def flipped_header(source: Path, target: Path) -> None:
    rewrite(source, target, b"architecture", b"architekture")


def pickled(source: Path, target: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, target)


def pickled_long_ago(source: Path, target: Path) -> None:
    target.write_bytes(pickle.dumps([1, 2, 3]))


def newer(source: Path, target: Path) -> None:
    rewrite(source, target, rb"{\"format_version\":1", rb"{\"format_version\":9")


def without_card(source: Path, target: Path) -> None:
    save_file(load_file(source), target)


def absent(source: Path, target: Path) -> None:
    pass


def text_for_a_model(source: Path, target: Path) -> None:
    target.write_text("no model")


BAD_MODELS = [
    (cut_short, "damaged"),
    (flipped_header, "damaged"),
    (pickled, "pickled"),
    (pickled_long_ago, "pickled"),
    (newer, "newer version"),
    (without_card, "without a model card"),
    (absent, "no model file"),
    (text_for_a_model, "damaged"),
]


@pytest.mark.parametrize(("make", "said"), BAD_MODELS, ids=lambda v: getattr(v, "__name__", v))
def test_a_model_file_that_cannot_be_used(
    make: Callable[[Path, Path], None],
    said: str,
    model: nu.Model,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, out = tmp_path / "bad.safetensors", tmp_path / "out"
    assert model.path is not None
    make(model.path, path)
    (tmp_path / "a.png").touch()
    for use in (
        lambda: nu.Model.load(path),
        lambda: nu.segment(IMAGE, path),
        lambda: nu.predict(IMAGE, str(path)),
        lambda: nu.segment_files([tmp_path], path, out),
    ):
        with pytest.raises(ModelError) as caught:
            use()
        check_sentence(str(caught.value), "bad.safetensors", said)

    image = str(write_image(tmp_path / "a.tif", IMAGE, axes="YX"))
    for words in (
        ["segment", image, "-m", str(path), "-o", str(out)],
        ["predict", image, "-m", str(path), "-o", str(out)],
        ["train", image, image, "--base", str(path), "-o", str(out / "new.safetensors")],
        ["models", "verify", str(path)],
        ["models", "show", str(path)],
    ):
        # the card alone says nothing about the weights; its file has to be whole all the same
        assert main(words) == 2
        printed = capsys.readouterr()
        (line,) = printed.err.splitlines()
        assert line.startswith("napari-unet: error: ")
        check_sentence(line, "bad.safetensors", said)
        assert printed.out == ""
    assert not out.exists()


def test_a_model_of_another_name(
    model: nu.Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError) as caught:
        nu.segment(IMAGE, "nuclei-2")
    check_sentence(str(caught.value), "'nuclei-2'")
    image = str(write_image(tmp_path / "a.tif", IMAGE, axes="YX"))
    assert main(["segment", image, "-m", "nuclei-2", "-o", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    check_sentence(line, "'nuclei-2'")


def test_a_regression_model_has_no_labels(
    make_model: Callable[..., nu.Model], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = make_model(task="regression")
    with pytest.raises(ModelError) as caught:
        nu.segment(IMAGE, values)
    check_sentence(str(caught.value), "predict")
    path = values.save(tmp_path / "values")
    image = write_image(tmp_path / "a.tif", IMAGE, axes="YX")
    assert main(["segment", str(image), "-m", str(path), "-o", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    check_sentence(line, "predict")
    assert not (tmp_path / "out").exists()


def test_a_3d_model_needs_a_stack(make_model: Callable[..., nu.Model]) -> None:
    for run in (nu.segment, nu.predict):
        with pytest.raises(InputError) as caught:
            run(IMAGE, make_model(ndim=3))
        check_sentence(str(caught.value), "'YX'")


# Settings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tile", 0),
        ("tile", "big"),
        ("tile", [64, 64, 64]),
        ("device", "tpu"),
        ("device", "cuda:99"),
        ("precision", "int8"),
        ("normalization", "minmax"),
        ("normalization", {"mode": "minmax"}),
        ("normalization", {"mode": "range"}),
        ("normalization", {"mode": "range", "limits": [[0, 1], [0, 1]]}),
        ("threshold", 3),
        ("threshold", "high"),
        ("min_size", -1),
        ("min_size", 2.5),
        ("object_diameter", 0),
        ("object_diameter", 30),  # the model knows none of its own
        ("volume_mode", "3d"),
        ("link_overlap", 1.5),
        ("flips", 7),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be(
    field: str,
    value: Any,
    model: nu.Model,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for run in (nu.segment, nu.predict):
        with pytest.raises(SettingsError) as caught:
            run(IMAGE, model, **{field: value})
        check_sentence(str(caught.value), field)

    if field == "flips":
        return  # a switch: it takes no value
    path = write_image(tmp_path / "a.tif", IMAGE, axes="YX")
    word = value if isinstance(value, str) else json.dumps(value)
    option = "--" + field.replace("_", "-")
    command = ["segment", str(path), "-m", str(model.path), "-o", str(tmp_path), option, word]
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    check_sentence(line)
    assert field.replace("_", "-") in line
    assert list(tmp_path.iterdir()) == [path]


def test_a_setting_that_there_is_not(
    model: nu.Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        nu.segment(IMAGE, model, treshold=0.4)
    check_sentence(str(caught.value), "'treshold'")
    assert main(["segment", "a.tif", "-m", "nuclei", "-o", "out", "--treshold", "0.4"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    check_sentence(line, "--treshold")


# Outputs


@pytest.fixture
def image_file(tmp_path: Path) -> Path:
    return write_image(tmp_path / "a.tif", IMAGE, axes="YX")


@pytest.mark.parametrize("folder", ["a.tif", "a.tif/below/it"])
def test_a_file_where_the_output_folder_should_be(
    folder: str,
    image_file: Path,
    model: nu.Model,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = image_file.read_bytes()
    with pytest.raises(FileError) as caught:
        nu.segment_files([image_file], model, tmp_path / folder)
    check_sentence(str(caught.value), folder)
    for command in ("segment", "predict"):
        words = [command, str(image_file), "-m", str(model.path), "-o", str(tmp_path / folder)]
        assert main(words) == 2
        (line,) = capsys.readouterr().err.splitlines()
        check_sentence(line, folder)
    assert main(["demo", "-o", str(tmp_path / folder), "--no-window"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    check_sentence(line, folder)
    assert image_file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [image_file]


def refuse_to_open(monkeypatch: pytest.MonkeyPatch, folder: Path, number: int) -> None:
    """A read-only folder, also for a user whom permissions do not bind."""
    real = os.open

    def opened(path: Any, flags: int, *more: Any, **named: Any) -> int:
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes and Path(os.fsdecode(path)).is_relative_to(folder):
            raise OSError(number, os.strerror(number), path)
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", opened)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS], ids=["permission", "read-only"])
def test_a_read_only_output_folder(
    number: int,
    image_file: Path,
    model: nu.Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    refuse_to_open(monkeypatch, out, number)
    with pytest.raises(FileError) as caught:
        nu.segment_files([image_file], model, out)
    check_sentence(str(caught.value), str(out))
    with pytest.raises(FileError) as caught:
        model.save(out / "model")
    check_sentence(str(caught.value), str(out))
    assert main(["segment", str(image_file), "-m", str(model.path), "-o", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    check_sentence(line, str(out))
    # before the training, which takes long
    words = ["train", str(image_file), str(image_file), "-o", str(out / "new.safetensors")]
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    check_sentence(line, str(out))
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_keeps_what_was_there(
    step: str,
    image_file: Path,
    model: nu.Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    (earlier,) = nu.segment_files([image_file], model, out, threshold=0.4)
    assert earlier.error is None
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(before) == {"a_labels.tif", "a_labels.json"}

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, full)
    (result,) = nu.segment_files([image_file], model, out)
    assert result.error is not None
    check_sentence(result.error, str(out), "disk is full")
    assert main(["segment", str(image_file), "-m", str(model.path), "-o", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    check_sentence(line, str(out), "disk is full")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_an_output_array_that_exists_or_cannot_be(
    image_file: Path, model: nu.Model, tmp_path: Path
) -> None:
    out = tmp_path / "out.zarr"
    nu.segment(IMAGE, model, output=out)
    for run in (nu.segment, nu.predict):
        for path in (out, image_file / "below.zarr"):
            with pytest.raises(FileError) as caught:
                run(IMAGE, model, output=path)
            check_sentence(str(caught.value), str(path))
    assert sorted(tmp_path.iterdir()) == [image_file, out]


def test_a_cluster_is_refused_in_words(image_file: Path, model: nu.Model, tmp_path: Path) -> None:
    for run in (nu.segment, nu.predict):
        with pytest.raises(SettingsError) as caught:
            run(IMAGE, model, client=object())
        check_sentence(str(caught.value), "client=")
    with pytest.raises(SettingsError):
        nu.segment_files([image_file], model, tmp_path, client=object())


# Nothing to see is no fault


@pytest.mark.parametrize("shape", [(30, 30), (1, 1), (1, 40), (3, 1, 1)])
@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_constant_image_is_empty_in_words(
    shape: tuple[int, ...],
    value: int,
    model: nu.Model,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = np.full(shape, value, np.uint8)
    labels = nu.segment(image, model)
    assert labels.shape == shape
    assert not labels.any()
    assert "No objects were found" in caplog.text
    caplog.clear()
    np.save(tmp_path / "a.npy", image)
    out = tmp_path / "out"
    assert main(["segment", str(tmp_path / "a.npy"), "-m", str(model.path), "-o", str(out)]) == 0
    printed = capsys.readouterr()
    assert "No objects were found" in printed.out
    assert (out / "a_labels.tif").is_file()
