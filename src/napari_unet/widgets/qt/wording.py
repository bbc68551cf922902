"""What the Python API says, in the words of a form; times in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_unet.errors import Note, Text, UNetError

if TYPE_CHECKING:  # the checks import scipy, for which an opening dock does not wait
    from napari_unet.checks.finding import Finding


def label_of(parameter: str, value: str = "") -> str:
    """What a form calls a parameter of the Python API, or a value of it.

    Examples
    --------
    >>> label_of("axes", "TYX"), label_of("channels", ""), label_of("batch_size", "")
    ('the axes TYX', 'the channels', '‘Batch size’')
    >>> label_of("task", "instance")
    '‘Separate objects’'
    """
    if value in VALUES:
        return f"‘{VALUES[value]}’"
    if not parameter:
        return f"‘{value}’"
    name = PARAMETERS.get(parameter, parameter.replace("_", " "))
    if parameter in LABELS:
        name = f"‘{LABELS[parameter]}’"
    return f"{name} {value}" if value else name


PARAMETERS = {
    "axes": "the axes",
    "channels": "the channels",
    "background": "the background label",
    "region": "the region",
}
LABELS = {
    "batch_size": "Batch size",
    "learning_rate": "Learning rate",
    "ndim": "Spatial axes",
    "start": "Weights from",
    "keep_base": "Keep base",
    "match_size": "Match size",
    "validation_fraction": "Held out",
    "representation": "Part by",
    "border_weight": "Border weight",
    "object_diameter": "Diameter",
    "threshold": "Threshold",
    "split_depth": "Split depth",
    "min_size": "Min. size",
    "smoothing": "Smoothing",
    "shape_radius": "Shape radius",
    "volume_mode": "Stacks",
    "link_overlap": "Link overlap",
    "flips": "Average flips",
    "tile": "Tile",
}
"""The fields of the settings whose labels are not their names with a capital."""

TASK_NAMES = {
    "instance": "Separate objects",
    "semantic": "Classes of pixels",
    "regression": "Values of pixels",
}


TRUSTED_NAMES = {
    "all": "everywhere",
    "planes": "done planes",
    "painted": "painted pixels",
    "seen": "what was looked at",
}


REMEDIES = {
    "no-background": "press ‘Paint background’ and paint some, or choose its label at ‘Background "
    "is’; or label a plane completely and mark it as done",
    "nothing-known": "paint something, or choose where else the labels can be trusted",
    "background-not-painted": "paint some background with it, or choose another label at "
    "‘Background is’",
    "nothing-held-out": "label more; else nothing tells how good the new model is",
    "not-finite": "replace them first",
    "zero-is-background": "choose ‘painted pixels’, or shapes around what is labelled",
    "mask-unlike-labels": "draw shapes around what is labelled",
    # the form has no field for the levels of a network
    "one-pixel-left": "make the batches larger",
    "objects-exceed-view": "scale the images down, or train a new network",
    "no-memory-left": "close other programs",
    "labels-look-like-classes": "number the objects (those that touch stay one), or choose "
    "‘Classes of pixels’",
    "labels-are-a-mask": "number the objects (those that touch stay one), or choose "
    "‘Classes of pixels’",
    "objects-are-a-mask": "choose ‘pieces of a mask’ at ‘As’ to make an object of each piece, or "
    "‘classes’ to compare the mask",
    "labels-negative": "say that negative is unknown if it is, else correct the labels",
}
"""What to do, by the code of an error or a finding, where a form has other means."""

NEXT_STEPS = frozenset(
    {
        "no-image",
        "no-labels",
        "not-corrected",
        "nothing-done",
        "nothing-known",
        "no-background",
        "background-not-painted",
    }
)
"""Codes of what is only not done yet: a form tells it calmly, and keeps red for errors."""

VALUES = {**TASK_NAMES, **TRUSTED_NAMES}
"""What a form calls a value of a setting."""


def worded(told: UNetError | Finding | Note, *, brief: bool = False) -> str:
    """An error, a finding or a note in the words of a form; ``brief``: without what to do.

    >>> from napari_unet.checks import Finding
    >>> remedy = "Choose ⟨task='instance'⟩, or ⟨region='painted'⟩."
    >>> worded(Finding("doubt", "a", 0, "labels", "They look like objects.", remedy))
    'They look like objects. Choose ‘Separate objects’, or ‘painted pixels’.'
    >>> from napari_unet.errors import InputError
    >>> error = InputError("⟨min_size⟩ -1 is negative", "give 0 or more")
    >>> worded(error), worded(error, brief=True)
    ('‘Min. size’ -1 is negative; give 0 or more.', '‘Min. size’ -1 is negative.')
    """
    remedy = "" if brief else REMEDIES.get(told.code)
    if not isinstance(told, UNetError | Note):
        remedy = remedy if remedy is not None else REMEDIES.get(told.cause)
        remedy = None if remedy is None else Text(remedy).as_sentence()
    text = told.worded(label_of, remedy)
    return text[:1].upper() + text[1:]


def is_next_step(told: UNetError | Finding) -> bool:
    """Whether something is only not done yet, such as an image that is not open.

    >>> from napari_unet.errors import InputError
    >>> is_next_step(InputError("There is no image", "open one", code="no-image"))
    True
    """
    cause = "" if isinstance(told, UNetError) else told.cause
    return not NEXT_STEPS.isdisjoint((told.code, cause))


def duration_text(seconds: float) -> str:
    """A time, rounded as a forecast deserves.

    Examples
    --------
    >>> (
    ...     duration_text(0.3),
    ...     duration_text(42),
    ...     duration_text(400),
    ...     duration_text(8000),
    ... )
    ('1 s', '42 s', '7 min', '2.2 h')
    """
    if seconds < 90:
        return f"{max(1, math.ceil(seconds))} s"
    if seconds < 5400:
        return f"{math.ceil(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
