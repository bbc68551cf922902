"""Outlines and hulls of objects in a plane, as machine code.

``index`` is the (Y, X) window, ``numbers`` the objects in it, each within its box from ``low`` to
``high``. What lies outside the box is no part of the object.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from napari_unet.instances._kernels import compiled

CUT_CORNER = 2 - math.sqrt(2)
"""By what a corner is shorter when it is cut from the middle of a pixel's edge to the next."""

DIAGONAL = math.sqrt(2)
MIXED = (1 + math.sqrt(2)) / 2


@compiled
def is_border(index: Any, number: Any, y: Any, x: Any) -> Any:
    """Whether a pixel is one of the object, and has a side that another one has not."""
    height, width = index.shape
    if y < 0 or x < 0 or y >= height or x >= width or index[y, x] != number:
        return False
    return (
        y == 0
        or x == 0
        or y == height - 1
        or x == width - 1
        or index[y - 1, x] != number
        or index[y + 1, x] != number
        or index[y, x - 1] != number
        or index[y, x + 1] != number
    )


@compiled
def find_perimeters(index: Any, numbers: Any, low: Any, high: Any, out: Any) -> None:
    """Perimeters in pixels, as scikit-image's ``perimeter`` with 4 neighbours has them."""
    for i in range(numbers.size):
        number, total = numbers[i], 0.0
        for y in range(low[i, 0], high[i, 0]):
            for x in range(low[i, 1], high[i, 1]):
                if not is_border(index, number, y, x):
                    continue
                sides, corners = 0, 0
                for dy in range(-1, 2):
                    for dx in range(-1, 2):
                        if (dy or dx) and is_border(index, number, y + dy, x + dx):
                            if dy and dx:
                                corners += 1
                            else:
                                sides += 1
                if 2 <= sides <= 3 and corners <= 2:
                    total += 1.0
                elif sides == 1 and 1 <= corners <= 2:
                    total += MIXED
                elif (sides == 0 and corners == 2) or (sides == 1 and corners == 3):
                    total += DIAGONAL
        out[i] = total


@compiled
def find_outlines(index: Any, numbers: Any, low: Any, high: Any, out: Any) -> None:
    """Lengths in pixels of the outer outlines, as ImageJ's ``getTracedPerimeter`` has them.

    Pixels that touch at a corner belong together; outlines of holes do not count.
    """
    for i in range(numbers.size):
        height, width = high[i, 0] - low[i, 0] + 2, high[i, 1] - low[i, 1] + 2
        pixels = np.zeros(height * width, np.uint8)  # with a border of background
        count = 0
        for y in range(low[i, 0], high[i, 0]):
            for x in range(low[i, 1], high[i, 1]):
                if index[y, x] == numbers[i]:
                    pixels[(y - low[i, 0] + 1) * width + x - low[i, 1] + 1] = 1
                    count += 1
        queue = np.empty(count, np.int64)
        sides = np.empty(4 * count + 4, np.int64)
        total = 0.0
        for first in range(pixels.size):
            if pixels[first] != 1:
                continue
            found = trace_sides(pixels, width, first, sides)
            total += shorten(sides[:found])
            # the piece is done
            pixels[first], queue[0], begin, end = 2, first, 0, 1
            while begin < end:
                place = queue[begin]
                begin += 1
                for dy in range(-1, 2):
                    for dx in range(-1, 2):
                        near = place + dy * width + dx
                        if pixels[near] == 1:
                            pixels[near] = 2
                            queue[end] = near
                            end += 1
        out[i] = total


@compiled
def trace_sides(pixels: Any, width: Any, first: Any, sides: Any) -> Any:
    """Walk around a piece with it on the right, from its first pixel; the number of its sides."""
    # per direction (east, south, west, north): the step from corner to corner of the grid, and
    # the pixels ahead on the left and on the right, counted from the pixel below the corner
    steps = (1, width, -1, -width)
    lefts = (-width, 0, -1, -width - 1)
    rights = (0, -1, -width - 1, -width)
    at, direction, length, count = first, 0, 0, 0
    while True:
        at += steps[direction]
        length += 1
        if at == first:
            sides[count] = length
            return count + 1
        if pixels[at + lefts[direction]]:
            direction = (direction + 3) % 4
        elif not pixels[at + rights[direction]]:
            direction = (direction + 1) % 4
        else:
            continue
        sides[count] = length
        count += 1
        length = 0


@compiled
def shorten(sides: Any) -> Any:
    """The length of sides with cut corners: of a staircase of single pixels every other one.

    The first side begins where ImageJ's wand does: at the first pixel, above and to its left.
    """
    corners, cut, total = 0, False, 0
    for i in range(-1, sides.size - 1):
        side = sides[i]
        total += side
        cut = side > 1 or not cut
        if cut:
            corners += 1
    return total - corners * CUT_CORNER


@compiled
def find_chain(levels: Any, ends: Any, count: Any, sign: Any, out: Any) -> Any:
    """Vertices of one side of a hull, by their place; ``sign`` 1: the left one, -1: the right."""
    n = 0
    for i in range(count):
        while n > 1:
            a, b = out[n - 2], out[n - 1]
            turn = (levels[b] - levels[a]) * (ends[i] - ends[a])
            turn -= (ends[b] - ends[a]) * (levels[i] - levels[a])
            if turn * sign > 0:
                break
            n -= 1
        out[n] = i
        n += 1
    return n


@compiled
def find_extremes(index: Any, number: Any, low: Any, high: Any, left: Any, right: Any) -> Any:
    """First and last column of an object in each row of its box; 1 and 0 where there is none."""
    count = 0
    for y in range(low[0], high[0]):
        left[y - low[0]], right[y - low[0]] = 1, 0
        for x in range(low[1], high[1]):
            if index[y, x] == number:
                count += 1
                if left[y - low[0]] > right[y - low[0]]:
                    left[y - low[0]] = x
                right[y - low[0]] = x
    return count


@compiled
def find_convex_areas(index: Any, numbers: Any, low: Any, high: Any, out: Any) -> None:
    """Pixels in the hulls, as scikit-image's ``area_convex`` counts them.

    The hull is that of the middles of the pixels' sides; a pixel whose middle it holds counts.
    Twice the coordinates are whole numbers, so that nothing is rounded.
    """
    for i in range(numbers.size):
        height = high[i, 0] - low[i, 0]
        left, right = np.empty(height, np.int64), np.empty(height, np.int64)
        find_extremes(index, numbers[i], low[i], high[i], left, right)
        levels = np.empty(2 * height + 1, np.int64)
        starts, stops = np.empty(2 * height + 1, np.int64), np.empty(2 * height + 1, np.int64)
        n = 0
        for level in range(-1, 2 * height):
            rows = (
                (level // 2, level // 2) if level % 2 == 0 else ((level - 1) // 2, (level + 1) // 2)
            )
            known = False
            for y in rows:
                if y < 0 or y >= height or left[y] > right[y]:
                    continue
                reach = 1 if level % 2 == 0 else 0
                start, stop = 2 * left[y] - reach, 2 * right[y] + reach
                if not known:
                    starts[n], stops[n], known = start, stop, True
                starts[n], stops[n] = min(starts[n], start), max(stops[n], stop)
            if known:
                levels[n] = level
                n += 1
        chain = np.empty(n, np.int64)
        first, last = np.empty(height, np.int64), np.empty(height, np.int64)
        found = find_chain(levels, starts, n, 1, chain)
        for k in range(found - 1):
            a, b = chain[k], chain[k + 1]
            for level in range(levels[a], levels[b] + 1):
                if level % 2 == 0:
                    rise = levels[b] - levels[a]
                    over = (starts[b] - starts[a]) * (level - levels[a])
                    first[level // 2] = -((-(starts[a] * rise + over)) // (2 * rise))
        found = find_chain(levels, stops, n, -1, chain)
        for k in range(found - 1):
            a, b = chain[k], chain[k + 1]
            for level in range(levels[a], levels[b] + 1):
                if level % 2 == 0:
                    rise = levels[b] - levels[a]
                    over = (stops[b] - stops[a]) * (level - levels[a])
                    last[level // 2] = (stops[a] * rise + over) // (2 * rise)
        total = 0
        for y in range(height):
            total += max(last[y] - first[y] + 1, 0)
        out[i] = total


@compiled
def find_calipers(
    index: Any, numbers: Any, low: Any, high: Any, size_y: Any, size_x: Any, out: Any
) -> None:
    """Largest and least distance of two parallel lines around each object (Feret's diameters).

    Of the corners of its pixels, as in ImageJ; ``size_y`` and ``size_x`` are those of a pixel.
    """
    for i in range(numbers.size):
        height = high[i, 0] - low[i, 0]
        left, right = np.empty(height, np.int64), np.empty(height, np.int64)
        find_extremes(index, numbers[i], low[i], high[i], left, right)
        levels = np.empty(height + 1, np.int64)
        starts, stops = np.empty(height + 1, np.int64), np.empty(height + 1, np.int64)
        n = 0
        for level in range(height + 1):
            known = False
            for y in (level - 1, level):
                if y < 0 or y >= height or left[y] > right[y]:
                    continue
                if not known:
                    starts[n], stops[n], known = left[y], right[y] + 1, True
                starts[n] = min(starts[n], left[y])
                stops[n] = max(stops[n], right[y] + 1)
            if known:
                levels[n] = level
                n += 1
        chain = np.empty(n, np.int64)
        hull_y, hull_x = np.empty(2 * n, np.float64), np.empty(2 * n, np.float64)
        count = find_chain(levels, starts, n, 1, chain)
        for k in range(count):
            hull_y[k], hull_x[k] = levels[chain[k]] * size_y, starts[chain[k]] * size_x
        found = find_chain(levels, stops, n, -1, chain)
        for k in range(found - 1, -1, -1):
            hull_y[count], hull_x[count] = levels[chain[k]] * size_y, stops[chain[k]] * size_x
            count += 1
        largest, least = 0.0, np.inf
        for a in range(count):
            b = (a + 1) % count
            dy, dx = hull_y[b] - hull_y[a], hull_x[b] - hull_x[a]
            length = math.hypot(dy, dx)
            reach = 0.0
            for k in range(count):
                away_y, away_x = hull_y[k] - hull_y[a], hull_x[k] - hull_x[a]
                largest = max(largest, math.hypot(away_y, away_x))
                if length > 0:
                    reach = max(reach, abs(dy * away_x - dx * away_y) / length)
            if length > 0:
                least = min(least, reach)
        out[i, 0], out[i, 1] = largest, least
