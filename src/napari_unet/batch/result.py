"""What a batch tells while it works, and what became of each file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from napari_unet.errors import Note, UNetError
from napari_unet.progress import Progress

State = Literal["waiting", "running", "writing", "done", "skipped", "failed"]
"""What a file of a batch is at: not begun, predicted, written, or how it ended."""


@dataclass(frozen=True)
class FileResult:
    """What became of a file.

    Attributes
    ----------
    source : Path or str
        The image; a text where it was named by a URL.
    output : Path, str or None
        The first file that was written, mostly the labels; None where it failed.
    record : dict or None
        The run record, which also stands beside the output as JSON.
    error : str or None
        Why it failed, in one sentence.
    seconds : float
        How long it took; 0 where it had been finished before.
    fault : UNetError or None
        The error itself, with its fields; what nobody foresaw has the code "unexpected", and its
        traceback is in the log that the sentence names.
    notes : tuple of Note
        What was left out of the file or beside it, and what its axes could be otherwise; also in
        the record, as ``notes``.
    outputs : mapping of str to Path or str
        All that was written, by its kind: "labels", "scores", "measurements", "overlay", or the
        ending of an export.
    skipped : bool
        Whether its record says that it was finished before, with the same input, model and
        settings, so that nothing was done.
    """

    source: Path | str
    output: Path | str | None
    record: dict[str, Any] | None
    error: str | None
    seconds: float
    fault: UNetError | None = None
    notes: tuple[Note, ...] = ()
    outputs: Mapping[str, Path | str] = field(default_factory=dict)
    skipped: bool = False

    @property
    def state(self) -> State:
        """How it ended: "done", "skipped" or "failed"."""
        return "failed" if self.error is not None else "skipped" if self.skipped else "done"


@dataclass(frozen=True, kw_only=True)
class BatchStep(Progress):
    """A step of a batch.

    Attributes
    ----------
    file : int
        Number of the file it is about, from 0; -1: of none.
    state : str
        What that is at, one of `State`.
    seconds_left : float or None
        Estimated time until all files are done; None while there is nothing to base it on.
    """

    file: int = -1
    state: State = "running"
    seconds_left: float | None = None


@dataclass(frozen=True, kw_only=True)
class FileDone(BatchStep):
    """The step that ends a file, with what became of it."""

    result: FileResult
