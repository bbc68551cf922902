"""Following the borders of labels from corner to corner, as machine code."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_unet.instances._kernels import compiled


@compiled
def trace(pieces: Any, seen: Any) -> Any:
    """Walk along the border of every piece, with the piece on the right.

    Pixels that touch at a corner only are parted: there the way turns to the right.

    Parameters
    ----------
    pieces : (Y + 2, X + 2) int array
        Pixels of one piece have the same number; 0 is background, and so is the frame around.
    seen : (Y + 2, X + 2) bool array
        All False; says afterwards whose upper edges were walked along.

    Returns
    -------
    points : (n, 2) int32 array
        x and y of the corners at which ways turn, from the corner of the first pixel.
    starts : int64 array
        Where each closed way begins in them; and their number at the end.
    owners : int64 array
        Flat index of a pixel of the piece that the way is of.
    touching : bool array
        Whether a way comes to one corner twice.
    """
    height, width = pieces.shape
    points = np.empty((1024, 2), np.int32)
    starts = np.empty(256, np.int64)
    owners = np.empty(256, np.int64)
    touching = np.empty(256, np.bool_)
    count = 0
    ways = 0
    # east, south, west, north: the step, and the pixels ahead on the right and on the left
    step_y = (0, 1, 0, -1)
    step_x = (1, 0, -1, 0)
    right_y = (0, 0, -1, -1)
    right_x = (0, -1, -1, 0)
    left_y = (-1, 0, 0, -1)
    left_x = (0, 0, -1, -1)
    for row in range(1, height - 1):
        for column in range(1, width - 1):
            piece = pieces[row, column]
            if piece == 0 or pieces[row - 1, column] == piece or seen[row, column]:
                continue
            if ways + 1 >= starts.size:
                more = np.empty(2 * starts.size, np.int64)
                more[:ways] = starts[:ways]
                starts = more
                wide = np.empty(2 * owners.size, np.int64)
                wide[:ways] = owners[:ways]
                owners = wide
                flags = np.empty(2 * touching.size, np.bool_)
                flags[:ways] = touching[:ways]
                touching = flags
            starts[ways] = count
            owners[ways] = (row - 1) * (width - 2) + column - 1
            twice = False
            y, x, way = row, column, 0
            turned = True
            while True:
                if turned:
                    if count == points.shape[0]:
                        longer = np.empty((2 * count, 2), np.int32)
                        longer[:count] = points
                        points = longer
                    points[count, 0] = x - 1
                    points[count, 1] = y - 1
                    count += 1
                if way == 0:
                    seen[y, x] = True
                y += step_y[way]
                x += step_x[way]
                before = way
                if pieces[y + right_y[way], x + right_x[way]] != piece:
                    if pieces[y + left_y[way], x + left_x[way]] == piece:
                        twice = True
                    way = (way + 1) % 4
                elif pieces[y + left_y[way], x + left_x[way]] == piece:
                    way = (way + 3) % 4
                turned = way != before
                if y == row and x == column and way == 0:
                    break
            touching[ways] = twice
            ways += 1
    starts[ways] = count
    return points[:count], starts[: ways + 1], owners[:ways], touching[:ways]
