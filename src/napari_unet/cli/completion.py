"""Completion in the shell: commands, options, their values and the names of models.

``eval "$(register-python-argcomplete napari-unet)"`` turns it on, in bash and in zsh.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Iterator
from typing import Any


def complete() -> None:
    """Answer the shell's question, which argcomplete put into the environment, and end.

    Nothing happens where argcomplete is not installed.
    """
    try:
        import argcomplete
    except ImportError:
        return
    from napari_unet.cli.parser import build_parser

    parser = build_parser(_typed())
    for action in _actions(parser):
        completer = _completer_of(action)
        if completer is not None:
            action.completer = completer  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser, always_complete_options="long")


def _typed() -> list[str]:
    """The words until the cursor, less the program's own name, as far as they can be read."""
    point = os.environ.get("COMP_POINT", "")
    line = os.environ.get("COMP_LINE", "").encode()
    text = line[: int(point)] if point.isascii() and point.isdigit() else line
    try:
        return shlex.split(text.decode(errors="replace"))[1:]
    except ValueError:  # a quote that is not closed yet
        return text.decode(errors="replace").split()[1:]


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _actions(inner)


def _completer_of(action: argparse.Action) -> Any:
    if action.metavar == "MODEL":
        return _complete_model
    if isinstance(action.metavar, str) and "|" in action.metavar and action.choices is None:
        words = [word for word in action.metavar.split("|") if word.isidentifier()]
        return lambda **_: words
    return None


def _complete_model(prefix: str, **_: Any) -> list[str]:
    """Names of models, and files where one is typed."""
    from argcomplete.completers import FilesCompleter

    from napari_unet.network.files import model_files

    files: list[str] = FilesCompleter(("safetensors",))(prefix)
    return [*model_files(), *files]
