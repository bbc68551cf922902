"""The loops of `napari_unet.instances.watershed` as machine code.

All arrays are flat and have a border of background, so that every pixel has neighbours;
``steps`` leads to them in the order of their index, ``forward`` is its second half. ``levels``
are the rounded heights, each doubled, 0 in the background; an odd one is one of level ground that
`napari_unet.instances._levels` raised. Basins are numbered from 1. ``first``, ``row`` and
``plane`` say where an array without the border begins, and how far apart its rows and planes
are: a view would be compiled anew for each layout in memory.

`skimage.segmentation.watershed` returns labels alone; joining parts to exactly the labels of the
whole also takes the saddles between basins and the ways that leave a part, as returned here.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core.caching import FunctionCache

logger = logging.getLogger(__name__)

LEVELS = 4096
"""Heights are rounded down to multiples of 1 / LEVELS."""
HIGHEST = 2 * (LEVELS + 1) + 1
"""Of all levels: the height 1, raised."""

PRIVATE, FACE, NEAR, FAR, EXIT = range(5)
"""Zones of a part: the core but for its outermost layer; that layer; the layer around it; what
is farther out; the part's own outermost layer, where it is cut."""

F = TypeVar("F", bound=Callable[..., Any])


CACHE_BYTES = 1 << 25  # free on the disk, for machine code to be kept there


class _CacheWherePossible(FunctionCache):
    """Machine code on disk; where a quota or a permission forbids that, it is told once.

    numba takes a fault of the disk for a fault of the function.
    """

    _told = False

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]
        except OSError as error:
            if not _CacheWherePossible._told:
                _CacheWherePossible._told = True
                logger.warning("Machine code is not kept, so that each start compiles: %s", error)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        with contextlib.suppress(OSError):
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        return None


def compiled(function: F) -> F:
    """The function as machine code, kept on disk where there is a folder and room for it.

    Compiling all of them takes seconds, reading them from the disk a twentieth of one.
    """
    try:
        kept = numba.njit(nogil=True, cache=True)(function)
        # else a full disk would be an error of the first call
        if shutil.disk_usage(str(kept.stats.cache_path)).free > CACHE_BYTES:
            cast("Any", kept)._cache = _CacheWherePossible(function)  # type: ignore[no-untyped-call]
            return cast("F", kept)
    except (RuntimeError, OSError):  # neither the package's folder nor the user's can be written
        pass
    return cast("F", numba.njit(nogil=True)(function))


@compiled
def spread(levels: Any, steps: Any, ways: Any, queue: Any, first: Any, last: Any) -> Any:
    """Lead what lies level with the pixels of the queue to them, step by step."""
    while first < last:
        place = queue[first]
        first += 1
        for step in steps:
            near = place + step
            if ways[near] == 0 and levels[near] == levels[place]:
                ways[near] = place
                queue[last] = near
                last += 1
    return last


@compiled
def climb(levels: Any, pixels: Any, steps: Any, ways: Any, zones: Any) -> Any:
    """Where each pixel leads: to another, or to -n if it is the n-th peak or exit itself."""
    # tables for as many as there could be: memory that is never touched costs nothing
    places = np.empty(pixels + 1, np.int64)
    places[0] = 0
    peaks = 0
    flats = np.empty(pixels, ways.dtype)  # pixels without a higher neighbour
    flat = 0
    for place in range(levels.size):
        highest = levels[place] // 2  # which of the neighbours were raised does not count
        if highest == 0:
            continue
        if zones is not None:  # noqa: SIM102 # alone, so that numba can drop it
            if zones[place] == EXIT:
                peaks += 1
                places[peaks] = place
                ways[place] = -peaks
                continue
        higher = 0
        for step in steps:
            level = levels[place + step] // 2
            if level > highest:
                highest = level
                higher = place + step
        if higher == 0:  # level ground, beside what of it was raised or not
            for step in steps:
                if levels[place + step] > levels[place]:
                    higher = place + step
                    break
        ways[place] = higher
        if higher == 0:
            flats[flat] = place
            flat += 1
    queue = np.empty(flat, ways.dtype)
    across = np.empty(flat, ways.dtype)
    last = 0
    for i in range(flat):
        place = flats[i]
        for step in steps:
            near = place + step
            if ways[near] != 0 and levels[near] == levels[place]:
                queue[last] = place
                across[last] = near
                last += 1
                break
    for i in range(last):
        ways[queue[i]] = across[i]
    last = spread(levels, steps, ways, queue, 0, last)
    for i in range(flat):
        place = flats[i]
        if ways[place] == 0:
            peaks += 1
            places[peaks] = place
            ways[place] = -peaks
            queue[last] = place
            last = spread(levels, steps, ways, queue, last, last + 1)
    return places, peaks, flats[:flat]


@compiled
def unmark(place: Any, levels: Any, steps: Any, marks: Any, queue: Any, last: Any) -> Any:
    """Move the marked neighbours of a pixel that lie level with it into the queue."""
    for step in steps:
        near = place + step
        if marks[near] and levels[near] == levels[place]:
            marks[near] = False
            queue[last] = near
            last += 1
    return last


@compiled
def open_plateaus(
    levels: Any, steps: Any, ways: Any, zones: Any, places: Any, peaks: Any, flats: Any
) -> Any:
    """Make exits of what lies around the core on a plateau that goes on beyond the part.

    So each part leads the pixels of its own core, and all agree. The number of peaks and exits.
    """
    marks = np.zeros(levels.size, np.bool_)
    for place in flats:
        marks[place] = True
    queue = np.empty(flats.size, ways.dtype)
    last = 0
    for i in range(1, peaks + 1):
        if zones[places[i]] == EXIT:
            last = unmark(places[i], levels, steps, marks, queue, last)
    first = 0
    while first < last:
        last = unmark(queue[first], levels, steps, marks, queue, last)
        first += 1
    for i in range(last):
        if zones[queue[i]] > FACE:
            peaks += 1
            places[peaks] = queue[i]
            ways[queue[i]] = -peaks
    return peaks


@compiled
def gather(ways: Any) -> None:
    """Replace the way of each pixel by the number of the peak or exit where it ends."""
    for start in range(ways.size):
        if ways[start] > 0:
            place = start
            while ways[place] > 0:
                place = ways[place]
            basin = ways[place]
            place = start
            while ways[place] > 0:
                way = ways[place]
                ways[place] = basin
                place = way
    for place in range(ways.size):
        ways[place] = -ways[place]


@compiled
def find_meetings(levels: Any, basins: Any, forward: Any) -> Any:
    """Neighbours in two basins, from the highest level down, each level in order."""
    ends = np.zeros(HIGHEST + 1, np.int64)
    for place in range(levels.size):
        if basins[place] != 0:
            for step in forward:
                near = place + step
                if basins[near] != basins[place] and basins[near] != 0:
                    ends[min(levels[place], levels[near])] += 1
    total = 0
    for level in range(HIGHEST, 0, -1):
        count = ends[level]
        ends[level] = total
        total += count
    pairs = np.empty((total, 2), basins.dtype)
    for place in range(levels.size):
        if basins[place] != 0:
            for step in forward:
                near = place + step
                if basins[near] != basins[place] and basins[near] != 0:
                    level = min(levels[place], levels[near])
                    pairs[ends[level], 0] = place
                    pairs[ends[level], 1] = near
                    ends[level] += 1
    return pairs


@compiled
def find_root(objects: Any, basin: Any) -> Any:
    """The basin that stands for a basin's object; the way to it is halved."""
    while objects[basin] != basin:
        objects[basin] = objects[objects[basin]]
        basin = objects[basin]
    return basin


@compiled
def flatten(objects: Any) -> None:
    """Lead each basin straight to the one that stands for its object."""
    for basin in range(objects.size):
        objects[basin] = find_root(objects, basin)


@compiled
def join_whole(levels: Any, basins: Any, pairs: Any, peaks: Any, depth: Any) -> Any:
    """The object of each basin: where two meet, the lower one is absorbed if it is shallow."""
    objects = np.arange(peaks.size)
    for i in range(pairs.shape[0]):
        low = find_root(objects, basins[pairs[i, 0]])
        high = find_root(objects, basins[pairs[i, 1]])
        if low != high:
            if peaks[low] > peaks[high]:
                low, high = high, low
            if peaks[low] - min(levels[pairs[i, 0]], levels[pairs[i, 1]]) < depth:
                objects[low] = high
    flatten(objects)
    return objects


@compiled
def join_part(
    levels: Any,
    basins: Any,
    pairs: Any,
    peaks: Any,
    depth: Any,
    zones: Any,
    exits: Any,
    shared: Any,
    near: Any,
) -> Any:
    """As `join_whole`, as far as the part is sure of it; and the meetings that others must know."""
    objects = np.arange(peaks.size)
    # of each object: a basin that other parts know by the same name, if any does at all;
    # whether they do; whether its height is unknown
    handles = np.arange(peaks.size)
    known = shared.copy()
    unknown = exits.copy()
    edges = np.empty((pairs.shape[0], 4), np.int64)
    count = 0
    ahead = 0
    for i in range(pairs.shape[0]):
        place = pairs[i, 0]
        level = min(levels[place], levels[pairs[i, 1]])
        # what meets an exit at this level may go on beyond it
        while ahead < pairs.shape[0]:
            here, there = basins[pairs[ahead, 0]], basins[pairs[ahead, 1]]
            if min(levels[pairs[ahead, 0]], levels[pairs[ahead, 1]]) < level:
                break
            if exits[here] or exits[there]:
                unknown[find_root(objects, here)] = unknown[find_root(objects, there)] = True
            ahead += 1
        low = find_root(objects, basins[place])
        high = find_root(objects, basins[pairs[i, 1]])
        if low == high:
            continue
        if peaks[low] > peaks[high] or (peaks[low] == peaks[high] and unknown[low]):
            low, high = high, low
        if peaks[low] - level >= depth:
            continue  # both stand out, whatever the rest of the map adds to them
        if zones[place] <= FACE and (unknown[low] or known[low]):
            edges[count, 0] = level
            edges[count, 1] = place
            edges[count, 2] = handles[low]
            edges[count, 3] = handles[high]
            count += 1
        if unknown[low]:
            unknown[high] = True  # outside this block its peak may be the higher one
            continue
        objects[low] = high
        known[high] |= known[low]
        if not near[handles[high]]:
            handles[high] = handles[low]
    flatten(objects)
    return objects, handles, edges, count


@compiled
def join_parts(peaks: Any, same: Any, edges: Any, depth: Any) -> Any:
    """The object of each basin of all parts."""
    objects = np.arange(peaks.size)
    for i in range(same.shape[0]):
        one, other = find_root(objects, same[i, 0]), find_root(objects, same[i, 1])
        objects[other] = one
        peaks[one] = max(peaks[one], peaks[other])
    for i in range(edges.shape[0]):
        low, high = find_root(objects, edges[i, 1]), find_root(objects, edges[i, 2])
        if low != high:
            if peaks[low] > peaks[high]:
                low, high = high, low
            if peaks[low] - edges[i, 0] < depth:
                objects[low] = high
    flatten(objects)
    return objects


@compiled
def number(
    basins: Any, objects: Any, min_size: Any, out: Any, first: Any, row: Any, plane: Any
) -> Any:
    """Objects of enough pixels, numbered from 1 as they come; size of each, and its number.

    Sizes are not counted for a ``min_size`` of 1, which every object has.
    """
    sizes = np.zeros(objects.size, np.int64)
    if min_size != 1:
        for z in range(out.shape[0]):
            for y in range(out.shape[1]):
                start = first + z * plane + y * row
                for x in range(out.shape[2]):
                    sizes[objects[basins[start + x]]] += 1
    numbers = np.zeros(objects.size, np.int32)
    count = 0
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            start = first + z * plane + y * row
            for x in range(out.shape[2]):
                label = 0
                basin = basins[start + x]
                if basin > 0:
                    label = numbers[objects[basin]]
                    if label == 0 and (min_size == 1 or sizes[objects[basin]] >= min_size):
                        count += 1
                        label = numbers[objects[basin]] = count
                out[z, y, x] = label
    return sizes, numbers
