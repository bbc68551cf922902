"""Reading a record: a file, an output beside which one stands, or what is in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from napari_unet.errors import FileError, InputError, describe_validation
from napari_unet.io.record import record_path
from napari_unet.replay.batching import BatchRun
from napari_unet.replay.correcting import CorrectRun
from napari_unet.replay.evaluating import EvaluateRun
from napari_unet.replay.exporting import ExportRun
from napari_unet.replay.measuring import MeasureRun
from napari_unet.replay.recorded import RecordedRun
from napari_unet.replay.segmenting import SegmentRun
from napari_unet.replay.training import TrainRun

R = TypeVar("R", bound=RecordedRun)

KINDS: dict[str, type[RecordedRun]] = {
    "segment": SegmentRun,
    "predict": SegmentRun,
    "train": TrainRun,
    "measure": MeasureRun,
    "export": ExportRun,
    "batch": BatchRun,
    "correct": CorrectRun,
    "evaluate": EvaluateRun,
}
"""Operations that can be repeated."""


def read_run(record: Mapping[str, Any] | str | Path) -> RecordedRun:
    """A run from its record.

    Parameters
    ----------
    record : mapping, path or str
        The record; its JSON file; the JSON itself; or an output beside which a record stands.

    Raises
    ------
    FileError
        If there is no such file, or it holds no record.
    InputError
        If the operation is unknown, as in a record of a later version.
    SettingsError
        If something in it is missing or wrong.
    """
    return run_of(read_content(record))


def read_run_of_kind(path: Path, kind: type[R]) -> R:
    """A run from its record, for a dock that shows one kind of runs; see `read_run`.

    Raises
    ------
    InputError
        If it is a run of another kind, too.
    """
    run = read_run(path)
    if not isinstance(run, kind):
        raise InputError(
            f"{path.name} is the record of another kind of run ({run.operation})",
            "open it in the dock of its kind, or repeat it by napari-unet run",
        )
    return run


def describe_taken(path: Path, left: Sequence[str], more: str = "") -> str:
    """What a dock says once it has taken over a record, but for the fields that it lacks.

    >>> describe_taken(Path("out/a.json"), [])
    'As in a.json.'
    """
    said = f"As in {path.name}{more}."
    if left:
        said += f" Not taken over, since the form has no field for it: {', '.join(left)}."
        said += " ‘napari-unet run’ repeats it exactly."
    return said


def read_content(record: Mapping[str, Any] | str | Path) -> Mapping[str, Any]:
    """The content of a record; see `read_run`."""
    return record if isinstance(record, Mapping) else _read(record)


def run_of(content: Mapping[str, Any]) -> RecordedRun:
    """The run that a record is of; see `read_run`."""
    inner = content.get("record")
    if "operation" not in content and isinstance(inner, Mapping):
        content = inner  # of an evaluation as JSON, which has its scores beside it
    operation = content.get("operation")
    if not isinstance(operation, str) or operation not in KINDS:
        raise InputError(
            f"The record is of an operation {operation!r}, which is unknown here",
            f"known are {', '.join(KINDS)}; a record of a newer version needs that version",
            parameter="record",
            value=operation,
        )
    try:
        return KINDS[operation].model_validate(dict(content))
    except ValidationError as error:
        told = describe_validation(error)
        raise InputError(
            f"The record cannot be run: {told.problem.template}",
            "take one that this program has written, as it is",
            parameter="record",
        ) from None


def _read(record: str | Path) -> Mapping[str, Any]:
    text = str(record)
    if isinstance(record, str) and text.lstrip().startswith("{"):
        return _parse(text, "The text")
    path = Path(record)
    if path.suffix.lower() != ".json":
        beside = [Path(f"{path}.json"), record_path(path)]
        found = next((each for each in beside if each.is_file()), None)
        inside = path / "zarr.json"
        if found is None and inside.is_file():
            attributes = _load(inside).get("attributes", {})
            kept = attributes.get("napari_unet") if isinstance(attributes, Mapping) else None
            if isinstance(kept, Mapping):
                return kept
        if found is None:
            raise FileError(
                f"There is no run record of {path}",
                f"it would be {beside[-1].name} beside it",
            )
        path = found
    return _load(path)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise FileError(f"{path} is no text", "give the JSON file of a run record") from None
    except OSError as error:
        raise FileError(
            f"The record {path} cannot be read ({error.strerror or error})", "check its path"
        ) from None
    return _parse(text, str(path))


def _parse(text: str, place: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(
            f"{place} is no JSON ({error})", "give the JSON file of a run record"
        ) from None
    if not isinstance(found, Mapping):
        raise FileError(f"{place} holds no run record", "give the JSON file of a run record")
    return found
