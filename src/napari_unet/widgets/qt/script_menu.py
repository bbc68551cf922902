"""The menu "Script" of a dock: its run as Python or as a command, and records to open or show."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from qtpy.QtCore import Qt
from qtpy.QtGui import QFont, QGuiApplication
from qtpy.QtWidgets import (
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_unet.errors import UNetError
from napari_unet.io.record import encode_record
from napari_unet.unexpected import explain_error
from napari_unet.widgets.qt.wording import worded

TIP = "This run as a script or a command, and the records of runs."
PYTHON_TIP = "A Python script that does what Run does, for a notebook, a cluster or a colleague."
COMMAND_TIP = "A line for a terminal that does what Run does."
OPEN_TIP = "Take over image, model and settings from the record (.json) beside a result."
SHOW_TIP = "How the selected result was made: model, settings, versions."

Draft = Mapping[str, Any]
"""A record of what would be run now; arrays stand in it as `HeldArray`."""

RecordOf = Callable[[], tuple[str, Mapping[str, Any]] | None]


class Say(Protocol):
    """Shows a message in the dock."""

    def __call__(self, text: str, *, fault: bool = False) -> None:
        """A message, or a fault."""


class ScriptMenu:
    """A button with a menu; ``button`` is to be put beside Run.

    Parameters
    ----------
    parent : QWidget
        The dock, which dialogs belong to.
    draft : callable
        Gives the record of what would be run now. Raises a `UNetError` where it cannot be.
    open_record : callable
        Takes a path over into the dock, and gives what is to be said of it.
    shown_record : callable
        Gives the name and the record of the result that is meant; None: there is none.
    say : callable
        Shows a message in the dock.
    """

    def __init__(
        self,
        parent: QWidget,
        draft: Callable[[], Draft],
        open_record: Callable[[Path], str],
        shown_record: RecordOf,
        say: Say,
    ) -> None:
        self._parent = parent
        self._draft = draft
        self._open = open_record
        self._shown = shown_record
        self._say = say
        self.window: RecordWindow | None = None
        # as the buttons beside it; Qt's own arrow of a menu would lie on the text
        self.button = QPushButton("Script ▾")
        self.button.setToolTip(TIP)
        self.button.setAccessibleName("Script")
        self.button.setAutoDefault(False)
        self.button.setStyleSheet("QPushButton::menu-indicator { image: none; width: 0px; }")
        self.menu = QMenu(self.button)
        self.menu.setToolTipsVisible(True)
        self.actions = {
            "python": self._add("Copy as Python", PYTHON_TIP, self.copy_python),
            "command": self._add("Copy as command", COMMAND_TIP, self.copy_command),
            "open": self._add("Open a record …", OPEN_TIP, self.ask_for_record),
            "show": self._add("Show record", SHOW_TIP, self.show_record),
        }
        self.menu.insertSeparator(self.actions["open"])
        self.menu.aboutToShow.connect(self._renew)
        self.button.setMenu(self.menu)

    def as_python(self) -> str:
        """What Run does, as a Python script.

        Raises
        ------
        UNetError
            If it cannot be run, or an array of it can be kept in no file.
        """
        return str(self._run()[0].as_python())

    def as_command(self) -> str:
        """What Run does, as a line for a terminal; raises as `as_python`."""
        return str(self._run()[0].as_command())

    def copy_python(self) -> None:
        """Put the script on the clipboard."""
        self._copy(lambda run: run.as_python(), "The script")

    def copy_command(self) -> None:
        """Put the command on the clipboard."""
        self._copy(lambda run: run.as_command(), "The command")

    def ask_for_record(self) -> None:
        """Let the user choose a record, and take it over."""
        name, _ = QFileDialog.getOpenFileName(
            self._parent, "Open a record", "", "Run records (*.json);;All files (*)"
        )
        if name:
            self.open_record(Path(name))

    def open_record(self, path: Path) -> None:
        """Take a record over into the dock, or say why not."""
        try:
            self._say(self._open(path))
        except Exception as error:  # noqa: BLE001 - a file can be wrong in any way
            self._say(worded(explain_error(error)), fault=True)

    def show_record(self) -> None:
        """Show the record of the result that is meant."""
        found = self._shown()
        if found is None:
            self._say("There is no result with a record: press Run first, or select one.")
            return
        self.window = RecordWindow(*found, parent=self._parent)
        self.window.show()

    def _add(self, text: str, tip: str, act: Callable[[], None]) -> Any:
        action = self.menu.addAction(text)
        assert action is not None
        action.setToolTip(tip)
        action.triggered.connect(lambda _=False: act())
        return action

    def _renew(self) -> None:
        self.actions["show"].setEnabled(self._shown() is not None)

    def _run(self) -> tuple[Any, list[Path]]:
        from napari_unet.replay.kept_arrays import settle
        from napari_unet.replay.records import run_of

        content, written = settle(self._draft())
        return run_of(content), written

    def _copy(self, text_of: Callable[[Any], str], what: str) -> None:
        try:
            run, written = self._run()
            text = text_of(run)
        except UNetError as error:
            self._say(worded(error), fault=True)
            return
        clipboard = QGuiApplication.clipboard()
        if clipboard is None:
            return
        clipboard.setText(text)
        said = f"{what} is on the clipboard."
        if written:
            names = ", ".join(path.name for path in written)
            said += f" What was in no file was saved for it: {names} in {written[0].parent}."
        self._say(said)


class RecordWindow(QDialog):
    """A record to be read, copied and saved.

    Parameters
    ----------
    name : str
        Of the result.
    record : mapping
        Its record.
    parent : QWidget
        What the window belongs to.
    """

    def __init__(self, name: str, record: Mapping[str, Any], *, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"Record of {name}")
        self._name = name
        self._data = encode_record(record)
        self.text = QPlainTextEdit(self._data.decode("utf-8"))
        self.text.setReadOnly(True)
        font = QFont("monospace")
        font.setStyleHint(QFont.StyleHint.Monospace)
        self.text.setFont(font)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        buttons = QHBoxLayout()
        for label, act in (("Copy", self._copy), ("Save …", self._ask), ("Close", self.close)):
            button = QPushButton(label)
            button.setAutoDefault(False)
            button.clicked.connect(lambda _=False, act=act: act())
            buttons.addWidget(button)
        layout.addLayout(buttons)
        self.resize(560, 520)

    def _copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(json.dumps(json.loads(self._data), ensure_ascii=False, indent=2))

    def _ask(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, "Save the record", f"{self._name}.json", "Run records (*.json)"
        )
        if name:
            self.save(Path(name))

    def save(self, path: Path) -> None:
        """Write the record to a file; napari says where that fails."""
        from napari_unet.io.atomic import atomic_path

        with atomic_path(path) as part:
            part.write_bytes(self._data)
