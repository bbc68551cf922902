"""From areas drawn in a Shapes layer to a mask of where labels can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import InputError
from napari_unet.widgets.annotation.blank import blank
from napari_unet.widgets.annotation.marks import level_of
from napari_unet.widgets.viewer.shapes import AREAS, corners, fill, has_area, in_pixels

if TYPE_CHECKING:
    from napari.layers import Labels, Shapes

TILT = 0.5  # pixels that the corners of an area may differ by across its plane


def mask_of_shapes(shapes: Shapes, layer: Labels, axes: str) -> NDArray[np.bool_]:
    """The pixels of labels whose centres lie inside the areas of a Shapes layer.

    An area of a layer that has the axis T or Z lies in one time point or plane; of a layer
    that has not, it holds for all. The layers may have different transforms.

    Parameters
    ----------
    shapes : Shapes
        What was drawn.
    layer : Labels
        On what.
    axes : str
        Of the labels.

    Returns
    -------
    bool array
        With the axes of the labels; of length 1 along T or Z where all are meant.

    Raises
    ------
    InputError
        If there is no area, none that covers a pixel, or one across planes.

    Examples
    --------
    >>> from napari.layers import Labels, Shapes
    >>> box = Shapes([[4, 1, 1], [4, 1, 3], [4, 3, 3], [4, 3, 1]], shape_type="rectangle")
    >>> mask = mask_of_shapes(box, Labels(np.zeros((9, 5, 5), int)), "ZYX")
    >>> mask.shape, int(mask[4].sum()), int(mask.sum())
    ((9, 5, 5), 4, 4)
    """
    if not has_area(shapes):
        raise InputError(
            f"The layer ‘{shapes.name}’ has no area; draw a rectangle, an ellipse or a polygon."
        )
    sizes = dict(zip(axes, (int(n) for n in level_of(layer).shape), strict=True))
    shared = min(shapes.ndim, layer.ndim)  # layers are aligned at the last axes
    fixed = [a for i, a in enumerate(axes) if a in "TZ" and i >= layer.ndim - shared]
    mask = blank([n if a in "YX" or a in fixed else 1 for a, n in sizes.items()], np.bool_)
    flipped = axes.index("X") < axes.index("Y")
    for vertices, kind in zip(shapes.data, shapes.shape_type, strict=True):
        if kind not in AREAS:
            continue
        pixels = in_pixels(corners(vertices, kind), shapes, layer, axes)
        plane = _plane(pixels, axes, fixed, shapes, layer)
        if any(not 0 <= place < sizes[a] for a, place in plane.items()):
            continue
        area = pixels[:, [axes.index("Y"), axes.index("X")]]
        inside = fill(area, (sizes["Y"], sizes["X"]))
        index = tuple(slice(None) if a in "YX" else plane.get(a, 0) for a in axes)
        mask[index] |= inside.T if flipped else inside
    if not mask.any():
        raise InputError(
            f"The areas of the layer ‘{shapes.name}’ cover no pixel of ‘{layer.name}’; draw on "
            "the labels, or choose another region."
        )
    return mask


def _plane(
    pixels: NDArray[Any], axes: str, fixed: Sequence[str], shapes: Shapes, layer: Labels
) -> dict[str, int]:
    """The time point and z in which an area was drawn."""
    found = {}
    for axis in fixed:
        along = pixels[:, axes.index(axis)]
        if np.ptp(along) > TILT:
            raise InputError(
                f"An area of the layer ‘{shapes.name}’ lies across the planes of "
                f"‘{layer.name}’; draw areas while rows and columns are shown."
            )
        found[axis] = round(float(along.mean()))
    return found
