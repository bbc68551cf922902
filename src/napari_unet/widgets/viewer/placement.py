"""How a result is laid beside its image: the one place that knows it.

Layers are aligned at their last axes. The labels of an image, its values and its previews have
its axes less C. Where C stands after other axes of the image (TCYX, as ImageJ's hyperstacks are
opened), the layer of a result has an axis of length 1 there, whose one pixel covers all channels:
sliders move both layers alike, and the result is seen at each channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_unet.axes import label_axes


@dataclass(frozen=True, eq=False)
class Placement(Mapping[str, Any]):
    """Where the layer of a result lies; from `LayerImage.placement`.

    As a mapping it has the arguments of that layer: scale, translate, rotate, shear, affine,
    units and axis_labels.

    Attributes
    ----------
    axes : str
        Of the layer's array.
    arguments : dict
        Of the layer.
    """

    axes: str
    arguments: dict[str, Any]

    def lay(self, values: Any) -> Any:
        """An array with the image's axes less C, as the layer shows it: the same or a view."""
        if "C" not in self.axes:
            return values
        return as_sliceable(values)[tuple(None if a == "C" else slice(None) for a in self.axes)]

    def index(self, index: tuple[Any, ...]) -> tuple[Any, ...]:
        """Where a part of such an array stands in the layer.

        >>> Placement("TCYX", {}).index((2, slice(None), slice(None)))
        (2, 0, slice(None, None, None), slice(None, None, None))
        """
        parts = iter(index)
        return tuple(0 if axis == "C" else next(parts) for axis in self.axes)

    def shape(self, shape: Mapping[str, int]) -> tuple[int, ...]:
        """Of the layer's array, from the length of each axis of the image."""
        return tuple(1 if axis == "C" else shape[axis] for axis in self.axes)

    def __getitem__(self, key: str) -> Any:
        return self.arguments[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arguments)

    def __len__(self) -> int:
        return len(self.arguments)


def lift(array: Any, axes: str) -> tuple[Any, str]:
    """The array of a layer as `Placement.lay` has got it, without C; and its axes.

    Parameters
    ----------
    array : array-like
        Labels or values; nothing of it is read.
    axes : str
        Of the array; its C has length 1.

    Examples
    --------
    >>> array, axes = lift(np.zeros((3, 1, 8, 9)), "TCYX")
    >>> array.shape, axes
    ((3, 8, 9), 'TYX')
    """
    if "C" not in axes:
        return array, axes
    index = tuple(0 if axis == "C" else slice(None) for axis in axes)
    return as_sliceable(array)[index], label_axes(axes)


def as_sliceable(values: Any) -> Any:
    """An array of which a view can be taken without reading it."""
    if isinstance(values, np.ndarray) or hasattr(values, "dask"):
        return values
    import dask.array

    chunks = getattr(values, "chunks", None) or "auto"
    return dask.array.from_array(values, chunks=chunks)  # type: ignore[no-untyped-call]
