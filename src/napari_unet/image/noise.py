"""The noise of an image, and whether there is anything else in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

PixelArray = NDArray[Any]

NOISE_ABOVE = 5  # deviations between median and 99.8th percentile of noise alone, at most
QUANTILES = (0.01, 0.05, 0.25, 0.75, 0.95, 0.99, 0.998)  # that tell a normal distribution
NORMAL = 0.2  # departure of a quantile, relative to that of the normal distribution, at most
MOST_SKEWED = 0.3  # second-order term of the quantiles of skewed noise, at most
GRAIN_PIXELS = 6  # from which on pixels of skewed noise have nothing to do with one another
FAR_PIXELS = 16  # from which on pixels of smoothed noise have nothing to do with one another
UNCORRELATED = 0.12  # correlation of pixels so far away, at most
BLOCK_PIXELS = 32  # side of blocks, of which noise makes the means differ little
EVEN = 0.45  # deviation of these means, in deviations of the pixels, at most
SUBSAMPLE = 4  # every fourth row and column of a frame is enough to compare it


def estimate_noise(planes: Sequence[PixelArray]) -> float:
    """Standard deviation of the noise, from the differences of neighbouring pixels.

    For independent normal noise the mean absolute difference is 2 / sqrt(pi) deviations.
    """
    total, count = 0.0, 0
    for pixels in planes:
        steps = np.abs(np.diff(pixels[::SUBSAMPLE].astype(np.float64), axis=1))
        steps = steps[np.isfinite(steps)]
        total, count = total + float(steps.sum()), count + steps.size
    return total / count * math.sqrt(math.pi) / 2 if count else 0.0


def correlate_neighbours(planes: Sequence[PixelArray]) -> tuple[float, float]:
    """Correlation of neighbouring pixels, and the standard deviation of what they do not share.

    In noise alone no pixel tells of the next one, whatever its distribution: photons are
    counted, or what is below 0 is cut off. Objects are larger than a pixel.

    Returns
    -------
    correlation : float
        -1 to 1; 1 for pixels that are all equal.
    deviation : float
        Of noise that is independent from pixel to pixel.

    Examples
    --------
    >>> import numpy as np
    >>> photons = np.random.default_rng(0).poisson(0.1, (200, 200))
    >>> correlation, deviation = correlate_neighbours([photons])
    >>> abs(correlation) < 0.05, abs(deviation - 0.1**0.5) < 0.02
    (True, True)
    """
    steps = variance = 0.0
    count = 0
    for pixels in planes:
        rows = pixels[::SUBSAMPLE].astype(np.float64)
        pairs = np.stack([rows[:, 1:], rows[:, :-1]])[:, np.isfinite(rows[:, 1:] + rows[:, :-1])]
        if pairs.shape[1]:
            steps += float(((pairs[0] - pairs[1]) ** 2).sum() / 2)
            variance += float(((pairs - pairs.mean()) ** 2).sum() / 2)
            count += pairs.shape[1]
    if not variance:
        return 1.0, 0.0
    return 1 - steps / variance, math.sqrt(steps / count)


def find_correlated_noise(planes: Sequence[PixelArray]) -> float:
    """Standard deviation of noise that was smoothed or enlarged; 0 where there is more than that.

    Neighbours tell of each other then, as in objects. But such noise is normally distributed, as
    a sum of independent parts is, pixels further apart have nothing in common, and the means of
    blocks differ little. Each of the three is far from true where there are objects: of 98
    channels of published images none came near (``docs/models.md``). Where few parts are summed,
    such as single photons, the noise is skewed as they are: its quantiles follow the expansion of
    Cornish and Fisher to the second order. Small objects would do so, too; but noise has grains
    that are smaller than any object.

    Parameters
    ----------
    planes : sequence of array (Y, X)
        The sample; NaN is left out.

    Examples
    --------
    >>> from scipy.ndimage import gaussian_filter
    >>> noise = gaussian_filter(np.random.default_rng(0).normal(0, 10, (256, 256)), 1.5)
    >>> bool(abs(find_correlated_noise([noise]) / noise.std() - 1) < 0.05)
    True
    >>> noise[100:120, 90:140] += 30
    >>> find_correlated_noise([noise])
    0.0
    """
    pixels = np.concatenate([plane[::2, ::2].ravel() for plane in planes]).astype(np.float64)
    pixels = pixels[np.isfinite(pixels)]
    if not pixels.size:
        return 0.0
    middle = float(np.median(pixels))
    deviation = 1.4826 * float(np.median(np.abs(pixels - middle)))
    if not deviation > 0:
        return 0.0
    expected = np.array([NormalDist().inv_cdf(each) for each in QUANTILES])
    departure = (np.quantile(pixels, QUANTILES) - middle) / deviation - expected
    far_pixels = FAR_PIXELS
    if (np.abs(departure) > NORMAL * np.abs(expected)).any():
        skew = (departure[1] + departure[-3]) / (2 * expected[-3] ** 2)  # the 5th, the 95th
        departure = departure - skew * expected**2
        if abs(skew) > MOST_SKEWED or (np.abs(departure) > NORMAL * np.abs(expected)).any():
            return 0.0
        far_pixels = GRAIN_PIXELS
    for plane in planes:
        wide = plane.astype(np.float64)
        if not np.isfinite(wide).any():
            continue  # nothing but fill
        for rows in (wide, wide.T):
            if rows.shape[1] < 2 * FAR_PIXELS:
                return 0.0
            steps = rows[:, far_pixels:] - rows[:, :-far_pixels]
            if not np.isfinite(steps).any():
                return 0.0
            far = np.nanmean(steps**2) / 2
            if not far >= (1 - UNCORRELATED) * np.nanvar(rows):
                return 0.0
    blocks = np.concatenate([_block_means(plane.astype(np.float64)) for plane in planes])
    even = blocks.size and np.std(blocks) <= EVEN * deviation
    return deviation if even else 0.0


def _block_means(plane: PixelArray) -> PixelArray:
    rows, columns = (max(n // BLOCK_PIXELS, 1) for n in plane.shape)
    sides = tuple(min(BLOCK_PIXELS, n) for n in plane.shape)
    whole = plane[: rows * sides[0], : columns * sides[1]]
    parts = whole.reshape(rows, sides[0], columns, sides[1]).swapaxes(1, 2)
    flat = parts.reshape(rows * columns, -1)
    means: PixelArray = flat[np.isfinite(flat).all(1)].mean(1)
    return means
