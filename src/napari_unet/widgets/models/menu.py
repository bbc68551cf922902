"""What can be done with a model: look what it was trained on, rename, delete, share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QFileDialog,
    QInputDialog,
    QMenu,
    QMessageBox,
    QToolButton,
    QWidget,
)

from napari_unet.errors import UNetError
from napari_unet.network.files import SUFFIX, bundled_names, find_model
from napari_unet.network.library import delete_model, export_model, rename_model
from napari_unet.training.verdict import describe_training
from napari_unet.widgets.qt.wording import worded

if TYPE_CHECKING:
    from napari_unet.card import ModelCard
    from napari_unet.widgets.qt.form import Row

TRAINED = "What it was trained on …"
RENAME = "Rename …"
DELETE = "Delete …"
SHOW = "Show in folder"
COPY = "Copy to a file …"
TIP = "What this model was trained on; rename, delete or share it."


class Dialogs:
    """What the menu asks and tells."""

    def show_text(self, parent: QWidget, title: str, lines: list[str]) -> None:
        """Show lines of text, which can be copied."""
        from qtpy.QtCore import Qt

        box = QMessageBox(parent)
        box.setWindowTitle(title)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        box.setText("\n\n".join(lines))
        box.exec()

    def ask_name(self, parent: QWidget, name: str) -> str | None:
        """A new name; None: leave it."""
        text, accepted = QInputDialog.getText(parent, "Rename the model", "New name:", text=name)
        return text.strip() if accepted else None

    def confirm(self, parent: QWidget, question: str) -> bool:
        """Whether the answer is yes."""
        return bool(
            QMessageBox.question(parent, "Delete the model", question)
            == QMessageBox.StandardButton.Yes
        )

    def ask_target(self, parent: QWidget, name: str) -> Path | None:
        """A file to write, about which was asked where there is one already; None: none."""
        text, _ = QFileDialog.getSaveFileName(
            parent, "Copy the model to a file", f"{name}{SUFFIX}", f"U-Net models (*{SUFFIX})"
        )
        return Path(text) if text else None

    def reveal(self, folder: Path) -> None:
        """Show a folder in the system's file manager."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))


class ChosenModel(Protocol):
    """What the menu needs of the picker that it belongs to."""

    row: Row

    @property
    def card(self) -> ModelCard | None:
        """Card of the model; None where none is chosen."""

    @property
    def source(self) -> str | Path | None:
        """Name or file of the model; None where none is chosen."""

    @property
    def widget(self) -> QWidget:
        """Above which dialogs open."""

    def reset_choices(self) -> None:
        """List the models again."""

    def choose(self, source: str) -> None:
        """Choose a model by its name."""


class ModelMenu:
    """A small button with a menu, for the model that a picker has chosen.

    Parameters
    ----------
    picker : ChosenModel
        Whose model it is about.
    dialogs : Dialogs, optional
        Asks and tells.
    """

    def __init__(self, picker: ChosenModel, dialogs: Dialogs | None = None) -> None:
        self._picker = picker
        self._dialogs = dialogs or Dialogs()
        self.button = QToolButton()
        self.button.setText("⋯")
        self.button.setToolTip(TIP)
        self.button.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        self.button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu = QMenu(self.button)
        self.menu.setToolTipsVisible(True)
        self.button.setMenu(self.menu)
        self.menu.aboutToShow.connect(self.fill)

    def fill(self) -> None:
        """Put into the menu what makes sense for the model."""
        self.menu.clear()
        source = self._picker.source
        own = isinstance(source, str) and source not in bundled_names()
        entries = {TRAINED: self._show_training}
        if own:
            entries |= {RENAME: self._rename, DELETE: self._delete}
        if own or isinstance(source, Path):
            entries |= {SHOW: self._show}
        if isinstance(source, str):
            entries |= {COPY: self._copy}
        for text, action in entries.items():
            entry = self.menu.addAction(text)
            assert entry is not None
            entry.triggered.connect(lambda _=False, do=action: self._do(do))

    def do(self, text: str) -> None:
        """Choose an entry, as with the mouse."""
        self.fill()
        next(entry for entry in self.menu.actions() if entry.text() == text).trigger()

    def update_button(self) -> None:
        """There is nothing to be done where no model is chosen."""
        self.button.setEnabled(self._picker.card is not None)

    def _do(self, action: object) -> None:
        assert callable(action)
        try:
            action()
        except UNetError as error:
            self._picker.row.show_message(fault=worded(error))

    def _show_training(self) -> None:
        card = self._picker.card
        if card is not None:
            title = f"What ‘{card.name}’ was trained on"
            self._dialogs.show_text(self._picker.widget, title, describe_training(card))

    def _rename(self) -> None:
        name = str(self._picker.source)
        new = self._dialogs.ask_name(self._picker.widget, name)
        if new is not None and new != name:
            rename_model(name, new)
            self._picker.reset_choices()
            self._picker.choose(new)

    def _delete(self) -> None:
        name = str(self._picker.source)
        question = f"Delete the model ‘{name}’? It cannot be brought back."
        if self._dialogs.confirm(self._picker.widget, question):
            delete_model(name)
            self._picker.reset_choices()

    def _show(self) -> None:
        source = self._picker.source
        if source is not None:
            self._dialogs.reveal(find_model(source).parent)

    def _copy(self) -> None:
        name = str(self._picker.source)
        target = self._dialogs.ask_target(self._picker.widget, name)
        if target is not None:
            export_model(name, target, overwrite=True)  # the dialog has asked
