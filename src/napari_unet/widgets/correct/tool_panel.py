"""Buttons of the tools, with their keys, and whether they work in a plane alone."""

from __future__ import annotations

from collections.abc import Callable

from napari.layers import Labels
from qtpy.QtWidgets import QCheckBox, QGridLayout, QPushButton, QVBoxLayout, QWidget

from napari_unet.widgets.correct.keys import KeyWatch, key_of, register_key
from napari_unet.widgets.correct.mouse import MouseTool
from napari_unet.widgets.correct.session import CorrectionSession, session_of
from napari_unet.widgets.correct.tools import BY_NAME, TOOLS, Tool

COLUMNS = 2
PLANE_TIP = (
    "Work in the plane that is shown alone: an object is deleted, split or filled there, and "
    "stays as it is in the others. For stacks of which each plane stands for itself."
)


class ToolPanel:
    """The tools as buttons. A button takes a tool into the hand, or puts it away.

    Parameters
    ----------
    session : CorrectionSession
        Which layer they work on.

    Attributes
    ----------
    mouse : MouseTool
        Has the tool in the hand.
    buttons : dict of str to QPushButton
        By the name of the tool.
    plane_only : QCheckBox
        Whether the tools work in the shown plane of a volume alone.
    """

    def __init__(self, session: CorrectionSession) -> None:
        self._session = session
        self.mouse = MouseTool(session)
        for tool in TOOLS:
            register_key(tool.name, tool.key, tool.tip, _command(tool))
        self.native = QWidget()
        column = QVBoxLayout(self.native)
        column.setContentsMargins(0, 0, 0, 0)
        grid = QGridLayout()
        grid.setSpacing(4)
        column.addLayout(grid)
        self.buttons: dict[str, QPushButton] = {}
        for number, tool in enumerate(TOOLS):
            button = QPushButton()
            button.setCheckable(True)
            button.clicked.connect(lambda _=False, tool=tool: self._pressed(tool))
            grid.addWidget(button, *divmod(number, COLUMNS))
            self.buttons[tool.name] = button
        self.plane_only = QCheckBox("Only in the plane that is shown")
        self.plane_only.setToolTip(PLANE_TIP)
        self.plane_only.toggled.connect(self._set_plane_only)
        column.addWidget(self.plane_only)
        self._keys = KeyWatch(self._show_keys)
        session.target_changed.connect(self.refresh)
        session.key_pressed.connect(self._key_pressed)
        self.mouse.changed.connect(self.refresh)
        self._show_keys()
        self.refresh()

    def refresh(self) -> None:
        """Show which tool is in the hand, and whether there is anything to work on."""
        target = self._session.target
        for name, button in self.buttons.items():
            button.setEnabled(target is not None)
            button.setChecked(self.mouse.tool is BY_NAME[name])
        self.buttons["interpolate"].setEnabled(target is not None and target.has_planes)
        self.plane_only.setVisible(target is not None and "Z" in target.axes)

    def close(self) -> None:
        """Stop listening; no widget is touched."""
        self.mouse.changed.disconnect(self.refresh)
        self.mouse.close()
        self._session.key_pressed.disconnect(self._key_pressed)
        self._session.target_changed.disconnect(self.refresh)
        self._keys.close()

    def _pressed(self, tool: Tool) -> None:
        self.mouse.take(None if self.mouse.tool is tool else tool)
        self.refresh()

    def _key_pressed(self, name: str) -> None:
        tool = BY_NAME.get(name)
        if tool is None:
            return
        if not tool.at_cursor:
            self._pressed(tool)
            return
        point = self._session.point_under_cursor()
        if point is None:
            self._session.tell(f"{tool.title}: point at an object in the 2D view.", fault=True)
            return
        self._session.make(self._session.place(tool.name, (point,)))

    def _set_plane_only(self, checked: bool) -> None:
        self._session.plane_only = checked

    def _show_keys(self) -> None:
        for tool in TOOLS:
            key = key_of(tool.name)
            button = self.buttons[tool.name]
            button.setText(f"{tool.title}  ({key})" if key else tool.title)
            button.setToolTip(f"{tool.tip}  Key: {key}." if key else tool.tip)


def _command(tool: Tool) -> Callable[[Labels], None]:
    def command(layer: Labels) -> None:
        session = session_of(layer)
        if session is not None:
            session.key_pressed.emit(tool.name)

    return command
