"""Scores as rows: of each image, pooled, as mean over images, with their intervals."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_unet.errors import FileError
from napari_unet.evaluation.run import Evaluation
from napari_unet.io.atomic import atomic_path
from napari_unet.io.record import encode_record

SEPARATORS = {".csv": ",", ".tsv": "\t"}
POOLED, MEAN = "all images, pooled", "mean over images"
NOT_SCORES = ("task", "images")

Row = dict[str, Any]


def list_rows(evaluation: Evaluation) -> list[Row]:
    """All scores, a row per image, and rows for all images.

    Returns
    -------
    list of dict
        Each has ``image``, ``candidate``, ``bound`` ("" for a value, "low" and "high" for the
        bounds of its interval) and the scores by name: a score of several IoU thresholds or
        classes has the columns ``ap@0.5``, ``dice@1``, and so on. First the rows of all images,
        then those of the images. The difference of two candidates is a candidate ``B - A``.
    """
    rows: list[Row] = []
    for name, scores, intervals in zip(
        evaluation.candidates, evaluation.scores, evaluation.intervals, strict=True
    ):
        rows += _rows_of_all(name, scores.as_dict(), intervals)
    if evaluation.difference is not None:
        first, second = evaluation.candidates
        change = evaluation.difference
        rows += _rows_of_all(f"{second} - {first}", change.value, change.interval)
    for name, scores in zip(evaluation.candidates, evaluation.scores, strict=True):
        for image, each in zip(evaluation.images, scores.per_image(), strict=True):
            rows.append(_row(image, name, "", _flatten(_without_mean(each.as_dict()))))
    return rows


def _rows_of_all(name: str, values: Mapping[str, Any], intervals: Mapping[str, Any]) -> list[Row]:
    rows = []
    for title, pick in ((POOLED, _without_mean), (MEAN, _of_mean)):
        rows.append(_row(title, name, "", _flatten(pick(values))))
        if intervals:
            bounds = [dict(_bounds(pick(intervals), side)) for side in (0, 1)]
            rows += [
                _row(title, name, b, each) for b, each in zip(("low", "high"), bounds, strict=True)
            ]
    return rows


def _row(image: str, candidate: str, bound: str, values: Mapping[str, Any]) -> Row:
    return {"image": image, "candidate": candidate, "bound": bound, **values}


def _without_mean(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if not k.endswith("_mean") and k not in NOT_SCORES}


def _of_mean(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k.removesuffix("_mean"): v for k, v in values.items() if k.endswith("_mean")}


def _flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= {f"{name}@{key}": each for key, each in value.items()}
        else:
            found[name] = value
    return found


def _bounds(intervals: Mapping[str, Any], side: int) -> Iterator[tuple[str, Any]]:
    for name, pair in _flatten(intervals).items():
        yield name, None if pair is None else pair[side]


def table_text(rows: Sequence[Row], separator: str = ",") -> str:
    r"""Rows as CSV, with a line of column names; None is an empty field.

    >>> table_text([{"image": "a", "ap@0.5": 0.5}, {"image": "b", "dice": None}])
    'image,ap@0.5,dice\na,0.5,\nb,,\n'
    """
    columns = list(dict.fromkeys(column for row in rows for column in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, delimiter=separator, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: _cell(v) for k, v in row.items()} for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"  # a spreadsheet would take it for a formula
    return value


def as_dict(evaluation: Evaluation) -> dict[str, Any]:
    """All of an evaluation, ready for JSON: scores, intervals, difference, images, record."""
    candidates = [
        {
            "name": name,
            "scores": scores.as_dict(),
            "intervals": _with_text_keys(intervals),
            "per_image": [
                {"image": image, **_without_mean(each.as_dict())}
                for image, each in zip(evaluation.images, scores.per_image(), strict=True)
            ],
        }
        for name, scores, intervals in zip(
            evaluation.candidates, evaluation.scores, evaluation.intervals, strict=True
        )
    ]
    change = evaluation.difference
    return {
        "task": evaluation.task,
        "images": list(evaluation.images),
        "candidates": candidates,
        "difference": None
        if change is None
        else {
            "of": [evaluation.candidates[1], evaluation.candidates[0]],
            "value": _with_text_keys(change.value),
            "intervals": _with_text_keys(change.interval),
        },
        "faults": [
            {"image": fault.image, "problem": str(fault.error)} for fault in evaluation.faults
        ],
        "record": evaluation.record,
    }


def _with_text_keys(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        str(key): _with_text_keys(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
    }


def check_evaluation_path(path: str | os.PathLike[str]) -> Path:
    """A path to write an evaluation to; raises FileError for an ending that says no format."""
    target = Path(path)
    if target.suffix.lower() not in (*SEPARATORS, ".json"):
        raise FileError(f"{target} has no ending of a table", "end it in .csv, .tsv or .json")
    return target


def write_evaluation(path: str | os.PathLike[str], evaluation: Evaluation) -> Path:
    """Write an evaluation, all of it or nothing, as its ending says.

    Parameters
    ----------
    path : path-like
        Ends in ``.csv`` or ``.tsv`` (`list_rows`), or ``.json`` (`as_dict`, with the record).

    Raises
    ------
    FileError
        If the ending is another one, or the file cannot be written.
    """
    target = check_evaluation_path(path)
    suffix = target.suffix.lower()
    if suffix == ".json":
        data = encode_record(as_dict(evaluation))
    else:
        data = table_text(list_rows(evaluation), SEPARATORS[suffix]).encode()
    with atomic_path(target) as part:
        part.write_bytes(data)
    return target
