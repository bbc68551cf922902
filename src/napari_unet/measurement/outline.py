"""The outline of an object along the edges of its pixels, and its length as in ImageJ."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

CUT_CORNER = 2 - math.sqrt(2)
"""By what a corner is shorter when it is cut from the middle of a pixel's edge to the next."""


def measure_outline(mask: NDArray[np.bool_]) -> float:
    """Length of the outer outlines of a mask in pixels, as ImageJ's ``getTracedPerimeter`` has it.

    Pixels that touch at a corner belong together; outlines of holes do not count.

    Parameters
    ----------
    mask : (Y, X) array of bool
        An object, in one piece or more.

    Examples
    --------
    >>> round(measure_outline(np.ones((10, 20), bool)), 3)  # 60 pixels less four corners
    57.657
    """
    pieces, count = ndimage.label(mask, np.ones((3, 3), bool))
    return sum(_shorten(_trace_sides(pieces == piece)) for piece in range(1, count + 1))


def _trace_sides(piece: NDArray[np.bool_]) -> list[int]:
    """Lengths of the sides of the outer outline, in order, walked with the piece on the right."""
    padded = np.pad(piece, 1)
    pixels, width = padded.tobytes(), padded.shape[1]
    # per direction (east, south, west, north): the step from corner to corner of the grid, and
    # the pixels ahead on the left and on the right, counted from the pixel below the corner
    steps = (1, width, -1, -width)
    lefts = (-width, 0, -1, -width - 1)
    rights = (0, -1, -width - 1, -width)
    start = at = pixels.index(1)
    direction, length = 0, 0
    sides: list[int] = []
    while True:
        at += steps[direction]
        length += 1
        if at == start:
            return [*sides, length]
        if pixels[at + lefts[direction]]:
            direction = (direction - 1) % 4
        elif not pixels[at + rights[direction]]:
            direction = (direction + 1) % 4
        else:
            continue
        sides.append(length)
        length = 0


def _shorten(sides: list[int]) -> float:
    """The length of sides with cut corners: of a staircase of single pixels every other one.

    The first side begins where ImageJ's wand does: at the first pixel, above and to its left.
    """
    corners, cut = 0, False
    for side in (sides[-1], *sides[:-1]):
        cut = side > 1 or not cut
        corners += cut
    return sum(sides) - corners * CUT_CORNER
