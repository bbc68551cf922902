"""Which rows of a table are shown: conditions that are typed, such as ``area > 100``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import InputError

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "==": operator.eq,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_CONDITION = re.compile(r"^\s*(.+?)\s*(<=|>=|!=|==|=|<|>)\s*(.+?)\s*$")
_AND = re.compile(r"\s+and\s+|[;&]+", re.IGNORECASE)
_WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


def filter_rows(text: str, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_] | None:
    """Which rows fulfil all conditions.

    Parameters
    ----------
    text : str
        Conditions, joined by "and": a column, a comparison and a value. Text alone is looked for
        in the columns of text, a number alone is a label.
    columns : mapping of str to (n,) array
        The table.

    Returns
    -------
    (n,) array of bool, or None
        None: there is no condition.

    Raises
    ------
    InputError
        If there is no such column, or a value is no number.

    Examples
    --------
    >>> columns = {"label": np.array([1, 2, 3]), "area": np.array([10.0, 20.0, 30.0])}
    >>> filter_rows("area > 15 and label != 3", columns).tolist()
    [False, True, False]
    >>> filter_rows("3", columns).tolist(), filter_rows("  ", columns)
    ([False, False, True], None)
    """
    parts = [part for part in _AND.split(text) if part.strip()]
    if not parts:
        return None
    found = [_fulfils(part, columns) for part in parts]
    shown: NDArray[np.bool_] = np.logical_and.reduce(found)
    return shown


def _fulfils(text: str, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    match = _CONDITION.match(text)
    if match is None:
        return _holds(text.strip(), columns)
    name, sign, value = match.groups()
    known = {column.lower(): column for column in columns}
    if name.lower() not in known:
        raise InputError(
            f"There is no column {name!r}",
            f"take one from the heads of the table, such as {_nearest(name, columns)}",
            parameter="filter",
            value=text,
        )
    values = columns[known[name.lower()]]
    compare = COMPARISONS[sign]
    if values.dtype.kind not in "biuf":
        if sign not in ("=", "==", "!="):
            raise InputError(
                f"{name!r} holds text, which is not larger or smaller",
                f"compare it as in {name} = {value}",
                parameter="filter",
                value=text,
            )
        lowered = np.array([str(each).lower() for each in values], dtype=object)
        wanted = value.strip("'\"").lower()
        return np.asarray(compare(lowered, wanted), bool)
    number = _WORDS.get(value.lower())
    if number is None:
        number = _parse_number(value, text)
    return np.asarray(compare(values, number), bool)


def _nearest(name: str, columns: Iterable[str]) -> str:
    """The columns that were probably meant.

    >>> _nearest("size", ["label", "area"]), _nearest("intensity", ["area", "intensity_mean"])
    ('label', 'intensity_mean')
    """
    names = list(columns)
    holding = [each for each in names if name.lower() in each.lower()][:3]
    found = holding or get_close_matches(name, names) or names[:1]
    return ", ".join(found)


def _parse_number(value: str, text: str) -> float:
    try:
        return float(value.replace(",", ".") if value.count(",") == 1 else value)
    except ValueError:
        raise InputError(
            f"{value!r} is no number",
            "type a condition such as area > 100 and circularity < 0.8",
            parameter="filter",
            value=text,
        ) from None


def _holds(text: str, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Rows of a label, or rows whose text holds a word."""
    if "label" in columns and text.isdecimal():
        return np.asarray(columns["label"] == int(text), bool)
    of_text = [values for values in columns.values() if values.dtype.kind not in "biuf"]
    if not of_text:
        raise InputError(
            f"{text!r} is no condition",
            "type a label, or a condition such as area > 100 and circularity < 0.8",
            parameter="filter",
            value=text,
        )
    found = [np.array([text.lower() in str(each).lower() for each in v], bool) for v in of_text]
    shown: NDArray[np.bool_] = np.logical_or.reduce(found)
    return shown
