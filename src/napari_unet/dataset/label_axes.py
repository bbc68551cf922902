"""Labels in the order of axes of their image, by what both files declare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_unet.axes import label_axes
from napari_unet.errors import InputError


def arrange_labels(
    labels: Any,
    axes: str | None,
    image_axes: str,
    image_sizes: Mapping[str, int] | None = None,
) -> Any:
    """Labels with the axes of an image less C, in its order.

    An axis of length 1 that only one of the two has does not matter: it is taken out of the
    labels, or put in. Nothing is read.

    Parameters
    ----------
    labels : array-like
        Anything with shape, dtype and slicing.
    axes : str or None
        Axes of the labels, over TCZYX; None: not known, they stay as they are.
    image_axes : str
        Axes of the image, over TCZYX.
    image_sizes : mapping of str to int, optional
        Length of each axis of the image. Where the labels have its shape and only name an axis
        otherwise, such as Z for T, they stay as they are.

    Returns
    -------
    array-like
        The array itself where nothing is to be done, else a view or a Dask array.

    Raises
    ------
    InputError
        If the labels have an axis that the image has not, longer than 1.

    Examples
    --------
    >>> arrange_labels(np.zeros((4, 1, 5, 6)), "ZCYX", "TZYX").shape
    (1, 4, 5, 6)
    """
    target = label_axes(image_axes)
    if axes is None or axes == target:
        return labels
    sizes = dict(zip(axes, labels.shape, strict=True))
    shape = tuple((image_sizes or {}).get(axis) for axis in target)
    if set(axes) != set(target) and shape == tuple(labels.shape):
        return labels
    extra = [axis for axis in axes if axis not in target and sizes[axis] > 1]
    if extra:
        told = ", ".join(f"{axis} of length {sizes[axis]}" for axis in extra)
        raise InputError(
            f"the labels have axes {axes}, with {told}, which the image ({image_axes}) has not",
            "choose the labels of this image, or name the axes of the image in ⟨axes⟩",
            parameter="labels",
            value=axes,
        )
    if not isinstance(labels, np.ndarray):
        import dask.array

        chunks = getattr(labels, "chunks", None) or "auto"
        labels = dask.array.from_array(labels, chunks=chunks)  # type: ignore[no-untyped-call]
    index = tuple(slice(None) if axis in target else 0 for axis in axes)
    kept = [axis for axis in axes if axis in target]
    order = [kept.index(axis) for axis in target if axis in kept]
    arranged = labels[index].transpose(order)
    return arranged[tuple(slice(None) if axis in kept else None for axis in target)]
