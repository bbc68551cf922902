"""What attacks gave, kept in a file between the slices of a run, and the page made of it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cases import Ended

from napari_unet.io import atomic_path

PAGE = """# Reliability

`make stress` (tests/hostile/stress.py) writes this page. Good files are changed at random, from
seed {first} on: bytes, values of cards and metadata, tags, weights. Each is run in a process of its
own with limits of 6 GB of address space, 30 s of CPU time and 60 s in all. It holds where the exit
status is 0, or 2 with one sentence and no traceback, nothing in the text steers the terminal, and
no file is left or changed. A killed job (SIGKILL, at a moment drawn at random) holds where what is
there is whole, and the same job run again ends well and leaves no hidden file.

{days}, {where}; {minutes:.0f} minutes in {slices}. {done} of {total} cases were run.
"""


@dataclass
class Part:
    """Figures of one kind of attack."""

    name: str
    runs: int = 0
    faults: list[str] = field(default_factory=list)
    note: str = ""


@dataclass
class Results:
    """All that was found so far.

    Attributes
    ----------
    path : Path
        The file that it is kept in.
    first : int
        The first seed.
    cases : dict
        How hostile files ended, by kind and seed.
    parts : dict
        Other attacks, by their names.
    spans : list of (str, float)
        Day and minutes of each slice.
    """

    path: Path
    first: int
    cases: dict[str, Ended] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    spans: list[tuple[str, float]] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path, first: int) -> Results:
        """What earlier slices have found; nothing where there were none from this seed on."""
        found = cls(path, first)
        if not path.is_file():
            return found
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["first"] != first:
            return found
        for each in stored["cases"]:
            found.add(Ended(**{**each, "faults": tuple(each["faults"])}))
        found.parts = {each["name"]: Part(**each) for each in stored["parts"]}
        found.spans = [(day, minutes) for day, minutes in stored["spans"]]
        return found

    def add(self, case: Ended) -> None:
        """Take in how a case ended."""
        self.cases[f"{case.kind} {case.seed}"] = case

    def missing(self, cases: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
        """Which of these cases were not run yet."""
        return [(kind, seed) for kind, seed in cases if f"{kind} {seed}" not in self.cases]

    def save(self) -> None:
        """Write all of it; a run that is killed loses what came after the last time."""
        stored = {
            "first": self.first,
            "cases": [asdict(case) for case in self.cases.values()],
            "parts": [asdict(part) for part in self.parts.values()],
            "spans": self.spans,
        }
        with atomic_path(self.path) as temporary:
            temporary.write_text(json.dumps(stored), encoding="utf-8")

    def end_slice(self, began: datetime) -> None:
        """Note when a slice was run, and how long it took."""
        minutes = (datetime.now(UTC) - began).total_seconds() / 60
        self.spans.append((f"{began:%Y-%m-%d}", minutes))
        self.save()

    @property
    def faults(self) -> list[str]:
        """What did not hold, in words."""
        cases = self.cases.values()
        found = [f"{case.kind} {case.seed}: {case.faults}" for case in cases if case.faults]
        parts = self.parts.values()
        return found + [f"{part.name}: {fault}" for part in parts for fault in part.faults]

    def as_page(self, kinds: Iterable[str], total: int) -> str:
        """The page of all slices, of so many cases in all."""
        days = sorted({day for day, _ in self.spans})
        count = len(self.spans)
        text = PAGE.format(
            first=self.first,
            days=days[0] if len(days) < 2 else f"{days[0]} to {days[-1]}",
            where=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
            f"Python {platform.python_version()}",
            minutes=sum(minutes for _, minutes in self.spans),
            slices="one run" if count == 1 else f"{count} slices",
            done=len(self.cases),
            total=total,
        )
        lines = [text, *hostile_table(kinds, list(self.cases.values()))]
        lines += ["", "| attack | runs | did not hold |", "| --- | --- | --- |"]
        lines += [
            f"| {part.name} | {part.note or part.runs} | {len(part.faults)} |"
            for part in self.parts.values()
        ]
        if self.faults:
            lines += ["", "What did not hold:", "", *(f"- {fault}" for fault in self.faults)]
        lines += ["", "A window in which somebody paints is killed in tests/widgets/recovery.", ""]
        return "\n".join(lines)


def hostile_table(kinds: Iterable[str], ended: list[Ended]) -> list[str]:
    """A table of hostile files by kind."""
    head = "| mutated | cases | ended well | ended in a sentence | did not hold | longest (s) "
    lines = [f"{head}| most memory (MB) |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for kind in kinds:
        cases = [case for case in ended if case.kind == kind]
        well = sum(case.status == 0 for case in cases)
        told = sum(case.status == 2 for case in cases)
        bad = sum(bool(case.faults) for case in cases)
        longest = max((case.seconds for case in cases), default=0)
        most = max((case.megabytes for case in cases), default=0)
        lines.append(
            f"| {kind} | {len(cases)} | {well} | {told} | {bad} | {longest:.1f} | {most:.0f} |"
        )
    return lines
