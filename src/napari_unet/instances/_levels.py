"""Heights as levels, and level ground raised where it is wide, as machine code.

A way up leads across level ground to the nearest place where it rises. How far that is has no
bound, and a block of a map sees a bounded part of it: so the middle of wide level ground is raised,
by less than what parts two objects, before any way is looked for. Then all ways are short, and a
block with its surroundings has those of the whole.

Arrays are as in `napari_unet.instances._kernels`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_unet.instances._kernels import LEVELS, compiled

LEVEL_REACH = 8
"""Steps over level ground that a way up may take."""


@compiled
def round_heights(
    foreground: Any, height: Any, threshold: Any, levels: Any, first: Any, row: Any, plane: Any
) -> Any:
    """Levels of the heights in the foreground, from 2 to HIGHEST - 1; the number of pixels."""
    pixels = 0
    for z in range(foreground.shape[0]):
        for y in range(foreground.shape[1]):
            start = first + z * plane + y * row
            for x in range(foreground.shape[2]):
                if foreground[z, y, x] > threshold:
                    pixels += 1
                    value = height[z, y, x]
                    if value >= 1:
                        levels[start + x] = 2 * (LEVELS + 1)
                    elif value > 0:
                        levels[start + x] = 2 * (int(value * LEVELS) + 1)
                    else:  # or no number
                        levels[start + x] = 2
    return pixels


@compiled
def raise_level_ground(levels: Any, steps: Any) -> None:
    """Raise what lies level, farther than `LEVEL_REACH` steps from any rise, by half a level.

    Else the way of a pixel could depend on what is any distance away. All peaks are raised; of
    other level ground, the middle becomes a peak, too low to be an object of its own. Pixels with
    ``LEVEL_REACH + 1`` others between them and each cut side are as in the whole.
    """
    flat = np.zeros(levels.size, np.bool_)
    count = 0
    for place in range(levels.size):
        level = levels[place]
        if level == 0:
            continue
        flat[place] = True
        for step in steps:
            if levels[place + step] > level:
                flat[place] = False
                break
        count += flat[place]
    queue = np.empty(count, np.int64)
    last = 0
    for place in range(levels.size):
        if flat[place]:
            for step in steps:
                if levels[place + step] == levels[place] and not flat[place + step]:
                    queue[last] = place
                    last += 1
                    break
    for i in range(last):
        flat[queue[i]] = False
    first = 0
    for _ in range(LEVEL_REACH - 1):
        end = last
        for i in range(first, end):
            for step in steps:
                near = queue[i] + step
                if flat[near] and levels[near] == levels[queue[i]]:
                    flat[near] = False
                    queue[last] = near
                    last += 1
        first = end
    for place in range(levels.size):
        if flat[place]:
            levels[place] += 1
