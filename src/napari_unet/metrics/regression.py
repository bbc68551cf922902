"""Error of predicted values: MSE, MAE, PSNR, SSIM."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import maximum_filter
from skimage.metrics import structural_similarity

from napari_unet.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_unet.metrics.pairs import Pair

SSIM_WINDOW = 7
"""Side of the SSIM window in pixels, along every axis longer than 1."""


@dataclass(frozen=True)
class ErrorSums:
    """Sums over the pixels of an image from which its errors follow.

    Attributes
    ----------
    pixels : int
        Number of pixels that count.
    squared, absolute : float
        Sum of the squared and of the absolute differences.
    low, high : float
        Smallest and largest true value.
    """

    pixels: int
    squared: float
    absolute: float
    low: float
    high: float


def error_sums(pair: Pair) -> ErrorSums:
    """Sum up the errors of one image.

    Parameters
    ----------
    pair : Pair
        Real numbers of any dtype; computed in float64.

    Raises
    ------
    InputError
        For a dtype that is not a real number, values that are not finite, or an image
        whose pixels are all ignored.
    """
    predicted, true = _finite_values(pair)
    with np.errstate(over="ignore", under="ignore"):  # infinity says it as well
        difference = predicted - true
        squared = float(np.square(difference).sum())
        absolute = float(np.abs(difference).sum())
    return ErrorSums(true.size, squared, absolute, float(true.min()), float(true.max()))


def ssim(pair: Pair) -> float | None:
    """Mean structural similarity of one image over the pixels that count.

    Of a series that of its time points, of those that have one.

    Axes of length 1 are dropped. The window is uniform, `SSIM_WINDOW` pixels along every
    remaining axis, the data range that of the truth. Only windows that lie in the image
    and hold no ignored pixel enter the mean.

    Returns
    -------
    float or None
        -1 to 1; None where an axis is shorter than the window, where every window holds
        an ignored pixel, where the truth is constant and the prediction differs, or where
        squares of the values leave the range of float64.

    Raises
    ------
    InputError
        As `error_sums`.

    References
    ----------
    Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli, "Image quality assessment:
    from error visibility to structural similarity", IEEE Transactions on Image
    Processing 13, 2004.
    """
    values = [found for frame in pair.frames() if (found := _ssim_of_frame(frame)) is not None]
    return sum(values) / len(values) if values else None


def _ssim_of_frame(pair: Pair) -> float | None:
    if pair.ignored is not None and pair.ignored.all():
        return None
    shape = tuple(n for n in pair.truth.shape if n > 1)
    if not shape or min(shape) < SSIM_WINDOW:
        return None
    predicted_values, true_values = _finite_values(pair)
    low, high = float(true_values.min()), float(true_values.max())
    inner = (slice(SSIM_WINDOW // 2, -(SSIM_WINDOW // 2)),) * len(shape)

    if pair.ignored is None:
        keep = np.ones(shape, dtype=bool)
        usable = keep[inner]
    else:
        keep = ~pair.ignored.reshape(shape)
        usable = ~maximum_filter(~keep, size=SSIM_WINDOW)[inner]
    if not usable.any():
        return None
    if high == low:
        return 1.0 if np.array_equal(predicted_values, true_values) else None
    # Ignored pixels may hold anything, also NaN, which the running sums of the filter
    # would carry far beyond the window.
    predicted, true = np.full(shape, low), np.full(shape, low)
    predicted[keep], true[keep] = predicted_values, true_values
    with np.errstate(all="ignore"):  # squares beyond the range of float64: no value, see below
        _, local = structural_similarity(  # type: ignore[no-untyped-call]
            true, predicted, win_size=SSIM_WINDOW, data_range=np.float64(high - low), full=True
        )
        mean = float(local[inner][usable].mean())
    return mean if math.isfinite(mean) else None


def _finite_values(pair: Pair) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the pixels that count as float64, flat: prediction, truth."""
    values: list[NDArray[np.float64]] = []
    counted: tuple[NDArray[Any], NDArray[Any]] = pair.counted()
    for array, what in zip(counted, ("prediction", "truth"), strict=True):
        if array.dtype.kind not in "buif":
            raise InputError(
                f"The {what} of {pair.name} has dtype {array.dtype}", "give real numbers"
            )
        if array.size == 0:
            raise InputError(
                f"Every pixel of {pair.name} is ignored", "leave the image out, or ignore less"
            )
        numbers = array.astype(np.float64)
        finite = np.isfinite(numbers)
        if not finite.all():
            first = numbers[np.argmin(finite)]
            raise InputError(
                f"The {what} of {pair.name} contains {first} in "
                f"{finite.size - np.count_nonzero(finite)} of {finite.size} pixels",
                "replace these values, or leave them out with ignore",
            )
        values.append(numbers)
    return values[0], values[1]
