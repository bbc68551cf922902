"""What is counted in images, a row per image: every score follows from sums of rows.

A row may be an image, several that are pooled, or a resample of them: the formulas are the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_unet.metrics.overlap import RegionCounts
from napari_unet.metrics.regression import ErrorSums

Floats = NDArray[np.float64]

IOU_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""The IoU thresholds of instance scores."""

HALF = IOU_THRESHOLDS.index(0.5)


def ratio(part: Floats, whole: Floats, empty: Floats | NDArray[np.bool_]) -> Floats:
    """`part` over `whole`: 1 where nothing was there and nothing found, else 0 where `whole` is."""
    divided = np.divide(part, whole, out=np.zeros(np.shape(part)), where=whole > 0)
    return np.where(empty, 1.0, divided)


class Tally(ABC):
    """Counts of images, a row each."""

    @property
    @abstractmethod
    def keys(self) -> tuple[Any, ...]:
        """What the last axis of figures with two axes stands for: IoU thresholds, or classes."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of rows."""

    @abstractmethod
    def weighted(self, weights: Floats) -> Tally:
        """Sums of rows.

        Parameters
        ----------
        weights : ndarray of float64, shape (rows, images)
            How often each image is in each of the new rows.
        """

    @classmethod
    @abstractmethod
    def joined(cls, parts: Sequence[Any]) -> Tally:
        """The rows of all parts."""

    @abstractmethod
    def row(self, number: int) -> Tally:
        """One of the rows."""

    @abstractmethod
    def figures(self) -> dict[str, Floats]:
        """Every score of each row: shape (rows,), or (rows, keys)."""

    def with_keys(self, keys: Sequence[Any]) -> Tally:
        """The same counts, with classes that only another tally has: they have no pixels here."""
        del keys
        return self

    def pooled(self) -> Self:
        """One row, with all images."""
        sums: Any = self.weighted(np.ones((1, len(self))))
        found: Self = sums
        return found


@dataclass(frozen=True, eq=False)
class InstanceTally(Tally):
    """Counts of objects.

    Attributes
    ----------
    tp, fp, fn, iou : ndarray of float64, shape (rows, thresholds)
        Matched pairs, predicted and true objects without a partner, sum of the IoU of the pairs.
    both, predicted, true : ndarray of float64, shape (rows,)
        Pixels of the foregrounds.
    shared, union : ndarray of float64, shape (rows,)
        Pixels of the aggregated Jaccard index.
    seg : ndarray of float64, shape (rows,)
        Sum of SEG over the true objects.
    areas : tuple of ndarray of float64
        Per image, predicted over true pixels of each of the pairs matched at IoU 0.5; empty in
        sums of rows, which medians do not follow from.
    """

    tp: Floats
    fp: Floats
    fn: Floats
    iou: Floats
    both: Floats
    predicted: Floats
    true: Floats
    shared: Floats
    union: Floats
    seg: Floats
    areas: tuple[Floats, ...] = field(default=(), kw_only=True)

    @property
    def keys(self) -> tuple[float, ...]:
        """The IoU thresholds."""
        return IOU_THRESHOLDS

    def __len__(self) -> int:
        return len(self.seg)

    def weighted(self, weights: Floats) -> InstanceTally:
        """Sums of rows; see `Tally`."""
        return InstanceTally(*(weights @ each for each in self._sums()))

    def row(self, number: int) -> InstanceTally:
        """One of the rows."""
        part = slice(number, number + 1)
        return InstanceTally(*(each[part] for each in self._sums()), areas=self.areas[part])

    def _sums(self) -> list[Floats]:
        return [getattr(self, each.name) for each in fields(self) if each.name != "areas"]

    @classmethod
    def joined(cls, parts: Sequence[InstanceTally]) -> InstanceTally:
        """The rows of all parts."""
        sums = zip(*(part._sums() for part in parts), strict=True)
        areas = tuple(each for part in parts for each in part.areas)
        return cls(*map(np.concatenate, sums), areas=areas)

    def figures(self) -> dict[str, Floats]:
        """Every score of each row; see `InstanceScores`."""
        tp, fp, fn = self.tp, self.fp, self.fn
        nothing = tp + fp + fn == 0
        quality = ratio(self.iou, tp, nothing)[:, HALF]
        f1 = ratio(2 * tp, 2 * tp + fp + fn, nothing)
        panoptic = ratio(self.iou, tp + fp / 2 + fn / 2, nothing)[:, HALF]
        total, union = self.predicted + self.true, self.predicted + self.true - self.both
        return {
            "ap": ratio(tp, tp + fp + fn, nothing),
            "precision": ratio(tp, tp + fp, nothing),
            "recall": ratio(tp, tp + fn, nothing),
            "f1": f1,
            "segmentation_quality": quality,
            "recognition_quality": f1[:, HALF],
            "panoptic_quality": panoptic,
            "aggregated_jaccard": ratio(self.shared, self.union, self.union == 0),
            "seg": ratio(self.seg, (tp + fn)[:, HALF], nothing[:, HALF]),
            "dice": ratio(2 * self.both, total, total == 0),
            "jaccard": ratio(self.both, union, union == 0),
        }


@dataclass(frozen=True, eq=False)
class SemanticTally(Tally):
    """Counts of pixels of classes.

    Attributes
    ----------
    labels : tuple of int
        The classes, ascending.
    both, predicted, true : ndarray of float64, shape (rows, classes)
        Pixels of each class: in both arrays, in the prediction, in the truth.
    right, pixels : ndarray of float64, shape (rows,)
        Pixels whose class is right, and all that count.
    """

    labels: tuple[int, ...]
    both: Floats
    predicted: Floats
    true: Floats
    right: Floats
    pixels: Floats

    @property
    def keys(self) -> tuple[int, ...]:
        """The classes."""
        return self.labels

    def __len__(self) -> int:
        return len(self.pixels)

    @classmethod
    def of(cls, images: Sequence[dict[int, RegionCounts]]) -> SemanticTally:
        """A row per image, of the counts of the classes in it; classes of any image are in all."""
        labels = tuple(sorted({label for counts in images for label in counts}))
        none = RegionCounts()
        table = [[counts.get(label, none) for label in labels] for counts in images]
        shape = (len(images), len(labels))
        both, predicted, true = (
            np.array([[getattr(c, name) for c in row] for row in table], float).reshape(shape)
            for name in ("both", "predicted", "true")
        )
        return cls(labels, both, predicted, true, both.sum(1), true.sum(1))

    def weighted(self, weights: Floats) -> SemanticTally:
        """Sums of rows; see `Tally`."""
        return SemanticTally(self.labels, *(weights @ each for each in self._sums()))

    def row(self, number: int) -> SemanticTally:
        """One of the rows, with the classes of all."""
        return SemanticTally(self.labels, *(each[number : number + 1] for each in self._sums()))

    @classmethod
    def joined(cls, parts: Sequence[SemanticTally]) -> SemanticTally:
        """The rows of all parts; a class that a part has not has no pixels there."""
        labels = sorted({label for part in parts for label in part.labels})
        wide = [part.with_keys(labels)._sums() for part in parts]
        return cls(tuple(labels), *map(np.concatenate, zip(*wide, strict=True)))

    def with_keys(self, keys: Sequence[int]) -> SemanticTally:
        """The same counts, with further classes; see `Tally`."""
        old = {label: i for i, label in enumerate(self.labels)}
        new = [len(old) if key not in old else old[key] for key in keys]
        counts = (self.both, self.predicted, self.true)
        both, predicted, true = (np.pad(each, ((0, 0), (0, 1)))[:, new] for each in counts)
        return SemanticTally(tuple(keys), both, predicted, true, self.right, self.pixels)

    def _sums(self) -> tuple[Floats, ...]:
        return self.both, self.predicted, self.true, self.right, self.pixels

    def figures(self) -> dict[str, Floats]:
        """Every score of each row; see `SemanticScores`."""
        total = self.predicted + self.true
        union = total - self.both
        dice = ratio(2 * self.both, total, total == 0)
        jaccard = ratio(self.both, union, union == 0)
        classes = np.array(self.labels, dtype=object) != 0
        ones = np.ones(len(self))
        return {
            "dice": dice,
            "jaccard": jaccard,
            "macro_dice": dice[:, classes].mean(1) if classes.any() else ones,
            "macro_jaccard": jaccard[:, classes].mean(1) if classes.any() else ones,
            "accuracy": ratio(self.right, self.pixels, self.pixels == 0),
        }


@dataclass(frozen=True, eq=False)
class RegressionTally(Tally):
    """Sums of errors.

    Attributes
    ----------
    pixels, squared, absolute : ndarray of float64, shape (rows,)
        Pixels that count, sums of squared and of absolute differences.
    low, high : ndarray of float64, shape (rows,)
        Smallest and largest true value.
    ssim, with_ssim : ndarray of float64, shape (rows,)
        Sum of the structural similarity of images, and number of those that have one.
    """

    pixels: Floats
    squared: Floats
    absolute: Floats
    low: Floats
    high: Floats
    ssim: Floats
    with_ssim: Floats

    @property
    def keys(self) -> tuple[Any, ...]:
        """There is one value of each score."""
        return ()

    def __len__(self) -> int:
        return len(self.pixels)

    @classmethod
    def of(cls, images: Sequence[tuple[ErrorSums, float | None]]) -> RegressionTally:
        """A row per image, of its sums and its structural similarity."""
        rows = [
            (e.pixels, e.squared, e.absolute, e.low, e.high, s or 0.0, float(s is not None))
            for e, s in images
        ]
        return cls(*np.array(rows, float).T)

    @classmethod
    def joined(cls, parts: Sequence[RegressionTally]) -> RegressionTally:
        """The rows of all parts."""
        return cls(*map(np.concatenate, zip(*(part._sums() for part in parts), strict=True)))

    def row(self, number: int) -> RegressionTally:
        """One of the rows."""
        return RegressionTally(*(each[number : number + 1] for each in self._sums()))

    def _sums(self) -> list[Floats]:
        return [getattr(self, each.name) for each in fields(self)]

    def weighted(self, weights: Floats) -> RegressionTally:
        """Sums of rows; see `Tally`."""
        there = weights > 0
        return RegressionTally(
            weights @ self.pixels,
            weights @ self.squared,
            weights @ self.absolute,
            np.where(there, self.low, np.inf).min(1),
            np.where(there, self.high, -np.inf).max(1),
            weights @ self.ssim,
            weights @ self.with_ssim,
        )

    def figures(self) -> dict[str, Floats]:
        """Every score of each row; NaN where it has no value; see `RegressionScores`."""
        with np.errstate(all="ignore"):
            mse = self.squared / self.pixels
            span = self.high - self.low
            psnr = 20 * (np.log10(span) - np.log10(np.sqrt(mse)))
            psnr = np.where((span > 0) & np.isfinite(span), psnr, np.nan)
            return {
                "mse": mse,
                "mae": self.absolute / self.pixels,
                "rmse": np.sqrt(mse),
                "psnr": np.where(self.squared == 0, np.inf, psnr),
                "ssim": np.where(self.with_ssim > 0, self.ssim / self.with_ssim, np.nan),
            }
