"""Buttons of the tools, with their keys."""

from __future__ import annotations

from qtpy.QtWidgets import QGridLayout, QPushButton, QWidget

from napari_unet.widgets.correct.keys import KeyWatch, press, register_keys, shown_key
from napari_unet.widgets.correct.session import CorrectionSession
from napari_unet.widgets.correct.tools import TOOLS

COLUMNS = 2


class ToolPanel:
    """The tools as buttons.

    Parameters
    ----------
    session : CorrectionSession
        Which layer they work on.
    """

    def __init__(self, session: CorrectionSession) -> None:
        self._session = session
        register_keys()
        self.native = QWidget()
        grid = QGridLayout(self.native)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        self.buttons: dict[str, QPushButton] = {}
        for number, tool in enumerate(TOOLS):
            button = QPushButton()
            button.setToolTip(tool.tip)
            button.clicked.connect(lambda _=False, tool=tool: press(session, tool))
            grid.addWidget(button, *divmod(number, COLUMNS))
            self.buttons[tool.name] = button
        self._keys = KeyWatch(self._show_keys)
        session.target_changed.connect(self.refresh)
        self._show_keys()
        self.refresh()

    def refresh(self) -> None:
        """Show whether there is anything to work on."""
        for button in self.buttons.values():
            button.setEnabled(self._session.target is not None)

    def close(self) -> None:
        """Stop listening; no widget is touched."""
        self._session.target_changed.disconnect(self.refresh)
        self._keys.close()

    def _show_keys(self) -> None:
        for tool in TOOLS:
            key = shown_key(tool)
            self.buttons[tool.name].setText(f"{tool.title}  ({key})" if key else tool.title)
