"""What `evaluate` returns: one frozen dataclass per task."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from napari_unet.metrics import bootstrap
from napari_unet.metrics.tally import (
    Tally,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_unet.metrics.tally import Floats

Task = Literal["instance", "semantic", "regression"]
"""What a prediction is: object labels, class labels, or values."""

Interval = tuple[float, float] | None
"""Lower and upper bound; None where there is none."""


@dataclass(frozen=True, kw_only=True)
class Scores(ABC):
    """Scores of one or several images; the subclass for the task holds the figures.

    Figures without a suffix are pooled over all images, those with the suffix ``_mean``
    are means over images. ``str(scores)`` is a table of a few lines.

    Attributes
    ----------
    task : {"instance", "semantic", "regression"}
    images : int
        Number of images scored.
    """

    task: Task
    images: int

    @property
    def tally(self) -> Tally:
        """What was counted in each image, a row each."""
        tally: Tally = vars(self)["_tally"]
        return tally

    def _of_tally(self, tally: Tally) -> Self:
        """These scores with the counts that they follow from, which are none of the figures."""
        vars(self)["_tally"] = tally
        return self

    @classmethod
    @abstractmethod
    def of(cls, tally: Any) -> Scores:
        """Scores of the images of a tally."""

    def per_image(self) -> tuple[Scores, ...]:
        """The scores of each image by itself, in the order in which the images were given."""
        return tuple(self.of(self.tally.row(i)) for i in range(self.images))

    def intervals(
        self,
        *,
        confidence: float = bootstrap.CONFIDENCE,
        resamples: int = bootstrap.RESAMPLES,
        seed: int = bootstrap.SEED,
    ) -> dict[str, Any]:
        """Confidence intervals of all figures, by drawing images with replacement (bootstrap).

        Parameters
        ----------
        confidence : float
            Share of the resamples whose value lies in the interval, half of the rest on either
            side (percentile method).
        resamples : int
            How many sets of images are drawn.
        seed : int
            Of the draws: equal seeds give equal intervals.

        Returns
        -------
        dict
            Name of a figure, as it is here -> (low, high), or a dict of these as the figure is
            one; None where there is no value. Empty with fewer than 5 images, of which resamples
            say nothing. Images are taken for independent: with several from one animal or plate,
            intervals come out too narrow.

        Raises
        ------
        SettingsError
            For a confidence outside (0, 1), or fewer than 100 resamples.

        References
        ----------
        B. Efron and R. J. Tibshirani, "An introduction to the bootstrap", 1993, chapter 13.
        """
        bootstrap.check_confidence(confidence, resamples)
        if self.images < bootstrap.LEAST_IMAGES:
            return {}
        weights = bootstrap.draw_weights(self.images, resamples, seed)
        drawn = bootstrap.resample_figures(self.tally, weights)
        return self.by_figure(
            {name: bootstrap.percentile_interval(v, confidence) for name, v in drawn.items()}
        )

    def by_figure(
        self, bounds: dict[str, NDArray[Any]], keys: Sequence[Any] | None = None
    ) -> dict[str, Any]:
        """Bounds of shape (2,) or (2, keys) as pairs, of the figures that these scores have."""
        keys = self.tally.keys if keys is None else keys
        names = {each.name for each in dataclasses.fields(self)}
        return {
            name: dict(zip(keys, map(_interval, both.T), strict=True))
            if both.ndim > 1
            else _interval(both)
            for name, both in bounds.items()
            if name in names
        }

    def as_dict(self) -> dict[str, Any]:
        """Return all figures, ready for JSON.

        Returns
        -------
        dict
            Field name -> number, string, None, or dict with string keys (IoU thresholds
            as ``"0.5"``, labels as ``"1"``). Infinity, which JSON lacks, becomes None.
        """
        return {each.name: _jsonable(getattr(self, each.name)) for each in dataclasses.fields(self)}

    @abstractmethod
    def __str__(self) -> str:
        """Return the main figures in a few lines."""

    def _heading(self) -> str:
        if self.images == 1:
            return f"{self.task} scores, 1 image"
        return f"{self.task} scores, {self.images} images: pooled (mean over images)"

    def _figure(self, pooled: float | None, mean: float | None) -> str:
        """Format a figure; with several images the mean over images stands in brackets."""
        return (
            number_text(pooled)
            if self.images == 1
            else f"{number_text(pooled)} ({number_text(mean)})"
        )


def figures_of(tally: Tally) -> dict[str, Any]:
    """All figures of the images as they are, with the means over images."""
    ones = np.ones((1, len(tally)))
    found = bootstrap.resample_figures(tally, ones)
    return {
        name: by_key(tally, values) if values.ndim > 1 else _value(values[0])
        for name, values in found.items()
    }


def by_key(tally: Tally, values: Floats) -> dict[Any, float]:
    """The first row of values as a dict by IoU threshold, or by class."""
    return dict(zip(tally.keys, values[0].tolist(), strict=True))


def fields_of(kind: type, figures: dict[str, Any]) -> dict[str, Any]:
    """Those of the figures that scores of this kind have."""
    names = {each.name for each in dataclasses.fields(kind)}
    return {name: value for name, value in figures.items() if name in names}


def _value(number: float) -> float | None:
    return None if math.isnan(number) else float(number)


def _interval(both: NDArray[Any]) -> Interval:
    low, high = both.tolist()
    return None if math.isnan(low) else (low, high)


def number_text(value: float | None) -> str:
    """A figure in four digits.

    >>> number_text(0.86519), number_text(None)
    ('0.8652', 'n/a')
    """
    return "n/a" if value is None else f"{value:.4g}"


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _jsonable(entry) for key, entry in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
