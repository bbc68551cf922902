"""A measurement in every detail, as a job of a worker thread and as the draft of a record."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_unet.measurement.columns import (
    CONFIDENCE,
    INTENSITIES,
    NEIGHBOURS,
    SHAPES,
    choose_properties,
)
from napari_unet.progress import Progress
from napari_unet.replay.kept_arrays import HeldArray

ALWAYS = ("centroid", "bbox", "touches_border")  # by which the viewer finds an object
HULL = ("feret_diameter_max", "feret_diameter_min", "solidity")
SIZE = ("area", "equivalent_diameter_area")
GROUPS: Mapping[str, tuple[str, ...]] = {
    "size": SIZE,
    "shape": tuple(name for name in SHAPES if name not in (*ALWAYS, *HULL, *SIZE)),
    "hull": HULL,
    "intensity": INTENSITIES,
    "confidence": (CONFIDENCE,),
}


@dataclass(frozen=True, eq=False)
class MeasureRequest:
    """What is measured; it holds arrays and values only.

    Attributes
    ----------
    labels : array-like
        The labels.
    image : array-like, list of array-like, or None
        Below them, as `napari_unet.measure` takes it.
    axes : str
        Of the image if it is one array, else of the labels.
    pixel_size : tuple of float or None
        Micrometres per spatial axis in the order of ``axes``.
    scores : Prediction or None
        For the confidence.
    properties : tuple of str
        What to measure.
    neighbour_distance : float or None
        As `napari_unet.measure` takes it.
    channels : tuple of str
        Names of the channels, as far as they have numbers in the table.
    held : tuple of HeldArray
        The labels and the images, for a record.
    """

    labels: Any
    image: Any
    axes: str
    pixel_size: tuple[float, ...] | None
    scores: Any
    properties: tuple[str, ...]
    neighbour_distance: float | None
    channels: tuple[str, ...]
    held: tuple[HeldArray, ...]

    def snapshot(self) -> MeasureRequest:
        """The same with a copy of labels in memory, which may be painted on meanwhile."""
        if not isinstance(self.labels, np.ndarray):
            return self
        labels = self.labels.copy()
        first, *rest = self.held
        return replace(self, labels=labels, held=(replace(first, array=labels), *rest))

    def without_arrays(self) -> MeasureRequest:
        """What a table needs of it later: arrays only where a record can name them all."""
        named = all(each.origin.get("path") for each in self.held)
        held = self.held if named else ()
        return replace(self, labels=None, image=None, scores=None, held=held)

    def job(self) -> Generator[Progress, None, Any]:
        """Measure; gives the table."""
        yield Progress(0, 0, "preparing", "preparing")
        from napari_unet.measurement import iter_measure

        table = yield from iter_measure(
            self.labels,
            self.image,
            axes=self.axes,
            pixel_size=self.pixel_size,
            scores=self.scores,
            properties=self.properties,
            neighbour_distance=self.neighbour_distance,
        )
        if self.channels:
            table.attrs["channels"] = list(self.channels)
        return table

    def as_draft(self) -> dict[str, Any]:
        """The record of the measurement, its arrays not yet in files.

        The confidence is left out: scores are in no file.
        """
        labels, *images = self.held
        return {
            "operation": "measure",
            "labels": labels,
            "image": images,
            "axes": self.axes,
            "pixel_size": None if self.pixel_size is None else list(self.pixel_size),
            "properties": [name for name in self.properties if name != CONFIDENCE],
            "neighbour_distance": self.neighbour_distance,
        }


def choose_of_groups(
    groups: Mapping[str, bool],
    *,
    ndim: int,
    has_image: bool,
    has_scores: bool,
    has_distance: bool,
) -> tuple[str, ...]:
    """The properties of the groups that are ticked, of those that can be measured.

    >>> ticked = {"size": True, "intensity": True}
    >>> choose_of_groups(ticked, ndim=2, has_image=False, has_scores=False, has_distance=False)
    ('area', 'equivalent_diameter_area', 'centroid', 'bbox', 'touches_border')
    """
    possible = choose_properties(
        None, ndim=ndim, has_image=has_image, has_scores=has_scores, has_distance=has_distance
    )
    wanted = {name for group, ticked in groups.items() if ticked for name in GROUPS[group]}
    wanted |= {*ALWAYS, NEIGHBOURS}
    return tuple(name for name in possible if name in wanted)
