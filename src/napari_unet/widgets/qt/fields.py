"""Faults of one field of a form, and what is typed into it."""

from __future__ import annotations

import re

from napari_unet.errors import InputError, UNetError


class FieldError(Exception):
    """A fault in one field of the form.

    Attributes
    ----------
    field : str
        Its name.
    error : UNetError
        What is wrong.
    """

    def __init__(self, field: str, error: UNetError) -> None:
        super().__init__(str(error))
        self.field = field
        self.error = error

    def to_keep(self) -> FieldError:
        """The fault alone: the frames that it came through would hold layers that are gone."""
        for each in (self, self.error):
            each.__traceback__ = each.__context__ = None
        return self


def parse_channels(text: str) -> tuple[int, ...]:
    """Channel numbers from what was typed.

    Raises
    ------
    FieldError
        If it is no list of numbers.

    Examples
    --------
    >>> parse_channels("2, 0")
    (2, 0)
    """
    parts = [part for part in re.split(r"[,;\s]+", text.strip()) if part]
    if not parts or not all(part.isascii() and part.isdigit() for part in parts):
        problem = f"Channels {text!r} must be numbers from 0, such as 0 or 2, 0"
        raise FieldError("channels", InputError(problem, parameter="channels", value=text))
    return tuple(int(part) for part in parts)


def parse_sizes(text: str) -> list[float]:
    """Numbers that were typed, with decimal points or commas; none where one is no number.

    >>> parse_sizes("0,5"), parse_sizes("2, 0.5 0.5"), parse_sizes("0.5,0.5"), parse_sizes("2; x")
    ([0.5], [2.0, 0.5, 0.5], [0.5, 0.5], [])
    """
    parts: list[str] = []
    for part in re.split(r"[;\s]+|,\s+", text.strip()):
        parts += part.split(",") if "." in part else [part.replace(",", ".")]
    try:
        return [float(part) for part in parts if part]
    except ValueError:
        return []
