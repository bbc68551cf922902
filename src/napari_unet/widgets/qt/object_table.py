"""The table of objects: sorted by a click on a column, filtered by what is typed above it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QItemSelection, QItemSelectionModel, Qt
from qtpy.QtGui import QGuiApplication, QKeyEvent, QKeySequence
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_unet.errors import InputError
from napari_unet.widgets.qt.blocker import Blocker
from napari_unet.widgets.qt.form import FAULT_COLOUR
from napari_unet.widgets.qt.row_filter import filter_rows
from napari_unet.widgets.qt.table_model import TableModel
from napari_unet.widgets.qt.wording import worded

FILTER_HINT = "Filter: area > 100 and circularity < 0.8, or a label"
FILTER_TIP = (
    "Which rows are shown: conditions joined by ‘and’, such as area > 100 and touches_border = no. "
    "A number alone is a label."
)
SAMPLED_ROWS = 50  # that decide how wide a column is
WIDEST_PIXELS = 220

Rows = NDArray[np.int64]
"""Rows by their place in the table, however it is sorted or filtered."""


class ObjectTable(QWidget):
    """A table with a filter, whose rows are chosen by the mouse, the keys or a program.

    Rows are always told by their place in the table that was given, never by where they are shown.

    Parameters
    ----------
    on_choose : callable
        Called with the rows, (n,) int64, when the user chooses others; not for `choose`.
    on_filter : callable, optional
        Called with the rows that are shown when those are others.
    """

    def __init__(
        self,
        on_choose: Callable[[Rows], None],
        on_filter: Callable[[Rows], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self._on_choose, self._on_filter = on_choose, on_filter
        self._blocker = Blocker()
        self._chosen: Rows = np.zeros(0, np.int64)
        self.model = TableModel(self)
        self.view = _View(self, lambda: self.copy(chosen=True))
        self.view.setModel(self.model)
        self.filter = QLineEdit()
        self.filter.setPlaceholderText(FILTER_HINT)
        self.filter.setToolTip(FILTER_TIP)
        self.filter.setClearButtonEnabled(True)
        self.count = QLabel()
        self.fault = QLabel()
        self.fault.setStyleSheet(f"color: {FAULT_COLOUR};")
        self.fault.setWordWrap(True)
        self.fault.hide()
        self.line = QHBoxLayout()  # to which others may add
        self.line.setSpacing(6)
        self.line.addWidget(self.filter, 1)
        self.line.addWidget(self.count)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(self.line)
        layout.addWidget(self.fault)
        layout.addWidget(self.view, 1)
        self.filter.textChanged.connect(lambda _: self._filter_changed())
        self.model.modelReset.connect(self._show_chosen)
        selection = self.view.selectionModel()
        assert selection is not None
        selection.selectionChanged.connect(lambda *_: self._selection_changed())
        self._tell_count()

    @property
    def chosen(self) -> Rows:
        """The chosen rows."""
        return self._chosen

    @property
    def shown(self) -> Rows:
        """The rows that are shown, in their order."""
        return self.model.order

    def show_table(
        self,
        columns: Mapping[str, Any],
        units: Mapping[str, str] | None = None,
        *,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        """Show another table, with no row chosen; the filter stays where it can.

        Parameters
        ----------
        columns : mapping of str to (n,) array
            Such as a pandas DataFrame.
        units : mapping of str to str, optional
            Of the columns that have one.
        notes : mapping of str to str, optional
            What columns mean, shown over their heads.
        """
        self._chosen = np.zeros(0, np.int64)
        self.model.notes = dict(notes or {})
        self.model.set_columns(columns, units or {})
        self.view.fit_columns()
        self._filter_changed()

    def choose(self, rows: Sequence[int] | Rows) -> None:
        """Mark rows, without telling ``on_choose``, and scroll to the first of them."""
        self._chosen = np.asarray(rows, np.int64)
        self._show_chosen()
        places = self.model.places_of(self._chosen)
        if len(places):
            index = self.model.index(int(places[0]), 0)
            self.view.scrollTo(index, QAbstractItemView.ScrollHint.EnsureVisible)

    def copy(self, *, chosen: bool = False) -> int:
        """Put the rows that are shown, or the chosen ones, on the clipboard, with tabs.

        Returns
        -------
        int
            How many rows.
        """
        model = self.model
        rows = model.order
        if chosen and len(self._chosen):
            rows = model.order[model.places_of(self._chosen)]
        parts = [[_in_full(value) for value in model.columns[name][rows]] for name in model.names]
        lines = ["\t".join(map(model.title_of, model.names))]
        lines += ["\t".join(cells) for cells in zip(*parts, strict=True)]
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText("\n".join(lines) + "\n")
        return len(rows)

    def _filter_changed(self) -> None:
        try:
            shown = (
                filter_rows(self.filter.text(), self.model.columns) if self.model.count else None
            )
        except InputError as error:
            self.fault.setText(worded(error))
            self.fault.show()
            shown = None
        else:
            self.fault.hide()
        self.model.set_shown(shown)
        self._tell_count()
        self._on_filter(self.model.order)

    def _selection_changed(self) -> None:
        if self._blocker.active:
            return
        selection = self.view.selectionModel()
        found = QItemSelection() if selection is None else selection.selection()
        ranges = [found[i] for i in range(len(found))]
        parts = [self.model.order[each.top() : each.bottom() + 1] for each in ranges]
        rows = np.concatenate(parts) if parts else np.zeros(0, np.int64)
        self._chosen = np.unique(rows)
        current = self.view.currentIndex()
        if current.isValid() and len(rows) > 1:  # the one that was clicked last comes first
            first = int(self.model.order[current.row()])
            if first in self._chosen:
                rest = self._chosen[self._chosen != first]
                self._chosen = np.concatenate([[first], rest])
        self._tell_count()
        self._on_choose(self._chosen)

    def _show_chosen(self) -> None:
        """Mark the chosen rows where they are now."""
        places = self.model.places_of(self._chosen)
        selection = QItemSelection()
        last = self.model.columnCount() - 1
        for run in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1):
            if len(run):
                ends = self.model.index(int(run[0]), 0), self.model.index(int(run[-1]), last)
                selection.append(QItemSelection(*ends)[0])
        model = self.view.selectionModel()
        with self._blocker:
            if model is not None:
                if len(places):
                    first = self.model.index(int(places[0]), 0)
                    model.setCurrentIndex(first, QItemSelectionModel.SelectionFlag.NoUpdate)
                model.select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        self._tell_count()

    def _tell_count(self) -> None:
        count, shown, chosen = self.model.count, len(self.model.order), len(self._chosen)
        text = f"{count:,} rows" if shown == count else f"{shown:,} of {count:,} rows"
        self.count.setText(text + (f", {chosen:,} chosen" if chosen > 1 else ""))


class _View(QTableView):
    """Whole rows, no editing, columns as wide as what stands in them."""

    def __init__(self, parent: QWidget, on_copy: Callable[[], object]) -> None:
        super().__init__(parent)
        self._on_copy = on_copy
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setAlternatingRowColors(False)
        self.setWordWrap(False)
        self.setMinimumHeight(60)
        self.setSortingEnabled(True)
        side, head = self.verticalHeader(), self.horizontalHeader()
        assert side is not None
        assert head is not None
        side.hide()
        side.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)  # else each row is measured
        side.setDefaultSectionSize(self.fontMetrics().height() + 6)
        head.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        head.setSortIndicatorClearable(True)
        head.setHighlightSections(False)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Qt's: it would copy one cell."""
        if event is not None and event.matches(QKeySequence.StandardKey.Copy):
            self._on_copy()
            return
        super().keyPressEvent(event)

    def fit_columns(self) -> None:
        """Columns as wide as their head and their first rows."""
        model = self.model()
        if not isinstance(model, TableModel):
            return
        metrics = self.fontMetrics()
        for column, name in enumerate(model.names):
            texts = [model.text_of(int(row), name) for row in model.order[:SAMPLED_ROWS]]
            longest = max(texts, key=len, default="")
            wide = max(metrics.horizontalAdvance(longest) + 14, 40)
            head = metrics.horizontalAdvance(model.title_of(name)) + 30  # with the sign of sorting
            self.setColumnWidth(column, min(max(wide, head), WIDEST_PIXELS))


def _in_full(value: Any) -> str:
    """A value for another program: all digits, an empty cell for what is no number."""
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else repr(float(value))
    return str(value)
