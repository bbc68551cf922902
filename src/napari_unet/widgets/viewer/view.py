"""What of an image is in view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.image.roi import Roi
from napari_unet.widgets.viewer.coordinates import corners_in_view, position, unit_ratios
from napari_unet.widgets.viewer.layer_image import shape_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image


LARGEST_SIDE_PIXELS = 1024  # of a preview, which must appear at once


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

    def roi(self, ndim: int) -> Roi:
        """As a part of the image; a 3D model needs all planes.

        >>> View(slice(0, 9), slice(2, 5), z=3).roi(2).z
        (3, 4)
        """
        return Roi(
            t=(self.t, self.t + 1),
            z=None if ndim == 3 else (self.z, self.z + 1),
            y=(self.y.start, self.y.stop),
            x=(self.x.start, self.x.stop),
        )


def _centre(part: slice) -> slice:
    length = part.stop - part.start
    if length <= LARGEST_SIDE_PIXELS:
        return part
    start = part.start + (length - LARGEST_SIDE_PIXELS) // 2
    return slice(start, start + LARGEST_SIDE_PIXELS)


def view_of(viewer: Viewer, layer: Image, axes: str) -> View:
    """The part of a layer that is in view, at the viewer's time point and plane; not too large."""
    view = whole_view_of(viewer, layer, axes)
    return View.around(view.y, view.x, view.t, view.z)


def whole_view_of(viewer: Viewer, layer: Image, axes: str) -> View:
    """All of a layer that is in view, at the viewer's time point and plane."""
    displayed = [axes[i] for i in _displayed(viewer, layer)]
    point = layer.world_to_data(position(viewer, layer))
    corners = _corners(viewer, layer) if sorted(displayed) == ["X", "Y"] else None
    shape = shape_of(layer)
    place: dict[str, int] = {}
    parts = {axis: slice(0, int(shape[axes.index(axis)])) for axis in "YX"}
    for i, axis in enumerate(axes[: layer.ndim]):
        place[axis] = int(np.clip(round(float(point[i])), 0, shape[i] - 1))
        if axis in "YX" and corners is not None:
            low, high = (int(corner) for corner in corners[:, i])
            if high > low:
                parts[axis] = slice(max(low, 0), min(high + 1, int(shape[i])))
    return View(parts["Y"], parts["X"], place.get("T", 0), place.get("Z", 0))


def _corners(viewer: Viewer, layer: Image) -> Any:
    """First and last pixel on the canvas, (2, D), of the finest level."""
    if not np.allclose(unit_ratios(viewer, layer), 1):
        return corners_in_view(viewer, layer)  # napari does not convert what the layer knows
    finer = layer.downsample_factors[layer.data_level] if layer.multiscale else 1
    return layer.corner_pixels * np.asarray(finer)


def _displayed(viewer: Viewer, layer: Image) -> list[int]:
    offset = viewer.dims.ndim - layer.ndim  # layers are aligned at the last axes
    return [axis - offset for axis in viewer.dims.displayed if axis >= offset]
