"""How many other objects lie within a distance of each."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_unet.measurement._kernels import find_near
from napari_unet.measurement.inputs import Inputs
from napari_unet.measurement.sums import number_objects
from napari_unet.measurement.windows import list_blocks, widen, window_of
from napari_unet.progress import Progress

FOUND_AT_ONCE = 1 << 20  # pairs that are kept before the same ones are put together


def count_neighbours(
    inputs: Inputs,
    frame: int | None,
    labels: NDArray[np.integer],
    distance: float,
    block: tuple[int, ...],
) -> Generator[Progress, None, NDArray[np.int64]]:
    """Count the objects that have a pixel within a distance of one of an object's pixels.

    Parameters
    ----------
    inputs : Inputs
        With the labels.
    frame : int or None
        Time point.
    labels : (n,) array
        All labels of this time point, ascending.
    distance : float
        From the middle of a pixel to that of another, in micrometres where the pixel size is
        known, else in pixels.
    block : tuple of int
        Shape of the blocks that are read, beside a margin of that distance.

    Returns
    -------
    (n,) array of int
        Per label.
    """
    spacing = inputs.pixel_size or (1.0,) * len(inputs.spatial)
    shape = [inputs.labels.sizes[axis] for axis in inputs.spatial]
    steps = list_steps(distance, spacing)
    reach = [int(n) for n in np.abs(steps).max(axis=0, initial=0)[3 - len(spacing) :]]
    blocks = list_blocks(shape, block)
    pairs = np.empty(0, np.int64)
    for done, box in enumerate(blocks):
        yield Progress(done, len(blocks), "looking for neighbours")
        wide = widen(box, reach, shape)
        values, index = number_objects(inputs.read_labels(window_of(wide, inputs.spatial, frame)))
        if len(values) < 2:
            continue
        rows = np.zeros(len(values) + 1, np.int64)
        rows[1:] = np.searchsorted(labels, values.astype(labels.dtype))
        low, high = (
            np.array(
                [0] * (3 - len(box))
                + [ends[side] - start for ends, (start, _) in zip(box, wide, strict=True)]
            )
            for side in (0, 1)
        )
        high[: 3 - len(box)] = 1
        pairs = _add_pairs(pairs, index, rows, low, high, steps, len(labels))
    ends = np.divmod(pairs, max(len(labels), 1))
    counts: NDArray[np.int64] = np.bincount(np.concatenate(ends), minlength=len(labels))
    return counts


def _add_pairs(
    pairs: NDArray[np.int64],
    index: NDArray[np.int32],
    rows: NDArray[np.int64],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    steps: NDArray[np.int64],
    count: int,
) -> NDArray[np.int64]:
    buffer = np.empty(FOUND_AT_ONCE + len(steps), np.int64)
    seen = np.full(1 << 12, -1, np.int64)
    start = low.copy()
    while start[0] < high[0]:
        found = find_near(index, rows, low, high, start, steps, count, buffer, seen)
        pairs = np.union1d(pairs, buffer[:found])
    return pairs


def list_steps(distance: float, spacing: Sequence[float]) -> NDArray[np.int64]:
    """Steps from a pixel to those within a distance, one of each two that are opposite.

    >>> list_steps(1.0, (0.5, 1.0)).tolist()
    [[0, 0, 1], [0, 1, 0], [0, 2, 0]]
    """
    sizes = (1.0,) * (3 - len(spacing)) + tuple(spacing)
    # a hair more, so that 3 pixels of 0.1 are within 0.3
    distance = distance * (1 + 1e-9)
    far = [math.floor(distance / size) for size in sizes]
    far[: 3 - len(spacing)] = [0] * (3 - len(spacing))
    grid = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in far), indexing="ij"), -1)
    steps = grid.reshape(-1, 3)
    lengths = np.linalg.norm(steps * np.asarray(sizes), axis=1)
    ahead = np.arange(len(steps)) > len(steps) // 2  # the middle one is the pixel itself
    found: NDArray[np.int64] = steps[ahead & (lengths <= distance)]
    return found
