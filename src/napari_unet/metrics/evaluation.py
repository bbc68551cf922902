"""`evaluate`: predictions against truths, as `Scores`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from napari_unet.errors import InputError, SettingsError
from napari_unet.metrics import overlap, regression
from napari_unet.metrics.labels import check_labels
from napari_unet.metrics.matching import ObjectOverlap
from napari_unet.metrics.overlap import RegionCounts, class_counts
from napari_unet.metrics.pairs import Ignore, Images, Pair, pair_images
from napari_unet.metrics.scores import (
    IOU_THRESHOLDS,
    InstanceScores,
    RegressionScores,
    Scores,
    SemanticScores,
    Task,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


@overload
def evaluate(
    prediction: Images, truth: Images, *, task: Literal["instance"] = ..., ignore: Ignore = ...
) -> InstanceScores: ...
@overload
def evaluate(
    prediction: Images, truth: Images, *, task: Literal["semantic"], ignore: Ignore = ...
) -> SemanticScores: ...
@overload
def evaluate(
    prediction: Images, truth: Images, *, task: Literal["regression"], ignore: Ignore = ...
) -> RegressionScores: ...
@overload
def evaluate(prediction: Images, truth: Images, *, task: Task, ignore: Ignore = ...) -> Scores: ...
def evaluate(
    prediction: Images, truth: Images, *, task: Task = "instance", ignore: Ignore = None
) -> Scores:
    """Score predictions against the truth.

    Parameters
    ----------
    prediction, truth : array, or list of arrays
        One image each, or several: two lists of equal length. Each prediction has the
        shape of its truth; any number of axes in any order, since no score depends on
        them. Instance and semantic labels are integers >= 0 (semantic: also boolean
        masks), regression values any real numbers.
    task : {"instance", "semantic", "regression"}
        What the arrays hold: object labels (0 is background), class labels, or values.
    ignore : array of bool, list of them, int, or None
        Pixels that do not count: a boolean mask of the image's shape, True where a pixel
        is left out; for several images a list with one mask (or None) each. For semantic
        labels also an int: the label of the truth whose pixels are left out.

        Semantic and regression: these pixels enter no figure and may hold anything; no
        SSIM window that holds one of them counts. Instance: they become 0 in both
        arrays, and an object, predicted or true, that has more than half of its pixels
        there is neither a true positive nor a false positive nor a false negative. What
        remains of any other object is matched as it is. The Dice and Jaccard of the
        foreground take all pixels outside the mask.

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
    R. Girshick, C. Rother and P. Dollár, "Panoptic segmentation", CVPR 2019.

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
    if isinstance(ignore, int | np.integer) and (isinstance(ignore, bool) or task != "semantic"):
        raise InputError(
            f"ignore is {ignore!r}, but for {task} scores it must be a boolean mask of the "
            "image's shape" + (" or a label." if task == "semantic" else ".")
        )
    pairs = pair_images(prediction, truth, ignore)
    if task == "instance":
        return _instance_scores(pairs)
    if task == "semantic":
        return _semantic_scores(pairs)
    return _regression_scores(pairs)


@dataclass(frozen=True)
class _ObjectCounts:
    """Matched and unmatched objects at one IoU threshold, of one image or pooled."""

    tp: int
    fp: int
    fn: int
    iou: float
    """Sum of the IoU of the pairs."""

    @classmethod
    def pooled(cls, counts: Iterable[_ObjectCounts]) -> _ObjectCounts:
        every = list(counts)
        return cls(
            sum(c.tp for c in every),
            sum(c.fp for c in every),
            sum(c.fn for c in every),
            sum(c.iou for c in every),
        )

    def _ratio(self, part: float, whole: float) -> float:
        if self.tp + self.fp + self.fn == 0:
            return 1.0
        return part / whole if whole else 0.0

    @property
    def ap(self) -> float:
        return self._ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def precision(self) -> float:
        return self._ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        return self._ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        return self._ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def segmentation_quality(self) -> float:
        return self._ratio(self.iou, self.tp)

    @property
    def panoptic_quality(self) -> float:
        return self._ratio(self.iou, self.tp + self.fp / 2 + self.fn / 2)


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _instance_scores(pairs: list[Pair]) -> InstanceScores:
    by_image: list[dict[float, _ObjectCounts]] = []
    areas: list[NDArray[np.float64]] = []
    foreground: list[RegionCounts] = []
    for pair in pairs:
        objects = ObjectOverlap.of(pair)
        counts = {}
        for threshold in IOU_THRESHOLDS:
            match = objects.match(threshold)
            counts[threshold] = _ObjectCounts(match.tp, match.fp, match.fn, float(match.iou.sum()))
            if threshold == 0.5:
                areas.append(match.area_ratio)
        by_image.append(counts)
        predicted, true = pair.counted()
        foreground.append(RegionCounts.of(predicted > 0, true > 0))

    pooled = {t: _ObjectCounts.pooled(counts[t] for counts in by_image) for t in IOU_THRESHOLDS}
    half = [counts[0.5] for counts in by_image]
    pooled_foreground = overlap.pool(foreground)
    matched = np.concatenate(areas)
    return InstanceScores(
        task="instance",
        images=len(pairs),
        tp={t: pooled[t].tp for t in IOU_THRESHOLDS},
        fp={t: pooled[t].fp for t in IOU_THRESHOLDS},
        fn={t: pooled[t].fn for t in IOU_THRESHOLDS},
        ap={t: pooled[t].ap for t in IOU_THRESHOLDS},
        ap_mean={t: _mean(c[t].ap for c in by_image) for t in IOU_THRESHOLDS},
        precision={t: pooled[t].precision for t in IOU_THRESHOLDS},
        precision_mean={t: _mean(c[t].precision for c in by_image) for t in IOU_THRESHOLDS},
        recall={t: pooled[t].recall for t in IOU_THRESHOLDS},
        recall_mean={t: _mean(c[t].recall for c in by_image) for t in IOU_THRESHOLDS},
        f1={t: pooled[t].f1 for t in IOU_THRESHOLDS},
        f1_mean={t: _mean(c[t].f1 for c in by_image) for t in IOU_THRESHOLDS},
        segmentation_quality=pooled[0.5].segmentation_quality,
        segmentation_quality_mean=_mean(c.segmentation_quality for c in half),
        recognition_quality=pooled[0.5].f1,
        recognition_quality_mean=_mean(c.f1 for c in half),
        panoptic_quality=pooled[0.5].panoptic_quality,
        panoptic_quality_mean=_mean(c.panoptic_quality for c in half),
        dice=pooled_foreground.dice,
        dice_mean=_mean(c.dice for c in foreground),
        jaccard=pooled_foreground.jaccard,
        jaccard_mean=_mean(c.jaccard for c in foreground),
        area_ratio=float(np.median(matched)) if matched.size else None,
        area_ratio_mean=_mean(np.median(a) for a in areas if a.size) if matched.size else None,
    )


def _semantic_scores(pairs: list[Pair]) -> SemanticScores:
    by_image: list[dict[int, RegionCounts]] = []
    right: list[int] = []
    pixels: list[int] = []
    for pair in pairs:
        predicted, true = pair.counted()
        check_labels(predicted, f"prediction of {pair.name}", mask_allowed=True)
        check_labels(true, f"truth of {pair.name}", mask_allowed=True)
        counts = class_counts(predicted, true)
        by_image.append(counts)
        right.append(sum(c.both for c in counts.values()))
        pixels.append(true.size)

    labels = sorted({label for counts in by_image for label in counts})
    classes = [label for label in labels if label != 0]
    absent = RegionCounts()
    pooled = {k: overlap.pool(counts.get(k, absent) for counts in by_image) for k in labels}
    dice = {k: pooled[k].dice for k in labels}
    jaccard = {k: pooled[k].jaccard for k in labels}
    dice_mean = {k: _mean(c.get(k, absent).dice for c in by_image) for k in labels}
    jaccard_mean = {k: _mean(c.get(k, absent).jaccard for c in by_image) for k in labels}

    def macro(per_class: dict[int, float]) -> float:
        return _mean(per_class[k] for k in classes) if classes else 1.0

    return SemanticScores(
        task="semantic",
        images=len(pairs),
        dice=dice,
        dice_mean=dice_mean,
        jaccard=jaccard,
        jaccard_mean=jaccard_mean,
        macro_dice=macro(dice),
        macro_dice_mean=macro(dice_mean),
        macro_jaccard=macro(jaccard),
        macro_jaccard_mean=macro(jaccard_mean),
        accuracy=sum(right) / sum(pixels) if sum(pixels) else 1.0,
        accuracy_mean=_mean(r / n if n else 1.0 for r, n in zip(right, pixels, strict=True)),
    )


def _regression_scores(pairs: list[Pair]) -> RegressionScores:
    by_image = [regression.error_sums(pair) for pair in pairs]
    pooled = regression.pool(by_image)
    psnr = [sums.psnr for sums in by_image if sums.psnr is not None]
    ssim = [value for pair in pairs if (value := regression.ssim(pair)) is not None]
    return RegressionScores(
        task="regression",
        images=len(pairs),
        mse=pooled.mse,
        mse_mean=_mean(sums.mse for sums in by_image),
        mae=pooled.mae,
        mae_mean=_mean(sums.mae for sums in by_image),
        rmse=pooled.rmse,
        rmse_mean=_mean(sums.rmse for sums in by_image),
        psnr=pooled.psnr,
        psnr_mean=_mean(psnr) if psnr else None,
        ssim=_mean(ssim) if ssim else None,
    )
