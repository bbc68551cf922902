"""The files of a batch, each with its state and reason; files can be dropped on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_unet.batch.result import FileResult
from napari_unet.widgets.qt.form import FAULT_COLOUR

COLUMNS = ("File", "State", "Result")
WORDS = {
    "waiting": "waiting",
    "running": "running …",
    "writing": "writing …",
    "done": "done",
    "skipped": "finished before",
    "failed": "failed",
}
LEAST_HEIGHT_PIXELS = 130


class FileTable(QTableWidget):
    """A row a file.

    Parameters
    ----------
    on_drop : callable
        Called with the paths that were dropped on it.
    on_open : callable
        Called with the number of the row that was clicked.
    """

    def __init__(
        self, on_drop: Callable[[list[str]], None], on_open: Callable[[int], None]
    ) -> None:
        super().__init__(0, len(COLUMNS))
        self._on_drop = on_drop
        self.setHorizontalHeaderLabels(list(COLUMNS))
        self.setToolTip(
            "The files, and what became of each. Files and folders can be dropped here; a click "
            "opens the image and its labels."
        )
        self.setAcceptDrops(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        head: Any = self.horizontalHeader()
        head.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        head.setStretchLastSection(True)
        self.setWordWrap(False)
        side: Any = self.verticalHeader()
        side.hide()
        self.setMinimumHeight(LEAST_HEIGHT_PIXELS)
        self.cellClicked.connect(lambda row, _: on_open(row))

    def minimumSizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        """As narrow as the dock."""
        return QSize(60, LEAST_HEIGHT_PIXELS)

    def set_files(self, sources: Sequence[Path | str]) -> None:
        """List files that wait."""
        self.setRowCount(len(sources))
        for row, source in enumerate(sources):
            texts = (Path(str(source)).name, WORDS["waiting"], "")
            for column, text in enumerate(texts):
                self.setItem(row, column, QTableWidgetItem(text))
            self._item(row, 0).setToolTip(str(source))

    def show_state(self, row: int, state: str) -> None:
        """Show what a file is at."""
        if 0 <= row < self.rowCount():
            self._item(row, 1).setText(WORDS.get(state, state))

    def show_result(self, row: int, result: FileResult) -> None:
        """Show what became of a file."""
        if not 0 <= row < self.rowCount():
            return
        said = result.error or str((result.record or {}).get("message", ""))
        self.show_state(row, result.state)
        item = self._item(row, 2)
        # the column beside it names the file
        item.setText(said.removeprefix(f"{result.source} "))
        item.setToolTip(said)
        if result.error:
            for column in (1, 2):
                self._item(row, column).setForeground(QColor(FAULT_COLOUR))

    def texts(self) -> list[tuple[str, ...]]:
        """All cells, row by row."""
        rows = range(self.rowCount())
        return [tuple(self._item(r, c).text() for c in range(len(COLUMNS))) for r in rows]

    def _item(self, row: int, column: int) -> QTableWidgetItem:
        found = self.item(row, column)
        assert found is not None
        return found

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802
        """Qt's: take files."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dragMoveEvent(self, event: Any) -> None:  # noqa: N802
        """Qt's: the same."""
        self.dragEnterEvent(event)

    def dropEvent(self, event: Any) -> None:  # noqa: N802
        """Qt's: files were dropped."""
        event.acceptProposedAction()
        self._on_drop([url.toLocalFile() or url.toString() for url in event.mimeData().urls()])
