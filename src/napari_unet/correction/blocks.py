"""An array read in blocks of bounded size, whole chunks where it has any."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.correction.change import Window

BLOCK_PIXELS = 1 << 21


def read_blocks(array: Any, region: Window) -> Iterator[tuple[Window, NDArray[Any]]]:
    """Read a region block by block.

    Parameters
    ----------
    array : array-like
        Anything with shape and slicing; its ``chunks`` are kept whole.
    region : tuple of slice
        Start and stop for each axis.

    Yields
    ------
    window : tuple of slice
        Where the block lies in the array.
    pixels : array
        Its pixels; of a NumPy array a view.

    Examples
    --------
    >>> [block.tolist() for _, block in read_blocks(np.arange(3), (slice(1, 3),))]
    [[1, 2]]
    """
    chunks = getattr(array, "chunks", None) or (1,) * len(region)
    # Dask tells all sizes of an axis, zarr and h5py one
    steps = [size if isinstance(size, int) else max(size) for size in chunks]
    for axis in reversed(range(len(region))):
        extent = region[axis].stop - region[axis].start
        room = max(BLOCK_PIXELS // math.prod(steps), 1)
        steps[axis] = min(steps[axis] * room, max(extent, 1))
    ranges = [
        [slice(at, min(at + step, part.stop)) for at in range(part.start, part.stop, step)]
        for part, step in zip(region, steps, strict=True)
    ]
    for window in itertools.product(*ranges):
        yield window, np.asarray(array[window])
