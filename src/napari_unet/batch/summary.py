"""The table and the record of a batch: a line a file, and what it was run with."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from napari_unet.batch.inputs import Task
from napari_unet.batch.remote import is_url
from napari_unet.batch.result import FileResult
from napari_unet.installation import versions
from napari_unet.io.atomic import atomic_path
from napari_unet.io.record import write_record

COLUMNS = ("source", "state", "reason", "objects", "message", "output", "seconds", "notes")
SUMMARY = "batch.csv"


def summary_path(
    wanted: bool | str | Path, folder: str | Path | None, tasks: Sequence[Task]
) -> Path | None:
    """Where the table goes; None: it is not written."""
    if wanted is False:
        return None
    if wanted is not True:
        return Path(wanted)
    if folder is not None and not is_url(folder):
        return Path(folder) / SUMMARY
    parents = [task.parent for task in tasks if isinstance(task.parent, Path)]
    return parents[0] / SUMMARY if parents and folder is None else Path(SUMMARY)


def table_rows(
    sources: Sequence[Path | str], results: Sequence[FileResult | None]
) -> list[dict[str, Any]]:
    """A row a file, by the names of `COLUMNS`."""
    rows = []
    for source, result in zip(sources, results, strict=True):
        record = (result.record or {}) if result is not None else {}
        rows.append(
            {
                "source": str(source),
                "state": "not run" if result is None else result.state,
                "reason": "" if result is None else result.error or "",
                "objects": record.get("objects", ""),
                "message": record.get("message", ""),
                "output": "" if result is None or result.output is None else str(result.output),
                "seconds": "" if result is None else round(result.seconds, 3),
                "notes": "" if result is None else " ".join(map(str, result.notes)),
            }
        )
    return rows


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the table as CSV in UTF-8, all of it or nothing."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic_path(path) as part:
        # names of old disks may be no UTF-8
        part.write_bytes(text.getvalue().encode("utf-8", "backslashreplace"))


class BatchSummary:
    """The table of a batch and its record beside it, written at its end.

    Parameters
    ----------
    path : Path or None
        Of the table; None: nothing is written.
    parameters : mapping
        What the batch was started with, JSON-ready.
    tasks : sequence of Task
        The files.
    started : datetime
        When.
    """

    def __init__(
        self,
        path: Path | None,
        parameters: Mapping[str, Any],
        tasks: Sequence[Task],
        started: datetime,
    ) -> None:
        self._path, self._parameters = path, parameters
        self._sources = [task.source for task in tasks]
        self._started = started

    def write(self, results: Sequence[FileResult | None], seconds: float) -> None:
        """Write both."""
        if self._path is None:
            return
        rows = table_rows(self._sources, results)
        write_table(self._path, rows)
        counts = dict.fromkeys(("done", "skipped", "failed", "not run"), 0)
        for row in rows:
            counts[row["state"]] += 1
        record = {
            "operation": "batch",
            **self._parameters,
            "counts": counts,
            "files": [{name: row[name] for name in COLUMNS[:3]} for row in rows],
            "output": str(self._path),
            "versions": dict(versions()),
            "started": self._started.isoformat(timespec="seconds"),
            "seconds": round(seconds, 3),
        }
        write_record(self._path, record)
