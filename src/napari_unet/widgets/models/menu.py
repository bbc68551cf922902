"""What can be done with a model: look what it was trained on, rename, delete, share."""

from __future__ import annotations

from collections.abc import Generator
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
from napari_unet.network.catalogue import CatalogueEntry, iter_add, read_catalogue
from napari_unet.network.files import SUFFIX, bundled_names, find_model
from napari_unet.network.library import delete_model, export_model, rename_model
from napari_unet.progress import Progress
from napari_unet.training.verdict import describe_training
from napari_unet.widgets.qt.job import JobRunner, Outcome
from napari_unet.widgets.qt.wording import worded

if TYPE_CHECKING:
    from napari_unet.card import ModelCard
    from napari_unet.widgets.qt.form import Row

TRAINED = "What it was trained on …"
RENAME = "Rename …"
DELETE = "Delete …"
SHOW = "Show in folder"
ADD = "Add from a folder or list …"
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

    def ask_source(self, parent: QWidget) -> str:
        """Where models are kept; empty: nowhere."""
        text, accepted = QInputDialog.getText(
            parent,
            "Add models",
            "Folder, model file, or list (path or address) that your lab keeps.\n"
            "Nothing is fetched before you choose a model.",
        )
        return text.strip().strip("\"'") if accepted else ""

    def ask_entry(self, parent: QWidget, lines: list[str]) -> str | None:
        """One of the models there; None: none."""
        text, accepted = QInputDialog.getItem(
            parent, "Add a model", "Which one?", lines, editable=False
        )
        return text if accepted else None

    def reveal(self, folder: Path) -> None:
        """Show a folder in the system's file manager."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))


def _iter_read(source: str) -> Generator[Progress, None, list[CatalogueEntry]]:
    """Read a list as a job: an address may take its time."""
    yield Progress(0, 1, "reading the list")
    return read_catalogue(source)


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
        self._adding = ""
        self._job = JobRunner(lambda _: None, self._go_on)
        self.button = QToolButton()
        self.button.setText("⋯")
        self.button.setToolTip(TIP)
        self.button.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        self.button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu = QMenu(self.button)
        self.menu.setToolTipsVisible(True)
        self.button.setMenu(self.menu)
        self.menu.aboutToShow.connect(self.fill)
        self.button.destroyed.connect(self._job.drop)

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
        entries |= {ADD: self._add}
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

    def _add(self) -> None:
        source = self._dialogs.ask_source(self._picker.widget)
        if source:
            self._picker.row.show_message("Reading the list …")
            self._job.start(lambda: _iter_read(source), "")

    def _choose_entry(self, entries: list[CatalogueEntry]) -> None:
        """Ask which of the models there is to be kept, and fetch it."""
        lines = {": ".join(filter(None, (e.name, e.description))): e for e in entries}
        chosen = self._dialogs.ask_entry(self._picker.widget, list(lines))
        if chosen is None:
            return
        entry = lines[chosen]
        self._adding = entry.name
        self._picker.row.show_message(f"Fetching ‘{entry.name}’ …")
        self._job.start(lambda: iter_add(entry), f"Fetching {entry.name}")

    def _go_on(self, outcome: Outcome) -> None:
        """The list or the model is there, or it is said why not."""
        if outcome.error is not None:
            self._picker.row.show_message(fault=worded(outcome.error))
            return
        self._picker.row.show_message()
        if isinstance(outcome.result, list):
            self._choose_entry(outcome.result)
        elif outcome.result is not None:
            self._picker.reset_choices()
            self._picker.choose(self._adding)

    def _copy(self) -> None:
        name = str(self._picker.source)
        target = self._dialogs.ask_target(self._picker.widget, name)
        if target is not None:
            export_model(name, target, overwrite=True)  # the dialog has asked
