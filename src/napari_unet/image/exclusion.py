"""Pixels that say nothing about the intensities of an image: they are left out of its limits.

Not a number, infinite, fill values around the image, lumps of saturated pixels, single hot pixels,
and frames that are as a whole unlike the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PixelArray = NDArray[Any]
Mask = NDArray[np.bool_]

STRAIGHT_PIXELS = 1.5  # that the edge of filled pixels may depart from a line
LEAST_FIELD = 0.6  # share of the rows and columns that a field of view reaches over
MOST_CORNERS = 10  # of the polygon that bounds filled pixels, both ends counted
SHORTEST_RUN = 3  # pixels of fill at the image's side
RIM_PIXELS = 2  # beside filled pixels, which interpolation has mixed with them
MOST_FILL = 0.95  # share of a plane
FLAT = 0.8  # share of neighbours that are equal, from which there is no noise
GLARING = 4  # times the range of the others, from which a frame is over-exposed
NOISE_ABOVE = 5  # deviations between median and 99.8th percentile of noise alone, at most
MOST_LUMPS = 3  # of saturated pixels in a frame; more of them are objects
HOT_DEVIATIONS = 10  # of the noise, by which a hot pixel is brighter than its neighbours
MOST_HOT = 0.01  # share of hot pixels; more of them are single photons
HOT_RANGES = 3  # times the image's range, that it exceeds them by where objects are bright too
NEIGHBOURS = tuple((y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1))
SUBSAMPLE = 4  # every fourth row and column of a frame is enough to compare it


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


@dataclass(frozen=True)
class Fill:
    """Pixels of one value at the sides of a plane, with straight edges.

    Attributes
    ----------
    value : float
        Their value.
    mask : array (Y, X) of bool
        Where they are, with a rim that interpolation may have mixed with them.
    corners : int
        Corners of the plane that lie in it.
    """

    value: float
    mask: Mask
    corners: int


def find_fill(pixels: PixelArray, known: Sequence[float] = ()) -> list[Fill]:
    """Pixels of one value around an image, as padding, stitching and rotation leave them.

    From each side of the plane the run of equal pixels is followed inward. It is fill where
    its ends lie on few straight lines: the edge of an image does, objects on a dark background
    do not.

    Parameters
    ----------
    pixels : array (Y, X)
        A plane, or a part of one.
    known : sequence of float
        Fill values that are known from other parts. Those in the corners are tried anyway, but
        where nearly all is of one value, that may as well be the background of few objects.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.random.default_rng(0).integers(90, 110, (40, 50))
    >>> find_fill(image)
    []
    >>> (fill,) = find_fill(np.pad(image, 8))
    >>> fill.value, fill.corners
    (0, 4)
    """
    if min(pixels.shape) <= 2 * SHORTEST_RUN:
        return []
    ends = [(y, x) for y in (0, -1) for x in (0, -1)]
    found = []
    for value in sorted({*(pixels[end].item() for end in ends), *known}):
        equal = np.asarray(pixels == value)
        if equal.all() or not math.isfinite(value) or not _touches_sides(equal):
            continue
        mask = _straight_runs(equal)
        if mask is None:
            mask = _outside_of_field(equal)
        if mask is None or (value not in known and mask.mean() > MOST_FILL):
            continue
        wide = _dilate(mask)
        if value in known or not _is_flat(pixels, wide):
            found.append(Fill(value, wide, sum(bool(mask[end]) for end in ends)))
    return found


def _is_flat(pixels: PixelArray, left_out: Mask) -> bool:
    """Whether nearly all pixels equal their neighbours, as in drawings and masks.

    A camera's image has noise; without it an even background cannot be told from fill.
    """
    pairs = ~(left_out[:, 1:] | left_out[:, :-1])
    equal = (pixels[:, 1:] == pixels[:, :-1]) & pairs
    return bool(np.count_nonzero(equal) >= FLAT * np.count_nonzero(pairs))


def _touches_sides(equal: Mask) -> bool:
    """Whether so much of any side is of the value that it may be fill."""
    sides = (equal[0], equal[-1], equal[:, 0], equal[:, -1])
    return any(np.count_nonzero(side) >= SHORTEST_RUN for side in sides)


def _straight_runs(equal: Mask) -> Mask | None:
    height, width = equal.shape
    found = np.zeros_like(equal)
    for axis, back in ((1, False), (1, True), (0, False), (0, True)):
        towards = np.flip(equal, axis) if back else equal
        length = width if axis == 1 else height
        runs = np.where(towards.all(axis), length, np.argmin(towards, axis))
        if runs.max() < SHORTEST_RUN or not _is_straight(runs):
            continue
        places = np.arange(length)
        inside = places[None] < runs[:, None] if axis == 1 else places[:, None] < runs[None]
        found |= np.flip(inside, axis) if back else inside
    # a rim of a pixel here and there comes by chance
    return found if found.sum() >= SHORTEST_RUN * max(height, width) / 2 else None


def _outside_of_field(equal: Mask) -> Mask | None:
    """Pixels around a round field of view; None where the others are no convex area.

    The field reaches over most of the plane and leaves out its corners; objects are smaller.
    """
    ends = [(y, x) for y in (0, -1) for x in (0, -1)]
    if not all(equal[end] for end in ends):
        return None
    found = np.zeros_like(equal)
    for axis, back in ((1, False), (1, True), (0, False), (0, True)):
        towards = np.flip(equal, axis) if back else equal
        length = equal.shape[axis]
        runs = np.where(towards.all(axis), length, np.argmin(towards, axis))
        inside = np.flatnonzero(runs < length)
        if inside.size < LEAST_FIELD * runs.size or not _is_convex(inside, runs[inside]):
            return None
        places = np.arange(length)
        reached = places[None] < runs[:, None] if axis == 1 else places[:, None] < runs[None]
        found |= np.flip(reached, axis) if back else reached
    return found


def _is_convex(places: NDArray[np.integer], runs: NDArray[np.integer]) -> bool:
    """Whether a profile lies on its lower convex hull (Andrew 1979), but for steps of pixels."""
    hull: list[tuple[int, int]] = []
    for x, y in zip(places.tolist(), runs.tolist(), strict=True):
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (x1 - x0) * (y - y0) > (x - x0) * (y1 - y0):
                break
            hull.pop()
        hull.append((x, y))
    at, height = zip(*hull, strict=True)
    return bool((runs - np.interp(places, at, height)).max() <= STRAIGHT_PIXELS)


def _is_straight(runs: NDArray[np.integer]) -> bool:
    """Whether a profile is a polygon of few corners (Douglas and Peucker 1973)."""
    waiting, corners = [(0, len(runs) - 1)], 2
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        line = np.linspace(runs[first], runs[last], last - first + 1)
        departure = np.abs(runs[first : last + 1] - line)
        worst = int(departure.argmax())
        if departure[worst] <= STRAIGHT_PIXELS:
            continue
        corners += 1
        if corners > MOST_CORNERS:
            return False
        waiting += [(first, first + worst), (first + worst, last)]
    return True


def _dilate(mask: Mask) -> Mask:
    from scipy.ndimage import binary_dilation

    grown: Mask = binary_dilation(mask, np.ones((3, 3), bool), iterations=RIM_PIXELS)
    return grown


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
        The second brightest of each one's eight neighbours.
    candidates : int
        Bright pixels in all, of objects too.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    neighbours: NDArray[np.float64]
    candidates: int


def find_hot_pixels(pixels: PixelArray, low: float, high: float, excess: float) -> HotPixels:
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
    neighbours = np.sort(np.nan_to_num(around, nan=-math.inf, neginf=-math.inf), axis=0)[-2]
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
    their neighbours by several times the range of the whole image.
    """
    excess = HOT_DEVIATIONS * noise
    found = [find_hot_pixels(pixels, low, high, excess) for pixels in planes]
    hot = sum(len(each.rows) for each in found)
    if 2 * hot <= sum(each.candidates for each in found):
        excess = max(excess, HOT_RANGES * (high - low))
        found = [find_hot_pixels(pixels, low, high, excess) for pixels in planes] if hot else found
    if sum(len(each.rows) for each in found) > MOST_HOT * sum(p.size for p in planes):
        found = []
    masks = [np.zeros(pixels.shape, bool) for pixels in planes]
    if not found:
        return masks, excess
    for mask, each in zip(masks, found, strict=True):
        mask[each.rows, each.columns] = True
    return masks, excess


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


def estimate_noise(planes: Sequence[PixelArray]) -> float:
    """Standard deviation of the noise, from the differences of neighbouring pixels.

    For independent normal noise the mean absolute difference is 2 / sqrt(pi) deviations.
    """
    total, count = 0.0, 0
    for pixels in planes:
        steps = np.abs(np.diff(pixels[::SUBSAMPLE].astype(np.float64), axis=1))
        steps = steps[np.isfinite(steps)]
        total, count = total + float(steps.sum()), count + steps.size
    return total / count * math.sqrt(math.pi) / 2 if count else 0.0


def correlate_neighbours(planes: Sequence[PixelArray]) -> tuple[float, float]:
    """Correlation of neighbouring pixels, and the standard deviation of what they do not share.

    In noise alone no pixel tells of the next one, whatever its distribution: photons are
    counted, or what is below 0 is cut off. Objects are larger than a pixel.

    Returns
    -------
    correlation : float
        -1 to 1; 1 for pixels that are all equal.
    deviation : float
        Of noise that is independent from pixel to pixel.

    Examples
    --------
    >>> import numpy as np
    >>> photons = np.random.default_rng(0).poisson(0.1, (200, 200))
    >>> correlation, deviation = correlate_neighbours([photons])
    >>> abs(correlation) < 0.05, abs(deviation - 0.1**0.5) < 0.02
    (True, True)
    """
    steps = variance = 0.0
    count = 0
    for pixels in planes:
        rows = pixels[::SUBSAMPLE].astype(np.float64)
        pairs = np.stack([rows[:, 1:], rows[:, :-1]])[:, np.isfinite(rows[:, 1:] + rows[:, :-1])]
        if pairs.shape[1]:
            steps += float(((pairs[0] - pairs[1]) ** 2).sum() / 2)
            variance += float(((pairs - pairs.mean()) ** 2).sum() / 2)
            count += pairs.shape[1]
    if not variance:
        return 1.0, 0.0
    return 1 - steps / variance, math.sqrt(steps / count)
