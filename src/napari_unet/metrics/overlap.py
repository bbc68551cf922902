"""Overlap of regions: Dice, Jaccard, and their per-class counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.errors import InputError
from napari_unet.metrics.labels import check_labels
from napari_unet.metrics.pairs import pair_image
from napari_unet.renumbering import renumber

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def dice(prediction: ArrayLike, truth: ArrayLike, *, label: int | None = None) -> float:
    """Dice coefficient of two regions, ``2 |P & T| / (|P| + |T|)``.

    Parameters
    ----------
    prediction, truth : array of bool, or of int with `label`
        Same shape, any number of axes.
    label : int, optional
        Compare the regions where the arrays equal this class.

    Returns
    -------
    float
        0 (disjoint) to 1 (equal); 1 where both regions are empty.

    Raises
    ------
    InputError
        For unequal shapes, integer arrays without `label`, or arrays that are no labels.

    References
    ----------
    L. R. Dice, "Measures of the amount of ecologic association between species",
    Ecology 26, 1945.

    Examples
    --------
    >>> import numpy as np
    >>> dice(np.array([True, True, False]), np.array([True, False, False]))
    0.6666666666666666
    >>> dice(np.array([0, 2, 2]), np.array([0, 2, 1]), label=2)
    0.6666666666666666
    """
    return _region_counts(prediction, truth, label).dice


def jaccard(prediction: ArrayLike, truth: ArrayLike, *, label: int | None = None) -> float:
    """Jaccard index of two regions (intersection over union), ``|P & T| / |P | T|``.

    Parameters
    ----------
    prediction, truth : array of bool, or of int with `label`
        Same shape, any number of axes.
    label : int, optional
        Compare the regions where the arrays equal this class.

    Returns
    -------
    float
        0 (disjoint) to 1 (equal); 1 where both regions are empty.

    Raises
    ------
    InputError
        For unequal shapes, integer arrays without `label`, or arrays that are no labels.

    References
    ----------
    P. Jaccard, "The distribution of the flora in the alpine zone", New Phytologist 11, 1912.

    Examples
    --------
    >>> import numpy as np
    >>> jaccard(np.array([True, True, False]), np.array([True, False, False]))
    0.5
    """
    return _region_counts(prediction, truth, label).jaccard


@dataclass(frozen=True)
class RegionCounts:
    """Pixel counts of a predicted and a true region.

    Attributes
    ----------
    both, predicted, true : int
        Pixels in both regions, in the predicted one, in the true one.
    """

    both: int = 0
    predicted: int = 0
    true: int = 0

    @property
    def dice(self) -> float:
        """Dice coefficient; 1 where both regions are empty."""
        total = self.predicted + self.true
        return 2 * self.both / total if total else 1.0

    @property
    def jaccard(self) -> float:
        """Jaccard index; 1 where both regions are empty."""
        union = self.predicted + self.true - self.both
        return self.both / union if union else 1.0

    @classmethod
    def of(cls, predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> RegionCounts:
        """Count two boolean masks of equal shape."""
        return cls(
            int(np.count_nonzero(predicted & true)),
            int(np.count_nonzero(predicted)),
            int(np.count_nonzero(true)),
        )


def class_counts(prediction: NDArray[Any], truth: NDArray[Any]) -> dict[int, RegionCounts]:
    """Count the pixels of every class that occurs in either array.

    Parameters
    ----------
    prediction, truth : ndarray of int >= 0, or bool
        Flat, of equal length.

    Returns
    -------
    dict
        Class label -> counts, labels ascending.
    """
    predicted_values, predicted = renumber(prediction)
    true_values, true = renumber(truth)
    predicted_sizes = np.bincount(predicted, minlength=predicted_values.size)
    true_sizes = np.bincount(true, minlength=true_values.size)
    # The two arrays are ranked apart; pixels agree where the values behind the ranks do.
    agree = true[prediction == truth]
    both = np.bincount(agree, minlength=true_values.size)

    n_predicted = {int(v): int(n) for v, n in zip(predicted_values, predicted_sizes, strict=True)}
    n_true = {int(v): int(n) for v, n in zip(true_values, true_sizes, strict=True)}
    n_both = {int(v): int(n) for v, n in zip(true_values, both, strict=True)}
    return {
        label: RegionCounts(n_both.get(label, 0), n_predicted.get(label, 0), n_true.get(label, 0))
        for label in sorted(n_predicted.keys() | n_true.keys())
    }


def _region_counts(prediction: ArrayLike, truth: ArrayLike, label: int | None) -> RegionCounts:
    pair = pair_image(prediction, truth)
    masks = []
    for array, what in ((pair.prediction, "prediction"), (pair.truth, "truth")):
        check_labels(array, what, mask_allowed=True)
        if label is not None:
            masks.append(np.asarray(array == label))
        elif array.dtype == np.bool_:
            masks.append(array)
        else:
            raise InputError(
                f"The {what} has dtype {array.dtype} and no label was named",
                "pass label= to compare one class, or boolean masks",
            )
    return RegionCounts.of(masks[0], masks[1])
