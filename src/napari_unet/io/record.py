"""The run record: a JSON file beside every output."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import enum
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.io.atomic import atomic_path


def record_path(output: str | os.PathLike[str]) -> Path:
    """Path of the run record of an output: the same name, its last ending ``.json``.

    Examples
    --------
    >>> record_path("out/cells_labels.ome.tif").as_posix()
    'out/cells_labels.ome.json'
    """
    return Path(output).with_suffix(".json")


def write_record(path: str | os.PathLike[str], record: Mapping[str, Any]) -> Path:
    """Write the run record of an output beside it.

    Parameters
    ----------
    path : path-like
        The output that the record belongs to, not the record itself.
    record : mapping
        JSON values and also: NumPy scalars, arrays and dtypes, tuples, sets, paths, dates,
        enums, dataclasses and pydantic models. NaN and infinities, which JSON does not
        know, become null.

    Returns
    -------
    Path
        The JSON file, ``record_path(path)``.

    Raises
    ------
    FileError
        If the file cannot be written.
    TypeError
        If the record holds something else; nothing is written then.
    """
    target = record_path(path)
    data = encode_record(record)
    with atomic_path(target) as part:
        part.write_bytes(data)
    return target


def encode_record(record: Mapping[str, Any]) -> bytes:
    """Encode a record as indented UTF-8 JSON; see `write_record` for what it may hold."""
    text = json.dumps(_plain(record), indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def _plain(value: Any) -> Any:
    """The same value made of what JSON knows."""
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    if isinstance(value, np.generic):
        return _plain(value.item())
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if hasattr(value, "model_dump"):
        return _plain(value.model_dump())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((_plain(item) for item in value), key=str)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise TypeError(f"a run record cannot hold {value!r}, a {type(value).__name__}")


RECORD = "napari_unet"  # attribute of a zarr array that a run has written


def find_record(labels: Any) -> Mapping[str, Any] | None:
    """The record of the run that made labels: in zarr attributes, or beside their file.

    An array in memory has none, whatever made it.
    """
    found: Any = None
    # zarr fails in ways of its own where a store is damaged; then there is no record
    with contextlib.suppress(Exception):
        source = getattr(labels, "_source", labels)  # behind a LazyArray
        attributes = getattr(source, "attrs", None)
        if attributes is not None:
            found = dict(attributes).get(RECORD)
    path = getattr(labels, "path", None)
    path = path if isinstance(path, Path) else getattr(labels, "filename", None)
    if not isinstance(found, Mapping) and isinstance(path, str | Path):
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(record_path(path).read_bytes())
    made = isinstance(found, Mapping) and found.get("operation") in ("segment", "predict")
    return found if made else None
