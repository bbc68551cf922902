"""What was found about examples, in lines under what it is about."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_unet.widgets.qt.form import FAULT_COLOUR, text_label
from napari_unet.widgets.viewer.layer_image import in_the_form

if TYPE_CHECKING:
    from napari_unet.checks import Finding

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
_WORDS = {**TASK_NAMES, **TRUSTED_NAMES}
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


@dataclass(frozen=True, eq=False)
class Line:
    """One line.

    Attributes
    ----------
    text : str
        What it says.
    fault : bool
        Whether it keeps the training from starting; else it is a doubt.
    actions : tuple of (str, callable)
        Small buttons beside it.
    """

    text: str
    fault: bool
    actions: tuple[tuple[str, Callable[[], None]], ...] = ()


class FindingLines:
    """Lines under each other; hidden while there is none."""

    def __init__(self) -> None:
        self.native = QWidget()
        self.lines: tuple[Line, ...] = ()
        layout = QVBoxLayout(self.native)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        self.native.hide()

    @property
    def texts(self) -> list[str]:
        """What is said."""
        return [line.text for line in self.lines]

    def press(self, text: str) -> None:
        """Press the first button of that name."""
        for button in self.native.findChildren(QPushButton):
            if button.text() == text:
                button.click()
                return
        raise LookupError(text)

    def show(self, lines: Sequence[Line]) -> None:
        """Say these lines, and no others."""
        if _content(lines) == _content(self.lines):
            return  # nothing flickers, and no button goes while it is pressed
        self.lines = tuple(lines)
        layout = self.native.layout()
        assert layout is not None
        while layout.count():
            item = layout.takeAt(0)
            part = None if item is None else item.widget()
            if part is not None:
                part.hide()
                part.setParent(None)
                part.deleteLater()
        for line in lines:
            layout.addWidget(_line(line))
        self.native.setVisible(bool(lines))


def _content(lines: Sequence[Line]) -> list[tuple[str, bool, list[str]]]:
    return [(line.text, line.fault, [name for name, _ in line.actions]) for line in lines]


def _line(line: Line) -> QWidget:
    around = QWidget()
    column = QVBoxLayout(around)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(1)
    text = text_label(line.text).native
    text.setStyleSheet(f"color: {FAULT_COLOUR};" if line.fault else "font-style: italic;")
    row = QHBoxLayout()
    row.setSpacing(4)
    buttons = [_button(*action) for action in line.actions]
    if len(buttons) == 1:
        row.addWidget(text, 1)
        row.addWidget(buttons[0])
    else:
        column.addWidget(text)
        for button in buttons:
            row.addWidget(button)
        row.addStretch(1)
    column.addLayout(row)
    return around


def _button(text: str, action: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    button.clicked.connect(lambda _checked=False: action())
    return button


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
    names = "|".join(_WORDS)
    message = re.sub(
        rf"(?:\b(?:task|region)=)?'({names})'", lambda hit: f"‘{_WORDS[hit[1]]}’", message
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
