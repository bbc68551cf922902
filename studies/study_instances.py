"""Compare representations of objects: accuracy, cost, partial labels, blocks, odd shapes.

    python studies/study_instances.py --data DIR --results DIR       # train and score
    python studies/study_instances.py --data DIR --results DIR --properties  # everything else
    python studies/study_instances.py --data DIR --results DIR --datasets dsb --only B D --times 8
    python studies/study_instances.py --page                         # the tables of the page
    python studies/study_instances.py --results DIR --page           # the same from new results

DIR of the data holds the folders of the data sets. A result that exists is not made again.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from instance_study.affinity import Affinity
from instance_study.boundary import ForegroundBoundary
from instance_study.distance import (
    BothDistances,
    CentreDistance,
    RelativeDistance,
    TruncatedDistance,
)
from instance_study.flow import BoundaryFlow, Flow

REPRESENTATIONS = (
    ForegroundBoundary,
    RelativeDistance,
    CentreDistance,
    Flow,
    BoundaryFlow,
    TruncatedDistance,
    Affinity,
    BothDistances,
)


def train_all(arguments: argparse.Namespace) -> None:
    """Train and score what is missing."""
    import torch
    from instance_study.data import NAMES, load
    from instance_study.training import retest, run

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    for name in arguments.datasets or NAMES:
        dataset = None
        for kind in REPRESENTATIONS:
            longer = f"-x{arguments.times}" if arguments.times > 1 else ""
            output = arguments.results / f"{name}-{kind.key}{longer}.json"
            weights = output.with_suffix(".pt").exists()
            again = arguments.retest and output.exists() and weights
            if output.exists() and not again:
                continue
            if arguments.only and kind.key not in arguments.only:
                continue
            if dataset is None:
                dataset = load(name, arguments.data)
                dataset = replace(dataset, steps=dataset.steps * arguments.times)
            print(f"{name} {kind.key} radius {dataset.radius:.2f}", flush=True)
            try:
                work = retest if again else run
                work(dataset, kind(len(dataset.patch), dataset.radius), output)
            except Exception:  # noqa: BLE001 - one failure must not cost the other results
                traceback.print_exc()


def main() -> None:
    """Train, measure or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--results", type=Path, help="folder of the result files")
    parser.add_argument("--datasets", nargs="*", help="only these")
    parser.add_argument("--only", nargs="*", help="only these representations, by letter")
    parser.add_argument("--times", type=int, default=1, help="as many steps as usual")
    parser.add_argument(
        "--properties",
        nargs="*",
        help="measure all but accuracy: shapes, ceilings, partial, blocks, cost2d, cost3d; "
        "none named: all",
    )
    parser.add_argument(
        "--retest", action="store_true", help="score kept networks with the true foreground again"
    )
    parser.add_argument("--page", action="store_true", help="write the tables into the page")
    arguments = parser.parse_args()
    if arguments.page:
        from instance_study.page import write_page

        write_page(arguments.results)
        return
    if arguments.results is None:
        parser.error("--results is needed, but for --page")
    arguments.results.mkdir(parents=True, exist_ok=True)
    if arguments.properties is not None:
        from instance_study.properties import measure_all

        kinds = [
            kind for kind in REPRESENTATIONS if not arguments.only or kind.key in arguments.only
        ]
        measure_all(arguments.results, kinds, arguments.data, arguments.properties)
    else:
        train_all(arguments)


if __name__ == "__main__":
    main()
