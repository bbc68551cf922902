"""Surfaces and hulls of volumes, as machine code.

``index`` is the (Z, Y, X) window, ``numbers`` the objects in it, each within its box from ``low``
to ``high``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_unet.instances._kernels import compiled


@compiled
def count_ends(index: Any, numbers: Any, low: Any, high: Any, steps: Any, out: Any) -> None:
    """In how many stretches each object is cut by all lines of voxels along each direction.

    Parameters
    ----------
    steps : (D, 3) int array
        The directions.
    out : (n, D) int array
        Per object and direction.
    """
    for i in range(numbers.size):
        number = numbers[i]
        for z in range(low[i, 0], high[i, 0]):
            for y in range(low[i, 1], high[i, 1]):
                for x in range(low[i, 2], high[i, 2]):
                    if index[z, y, x] != number:
                        continue
                    for d in range(steps.shape[0]):
                        nz, ny, nx = z + steps[d, 0], y + steps[d, 1], x + steps[d, 2]
                        outside = (
                            nz < low[i, 0]
                            or ny < low[i, 1]
                            or nx < low[i, 2]
                            or nz >= high[i, 0]
                            or ny >= high[i, 1]
                            or nx >= high[i, 2]
                        )
                        if outside or index[nz, ny, nx] != number:
                            out[i, d] += 1


@compiled
def find_row_ends(index: Any, number: Any, low: Any, high: Any) -> Any:
    """First and last voxel of an object in each row along X, (n, 3), from the corner of its box."""
    ends = np.empty((2 * (high[0] - low[0]) * (high[1] - low[1]), 3), np.int64)
    n = 0
    for z in range(low[0], high[0]):
        for y in range(low[1], high[1]):
            first, last = -1, -1
            for x in range(low[2], high[2]):
                if index[z, y, x] == number:
                    if first < 0:
                        first = x
                    last = x
            if first < 0:
                continue
            ends[n, 0], ends[n, 1], ends[n, 2] = z - low[0], y - low[1], first - low[2]
            n += 1
            if last > first:
                ends[n, 0], ends[n, 1], ends[n, 2] = z - low[0], y - low[1], last - low[2]
                n += 1
    return ends[:n]


@compiled
def count_inside(equations: Any, depth: Any, height: Any, width: Any, tolerance: Any) -> Any:
    """Voxels of a box whose middles lie in a hull.

    Parameters
    ----------
    equations : (F, 4) float array
        Of the planes around the hull: normal and offset, negative inside.
    """
    total = 0
    for z in range(depth):
        for y in range(height):
            first, last = 0.0, width - 1.0
            for f in range(equations.shape[0]):
                slope = equations[f, 2]
                rest = tolerance - equations[f, 0] * z - equations[f, 1] * y - equations[f, 3]
                if slope > 1e-14:
                    last = min(last, rest / slope)
                elif slope < -1e-14:
                    first = max(first, rest / slope)
                elif rest <= 0:
                    last = -1.0
                if last < first:
                    break
            if last >= first:
                total += max(int(np.floor(last)) - int(np.ceil(first)) + 1, 0)
    return total
