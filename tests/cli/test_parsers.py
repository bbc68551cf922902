"""All commands are alike: their options, their help, their examples, and what a shell completes."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from napari_unet.cli.main import main
from napari_unet.cli.parser import build_parser
from napari_unet.cli.wording import option_of
from napari_unet.evaluation.settings import EvaluationSettings
from napari_unet.settings import SegmentSettings, TrainConfig

COMMANDS = (
    "segment", "predict", "train", "measure", "evaluate", "export", "run", "demo",
    "models list", "models show", "models verify", "models add",
)  # fmt: skip
SETTINGS = {
    "segment": (SegmentSettings, set()),
    "predict": (SegmentSettings, set()),
    "train": (TrainConfig, {"name"}),
    "evaluate": (EvaluationSettings, set()),
}


def parsers(words: list[str]) -> dict[str, argparse.ArgumentParser]:
    """All commands by their names, of the parser that is built for some words."""
    found: dict[str, argparse.ArgumentParser] = {}
    waiting = [("", build_parser(words))]
    while waiting:
        name, parser = waiting.pop()
        inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        for action in inner:
            waiting += [(f"{name} {each}".strip(), p) for each, p in action.choices.items()]
        if not inner:
            found[name] = parser
    return found


def test_all_commands_are_alike() -> None:
    assert set(parsers([])) == set(COMMANDS)
    known: dict[str, tuple[object, ...]] = {}
    for command in COMMANDS:
        parser = parsers(command.split())[command]
        options = [a for a in parser._actions if a.option_strings]
        names = {name for action in options for name in action.option_strings}
        assert {"--json", "--help"} <= names
        assert {name for name in names if len(name) == 2} <= {"-h", "-o", "-m"}
        for action in options:
            name = next(n for n in action.option_strings if n.startswith("--"))
            assert re.fullmatch(r"--[a-z]+(-[a-z]+)*", name)
            assert action.help, f"{command} {name} has no help"
            # an option of the same name is the same thing everywhere
            dest = action.dest.removeprefix("settings.")
            shape = (dest, action.nargs, isinstance(action, argparse._AppendAction))
            assert known.setdefault(name, shape) == shape, f"{command} {name}"
        if command in SETTINGS:
            kind, left_out = SETTINGS[command]
            fields = {f.dest.removeprefix("settings.") for f in options if "settings." in f.dest}
            assert fields == set(kind.model_fields) - left_out
            assert {option_of(field) for field in fields} <= names
        # the help names real calls: they are parsed as they stand
        assert parser.description
        examples = re.findall(r"^  napari-unet (.*)$", parser.epilog or "", re.MULTILINE)
        assert any(line.startswith(command) for line in examples)
        for line in examples:
            words = shlex.split(line)
            options_given = build_parser(words).parse_args(words)
            assert options_given.run == command.replace(" ", "_")
            assert options_given.json is False


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_option_ends_with_2_in_one_line(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command.split(), "--no-such-option"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("napari-unet: error: ")


def completions(line: str, folder: Path) -> set[str]:
    """What argcomplete offers at the end of a line."""
    answer = folder / "answer"
    answer.write_text("")
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line.encode())),
        "NAPARI_UNET_MODELS": str(folder / "models"),
    }
    code = "from napari_unet.cli import main; main()"
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, check=True)
    return {word.strip() for word in answer.read_text().splitlines()}


def test_a_shell_completes_commands_options_values_and_models(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.safetensors").write_bytes(b"")
    (tmp_path / "cells.tif").write_bytes(b"")
    assert completions("napari-unet e", tmp_path) == {"evaluate", "export"}
    assert completions("napari-unet segment 'an open quote", tmp_path) == set()
    assert {"list", "show", "verify", "add"} <= completions("napari-unet models ", tmp_path)
    assert completions("napari-unet segment cells.tif --vol", tmp_path) == {"--volume-mode"}
    modes = completions("napari-unet segment cells.tif --volume-mode ", tmp_path)
    assert modes == {"auto", "slices", "linked"}
    assert {"nuclei", "mine"} <= completions("napari-unet segment cells.tif -m ", tmp_path)
    assert completions("napari-unet segment ce", tmp_path) == {"cells.tif"}
