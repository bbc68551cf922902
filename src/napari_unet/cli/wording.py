"""Faults in the words of the command line."""

from __future__ import annotations

import re

IMAGE_OPTIONS = ("axes", "channels", "pixel_size")
TRAINING_OPTIONS = ("base", "checkpoint", "region", "background", "validation")


def as_options(message: str) -> str:
    """A message of the Python API with its parameters named as the options are.

    Examples
    --------
    >>> as_options("name 1 of them with channels=, or correct axes=.")
    'name 1 of them with --channels, or correct --axes.'
    >>> as_options("taken as Z; give axes='TYX' for time.")
    'taken as Z; give --axes TYX for time.'
    >>> as_options("min_size: Input should be a valid integer.")
    '--min-size: Input should be a valid integer.'
    """
    known = "|".join(sorted(_names(), key=len, reverse=True))
    # not inside a path such as runs/min_size/a.tif
    alone = rf"(?<![\w/\\.-])({known})"
    message = re.sub(
        rf"{alone}=(?:(['\"])([\w.]*)\2|(\w+))?",
        lambda hit: " ".join(filter(None, (_option(hit[1]), hit[3], hit[4]))),
        message,
    )
    message = re.sub(rf"(^|; ){alone}(?=: )", lambda hit: hit[1] + _option(hit[2]), message)
    return re.sub(
        rf"{alone}(?![\w/\\-]|\.\w)",
        lambda hit: _option(hit[1]) if "_" in hit[1] else hit[1],
        message,
    )


def one_line(message: str) -> str:
    r"""A message without line breaks, which a file name may bring along.

    >>> one_line("a\nb does not exist.")
    'a b does not exist.'
    """
    return " ".join(message.splitlines())


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _names() -> set[str]:
    from napari_unet.settings import SegmentSettings, TrainConfig

    fields = {*SegmentSettings.model_fields, *TrainConfig.model_fields} - {"name"}
    return {*IMAGE_OPTIONS, *TRAINING_OPTIONS, *fields}
