"""Mutated files of every kind end well or in one sentence, within limits, and leave nothing.

``make stress`` runs twenty times as many: ``python tests/hostile/stress.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_unet.network.model import Model

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux", reason="needs fork and Linux's limits"),
]

COUNTS = {"model": 35, "image": 30, "store": 27, "checkpoint": 8}


def test_hostile_files_end_in_a_sentence(
    tmp_path: Path, bright_model: Callable[..., Model]
) -> None:
    from cases import list_cases, run_cases

    ended = list(run_cases(tmp_path, bright_model(), list_cases(COUNTS, first=0)))
    assert len(ended) == 100
    bad = [(case.kind, case.seed, case.faults, case.said[:300]) for case in ended if case.faults]
    assert not bad
    assert {case.status for case in ended} == {0, 2}  # some mutations do no harm
