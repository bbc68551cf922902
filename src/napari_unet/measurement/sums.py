"""What is added up pixel by pixel: sizes, places, moments, intensities and scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.measurement.inputs import Inputs, Source
from napari_unet.measurement.windows import Box, window_of
from napari_unet.renumbering import renumber

FIRST_CAPACITY = 1024  # rows, doubled where they do not suffice
INTENSITY_SUMS = 6  # see `_kernels.add_values`


@dataclass(frozen=True, eq=False)
class Totals:
    """The sums of all objects of a time point, sorted by label.

    Attributes
    ----------
    labels : (n,) array of int64 or uint64
        Ascending.
    count : (n,) array of int64
        Pixels.
    low, high : (n, 3) array of int64
        Where bounding boxes begin and end, in the order ZYX.
    origin : (n, 3) array of int64
        The pixel from which moments are counted.
    moments : (n, 9) array of float
        Sums of z, y, x, zz, yy, xx, zy, zx, yx.
    values : (C, n, 6) array of float
        Per channel of the image; see `_kernels.add_values`.
    scores : (S, n) array of float
        Per channel of the scores.
    """

    labels: NDArray[Any]
    count: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    origin: NDArray[np.int64]
    moments: NDArray[np.float64]
    values: NDArray[np.float64]
    scores: NDArray[np.float64]


class Sums:
    """Grows block by block; only a block is in memory beside it.

    Parameters
    ----------
    channels, scores : int
        Channels of the image and of the scores that are added up; 0: none.
    """

    def __init__(self, channels: int, scores: int) -> None:
        self._rows: dict[int, int] = {}
        self._channels, self._scores = channels, scores
        self._arrays = self._make(FIRST_CAPACITY)

    def add(
        self,
        labels: NDArray[Any],
        corner: tuple[int, ...],
        pixels: NDArray[Any] | None,
        scores: NDArray[Any] | None,
    ) -> None:
        """Add a block.

        Parameters
        ----------
        labels : (Y, X) or (Z, Y, X) array of int >= 0
            Of the block.
        corner : tuple of int
            Where it begins.
        pixels, scores : (C, ...) array or None
            On the pixels of the labels.
        """
        from napari_unet.measurement import _kernels

        values, index = number_objects(labels)
        if not len(values):
            return
        rows = np.zeros(len(values) + 1, np.int64)
        known = self._rows
        rows[1:] = [known.setdefault(value, len(known)) for value in values.tolist()]
        self._reserve(len(known))
        arrays = self._arrays
        places = np.array((0,) * (3 - len(corner)) + corner, np.int64)
        sizes = [arrays[name] for name in ("count", "low", "high", "origin", "moments")]
        _kernels.add_places(index, rows, places, *sizes)
        for channel in range(self._channels):
            assert pixels is not None
            part = as_volume(native(pixels[channel]))
            seen, found = arrays["seen"][channel], arrays["values"][channel]
            _kernels.add_values(index, rows, part, seen, found)
        for channel in range(self._scores):
            assert scores is not None
            part = as_volume(native(scores[channel]))
            _kernels.add_scores(index, rows, part, arrays["scores"][channel])

    def finish(self) -> Totals:
        """The sums, sorted by label."""
        n = len(self._rows)
        wide = max(self._rows, default=0) > np.iinfo(np.int64).max
        labels = np.fromiter(self._rows, np.uint64 if wide else np.int64, n)
        order = np.argsort(labels, kind="stable")
        arrays = self._arrays
        return Totals(
            labels[order],
            arrays["count"][order],
            arrays["low"][order],
            arrays["high"][order],
            arrays["origin"][order],
            arrays["moments"][order],
            arrays["values"][:, order],
            arrays["scores"][:, order],
        )

    def _make(self, capacity: int) -> dict[str, NDArray[Any]]:
        return {
            "count": np.zeros(capacity, np.int64),
            "low": np.zeros((capacity, 3), np.int64),
            "high": np.zeros((capacity, 3), np.int64),
            "origin": np.zeros((capacity, 3), np.int64),
            "moments": np.zeros((capacity, 9)),
            "seen": np.zeros((self._channels, capacity), np.int64),
            "values": np.zeros((self._channels, capacity, INTENSITY_SUMS)),
            "scores": np.zeros((self._scores, capacity)),
        }

    def _reserve(self, rows: int) -> None:
        capacity = len(self._arrays["count"])
        if rows <= capacity:
            return
        grown = self._make(max(rows, 2 * capacity))
        for name, array in self._arrays.items():
            if name in ("seen", "values", "scores"):
                grown[name][:, :capacity] = array
            else:
                grown[name][:capacity] = array
        self._arrays = grown


def add_block(
    sums: Sums,
    inputs: Inputs,
    box: Box,
    frame: int | None,
    *,
    image: Source | None,
    scores: Source | None,
) -> None:
    """Read a block of the labels, and of image and scores where it has objects, and add it."""
    window = window_of(box, inputs.spatial, frame)
    labels = inputs.read_labels(window)
    if labels.any():
        sums.add(
            labels,
            tuple(start for start, _ in box),
            None if image is None else image.read(window),
            None if scores is None else scores.read(window),
        )


def number_objects(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """The labels above 0, ascending, and for each pixel the place of its label there, from 1.

    >>> values, index = number_objects(np.array([[7, 0], [9, 7]]))
    >>> values.tolist(), index.tolist()
    ([7, 9], [[[1, 0], [2, 1]]])
    """
    values, found = renumber(labels)
    index = found.astype(np.int32)
    if len(values) and int(values[0]) == 0:
        values = values[1:]
    else:
        index += 1
    return values, as_volume(index)


def as_volume(array: NDArray[Any]) -> NDArray[Any]:
    """An array (Z, Y, X) in one piece, which has one plane if it was (Y, X)."""
    return np.ascontiguousarray(array if array.ndim == 3 else array[None])


def native(values: NDArray[Any]) -> NDArray[Any]:
    """Values in a type that machine code is compiled for."""
    if values.dtype.kind == "b":
        return values.view(np.uint8)
    if values.dtype == np.float16:
        return values.astype(np.float32)
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        return values.astype(np.float64)
    return values.astype(values.dtype.newbyteorder("="), copy=False)
