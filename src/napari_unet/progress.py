"""What a long job says while it works."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

R = TypeVar("R")

Phase = Literal[
    "working",
    "reading",
    "predicting",
    "segmenting",
    "finding",
    "joining",
    "numbering",
    "preparing",
    "asking base",
    "training",
    "scoring",
    "comparing",
]
"""What a job does at the moment; "working" where nobody needs to tell it from other work."""


@dataclass(frozen=True)
class Progress:
    """A step of a job.

    Attributes
    ----------
    done, total : int
        Units of work (tiles, planes, files).
    message : str
        What is being done, in words to be shown.
    phase : str
        What is being done, for programs: one of `Phase`.
    """

    done: int
    total: int
    message: str = ""
    phase: Phase = "working"


def drain(job: Generator[Any, Any, R]) -> R:
    """Run a job to its end and return its result.

    >>> def job():
    ...     yield Progress(1, 1)
    ...     return "result"
    >>> drain(job())
    'result'
    """
    while True:
        try:
            next(job)
        except StopIteration as end:
            result: R = end.value
            return result
