"""What of an image a training is previewed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.card import Normalization
from napari_unet.image.normalization import find_limits
from napari_unet.image.source import open_image
from napari_unet.widgets.viewer.layer_image import LayerImage
from napari_unet.widgets.viewer.view import View

if TYPE_CHECKING:
    from napari_unet.training.steps import Preview
    from napari_unet.widgets.viewer.placement import Placement

LARGEST_SIDE_PIXELS = 512  # of a preview, which must not delay the training
LARGEST_SIDE_3D_PIXELS = 256
PREVIEWED_PLANES = 16  # of a volume, around the one in view


@dataclass(frozen=True, eq=False)
class TrainingView:
    """The part of an image that is in view; it holds arrays and values only.

    Attributes
    ----------
    image : LayerImage
        The whole image.
    axes : str
        Of its array.
    channels : tuple of int or None
        Input channels where there is an axis C.
    view : View
        What is in view.
    """

    image: LayerImage
    axes: str
    channels: tuple[int, ...] | None
    view: View

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for the same part of the same image."""
        view = self.view
        arrays = tuple(id(array) for array in self.image.arrays)
        places = (view.y.start, view.y.stop, view.x.start, view.x.stop, view.t, view.z)
        return (*arrays, self.axes, self.channels, *places)

    def part(self, ndim: int) -> dict[str, slice]:
        """The part of each axis of the image but C that a network of so many axes previews."""
        sizes = dict(zip(self.axes, self.image.shape, strict=True))
        side = LARGEST_SIDE_PIXELS if ndim == 2 else LARGEST_SIDE_3D_PIXELS
        found = {}
        for axis in self.axes:
            if axis == "T":
                found[axis] = slice(self.view.t, self.view.t + 1)
            elif axis == "Z" and ndim == 2:
                found[axis] = slice(self.view.z, self.view.z + 1)
            elif axis == "Z":
                found[axis] = _around(self.view.z, PREVIEWED_PLANES, sizes["Z"])
            elif axis in "YX":
                whole = self.view.y if axis == "Y" else self.view.x
                length = min(side, whole.stop - whole.start)
                found[axis] = _around((whole.start + whole.stop) // 2, length, sizes[axis])
        return found

    def crop(self, ndim: int) -> Any:
        """Pixels of the part, with all axes of the image: an array, or a list of one a channel."""
        part = self.part(ndim)
        index = tuple(part.get(axis, slice(None)) for axis in self.axes)
        arrays = [np.asarray(array[index]) for array in self.image.arrays]
        return arrays[0] if len(arrays) == 1 else arrays

    def placement(self, ndim: int) -> Placement:
        """Where labels of the part lie."""
        part = self.part(ndim)
        corner = [part[axis].start for axis in self.axes if axis != "C"]
        return self.image.placement(self.axes, corner)

    def limits(self, normalization: Normalization, ndim: int) -> Sequence[tuple[float, float]]:
        """Intensities of the whole image that become 0 and 1, at the plane in view."""
        source = open_image(
            self.image.image,
            axes=self.axes,
            channels=self.channels,
            pixel_size=self.image.pixel_size(self.axes),
            ndim=ndim,
            in_channels=len(self.channels or self.image.arrays),
        )
        return find_limits(source, normalization).at(self.view.t, self.view.z)

    def preview(self, ndim: int, limits: Sequence[tuple[float, float]]) -> Preview:
        """The request that is sent to a training."""
        from napari_unet.training.steps import Preview

        return Preview(
            self.crop(ndim),
            axes=self.axes,
            channels=self.channels,
            pixel_size=self.image.pixel_size(self.axes),
            limits=limits,
        )


def _around(centre: int, length: int, size: int) -> slice:
    """So many pixels around one, within an axis.

    >>> _around(2, 6, 100), _around(50, 6, 100), _around(1, 6, 4)
    (slice(0, 6, None), slice(47, 53, None), slice(0, 4, None))
    """
    start = max(0, min(centre - length // 2, size - length))
    return slice(start, min(start + length, size))
