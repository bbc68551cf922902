"""Faults in the words of the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from napari_unet.errors import Note

IMAGE_OPTIONS = ("axes", "channels", "pixel_size", "scene")
TRAINING_OPTIONS = ("base", "checkpoint", "region", "background", "validation")


def option_of(parameter: str, value: str = "") -> str:
    """The option of a parameter of the Python API, for `UNetError.worded`.

    Examples
    --------
    >>> option_of("min_size"), option_of("axes", "TYX")
    ('--min-size', '--axes TYX')
    >>> option_of("examples"), option_of("", "semantic")
    ('examples', "'semantic'")
    """
    if not parameter:
        return f"'{value}'"
    if parameter not in _names():
        return f"{parameter}={value}" if value else parameter
    option = "--" + parameter.replace("_", "-")
    return f"{option} {value}" if value else option


def one_line(message: str) -> str:
    r"""A message without line breaks, which a file name may bring along.

    >>> one_line("a\nb does not exist.")
    'a b does not exist.'
    """
    return " ".join(message.splitlines())


def print_notes(notes: Iterable[Note], source: Path | None = None) -> None:
    """Print what is to be told beside a result, or of a file, a line each, on standard error."""
    place = "" if source is None else f"{source}: "
    for note in notes:
        said = one_line(place + note.worded(option_of))
        print(f"napari-unet: note: {said}", file=sys.stderr)


def _names() -> set[str]:
    from napari_unet.settings import SegmentSettings, TrainConfig

    fields = {*SegmentSettings.model_fields, *TrainConfig.model_fields} - {"name"}
    return {*IMAGE_OPTIONS, *TRAINING_OPTIONS, *fields}
