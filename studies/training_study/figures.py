"""Entries of the results file picked, averaged and written as cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Entry = dict[str, Any]

MISSING = "missing"


def usable(entries: Sequence[Entry]) -> list[Entry]:
    """No quick runs."""
    return [entry for entry in entries if not entry["quick"]]


def budgets(entries: Sequence[Entry]) -> list[int]:
    """Numbers of steps that entries were trained for."""
    return sorted({entry["steps"] for entry in entries if entry["steps"]})


def of_steps(entries: Sequence[Entry], steps: int) -> list[Entry]:
    """Entries that were trained for so many steps."""
    return [entry for entry in entries if entry["steps"] == steps]


def pick(entries: Sequence[Entry], experiment: str, **condition: Any) -> list[Entry]:
    """Entries of an experiment whose condition has these values."""
    return [
        entry
        for entry in entries
        if entry["experiment"] == experiment
        and all(entry["condition"].get(key) == value for key, value in condition.items())
    ]


def scores(entries: Iterable[Entry], name: str | None = None) -> list[float]:
    """The score of each entry, or another of its scores; failed runs have none."""
    told = [e["score"] if name is None else e.get("scores", {}).get(name) for e in entries]
    return [value for value in told if value is not None]


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Mean, and standard deviation and number where there are several.

    >>> spread([0.5, 0.6, 0.7]), spread([0.5]), spread([])
    ('0.60 ± 0.10 (3)', '0.50', 'missing')
    """
    if not len(values):
        return MISSING
    mean = f"{np.mean(values):.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {np.std(values, ddof=1):.{digits}f} ({len(values)})"


def ratio(values: Sequence[float], whole: Sequence[float]) -> str:
    """Mean over mean, in per cent."""
    if not len(values) or not len(whole) or np.mean(whole) == 0:
        return MISSING
    return f"{np.mean(values) / np.mean(whole):.0%}"


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table."""
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def kind_of(entry: Entry) -> str:
    """Experiment, what part of it, and the number of steps."""
    told = entry["condition"]
    part = next((told[key] for key in ("case", "network", "data") if key in told), None)
    name = entry["experiment"] if part is None else f"{entry['experiment']}, {part}"
    return f"{name}, {entry['steps']} steps" if entry["steps"] else f"{name}, untrained"


def threads(entry: Entry) -> str:
    """How many of the CPU."""
    return f"{entry['threads']} thread{'s' * (entry['threads'] > 1)}"


def sizes(patch: Sequence[int]) -> str:
    """A patch."""
    return "×".join(map(str, patch))


def span(values: Sequence[int | None]) -> str:
    """The smallest and the largest, or the one that all are."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    return str(known[0]) if min(known) == max(known) else f"{min(known)} to {max(known)}"


def told_or_missing(value: float | None, form: str) -> str:
    """A figure, if there is one."""
    return MISSING if value is None else form.format(value)


def verdict(met: bool | None) -> str:
    """Whether an aim is met."""
    return MISSING if met is None else "met" if met else "not met"
