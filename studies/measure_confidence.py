"""How many of the errors stand first where objects are ordered by confidence; writes a page.

    python studies/measure_confidence.py DATA docs/results/confidence.md

The held-out images of the bundled models; an object is an error where it has no true object with
an IoU of 0.5 or more. What was missed is in no list of objects, and is not counted.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from measure_models import RECIPES, read_fluorescence

import napari_unet as nu
from napari_unet.evaluation.object_survey import survey_objects
from napari_unet.metrics import match_instances
from napari_unet.network.model import Model

FIRST = 0.1  # share of the list that is looked at
MODELS = ("nuclei", "nuclei-histology")


def judge(example: nu.Example, model: Model) -> tuple[list[float], list[bool]]:
    """Confidence of each object, and whether it is an error."""
    prediction = nu.predict(example.image, model, axes=example.axes)
    labels = np.asarray(nu.segment(example.image, model, axes=example.axes))
    truth = np.asarray(example.labels)
    survey = survey_objects(labels, scores=np.asarray(prediction.scores[0], np.float32))
    right = set(match_instances(labels, truth, 0.5).prediction.tolist())
    return survey.confidences.tolist(), [n not in right for n in survey.labels.tolist()]


def make_row(name: str, part: str, judged: list[tuple[list[float], list[bool]]]) -> str:
    """A line of the table: all objects of a part in one list."""
    confidences = np.concatenate([np.array(c, float) for c, _ in judged])
    errors = np.concatenate([np.array(e, bool) for _, e in judged])
    order = np.argsort(confidences, kind="stable")
    first = order[: max(1, round(FIRST * len(order)))]
    found, all_errors = errors[first].sum(), errors.sum()
    share, rate = found / max(all_errors, 1), errors[first].mean()
    return (
        f"| `{name}` | {part} | {len(errors):,} | {all_errors:,} ({errors.mean():.0%}) | "
        f"{share:.0%} | {rate:.0%} |"
    )


def main(data: Path, page: Path) -> None:
    """Judge all parts, and write the page."""
    lines = []
    for name in MODELS:
        model = Model.load(name)
        parts = RECIPES[name].hold_out(data) if name in RECIPES else read_fluorescence(data)
        for part, examples in parts.items():
            lines.append(make_row(name, part, [judge(e, model) for e in examples]))
            print(lines[-1], flush=True)
    page.write_text(
        "# How good the order by confidence is\n\n"
        "Written by `studies/measure_confidence.py`: the objects of held-out images, all images of "
        "a part in one list, the least certain first. An error is an object without a true one of "
        "IoU 0.5 or more. An order that tells nothing would have 10 % of the errors in the first "
        "tenth. What was missed is in no list.\n\n"
        "| model | images | objects | errors | share of the errors in the first tenth | errors "
        "among the first tenth |\n| --- | --- | --- | --- | --- | --- |\n" + "\n".join(lines) + "\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
