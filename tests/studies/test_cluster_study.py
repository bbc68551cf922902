"""The study of the cluster, on a volume so small that it only shows that all is measured."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

STUDY = Path(__file__).parents[2] / "studies" / "measure_cluster.py"


def test_the_page_follows_from_what_was_measured() -> None:
    study: dict[str, Any] = runpy.run_path(str(STUDY))
    seconds = {(1, "linked"): 80.0, (2, "linked"): 48.0, (1, "slices"): 64.0, (2, "slices"): 40.0}
    measured = study["Measured"](64, 1024, seconds, 64 * 1024**2 * 4 // 50, equal=True)
    page = study["write_page"](measured)
    assert "**1.67** with linked planes, 1.60 without" in page
    assert "equal bit by bit" in page
    assert "50 times smaller" in page
    # 4.77 million blocks of a second are 55 days; the efficiency of two workers is 80 %
    assert "| 1 | 55 days | 2.1 MB/s | 0.08 MB/s |" in page
    assert "| 100 | 17 h |" in page
    assert "0.125 s a block" in page
    other = study["Measured"](64, 1024, seconds, 1, equal=False)
    assert "NOT equal" in study["write_page"](other)


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.filterwarnings("default")
def test_the_study_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study: dict[str, Any] = runpy.run_path(str(STUDY))
    measured = study["measure"](tmp_path, 2, 64)
    assert measured.equal
    assert set(measured.seconds) == set(study["RUNS"])
    assert re.search("2 workers, slices", capsys.readouterr().out)
