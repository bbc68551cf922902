"""The command line: what it writes, what it says, and with which status it ends."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from safetensors.torch import load_file

import napari_unet as nu
from napari_unet.cli import main
from napari_unet.cli.bars import run_with_bar
from napari_unet.cli.printing import one_line
from napari_unet.cli.wording import option_of
from napari_unet.errors import UNetError
from napari_unet.io import read_image, write_image
from napari_unet.network.files import bundled_names


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


def squares(count: int = 2) -> np.ndarray:
    """Bright squares of 7 x 7 pixels in a row."""
    image = np.full((20, 12 * count + 4), 20, np.uint8)
    for i in range(count):
        image[5:12, 4 + 12 * i : 11 + 12 * i] = 200
    return image


def written(folder: str = "out") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


# Segment and predict


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.png", "a.jpg", "a.npy"])
def test_segment_one_file(name: str, bright: str, capsys: pytest.CaptureFixture[str]) -> None:
    if name.endswith(".jpg"):
        Image.fromarray(squares()).save(name, quality=95)
    else:
        write_image(name, squares(), axes="YX")
    assert main(["segment", name, "-m", bright, "-o", "out"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    (line,) = printed.out.splitlines()
    assert line.startswith(f"{Path('out', 'a_labels.tif')}: 2 objects (")
    assert written() == ["a_labels.json", "a_labels.tif"]
    labels = read_image("out/a_labels.tif").array
    np.testing.assert_array_equal(labels > 0, squares() > 100)


def test_scenes_that_are_left_out_are_told(bright: str, capsys: pytest.CaptureFixture[str]) -> None:
    with tifffile.TiffWriter("s.ome.tif", ome=True) as tif:
        for count in (1, 2):
            tif.write(squares(count), metadata={"axes": "YX", "Name": f"position {count}"})
    assert main(["segment", "s.ome.tif", "-m", bright, "-o", "out"]) == 0
    printed = capsys.readouterr()
    assert ": 1 object (" in printed.out
    (line,) = printed.err.splitlines()
    assert line.startswith("napari-unet: note: s.ome.tif: The file holds 2 images")
    assert "give --scene 1" in line
    assert main(["segment", "s.ome.tif", "-m", bright, "-o", "out", "--scene", "1"]) == 0
    printed = capsys.readouterr()
    assert ": 2 objects (" in printed.out
    assert printed.err == ""
    assert main(["segment", "s.ome.tif", "-m", bright, "-o", "all", "--scene", "all"]) == 0
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        str(Path("all", f"s_scene{k}_labels.tif")) for k in range(2)
    ]
    assert main(["segment", "s.ome.tif", "-m", bright, "-o", "out", "--scene", "2"]) == 2
    assert "position 2" in capsys.readouterr().err


def test_segment_several_files_and_folders(bright: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name, count in (("one/a.tif", 1), ("one/b.png", 2), ("c.tif", 3)):
        write_image(name, squares(count), axes="YX")
    assert main(["segment", "c.tif", "one", "-m", bright, "-o", "out"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("_labels.tif: ")[0][-1] for line in lines] == ["c", "a", "b"]
    assert [line.split(": ")[1][0] for line in lines] == ["3", "1", "2"]
    assert [n for n in written() if n.endswith("tif")] == [f"{n}_labels.tif" for n in "abc"]


@pytest.mark.parametrize("ending", ["tif", "ome.tif"])
def test_axes_and_pixel_size_go_through(ending: str, bright: str) -> None:
    stack = np.stack([squares()] * 3)
    write_image("a.tif", stack, axes="TYX", pixel_size=(0.5, 0.25))
    assert main(["segment", "a.tif", "-m", bright, "-o", "out", "--format", ending]) == 0
    result = read_image(f"out/a_labels.{ending}")
    assert result.axes == "TYX"
    assert result.pixel_size == pytest.approx((0.5, 0.25))
    assert result.array.shape == stack.shape
    with tifffile.TiffFile(f"out/a_labels.{ending}") as file:
        assert file.is_ome == (ending == "ome.tif")


def test_axes_and_pixel_size_as_given(bright: str, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("a.npy", np.stack([squares()] * 3))
    words = ["segment", "a.npy", "-m", bright, "-o", "out"]
    assert main(words) == 0
    printed = capsys.readouterr()
    (note,) = printed.err.splitlines()
    assert note.startswith("napari-unet: note: a.npy: ")
    assert "taken as ZYX" in note
    assert "give --axes TYX for time, or --axes CYX for channels" in note
    assert "give --axes" in note
    assert read_image("out/a_labels.tif").axes == "ZYX"
    assert main([*words, "--axes", "tyx", "--pixel-size", "0.5"]) == 0
    assert capsys.readouterr().err == ""
    result = read_image("out/a_labels.tif")
    assert result.axes == "TYX"
    assert result.pixel_size == pytest.approx((0.5, 0.5))
    assert main([*words, "--axes", "ZYX", "--pixel-size", "2,0.5,0.25"]) == 0
    assert read_image("out/a_labels.tif").pixel_size == pytest.approx((2, 0.5, 0.25))


@pytest.mark.parametrize(("channel", "objects"), [("0", 1), ("1", 2), ("2", 3)])
def test_a_channel_of_a_colour_image(channel: str, objects: int, bright: str) -> None:
    colours = np.stack([np.pad(squares(n), ((0, 0), (0, 36 - 12 * n))) for n in (1, 2, 3)], -1)
    write_image("a.png", colours, axes="YXC")
    assert main(["segment", "a.png", "-m", bright, "-o", "out", "--channels", channel]) == 0
    result = read_image("out/a_labels.tif")
    assert result.axes == "YX"
    assert int(result.array.max()) == objects
    assert json.loads(Path("out/a_labels.json").read_text())["channels"] == [int(channel)]


@pytest.mark.parametrize(("tile", "resolved"), [("16", [16, 16]), ("8,16", [8, 16])])
def test_tiles(tile: str, resolved: list[int], bright: str) -> None:
    write_image("a.tif", squares(), axes="YX")
    assert main(["segment", "a.tif", "-m", bright, "-o", "out", "--tile", tile]) == 0
    assert json.loads(Path("out/a_labels.json").read_text())["settings"]["tile"] == resolved
    assert int(read_image("out/a_labels.tif").array.max()) == 2


def test_normalization_as_json(bright: str) -> None:
    write_image("a.tif", squares(), axes="YX")  # 20 and 200
    words = ["segment", "a.tif", "-m", bright, "-o", "out", "--normalization"]
    for high, objects in ((255, 2), (1000, 0)):
        chosen = {"mode": "range", "limits": [[0, high]]}
        assert main([*words, json.dumps(chosen)]) == 0
        record = json.loads(Path("out/a_labels.json").read_text())
        assert record["objects"] == objects
        assert record["settings"]["normalization"]["limits"] == [[0, high]]
        assert record["intensity_limits"] == [[[0, high]]]


def test_switches(bright: str) -> None:
    write_image("a.tif", squares(), axes="YX")
    words = ["segment", "a.tif", "-m", bright, "-o", "out"]
    for option, value in (("--flips", True), ("--no-flips", False)):
        assert main([*words, option]) == 0
        assert json.loads(Path("out/a_labels.json").read_text())["settings"]["flips"] is value


def test_an_empty_result_is_said_in_words(bright: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_image("a.tif", squares(), axes="YX")
    assert main(["segment", "a.tif", "-m", bright, "-o", "out", "--min-size", "1000"]) == 0
    printed = capsys.readouterr()
    assert "No objects were found" in printed.out
    assert printed.err == ""
    assert not read_image("out/a_labels.tif").array.any()


def test_predict_writes_scores_with_a_channel_axis(
    bright: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image("a.tif", np.stack([squares()] * 3), axes="ZYX", pixel_size=(2, 0.5, 0.5))
    assert main(["predict", "a.tif", "-m", bright, "-o", "out"]) == 0
    assert capsys.readouterr().out.startswith(f"{Path('out', 'a_scores.tif')}: scores (")
    assert written() == ["a_scores.json", "a_scores.tif"]
    scores = read_image("out/a_scores.tif")
    assert scores.axes == "CZYX"
    assert scores.array.shape == (2, 3, *squares().shape)
    assert scores.array.dtype == np.float32
    assert scores.pixel_size == pytest.approx((2, 0.5, 0.5))
    assert json.loads(Path("out/a_scores.json").read_text())["operation"] == "predict"


def test_the_record_makes_the_run_again(make_model: Callable[..., nu.Model]) -> None:
    model = make_model()
    path = str(model.save("random"))
    image = np.random.default_rng(3).integers(0, 4000, (50, 70), np.uint16)
    foreground, _ = nu.predict(image, model).scores
    write_image("a.tif", image, axes="YX")
    options = ["--tile", "24", "--normalization", '{"lower": 3, "upper": 97}']
    options += ["--threshold", str(np.quantile(foreground, 0.6))]
    options += ["--split-depth", "0.1", "--flips"]
    assert main(["segment", "a.tif", "-m", path, "-o", "first", *options]) == 0
    first = json.loads(Path("first/a_labels.json").read_text())
    assert first["model"] == {"name": "random", "sha256": nu.Model.load(path).sha256}
    assert first["settings"]["tile"] == [24, 24]
    assert first["settings"]["device"] != "auto"
    assert first["settings"]["precision"] != "auto"
    assert first["seconds"] > 0
    assert {"napari-unet-torch", "torch", "numpy"} <= set(first["versions"])

    again = []
    for name, value in first["settings"].items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            again.append(f"--{option}" if value else f"--no-{option}")
        elif value is not None:
            word = value if isinstance(value, str) else json.dumps(value)
            again.append(f"--{option}={word}")
    assert main(["segment", "a.tif", "-m", path, "-o", "second", *again]) == 0
    labels = read_image("first/a_labels.tif").array
    assert labels.max() > 1
    np.testing.assert_array_equal(read_image("second/a_labels.tif").array, labels)
    second = json.loads(Path("second/a_labels.json").read_text())
    varying = {"output", "outputs", "request", "seconds", "started"}
    assert {k: v for k, v in first.items() if k not in varying} == {
        k: v for k, v in second.items() if k not in varying
    }


def test_in_place(bright: str) -> None:
    for name in "ab":
        write_image(f"in/{name}.tif", squares(), axes="YX")
    before = [Path("in", f"{name}.tif").read_bytes() for name in "ab"]
    for _ in range(2):
        assert main(["segment", "in", "-m", bright, "-o", "in"]) == 0
    assert [n for n in written("in") if n.endswith(".tif")] == [
        "a.tif",
        "a_labels.tif",
        "b.tif",
        "b_labels.tif",
    ]
    assert [Path("in", f"{name}.tif").read_bytes() for name in "ab"] == before


# Status and faults


def test_a_bad_file_among_good_ones(bright: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "abc":
        write_image(f"in/{name}.tif", squares(), axes="YX")
    Path("in/b.tif").write_bytes(b"II*\0 and then nothing of use")
    assert main(["segment", "in", "-m", bright, "-o", "out"]) == 1
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 2
    (line,) = printed.err.splitlines()
    assert line.startswith("napari-unet: error: ")
    assert line.count("b.tif") == 1
    assert line.endswith(".")
    assert [n for n in written() if n.endswith("tif")] == ["a_labels.tif", "c_labels.tif"]


def test_two_images_of_one_name(bright: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("in/a.tif", "in/a.png", "in/b.tif"):
        write_image(name, squares(), axes="YX")
    assert main(["segment", "in/a.tif", "in/a.png", "-m", bright, "-o", "both"]) == 0
    assert capsys.readouterr().err == ""
    assert [n for n in written("both") if n.endswith("tif")] == [
        "a_png_labels.tif",
        "a_tif_labels.tif",
    ]
    assert main(["segment", "in", "-m", bright, "-o", "out"]) == 0  # the PNG is a preview
    (line,) = capsys.readouterr().err.splitlines()
    assert "a.png beside a.tif" in line
    results = [f"{name}_labels.{end}" for name in "ab" for end in ("json", "tif")]
    assert written() == [*results, "batch.csv", "batch.json"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "COMMAND"),
        (["segmnt"], "segmnt"),
        (["segment", "a.tif"], "--model"),
        (["segment", "a.tif", "-m", "nuclei", "-o", "x", "--pixel-size", "small"], "'small'"),
        (["segment", "a.tif", "-m", "nuclei", "-o", "x", "--channels", "red"], "'red'"),
        (["segment", "a.tif", "-m", "nuclei", "-o", "x", "--format", "gif"], "'gif'"),
        (["predict", "a.tif", "-m", "nuclei", "-o", "x", "--steps", "3"], "--steps 3"),
        (["models"], "ACTION"),
        (["models", "show"], "MODEL"),
        (["segment", "nowhere", "-m", "nuclei", "-o", "x"], "nowhere does not exist"),
        (["models", "show", "nowhere"], "'nowhere'"),
        (["train", "nowhere", "nowhere", "-o", "new"], "nowhere does not exist"),
    ],
    ids=str,
)
def test_a_fault_is_one_line_and_status_2(
    words: list[str], said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("napari-unet: error: ")
    assert line.endswith(".")
    assert said in line
    assert list(here.iterdir()) == []


# the signal may meet a library that has just opened a file of the system
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_run(
    bright: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "abc":
        write_image(f"in/{name}.tif", squares(), axes="YX")
    real = os.fsync
    flushed = 0

    def fsync(handle: int) -> None:  # in the middle of writing the labels of b
        nonlocal flushed
        real(handle)
        flushed += 1
        if flushed == 5:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "fsync", fsync)
    # a process that a shell started in the background ignores the signal
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main(["segment", "in", "-m", bright, "-o", "out"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 1  # what is done is told at once
    assert printed.err == "napari-unet: interrupted\n"
    # what is complete is still written
    assert written()[:4] == [f"{n}_labels.{end}" for n in "ab" for end in ("json", "tif")]
    assert "c_labels.tif" not in written()


def test_a_name_of_two_lines_is_told_in_one(
    bright: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["segment", "first\nsecond.tif", "-m", bright, "-o", "out"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("give ⟨axes=⟩ for another order", "give --axes for another order."),
        ("give ⟨axes='CZYX'⟩ otherwise", "give --axes CZYX otherwise."),
        ("⟨pixel_size⟩ has 3 values", "--pixel-size has 3 values."),
        ("use ⟨task='instance'⟩", "use --task instance."),
        ("the task ⟨task:'instance'⟩ is odd", "the task 'instance' is odd."),
        ("⟨examples⟩ must be a list", "examples must be a list."),
        # words and paths stay as they are
        ("The channels have different shapes",) * 2,
        ("runs/pixel_size/a.tif and axes= do not exist",) * 2,
    ],
)
def test_hints_name_options(template: str, expected: str) -> None:
    assert UNetError(template).worded(option_of) == f"{expected.rstrip('.')}."


def test_one_line() -> None:
    assert one_line("a  b\r\nc\n") == "a  b c"


@pytest.mark.process
def test_a_broken_pipe_is_no_traceback(bright: str) -> None:
    code = "import sys; from napari_unet.cli import main; sys.exit(main(['models', 'list']))"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        timeout=120,
    )
    os.close(write)
    assert done.stderr == b""
    assert done.returncode == 141


# The bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("terminal", [True, False])
def test_the_bar_shows_on_terminals_only(
    terminal: bool,
    bright: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_image("[b]a.tif", squares(), axes="YX")
    screen = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in the logs of some services
    assert main(["segment", "[b]a.tif", "-m", bright, "-o", "out"]) == 0
    assert ("[b]a.tif: done" in screen.getvalue()) == terminal
    assert terminal or screen.getvalue() == ""
    assert "2 objects" in capsys.readouterr().out  # not on the screen of the bar


def test_a_bar_gives_the_result_and_closes_a_job_that_fails() -> None:
    closed = []

    def job(fail: bool) -> Any:
        try:
            yield nu.Progress(1, 2, "half")
            if fail:
                raise nu.UNetError("Broken.")
            yield nu.TrainStep(1, 2, 0.5, 0.001, None, 0.25, 1.0)
            return "result"
        finally:
            closed.append(fail)

    steps: list[Any] = []
    assert run_with_bar(job(fail=False), steps.append) == "result"
    assert [type(step) for step in steps] == [nu.Progress, nu.TrainStep]
    with pytest.raises(nu.UNetError):
        run_with_bar(job(fail=True))

    def interrupt(step: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_with_bar(job(fail=False), interrupt)
    assert closed == [False, True, False]


# Models


def test_models_list(bright: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("models").mkdir()
    Path("models/mine.safetensors").write_bytes(Path(bright).read_bytes())
    Path("models/broken.safetensors").write_bytes(b"nothing")
    assert main(["models", "list"]) == 0
    printed = capsys.readouterr()
    rows = [line.split("\t") for line in printed.out.splitlines()]
    kinds = [row[:3] for row in rows]
    assert ["nuclei", "bundled", "2D instance"] in kinds
    assert kinds[-1] == ["mine", "yours", "2D instance"]  # after all bundled ones
    (note,) = printed.err.splitlines()
    assert "broken.safetensors" in note


def test_models_show(bright: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", bright]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["file"] == bright
    assert shown["sha256"] == nu.Model.load(bright).sha256
    assert shown["exact_tiling"] is True
    card = nu.Model.load(bright).card
    assert nu.ModelCard.model_validate(shown["card"]) == card.model_copy(update={"thumbnail": None})


def test_models_verify(bright: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "verify", bright]) == 0
    assert capsys.readouterr().out.startswith("random: ")
    # flip a bit of the last weight
    data = bytearray(Path(bright).read_bytes())
    stored = load_file(bright)
    needle = stored["network.head.weight"].numpy().tobytes()
    at = data.find(needle)
    data[at + 3] ^= 0x80
    Path("changed.safetensors").write_bytes(bytes(data))
    assert main(["models", "verify", "changed.safetensors"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "another result" in line


@pytest.mark.parametrize("name", sorted(bundled_names()))
def test_a_bundled_model_is_whole(name: str) -> None:
    assert main(["models", "verify", name]) == 0
    card = nu.Model.load(name).card
    assert card.name == name
    told = (card.description, card.licence, card.citation, card.thumbnail, card.scores, card.domain)
    assert all(told)
    assert card.training is not None
    assert card.training.steps


def test_a_frame_unlike_the_others_is_told(bright: str, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    series = rng.normal(100, 2, (5, 64, 64))
    series[:, 20:40, 20:40] += 300
    series[2] = 65535
    write_image("a.tif", series.astype(np.uint16), axes="TYX")
    assert main(["segment", "a.tif", "-m", bright, "-o", "out"]) == 0
    assert "1 of the frames is unlike all others" in capsys.readouterr().out


def test_names_that_are_too_long_are_told_and_the_others_done(
    bright: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "a" * 249 + ".tif"  # which fits, but not with _labels
    for each in (name, "ok.tif"):
        write_image(each, squares(), axes="YX")
    assert main(["segment", ".", "-m", bright, "-o", "out"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "File name too long" in line
    assert [n for n in written() if "labels" in n] == ["ok_labels.json", "ok_labels.tif"]
    assert main(["segment", "ok.tif", "-m", bright, "-o", "b" * 300]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "File name too long" in line


def test_folders_that_may_not_be_read_are_told(
    bright: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Injected, as the tests may run as root, who may read everything."""
    locked = tmp_path / "locked"
    locked.mkdir()
    for name in ("scandir", "listdir"):
        original = getattr(os, name)

        def refuse(path: Any = ".", *, original: Any = original) -> Any:
            if Path(os.fsdecode(path)).name == "locked":
                raise PermissionError(13, "Permission denied", os.fsdecode(path))
            return original(path)

        monkeypatch.setattr(os, name, refuse)
    assert main(["segment", str(locked), "-m", bright, "-o", "out"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Permission denied" in line
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(locked))
    main(["models", "list"])
    said = capsys.readouterr()
    assert "nuclei" in said.out
    assert "Traceback" not in said.err


# The installed script, and what it imports

SCRIPT = Path(sys.executable).with_name("napari-unet")


def run(*words: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=300)


def test_the_script_segments_and_says_its_faults_in_one_line(bright: str) -> None:
    write_image("a.tif", squares(), axes="YX")
    Path("b.tif").write_bytes(np.random.default_rng(0).bytes(3000))
    done = run(SCRIPT, "segment", "a.tif", "b.tif", "-m", bright, "-o", "out")
    assert done.returncode == 1
    assert done.stdout.startswith(f"{Path('out', 'a_labels.tif')}: 2 objects (")
    (line,) = done.stderr.splitlines()
    assert line.startswith("napari-unet: error: b.tif")
    assert written()[:2] == ["a_labels.json", "a_labels.tif"]


@pytest.mark.skipif(sys.platform == "win32", reason="counts the processor's time as POSIX does")
def test_help_is_quick() -> None:
    import resource

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = run(SCRIPT, "--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0
        assert "napari-unet segment" in done.stdout
        assert done.stderr == ""
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    seconds()  # compiles the modules
    assert min(seconds() for _ in range(3)) < 0.5


@pytest.mark.parametrize(
    ("words", "absent"),
    [
        (["--help"], ("torch", "pydantic", "numpy", "napari")),
        (["--version"], ("torch", "pydantic", "numpy", "napari")),
        (["segment", "--help"], ("torch", "napari", "scipy", "skimage")),
        (["train", "--help"], ("torch", "napari", "scipy", "skimage")),
        (["models", "list"], ("torch", "napari", "scipy", "skimage")),
        (["models", "show", "nuclei"], ("torch", "napari", "scipy", "skimage")),
    ],
    ids=str,
)
def test_what_is_imported(words: list[str], absent: tuple[str, ...]) -> None:
    code = (
        "import sys\nfrom napari_unet.cli import main\n"
        f"try:\n    status = main({words!r})\nexcept SystemExit as end:\n    status = end.code\n"
        f"assert not status\nassert not set({absent!r}) & set(sys.modules)"
    )
    done = run(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["segment", "predict", "train", "measure", "models", "demo"])
def test_help_of_a_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    settings = {"train": nu.TrainConfig, "segment": nu.SegmentSettings}.get(command)
    for field in settings.model_fields if settings else ():
        assert field == "name" or f"--{field.replace('_', '-')}" in shown
    if command == "segment":
        for part in ("(default: the model's)", "micrometres", "auto|slices|linked", "0.5"):
            assert part in shown


# What files bring along


STEERING = "\x1b[31mred\x07\u202eevil\u2066\x9b1m\x7f"


def test_nothing_that_a_file_brings_steers_the_terminal(
    bright: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = nu.Model.load(bright)
    card = model.card.model_copy(update={"name": f"m{STEERING}", "description": f"a\tb{STEERING}"})
    nu.Model(card, model.network).save(here / "models" / f"x{STEERING}")
    (here / "models" / f"broken{STEERING}.safetensors").write_bytes(b"no model")
    write_image(f"image{STEERING}.tif", squares(), axes="YX")
    Path(f"bad{STEERING}.tif").write_bytes(b"no image")
    model_file = str(here / "models" / f"x{STEERING}.safetensors")
    assert main(["models", "list"]) == 0
    assert main(["models", "show", model_file]) == 0
    assert main(["models", "verify", model_file]) == 0
    paths = [f"image{STEERING}.tif", f"bad{STEERING}.tif"]
    assert main(["segment", *paths, "-m", model_file, "-o", "out"]) == 1
    assert main(["segment", f"none{STEERING}.tif", "-m", f"none{STEERING}", "-o", "out"]) == 2
    assert main([f"segment{STEERING}"]) == 2
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert not set(text) & set("\x1b\x07\u202e\u2066\x9b\x7f")
        assert "\\u001b[31mred\\u0007\\u202eevil" in text
    shown = printed.out[printed.out.index("{") : printed.out.rindex("}") + 1]
    assert json.loads(shown)["card"]["name"] == card.name  # the escapes are those of JSON


def test_only_modules_that_escape_print() -> None:
    import ast

    from napari_unet import cli

    for path in Path(cli.__file__).parent.glob("*.py"):
        calls = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)]
        names = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
        printing = ("printing.py", "json_lines.py", "parser.py")
        assert path.name in printing or "print" not in names, path


def test_what_nobody_foresaw_is_one_line_and_a_log(
    bright: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NAPARI_UNET_STATE", "state")

    def fail(path: Path, **_: object) -> None:
        raise ZeroDivisionError(path.name)

    monkeypatch.setattr("napari_unet.batch.file_job.read_image", fail)
    for name in ("a.tif", "b.tif"):
        write_image(name, squares(), axes="YX")
    assert main(["segment", "a.tif", "b.tif", "-m", bright, "-o", "out"]) == 1
    lines = capsys.readouterr().err.splitlines()
    for line, name in zip(lines, ("a.tif", "b.tif"), strict=True):
        assert line.startswith(f"napari-unet: error: {name}: Something unexpected failed")
    assert all(str(Path("state", "errors.log")) in line for line in lines)
    assert Path("state", "errors.log").read_text().count("ZeroDivisionError: ") == 2
    monkeypatch.setattr("napari_unet.network.files.read_header", fail)
    assert main(["models", "list"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("napari-unet: error: Something unexpected failed (ZeroDivisionError")


def test_warnings_of_libraries_go_to_the_log(
    bright: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import logging
    import warnings

    monkeypatch.setenv("NAPARI_UNET_STATE", "state")
    real = nu.Model.verify

    def verify(model: nu.Model) -> None:
        warnings.simplefilter("default")
        warnings.warn("from a library", RuntimeWarning, stacklevel=1)
        library = logging.getLogger("some.library")
        library.propagate = False  # as where nobody handles it; pytest would
        library.error("a message")
        real(model)

    monkeypatch.setattr(nu.Model, "verify", verify)
    assert main(["models", "verify", bright]) == 0
    assert capsys.readouterr().err == ""
    log = Path("state", "errors.log").read_text()
    assert "from a library" in log
    assert "a message" in log
