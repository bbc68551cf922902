"""What ``--json`` prints: a JSON object a line on standard output, for programs.

Each has a ``type``: "progress", "note", "warning", "result", "error", and "end" as the last one,
with the exit status. docs/scripting.md names their fields.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

PROGRESS_INTERVAL_S = 0.2  # between lines of progress that tell nothing but numbers


@dataclass
class _Stream:
    command: str = ""
    active: bool = False
    told_at: float = -math.inf
    results: int = 0
    errors: int = 0


_stream: ContextVar[_Stream | None] = ContextVar("json_lines", default=None)


@contextmanager
def json_lines(*, active: bool) -> Iterator[None]:
    """Print JSON lines, if ``active``, instead of text, until the end of the block."""
    token = _stream.set(_Stream(active=active))
    try:
        yield
    finally:
        _stream.reset(token)


def start_command(command: str, *, active: bool) -> None:
    """Name the command whose lines follow, as in "models list"."""
    stream = _stream.get()
    if stream is not None:
        stream.command, stream.active = command, active


def prints_json() -> bool:
    """Whether JSON lines are printed instead of text."""
    stream = _stream.get()
    return stream is not None and stream.active


def write_line(kind: str, **fields: Any) -> None:
    """Print one object with its type and the fields; None stands for what is unknown."""
    stream = _stream.get() or _Stream()
    stream.results += kind == "result"
    stream.errors += kind == "error"
    more = {"command": stream.command} if kind == "result" else {}
    # escaped to ASCII, so that nothing steers a terminal and every encoding can print it
    print(json.dumps({"type": kind, **more, **_plain(fields)}, allow_nan=False), flush=True)


def write_end(status: int) -> None:
    """Print the last line: the exit status, and how many results and errors there were."""
    stream = _stream.get() or _Stream()
    write_line(
        "end",
        command=stream.command,
        status=status,
        results=stream.results,
        errors=stream.errors,
    )


def write_progress(step: Any, total: int, done: int, message: str, **fields: Any) -> None:
    """Print a line on a step, but not many in a second where only the count has changed."""
    stream = _stream.get() or _Stream()
    now = time.monotonic()
    known = getattr(step, "metric", None) is not None or done == total
    if not known and now - stream.told_at < PROGRESS_INTERVAL_S:
        return
    stream.told_at = now
    write_line("progress", done=done, total=total, message=message, **fields)


def _plain(value: Any) -> Any:
    """A value as JSON knows it: NaN and infinities become null, paths and the unknown text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str | PurePath):
        # bytes of a name that are no UTF-8 are no JSON either
        return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(value, Mapping):
        return {str(_plain(name)): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    if hasattr(value, "model_dump"):
        return _plain(value.model_dump(mode="json"))
    return _plain(value.tolist()) if hasattr(value, "tolist") else str(value)
