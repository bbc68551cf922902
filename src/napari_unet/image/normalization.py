"""Intensity limits: computed once for an image, shared by preview, training and prediction.

Percentiles come from a bounded, deterministic sample of whole chunks, so a terabyte costs
no more to sample than a small stack, and no tile is ever normalised by itself.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.card import Normalization
from napari_unet.errors import InputError, SettingsError
from napari_unet.image.border import find_window
from napari_unet.image.domain import Profile
from napari_unet.image.exclusion import SampledPlane
from napari_unet.image.intensity_range import IntensityRange, find_range
from napari_unet.image.source import ImageSource, Window, invert

SAMPLE_PIXELS = 1 << 24
SAMPLE_CHUNKS = 1 << 12  # reading one takes time, however few pixels it has
DEFAULT_CHUNK_PIXELS = 512  # where the array names no chunks of its own


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
    left_out : dict
        Sampled pixels that were not counted, by the reason: "nan", "infinite", "fill",
        "saturated", "hot"; "frames": whole frames unlike the others; "speckles": single bright
        pixels that were counted, as there are too many; "noise": all, where there is nothing else.
    fill : tuple of tuple of float
        Values of each channel's fill around the image; empty where there is none.
    hot : tuple of float
        By how much hot pixels of each channel exceed their neighbours, 0 where it has none;
        empty where no channel has any.
    saturated : tuple of float
        From which value pixels of each channel are saturated, infinity where that hides nothing;
        empty where it does in no channel.
    profile : tuple of tuple of float
        Normalised intensities of each channel at `PROFILE_PERCENTILES`, the mean over the entries
        of ``table``; empty where that was not measured.
    window : mapping of str to slice
        Rows and columns inside straight borders of fill, to which all the rest applies: the part
        that the network sees. Empty where there is no such border.
    """

    scope: str
    table: dict[tuple[int, int], Limits]
    left_out: dict[str, int] = field(default_factory=dict)
    fill: tuple[tuple[float, ...], ...] = ()
    hot: tuple[float, ...] = ()
    saturated: tuple[float, ...] = ()
    profile: Profile = ()
    window: Window = field(default_factory=dict)

    @property
    def has_defects(self) -> bool:
        """Whether there are pixels that are told by their neighbours."""
        return any(self.fill) or any(self.hot)

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
    """Limits of each channel of an image, and the part of it that is no border of fill.

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
        If all of the sample is NaN or infinite.
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
        # the range is one of the image as it is
        if source.inverted and (normalization.mode == "range" or source.dtype.kind == "f"):
            pairs = tuple((invert_value(b, source), invert_value(a, source)) for a, b in pairs)
        return IntensityLimits("image", {(0, 0): tuple(pairs)})
    found = _find_percentiles(source, normalization, on_block)
    if not any(found.fill) and not {"nan", "infinite"} & set(found.left_out):
        return found
    window = find_window(source, found.fill)
    if not window:
        return found
    # as of an image that never had a border
    inner = _find_percentiles(replace(source, window=window), normalization, None)
    border = {why: n for why, n in found.left_out.items() if why in ("fill", "nan", "infinite")}
    return replace(inner, left_out={**inner.left_out, **border}, window=window)


def _find_percentiles(
    source: ImageSource,
    normalization: Normalization,
    on_block: Callable[[NDArray[Any]], None] | None,
) -> IntensityLimits:
    channels = len(source.channels)
    scope = normalization.scope
    if scope == "plane" and "Z" not in source.axes:
        scope = "time"
    times = range(source.times)
    planes = range(source.size("Z"))
    table: dict[tuple[int, int], Limits] = {}
    found: list[list[IntensityRange]] = []
    if scope == "image":
        ranges = _channel_ranges(source, times, planes, normalization, on_block)
        found = [ranges]
        if any(each.by_time for each in ranges):
            scope, table = "time", _table_by_time(ranges, times)
        else:
            table[0, 0] = _pairs(ranges)
    else:
        for t, z in itertools.product(times, planes if scope == "plane" else (None,)):
            part = planes if z is None else range(z, z + 1)
            found.append(_channel_ranges(source, range(t, t + 1), part, normalization, on_block))
            table[t, z or 0] = _pairs(found[-1])
    left_out: Counter[str] = Counter()
    for each in itertools.chain.from_iterable(found):
        left_out.update(each.left_out)
    if found and all(each.is_empty for each in itertools.chain.from_iterable(found)):
        raise InputError(
            "The image has no pixel that is a number: all are NaN or infinite",
            "check how it was made, or take another one",
            parameter="image",
            code="not-finite",
        )
    fill = [{v for ranges in found for v in ranges[c].fill} for c in range(channels)]
    values = tuple(tuple(sorted(each)) for each in fill) if any(fill) else ()
    excess = [max((r[c].hot_excess for r in found), default=0.0) for c in range(channels)]
    hot = tuple(excess) if any(excess) else ()
    ends = tuple(min((r[c].saturated for r in found), default=math.inf) for c in range(channels))
    saturated = ends if min(ends) < math.inf else ()
    profiles = [[r[c].profile for r in found if r[c].profile] for c in range(channels)]
    profile = tuple(tuple(np.mean(each, 0).tolist()) for each in profiles if each)
    return IntensityLimits(scope, table, dict(left_out), values, hot, saturated, profile)


def invert_value(value: float, source: ImageSource) -> float:
    """What an intensity is in the negative of an image, also one that its dtype cannot hold."""
    zero = invert(np.zeros(1, source.dtype))[0]
    return float(zero) - value


def _pairs(ranges: Sequence[IntensityRange]) -> Limits:
    return tuple((found.low, found.high) for found in ranges)


def _table_by_time(ranges: Sequence[IntensityRange], times: range) -> dict[tuple[int, int], Limits]:
    """Limits of each time point; between those that were sampled, interpolated."""
    channels = []
    for found in ranges:
        known = found.by_time or {0: (found.low, found.high)}
        ends = np.array(list(known.values()))
        channels.append([np.interp(times, list(known), ends[:, i]) for i in range(2)])
    return {(t, 0): tuple((float(low[t]), float(high[t])) for low, high in channels) for t in times}


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


def _channel_ranges(
    source: ImageSource,
    times: range,
    planes: range,
    normalization: Normalization,
    on_block: Callable[[NDArray[Any]], None] | None,
) -> list[IntensityRange]:
    samples: list[list[SampledPlane]] = [[] for _ in source.channels]
    for time, region in _sample_regions(source, times, planes):
        block = source.read(time, region)
        if on_block is not None:
            on_block(block)
        first = region[0].start if len(region) == 3 else 0
        for channel, pixels in enumerate(block):
            stack = pixels if pixels.ndim == 3 else pixels[None]
            samples[channel] += [
                SampledPlane(time, first + i, plane) for i, plane in enumerate(stack)
            ]
    return [find_range(each, normalization.lower, normalization.upper) for each in samples]


def sample_blocks(source: ImageSource) -> Iterator[NDArray[Any]]:
    """The sample of a whole image from which its limits come, (C, *spatial) blocks."""
    for time, region in _sample_regions(source, range(source.times), range(source.size("Z"))):
        yield source.read(time, region)


def _sample_regions(
    source: ImageSource, times: range, planes: range
) -> list[tuple[int, tuple[slice, ...]]]:
    """Up to `SAMPLE_CHUNKS` whole chunks, evenly spread, of at most `SAMPLE_PIXELS` together."""
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
    budget = max(1, min(SAMPLE_PIXELS // math.prod(sizes), SAMPLE_CHUNKS))
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
            n if axis not in "YX" else DEFAULT_CHUNK_PIXELS
            for axis, n in zip(source.axes, shape, strict=True)
        ]
        chunks = [1 if a == "Z" else c for a, c in zip(source.axes, chunks, strict=True)]
    found = dict(zip(source.axes, chunks, strict=True))
    # one huge chunk would break the bound
    return {
        axis: min(int(found[axis]), DEFAULT_CHUNK_PIXELS if axis != "Z" else 64, source.size(axis))
        for axis in source.spatial
    }
