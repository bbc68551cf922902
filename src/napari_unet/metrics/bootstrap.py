"""Confidence intervals by resampling images with replacement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.errors import SettingsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_unet.metrics.tally import Floats, Tally

LEAST_IMAGES = 5
"""Below, resamples of images are too much alike for an interval to mean anything."""

LEAST_RESAMPLES = 100
RESAMPLES = 2000
CONFIDENCE = 0.95
SEED = 0


def draw_weights(images: int, resamples: int = RESAMPLES, seed: int = SEED) -> Floats:
    """How often each image is in each resample: shape (resamples, images), rows sum to `images`."""
    rng = np.random.default_rng(seed)
    even = np.full(images, 1 / images)
    return rng.multinomial(images, even, size=resamples).astype(np.float64)


def resample_figures(tally: Tally, weights: Floats) -> dict[str, Floats]:
    """Every score of every resample, pooled and, with ``_mean`` in the name, as mean over images.

    Parameters
    ----------
    tally : Tally
        A row per image.
    weights : ndarray of float64, shape (resamples, images)
        From `draw_weights`; ones for the images as they are.

    Returns
    -------
    dict
        Name -> ndarray of shape (resamples,) or (resamples, keys), NaN where there is no value.
    """
    found = dict(tally.weighted(weights).figures())
    found |= {
        f"{name}_mean": average_rows(weights, values) for name, values in tally.figures().items()
    }
    return found


def average_rows(weights: Floats, values: Floats) -> Floats:
    """Weighted mean of the rows that have a value; NaN where none has."""
    if np.isfinite(values).all():
        mean: Floats = (weights @ values) / weights.sum(1).reshape((-1,) + (1,) * (values.ndim - 1))
        return mean
    known = ~np.isnan(values)
    with np.errstate(all="ignore"):
        # an infinite value counts only where it is drawn: 0 times infinity is no number
        sums = np.stack(
            [np.where(known & (w > 0), w * values, 0).sum(0) for w in _rows(weights, values)]
        )
        averaged: Floats = sums / (weights @ known.astype(np.float64))
    return averaged


def _rows(weights: Floats, values: Floats) -> list[Floats]:
    return [row.reshape((-1,) + (1,) * (values.ndim - 1)) for row in weights]


def check_confidence(confidence: float, resamples: int) -> None:
    """Raise SettingsError unless an interval can be made of these."""
    if not 0 < confidence < 1:
        raise SettingsError(
            f"⟨confidence⟩ {confidence} must be above 0 and below 1",
            "0.95 is the usual choice",
            parameter="confidence",
            value=confidence,
        )
    if resamples < LEAST_RESAMPLES:
        raise SettingsError(
            f"⟨resamples⟩ {resamples} are too few for an interval",
            f"give {LEAST_RESAMPLES} or more; {RESAMPLES} are usual",
            parameter="resamples",
            value=resamples,
        )


def percentile_interval(values: NDArray[Any], confidence: float) -> NDArray[Any]:
    """The lower and the upper bound, shape (2,) or (2, keys), without resamples of no value."""
    tail = (1 - confidence) / 2
    with np.errstate(all="ignore"):
        return np.asarray(
            np.apply_along_axis(lambda column: _bounds(column, tail), 0, values), np.float64
        )


def _bounds(column: NDArray[Any], tail: float) -> NDArray[Any]:
    known = column[~np.isnan(column)]
    if known.size == 0:
        return np.array([np.nan, np.nan])
    if not np.isfinite(known).all():  # quantiles between infinities are no numbers
        return np.asarray(np.quantile(known, [tail, 1 - tail], method="nearest"))
    return np.asarray(np.quantile(known, [tail, 1 - tail]))
