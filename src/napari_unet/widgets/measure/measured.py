"""A table of objects, and where each of them lies in its layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import spatial_axes
from napari_unet.widgets.measure.request import MeasureRequest

if TYPE_CHECKING:
    import pandas as pd
    from napari.layers import Labels

EMPTY = "There are no objects: the labels are 0 everywhere."


@dataclass(frozen=True, eq=False)
class Measured:
    """The objects of a layer that were measured.

    Attributes
    ----------
    layer : Labels
        The layer.
    axes : str
        Of the layer, in which C has length 1.
    table : pandas.DataFrame
        As of `napari_unet.measure`, with the boxes of the objects.
    request : MeasureRequest
        What was measured.
    """

    layer: Labels
    axes: str
    table: pd.DataFrame
    request: MeasureRequest

    @property
    def time_axis(self) -> int | None:
        """The axis of the layer along which the frames of the table lie."""
        return self.axes.index("T") if "T" in self.axes else None

    @cached_property
    def _columns(self) -> dict[str, NDArray[Any]]:
        """Where objects are; asked of the table each time, it would copy what it knows of units."""
        kept = ("label", "frame", "bbox-")
        return {n: self.table[n].to_numpy() for n in self.table.columns if n.startswith(kept)}

    def label_of(self, row: int) -> int:
        """The number of an object."""
        return int(self._columns["label"][row])

    def box_of(self, row: int) -> tuple[slice, ...]:
        """Where an object lies, per axis of the layer, in its finest pixels."""
        letters = spatial_axes(self.axes)
        ends = [int(self._columns[f"bbox-{i}"][row]) for i in range(2 * len(letters))]
        box = {axis: slice(ends[i], ends[i + len(letters)]) for i, axis in enumerate(letters)}
        box["C"] = slice(0, 1)
        if "T" in self.axes:
            frame = int(self._columns["frame"][row])
            box["T"] = slice(frame, frame + 1)
        return tuple(box[axis] for axis in self.axes)

    def rows_of(self, label: int, place: tuple[int, ...]) -> NDArray[np.int64]:
        """The row of the object at a pixel of the layer; none where it is not in the table."""
        found = self._columns["label"] == label
        if self.time_axis is not None:
            found &= self._columns["frame"] == place[self.time_axis]
        return np.flatnonzero(found)

    def describe(self) -> str:
        """What was measured, in words."""
        count = len(self.table)
        if not count:
            return EMPTY
        known: Any = self.table.attrs.get("pixel_size")
        text = f"{count:,} object{'' if count == 1 else 's'}"
        if "T" in self.axes:
            text += f" in {self.table['frame'].nunique():,} time points"
        text += " measured; lengths are in " + ("pixels." if known is None else "µm.")
        if count == 1 and self.label_of(0) == 1:
            text += " All pixels of number 1 are one object: number a mask first, piece by piece."
        channels = self.request.channels
        if channels:
            numbered = (f"{number} is ‘{name}’" for number, name in enumerate(channels))
            text += f" Of the intensities, {', '.join(numbered)}."
        return text
