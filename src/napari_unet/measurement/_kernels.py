"""The loops over pixels as machine code: what can be added up, and medians.

All arrays are (Z, Y, X), planes with Z of length 1. ``index`` numbers the objects of a block or
window from 1, 0 is the background; ``rows`` tells their rows in the table by that number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_unet.instances._kernels import compiled


@compiled
def add_places(
    index: Any, rows: Any, corner: Any, count: Any, low: Any, high: Any, origin: Any, sums: Any
) -> None:
    """Add the pixels of a block: their number, bounding boxes and moments.

    Moments are those of the distance to the first pixel of an object, ``origin``: sums of whole
    numbers that are small, so that nothing cancels far from the corner of the image. ``sums`` has
    z, y, x, zz, yy, xx, zy, zx, yx.
    """
    for z in range(index.shape[0]):
        for y in range(index.shape[1]):
            for x in range(index.shape[2]):
                number = index[z, y, x]
                if number == 0:
                    continue
                row = rows[number]
                place_z, place_y, place_x = z + corner[0], y + corner[1], x + corner[2]
                if count[row] == 0:
                    origin[row, 0], origin[row, 1], origin[row, 2] = place_z, place_y, place_x
                    low[row, 0], low[row, 1], low[row, 2] = place_z, place_y, place_x
                    high[row, 0], high[row, 1], high[row, 2] = place_z + 1, place_y + 1, place_x + 1
                else:
                    low[row, 0] = min(low[row, 0], place_z)
                    low[row, 1] = min(low[row, 1], place_y)
                    low[row, 2] = min(low[row, 2], place_x)
                    high[row, 0] = max(high[row, 0], place_z + 1)
                    high[row, 1] = max(high[row, 1], place_y + 1)
                    high[row, 2] = max(high[row, 2], place_x + 1)
                count[row] += 1
                dz = float(place_z - origin[row, 0])
                dy = float(place_y - origin[row, 1])
                dx = float(place_x - origin[row, 2])
                sums[row, 0] += dz
                sums[row, 1] += dy
                sums[row, 2] += dx
                sums[row, 3] += dz * dz
                sums[row, 4] += dy * dy
                sums[row, 5] += dx * dx
                sums[row, 6] += dz * dy
                sums[row, 7] += dz * dx
                sums[row, 8] += dy * dx


@compiled
def add_values(index: Any, rows: Any, values: Any, seen: Any, found: Any) -> None:
    """Add the values of a block, of one channel.

    ``found`` has per row: sum, least, largest, a value near all, and from that one the sum of the
    differences and of their squares. Values that are no numbers make all of them so.
    """
    for z in range(index.shape[0]):
        for y in range(index.shape[1]):
            for x in range(index.shape[2]):
                number = index[z, y, x]
                if number == 0:
                    continue
                row = rows[number]
                value = float(values[z, y, x])
                if seen[row] == 0:
                    found[row, 1] = found[row, 2] = value
                    found[row, 3] = value if np.isfinite(value) else 0.0
                seen[row] += 1
                found[row, 0] += value
                if value < found[row, 1] or value != value:  # NaN
                    found[row, 1] = value
                if value > found[row, 2] or value != value:
                    found[row, 2] = value
                away = value - found[row, 3]
                found[row, 4] += away
                found[row, 5] += away * away


@compiled
def add_scores(index: Any, rows: Any, scores: Any, sums: Any) -> None:
    """Add the scores of a block, of one channel."""
    for z in range(index.shape[0]):
        for y in range(index.shape[1]):
            for x in range(index.shape[2]):
                number = index[z, y, x]
                if number != 0:
                    sums[rows[number]] += float(scores[z, y, x])


@compiled
def median_of(values: Any) -> float:
    """The median; NaN of nothing, or if there is a NaN."""
    if values.size == 0:
        return np.nan
    for value in values:
        if value != value:
            return np.nan
    return float(np.median(values))


@compiled
def find_medians(
    index: Any, numbers: Any, low: Any, high: Any, values: Any, inside: Any, out: Any
) -> None:
    """Medians in boxes of a window, one per object.

    ``inside``: of the pixels of the object, else of the background, 0.
    """
    for i in range(numbers.size):
        wanted = numbers[i] if inside else 0
        size = 1
        for axis in range(3):
            size *= high[i, axis] - low[i, axis]
        buffer = np.empty(size, np.float64)
        n = 0
        for z in range(low[i, 0], high[i, 0]):
            for y in range(low[i, 1], high[i, 1]):
                for x in range(low[i, 2], high[i, 2]):
                    if index[z, y, x] == wanted:
                        buffer[n] = float(values[z, y, x])
                        n += 1
        out[i] = median_of(buffer[:n])


@compiled
def has_other_side(index: Any, number: Any, z: Any, y: Any, x: Any) -> Any:
    """Whether a pixel lies at the edge of its object, or of the window."""
    return (
        (z > 0 and index[z - 1, y, x] != number)
        or (z < index.shape[0] - 1 and index[z + 1, y, x] != number)
        or y == 0
        or x == 0
        or y == index.shape[1] - 1
        or x == index.shape[2] - 1
        or index[z, y - 1, x] != number
        or index[z, y + 1, x] != number
        or index[z, y, x - 1] != number
        or index[z, y, x + 1] != number
    )


@compiled
def find_near(
    index: Any,
    rows: Any,
    low: Any,
    high: Any,
    start: Any,
    steps: Any,
    count: Any,
    buffer: Any,
    seen: Any,
) -> Any:
    """Pairs of objects whose pixels are a step apart, as row * count + row, the lesser one first.

    Begins at the pixel ``start`` of the core from ``low`` to ``high``, and writes there where the
    buffer got full. Gives the number of pairs, of which some may be equal; ``seen`` leaves out
    most of those that are. Of two objects the pixels that are nearest lie at their edges.
    """
    found = 0
    for z in range(start[0], high[0]):
        for y in range(start[1] if z == start[0] else low[1], high[1]):
            first = start[2] if z == start[0] and y == start[1] else low[2]
            for x in range(first, high[2]):
                number = index[z, y, x]
                if number == 0 or not has_other_side(index, number, z, y, x):
                    continue
                if found + steps.shape[0] > buffer.size:
                    start[0], start[1], start[2] = z, y, x
                    return found
                for step in range(steps.shape[0]):
                    nz, ny, nx = z + steps[step, 0], y + steps[step, 1], x + steps[step, 2]
                    if nz < 0 or ny < 0 or nx < 0:
                        continue
                    if nz >= index.shape[0] or ny >= index.shape[1] or nx >= index.shape[2]:
                        continue
                    other = index[nz, ny, nx]
                    if other == 0 or other == number:
                        continue
                    one, two = rows[number], rows[other]
                    key = min(one, two) * count + max(one, two)
                    slot = key % seen.size
                    if seen[slot] != key:
                        seen[slot] = key
                        buffer[found] = key
                        found += 1
    start[0] = high[0]
    return found
