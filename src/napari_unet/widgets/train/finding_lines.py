"""What was found about examples, in lines under what it is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_unet.widgets.qt.form import FAULT_COLOUR, text_label

if TYPE_CHECKING:
    pass


Action = tuple[str, Callable[[], None]]
"""The text of a button, and what it does."""


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
    calm : bool
        Whether a fault is only something that is not done yet.
    """

    text: str
    fault: bool
    actions: tuple[Action, ...] = ()
    calm: bool = False


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


def _content(lines: Sequence[Line]) -> list[tuple[object, ...]]:
    return [
        (line.text, line.fault, line.calm, [name for name, _ in line.actions]) for line in lines
    ]


def _line(line: Line) -> QWidget:
    around = QWidget()
    column = QVBoxLayout(around)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(1)
    text = text_label(line.text).native
    red = line.fault and not line.calm
    text.setStyleSheet(f"color: {FAULT_COLOUR};" if red else "font-style: italic;")
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
