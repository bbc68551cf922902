"""Tables written to files, by the ending of the path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unet.errors import FileError
from napari_unet.io.atomic import atomic_path

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {".csv": ",", ".tsv": "\t"}


def check_table_path(path: str | os.PathLike[str]) -> str:
    """The separator of a table's file.

    Raises
    ------
    FileError
        If its ending stands for no table.
    """
    target = Path(path)
    separator = SEPARATORS.get(target.suffix.lower())
    if separator is None:
        raise FileError(
            f"{target} has no ending of a table", f"end it in {' or '.join(SEPARATORS)}"
        )
    return separator


def write_table(path: str | os.PathLike[str], table: pd.DataFrame) -> Path:
    """Write a table as CSV or TSV, in UTF-8, all of it or nothing.

    Parameters
    ----------
    path : path-like
        Ends in ``.csv`` or ``.tsv``.
    table : pandas.DataFrame
        As of `measure`; the index is left out.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileError
        If the ending is another one, or the file cannot be written.
    """
    separator = check_table_path(path)
    with (
        atomic_path(path) as part,
        part.open("w", encoding="utf-8", newline="") as file,
    ):
        table.to_csv(file, sep=separator, index=False, lineterminator="\n")
    return Path(path)
