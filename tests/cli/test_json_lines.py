"""``--json``: every command prints one JSON object a line on standard output, and no text."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_unet as nu
from napari_unet.cli import commands, main
from napari_unet.cli.json_lines import json_lines, write_line
from napari_unet.io import write_image, write_labels

TYPES = {"progress", "note", "warning", "result", "error", "end"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(tmp_path / "models"))
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[dict[str, Any]]]:
    """Runs a command with --json, checks what all have in common, and gives its lines."""

    def run_command(*words: str, status: int = 0) -> list[dict[str, Any]]:
        capsys.readouterr()
        assert main([*words, "--json"]) == status
        printed = capsys.readouterr()
        assert printed.err == ""
        lines = [json.loads(line, parse_constant=pytest.fail) for line in printed.out.splitlines()]
        assert {line["type"] for line in lines} <= TYPES
        *others, end = lines
        assert end["type"] == "end"
        assert end["status"] == status
        for kind in ("result", "error"):
            assert end[f"{kind}s"] == len([line for line in others if line["type"] == kind])
        for line in others:
            if line["type"] == "result":
                assert line["command"] == end["command"]
                assert " ".join(words).startswith(line["command"])
            elif line["type"] != "progress":
                assert line["message"]
        for line in others:
            if line["type"] == "progress":
                assert {"done", "total", "message", "seconds_left"} <= set(line)
        return lines

    return run_command


def of(kind: str, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["type"] == kind]


def test_all_commands(
    run: Callable[..., list[dict[str, Any]]], bright_model: Callable[..., nu.Model], here: Path
) -> None:
    model = str(bright_model().save(here / "bright"))
    image = np.full((40, 40), 20, np.uint8)
    image[5:12, 5:12] = image[20:30, 20:30] = 200
    for name in ("in/a.tif", "in/b.tif"):
        write_image(name, image, axes="YX")
    Path("in/c.tif").write_bytes(b"no image")

    lines = run("segment", "in", "-m", model, "-o", "out", status=1)
    assert of("progress", lines)
    results = of("result", lines)
    assert [Path(r["source"]).name for r in results] == ["a.tif", "b.tif"]
    assert [r["objects"] for r in results] == [2, 2]
    assert all(Path(r["output"]).is_file() and r["state"] == "done" for r in results)
    (error,) = of("error", lines)
    assert Path(error["source"]).name == "c.tif"
    again = of("result", run("segment", "in", "-m", model, "-o", "out", status=1))
    assert {r["state"] for r in again} == {"skipped"}
    assert of("result", run("predict", "in/a.tif", "-m", model, "-o", "out"))[0]["output"]

    labels = "out/a_labels.tif"
    (measured,) = of("result", run("measure", labels, "--properties", "area"))
    assert [row["area"] for row in measured["rows"]] == [49, 100]
    (kept,) = of("result", run("measure", labels, "-o", "a.csv"))
    assert kept["output"] == "a.csv"
    assert "rows" not in kept
    (scored,) = of("result", run("evaluate", labels, "out/b_labels.tif"))
    assert scored["candidates"][0]["scores"]["ap"]["0.5"] == 1
    (exported,) = of("result", run("export", labels, "-o", "a.zip"))
    assert Path(exported["output"]).is_file()
    (repeated,) = of("result", run("run", "out/a_labels.json", "-o", "again"))
    assert Path(repeated["output"]).is_file()

    assert "nuclei" in [r["name"] for r in of("result", run("models", "list"))]
    assert of("result", run("models", "show", model))[0]["card"]["task"] == "instance"
    assert of("result", run("models", "verify", model))[0]["verified"] is True
    assert of("result", run("models", "add", model, "--as", "kept"))[0]["name"] == "kept"

    write_labels("truth/a.tif", (image > 100).astype(np.uint16) * 3, axes="YX")
    write_image("images/a.tif", image, axes="YX")
    train = ("train", "images", "truth", "-o", "new", "--steps", "2", "--patch", "16,16")
    trained = run(*train, "--batch-size", "2", "--no-checks")
    (result,) = of("result", trained)
    assert result["steps"] == 2
    assert of("progress", trained)[-1]["loss"] > 0


def test_faults_are_errors_with_fields(run: Callable[..., list[dict[str, Any]]]) -> None:
    (error,) = of("error", run("segment", "none.tif", "-m", "nuclei", status=2))
    assert "none.tif" in error["message"]
    write_image("a.tif", np.zeros((8, 8), np.uint8), axes="YX")
    wrong = ("segment", "a.tif", "-m", "nuclei", "-o", "out", "--min-size", "-3")
    (error,) = of("error", run(*wrong, status=2))
    assert error["option"] == "--min-size"
    assert error["value"] == -3
    (error,) = of("error", run("models", "show", "nowhere", status=2))
    assert "nowhere" in error["message"]
    (error,) = of("error", run("segment", "a.tif", "--nonsense", status=2))  # before it is parsed


def test_what_ends_a_command_is_told(
    run: Callable[..., list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(error: BaseException) -> Any:
        def segment(_: Any) -> int:
            raise error

        return segment

    words = ("segment", "a.tif", "-m", "nuclei")
    monkeypatch.setattr(commands, "segment", end(KeyboardInterrupt()))
    (error,) = of("error", run(*words, status=130))
    assert error["code"] == "interrupted"
    monkeypatch.setattr(commands, "segment", end(RuntimeError("what nobody foresaw")))
    (error,) = of("error", run(*words, status=1))
    assert error["code"] == "unexpected"
    assert "what nobody foresaw" in error["message"]


def test_a_line_holds_what_json_cannot(capsys: pytest.CaptureFixture[str]) -> None:
    with json_lines(active=True):
        write_line("note", message="a\nb\x1b[31m", path=Path("caf\udce9"), none=math.nan)
        write_line("note", message="", values=(np.float32(0.5), np.arange(2), {1: {"x"}}))
    first, second = capsys.readouterr().out.splitlines()
    assert first.isascii()
    assert json.loads(first)["message"] == "a\nb\x1b[31m"
    assert json.loads(first)["path"] == "caf\\xe9"
    assert json.loads(first)["none"] is None
    assert json.loads(second)["values"] == [0.5, [0, 1], {"1": ["x"]}]
