"""Two candidates on the same images: the difference of their scores, and its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.errors import InputError
from napari_unet.metrics import bootstrap

if TYPE_CHECKING:
    from napari_unet.metrics import Scores


@dataclass(frozen=True)
class Difference:
    """How much higher the scores of the second candidate are.

    Attributes
    ----------
    value : dict
        Name of a figure -> second less first; or a dict of these by IoU threshold or class.
        None where one of the two has no value.
    interval : dict
        Likewise (low, high); empty with too few images.
    """

    value: dict[str, Any]
    interval: dict[str, Any]


def compare_scores(
    first: Scores,
    second: Scores,
    *,
    confidence: float = bootstrap.CONFIDENCE,
    resamples: int = bootstrap.RESAMPLES,
    seed: int = bootstrap.SEED,
) -> Difference:
    """The paired difference of two candidates on the same truth, with its interval.

    The same images are drawn for both, so that what makes an image easy or hard for either drops
    out: the interval is narrower than those of the two would suggest.

    Parameters
    ----------
    first, second : Scores
        Of the same images in the same order.
    confidence, resamples, seed
        As of `Scores.intervals`.

    Raises
    ------
    InputError
        If the tasks or the numbers of images differ, or the classes of semantic scores do.

    Examples
    --------
    >>> from napari_unet.metrics import evaluate
    >>> truth = np.array([[1, 1, 0, 2]])
    >>> found = compare_scores(evaluate(truth * 0, truth), evaluate(truth, truth))
    >>> found.value["ap"][0.5], found.interval
    (1.0, {})
    """
    bootstrap.check_confidence(confidence, resamples)
    if first.task != second.task or first.images != second.images:
        raise InputError(
            f"{first.task} scores of {first.images} images and {second.task} scores of "
            f"{second.images} images cannot be compared",
            "evaluate both candidates on the same images",
        )
    keys = sorted({*first.tally.keys, *second.tally.keys})
    ones = np.ones((1, first.images))
    value = _subtract(first, second, ones, keys)
    values = first.by_figure({name: np.stack([v[0], v[0]]) for name, v in value.items()}, keys)
    if first.images < bootstrap.LEAST_IMAGES:
        return Difference(_first_of(values), {})
    weights = bootstrap.draw_weights(first.images, resamples, seed)
    drawn = _subtract(first, second, weights, keys)
    bounds = {name: bootstrap.percentile_interval(v, confidence) for name, v in drawn.items()}
    return Difference(_first_of(values), first.by_figure(bounds, keys))


def _subtract(first: Scores, second: Scores, weights: Any, keys: list[Any]) -> dict[str, Any]:
    ours = bootstrap.resample_figures(first.tally.with_keys(keys), weights)
    theirs = bootstrap.resample_figures(second.tally.with_keys(keys), weights)
    with np.errstate(invalid="ignore"):  # infinite less infinite: no value
        return {name: theirs[name] - ours[name] for name in ours}


def _first_of(pairs: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _first_of(pair) if isinstance(pair, dict) else None if pair is None else pair[0]
        for name, pair in pairs.items()
    }
