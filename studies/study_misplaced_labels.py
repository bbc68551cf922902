"""How often right labels are doubted, and flipped or shifted ones are found.

Pairs of images and labels of a folder are checked as they are, and with labels that were flipped
or moved (whole, what leaves the image enters on the other side). Writes a table.

    python studies/study_misplaced_labels.py DATA docs/results/misplaced_labels.md

DATA holds a folder for each set, with ``images/`` and ``labels/`` of the same file names.
"""

from __future__ import annotations

import argparse
import math
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.checks.misplacement import CLEAR, MARGIN, find_best_place
from napari_unet.dataset.example import Example
from napari_unet.dataset.label_statistics import collect_statistics
from napari_unet.dataset.labelled_image import open_example
from napari_unet.io import read_image

SHIFTS_PIXELS = (5, 8, 12, 25)
WRONG = 12  # pairs of a set, spread over it, whose labels are misplaced as well
SETS = (
    "dsb2018-nuclei",
    "dsb2018-stage1test-nuclei",
    "bbbc039-u2os-nuclei",
    "usiigaci-phase-t98g",
    "tnbc-hne-nuclei",
    "qpi-pc3-pnt1a-cells",
    "c2c12-phase-crop",
    "bbbc050-mouse-embryo-3d",
    "bbbc050-mouse-embryo-3d-more",
    "plantseg-ovule-cells-3d",
    "gonuclear-ovule-nuclei-3d",
    "stardist-tiny-3d",
    "flyem-fibsem-neurons-3d",
    "isbi2012-em-membranes",
    "vnc-sstem-multiclass",
)


def misplace(labels: Any, seed: int) -> Iterator[tuple[str, Any]]:
    """Labels in wrong places, with what was done."""
    yield "flipped Y", labels[..., ::-1, :]
    yield "flipped X", labels[..., ::-1]
    yield "turned 180°", labels[..., ::-1, ::-1]
    random = np.random.default_rng(seed)
    for length in SHIFTS_PIXELS:
        angle = random.uniform(0, 2 * math.pi)
        shift = round(length * math.sin(angle)), round(length * math.cos(angle))
        yield f"moved {length}", np.roll(labels, shift, (-2, -1))


def is_doubted(image: Any, labels: Any, axes: str | None) -> bool:
    """Whether the check doubts a pair."""
    example = open_example(
        Example(image, labels, axes=axes), ndim=2, in_channels=None, task="semantic"
    )
    found = find_best_place(example, collect_statistics(example, "instance", 2))
    return found is not None and found.is_doubtful


def main() -> None:
    """Check all pairs and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    kinds = ["flipped Y", "flipped X", "turned 180°", *(f"moved {n}" for n in SHIFTS_PIXELS)]
    totals: dict[str, list[int]] = {}
    lines, seconds, checked = [], 0.0, 0
    for name in SETS:
        counts: dict[str, list[int]] = {kind: [0, 0] for kind in ("right", *kinds)}
        paths = sorted((options.data / name / "images").iterdir())
        wrong = {
            paths[i] for i in np.linspace(0, len(paths) - 1, min(WRONG, len(paths))).astype(int)
        }
        for path in paths:
            file = read_image(path)
            labels = np.asarray(read_image(options.data / name / "labels" / path.name).array)
            axes = file.axes or ("ZYX" if labels.ndim == file.array.ndim == 3 else None)
            cases = [("right", labels)]
            if path in wrong:
                cases += misplace(labels, zlib.crc32(path.name.encode()))
            for kind, each in cases:
                begun = time.process_time()
                counts[kind][0] += is_doubted(file.array, each, axes)
                seconds, checked = seconds + time.process_time() - begun, checked + 1
                counts[kind][1] += 1
        for kind, (doubted, all_) in counts.items():
            before = totals.setdefault(kind, [0, 0])
            totals[kind] = [before[0] + doubted, before[1] + all_]
        lines.append(_row(name, counts))
        print(lines[-1], flush=True)
    lines.append(_row("**all**", totals))
    head = ["set", "right, doubted", *kinds]
    about = (
        "Doubted labels of real pairs, by `studies/study_misplaced_labels.py`: as they are (none "
        "should be), and after their labels were flipped or moved by so many pixels in any "
        f"direction. A doubt needs a place {CLEAR:g} deviations better than chance, of which the "
        f"labels' own does not reach {MARGIN:.0%}. {seconds / checked:.2f} s of one core a pair, "
        "statistics of the labels included."
    )
    text = [
        "# Labels in wrong places",
        "",
        about,
        "",
        f"| {' | '.join(head)} |",
        f"| {' | '.join(['---'] * len(head))} |",
        *lines,
        "",
    ]
    options.output.write_text("\n".join(text), encoding="utf-8")


def _row(name: str, counts: dict[str, list[int]]) -> str:
    return f"| {name} | {' | '.join(f'{a} of {b}' for a, b in counts.values())} |"


if __name__ == "__main__":
    main()
