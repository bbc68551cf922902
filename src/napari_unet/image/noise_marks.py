"""Whether there is anything but noise in an image, whatever its distribution.

Only the ranks of the pixels are compared, so that it does not matter how noise is distributed.
Noise is alike all over an image, its grains are smaller than objects, and what is left of it in
wider and wider means is normally distributed, as a sum of many independent parts is. A single
object stands out of such means by far more than chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_unet.image.noise import PixelArray

Plane = NDArray[np.float64]

LEAST_SIDE = 192  # pixels of a plane from which there are means enough
MOST_MISSING = 0.1  # share of pixels that were left out
FAR_PIXELS = 8  # from which on pixels of noise have nothing to do with one another
UNCORRELATED = 0.05  # correlation of pixels so far away, at most
CERTAIN = 4.0  # times as much, in some of the rows, from which the others need not be seen
EVERY_ROW = 8
BLOCK_PIXELS = (16, 32)  # side of blocks
EVEN = 0.3  # deviation of the means of the larger ones, in deviations of the pixels, at most
BRIGHTER = 0.9  # height of the bright end, in depths of the dark one: stains are dark on bright
SHRINKING = 0.65  # of that of the smaller ones; 0.5 where pixels further apart are independent
WHITE_BLOCKS = 0.06  # twice the deviation of the larger ones in noise of single pixels
SCALES = {2: 10.0, 4: 6.0, 8: 5.0}
"""Width of means in pixels, and how far skew and kurtosis may lie from those of a normal
distribution, in their own standard deviations."""


def is_noise_alone(planes: Sequence[PixelArray]) -> bool:
    """Whether none of some planes shows anything but noise.

    Smoothed, median-filtered and enlarged noise counts as noise, as do the rows and columns of
    a camera, and light that changes slowly over the plane.

    Parameters
    ----------
    planes : sequence of array (Y, X)
        NaN is left out. Planes smaller than `LEAST_SIDE` cannot be told.

    Examples
    --------
    >>> noise = np.random.default_rng(0).lognormal(3, 1, (256, 256))
    >>> is_noise_alone([noise])
    True
    >>> noise[100:116, 90:106] += 40  # about one deviation
    >>> is_noise_alone([noise])
    False
    """
    if not planes or any(min(plane.shape) < LEAST_SIDE for plane in planes):
        return False
    deviations = [float(np.nanstd(plane.astype(np.float64))) for plane in planes]
    for number in np.argsort(deviations)[::-1]:  # objects first
        plane = _complete(planes[number])
        if plane is None or _has_wide_structure(plane):
            return False
        if not (_looks_like_noise(plane) or _looks_like_noise(_flatten(plane))):
            return False
    return True


def _has_wide_structure(plane: Plane) -> bool:
    """Whether some of the rows tell already that pixels far away go together: the quick answer."""
    rows = plane[::EVERY_ROW]
    return all(
        _correlate_far(_normal_scores(each)) > CERTAIN * UNCORRELATED
        for each in (rows, _flatten(rows))
    )


def _complete(plane: PixelArray) -> Plane | None:
    """A plane with others of its pixels where some were left out; None where too many were."""
    pixels = plane.astype(np.float64)
    missing = ~np.isfinite(pixels)
    count = np.count_nonzero(missing)
    if count > MOST_MISSING * pixels.size:
        return None
    if count:
        pixels[missing] = np.random.default_rng(0).choice(pixels[~missing], count)
    return pixels


def _flatten(plane: Plane) -> Plane:
    """A plane without what its rows and columns have in common, and without uneven light."""
    flat = plane - np.median(plane, axis=1, keepdims=True)
    flat -= np.median(flat, axis=0, keepdims=True)
    y, x = (np.linspace(-1, 1, n) for n in plane.shape)
    terms = np.stack(np.broadcast_arrays(1, x, y[:, None], x * y[:, None], x**2, y[:, None] ** 2))
    few = terms[:, ::4, ::4].reshape(len(terms), -1)
    weights = np.linalg.lstsq(few.T, flat[::4, ::4].ravel(), rcond=None)[0]
    return flat - np.tensordot(weights, terms, 1)


def _looks_like_noise(plane: Plane) -> bool:
    from scipy.ndimage import gaussian_filter

    dark, middle, bright = np.percentile(plane, (1, 50, 99))
    if bright - middle < BRIGHTER * (middle - dark):
        return False
    scores = _normal_scores(plane)
    variance = float(scores.var())
    if not variance > 0 or any(_correlate_far(each) > UNCORRELATED for each in (scores, scores.T)):
        return False
    small, large = (_spread_of_blocks(scores, n) / math.sqrt(variance) for n in BLOCK_PIXELS)
    if large > min(EVEN, max(SHRINKING * small, WHITE_BLOCKS)):
        return False
    for scale, most in SCALES.items():
        means = gaussian_filter(scores, scale) - gaussian_filter(scores, 2 * scale)
        means /= means.std()
        parts = scores.size / (2 * scale) ** 2  # that have little to do with one another
        skew, kurtosis = float((means**3).mean()), float((means**4).mean()) - 3
        if max(abs(skew) / math.sqrt(6), abs(kurtosis) / math.sqrt(24)) > most / math.sqrt(parts):
            return False
    return True


def _correlate_far(scores: Plane) -> float:
    """Correlation of pixels that lie `FAR_PIXELS` apart in a row; 0 where all are equal."""
    variance = float(scores.var())
    steps = scores[:, FAR_PIXELS:] - scores[:, :-FAR_PIXELS]
    return 1 - float((steps**2).mean()) / 2 / variance if variance > 0 else 0.0


def _normal_scores(plane: Plane) -> Plane:
    """Normally distributed numbers in the order of the pixels; equal ones where pixels are."""
    from scipy.special import ndtri

    _, place, counts = np.unique(plane, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - counts / 2) / plane.size
    scores: Plane = ndtri(ranks)[place].reshape(plane.shape)
    return scores


def _spread_of_blocks(scores: Plane, side: int) -> float:
    """Standard deviation of the means of blocks."""
    rows, columns = (n // side for n in scores.shape)
    whole = scores[: rows * side, : columns * side]
    return float(whole.reshape(rows, side, columns, side).mean((1, 3)).std())
