"""The two intensities of one channel that become 0 and 1, from its sample."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from napari_unet.image.domain import PROFILE_PERCENTILES
from napari_unet.image.exclusion import (
    SampledPlane,
    count_speckles,
    find_lumps,
    find_unlike_frames,
    mask_hot_pixels,
)
from napari_unet.image.fill import Fill, Mask, find_fill, find_gaps
from napari_unet.image.noise import (
    NOISE_ABOVE,
    PixelArray,
    correlate_neighbours,
    estimate_noise,
    find_correlated_noise,
)
from napari_unet.image.noise_marks import is_noise_alone

NOISE_BELOW = 6  # deviations between median and 1st percentile of noise alone, at most
WHITE = 0.1  # correlation of neighbouring pixels, below which there is mostly noise
NOISE_PIXELS = 8192  # of a sample from which noise alone can be told by its percentiles
NOISE_HEIGHTS = 25  # times the height of its 99.8th percentile, that noise alone is stretched over
NOISE_RANGE = 20  # deviations that an image of noise alone is stretched over
SMOOTH_RANGE = 80  # likewise, of noise that was smoothed: its grains look like objects
OBJECT_DEVIATIONS = 8  # of smoothed noise, from which something bright is an object
SMOOTHING_PIXELS = 5  # width of the mean that tells an object from noise
FIELD_PIXELS = 61  # width of the mean that stands for the surroundings
STRUCTURED = 2  # times the expected noise; a smoothed image that varies more has structure
BRIGHT_PERCENTILE = 75  # of an image, from which neighbours of an infinite pixel are bright
OBJECT_PERCENTILE = 90  # of the pixels of objects too small for the upper percentile
SERIES_TIMES = 4  # from which a series can be seen to bleach
BLEACHED = 1.5  # ratio of the first to the last brightness
MONOTONE = -0.9  # rank correlation of brightness and time


@dataclass(frozen=True)
class IntensityRange:
    """What becomes 0 and 1 in one channel.

    Attributes
    ----------
    low, high : float
        In the image's intensities.
    left_out : mapping of str to int
        Pixels of the sample that were not counted, by the reason; ``frames`` are frames, and
        ``speckles`` were counted, though they hide the rest: single bright pixels, too many.
        ``noise``: all of them, as they show nothing else.
    fill : tuple of float
        Values of the fill around the image.
    hot_excess : float
        By how much hot pixels exceed their neighbours at least; 0 where there are none.
    saturated : float
        From which value pixels are saturated: lumps that would hide the objects, or infinity where
        the image is bright; infinity itself where there is nothing of the kind.
    is_empty : bool
        Whether no pixel is a number.
    by_time : mapping of int to (float, float)
        For a series that bleaches: the range of each sampled time point. Else empty.
    profile : tuple of float
        Normalised intensities at `PROFILE_PERCENTILES`; empty where no pixel is a number.
    """

    low: float
    high: float
    left_out: Mapping[str, int] = field(default_factory=dict)
    fill: tuple[float, ...] = ()
    hot_excess: float = 0.0
    saturated: float = math.inf
    is_empty: bool = False
    by_time: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    profile: tuple[float, ...] = ()


def find_range(planes: Sequence[SampledPlane], lower: float, upper: float) -> IntensityRange:
    """Percentiles of the pixels that say something about the image.

    Parameters
    ----------
    planes : sequence of SampledPlane
        The sample of one channel.
    lower, upper : float
        Percentiles, 0 to 100.

    Examples
    --------
    >>> import numpy as np
    >>> y, x = np.mgrid[:64, :64]
    >>> image = 500 + 100 * np.sin(x / 5 + 1) * np.sin(y / 7 + 1)
    >>> framed = np.pad(image, 20)
    >>> for each in (image, framed):
    ...     found = find_range([SampledPlane(0, 0, each)], 1, 99.8)
    ...     print(round(found.low), round(found.high), sorted(found.left_out), found.fill)
    403 599 [] ()
    403 599 ['fill'] (0.0,)
    """
    left_out: Counter[str] = Counter()
    planes, infinite = _level_infinite_peaks(_drop_frames(planes, left_out))
    kept, fill = _drop_pixels(planes, left_out)
    pixels = _join(planes, kept)
    if not pixels.size:
        return IntensityRange(0.0, 0.0, dict(left_out), fill, is_empty=True)
    low, high = (float(v) for v in np.percentile(pixels, (lower, upper)))
    speckles = count_speckles(_masked(planes, kept), low, high)
    # lumps first: the steps at their rims would be taken for noise
    without = kept if speckles else _drop_lumps(planes, kept, low, high, left_out, upper)
    saturated = infinite
    if without is not kept:
        kept, saturated = without, min(high, infinite)
        low, high = (float(v) for v in np.percentile(_join(planes, kept), (lower, upper)))
    noise = estimate_noise(_masked(planes, kept))
    hot, excess = mask_hot_pixels(_masked(planes, kept), low, high, noise)
    kept = _without(kept, hot, "hot", left_out)
    if left_out:
        pixels = _join(planes, kept)
        low, high = (float(v) for v in np.percentile(pixels, (lower, upper)))
        noise = estimate_noise(_masked(planes, kept))
    if low == high:  # nearly constant, or few bright pixels: take the full range
        low, high = float(pixels.min()), float(pixels.max())
    darkest, middle, brightest, *levels = (
        float(v) for v in np.percentile(pixels, (1, 50, 99.8, *PROFILE_PERCENTILES))
    )
    noisy = brightest - middle < NOISE_ABOVE * noise and middle - darkest < NOISE_BELOW * noise
    correlation, deviation = correlate_neighbours(_masked(planes, kept))
    if correlation < WHITE:
        noisy, noise = True, deviation
    smooth = 0.0 if noisy else find_correlated_noise(_masked(planes, kept))
    if pixels.size >= NOISE_PIXELS and is_noise_alone(_masked(planes, kept)):
        left_out["noise"] = pixels.size
        top = max(_highest(plane.pixels) for plane in planes)
        high = max(high, top, middle + NOISE_HEIGHTS * (brightest - middle))
    elif (noisy or smooth) and pixels.size >= NOISE_PIXELS:
        high = max(high, _range_of_rare_objects(planes, kept, middle, noise, smooth))
    left_out["speckles"] = speckles
    by_time = _follow_bleaching(planes, kept, low, lower, upper)
    excess = max(excess, float(np.finfo(np.float32).tiny)) if left_out["hot"] else 0.0
    profile = tuple((v - low) / (high - low) if high > low else 0.0 for v in levels)
    return IntensityRange(
        low, high, dict(+left_out), fill, excess, saturated, by_time=by_time, profile=profile
    )


def _join(planes: Sequence[SampledPlane], kept: Sequence[Mask | None]) -> PixelArray:
    """All pixels that are kept, in the order of the sample."""
    parts = [
        plane.pixels.ravel() if keep is None else plane.pixels[keep]
        for plane, keep in zip(planes, kept, strict=True)
    ]
    pixels = np.concatenate(parts) if parts else np.zeros(0)
    return pixels.astype(np.uint8) if pixels.dtype.kind == "b" else pixels


def _drop_frames(planes: Sequence[SampledPlane], left_out: Counter[str]) -> list[SampledPlane]:
    unlike = find_unlike_frames(planes)
    if unlike:
        left_out["frames"] = len(unlike)
    return [plane for plane in planes if (plane.time, plane.z) not in unlike]


def _level_infinite_peaks(
    planes: Sequence[SampledPlane],
) -> tuple[Sequence[SampledPlane], float]:
    """Pixels that are infinite because they are too bright, at the value of the brightest one.

    Their neighbours tell them from divisions by 0 in the dark.

    Returns
    -------
    planes : sequence of SampledPlane
        As they were, where no infinity is of this kind.
    saturated : float
        From which value pixels are of this kind; infinity where none are.
    """
    from scipy.ndimage import binary_dilation

    masks = [
        np.isposinf(p.pixels) if p.pixels.dtype.kind == "f" else np.zeros(p.pixels.shape, bool)
        for p in planes
    ]
    if not any(mask.any() for mask in masks):
        return planes, math.inf
    pairs = list(zip(planes, masks, strict=True))
    finite = np.concatenate([p.pixels[np.isfinite(p.pixels)] for p in planes])
    beside = [
        p.pixels[binary_dilation(mask, np.ones((3, 3), bool)) & np.isfinite(p.pixels)]
        for p, mask in pairs
        if mask.any()
    ]
    around = np.concatenate(beside)
    if not around.size or np.median(around) < np.percentile(finite, BRIGHT_PERCENTILE):
        return planes, math.inf
    top = finite.max()
    levelled = [
        replace(p, pixels=np.where(mask, top, p.pixels)) if mask.any() else p for p, mask in pairs
    ]
    return levelled, float(np.finfo(finite.dtype).max)


def _drop_pixels(
    planes: Sequence[SampledPlane], left_out: Counter[str]
) -> tuple[list[Mask | None], tuple[float, ...]]:
    """Masks of the pixels that are numbers, and no fill; None keeps all of a plane. Fill values."""
    fills = [find_fill(plane.pixels) for plane in planes]
    gaps = {gap.value for plane in planes for gap in find_gaps(plane.pixels)}
    values = tuple(sorted({*_fill_values(planes, fills), *gaps}))
    kept: list[Mask | None] = []
    for plane in planes:
        pixels = plane.pixels
        keep = np.ones(pixels.shape, bool)
        if pixels.dtype.kind == "f":
            missing = np.isnan(pixels)
            keep = np.isfinite(pixels)
            _count(left_out, "nan", missing)
            _count(left_out, "infinite", ~keep & ~missing)
        if values:
            fill = _fill_mask(pixels, values)
            _count(left_out, "fill", fill & keep)
            keep &= ~fill
        kept.append(None if keep.all() else keep)
    return kept, values


def _fill_values(
    planes: Sequence[SampledPlane], fills: Sequence[Sequence[Fill]]
) -> tuple[float, ...]:
    """Values of fill in at least two corners of a frame, or darker than all the rest of it.

    In one corner there may be a bright object.
    """
    corners: Counter[tuple[float, int, int]] = Counter()
    for plane, found in zip(planes, fills, strict=True):
        for fill in found:
            dark = fill.corners == 1 and _is_darker(plane.pixels, fill)
            corners[fill.value, plane.time, plane.z] += 2 if dark else fill.corners
    return tuple(sorted({value for (value, _, _), count in corners.items() if count >= 2}))


def _is_darker(pixels: PixelArray, fill: Fill) -> bool:
    """Whether the other pixels are brighter than fill by more than noise."""
    rest = pixels[~fill.mask]
    noise = estimate_noise([np.where(fill.mask, np.nan, pixels)])
    return bool(rest.size and fill.value < np.percentile(rest, 1) - NOISE_ABOVE * noise)


def _fill_mask(pixels: PixelArray, values: Sequence[float]) -> Mask:
    """Pixels of fill in a part of a plane, which may lie in it as a whole."""
    mask = np.zeros(pixels.shape, bool)
    if pixels.flat[0].item() in values and (pixels == pixels.flat[0]).all():
        mask[:] = True
    for fill in (*find_fill(pixels, values), *find_gaps(pixels)):
        if fill.value in values:
            mask |= fill.mask
    return mask


def _masked(planes: Sequence[SampledPlane], kept: Sequence[Mask | None]) -> list[PixelArray]:
    """Planes, with NaN for the pixels that are left out."""
    return [
        plane.pixels if keep is None else np.where(keep, plane.pixels, np.nan)
        for plane, keep in zip(planes, kept, strict=True)
    ]


def _count(left_out: Counter[str], reason: str, mask: Mask) -> None:
    number = int(np.count_nonzero(mask))
    if number:
        left_out[reason] += number


def _drop_lumps(
    planes: Sequence[SampledPlane],
    kept: list[Mask | None],
    low: float,
    high: float,
    left_out: Counter[str],
    upper: float,
) -> list[Mask | None]:
    """Leave out saturated lumps where objects far below them would else be lost."""
    if high <= low or high < max(_highest(plane.pixels) for plane in planes):
        return kept
    if not (high.is_integer() and (int(high) + 1).bit_count() == 1):
        return kept  # a detector saturates at 255, 4095, 65535 and the like
    found = [find_lumps(plane.pixels, high) for plane in planes]
    lumps = [
        np.zeros(p.pixels.shape, bool) if m is None else m
        for p, m in zip(planes, found, strict=True)
    ]
    if not any(lump.any() for lump in lumps):
        return kept
    counts: Counter[str] = Counter()
    without = _without(kept, lumps, "saturated", counts)
    rest = _join(planes, without)
    if not rest.size:
        return kept
    middle, top = (float(v) for v in np.percentile(rest, (50, upper)))
    noise = estimate_noise(_masked(planes, without))
    if top - low > (high - low) / 2 or top - middle <= NOISE_ABOVE * noise:
        return kept
    left_out += counts
    return without


def _highest(pixels: PixelArray) -> float:
    return float(np.nanmax(pixels)) if pixels.size else -np.inf


def _without(
    kept: Sequence[Mask | None], masks: Sequence[Mask], reason: str, left_out: Counter[str]
) -> list[Mask | None]:
    result: list[Mask | None] = []
    for keep, mask in zip(kept, masks, strict=True):
        out = mask if keep is None else mask & keep
        _count(left_out, reason, out)
        result.append(keep if not out.any() else ~out if keep is None else keep & ~out)
    return result


def _range_of_rare_objects(
    planes: Sequence[SampledPlane],
    kept: Sequence[Mask | None],
    middle: float,
    noise: float,
    smooth: float,
) -> float:
    """Upper limit where noise reaches up to the percentile: objects are rarer, or there are none.

    An object shows in the mean of its neighbourhood, against that of a wider one. Where such
    means differ by more than noise does all over the image, it is full of noisy objects, and
    its percentile is right. Noise alone is stretched so little that it stays dark. ``smooth`` is
    the deviation of noise that was smoothed, whose means differ by more than that of ``noise``,
    which neighbours tell.
    """
    from scipy.ndimage import uniform_filter

    bright, deviations = [], []
    for plane, keep in zip(planes, kept, strict=True):
        pixels = plane.pixels.astype(np.float64)
        if keep is not None:
            pixels[~keep] = middle
        local = uniform_filter(pixels, SMOOTHING_PIXELS) - uniform_filter(pixels, FIELD_PIXELS)
        deviation = 1.4826 * float(np.median(np.abs(local - np.median(local))))
        deviations.append(deviation)
        bright.append(pixels[local > OBJECT_DEVIATIONS * max(deviation, noise / SMOOTHING_PIXELS)])
    if not smooth and max(deviations) > STRUCTURED * noise / SMOOTHING_PIXELS:
        return -np.inf
    found = np.concatenate(bright)
    if found.size:
        return float(np.percentile(found, OBJECT_PERCENTILE))
    return middle + max(NOISE_RANGE * noise, SMOOTH_RANGE * smooth)


def _follow_bleaching(
    planes: Sequence[SampledPlane],
    kept: Sequence[Mask | None],
    low: float,
    lower: float,
    upper: float,
) -> dict[int, tuple[float, float]]:
    """The range of each time point of a series that gets darker throughout; else nothing."""
    times = sorted({plane.time for plane in planes})
    if len(times) < SERIES_TIMES:
        return {}
    lows, highs = [], []
    for time in times:
        chosen = [i for i, plane in enumerate(planes) if plane.time == time]
        pixels = _join([planes[i] for i in chosen], [kept[i] for i in chosen])
        if not pixels.size:
            return {}
        ends = np.percentile(pixels, (lower, upper))
        lows.append(float(ends[0]))
        highs.append(float(ends[1]))
    spans = np.array(highs) - low
    ranks = np.argsort(np.argsort(spans))
    falling = np.corrcoef(np.arange(len(times)), ranks)[0, 1] <= MONOTONE
    if not falling or spans[-1] <= 0 or spans[0] < BLEACHED * spans[-1]:
        return {}
    return {t: (a, b) for t, a, b in zip(times, lows, highs, strict=True)}
