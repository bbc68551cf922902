"""Distances in a window, in pixels or in the unit of a pixel size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.errors import InputError


def measure_depth(
    mask: NDArray[np.bool_], spacing: Sequence[float] | None = None
) -> NDArray[np.float32]:
    """Distance of each pixel of a mask to the nearest one outside.

    Parameters
    ----------
    mask : ([Z,] Y, X) bool array
        Beyond its sides nothing is known: they do not count as outside.
    spacing : sequence of float, optional
        Distance of neighbouring pixels along each axis. None: 1.

    Returns
    -------
    float32 array
        0 outside; where there is no pixel outside, the length of all axes together.

    Raises
    ------
    InputError
        If there are more than three axes, or the spacing is not one of their number.

    Examples
    --------
    >>> measure_depth(np.array([[False, True, True]])).tolist()
    [[0.0, 1.0, 2.0]]
    """
    if not 0 < mask.ndim <= 3:
        raise InputError(
            f"An edit of {mask.ndim} axes at once is not possible",
            "give the index of time and other axes that are not space as ⟨frame⟩",
            parameter="frame",
        )
    steps = (1.0,) * mask.ndim if spacing is None else tuple(float(step) for step in spacing)
    if len(steps) != mask.ndim or not all(0 < step < np.inf for step in steps):
        raise InputError(
            f"⟨spacing⟩ {tuple(spacing or ())} does not fit {mask.ndim} axes of space",
            "give a length above 0 for each",
            parameter="spacing",
            value=spacing,
        )
    limit = sum(step * size for step, size in zip(steps, mask.shape, strict=True))
    anisotropy = steps if mask.ndim > 1 else steps[0]
    found = edt.edt(np.ascontiguousarray(mask), anisotropy=anisotropy, black_border=False)
    return np.asarray(np.minimum(found, limit), np.float32)


def spread_to_nearest(parts: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Give the pixels of a mask that are in no part to the nearest part.

    >>> spread_to_nearest(np.array([[1, 0, 0, 0, 2]], np.int32), np.ones((1, 5), bool)).tolist()
    [[1, 1, 1, 2, 2]]
    """
    rest = mask & (parts == 0)
    if not rest.any():
        return parts
    nearest: Any = ndimage.distance_transform_edt(
        parts == 0, return_distances=False, return_indices=True
    )
    return np.where(rest, parts[tuple(nearest)], parts)
