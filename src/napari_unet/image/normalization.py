"""Intensity limits: computed once for an image, shared by preview, training and prediction.

Percentiles come from a bounded, deterministic sample of whole chunks, so a terabyte costs
no more to look at than a small stack, and no tile is ever normalised by itself.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.card import Normalization
from napari_unet.errors import InputError, SettingsError
from napari_unet.image.source import ImageSource

SAMPLE_PIXELS = 1 << 24
CHUNK = 512  # where the array names no chunks of its own


@dataclass(frozen=True)
class ImageSample:
    """What the sample of an image tells.

    Attributes
    ----------
    limits : IntensityLimits
        Intensities that become 0 and 1.
    sha256 : str
        Of the sampled pixels of the whole image, whichever the normalisation.
    """

    limits: IntensityLimits
    sha256: str


def measure_sample(source: ImageSource, normalization: Normalization) -> ImageSample:
    """Limits and hash of an image; where both come from the same pixels they are read once.

    Raises
    ------
    InputError, SettingsError
        As `find_limits` does.
    """
    digest = hashlib.sha256()

    def update_digest(block: NDArray[Any]) -> None:
        digest.update(np.ascontiguousarray(block).data)

    if normalization.mode == "percentile" and normalization.scope == "image":
        limits = find_limits(source, normalization, on_block=update_digest)
    else:
        limits = find_limits(source, normalization)
        for block in sample_blocks(source):
            update_digest(block)
    return ImageSample(limits, digest.hexdigest())


Limits = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class IntensityLimits:
    """The (low, high) of each channel that become 0 and 1.

    Attributes
    ----------
    scope : {"image", "time", "plane"}
        What one entry of ``table`` holds for.
    table : dict
        Limits by (time, plane); the index that the scope does not use is 0.
    """

    scope: str
    table: dict[tuple[int, int], Limits]

    def at(self, time: int = 0, plane: int = 0) -> Limits:
        """Limits of each channel at a time point and plane."""
        return self.table[
            time if self.scope in ("time", "plane") else 0, plane if self.scope == "plane" else 0
        ]

    def as_list(self) -> list[list[list[float]]]:
        """Limits for the run record: one entry per place, per channel, (low, high)."""
        return [[list(pair) for pair in limits] for limits in self.table.values()]


def find_limits(
    source: ImageSource,
    normalization: Normalization,
    *,
    on_block: Callable[[NDArray[Any]], None] | None = None,
) -> IntensityLimits:
    """Limits of each channel of an image.

    Parameters
    ----------
    source : ImageSource
        The image.
    normalization : Normalization
        Percentiles and their scope, or a fixed range.
    on_block : callable, optional
        Called with each block (C, *spatial) that is read.

    Raises
    ------
    InputError
        If the sample has NaN or infinite pixels.
    SettingsError
        If a fixed range names another number of channels.
    """
    channels = len(source.channels)
    if normalization.mode != "percentile":
        pairs: Sequence[tuple[float, float]] = normalization.limits or ((0.0, 1.0),)
        if len(pairs) == 1:
            pairs = tuple(pairs) * channels
        if len(pairs) != channels:
            raise SettingsError(
                f"⟨normalization⟩ limits name {len(pairs)} channels, the model takes {channels}",
                parameter="normalization",
                value=pairs,
            )
        return IntensityLimits("image", {(0, 0): tuple(pairs)})
    scope = normalization.scope
    if scope == "plane" and "Z" not in source.axes:
        scope = "time"
    times = range(source.times)
    planes = range(source.size("Z"))
    table: dict[tuple[int, int], Limits] = {}
    if scope == "image":
        table[0, 0] = _percentiles(source, times, planes, normalization, on_block)
    elif scope == "time":
        for t in range(source.times):
            times = range(t, t + 1)
            table[t, 0] = _percentiles(source, times, planes, normalization, on_block)
    else:
        for t, z in itertools.product(times, planes):
            place = range(t, t + 1), range(z, z + 1)
            table[t, z] = _percentiles(source, *place, normalization, on_block)
    return IntensityLimits(scope, table)


def normalize(block: NDArray[Any], limits: Limits) -> NDArray[np.float32]:
    """Map (C, *spatial) pixels so that each channel's limits become 0 and 1.

    A channel whose limits coincide (a constant image) becomes 0.
    """
    out = np.empty(block.shape, np.float32)
    for channel, (low, high) in enumerate(limits):
        if high > low:
            wide = block[channel].astype(np.float64) - low  # float32 cannot hold all limits
            out[channel] = wide / (high - low)
        else:
            out[channel] = 0
    return out


def check_finite(block: NDArray[Any]) -> None:
    """Raise `InputError` if a block of pixels has NaN or infinities."""
    if block.dtype.kind == "f" and not np.isfinite(block).all():
        what = "NaN" if np.isnan(block).any() else "infinite"
        raise InputError(
            f"The image has {what} pixels",
            "replace them first, for example with np.nan_to_num",
            parameter="image",
            code="not-finite",
        )


def _percentiles(
    source: ImageSource,
    times: range,
    planes: range,
    normalization: Normalization,
    on_block: Callable[[NDArray[Any]], None] | None,
) -> Limits:
    samples: list[list[NDArray[Any]]] = [[] for _ in source.channels]
    for time, region in _sample_regions(source, times, planes):
        block = source.read(time, region)
        if on_block is not None:
            on_block(block)
        check_finite(block)
        for channel, pixels in enumerate(block):
            samples[channel].append(pixels.ravel())
    limits = []
    for parts in samples:
        pixels = np.concatenate(parts)
        if pixels.dtype.kind == "b":
            pixels = pixels.astype(np.uint8)
        low, high = np.percentile(pixels, (normalization.lower, normalization.upper))
        if low == high:  # nearly constant, or a few bright pixels: take the full range
            low, high = pixels.min(), pixels.max()
        limits.append((float(low), float(high)))
    return tuple(limits)


def sample_blocks(source: ImageSource) -> Iterator[NDArray[Any]]:
    """The sample of a whole image from which its limits come, (C, *spatial) blocks."""
    for time, region in _sample_regions(source, range(source.times), range(source.size("Z"))):
        yield source.read(time, region)


def _sample_regions(
    source: ImageSource, times: range, planes: range
) -> list[tuple[int, tuple[slice, ...]]]:
    """Whole chunks, evenly spread, of at most `SAMPLE_PIXELS` pixels together."""
    chunk = _chunk_shape(source)
    chunk["Z"] = min(chunk.get("Z", 1), len(planes))
    ranges = [
        range(planes.start, planes.stop, chunk["Z"]) if axis == "Z" else range(0, size, chunk[axis])
        for axis, size in zip(source.spatial, source.spatial_shape, strict=True)
    ]
    ends = [
        planes.stop if axis == "Z" else size
        for axis, size in zip(source.spatial, source.spatial_shape, strict=True)
    ]
    sizes = [chunk[axis] for axis in source.spatial]
    budget = max(1, SAMPLE_PIXELS // math.prod(sizes))
    starts = (times, *ranges)
    counts = [len(places) for places in starts]
    total = math.prod(counts)
    picked = np.arange(min(total, budget))
    if total > budget:
        # a fixed shuffle, not a fixed step: a step can fall in with a period of the image
        picked = np.sort(np.random.default_rng(0).choice(total, budget, replace=False))
    regions = []
    for place in zip(*np.unravel_index(picked, counts), strict=True):
        time, *corner = (values[int(i)] for values, i in zip(starts, place, strict=True))
        ranges_of = zip(corner, sizes, ends, strict=True)
        regions.append((time, tuple(slice(c, min(c + n, end)) for c, n, end in ranges_of)))
    return regions


def _chunk_shape(source: ImageSource) -> dict[str, int]:
    chunks = getattr(source.arrays[0], "chunksize", None)  # dask
    if chunks is None:
        chunks = getattr(source.arrays[0], "chunks", None)  # zarr
    shape = source.arrays[0].shape
    if not chunks or len(chunks) != len(shape) or not all(isinstance(c, int) for c in chunks):
        chunks = [
            n if axis not in "YX" else CHUNK for axis, n in zip(source.axes, shape, strict=True)
        ]
        chunks = [1 if a == "Z" else c for a, c in zip(source.axes, chunks, strict=True)]
    found = dict(zip(source.axes, chunks, strict=True))
    # one huge chunk would break the bound
    return {
        axis: min(int(found[axis]), CHUNK if axis != "Z" else 64, source.size(axis))
        for axis in source.spatial
    }
