"""Pixels of a region as the network sees them: limits become 0 and 1, defects go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_unet.image.exclusion import HOT_RANGES, find_hot_pixels
from napari_unet.image.fill import LINE_PIXELS, find_fill_pixels
from napari_unet.image.normalization import IntensityLimits, Limits
from napari_unet.image.source import ImageSource
from napari_unet.tiling import Region

MARGIN_PIXELS = LINE_PIXELS - 1  # around a region, that decide whether a pixel is fill or hot


Masks = list[NDArray[np.bool_] | None]  # of fill, by channel


def normalize(
    block: NDArray[Any],
    limits: Limits,
    fill: Sequence[Sequence[float]] = (),
    hot: Sequence[float] = (),
    saturated: Sequence[float] = (),
) -> NDArray[np.float32]:
    """Map (C, *spatial) pixels so that each channel's limits become 0 and 1.

    A channel whose limits coincide (a constant image) becomes 0, and so do pixels that are NaN
    or infinite, and those that have a ``fill`` value of the channel as their neighbours do. A hot
    pixel takes the value of a bright neighbour, and a saturated one becomes 1, where the limits
    tell that there are any.
    """
    return _normalize(block, limits, _find_fill(block, limits, fill), hot, saturated)


def _normalize(
    block: NDArray[Any],
    limits: Limits,
    fill: Masks,
    hot: Sequence[float],
    saturated: Sequence[float],
) -> NDArray[np.float32]:
    out = np.empty(block.shape, np.float32)
    for channel, (low, high) in enumerate(limits):
        pixels = block[channel]
        if high > low:
            wide = pixels.astype(np.float64) - low  # float32 cannot hold all limits
            with np.errstate(over="ignore"):  # the scores tell of limits that lie too close
                out[channel] = wide / (high - low)
        else:
            out[channel] = 0
        if pixels.dtype.kind == "f" and not (finite := np.isfinite(pixels)).all():
            out[channel][~finite] = 0
    for channel, value in enumerate(saturated):
        out[channel][block[channel] >= value] = 1
    for channel, (excess, (low, high)) in enumerate(zip(hot, limits, strict=False)):
        if excess > 0 and high > low:
            _replace_hot(out[channel], excess / (high - low))
    for channel, mask in enumerate(fill):
        if mask is not None:
            out[channel][mask] = 0
    return out


class NormalizedRegion(NamedTuple):
    """What the network sees of a region.

    Attributes
    ----------
    pixels : (C, *spatial) float32 array
        Normalised pixels.
    missing : (*spatial) bool array or None
        Pixels that are NaN or infinite in a channel, unless that stands for saturated ones; None
        where there are none.
    fill : (*spatial) bool array or None
        Pixels that are fill around the image in all channels; None where there are none.
    """

    pixels: NDArray[np.float32]
    missing: NDArray[np.bool_] | None
    fill: NDArray[np.bool_] | None = None


def read_normalized(
    source: ImageSource,
    time: int,
    region: Region,
    limits: IntensityLimits,
    plane: int = 0,
) -> NormalizedRegion:
    """A region, read once and normalised; fill around the image becomes 0.

    Fill and hot pixels are told by their neighbours in the plane, of the image and not of the
    region, so that regions join without seams.

    Parameters
    ----------
    source : ImageSource
        The image.
    time : int
        Time point.
    region : tuple of slice
        In the order of ``source.spatial``.
    limits : IntensityLimits
        From `find_limits`.
    plane : int
        Whose limits count, where each plane has its own.
    """
    pairs = limits.at(time, plane)
    if not limits.has_defects:
        block = source.read(time, region)
        pixels = normalize(block, pairs, saturated=limits.saturated)
        return NormalizedRegion(pixels, _find_missing(block, limits.saturated))
    shape = source.spatial_shape
    grown = tuple(
        slice(max(part.start - MARGIN_PIXELS, 0), min(part.stop + MARGIN_PIXELS, size))
        if axis in "YX"
        else part
        for axis, part, size in zip(source.spatial, region, shape, strict=True)
    )
    inner = (
        slice(None),
        *(
            slice(part.start - wide.start, part.stop - wide.start)
            for part, wide in zip(region, grown, strict=True)
        ),
    )
    block = source.read(time, grown)
    masks = _find_fill(block, pairs, limits.fill)
    pixels = _normalize(block, pairs, masks, limits.hot, limits.saturated)[inner]
    fill = _join(masks, len(block))
    return NormalizedRegion(
        np.ascontiguousarray(pixels),
        _find_missing(block[inner], limits.saturated),
        None if fill is None else fill[inner[1:]],
    )


def _find_fill(block: NDArray[Any], limits: Limits, fill: Sequence[Sequence[float]]) -> Masks:
    """Pixels of each channel that are fill."""
    return [
        find_fill_pixels(pixels, values, *pair) if values else None
        for pixels, values, pair in zip(block, fill, limits, strict=False)
    ]


def _join(masks: Masks, channels: int) -> NDArray[np.bool_] | None:
    """Pixels that are fill in all channels."""
    known = [mask for mask in masks if mask is not None]
    if len(known) < channels:
        return None
    found: NDArray[np.bool_] = np.logical_and.reduce(known)
    return found if found.any() else None


def _find_missing(block: NDArray[Any], saturated: Sequence[float]) -> NDArray[np.bool_] | None:
    """Pixels that are no number in a channel, but for those that are infinitely bright there."""
    if block.dtype.kind != "f":
        return None
    known = np.isfinite(block)
    for channel, value in enumerate(saturated):
        known[channel] |= block[channel] >= value
    missing: NDArray[np.bool_] = ~known.all(0)
    return missing if missing.any() else None


def _replace_hot(values: NDArray[np.float32], excess: float) -> None:
    """Give hot pixels of normalised planes (..., Y, X) the value of a bright neighbour.

    Where there are many of them, three may adjoin; those exceed the image's range by far.
    """
    for plane in values.reshape(-1, *values.shape[-2:]):
        several = find_hot_pixels(plane, 0.0, 1.0, max(excess, HOT_RANGES), rank=3)
        for found in (several, find_hot_pixels(plane, 0.0, 1.0, excess)):
            plane[found.rows, found.columns] = found.neighbours
