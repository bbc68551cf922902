"""A table of objects for Qt: sorted and filtered by NumPy.

Qt's own QSortFilterProxyModel asks Python for two values at each comparison: a column of 100,000
rows takes it seconds. Here a sort is one ``argsort`` and a filter one mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt

NOWHERE = QModelIndex()
DIGITS = 4  # significant ones, of numbers with a fraction


class TableModel(QAbstractTableModel):
    """Columns of equal length; rows are known by their place in them, however they are shown."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.columns: dict[str, NDArray[Any]] = {}
        self.names: tuple[str, ...] = ()
        self.order: NDArray[np.int64] = np.zeros(0, np.int64)
        self.notes: Mapping[str, str] = {}  # what columns mean, by name
        self._units: Mapping[str, str] = {}
        self._shown: NDArray[np.bool_] | None = None
        self._sorted_by: tuple[str, bool] | None = None

    @property
    def count(self) -> int:
        """Rows of the table, shown or not."""
        return len(next(iter(self.columns.values()), ()))

    def set_columns(self, columns: Mapping[str, Any], units: Mapping[str, str]) -> None:
        """Show another table.

        Parameters
        ----------
        columns : mapping of str to (n,) array
            Such as a DataFrame.
        units : mapping of str to str
            Of the columns that have one.
        """
        self.beginResetModel()
        self.columns = {str(name): np.asarray(columns[name]) for name in columns}
        self.names, self._units, self._shown = tuple(self.columns), dict(units), None
        if self._sorted_by is not None and self._sorted_by[0] not in self.columns:
            self._sorted_by = None
        self._arrange()
        self.endResetModel()

    def set_shown(self, shown: NDArray[np.bool_] | None) -> None:
        """Show some rows only; None: all."""
        self.beginResetModel()
        self._shown = shown
        self._arrange()
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Qt's: sort by a column; -1: as the table is. What is no number comes last."""
        self.beginResetModel()
        known = 0 <= column < len(self.names)
        falling = order == Qt.SortOrder.DescendingOrder
        self._sorted_by = (self.names[column], falling) if known else None
        self._arrange()
        self.endResetModel()

    def places_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where rows of the table are shown, ascending; those that are not shown are left out."""
        place = np.full(self.count, -1, np.int64)
        place[self.order] = np.arange(len(self.order))
        found = place[rows]
        return np.sort(found[found >= 0])

    def text_of(self, row: int, name: str, *, digits: int | None = DIGITS) -> str:
        """A value as it is shown; ``digits`` None: in full."""
        return as_text(self.columns[name][row], digits)

    def title_of(self, name: str) -> str:
        """A column with its unit."""
        unit = self._units.get(name, "")
        return f"{name} ({unit})" if unit else name

    def _arrange(self) -> None:
        if self._sorted_by is None:
            order = np.arange(self.count, dtype=np.int64)
        else:
            name, falling = self._sorted_by
            order = sort_rows(self.columns[name], falling=falling)
        self.order = order if self._shown is None else order[self._shown[order]]

    # what Qt asks for

    def rowCount(self, parent: QModelIndex = NOWHERE) -> int:  # noqa: N802
        """Rows that are shown."""
        return 0 if parent.isValid() else len(self.order)

    def columnCount(self, parent: QModelIndex = NOWHERE) -> int:  # noqa: N802
        """Columns."""
        return 0 if parent.isValid() else len(self.names)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What stands in a cell: few digits, all of them in the tooltip."""
        if not index.isValid():
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            of_numbers = self.columns[self.names[index.column()]].dtype.kind in "iuf"
            side = Qt.AlignmentFlag.AlignRight if of_numbers else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            brief = role == Qt.ItemDataRole.DisplayRole
            name, row = self.names[index.column()], int(self.order[index.row()])
            return self.text_of(row, name, digits=DIGITS if brief else None)
        return None

    def headerData(  # noqa: N802
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        """Names of the columns, with their units."""
        across = orientation == Qt.Orientation.Horizontal and 0 <= section < len(self.names)
        if not across or role not in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return None
        name = self.names[section]
        title, note = self.title_of(name), self.notes.get(name, "")
        return f"{title}: {note}" if note and role == Qt.ItemDataRole.ToolTipRole else title


def sort_rows(values: NDArray[Any], *, falling: bool = False) -> NDArray[np.int64]:
    """Rows in the order of their values; equal ones stay as they are, NaN comes last.

    >>> sort_rows(np.array([2.0, np.nan, 3.0, 2.0]), falling=True).tolist()
    [2, 0, 3, 1]
    """
    if values.dtype.kind not in "biuf":
        values = np.unique([str(each).lower() for each in values], return_inverse=True)[1]
    if falling:  # backwards twice, so that equal ones keep their order
        order = len(values) - 1 - np.argsort(values[::-1], kind="stable")[::-1]
    else:
        order = np.argsort(values, kind="stable")
    if values.dtype.kind == "f":
        missing = np.isnan(values[order])
        order = np.concatenate([order[~missing], order[missing]])
    return np.asarray(order, np.int64)


def as_text(value: Any, digits: int | None = DIGITS) -> str:
    """A value as a cell shows it.

    >>> as_text(1234.5678), as_text(0.000123456), as_text(12), as_text(np.nan), as_text(True)
    ('1234.6', '0.0001235', '12', '–', 'yes')
    """
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if not isinstance(value, float | np.floating):
        return str(value)
    if np.isnan(value):
        return "–"
    if digits is None or not np.isfinite(value):
        return f"{value:.15g}"
    if 1000 <= abs(float(value)) < 1e9:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.{digits}g}"
