"""`evaluate`: predictions against truths, as `Scores`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from napari_unet.errors import InputError, SettingsError
from napari_unet.metrics import regression
from napari_unet.metrics.labels import check_labels
from napari_unet.metrics.matching import ObjectOverlap
from napari_unet.metrics.object_quality import aggregate_pixels, sum_seg
from napari_unet.metrics.overlap import RegionCounts, class_counts
from napari_unet.metrics.pairs import Ignore, Images, Pair, pair_images
from napari_unet.metrics.scores import Scores, Task
from napari_unet.metrics.tally import (
    HALF,
    IOU_THRESHOLDS,
    InstanceTally,
    RegressionTally,
    SemanticTally,
)
from napari_unet.metrics.task_scores import InstanceScores, RegressionScores, SemanticScores

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@overload
def evaluate(
    prediction: Images,
    truth: Images,
    *,
    task: Literal["instance"] = ...,
    ignore: Ignore = ...,
    axes: str | None = ...,
) -> InstanceScores: ...
@overload
def evaluate(
    prediction: Images,
    truth: Images,
    *,
    task: Literal["semantic"],
    ignore: Ignore = ...,
    axes: str | None = ...,
) -> SemanticScores: ...
@overload
def evaluate(
    prediction: Images,
    truth: Images,
    *,
    task: Literal["regression"],
    ignore: Ignore = ...,
    axes: str | None = ...,
) -> RegressionScores: ...
@overload
def evaluate(
    prediction: Images,
    truth: Images,
    *,
    task: Task,
    ignore: Ignore = ...,
    axes: str | None = ...,
) -> Scores: ...
def evaluate(
    prediction: Images,
    truth: Images,
    *,
    task: Task = "instance",
    ignore: Ignore = None,
    axes: str | None = None,
) -> Scores:
    """Score predictions against the truth.

    Parameters
    ----------
    prediction, truth : array, or list of arrays
        One image each, or several: two lists of equal length. Each prediction has the
        shape of its truth; any number of axes in any order. Instance and semantic labels
        are integers >= 0 (semantic: also boolean masks), regression values any real numbers.
    task : {"instance", "semantic", "regression"}
        What the arrays hold: object labels (0 is background), class labels, or values.
    ignore : array of bool, list of them, int, or None
        Pixels that do not count: a boolean mask of the image's shape, True where a pixel
        is left out; for several images a list with one mask (or None) each. For labels also
        an int: the label of the truth whose pixels are left out.

        Semantic and regression: these pixels enter no figure and may hold anything; no
        SSIM window that holds one of them counts. Instance: they become 0 in both
        arrays, and an object, predicted or true, that has more than half of its pixels
        there is neither a true positive nor a false positive nor a false negative. What
        remains of any other object is matched as it is. The Dice and Jaccard of the
        foreground take all pixels outside the mask.
    axes : str, optional
        Of every array, a letter over TCZYX an axis. Needed where there is time, T: objects are
        matched at each time point by itself, whether labels are numbered anew there or linked,
        and no SSIM window reaches over time. Without it an array is one image or volume, in
        which a label is one object.

    Returns
    -------
    InstanceScores, SemanticScores or RegressionScores
        By `task`; all are `Scores`.

    Raises
    ------
    InputError
        For unequal shapes or list lengths, a list beside an array, no image or an empty
        one, labels that are not whole numbers or negative, boolean instance labels,
        values that are not finite, an unfit `ignore`, or a regression image of which
        every pixel is ignored.
    SettingsError
        For an unknown task.

    References
    ----------
    AP: J. C. Caicedo et al., "Nucleus segmentation across imaging experiments: the 2018
    Data Science Bowl", Nature Methods 16, 2019. Panoptic quality: A. Kirillov, K. He,
    R. Girshick, C. Rother and P. Dollár, "Panoptic segmentation", CVPR 2019. Aggregated
    Jaccard: N. Kumar et al., IEEE Transactions on Medical Imaging 36, 2017. SEG: M. Maška et
    al., Bioinformatics 30, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.array([[1, 1, 0, 2], [1, 1, 0, 2]])
    >>> prediction = np.array([[5, 5, 0, 0], [5, 5, 0, 0]])
    >>> scores = evaluate(prediction, truth)
    >>> scores.ap[0.5], scores.precision[0.5], scores.recall[0.5]
    (0.5, 1.0, 0.5)
    >>> evaluate(prediction > 0, truth > 0, task="semantic").dice[1]
    0.8
    """
    if task not in ("instance", "semantic", "regression"):
        raise SettingsError(
            f"The task {task!r} is unknown", "choose 'instance', 'semantic' or 'regression'"
        )
    if isinstance(ignore, int | np.integer) and (isinstance(ignore, bool) or task == "regression"):
        raise InputError(
            f"ignore is {ignore!r}, but for {task} scores it must be a boolean mask of the "
            "image's shape" + ("." if task == "regression" else " or a label."),
        )
    return score_pairs(pair_images(prediction, truth, ignore, axes), task)


def score_pairs(pairs: Iterable[Pair], task: Task) -> Scores:
    """Score images one after the other, so that not all need be in memory at a time."""
    if task == "instance":
        return InstanceScores.of(InstanceTally.joined([_count_objects(pair) for pair in pairs]))
    if task == "semantic":
        return SemanticScores.of(SemanticTally.of([_count_classes(pair) for pair in pairs]))
    errors = [(regression.error_sums(pair), regression.ssim(pair)) for pair in pairs]
    return RegressionScores.of(RegressionTally.of(errors))


def pool_scores(scores: Sequence[Scores]) -> Scores:
    """Scores of all images of several scores of one task, in this order."""
    tallies = [each.tally for each in scores]
    return scores[0].of(type(tallies[0]).joined(tallies))


def _count_objects(pair: Pair) -> InstanceTally:
    parts, areas = [], [np.empty(0)]
    for frame in pair.frames():
        objects = ObjectOverlap.of(frame)
        matches = [objects.match(threshold) for threshold in IOU_THRESHOLDS]
        areas.append(matches[HALF].area_ratio)
        predicted, true = frame.counted()
        foreground = RegionCounts.of(predicted > 0, true > 0)
        single = (
            foreground.both,
            foreground.predicted,
            foreground.true,
            *aggregate_pixels(objects),
            sum_seg(objects),
        )
        columns = [
            np.array([[getattr(m, name) for m in matches]], float) for name in ("tp", "fp", "fn")
        ]
        columns.append(np.array([[m.iou.sum() for m in matches]], float))
        columns += [np.array([value], float) for value in single]
        parts.append(InstanceTally(*columns))
    return replace(InstanceTally.joined(parts).pooled(), areas=(np.concatenate(areas),))


def _count_classes(pair: Pair) -> dict[int, RegionCounts]:
    predicted, true = pair.counted()
    check_labels(predicted, f"prediction of {pair.name}", mask_allowed=True)
    check_labels(true, f"truth of {pair.name}", mask_allowed=True)
    return class_counts(predicted, true)
