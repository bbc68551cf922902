"""From the call of a training to its first step, each time in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from training_study.records import Outcome, Plan, Run

EXPERIMENT = "start"
SCRIPT = Path(__file__).parents[1] / "measure_start.py"


def iter_runs(plan: Plan) -> Iterator[Run]:
    """One process for each seed; nothing in it is random."""
    for seed in plan.seeds:
        yield Run(EXPERIMENT, {"images": 15}, seed, 0, _measure(plan))


def _measure(plan: Plan) -> Callable[[], Outcome]:
    def measure() -> Outcome:
        command = [sys.executable, SCRIPT, plan.data, "--threads", str(plan.threads)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return Outcome(json.loads(told), details={"threads": plan.threads})

    return measure
