"""Pixels that say nothing about the intensities of an image: they are left out of its limits.

Lumps of saturated pixels, single hot pixels, and frames that are as a whole unlike the others.
Fill around the image and gaps in it stand in `fill`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unet.image.fill import RIM_PIXELS, Mask
from napari_unet.image.noise import NOISE_ABOVE, SUBSAMPLE, PixelArray, estimate_noise

GLARING = 4  # times the range of the others, from which a frame is over-exposed
MOST_LUMPS = 3  # of saturated pixels in a frame; more of them are objects
HOT_DEVIATIONS = 10  # of the noise, by which a hot pixel is brighter than its neighbours
MOST_HOT = 0.01  # share of hot pixels; more of them are single photons
MOST_GLARING = 0.05  # unless they exceed the range of all others by far
HOT_RANGES = 3  # times the image's range, that it exceeds them by where objects are bright too
MOST_ADJOINING = 4  # of nine pixels, where single bright ones lie at random
MOST_LUMPED = 0.1  # share of these that have more
NEIGHBOURS = tuple((y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1))


@dataclass(frozen=True)
class SampledPlane:
    """A part of one plane of the sample, of one channel.

    Attributes
    ----------
    time, z : int
        Where the plane lies.
    pixels : array (Y, X)
        Its intensities.
    """

    time: int
    z: int
    pixels: PixelArray


def find_unlike_frames(planes: Sequence[SampledPlane]) -> set[tuple[int, int]]:
    """Frames (time, z) that are as a whole unlike the others: blank or over-exposed ones.

    A frame without any contrast is one where others have some; so is one whose darkest pixels
    are brighter than nearly all of the others'. In a series a few frames are left out, too, that
    are several times as bright as the others, as long as the others show more than noise.
    """
    frames: dict[tuple[int, int], list[PixelArray]] = {}
    for plane in planes:
        frames.setdefault((plane.time, plane.z), []).append(plane.pixels)
    marks: dict[tuple[int, int], NDArray[np.float64]] = {}
    unlike = set()
    for place, parts in frames.items():
        thin = np.concatenate([part[::SUBSAMPLE, ::SUBSAMPLE].ravel() for part in parts])
        pixels = thin[np.isfinite(thin)].astype(np.float64)
        if pixels.size and pixels.max() > pixels.min():
            marks[place] = np.percentile(pixels, (1, 50, 99.8))
        else:
            unlike.add(place)
    if len(marks) < 3:
        return unlike if marks else set()
    low, middle, high = np.median(list(marks.values()), axis=0)
    span = high - low
    unlike |= {place for place, mark in marks.items() if mark[0] - low > span}
    bright = {place for place, mark in marks.items() if mark[2] - low > GLARING * span}
    if len({time for time, _ in marks}) >= 4 and len(bright) <= len(marks) / 4:
        others = [part for place in marks.keys() - bright for part in frames[place]]
        if high - middle > NOISE_ABOVE * estimate_noise(others):
            unlike |= bright
    return unlike


@dataclass(frozen=True)
class HotPixels:
    """Hot pixels of one plane.

    Attributes
    ----------
    rows, columns : array of int
        Where they are.
    neighbours : array of float
        The one of each one's eight neighbours that it was compared with.
    candidates : int
        Bright pixels in all, of objects too.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    neighbours: NDArray[np.float64]
    candidates: int


def find_hot_pixels(
    pixels: PixelArray, low: float, high: float, excess: float, *, rank: int = 2
) -> HotPixels:
    """Pixels from ``high`` on that are far brighter than their neighbours.

    Compared with the second brightest of the eight, as two hot pixels may adjoin.

    Parameters
    ----------
    pixels : array (Y, X)
        A plane.
    low, high : float
        Intensities of what is dark and of what is bright in the image.
    excess : float
        By how much a hot pixel exceeds its neighbours at least; it does so by half of its own
        height above ``low``, too.
    rank : int
        With which of its neighbours it is compared, the brightest being 1.

    Examples
    --------
    >>> import numpy as np
    >>> plane = np.zeros((5, 6))
    >>> plane[2, 3] = 40
    >>> found = find_hot_pixels(plane, 0, 10, excess=5)
    >>> found.rows, found.columns, found.candidates
    (array([2]), array([3]), 1)
    """
    rows, columns = np.nonzero((pixels >= high) & (pixels > low))
    if not rows.size or min(pixels.shape) < 3:  # too narrow for a neighbourhood
        rows = columns = rows[:0]
        return HotPixels(rows, columns, np.zeros(0), 0)
    wide = np.pad(pixels.astype(np.float64), 1, constant_values=-math.inf)
    around = np.stack([wide[rows + y, columns + x] for y, x in NEIGHBOURS])
    neighbours = np.sort(np.nan_to_num(around, nan=-math.inf, neginf=-math.inf), axis=0)[-rank]
    values = pixels[rows, columns].astype(np.float64)
    above = values - neighbours
    hot = np.isfinite(neighbours) & (above > (values - low) / 2) & (above > excess)
    return HotPixels(rows[hot], columns[hot], neighbours[hot], len(rows))


def mask_hot_pixels(
    planes: Sequence[PixelArray], low: float, high: float, noise: float
) -> tuple[list[Mask], float]:
    """Masks of the hot pixels of each plane, and by how much they exceed their neighbours.

    Where most of the pixels from ``high`` on stand alone, all of those do count that stand out of
    the noise. Else the bright pixels are objects, and only those are hot that are brighter than
    their neighbours by several times the range of the whole image. Where many stand alone, they
    may be single photons, unless the others show an image that they exceed by several times its
    range.
    """
    excess = HOT_DEVIATIONS * noise
    found = [find_hot_pixels(pixels, low, high, excess) for pixels in planes]
    hot = sum(len(each.rows) for each in found)
    if 2 * hot <= sum(each.candidates for each in found):
        excess = max(excess, HOT_RANGES * (high - low))
        found = [find_hot_pixels(pixels, low, high, excess) for pixels in planes] if hot else found
    masks = [np.zeros(pixels.shape, bool) for pixels in planes]
    share = sum(len(each.rows) for each in found) / sum(pixels.size for pixels in planes)
    if share > MOST_GLARING:
        return masks, excess
    for mask, each in zip(masks, found, strict=True):
        mask[each.rows, each.columns] = True
    if share > MOST_HOT and not _outshine(planes, masks, found):
        return [np.zeros(pixels.shape, bool) for pixels in planes], excess
    if share > MOST_HOT:  # where there are many, three may adjoin
        for mask, pixels in zip(masks, planes, strict=True):
            more = find_hot_pixels(pixels, low, high, excess, rank=3)
            mask[more.rows, more.columns] = True
    return masks, excess


def count_speckles(planes: Sequence[PixelArray], low: float, high: float) -> int:
    """Pixels from ``high`` on that stand alone, where they are too many for hot ones; else 0.

    They take the limits, and nothing else is seen in the image.

    Examples
    --------
    >>> import numpy as np
    >>> plane = np.random.default_rng(0).normal(100, 5, (64, 64))
    >>> plane[np.random.default_rng(1).random(plane.shape) < 0.08] = 4095
    >>> count_speckles([plane], 90, 4095) / plane.size > 0.05
    True
    >>> plane[:] = 100
    >>> plane[:30, :30] = 4095  # an object
    >>> count_speckles([plane], 90, 4095)
    0
    """
    from scipy.ndimage import convolve

    masks = [(pixels >= high) & (pixels > low) for pixels in planes]
    count = sum(int(np.count_nonzero(mask)) for mask in masks)
    if count <= MOST_GLARING * sum(pixels.size for pixels in planes):
        return 0
    around = [convolve(mask.astype(np.uint8), np.ones((3, 3), np.uint8))[mask] for mask in masks]
    if (np.concatenate(around) > MOST_ADJOINING).mean() > MOST_LUMPED:
        return 0
    rest = [pixels[~mask] for pixels, mask in zip(planes, masks, strict=True)]
    others = np.concatenate([part[np.isfinite(part)] for part in rest]).astype(np.float64)
    dark, bright = np.percentile(others, (1, 99)) if others.size else (0, math.inf)
    return count if high - bright > HOT_RANGES * (bright - dark) else 0


def _outshine(
    planes: Sequence[PixelArray], masks: Sequence[Mask], found: Sequence[HotPixels]
) -> bool:
    """Whether hot pixels exceed their neighbours by several times the range of all others."""
    rest = [pixels[~mask] for pixels, mask in zip(planes, masks, strict=True)]
    others = np.concatenate([part[np.isfinite(part)] for part in rest]).astype(np.float64)
    low, high = np.percentile(others, (1, 99))
    above = [
        pixels[each.rows, each.columns].astype(np.float64) - each.neighbours
        for pixels, each in zip(planes, found, strict=True)
    ]
    return bool(high > low and np.median(np.concatenate(above)) > HOT_RANGES * (high - low))


def find_lumps(pixels: PixelArray, value: float) -> Mask | None:
    """Few large regions of saturated pixels; None where there are many, which may be objects."""
    from scipy.ndimage import binary_dilation, label

    equal = np.asarray(pixels == value)
    regions, count = label(equal, np.ones((3, 3), int))
    if not count:
        return None
    sizes = np.bincount(regions.ravel())[1:]
    large = sizes > 9
    if not large.any() or np.count_nonzero(large) > MOST_LUMPS:
        return None
    grown: Mask = binary_dilation(equal, np.ones((3, 3), bool), iterations=2 * RIM_PIXELS)
    return grown
