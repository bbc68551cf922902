"""Something to be decided that stands above a form until it is: a sentence and its buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from magicgui.widgets import Container, PushButton
from qtpy.QtWidgets import QFrame, QVBoxLayout

from napari_unet.widgets.qt.form import FAULT_COLOUR, text_label

FRAME = "#c08a30"  # seen on the dark and on the light theme


class Notice(QFrame):
    """A sentence with buttons under it, in a frame.

    Parameters
    ----------
    text : str
        What there is to decide.
    actions : mapping of str to callable
        What the buttons say and do. One that gives words could not be done: the notice stays,
        and says why.
    """

    def __init__(self, text: str, actions: Mapping[str, Callable[[], str]]) -> None:
        super().__init__()
        # napari's style sheet draws no frame of its own
        self.setObjectName("notice")
        self.setStyleSheet(f"#notice {{ border: 1px solid {FRAME}; border-radius: 4px; }}")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        self.text = text_label(text)
        self.buttons = {name: PushButton(text=name, tooltip=f"{name}: {text}") for name in actions}
        row = Container(widgets=list(self.buttons.values()), layout="horizontal", labels=False)
        row.margins = (0, 0, 0, 0)
        self.fault = text_label()
        self.fault.native.setStyleSheet(f"color: {FAULT_COLOUR};")
        layout.addWidget(self.text.native)
        layout.addWidget(self.fault.native)
        self.fault.native.hide()
        layout.addWidget(row.native)
        self._row = row  # magicgui's part must live as long as Qt's
        for name, action in actions.items():
            self.buttons[name].changed.connect(lambda _, action=action: self._decide(action))

    def _decide(self, action: Callable[[], str]) -> None:
        fault = action()
        self.fault.value = fault
        self.fault.native.setVisible(bool(fault))
        if not fault:
            self.hide()
            self.deleteLater()
