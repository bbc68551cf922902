"""The table of objects below the viewer, beside it a plot, and what is done with both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from napari_unet.measurement.table_file import FILTERS, TABLE_SUFFIXES
from napari_unet.widgets.qt.blocker import Blocker
from napari_unet.widgets.qt.choice_list import WheelGoesOn
from napari_unet.widgets.qt.memory import recall, remember
from napari_unet.widgets.qt.object_plot import ObjectPlot, Rows
from napari_unet.widgets.qt.object_table import ObjectTable
from napari_unet.widgets.qt.script_menu import Say

if TYPE_CHECKING:
    import pandas as pd

OBJECTS = "each its own"
LAST = "bbox"  # columns that are wanted rarely
MEMORY = "measure_table"
COLOUR_TIP = (
    "Colour the objects in the viewer by a column: from dark (low) to yellow (high); grey where "
    "there is no value."
)
SAVE_TIP = "Save all objects as CSV, TSV or an Excel workbook; the heads of the columns say units."
COPY_TIP = "Copy the rows that are shown, for a spreadsheet; Ctrl+C in the table: those chosen."

Answer = tuple[str, str]
"""A path and the filter that was chosen in a dialog; the path is empty where it was cancelled."""


class ObjectsPanel(QWidget):
    """Table and plot, which choose the same rows.

    Parameters
    ----------
    on_choose : callable
        Called with the rows that the user has chosen.
    on_colour : callable
        Called with the column that is to colour the objects; None: none.
    on_save : callable
        Called with the path of a file for the table.
    say : callable
        Shows a message in the dock.
    ask : callable, optional
        Asks for a path, from a proposed one, the filters, and the one that is chosen first.
    """

    def __init__(
        self,
        on_choose: Callable[[Rows], None],
        on_colour: Callable[[str | None], None],
        on_save: Callable[[Path], None],
        say: Say,
        ask: Callable[[str, str, str], Answer] | None = None,
    ) -> None:
        super().__init__()
        self._on_choose, self._on_colour, self._on_save = on_choose, on_colour, on_save
        self._say = say
        self.ask = ask or self._ask_in_dialog
        self._blocker = Blocker()
        self.frame: pd.DataFrame | None = None
        self._name = ""
        self.plot = ObjectPlot(self._chosen_in_plot)
        self.table = ObjectTable(self._chosen_in_table, self.plot.show_rows)
        self.colour = QComboBox()
        self.colour.setToolTip(COLOUR_TIP)
        self.colour.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.colour.setMinimumContentsLength(5)
        WheelGoesOn(self.colour)
        self.copy, self.save = QPushButton("Copy"), QPushButton("Save …")
        self.copy.setToolTip(COPY_TIP)
        self.save.setToolTip(SAVE_TIP)
        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(QLabel("Colour by"))
        line.addWidget(self.colour)
        line.addWidget(self.copy)
        line.addWidget(self.save)
        line.addStretch(1)
        left = QWidget()
        inside = QVBoxLayout(left)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(3)
        inside.addWidget(self.table, 1)
        inside.addLayout(line)
        self.parts = QSplitter(Qt.Orientation.Horizontal)
        self.parts.addWidget(left)
        self.parts.addWidget(self.plot)
        self.parts.setStretchFactor(0, 3)
        self.parts.setStretchFactor(1, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.parts)
        self.colour.currentIndexChanged.connect(lambda _: self._colour_changed())
        self.copy.clicked.connect(lambda _=False: self._copy())
        self.save.clicked.connect(lambda _=False: self._ask())
        self._enable()

    def show_table(self, frame: pd.DataFrame, name: str) -> None:
        """Show another table.

        Parameters
        ----------
        frame : pandas.DataFrame
            As of `napari_unet.measure`.
        name : str
            What is measured: a file of the table is called so.
        """
        self.frame, self._name = frame, name
        names = sorted(frame.columns, key=lambda column: column.startswith(LAST))
        columns = {column: frame[column].to_numpy() for column in names}
        notes = describe_channels(names, frame.attrs.get("channels", ()))
        units: Mapping[str, str] = frame.attrs.get("units", {})
        before = self.colour.currentText()
        self.plot.show_table(columns, {name: f"{name} ({unit})" for name, unit in units.items()})
        with self._blocker:
            self.table.show_table(columns, units, notes=notes)
            self.colour.clear()
            self.colour.addItems([OBJECTS, *(c for c in names if c not in ("label", "frame"))])
            self.colour.setCurrentText(before if before in names else OBJECTS)
        self._enable()

    def choose(self, rows: Any) -> None:
        """Mark rows in both, without telling ``on_choose``."""
        self.table.choose(rows)
        self.plot.choose(np.asarray(rows, np.int64))

    def _chosen_in_table(self, rows: Rows) -> None:
        self.plot.choose(rows)
        self._on_choose(rows)

    def _chosen_in_plot(self, rows: Rows) -> None:
        self.table.choose(rows)
        self._on_choose(rows)

    def _enable(self) -> None:
        known = self.frame is not None
        for part in (self.colour, self.copy, self.save):
            part.setEnabled(known)

    def _colour_changed(self) -> None:
        if not self._blocker.active:
            self._on_colour(self.column)

    @property
    def column(self) -> str | None:
        """The column that colours the objects."""
        text = self.colour.currentText()
        return None if text in ("", OBJECTS) else text

    def _copy(self) -> None:
        count = self.table.copy()
        self._say(f"{count:,} row{'' if count == 1 else 's'} copied.")

    def _ask(self) -> None:
        kept = recall(MEMORY)
        ending = str(kept.get("ending"))
        first = ending if ending in TABLE_SUFFIXES else TABLE_SUFFIXES[0]
        stem = "".join(c if c.isalnum() or c in " ._-" else "_" for c in self._name) or "objects"
        proposed = Path(str(kept.get("folder", ""))) / f"{stem}{first}"
        path, chosen = self.ask(str(proposed), ";;".join(FILTERS.values()), FILTERS[first])
        if not path:
            return
        target = Path(path)
        if target.suffix.lower() not in TABLE_SUFFIXES:
            suffix = next((s for s, text in FILTERS.items() if text == chosen), first)
            target = target.with_name(target.name + suffix)
            if target.exists():  # the dialog has not asked whether it may be replaced
                self._say(f"{target.name} exists: choose it to replace it.", fault=True)
                return
        remember(MEMORY, {"folder": str(target.parent), "ending": target.suffix.lower()})
        self._on_save(target)

    def _ask_in_dialog(self, proposed: str, filters: str, first: str) -> Answer:
        path, chosen = QFileDialog.getSaveFileName(
            self, "Save the table of objects", proposed, filters, first
        )
        return path, chosen


def describe_channels(columns: list[str], channels: Any) -> dict[str, str]:
    """What the numbers of columns of intensities stand for.

    >>> describe_channels(["area", "intensity_mean-1"], ("DAPI", "GFP"))
    {'intensity_mean-1': 'GFP'}
    """
    found = {}
    for column in columns:
        name, _, number = column.rpartition("-")
        if name.startswith("intensity_") and number.isdigit() and int(number) < len(channels):
            found[column] = channels[int(number)]
    return found
