"""Linear resampling on global coordinates, so that a part equals a cut from the whole.

Along each axis the values of the new grid are weighted sums of the old grid's: a triangle
filter, widened when the new grid is coarser so that nothing aliases. Pixel centres of both
grids span the same extent. The weights of a pixel depend on its global index alone.

`scipy.ndimage.zoom`, `skimage.transform.resize` and torch's `interpolate` lay the new grid
between the ends of the array that they are given, so that a tile would differ from the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def axis_weights(start: int, stop: int, new: int, old: int) -> tuple[int, int, NDArray[np.float32]]:
    """Weights that make the pixels [start, stop) of an axis of ``new`` pixels from ``old``.

    Returns
    -------
    first, last : int
        The range of old pixels that is needed, first <= i < last.
    weights : (stop - start, last - first) float32 array
        Each row sums to 1.

    Examples
    --------
    >>> axis_weights(0, 2, 2, 4)[2].round(3).tolist()
    [[0.429, 0.429, 0.143, 0.0], [0.0, 0.143, 0.429, 0.429]]
    """
    step = old / new
    width = max(step, 1.0)
    centres = (np.arange(start, stop) + 0.5) * step - 0.5
    first = max(int(np.ceil(centres[0] - width)), 0)
    last = min(int(np.floor(centres[-1] + width)) + 1, old)
    first, last = min(first, old - 1), max(last, 1)
    distance = np.abs(np.arange(first, last)[None] - centres[:, None]) / width
    weights = np.clip(1.0 - distance, 0.0, None)
    return first, last, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def resample(
    block: NDArray[Any], weights: Sequence[NDArray[Any] | None], axes: Sequence[int]
) -> NDArray[Any]:
    """Apply one weight matrix per axis to ``block``, None leaving an axis as it is; float32."""
    out = np.asarray(block, dtype=np.float32)
    for matrix, axis in zip(weights, axes, strict=True):
        if matrix is not None:
            out = np.moveaxis(np.tensordot(matrix, out, axes=(1, axis)), 0, axis)
    return out


def resampled_shape(shape: Sequence[int], zoom: Sequence[float]) -> tuple[int, ...]:
    """Shape after zooming, at least one pixel per axis.

    >>> resampled_shape((10, 1), (0.5, 0.1))
    (5, 1)
    """
    return tuple(max(1, round(n * z)) for n, z in zip(shape, zoom, strict=True))
