"""Tables written to files, by the ending of the path."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.errors import FileError
from napari_unet.io.atomic import atomic_path

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {".csv": ",", ".tsv": "\t"}
WORKBOOK = ".xlsx"
FILTERS = {
    ".csv": "Table with commas (*.csv)",
    ".tsv": "Table with tabs (*.tsv)",
    WORKBOOK: "Excel workbook (*.xlsx)",
}
"""What dialogs call the formats."""

TABLE_SUFFIXES = tuple(FILTERS)
MOST_ROWS = (1 << 20) - 1  # of a sheet of Excel, below the heads
MOST_EXACT = 1 << 53  # Excel's numbers hold no larger whole ones exactly


def check_table_path(path: str | os.PathLike[str]) -> str:
    """The ending of a table's file.

    Raises
    ------
    FileError
        If its ending stands for no table.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise FileError(
            f"{target} has no ending of a table", f"end it in {' or '.join(TABLE_SUFFIXES)}"
        )
    return suffix


def write_table(path: str | os.PathLike[str], table: pd.DataFrame, *, units: bool = False) -> Path:
    """Write a table as CSV or TSV, in UTF-8, or as an Excel workbook; all of it or nothing.

    Parameters
    ----------
    path : path-like
        Ends in ``.csv``, ``.tsv`` or ``.xlsx``.
    table : pandas.DataFrame
        As of `measure`; the index is left out.
    units : bool
        Whether the heads of the columns say the units, as in "area (µm²)".

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileError
        If the ending is another one, the table is too long for a workbook, or the file cannot be
        written.
    """
    suffix = check_table_path(path)
    if suffix == WORKBOOK and len(table) > MOST_ROWS:
        raise FileError(
            f"The table has {len(table):,} rows, and a sheet of Excel at most {MOST_ROWS:,}",
            "save it as .csv",
        )
    shown = table.rename(columns=titles_of(table)) if units else table
    with atomic_path(path) as part:
        if suffix == WORKBOOK:
            _write_workbook(part, shown)
        else:
            with part.open("w", encoding="utf-8", newline="") as file:
                shown.to_csv(file, sep=SEPARATORS[suffix], index=False, lineterminator="\n")
    return Path(path)


def titles_of(table: pd.DataFrame) -> dict[str, str]:
    """Columns that have a unit, and their heads with it."""
    units = table.attrs.get("units", {})
    return {name: f"{name} ({units[name]})" for name in table.columns if name in units}


def _write_workbook(part: Path, table: pd.DataFrame) -> None:
    from xlsxwriter import Workbook
    from xlsxwriter.exceptions import FileCreateError

    with tempfile.TemporaryDirectory() as scratch, part.open("wb") as file:
        # rows go through a file of their own: a million of them would take gigabytes
        book = Workbook(file, {"constant_memory": True, "tmpdir": scratch})
        sheet, bold = book.add_worksheet("objects"), book.add_format({"bold": True})
        try:
            _fill(sheet, bold, table)
            book.close()
        except FileCreateError as error:  # which holds why, as a full disk
            raise next((e for e in error.args if isinstance(e, OSError)), OSError()) from None
        finally:
            sheet.row_data_fh.close()  # left open after an error


def _fill(sheet: Any, bold: Any, table: pd.DataFrame) -> None:
    sheet.freeze_panes(1, 0)
    for column, name in enumerate(table.columns):
        sheet.write_string(0, column, str(name), bold)
    columns = [table[name].to_numpy() for name in table.columns]
    for row, cells in enumerate(zip(*columns, strict=True), 1):
        for column, cell in enumerate(cells):
            if isinstance(cell, bool | np.bool_):
                sheet.write_boolean(row, column, bool(cell))
            elif _is_number(cell):
                sheet.write_number(row, column, float(cell))
            elif not isinstance(cell, float | np.floating) or not np.isnan(cell):
                sheet.write_string(row, column, str(cell))  # else an empty cell


def _is_number(cell: object) -> bool:
    """Whether Excel can hold it as a number, unchanged."""
    if isinstance(cell, int | np.integer):
        return abs(int(cell)) <= MOST_EXACT
    return isinstance(cell, float | np.floating) and bool(np.isfinite(cell))
