"""The scores of an evaluation as columns of a table, and as the curve over overlaps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_unet.evaluation.run import Evaluation
from napari_unet.evaluation.table import POOLED, list_rows

NAMES = {
    "ap": "AP",
    "f1": "F1",
    "aggregated_jaccard": "AJI",
    "seg": "SEG",
    "segmentation_quality": "mean IoU of pairs",
    "recognition_quality": "F1 of pairs",
    "true_objects": "true objects",
    "predicted_objects": "found objects",
    "area_ratio": "area ratio",
    "dice": "Dice",
    "jaccard": "Jaccard",
    "mse": "MSE",
    "mae": "MAE",
    "rmse": "RMSE",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
}
NOT_FIGURES = ("image", "candidate", "bound")
FIRST = ("ap@0.5", "f1@0.5", "precision@0.5", "recall@0.5", "panoptic_quality", "psnr", "ssim")
LAST = ("tp", "fp", "fn")


def list_figures(evaluation: Evaluation) -> dict[str, Any]:
    """Columns of the table of scores.

    Returns
    -------
    dict of str to array
        ``score``, a column for each candidate and, with several images, the bounds of its
        interval; with two candidates their difference likewise.
    """
    rows = [row for row in list_rows(evaluation) if row["image"] == POOLED]
    names = [n for n in dict.fromkeys(k for row in rows for k in row) if n not in NOT_FIGURES]
    names.sort(key=_place)
    columns: dict[str, Any] = {"score": np.array([name_figure(n) for n in names], object)}
    for row in rows:
        bound = {"": "", "low": " from", "high": " to"}[row["bound"]]
        title = f"{row['candidate']}{bound}"
        while title in columns:
            title += " (2)"
        columns[title] = np.array([_number(row.get(name)) for name in names], float)
    return columns


def name_figure(name: str) -> str:
    """A figure in words.

    >>> name_figure("ap@0.5"), name_figure("dice@2"), name_figure("n_true")
    ('AP @ 0.5', 'Dice @ 2', 'n true')
    """
    head, _, tail = name.partition("@")
    said = NAMES.get(head, head.replace("_", " "))
    return f"{said} @ {tail}" if tail else said


def _place(name: str) -> int:
    """What most people look for comes first, counts last; the sort keeps the rest as it is."""
    if name in FIRST:
        return FIRST.index(name)
    return len(FIRST) + (name.partition("@")[0] in LAST)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def curves_of(evaluation: Evaluation) -> dict[str, Mapping[float, float]]:
    """Average precision over IoU of each candidate; of objects only."""
    found = {}
    for name, scores in zip(evaluation.candidates, evaluation.scores, strict=True):
        ap = getattr(scores, "ap", None)
        if isinstance(ap, Mapping):
            found[name] = ap
    return found
