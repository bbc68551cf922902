"""The scores of each task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.metrics.scores import Scores, by_key, fields_of, figures_of, number_text

if TYPE_CHECKING:
    from napari_unet.metrics.tally import InstanceTally, RegressionTally, SemanticTally


@dataclass(frozen=True, kw_only=True)
class InstanceScores(Scores):
    """Scores of instance labels.

    Dicts have the keys `IOU_THRESHOLDS`; a pair counts where its IoU is at least the
    threshold. Where an image holds no object and none was predicted, each score is 1; a
    score that is 0 / 0 for another reason (precision where nothing was predicted) is 0.

    Attributes
    ----------
    tp, fp, fn : dict of float -> int
        True positives (matched pairs), false positives, false negatives in all images.
    ap, ap_mean : dict of float -> float
        Average precision as in the Data Science Bowl 2018, TP / (TP + FP + FN).
    precision, precision_mean : dict of float -> float
        TP / (TP + FP).
    recall, recall_mean : dict of float -> float
        TP / (TP + FN).
    f1, f1_mean : dict of float -> float
        2 TP / (2 TP + FP + FN).
    segmentation_quality, segmentation_quality_mean : float
        Mean IoU of the pairs matched at IoU 0.5.
    recognition_quality, recognition_quality_mean : float
        F1 at IoU 0.5.
    panoptic_quality, panoptic_quality_mean : float
        Sum of the IoU of the pairs over TP + FP / 2 + FN / 2, at IoU 0.5: the product of
        the two qualities above. A pair at exactly 0.5 counts here.
    aggregated_jaccard, aggregated_jaccard_mean : float
        AJI: pixels shared with the best predicted object of each true one, over those of their
        unions and of the predicted objects that are nobody's best (Kumar et al. 2017).
    seg, seg_mean : float
        SEG of the Cell Tracking Challenge: mean over the true objects of the IoU with the
        predicted object that covers more than half of them, 0 without one. Objects too many do
        not lower it.
    true_objects, predicted_objects : int
        Objects that count, in all images.
    dice, dice_mean, jaccard, jaccard_mean : float
        Overlap of the foregrounds, whichever object a pixel belongs to.
    area_ratio, area_ratio_mean : float or None
        Pixels of the predicted over those of the true object, median of the pairs matched at
        IoU 0.5: above 1 the objects come out too large. None where nothing was matched.
    """

    tp: dict[float, int]
    fp: dict[float, int]
    fn: dict[float, int]
    ap: dict[float, float]
    ap_mean: dict[float, float]
    precision: dict[float, float]
    precision_mean: dict[float, float]
    recall: dict[float, float]
    recall_mean: dict[float, float]
    f1: dict[float, float]
    f1_mean: dict[float, float]
    segmentation_quality: float
    segmentation_quality_mean: float
    recognition_quality: float
    recognition_quality_mean: float
    panoptic_quality: float
    panoptic_quality_mean: float
    aggregated_jaccard: float
    aggregated_jaccard_mean: float
    seg: float
    seg_mean: float
    true_objects: int
    predicted_objects: int
    dice: float
    dice_mean: float
    jaccard: float
    jaccard_mean: float
    area_ratio: float | None
    area_ratio_mean: float | None

    @classmethod
    def of(cls, tally: InstanceTally) -> InstanceScores:
        """Scores of the images of a tally."""
        pooled = tally.pooled()
        matched = np.concatenate([np.empty(0), *tally.areas])
        medians = [float(np.median(each)) for each in tally.areas if each.size]
        whole: dict[str, Any] = {
            name: {t: int(n) for t, n in by_key(tally, getattr(pooled, name)).items()}
            for name in ("tp", "fp", "fn")
        }
        figures = figures_of(tally)
        return cls(
            task="instance",
            images=len(tally),
            **whole,
            true_objects=int(pooled.tp[0, 0] + pooled.fn[0, 0]),
            predicted_objects=int(pooled.tp[0, 0] + pooled.fp[0, 0]),
            area_ratio=float(np.median(matched)) if matched.size else None,
            area_ratio_mean=float(np.mean(medians)) if medians else None,
            **fields_of(cls, figures),
        )._of_tally(tally)

    def __str__(self) -> str:
        lines = [self._heading()]
        lines += (self._line(iou) for iou in (0.5, 0.75, 0.9))
        panoptic = self._figure(self.panoptic_quality, self.panoptic_quality_mean)
        segmentation = self._figure(self.segmentation_quality, self.segmentation_quality_mean)
        recognition = self._figure(self.recognition_quality, self.recognition_quality_mean)
        lines.append(f"  panoptic quality {panoptic}, SQ {segmentation}, RQ {recognition}")
        aggregated = self._figure(self.aggregated_jaccard, self.aggregated_jaccard_mean)
        seg = self._figure(self.seg, self.seg_mean)
        lines.append(
            f"  aggregated Jaccard {aggregated}, SEG {seg}, objects {self.predicted_objects} "
            f"(true {self.true_objects})"
        )
        lines.append(
            f"  foreground: Dice {self._figure(self.dice, self.dice_mean)}"
            f"  Jaccard {self._figure(self.jaccard, self.jaccard_mean)}"
        )
        if self.area_ratio is not None and self.area_ratio_mean is not None:
            areas = self._figure(self.area_ratio, self.area_ratio_mean)
            lines.append(f"  area of matched objects over the true one: {areas}")
        return "\n".join(lines)

    def _line(self, iou: float) -> str:
        return (
            f"  IoU {iou:.2f}: AP {self._figure(self.ap[iou], self.ap_mean[iou])}"
            f"  precision {self._figure(self.precision[iou], self.precision_mean[iou])}"
            f"  recall {self._figure(self.recall[iou], self.recall_mean[iou])}"
            f"  F1 {self._figure(self.f1[iou], self.f1_mean[iou])}"
            f"  TP {self.tp[iou]} FP {self.fp[iou]} FN {self.fn[iou]}"
        )


@dataclass(frozen=True, kw_only=True)
class SemanticScores(Scores):
    """Scores of class labels.

    The classes are all labels that occur in any prediction or truth, 0 among them. A
    class that an image neither holds nor predicts scores 1 there.

    Attributes
    ----------
    dice, dice_mean, jaccard, jaccard_mean : dict of int -> float
        Per class label, ascending.
    macro_dice, macro_dice_mean, macro_jaccard, macro_jaccard_mean : float
        Unweighted mean over the classes except 0, the background; 1 without such a class.
    accuracy, accuracy_mean : float
        Share of the pixels, background included, whose class is right.
    """

    dice: dict[int, float]
    dice_mean: dict[int, float]
    jaccard: dict[int, float]
    jaccard_mean: dict[int, float]
    macro_dice: float
    macro_dice_mean: float
    macro_jaccard: float
    macro_jaccard_mean: float
    accuracy: float
    accuracy_mean: float

    @classmethod
    def of(cls, tally: SemanticTally) -> SemanticScores:
        """Scores of the images of a tally."""
        figures = fields_of(cls, figures_of(tally))
        return cls(task="semantic", images=len(tally), **figures)._of_tally(tally)

    def __str__(self) -> str:
        lines = [self._heading()]
        lines += (
            f"  class {label}: Dice {self._figure(self.dice[label], self.dice_mean[label])}"
            f"  Jaccard {self._figure(self.jaccard[label], self.jaccard_mean[label])}"
            for label in self.dice
        )
        lines.append(
            "  mean of the classes above 0:"
            f" Dice {self._figure(self.macro_dice, self.macro_dice_mean)}"
            f"  Jaccard {self._figure(self.macro_jaccard, self.macro_jaccard_mean)}"
        )
        lines.append(f"  pixel accuracy {self._figure(self.accuracy, self.accuracy_mean)}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class RegressionScores(Scores):
    """Errors of predicted values.

    Attributes
    ----------
    mse, mse_mean : float
        Mean squared error, in squared units of the truth.
    mae, mae_mean : float
        Mean absolute error, in units of the truth.
    rmse, rmse_mean : float
        Root of the mean squared error, in units of the truth.
    psnr, psnr_mean : float or None
        Peak signal-to-noise ratio in dB, ``10 log10(range**2 / mse)``, with the range of
        the truth (pooled: of all truths). Infinite for equal images, None where it has no
        value (a constant truth met with an error); the mean is over the images that have
        one.
    ssim : float or None
        Structural similarity with a uniform 7-pixel window, mean over the images that
        have one; None where none has (an axis shorter than the window).
    """

    mse: float
    mse_mean: float
    mae: float
    mae_mean: float
    rmse: float
    rmse_mean: float
    psnr: float | None
    psnr_mean: float | None
    ssim: float | None

    @classmethod
    def of(cls, tally: RegressionTally) -> RegressionScores:
        """Scores of the images of a tally."""
        figures = fields_of(cls, figures_of(tally))
        return cls(task="regression", images=len(tally), **figures)._of_tally(tally)

    def __str__(self) -> str:
        return (
            f"{self._heading()}\n"
            f"  MSE {self._figure(self.mse, self.mse_mean)}"
            f"  RMSE {self._figure(self.rmse, self.rmse_mean)}"
            f"  MAE {self._figure(self.mae, self.mae_mean)}\n"
            f"  PSNR {self._figure(self.psnr, self.psnr_mean)} dB  SSIM {number_text(self.ssim)}"
        )
