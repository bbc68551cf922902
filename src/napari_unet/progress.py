"""What a long job says while it works."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeVar

R = TypeVar("R")


@dataclass(frozen=True)
class Progress:
    """A step of a job.

    Attributes
    ----------
    done, total : int
        Units of work (tiles, planes, files).
    message : str
        What is being done, in words.
    """

    done: int
    total: int
    message: str = ""


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
