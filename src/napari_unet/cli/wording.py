"""Faults in the words of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_unet.errors import Note, Text, UNetError

if TYPE_CHECKING:
    from napari_unet.checks.finding import Finding

IMAGE_OPTIONS = ("axes", "channels", "pixel_size", "scene")
BATCH_OPTIONS = ("overwrite", "write", "export", "name", "cluster")
TRAINING_OPTIONS = ("base", "checkpoint", "region", "background", "validation")
MEASURE_OPTIONS = ("image", "properties", "neighbour_distance")
EXPORT_OPTIONS = ("format",)
EVALUATE_OPTIONS = ("second", "components", "ignore", "confidence", "resamples", "outline_iou")


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


REMEDIES = {
    "labels-are-a-mask": "give --components to make an object of each region (those that touch "
    "stay one), or --task semantic; if all of it is one object, number it in a file of integers "
    "and give --no-checks",
    "labels-look-like-classes": "give --components to make an object of each region (those that "
    "touch stay one), or --task semantic to learn classes",
    "labels-negative": "give --negative-unknown if that means that nobody looked there, else "
    "correct the labels",
}
"""What to do, by the code of an error or a finding, where the command line has an option."""


def worded(told: UNetError | Finding | Note) -> str:
    """An error, a finding or a note, with what to do on the command line."""
    remedy = REMEDIES.get(told.code)
    if not isinstance(told, UNetError | Note):
        remedy = REMEDIES.get(told.cause) or remedy
        remedy = None if remedy is None else Text(remedy).as_sentence()
    return told.worded(option_of, remedy)


def _names() -> set[str]:
    from napari_unet.settings import SegmentSettings, TrainConfig

    fields = {*SegmentSettings.model_fields, *TrainConfig.model_fields} - {"name"}
    kinds = (IMAGE_OPTIONS, BATCH_OPTIONS, TRAINING_OPTIONS, MEASURE_OPTIONS, EXPORT_OPTIONS)
    return {*(name for names in kinds for name in names), *EVALUATE_OPTIONS, *fields}
