"""Calls as Python source."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

LINE = 88  # characters, above which a call is broken


def call(function: str, arguments: Iterable[str], keywords: Mapping[str, Any] | None = None) -> str:
    """A call, on one line where it is short.

    Parameters
    ----------
    function : str
        What is called, also with a name that gets the result: "labels = nu.segment".
    arguments : iterable of str
        Expressions.
    keywords : mapping
        Names and values; a value that is no `Expression` is written by its ``repr``.

    Examples
    --------
    >>> call("nu.segment", ["image", "'nuclei'"], {"threshold": 0.6})
    "nu.segment(image, 'nuclei', threshold=0.6)"
    """
    parts = [*arguments, *(f"{name}={write(value)}" for name, value in (keywords or {}).items())]
    line = f"{function}({', '.join(parts)})"
    if len(line) <= LINE and "\n" not in line:
        return line
    return "\n".join([f"{function}(", *(f"    {part}," for part in parts), ")"])


class Expression(str):
    """Source that stands as it is."""

    __slots__ = ()


def write(value: Any) -> str:
    """A value as source.

    >>> write((0.5, None)), write(Expression("mask")), write(Path("a/b").name)
    ('(0.5, None)', 'mask', "'b'")
    """
    if isinstance(value, Expression):
        return str(value)
    if isinstance(value, Path):
        return repr(str(value))
    return repr(value)


def quote(words: Sequence[str]) -> str:
    """A command for the shell of this system."""
    if sys.platform == "win32":
        return subprocess.list2cmdline(words)
    return shlex.join(words)
