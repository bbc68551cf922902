"""Where the viewer is, told in the units of a layer.

The viewer counts in the smallest unit of all its layers. A layer's own transform takes its
own units, and converts nothing.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer


def unit_ratio(unit: Any, other: Any) -> float:
    """How many of the other unit one is; 1 where the two measure different things.

    >>> from pint import get_application_registry
    >>> units = get_application_registry()
    >>> round(unit_ratio(units.um, units.nm)), unit_ratio(units.pixel, units.nm)
    (1000, 1.0)
    """
    return float((1 * unit).to(other).magnitude) if unit.is_compatible_with(other) else 1.0


def unit_ratios(viewer: Viewer, layer: Layer) -> NDArray[np.float64]:
    """For each axis of a layer, how many of its units one of the viewer's is.

    All are 1 where the viewer's layers have no units in common; then napari converts none.
    """
    world, units = getattr(viewer.dims, "units", None), layer.units
    if world is None or len(world) < len(units):
        return np.ones(layer.ndim)
    return np.array([unit_ratio(*pair) for pair in zip(world[-len(units) :], units, strict=True)])


def position(viewer: Viewer, layer: Layer) -> NDArray[np.float64]:
    """The viewer's sliders in world coordinates, in the units of a layer, by its axes.

    Axes that the viewer has not yet are 0.
    """
    found = np.zeros(layer.ndim)
    point = np.asarray(viewer.dims.point, float)[-layer.ndim :]  # aligned at the last axes
    found[layer.ndim - len(point) :] = point
    return found * unit_ratios(viewer, layer)


def corners_in_view(viewer: Viewer, layer: Layer) -> NDArray[np.float64]:
    """First and last pixel of a layer that are on the canvas, (2, D), not clipped.

    Only the axes that the viewer shows count.
    """
    ratios = unit_ratios(viewer, layer)
    shown = [axis - (viewer.dims.ndim - layer.ndim) for axis in viewer.dims.displayed]
    camera = viewer.scene.camera
    centre = np.asarray(camera.center, float)[-len(shown) :]
    size = np.asarray(viewer.canvas.viewbox_size(viewer.layers), float) / camera.zoom
    world = np.tile(position(viewer, layer), (4, 1))
    for corner, signs in zip(world, product((-0.5, 0.5), repeat=2), strict=True):
        corner[shown] = (centre + size * signs) * ratios[shown]
    pixels = np.array([layer.world_to_data(corner) for corner in world])
    return np.stack([np.floor(pixels.min(axis=0)), np.ceil(pixels.max(axis=0))])
