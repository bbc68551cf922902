"""Overlapping tiles joined by linear ramps, for networks whose tiling cannot be exact.

Instance and group norm make each output depend on the whole input, so the tiles of such a
network disagree where they meet; ramps whose weights sum to 1 hide the seam.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.prediction_plan import PredictionPlan
from napari_unet.tiling import Region, Tile


def _overlap(plan: PredictionPlan) -> tuple[int, ...]:
    return tuple(h // 2 for h in plan.tiles.halo)


def extended_core(plan: PredictionPlan, tile: Tile) -> Region:
    """The core and half of the overlap with each neighbour."""
    return tuple(
        slice(max(w.start - o, 0) if w.start else 0, min(w.stop + o, n))
        for w, o, n in zip(tile.write, _overlap(plan), plan.tiles.shape, strict=True)
    )


def blend_weights(
    plan: PredictionPlan, tile: Tile, target: Region, old: tuple[int, ...]
) -> NDArray[np.float32]:
    """Linear ramps across the borders between tiles; over all tiles they sum to 1."""
    weights = np.ones((1,) * (len(target) + 1), np.float32)
    parts: Iterator[Any] = zip(
        target, tile.write, _overlap(plan), plan.tiles.shape, old, strict=True
    )
    for axis, (region, write, overlap, n, o) in enumerate(parts):
        centre = (np.arange(region.start, region.stop) + 0.5) * (n / o)
        ramp = np.ones(centre.size)
        if overlap and write.start > 0:
            ramp *= np.clip((centre - write.start + overlap) / (2 * overlap), 0, 1)
        if overlap and write.stop < n:
            ramp *= np.clip((write.stop + overlap - centre) / (2 * overlap), 0, 1)
        shape = [1] * (len(target) + 1)
        shape[axis + 1] = ramp.size
        weights = weights * ramp.reshape(shape).astype(np.float32)
    return weights
