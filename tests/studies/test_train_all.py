"""How all bundled models are trained: the rounds of each, one after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
Commands = list[list[str]]


@pytest.fixture
def write_commands(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Commands]:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    found: Callable[..., Commands] = import_module("train_all").write_commands
    return found


@pytest.fixture
def run_commands(monkeypatch: pytest.MonkeyPatch) -> Callable[[Commands, Path], bool]:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    found: Callable[[Commands, Path], bool] = import_module("train_all").run_commands
    return found


def value_of(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


def test_each_round_goes_on_from_the_last(write_commands: Callable[..., Commands]) -> None:
    rounds = write_commands("phase", Path("data"), Path("runs"), "cpu", 60)
    outputs = [value_of(each, "--output") for each in rounds]
    bases = [value_of(each, "--base") for each in rounds]
    assert bases == ["nuclei-histology", *outputs[:-1]]
    assert outputs[-1] == str(Path("runs", "phase.safetensors"))
    assert len({value_of(each, "--checkpoint") for each in rounds}) == len(rounds) == 3
    assert sum(float(value_of(each, "--minutes")) for each in rounds) == pytest.approx(60)
    assert [value_of(each, "--diameter") for each in rounds[1:]] == ["28.0", "36.0"]
    assert "--diameter" not in rounds[0]


def test_a_model_without_rounds_is_trained_at_once(
    write_commands: Callable[..., Commands],
) -> None:
    (command,) = write_commands("denoise", Path("data"), Path("runs"), "cuda", 25)
    assert "--base" not in command
    assert float(value_of(command, "--minutes")) == 25
    assert value_of(command, "--device") == "cuda"


def write_round(folder: Path, number: int) -> list[str]:
    """A command that prints a number and ends with it, as if it would write a model."""
    code = f"print({number}); raise SystemExit({number})"
    return [sys.executable, "-c", code, "--output", str(folder / f"{number}.safetensors")]


def test_a_round_that_is_done_is_not_made_again(
    run_commands: Callable[[Commands, Path], bool], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    commands = [write_round(tmp_path, number) for number in (5, 0)]
    for name in ("5.safetensors", "0.safetensors"):
        (tmp_path / name).touch()
    assert run_commands(commands, log)  # of the last round, the checkpoint tells
    assert log.read_text().split() == ["0"]


def test_nothing_follows_a_round_that_failed(
    run_commands: Callable[[Commands, Path], bool], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    commands = [write_round(tmp_path, number) for number in (0, 3, 4)]
    assert not run_commands(commands, log)
    assert log.read_text().split() == ["0", "3"]
    assert run_commands(commands[:1], log)  # added to what is there
    assert log.read_text().split() == ["0", "3", "0"]
