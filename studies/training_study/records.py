"""What is to be measured, and the file that keeps what was measured, run by run."""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from napari_unet.errors import UNetError
from napari_unet.installation import versions

QUICK_STEPS = 3

Condition = Mapping[str, str | int | float]
T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """What the command line asked for.

    Attributes
    ----------
    data : Path
        Folder of the data sets.
    seeds : tuple of int
        One run of each condition for each.
    steps : int or None
        Of every training; None: what each experiment takes.
    quick : bool
        A few steps, small patches and few tests, to see that everything runs.
    device : str
        Where it runs.
    threads : int
        Of the CPU.
    """

    data: Path
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int | None = None
    quick: bool = False
    device: str = "auto"
    threads: int = 1

    def steps_or(self, usual: int) -> int:
        """Steps of a training."""
        return QUICK_STEPS if self.quick else self.steps or usual

    def some(self, items: Sequence[T], count: int = 1) -> list[T]:
        """All items; of a quick run the first few."""
        return list(items[:count] if self.quick else items)

    def patch(self, *sizes: int) -> tuple[int, ...]:
        """The size of a patch; of a quick run half of it."""
        return tuple(size // 2 if self.quick else size for size in sizes)


@dataclass(frozen=True)
class Outcome:
    """What a run found.

    Attributes
    ----------
    score : float
        The figure of the tables.
    scores : dict
        That and others, by name.
    training_seconds : float
        Of the training alone; 0 where there was none.
    details : dict
        What else the tables tell, such as numbers of images and settings.
    """

    score: float
    scores: dict[str, float] = field(default_factory=dict)
    training_seconds: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One thing to measure; ``measure`` loads, trains and scores."""

    experiment: str
    condition: Condition
    seed: int
    steps: int
    measure: Callable[[], Outcome]

    @property
    def name(self) -> str:
        """One line for the terminal."""
        told = ", ".join(f"{key} {value}" for key, value in self.condition.items())
        return f"{self.experiment}: {told}, seed {self.seed}, {self.steps} steps"


class Records:
    """Entries in a JSON file. A run that is in it is not made again, unless it failed.

    The file is replaced whole after every run, so that a study can be stopped at any time.
    """

    def __init__(self, path: Path, *, quick: bool = False) -> None:
        self.path, self.quick = path, quick
        self.entries: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []

    def has(self, run: Run) -> bool:
        """Whether a run was made before, with success."""
        return any(self._same(entry, run) and "error" not in entry for entry in self.entries)

    def make(self, run: Run, plan: Plan) -> dict[str, Any]:
        """Do a run and keep what it found, or the fault that it met."""
        start = time.perf_counter()
        found: dict[str, Any]
        try:
            outcome = run.measure()
        except Exception as error:  # noqa: BLE001 - one failure must not cost the other results
            if not isinstance(error, UNetError):
                traceback.print_exc()
            found = {"score": None, "error": f"{type(error).__name__}: {error}"}
        else:
            found = {
                "score": outcome.score,
                "scores": outcome.scores,
                "training_seconds": round(outcome.training_seconds, 2),
                "details": outcome.details,
            }
        entry = {
            "experiment": run.experiment,
            "condition": dict(run.condition),
            "seed": run.seed,
            "steps": run.steps,
            "quick": self.quick,
            "seconds": round(time.perf_counter() - start, 2),
            **found,
            "device": plan.device,
            "threads": plan.threads,
            "versions": versions(),
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.entries = [e for e in self.entries if not self._same(e, run)] + [entry]
        write_json(self.path, self.entries)
        return entry

    def _same(self, entry: dict[str, Any], run: Run) -> bool:
        told = [entry[key] for key in ("experiment", "condition", "seed", "steps", "quick")]
        return told == [run.experiment, dict(run.condition), run.seed, run.steps, self.quick]


def write_json(path: Path, content: Any) -> None:
    """Write a file so that at any time the old or the new one is there, whole."""
    part = path.with_name(path.name + ".part")
    with part.open("w") as file:
        file.write(json.dumps(content, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
