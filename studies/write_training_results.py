"""Write the tables of docs/results/training.md from a results file of study_training.py.

    python studies/write_training_results.py RESULTS.json
    python studies/write_training_results.py             # from the file beside the page

The results are kept beside the page as training.json; those of bases are in bases.json there, those
of ablation.md in ablation.json.
Tables of batch norm also go to docs/decisions/batch-norm.md, where it has markers for them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from training_study.ablation_page import TABLES as ABLATION_TABLES
from training_study.base_page import TABLES as BASE_TABLES
from training_study.page import fill
from training_study.records import write_json

DOCS = Path(__file__).parents[1] / "docs"
RECORD = DOCS / "results" / "training.json"
BASES = DOCS / "results" / "bases.json"
ABLATION = DOCS / "results" / "ablation.json"
PAGES = (DOCS / "results" / "training.md", DOCS / "decisions" / "batch-norm.md")


def rounded(value: Any) -> Any:
    """A value of JSON with shorter numbers."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def main() -> None:
    """Read, keep, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="?", default=RECORD)
    results: Path = parser.parse_args().results
    entries = [e for e in rounded(json.loads(results.read_text())) if not e["quick"]]
    write_json(RECORD, entries)
    for page in PAGES:
        if page.exists():
            fill(page, entries)
            if BASES.exists():
                fill(page, json.loads(BASES.read_text()), BASE_TABLES)
            print(page)
    if ABLATION.exists():
        fill(ABLATION.with_suffix(".md"), json.loads(ABLATION.read_text()), ABLATION_TABLES)


if __name__ == "__main__":
    main()
