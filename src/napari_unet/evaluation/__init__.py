"""Predictions beside their truth, their errors one by one, and what to look at without a truth."""

from __future__ import annotations

from napari_unet.evaluation.atlas import Atlas, find_errors
from napari_unet.evaluation.comparison import compare_scores
from napari_unet.evaluation.files import evaluate_files, iter_evaluate_files
from napari_unet.evaluation.run import EvaluatedImage, Evaluation, iter_evaluate

__all__ = [
    "Atlas",
    "EvaluatedImage",
    "Evaluation",
    "compare_scores",
    "evaluate_files",
    "find_errors",
    "iter_evaluate",
    "iter_evaluate_files",
]
