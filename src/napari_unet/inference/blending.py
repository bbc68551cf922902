"""Overlapping tiles joined by linear ramps, for networks whose tiling cannot be exact.

Instance and group norm make each output depend on the whole input, so the tiles of such a
network disagree where they meet; ramps whose weights sum to 1 hide the seam.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.inference.plan import PredictionPlan
from napari_unet.tiling import Region, Tile


def ramp_overlap(plan: PredictionPlan) -> tuple[int, ...]:
    """How far a ramp reaches to either side of the border between two tiles.

    Half the receptive field: where the image is resampled the halo also holds the reach of
    the interpolation, which must stay free around the extended core.
    """
    return tuple(radius // 2 for radius in plan.card.architecture.receptive_field)


def split_blended(plan: PredictionPlan, tile: Tile) -> tuple[Tile, ...]:
    """Cut a tile in two; unchanged if the ramps of a half would then meet."""
    halves = plan.tiles.split(tile)
    for half in halves:
        for core, whole, overlap in zip(half.write, tile.write, ramp_overlap(plan), strict=True):
            if core != whole and core.stop - core.start < 2 * overlap:
                return (tile,)
    return halves


def extended_core(plan: PredictionPlan, tile: Tile) -> Region:
    """The core and half of the overlap with each neighbour."""
    return tuple(
        slice(max(w.start - o, b.start), min(w.stop + o, b.stop))
        for w, o, b in zip(tile.write, ramp_overlap(plan), plan.tiles.bounds, strict=True)
    )


def blend_weights(
    plan: PredictionPlan, tile: Tile, target: Region, old: tuple[int, ...]
) -> NDArray[np.float32]:
    """Linear ramps across the borders between tiles; over all tiles they sum to 1."""
    weights = np.ones((1,) * (len(target) + 1), np.float32)
    tiles = plan.tiles
    parts: Iterator[Any] = zip(
        target, tile.write, ramp_overlap(plan), tiles.bounds, tiles.shape, old, strict=True
    )
    for axis, (region, write, overlap, bound, n, o) in enumerate(parts):
        centre = (np.arange(region.start, region.stop) + 0.5) * (n / o)
        ramp = np.ones(centre.size)
        if overlap and write.start > bound.start:
            ramp *= np.clip((centre - write.start + overlap) / (2 * overlap), 0, 1)
        if overlap and write.stop < bound.stop:
            ramp *= np.clip((write.stop + overlap - centre) / (2 * overlap), 0, 1)
        shape = [1] * (len(target) + 1)
        shape[axis + 1] = ramp.size
        weights = weights * ramp.reshape(shape).astype(np.float32)
    return weights
