"""Print the lowest version of each dependency that pyproject.toml admits, as constraints.

    python scripts/lowest_dependencies.py > lowest.txt
    pip install --constraint lowest.txt '.[all]'

CI runs the tests with them, so that no lower bound promises what does not work.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(\[[\w,]+\])?>=(?P<version>[\w.]+)")


def lowest(requirements: list[str]) -> list[str]:
    """One pin per requirement.

    >>> lowest(["dask[array]>=2024.8", "numpy>=2.0"])
    ['dask==2024.8', 'numpy==2.0']
    """
    found = []
    for line in requirements:
        match = REQUIREMENT.fullmatch(line)
        if match is None:
            raise SystemExit(f"{line!r} has no lower bound, or more than that")
        found.append(f"{match['name']}=={match['version']}")
    return found


def main() -> None:
    """Print the pins."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    print("\n".join(lowest(project["dependencies"])))


if __name__ == "__main__":
    main()
