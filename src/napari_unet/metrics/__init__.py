"""Scores of a prediction against the truth: overlap, instance matching, regression error.

`evaluate` scores whole images, one or several; the building blocks (`dice`, `jaccard`,
`match_instances`) score one thing each. Scores of several images come twice: *pooled*
(the counts of all images are summed first) and, under names that end in ``_mean``, as
the mean over images. Where there is nothing to find and nothing was found, every overlap
score is 1.

Own code, since stardist's `matching` compares all objects with all in one dense table (0.8 GB for
10,000 objects a side) and, like scikit-image's metrics, ignores no pixels and pools no images.
"""

from __future__ import annotations

from napari_unet.metrics.evaluation import evaluate
from napari_unet.metrics.matching import InstanceMatch, match_instances
from napari_unet.metrics.overlap import dice, jaccard
from napari_unet.metrics.scores import Scores, Task
from napari_unet.metrics.tally import IOU_THRESHOLDS
from napari_unet.metrics.task_scores import InstanceScores, RegressionScores, SemanticScores

__all__ = [
    "IOU_THRESHOLDS",
    "InstanceMatch",
    "InstanceScores",
    "RegressionScores",
    "Scores",
    "SemanticScores",
    "Task",
    "dice",
    "evaluate",
    "jaccard",
    "match_instances",
]
