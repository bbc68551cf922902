"""One tile of a plan: what the network needs of the image, and the scores that it gives."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_unet.card import ModelCard
from napari_unet.errors import ModelError
from napari_unet.image.normalized_region import read_normalized
from napari_unet.inference.blending import blend_weights, extended_core
from napari_unet.inference.plan import PredictionPlan
from napari_unet.inference.prepared_network import PreparedNetwork
from napari_unet.inference.resampling import axis_weights, resample
from napari_unet.tiling import Region, Tile

AxisWeights = tuple[int, int, NDArray[np.float32] | None]
Piece = tuple[Region, NDArray[np.float32]]


class TileJob(NamedTuple):
    """A tile of a plane (2D model) or of a time point (3D model)."""

    tile: Tile
    time: int
    plane: int | None


class Missing(NamedTuple):
    """Pixels that are NaN, infinite or fill around the image, of what was read for a tile."""

    mask: NDArray[np.bool_]
    region: Region

    def at(self, target: Region) -> NDArray[np.bool_]:
        """Those of a part of the region."""
        return self.mask[
            tuple(
                slice(t.start - r.start, t.stop - r.start)
                for t, r in zip(target, self.region, strict=True)
            )
        ]


def put_in_plane(
    plan: PredictionPlan, plane: int | None, target: Region, scores: NDArray[np.float32]
) -> Piece:
    """A region and its scores with the axis Z, where a 2D model goes over a stack."""
    if plane is None:
        return target, scores
    first = plane - plan.roi["Z"].start
    return (slice(first, first + 1), *target), scores[:, None]


def window_of(plan: PredictionPlan) -> Region:
    """What of the image the network sees, per axis of the network."""
    source, window = plan.source, plan.limits.window
    parts = [window.get(axis, slice(0, source.size(axis))) for axis in source.spatial]
    return tuple(parts[-plan.card.architecture.ndim :])


def needs_network(plan: PredictionPlan, tile: Tile) -> bool:
    """Whether a tile has to be computed: some pixel has its centre there, and there is contrast."""
    target, _ = _written_region(plan, tile)
    empty = any(part.stop == part.start for part in target)
    return not (empty or (plan.constant and plan.card.task == "instance"))


def _written_region(plan: PredictionPlan, tile: Tile) -> tuple[Region, list[AxisWeights]]:
    """What of the image a tile gives scores of, and how to interpolate them."""
    write = extended_core(plan, tile) if plan.blended else tile.write
    return _image_region(write, plan.tiles.shape, plan.network_axes_shape)


def make_piece(
    plan: PredictionPlan,
    job: TileJob,
    maps: NDArray[np.float32] | None,
    missing: Missing | None = None,
) -> Piece:
    """Region and scores of a tile, on the image's grid; scores of 0 where there are no maps."""
    tile = job.tile
    target, back = _written_region(plan, tile)
    old, new = plan.network_axes_shape, plan.tiles.shape
    if maps is None:
        sizes = tuple(part.stop - part.start for part in target)
        scores = np.zeros((plan.card.architecture.out_channels, *sizes), np.float32)
    else:
        inner: list[slice] = []
        weights: list[NDArray[np.float32] | None] = []
        for part, offset in zip(back, tile.read, strict=True):
            first, last, matrix = part
            inner.append(slice(first - offset.start, last - offset.start))
            weights.append(matrix)
        scores = maps[(slice(None), *inner)]
        if new != old:
            scores = resample(scores, weights, range(1, scores.ndim))
        scores = np.ascontiguousarray(scores, np.float32)
        if missing is not None:
            clear_missing(plan.card, scores, missing.at(target))
    if plan.blended:
        scores = scores * blend_weights(plan, tile, target, old)
    corner = [part.start for part in window_of(plan)]
    target = tuple(slice(t.start + n, t.stop + n) for t, n in zip(target, corner, strict=True))
    return put_in_plane(plan, job.plane, *cut(target, scores, plan.region[-len(target) :]))


def _no_numbers(plan: PredictionPlan, prepared: PreparedNetwork) -> ModelError:
    """Why scores are NaN or infinite, though pixels that are no numbers had become 0."""
    remedy = "get a fresh copy of the model or train it anew"
    if prepared.precision != "float32":
        remedy = f"try ⟨precision='float32'⟩, or {remedy}"
    pairs = [pair for limits in plan.limits.table.values() for pair in limits]
    low, high = min(low for low, _ in pairs), max(high for _, high in pairs)
    return ModelError(
        f"The model {plan.card.name!r} gives values that are NaN or infinite, in "
        f"{prepared.precision} with intensities from {low:g} to {high:g}",
        remedy,
        parameter="model",
        code="not-finite",
    )


def clear_missing(card: ModelCard, scores: NDArray[np.float32], missing: NDArray[np.bool_]) -> None:
    """Make pixels that are missing background; values of a regression become NaN."""
    if card.task == "regression":
        scores[:, missing] = np.nan
        return
    scores[:, missing] = 0
    if card.task == "semantic":
        scores[0, missing] = 1


def cut(
    target: Region, scores: NDArray[np.float32], wanted: Region
) -> tuple[Region, NDArray[np.float32]]:
    """What of a region is wanted, counted from the corner of that; cores lie on a grid."""
    kept = [
        slice(max(t.start, w.start), max(min(t.stop, w.stop), t.start, w.start))
        for t, w in zip(target, wanted, strict=True)
    ]
    inside = tuple(
        slice(k.start - t.start, k.stop - t.start) for k, t in zip(kept, target, strict=True)
    )
    place = tuple(
        slice(k.start - w.start, k.stop - w.start) for k, w in zip(kept, wanted, strict=True)
    )
    return place, scores[(slice(None), *inside)]


def read_tile(plan: PredictionPlan, job: TileJob) -> tuple[NDArray[np.float32], Missing | None]:
    """Normalised pixels (C, *spatial) that a tile needs, and which are missing.

    Past the image's far end its edge is repeated.
    """
    read, plane = job.tile.read, job.plane
    old, new = plan.network_axes_shape, plan.tiles.shape
    inside = [slice(r.start, min(r.stop, n)) for r, n in zip(read, new, strict=True)]
    parts: list[AxisWeights] = [
        axis_weights(r.start, r.stop, n, o) if n != o else (r.start, r.stop, None)
        for r, n, o in zip(inside, new, old, strict=True)
    ]
    region = tuple(slice(first, last) for first, last, _ in parts)
    if plane is not None:
        region = (slice(plane, plane + 1), *region)
    block, mask, fill = read_normalized(plan.view, job.time, region, plan.limits, plane or 0)
    if fill is not None and plan.card.task != "regression":
        mask = fill if mask is None else mask | fill  # nothing is there: background
    if plane is not None:
        block, mask = block[:, 0], None if mask is None else mask[0]
    spatial = region if plane is None else region[1:]
    if new != old:
        block = resample(block, [matrix for _, _, matrix in parts], range(1, block.ndim))
    missing = [(0, r.stop - i.stop) for r, i in zip(read, inside, strict=True)]
    if any(after for _, after in missing):
        block = np.pad(block, [(0, 0), *missing], mode="edge")
    return block, None if mask is None else Missing(mask, spatial)


def compute_maps(
    plan: PredictionPlan, prepared: PreparedNetwork, block: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Final maps (C_out, *spatial) of what was read for a tile, on the network's grid.

    Raises
    ------
    ModelError
        If they are not finite.
    """
    logits = _average_flips(prepared, block) if plan.settings.flips else prepared(block)
    with torch.inference_mode():
        maps: NDArray[np.float32] = _activate(logits, plan.card).cpu().numpy()
    if not np.isfinite(maps).all():
        raise _no_numbers(plan, prepared)
    return maps


def _activate(logits: Tensor, card: ModelCard) -> Tensor:
    if card.task == "semantic":
        return logits.softmax(0)
    if card.task == "instance":
        return logits.sigmoid()
    if card.output_limits is None:
        return logits
    shape = (-1,) + (1,) * (logits.ndim - 1)
    low = torch.tensor([pair[0] for pair in card.output_limits], device=logits.device)
    high = torch.tensor([pair[1] for pair in card.output_limits], device=logits.device)
    return logits * (high - low).reshape(shape) + low.reshape(shape)


def _average_flips(prepared: PreparedNetwork, block: NDArray[np.float32]) -> Tensor:
    """Mean of the logits over all flips of the spatial axes."""
    axes = range(1, block.ndim)
    total: Tensor | None = None
    count = 0
    for picks in itertools.product((False, True), repeat=block.ndim - 1):
        flipped = tuple(a for a, pick in zip(axes, picks, strict=True) if pick)
        # a copy: torch refuses negative strides, which NumPy keeps on axes of one pixel
        logits = prepared(np.flip(block, flipped).copy())
        with torch.inference_mode():
            logits = logits.flip(flipped) if flipped else logits
            total = logits if total is None else total + logits
        count += 1
    assert total is not None
    with torch.inference_mode():
        return total / count


def _image_region(
    write: Region, new: tuple[int, ...], old: tuple[int, ...]
) -> tuple[Region, list[AxisWeights]]:
    """Pixels of the image whose centres lie in ``write``, and how to interpolate them."""
    target: list[slice] = []
    back: list[AxisWeights] = []
    for part, n, o in zip(write, new, old, strict=True):
        if n == o:
            target.append(part)
            back.append((part.start, part.stop, None))
            continue
        # pixel i has its centre at (i + 1/2) n / o of the network's grid; integers only
        start = -(-(2 * part.start * o - n) // (2 * n))
        stop = -(-(2 * part.stop * o - n) // (2 * n))
        target.append(slice(start, max(stop, start)))
        back.append(axis_weights(start, stop, o, n) if start < stop else (n, n, None))
    return tuple(target), back
