"""Where the command line prints: what files and cards bring along cannot steer the terminal.

With ``--json`` the same is printed as JSON lines; see `napari_unet.cli.json_lines`.
"""

from __future__ import annotations

import json
import logging
import sys
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.cli.json_lines import prints_json, write_line
from napari_unet.cli.wording import option_of, worded
from napari_unet.unexpected import append_log

if TYPE_CHECKING:
    from napari_unet.checks.finding import Finding
    from napari_unet.errors import Note, UNetError

# They turn the order of the characters around them, so that a text reads as another one.
DIRECTION_MARKS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
SEPARATORS = ("Cc", "Zl", "Zp")  # categories: controls, separators of lines and paragraphs


def escape_controls(text: str) -> str:
    r"""A text whose control characters are written out, as JSON does; blanks and lines stay.

    Examples
    --------
    >>> escape_controls("a\x1b[31mb\u202ec")
    'a\\u001b[31mb\\u202ec'
    """
    return "".join(json.dumps(c)[1:-1] if _steers(c) else c for c in text)


def _steers(character: str) -> bool:
    if character in "\n\t":
        return False
    return character in DIRECTION_MARKS or unicodedata.category(character) in SEPARATORS


def one_line(message: str) -> str:
    r"""A message without line breaks and controls, which a file name may bring along.

    >>> one_line("a\nb does not exist.")
    'a b does not exist.'
    """
    return escape_controls(" ".join(message.splitlines()))


def say(text: str) -> None:
    """Print what goes with a result, a line or more, on standard output; a note in JSON."""
    if prints_json():
        write_line("note", message=text)
    else:
        print(escape_controls(text), flush=True)


def print_result(text: str, **fields: Any) -> None:
    """Print a result: its text on standard output, or with ``--json`` its fields instead."""
    if prints_json():
        write_line("result", **fields)
    else:
        print(escape_controls(text), flush=True)


def tell(kind: str, text: str, **fields: Any) -> None:
    """Print one line on standard error: an error, a warning or a note; fields are for JSON."""
    if prints_json():
        write_line(kind, message=text, **fields)
    else:
        print(f"napari-unet: {kind}: {one_line(text)}", file=sys.stderr)


def tell_fault(
    fault: UNetError | Finding, place: str = "", *, kind: str = "error", source: Any = None
) -> None:
    """Print an error or a finding, one line, after the place that it is about.

    ``source`` is the file for JSON, whose message does not name the place again.
    """
    if not prints_json():
        tell(kind, place + worded(fault))
        return
    parameter = getattr(fault, "parameter", None)
    value = getattr(fault, "value", None)
    known = value if isinstance(value, str | int | float | list | tuple | None) else str(value)
    write_line(
        kind,
        message=worded(fault),
        source=source,
        code=fault.code or None,
        option=None if parameter is None else option_of(parameter),
        value=known,
    )


def print_notes(notes: Iterable[Note], source: Path | None = None) -> None:
    """Print what is to be told beside a result, or of a file, a line each, on standard error."""
    for note in notes:
        place = "" if source is None or prints_json() else f"{source}: "
        tell("note", place + worded(note), code=note.code, source=source)


class _ToLog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        append_log(self.format(record))


@contextmanager
def others_in_the_log() -> Iterator[None]:
    """Put into the log what libraries would print: warnings, and messages that nobody handles."""

    def show(message: Warning | str, category: type[Warning], filename: str, *_: Any) -> None:
        append_log(f"{filename}: {category.__name__}: {message}")

    last = logging.lastResort
    with warnings.catch_warnings():
        if not sys.warnoptions:  # else the user wants to see them
            warnings.showwarning = show  # type: ignore[assignment]
            logging.lastResort = _ToLog(logging.WARNING)
        try:
            yield
        finally:
            logging.lastResort = last
