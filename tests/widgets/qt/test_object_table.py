"""The table of objects: sorted, filtered and chosen, also with many rows."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication

from napari_unet.widgets.qt import row_filter, table_model
from napari_unet.widgets.qt.object_table import ObjectTable

MANY = 100_000


def columns(count: int = 6) -> dict[str, np.ndarray]:
    area = (np.arange(count) * 7919 % 1000).astype(float)
    area[2] = np.nan
    return {
        "label": np.arange(1, count + 1),
        "area": area,
        "touches_border": np.arange(count) % 2 == 0,
        "kind": np.array(["missed", "extra"] * (count // 2), dtype=object),
    }


@pytest.fixture
def heard() -> list[list[int]]:
    return []


@pytest.fixture
def table(qtbot: Any, heard: list[list[int]]) -> ObjectTable:
    found = ObjectTable(lambda rows: heard.append(rows.tolist()))
    qtbot.addWidget(found)
    found.show_table(columns(), {"area": "µm²"}, notes={"area": "of all pixels"})
    found.show()
    return found


def cell(table: ObjectTable, row: int, name: str) -> str:
    return str(table.model.data(table.model.index(row, table.model.names.index(name))))


def test_examples() -> None:
    for module in (row_filter, table_model):
        assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0


def test_rows_are_sorted_filtered_and_chosen(
    table: ObjectTable, qtbot: Any, heard: list[list[int]]
) -> None:
    head = [table.model.headerData(i, Qt.Orientation.Horizontal) for i in range(4)]
    assert head == ["label", "area (µm²)", "touches_border", "kind"]
    tip = table.model.headerData(1, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)
    assert tip == "area (µm²): of all pixels"
    table.view.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert cell(table, 0, "area") == "919"
    assert cell(table, 5, "area") == "–"  # unknown values last, either way
    table.view.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    assert [cell(table, i, "label") for i in (0, 5)] == ["1", "3"]

    table.choose([1])  # by a program: marked, not told
    assert heard == []
    places = table.view.selectionModel().selectedRows()
    assert [table.model.order[index.row()] for index in places] == [1]
    table.view.sortByColumn(0, Qt.SortOrder.DescendingOrder)  # and marked still
    places = table.view.selectionModel().selectedRows()
    assert [table.model.order[index.row()] for index in places] == [1]

    middle = table.view.visualRect(table.model.index(0, 0)).center()
    qtbot.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, pos=middle)
    assert heard == [[5]]

    table.filter.setText("area > 100 and touches_border = no")
    assert sorted(table.shown.tolist()) == [1, 3, 5]
    assert "3 of 6" in table.count.text()
    table.filter.setText("EXTRA")
    assert sorted(table.shown.tolist()) == [1, 3, 5]
    table.filter.setText("2")
    assert table.shown.tolist() == [1]
    for wrong, said in (("aera > 3", "no column"), ("area > x", "no number"), ("kind > a", "text")):
        table.filter.setText(wrong)
        assert table.fault.isVisible()
        assert said in table.fault.text()
        assert len(table.shown) == 6  # nothing is hidden by a mistake
    table.filter.setText("")
    assert not table.fault.isVisible()


def test_rows_are_copied_as_they_are_shown(table: ObjectTable, qtbot: Any) -> None:
    table.view.sortByColumn(0, Qt.SortOrder.DescendingOrder)
    assert table.copy() == 6
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[0].split("\t")[:2] == ["label", "area (µm²)"]
    assert lines[4].split("\t") == ["3", "", "True", "missed"]
    table.choose([0, 4])
    table.view.setFocus()
    qtbot.keyClick(table.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert [line[0] for line in QGuiApplication.clipboard().text().splitlines()[1:]] == ["5", "1"]


def test_a_table_without_rows(table: ObjectTable, heard: list[list[int]]) -> None:
    table.filter.setText("area > 3")
    table.show_table({"label": np.zeros(0, int), "area": np.zeros(0)})
    assert table.copy() == 0
    assert table.count.text() == "0 rows"
    table.show_table({})
    assert table.count.text() == "0 rows"


def test_many_rows_are_chosen_at_once(table: ObjectTable, heard: list[list[int]]) -> None:
    """Without asking Python for each of 100,000 rows."""
    asked = []
    data = table.model.data
    table.model.data = lambda *given: asked.append(0) or data(*given)  # type: ignore[method-assign]
    table.show_table(columns(MANY))
    table.view.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    table.filter.setText("area >= 500")
    assert len(table.shown) > MANY // 3
    table.view.selectAll()
    assert len(heard[-1]) == len(table.shown)
    table.choose(np.arange(0, MANY, 7))
    assert len(table.chosen) == MANY // 7 + 1
    assert len(asked) < 50_000
