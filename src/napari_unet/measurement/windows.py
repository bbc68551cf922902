"""Where the objects lie, found block by block, and the windows in which they are read."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from scipy import ndimage

from napari_unet.measurement.inputs import Inputs
from napari_unet.renumbering import renumber

BLOCK_PIXELS = 2**22
UNCHUNKED = 1024  # pixels along X and Y of a block, before it grows

Box = tuple[tuple[int, int], ...]
"""Start and stop along each spatial axis, in canonical order."""


def choose_block(array: Any, axes: str, spatial: str) -> tuple[int, ...]:
    """Shape of the blocks in which labels are read: whole chunks, as many as a block may hold.

    Examples
    --------
    >>> import numpy as np
    >>> choose_block(np.zeros((8, 512, 4096), np.uint8), "ZYX", "ZYX")
    (2, 512, 4096)
    """
    sizes = dict(zip(axes, map(int, array.shape), strict=True))
    chunks = getattr(array, "chunks", None)
    if chunks is None:
        steps = {"Z": 1, "Y": UNCHUNKED, "X": UNCHUNKED}
    else:  # of Dask a tuple per axis, which may differ
        steps = {
            axis: int(max(n) if isinstance(n, Sequence) else n)
            for axis, n in zip(axes, chunks, strict=True)
        }
    block = {axis: max(1, min(steps[axis], sizes[axis])) for axis in spatial}
    for axis in reversed(spatial):
        while block[axis] < sizes[axis] and 2 * math.prod(block.values()) <= BLOCK_PIXELS:
            block[axis] *= 2
    return tuple(min(block[axis], sizes[axis]) for axis in spatial)


def find_boxes(inputs: Inputs, frame: int | None, block: tuple[int, ...]) -> dict[int, Box]:
    """Bounding boxes of the objects of a time point, by label; only a block is in memory."""
    shape = [inputs.labels.sizes[axis] for axis in inputs.spatial]
    boxes: dict[int, Box] = {}
    for corner in product(*(range(0, n, b) for n, b in zip(shape, block, strict=True))):
        box = tuple((a, min(a + b, n)) for a, b, n in zip(corner, block, shape, strict=True))
        values, index = renumber(inputs.read_labels(window_of(box, inputs.spatial, frame)))
        ranks = index + 1
        ranks[index == 0] = int(len(values) > 0 and int(values[0]) != 0)  # 0 is no object
        for rank, found in enumerate(ndimage.find_objects(ranks), start=1):
            if found is None:
                continue
            here = tuple((a + s.start, a + s.stop) for a, s in zip(corner, found, strict=True))
            label = int(values[rank - 1])
            boxes[label] = unite([boxes[label], here]) if label in boxes else here
    return boxes


def group_by_block(
    boxes: dict[int, Box], block: tuple[int, ...]
) -> Iterator[tuple[Box, list[int]]]:
    """Objects that are read together, and the box around them.

    Those that begin in the same block, unless one reaches far beyond: it is read alone.
    """
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for label, box in boxes.items():
        place = tuple(start // size for (start, _), size in zip(box, block, strict=True))
        if all(
            stop <= (at + 2) * size for (_, stop), at, size in zip(box, place, block, strict=True)
        ):
            groups[place].append(label)
        else:
            yield box, [label]
    for place in sorted(groups):
        labels = groups[place]
        yield unite([boxes[label] for label in labels]), labels


def unite(boxes: Sequence[Box]) -> Box:
    """The box around others.

    >>> unite([((0, 2), (3, 4)), ((1, 5), (0, 1))])
    ((0, 5), (0, 4))
    """
    return tuple(
        (min(start for start, _ in along), max(stop for _, stop in along))
        for along in zip(*boxes, strict=True)
    )


def widen(box: Box, margins: Sequence[int], shape: Sequence[int]) -> Box:
    """A box with a margin, as far as the array goes."""
    return tuple(
        (max(0, start - margin), min(n, stop + margin))
        for (start, stop), margin, n in zip(box, margins, shape, strict=True)
    )


def window_of(box: Box, spatial: str, frame: int | None) -> dict[str, int | slice]:
    """A box as a window by axis letter."""
    window: dict[str, int | slice] = {
        axis: slice(start, stop) for axis, (start, stop) in zip(spatial, box, strict=True)
    }
    if frame is not None:
        window["T"] = frame
    return window


def slices_in(box: Box, around: Box) -> tuple[slice, ...]:
    """Where a box lies in what was read of the box around it."""
    return tuple(
        slice(start - origin, stop - origin)
        for (start, stop), (origin, _) in zip(box, around, strict=True)
    )
