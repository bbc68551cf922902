"""What of an image is in view."""

from __future__ import annotations

from dataclasses import dataclass

from napari_unet.image.roi import Extent

LARGEST = 1024  # pixels a side; a preview is to be there at once


@dataclass(frozen=True)
class View:
    """The part of an image that is in view.

    Attributes
    ----------
    y, x : slice
        In pixels of the image.
    t, z : int
        Time point and plane; 0 where the image has no such axis.
    """

    y: slice
    x: slice
    t: int = 0
    z: int = 0

    @classmethod
    def around(cls, y: slice, x: slice, t: int = 0, z: int = 0) -> View:
        """The same, cut down to its centre where it is too large to be fast.

        >>> View.around(slice(0, 5000), slice(100, 200)).y
        slice(1988, 3012, None)
        """
        return cls(_centre(y), _centre(x), t, z)

    def extent(self, ndim: int) -> Extent:
        """As a part of the image; a 3D model needs all planes.

        >>> View(slice(0, 9), slice(2, 5), z=3).extent(2).z
        (3, 4)
        """
        return Extent(
            t=(self.t, self.t + 1),
            z=None if ndim == 3 else (self.z, self.z + 1),
            y=(self.y.start, self.y.stop),
            x=(self.x.start, self.x.stop),
        )


def _centre(part: slice) -> slice:
    length = part.stop - part.start
    if length <= LARGEST:
        return part
    start = part.start + (length - LARGEST) // 2
    return slice(start, start + LARGEST)
