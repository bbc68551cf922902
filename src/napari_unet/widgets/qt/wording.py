"""What the Python API says, in the words of a form; times in words."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_unet.checks import Finding


def in_the_form(message: str) -> str:
    """A message of the Python API in words that suit a form.

    Examples
    --------
    >>> in_the_form("The first axis was taken as Z; give axes='TYX' for time.")
    'The first axis was taken as Z; type TYX for time.'
    """
    message = re.sub(r"give axes='(\w+)'", r"type \1", message)
    message = message.replace("give axes= for", "type").replace("axes=", "the axes")
    return message.replace("channels=", "the channels")


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
    "validation_fraction": "Held out",
    "border_weight": "Border weight",
    "object_diameter": "Diameter",
    "split_depth": "Split depth",
    "min_size": "Min. size",
    "smoothing": "Smoothing",
    "shape_radius": "Shape radius",
    "volume_mode": "Stacks",
    "link_overlap": "Link overlap",
    "flips": "Average flips",
}
"""The fields of the settings whose labels are not their names with a capital."""

TASK_NAMES = {
    "instance": "Separate objects",
    "semantic": "Classes of pixels",
    "regression": "Values of pixels",
}


TRUSTED_NAMES = {"all": "everywhere", "planes": "done planes", "painted": "painted pixels"}


REMEDIES = {
    "no-background": "Paint some background with a label of its own and choose it at ‘Background "
    "is’; or label a plane completely and mark it as done.",
    "nothing-known": "Paint something, or choose where else the labels can be trusted.",
    "background-not-painted": "Paint some background with it, or choose another label at "
    "‘Background is’.",
    "nothing-held-out": "Label more; else nothing tells how good the new model is.",
}
"""What to do, by the code of a finding, where the form has words of its own for it."""


VALUES = {**TASK_NAMES, **TRUSTED_NAMES}


_PHRASES = (
    (r",? for example with np\.\w+", ""),
    (r"\bbackground=(\d+)", r"the background label \1"),
    (
        r"name it with background=, or add a complete plane or a mask to the region",
        "choose it at ‘Background is’; or label a plane completely and mark it as done",
    ),
    (r"a mask of what is labelled|a mask of the labels' shape", "shapes around what is labelled"),
    # the form has no field for these
    (r"[;,][^;,.]* fewer levels \(features\)", ""),
    (r", or [^;,.]* more levels \(features\)", ""),
    (r"take fewer features or levels, or ", ""),
    # what is left of Python's quotation marks; those in words such as "model's" stay
    (r"(?<!\w)'([^'\n]+)'(?!\w)", r"‘\1’"),
)
"""What stands in the form for what the Python API says."""


def worded(finding: Finding) -> str:
    """A finding in the words of the form.

    >>> from napari_unet.checks import Finding
    >>> remedy = "Choose task='instance', or region='painted'."
    >>> worded(Finding("doubt", "a", 0, "labels", "They look like objects.", remedy))
    'They look like objects. Choose ‘Separate objects’, or ‘painted pixels’.'
    """
    return in_words(f"{finding.message} {REMEDIES.get(finding.code, finding.remedy)}")


def in_words(message: str) -> str:
    """A message of the Python API in the words of the form.

    >>> in_words("the image has NaN pixels; replace them first, for example with np.nan_to_num.")
    'The image has NaN pixels; replace them first.'
    >>> in_words("There is no model 'mine'; the user's models are: nuclei.")
    "There is no model ‘mine’; the user's models are: nuclei."
    """
    names = "|".join(VALUES)
    message = re.sub(
        rf"(?:\b(?:task|region)=)?'({names})'", lambda hit: f"‘{VALUES[hit[1]]}’", message
    )
    message = in_the_form(message)
    for pattern, words in _PHRASES:
        message = re.sub(pattern, words, message)
    return message[:1].upper() + message[1:]


def gist(message: str) -> str:
    """What a message says before its advice, for where it stands a second time.

    >>> gist("There are no labels of ‘cells’; press ‘New labels for cells’ and paint.")
    'There are no labels of ‘cells’.'
    >>> gist("The image is too small.")
    'The image is too small.'
    """
    first = re.split(r"; |(?<=\.) (?=[A-Z‘])", message, maxsplit=1)[0]
    return first if first.endswith((".", "!", "?")) or not first else f"{first}."


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
