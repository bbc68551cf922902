"""Running a plan: tile after tile through the network, and on when memory runs out."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_unet.card import ModelCard
from napari_unet.errors import InputError, ModelError
from napari_unet.image.normalized_region import read_normalized
from napari_unet.image.source import ImageSource
from napari_unet.inference.blending import blend_weights, extended_core, split_blended
from napari_unet.inference.plan import PredictionPlan
from napari_unet.inference.prepared_network import PreparedNetwork, on_cpu
from napari_unet.inference.resampling import axis_weights, resample
from napari_unet.network.threads import LoadFollower, ThreadControl, follow_predictions
from napari_unet.tiling import Region, Tile
from napari_unet.unexpected import out_of_memory

BORDER_PIXELS = 1024  # a side of the pieces in which a border is filled in
BUSY_NOTE = "other programs kept the processor busy: went on with fewer threads"

AxisWeights = tuple[int, int, NDArray[np.float32] | None]


@dataclass(frozen=True)
class Block:
    """Scores of one part of the image.

    Attributes
    ----------
    time : int
        Time point, counted from the first one of the plan's extent.
    region : tuple of slice
        Spatial region in canonical order (ZYX or YX) on the image's grid, counted from the
        corner of the plan's extent.
    scores : (C_out, *region) float32 array
        Final scores; where tiles are blended, the tile's weighted share, to be added up.
    done, total : int
        Tiles so far and in all.
    last_of_frame : bool
        Whether it completes its plane (2D model) or time point (3D model).
    """

    time: int
    region: Region
    scores: NDArray[np.float32]
    done: int
    total: int
    last_of_frame: bool


def run_plan(
    plan: PredictionPlan,
    fallbacks: list[str] | None = None,
    chosen: Sequence[Tile] | None = None,
) -> Generator[Block, None, None]:
    """Run a plan: one `Block` a tile. Closing the generator cancels it.

    ``chosen`` are those of its tiles that are run in each frame; None: all.

    When memory runs out the tile is halved, at last on the CPU, and the run goes on from
    the tile that it had reached. What was done is added to ``fallbacks``, in words; also that
    the network ran on fewer threads, as other programs kept the processor busy.
    """
    fallbacks = [] if fallbacks is None else fallbacks
    tiles, roi = plan.tiles, plan.roi
    prepared = plan.prepared
    threads = _control_threads(plan)
    planes: Sequence[int | None] = _range(roi["Z"]) if plan.planewise else (None,)
    done = 0
    for time, plane in itertools.product(_range(roi["T"]), planes):
        if chosen is None or next(iter(tiles)) in chosen:
            for target, scores in _iter_border(plan, plane):
                first = time - roi["T"].start
                yield Block(first, target, scores, done, plan.total, last_of_frame=False)
        for whole in tiles if chosen is None else chosen:
            waiting = [whole]
            while waiting:
                tile = waiting.pop(0)
                try:
                    piece = _predict_tile(plan, prepared, threads, tile, time, plane)
                except (RuntimeError, MemoryError) as error:
                    if not out_of_memory(error):
                        raise
                    halves = split_blended(plan, tile) if plan.blended else tiles.split(tile)
                    if len(halves) > 1:
                        waiting = [*halves, *waiting]
                        _note(fallbacks, "out of memory: tiles were halved")
                    elif prepared.device.type != "cpu":
                        prepared = on_cpu(prepared)
                        _note(fallbacks, "out of memory: went on with float32 on the CPU")
                        waiting.insert(0, tile)
                    else:
                        raise InputError(
                            "There is not enough memory even for the smallest tile",
                            "close other programs, or use a smaller model",
                            code="out-of-memory",
                        ) from None
                    continue
                if threads.reduced:
                    _note(fallbacks, BUSY_NOTE)
                done += not waiting
                last = not waiting and done % len(tiles) == 0
                yield Block(time - roi["T"].start, *piece, done, plan.total, last)


def _control_threads(plan: PredictionPlan) -> ThreadControl:
    """Fixed threads unless they are to follow the load: equal calls give equal labels."""
    prepared, architecture = plan.prepared, plan.card.architecture

    def follow(maximum: int) -> LoadFollower:
        return follow_predictions(architecture, prepared.precision, maximum)

    return ThreadControl(plan.settings.threads, prepared.device, follow)


def _range(part: slice) -> range:
    return range(part.start, part.stop)


def _note(fallbacks: list[str], text: str) -> None:
    if text not in fallbacks:
        fallbacks.append(text)


def _predict_tile(
    plan: PredictionPlan,
    prepared: PreparedNetwork,
    threads: ThreadControl,
    tile: Tile,
    time: int,
    plane: int | None,
) -> tuple[Region, NDArray[np.float32]]:
    config = plan.card.architecture
    view = plan.view
    old = view.spatial_shape[-config.ndim :]
    new = plan.tiles.shape
    write = extended_core(plan, tile) if plan.blended else tile.write
    target, back = _image_region(write, new, old)
    sizes = tuple(part.stop - part.start for part in target)
    if 0 in sizes or (plan.constant and plan.card.task == "instance"):
        # no pixel has its centre here (a coarse image), or none has any contrast
        scores = np.zeros((config.out_channels, *sizes), np.float32)
    else:
        block, missing = _network_input(plan, view, tile.read, time, plane, old, new)
        with threads.measure(block.size):  # not the reading of the image
            logits = _average_flips(prepared, block) if plan.settings.flips else prepared(block)
        with torch.inference_mode():
            maps = _activate(logits, plan.card).cpu().numpy()
        if not np.isfinite(maps).all():
            raise _no_numbers(plan, prepared)
        cut: list[slice] = []
        weights: list[NDArray[np.float32] | None] = []
        for part, offset in zip(back, tile.read, strict=True):
            first, last, matrix = part
            cut.append(slice(first - offset.start, last - offset.start))
            weights.append(matrix)
        scores = maps[(slice(None), *cut)]
        if new != old:
            scores = resample(scores, weights, range(1, scores.ndim))
        scores = np.ascontiguousarray(scores, np.float32)
        if missing is not None:
            _clear_missing(plan.card, scores, missing.at(target))
    if plan.blended:
        scores = scores * blend_weights(plan, tile, target, old)
    corner = [part.start for part in _window(plan)]
    target = tuple(slice(t.start + n, t.stop + n) for t, n in zip(target, corner, strict=True))
    return _put_in_plane(plan, plane, *_cut(target, scores, plan.region[-config.ndim :]))


def _put_in_plane(
    plan: PredictionPlan, plane: int | None, target: Region, scores: NDArray[np.float32]
) -> tuple[Region, NDArray[np.float32]]:
    """A region and its scores with the axis Z, where a 2D model goes over a stack."""
    if plane is None:
        return target, scores
    first = plane - plan.roi["Z"].start
    return (slice(first, first + 1), *target), scores[:, None]


def _window(plan: PredictionPlan) -> Region:
    """What of the image the network sees, per axis of the network."""
    source, window = plan.source, plan.limits.window
    parts = [window.get(axis, slice(0, source.size(axis))) for axis in source.spatial]
    return tuple(parts[-plan.card.architecture.ndim :])


def _iter_border(
    plan: PredictionPlan, plane: int | None
) -> Iterator[tuple[Region, NDArray[np.float32]]]:
    """Regions of a frame in which nothing of the image is, and their scores."""
    if not plan.limits.window:
        return
    config = plan.card.architecture
    wanted, window = plan.region[-config.ndim :], _window(plan)
    before: list[slice] = []
    for axis, (part, inner) in enumerate(zip(wanted, window, strict=True)):
        last = min(max(inner.start, part.start), part.stop)
        first = max(min(inner.stop, part.stop), part.start)
        for side in (slice(part.start, last), slice(first, part.stop)):
            for region in _pieces((*before, side, *wanted[axis + 1 :])):
                sizes = [each.stop - each.start for each in region]
                scores = np.zeros((config.out_channels, *sizes), np.float32)
                _clear_missing(plan.card, scores, np.ones(sizes, bool))
                yield _put_in_plane(plan, plane, *_cut(region, scores, wanted))
        before.append(slice(last, max(first, last)))


def _pieces(region: Region) -> Iterator[Region]:
    """A region in pieces of `BORDER_PIXELS` a side; none where it is empty."""
    steps = [range(part.start, part.stop, BORDER_PIXELS) for part in region]
    for corner in itertools.product(*steps):
        yield tuple(
            slice(c, min(c + BORDER_PIXELS, part.stop))
            for c, part in zip(corner, region, strict=True)
        )


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


class _Missing(NamedTuple):
    """Pixels that are NaN, infinite or fill around the image, of what was read for a tile."""

    mask: NDArray[np.bool_]
    region: Region

    def at(self, target: Region) -> NDArray[np.bool_]:
        return self.mask[
            tuple(
                slice(t.start - r.start, t.stop - r.start)
                for t, r in zip(target, self.region, strict=True)
            )
        ]


def _clear_missing(
    card: ModelCard, scores: NDArray[np.float32], missing: NDArray[np.bool_]
) -> None:
    """Make pixels that are missing background; values of a regression become NaN."""
    if card.task == "regression":
        scores[:, missing] = np.nan
        return
    scores[:, missing] = 0
    if card.task == "semantic":
        scores[0, missing] = 1


def _cut(
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


def _network_input(
    plan: PredictionPlan,
    view: ImageSource,
    read: Region,
    time: int,
    plane: int | None,
    old: tuple[int, ...],
    new: tuple[int, ...],
) -> tuple[NDArray[np.float32], _Missing | None]:
    """Normalised pixels of a read region, and which are missing.

    Past the image's far end its edge is repeated.
    """
    inside = [slice(r.start, min(r.stop, n)) for r, n in zip(read, new, strict=True)]
    parts: list[AxisWeights] = [
        axis_weights(r.start, r.stop, n, o) if n != o else (r.start, r.stop, None)
        for r, n, o in zip(inside, new, old, strict=True)
    ]
    region = tuple(slice(first, last) for first, last, _ in parts)
    if plane is not None:
        region = (slice(plane, plane + 1), *region)
    block, mask, fill = read_normalized(view, time, region, plan.limits, plane or 0)
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
    return block, None if mask is None else _Missing(mask, spatial)


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
