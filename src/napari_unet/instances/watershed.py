"""Objects as the hills of a height map, split where the map dips: two passes and a short list.

Every pixel leads to its highest neighbour, across a plateau to the nearest pixel that has a
higher one, and so up to a peak; what leads to one peak is a basin. The places where basins
meet are then taken from the highest down: of two objects that meet, the lower one is absorbed
unless its peak rises at least the depth above the meeting. These are the dynamics of peaks
(Grimaud 1992) on the watershed of steepest ascent (Cousty et al. 2009). Heights are rounded
to 1/4096; meetings of one height are taken in the order of their coordinates. On a plateau, what
is more than `LEVEL_REACH` steps from any way up is a peak of its own that one object absorbs.

Where a pixel leads depends on its surroundings alone, so a part of a map can be flooded by
itself: a pixel on its cut sides becomes an *exit*, a peak of unknown height, and meetings that
its height could decide are recorded (`Part`). `napari_unet.instances.blockwise` decides them.

This module imports numba: import it where it is first needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.instances import _kernels as kernels
from napari_unet.instances._kernels import EXIT, LEVELS, NEAR, PRIVATE
from napari_unet.instances._levels import LEVEL_REACH, raise_level_ground, round_heights
from napari_unet.tiling import Region

SURROUNDINGS = LEVEL_REACH + 1
"""Pixels around a part that its levels depend on."""


def object_watershed(
    foreground: NDArray[Any],
    height: NDArray[Any],
    threshold: float,
    depth: float,
    min_size: int = 0,
) -> NDArray[np.int32]:
    """The objects of a map.

    Parameters
    ----------
    foreground, height : ([Z,] Y, X) float array
        Pixels with ``foreground > threshold`` are flooded; heights count within 0..1. Both
        are taken as float32.
    threshold : float
        Of the foreground.
    depth : float
        Smallest dip, in 0..1, between two objects that touch.
    min_size : int
        Objects of fewer pixels are dropped.

    Returns
    -------
    ([Z,] Y, X) int32 array
        Labels from 1, numbered as they come in memory; 0 is background. Pixels are neighbours
        across a face. Each piece of the foreground holds at least one object.

    Examples
    --------
    >>> height = np.array([[0.2, 0.9, 0.6, 0.8, 0.75, 0.8, 0.2]])
    >>> object_watershed(height, height, 0.1, 0.1).tolist()
    [[1, 1, 1, 2, 2, 2, 2]]
    """
    field = _Field.of(foreground, height, threshold)
    basins, places, _, pairs = field.flood(None)
    peaks = field.flat[places].astype(np.int64)
    objects = kernels.join_whole(field.flat, basins, pairs, peaks, _levels(depth))
    out = np.empty(field.volume, np.int32)
    kernels.number(basins, objects, max(min_size, 1), out, *field.layout())
    return out.reshape(foreground.shape)


@dataclass(frozen=True)
class Part:
    """The basins of a part of a map, and what the rest of the map decides.

    Attributes
    ----------
    labels : ([Z,] Y, X) int32 array
        What stands in the core for the basins of its pixels, numbered from 1 as they come;
        0 is background.
    names : (N,) int64 array
        The basins that labels 1 to N stand for. One that no other part knows of is replaced by
        one whose object it surely belongs to.
    sizes : (N,) int64 array
        Pixels of each label.
    places : (basins + 1,) int64 array
        Index of each basin's peak or exit in the raveled part.
    peaks : (basins + 1,) int64 array
        The level of that place, from 2 to `HIGHEST`.
    exits : (basins + 1,) bool array
        Whether it is an exit.
    edges : (N, 4) int64 array
        Meetings to be decided: level, index in the raveled part, and two basins.
    """

    labels: NDArray[np.int32]
    names: NDArray[np.int64]
    sizes: NDArray[np.int64]
    places: NDArray[np.int64]
    peaks: NDArray[np.int64]
    exits: NDArray[np.bool_]
    edges: NDArray[np.int64]


def block_watershed(
    foreground: NDArray[Any],
    height: NDArray[Any],
    threshold: float,
    depth: float,
    part: Region,
    zones: NDArray[np.uint8],
    core: Region,
) -> Part:
    """The basins of a part of a map, and the meetings that are not decided within it.

    Parameters
    ----------
    foreground, height, threshold, depth
        As in `object_watershed`, of the part and what surrounds it.
    part : tuple of slice
        Where the part lies in them: `SURROUNDINGS` or more from each side where the map goes on.
    zones : ([Z,] Y, X) uint8 array
        PRIVATE, FACE, NEAR, FAR or EXIT. The cores of all parts make up the map; each part
        records the meetings whose first pixel, in the order of memory, lies in its core.
    core : tuple of slice
        Where the zones are PRIVATE and FACE.
    """
    field = _Field.of(foreground, height, threshold).crop(part)
    padded = np.zeros(field.flat.size, np.uint8)
    field.inner(padded)[:] = zones.reshape(field.volume)
    basins, places, seen, pairs = field.flood(padded)
    peaks = field.flat[places].astype(np.int64)
    exits = padded[places] == EXIT
    exits[0], exits[seen + 1 :] = False, True
    shared, near = np.zeros((2, places.size), np.bool_)
    shared[basins[padded > PRIVATE]] = True
    near[basins[padded <= NEAR]] = True
    objects, handles, edges, count = kernels.join_part(
        field.flat, basins, pairs, peaks, _levels(depth), padded, exits, shared, near | exits
    )
    names = np.where(shared, np.arange(shared.size), handles[objects])
    edges = edges[:count].copy()
    edges[:, 1] = field.unpadded(edges[:, 1])
    starts, shape = [s.start for s in core], [s.stop - s.start for s in core]
    labels = np.empty((*[1] * (3 - len(core)), *shape), np.int32)
    sizes, numbers = kernels.number(basins, names, 0, labels, *field.layout(*starts))
    order = np.flatnonzero(numbers)
    order = order[np.argsort(numbers[order])]
    return Part(
        labels.reshape(shape),
        order,
        sizes[order],
        field.unpadded(places),
        peaks,
        exits,
        edges,
    )


def join_regions(
    peaks: NDArray[np.int64],
    same: NDArray[np.int64],
    edges: NDArray[np.int64],
    depth: float,
) -> NDArray[np.int64]:
    """Decide the meetings of all parts.

    Parameters
    ----------
    peaks : (N,) int64 array
        Level of each basin's peak, as far as it is known.
    same : (M, 2) int64 array
        Basins that are one.
    edges : (K, 3) int64 array
        Level and two basins, from the highest level down and each level in the order of
        coordinates.
    depth : float
        As in `object_watershed`.

    Returns
    -------
    (N,) int64 array
        For each basin the one that stands for its object.

    Examples
    --------
    >>> peaks = np.array([4000, 3000, 2000])
    >>> join_regions(
    ...     peaks, np.zeros((0, 2), int), np.array([[1900, 1, 2], [100, 0, 1]]), 0.1
    ... ).tolist()
    [0, 1, 1]
    """
    objects: NDArray[np.int64] = kernels.join_parts(peaks.copy(), same, edges, _levels(depth))
    return objects


def _levels(depth: float) -> int:
    return 2 * max(1, int(depth * LEVELS + 1e-6))


@dataclass(frozen=True)
class _Field:
    """Levels of a map with a border of background: 2 to `HIGHEST`, and 0 outside."""

    volume: tuple[int, int, int]
    levels: NDArray[np.uint16]
    pixels: int

    @classmethod
    def of(cls, foreground: NDArray[Any], height: NDArray[Any], threshold: float) -> _Field:
        field = cls._empty(foreground.shape)
        volume = field.volume
        pixels = round_heights(
            np.ascontiguousarray(foreground, np.float32).reshape(volume),
            np.ascontiguousarray(height, np.float32).reshape(volume),
            np.float32(threshold),
            field.flat,
            *field.layout(),
        )
        raise_level_ground(field.flat, field._steps())
        return cls(volume, field.levels, pixels)

    @classmethod
    def _empty(cls, shape: tuple[int, ...]) -> _Field:
        deep = shape[0] if len(shape) == 3 else 1
        # a single plane has no neighbours in z, so it needs no border there
        border = 2 if deep > 1 else 0
        levels = np.zeros((deep + border, shape[-2] + 2, shape[-1] + 2), np.uint16)
        return cls((deep, shape[-2], shape[-1]), levels, 0)

    def crop(self, part: Region) -> _Field:
        """The levels of a part."""
        inner = self.inner(self.flat)
        inner = inner[(slice(None),) * (3 - len(part)) + tuple(part)]
        cut = _Field._empty(inner.shape)
        cut.inner(cut.flat)[:] = inner
        return _Field(cut.volume, cut.levels, int(np.count_nonzero(inner)))

    @property
    def flat(self) -> NDArray[np.uint16]:
        return self.levels.ravel()

    def inner(self, padded: NDArray[Any]) -> NDArray[Any]:
        """A view of a flat array like ``levels`` without the border."""
        planes = slice(1, -1) if self.volume[0] > 1 else slice(None)
        return padded.reshape(self.levels.shape)[planes, 1:-1, 1:-1]

    def layout(self, *start: int) -> tuple[int, int, int]:
        """Where a pixel, by default the first, lies in ``flat``; steps by a row and a plane."""
        z, y, x = (*[0] * (3 - len(start)), *start)
        row = self.levels.shape[2]
        plane = row * self.levels.shape[1]
        return (z + (self.volume[0] > 1)) * plane + (y + 1) * row + x + 1, row, plane

    def unpadded(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices in the raveled volume from those in raveled ``levels``; 0 stays 0."""
        border = (int(self.volume[0] > 1), 1, 1)
        index = np.unravel_index(places, self.levels.shape)
        inner = tuple(np.maximum(i - b, 0) for i, b in zip(index, border, strict=True))
        return np.ravel_multi_index(inner, self.volume).astype(np.int64)

    def _steps(self) -> NDArray[np.int64]:
        """To the neighbours of a pixel in ``flat``, in their order."""
        _, row, plane = self.layout()
        forward = [1, row] if self.volume[0] == 1 else [1, row, plane]
        return np.array([*[-s for s in reversed(forward)], *forward], np.int64)

    def flood(self, zones: NDArray[np.uint8] | None) -> tuple[Any, Any, int, Any]:
        """Basins (flat, with the border), their places, and the meetings from the top down."""
        steps = self._steps()
        basins = np.zeros(self.flat.size, np.int32 if self.flat.size < 2**31 else np.int64)
        places, seen, flats = kernels.climb(self.flat, self.pixels, steps, basins, zones)
        count = seen
        if zones is not None:
            count = kernels.open_plateaus(self.flat, steps, basins, zones, places, seen, flats)
        kernels.gather(basins)
        pairs = kernels.find_meetings(self.flat, basins, steps[steps.size // 2 :])
        return basins, places[: count + 1].copy(), seen, pairs
