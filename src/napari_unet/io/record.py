"""The run record: a JSON file beside every output."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic_core import PydanticSerializationError, to_json

from napari_unet.io.atomic import atomic_path


def record_path(output: str | os.PathLike[str]) -> Path:
    """Path of the run record of an output: the same name, its last ending ``.json``.

    Examples
    --------
    >>> record_path("out/cells_labels.ome.tif").as_posix()
    'out/cells_labels.ome.json'
    """
    return Path(output).with_suffix(".json")


def in_unicode(path: str | os.PathLike[str]) -> str:
    r"""A path as a record can hold it: bytes that are no UTF-8 (names of old disks) escaped.

    >>> in_unicode("caf\udce9.tif")
    'caf\\xe9.tif'
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def write_record(path: str | os.PathLike[str], record: Mapping[str, Any]) -> Path:
    """Write the run record of an output beside it.

    Parameters
    ----------
    path : path-like
        The output that the record belongs to, not the record itself.
    record : mapping
        JSON values and what `pydantic_core.to_json` encodes: tuples, sets, paths, dates (ISO
        8601), time differences (seconds), enums, dataclasses, pydantic models; also NumPy
        scalars, arrays and dtypes. NaN and infinities, which JSON does not know, become null.

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
    try:
        encoded = to_json(
            record, indent=2, inf_nan_mode="null", timedelta_mode="float", fallback=_encode_other
        )
    except PydanticSerializationError as error:
        raise TypeError(str(error)) from error
    return encoded + b"\n"


def _encode_other(value: Any) -> Any:
    """Convert what pydantic does not know: NumPy's types, mappings and paths of other kinds."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a run record cannot hold {value!r}, a {type(value).__name__}")


RECORD = "napari_unet"  # attribute of a zarr array that a run has written
FILE = "file"  # in a record: size and hash of the file that it describes
RUN = "run"  # in a record of an export: that of the run that made the labels
EXPORT = "export"  # the operation of such a record
STALE = "stale"  # in a record that was found beside another file than it describes


def export_record_path(output: Path) -> Path:
    """Where the record of an export is written: the whole name with ``.json`` behind it.

    `record_path` may be the record of another file, or annotations in the format of COCO.

    >>> export_record_path(Path("out/cells.tif")).as_posix()
    'out/cells.tif.json'
    """
    return output.with_name(f"{output.name}.json")


def is_record(path: Path) -> bool:
    """Whether a file is a record, of whatever output."""
    found = _read(path)
    return found is not None and "operation" in found and "versions" in found


def is_export(path: Path) -> bool:
    """Whether a file was exported, and has not changed since, by the record beside it."""
    return any(
        found.get("operation") == EXPORT and FILE in found and describes(found, path)
        for found in map(_read, _record_paths(path))
        if found is not None
    )


def _record_paths(output: Path) -> tuple[Path, Path]:
    return export_record_path(output), record_path(output)


def _read(path: Path) -> Mapping[str, Any] | None:
    """A record from its file; None where there is none that can be read."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads(path.read_bytes())
        if isinstance(found, Mapping):
            return found
    return None


def identity_of(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file, by which a record knows what it describes."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def describes(record: Mapping[str, Any], path: Path) -> bool:
    """Whether a record is that of a file; records of before the identity are believed."""
    known = record.get(FILE)
    if not isinstance(known, Mapping):
        return True
    try:
        return path.stat().st_size == known.get("bytes") and identity_of(path) == known
    except OSError:
        return True


def is_result(path: Path) -> bool:
    """Whether a file was written by a run of this program, as the record beside it says."""
    try:
        known = json.loads(record_path(path).read_bytes())
    except (OSError, ValueError):
        return False
    made = isinstance(known, Mapping) and known.get("operation") in ("segment", "predict")
    if not made:
        return False
    written = known.get("outputs")
    names = written.values() if isinstance(written, Mapping) else [known.get("output")]
    return any(str(name).replace("\\", "/").rpartition("/")[2] == path.name for name in names)


def find_record(labels: Any) -> Mapping[str, Any] | None:
    """The record of the run that made labels: in zarr attributes, or beside their file.

    An array in memory has none, whatever made it. Where a file was changed since, or a run was
    killed between the two files, the record is not that of the labels: only its operation is
    given then, as ``{"operation": ..., "stale": True}``.
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
        beside = [each for each in map(_read, _record_paths(Path(path))) if each is not None]
        fitting = [each for each in beside if describes(each, Path(path))]
        if fitting:
            found = fitting[0]
        elif beside:
            found = {"operation": _run_of(beside[0]).get("operation"), STALE: True}
    if not isinstance(found, Mapping):
        return None
    found = _run_of(found)
    made = found.get("operation") in ("segment", "predict")
    return {key: value for key, value in found.items() if key != FILE} if made else None


def _run_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record of the run that made labels, where they were exported afterwards."""
    if record.get("operation") != EXPORT:
        return record
    run = record.get(RUN)
    return run if isinstance(run, Mapping) else {}
