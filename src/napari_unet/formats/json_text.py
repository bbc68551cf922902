"""JSON files that are written entry by entry, with the record of their export first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

COMPACT = (",", ":")


class JsonText:
    """An object of JSON whose lists are written one entry a line, without holding them.

    Parameters
    ----------
    part : Path
        The file.
    """

    def __init__(self, part: Path) -> None:
        self._part = part
        self._file: IO[str]
        self._separator = "{\n"

    def __enter__(self) -> Self:
        self._file = self._part.open("w", encoding="utf-8", newline="\n")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._file.write("\n}\n")
        self._file.close()

    def write(self, name: str, value: Any) -> None:
        """Write a member."""
        self._file.write(f"{self._separator}{json.dumps(name)}: {_dumps(value)}")
        self._separator = ",\n"

    def open_list(self, name: str) -> None:
        """Begin a member that is a list."""
        self._file.write(f"{self._separator}{json.dumps(name)}: [")
        self._separator = "\n"

    def add(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Write entries of the list."""
        for entry in entries:
            self._file.write(self._separator + _dumps(entry))
            self._separator = ",\n"

    def close_list(self) -> None:
        """End the list."""
        self._file.write("\n]")
        self._separator = ",\n"


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=COMPACT, allow_nan=False)
