"""Pixels of one value where there is no image: around it, or in gaps and holes of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unet.image.noise import NOISE_ABOVE, PixelArray, estimate_noise

Mask = NDArray[np.bool_]

STRAIGHT_PIXELS = 1.5  # that the edge of filled pixels may depart from a line
LEAST_FIELD = 0.6  # share of the rows and columns that a field of view reaches over
MOST_CORNERS = 10  # of the polygon that bounds filled pixels, both ends counted
SHORTEST_RUN = 3  # pixels of fill at the image's side
MOST_FILL = 0.95  # share of a plane
FLAT = 0.8  # share of neighbours that are equal, from which there is no noise
RIM_PIXELS = 2  # beside filled pixels, which interpolation has mixed with them
GAP_SHARES = (0.0005, 0.5)  # of a plane that gaps and holes take up
GAP_RANGES = 0.1  # times the image's range, that gaps are darker or brighter than it at least
MOST_HOLES = 5  # in a plane; more of them may be objects
LEAST_HOLE = 10  # pixels; smaller ones are dead pixels
SOLID = 0.95  # share of its convex hull that a hole takes up
ODD_PIXELS = 0.05  # share of the pixels of a value that may lie elsewhere
LINE_PIXELS = 9  # of a run that is part of a gap one pixel wide
LEAST_SIDE = 32  # pixels of a part of a plane in which a gap can be told from a background


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


def find_gaps(pixels: PixelArray) -> list[Fill]:
    """Gaps, borders and holes inside an image: pixels of a value that no others come near.

    Rows and columns of the plane as a whole, as stitching and shifting leave them, even if they
    are one pixel wide; and a few compact holes. Where much more is of this value, or where it
    surrounds something, it may be the background of objects.

    Parameters
    ----------
    pixels : array (Y, X)
        A plane, or a part of one.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.random.default_rng(0).integers(300, 400, (60, 80))
    >>> image[30] = image[10:20, 5:25] = 0
    >>> (gap,) = find_gaps(image)
    >>> gap.value, bool(gap.mask[30].all()), bool(gap.mask[15, 10]), bool(gap.mask[50, 50])
    (0, True, True, False)
    """
    if min(pixels.shape) < LEAST_SIDE or pixels.dtype.kind == "b":
        return []
    finite = np.isfinite(pixels)
    if not finite.any():
        return []
    found = []
    for dark in (True, False):
        value = (pixels[finite].min if dark else pixels[finite].max)()
        equal = np.asarray(pixels == value)
        if not GAP_SHARES[0] <= equal.mean() < GAP_SHARES[1]:
            continue
        rows, columns = equal.all(axis=1, keepdims=True), equal.all(axis=0, keepdims=True)
        lines: Mask = np.logical_or(rows, columns)
        mask = lines | _find_holes(equal & ~lines) if dark else lines
        odd = equal & ~mask
        if np.count_nonzero(odd) > ODD_PIXELS * np.count_nonzero(equal):
            continue
        rest = pixels[finite & ~equal].astype(np.float64)
        if not rest.size:
            continue
        low, nearest, high = np.percentile(rest, (1, 0.5 if dark else 99.5, 99.8))
        distance = nearest - value if dark else value - nearest
        noise = estimate_noise([np.where(equal, np.nan, pixels)])
        wide = _dilate(mask)
        if distance > max(NOISE_ABOVE * noise, GAP_RANGES * (high - low)) and not _is_flat(
            pixels, wide
        ):
            found.append(Fill(value.item(), wide, 0))
    return found


def _find_holes(equal: Mask) -> Mask:
    """Compact regions without anything inside; none where there are many of them."""
    from skimage.measure import label, regionprops

    regions = label(equal, connectivity=2)  # type: ignore[no-untyped-call]
    found = np.zeros_like(equal)
    large = np.bincount(regions.ravel()) >= LEAST_HOLE
    large[0] = False
    if np.count_nonzero(large) > MOST_HOLES:
        return found
    few = np.where(large[regions], regions, 0)
    for each in regionprops(few):  # type: ignore[no-untyped-call]
        # pixels of a row are no area, of which a hull could be made
        thin = min(each.image.shape) <= SHORTEST_RUN
        solid = each.area / each.image.size if thin else each.solidity
        if solid >= SOLID and each.euler_number == 1:
            found[each.slice] |= each.image
    return found


def find_fill_pixels(pixels: PixelArray, values: Sequence[float], low: float, high: float) -> Mask:
    """Which pixels are fill, told by their neighbours, so that regions join without seams.

    They are squares of one value, three pixels wide. Where no pixel of the image comes near the
    value, lines of it count too.

    Parameters
    ----------
    pixels : array (..., Y, X)
        Planes, or parts of them.
    values : sequence of float
        The values of fill.
    low, high : float
        Intensities between which the image lies.
    """
    from scipy.ndimage import binary_dilation, binary_erosion, maximum_filter1d, minimum_filter1d

    square = np.ones((1,) * (pixels.ndim - 2) + (3, 3), bool)
    found = np.zeros(pixels.shape, bool)
    margin = GAP_RANGES * (high - low)
    for value in values:
        equal = pixels == value
        inner = binary_erosion(equal, square, border_value=1)
        found |= binary_dilation(inner, square) & equal
        if not low - margin < value < high + margin:
            number = equal.astype(np.uint8)
            for axis in (-1, -2):
                runs = minimum_filter1d(number, LINE_PIXELS, axis, mode="constant")
                found |= maximum_filter1d(runs, LINE_PIXELS, axis, mode="constant") > 0
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
