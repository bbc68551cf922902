"""Masks as labels: each connected region an object."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import measure

from napari_unet.dataset.label_values import WholeNumbers
from napari_unet.errors import InputError


def number_regions(
    labels: Any, axes: str | None, *, background: int | None = None
) -> NDArray[np.int64]:
    """Number the connected regions of equal value, as `skimage.measure.label` does.

    Regions touch at edges or corners; those of different time points are never one.

    Parameters
    ----------
    labels : array-like
        A mask, or classes; 0 is left as it is.
    axes : str or None
        One letter over TZYX per axis; None: not known, which two axes need not be.
    background : int, optional
        A label that keeps its value.

    Returns
    -------
    int64 array
        Of the same shape, numbered from 1 over all time points.

    Raises
    ------
    InputError
        If there are more than two axes and they are not known, or a value is no whole number.

    Examples
    --------
    >>> number_regions(np.array([[255, 0, 255], [255, 0, 0]]), "YX").tolist()
    [[1, 0, 2], [1, 0, 0]]
    """
    floats = np.dtype(labels.dtype).kind == "f"
    given: NDArray[Any] = np.asarray(WholeNumbers(labels) if floats else labels)
    if axes is None and given.ndim > 2:
        raise InputError(
            f"the mask has shape {given.shape}, and whether its first axis is Z or T decides which "
            "regions are one object",
            "give ⟨axes⟩",
            parameter="axes",
        )
    found = np.zeros(given.shape, np.int64)
    time = axes.index("T") if axes is not None and "T" in axes else None
    frames = 1 if time is None else given.shape[time]
    count = 0
    for frame in range(frames):
        place = tuple(frame if axis == time else slice(None) for axis in range(given.ndim))
        values = given[place]
        if background is not None:
            values = np.where(values == background, 0, values)
        regions: NDArray[Any] = measure.label(values, background=0)  # type: ignore[no-untyped-call]
        found[place] = np.where(regions > 0, regions + count, 0)
        count += int(regions.max(initial=0))
    if background is not None:
        found += (found >= background) & (found > 0)  # so that no object has its number
        found[given == background] = background
    return found
