"""Objects in the viewer: going to one, and hearing which one is clicked."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.widgets.viewer.coordinates import unit_ratios
from napari_unet.widgets.viewer.layer_image import level_of, plain

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Labels, Layer

SMALLEST_SHARE = 1 / 25  # of the canvas; an object that looks smaller is zoomed in to
LARGEST_SHARE = 0.9  # one that looks larger is zoomed out from
WANTED_SHARE = 1 / 6
CLICK_PIXELS = 4  # of the screen; a mouse that moves farther drags


def go_to_object(
    viewer: Viewer, layer: Layer, place: Sequence[float], size: Sequence[float] | None = None
) -> None:
    """Bring the viewer to an object: its time point and plane, and to the middle of the canvas.

    The zoom stays unless the object would hardly be seen, or not as a whole.

    Parameters
    ----------
    viewer : Viewer
        Where.
    layer : Layer
        In which the object is; it is shown if it was hidden.
    place : sequence of float
        The object's middle, in pixels of the layer (of its finest level), one per axis.
    size : sequence of float, optional
        Its length along each axis, in the same pixels.

    Examples
    --------
    >>> from napari.components import ViewerModel
    >>> viewer = ViewerModel()
    >>> layer = viewer.add_labels(np.zeros((5, 60, 80), int), scale=(1, 0.5, 0.5))
    >>> go_to_object(viewer, layer, (3, 20, 40))
    >>> viewer.dims.current_step[0], viewer.scene.camera.center[1:]
    (3, (10.0, 20.0))
    """
    layer.visible = True
    ratios = unit_ratios(viewer, layer)
    middle = np.asarray(layer.data_to_world(place), float) / ratios
    dims, offset = viewer.dims, viewer.dims.ndim - layer.ndim
    shown = [axis for axis in dims.displayed if axis >= offset]
    for axis in range(layer.ndim):
        if axis + offset not in shown:
            dims.set_point(axis + offset, float(middle[axis]))
    center = np.asarray(viewer.scene.camera.center, float)
    for at, axis in zip(range(-len(shown), 0), shown, strict=True):
        center[at] = middle[axis - offset]
    viewer.scene.camera.center = tuple(center)
    if size is not None:
        ends = [np.asarray(place) + np.asarray(size) * half for half in (-0.5, 0.5)]
        world = np.abs(np.subtract(*(layer.data_to_world(end) for end in ends))) / ratios
        _fit_zoom(viewer, max(float(world[axis - offset]) for axis in shown))


def _fit_zoom(viewer: Viewer, length: float) -> None:
    """Zoom where an object of this length would be a speck, or larger than the canvas."""
    window = getattr(plain(viewer), "window", None)
    if window is None or length <= 0:
        return  # no canvas that has a size
    canvas = min(viewer.canvas.viewbox_size(viewer.layers))
    share = length * viewer.scene.camera.zoom / canvas
    if share < SMALLEST_SHARE or share > LARGEST_SHARE:
        wanted = WANTED_SHARE if share < SMALLEST_SHARE else LARGEST_SHARE / 1.5
        viewer.scene.camera.zoom = wanted * canvas / length


class ObjectClicks:
    """Tells which object of a labels layer is clicked, whichever layer is selected.

    A drag is no click, and neither is a stroke of a brush.

    Parameters
    ----------
    viewer : Viewer
        Whose canvas is clicked.
    on_click : callable
        Called with the layer, the label (0: the background) and the place, the pixel of the
        layer's finest level as a tuple of int.
    """

    def __init__(
        self, viewer: Viewer, on_click: Callable[[Labels, int, tuple[int, ...]], None]
    ) -> None:
        self._viewer = plain(viewer)
        self._on_click = on_click
        self._layer: Labels | None = None
        self._viewer.mouse_drag_callbacks.append(self._pressed)

    def watch(self, layer: Labels | None) -> None:
        """Hear the clicks on this layer, and no other; None: on none."""
        self._layer = None if layer is None else plain(layer)

    def close(self) -> None:
        """Hear no more."""
        self._layer = None
        if self._pressed in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._pressed)

    def _pressed(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        layer = self._layer
        active = viewer.layers.selection.active
        working = active is not None and str(getattr(active, "mode", "pan_zoom")) not in (
            "pan_zoom",
            "pick",
        )
        if layer is None or layer not in viewer.layers or working or event.button != 1:
            return
        first = np.asarray(event.pos, float)
        yield
        while event.type == "mouse_move":
            if np.abs(np.asarray(event.pos, float) - first).max() > CLICK_PIXELS:
                return
            yield
        found = find_object(viewer, layer, event.position, event.view_direction)
        if found is not None:
            self._on_click(layer, *found)


def find_object(
    viewer: Viewer, layer: Labels, position: Sequence[float], direction: Any = None
) -> tuple[int, tuple[int, ...]] | None:
    """The label at a position of the viewer, and its pixel; None beside the layer.

    Parameters
    ----------
    viewer : Viewer
        In whose coordinates the position is.
    layer : Labels
        The layer.
    position : sequence of float
        In the units of the viewer, one per axis that it has.
    direction : array, optional
        From where it is looked at, for the 3D view.
    """
    world = np.asarray(position, float)
    world = np.concatenate([np.zeros(max(0, layer.ndim - len(world))), world])
    world[-layer.ndim :] *= unit_ratios(viewer, layer)
    shown = list(viewer.dims.displayed)
    value: Any = layer.get_value(world, view_direction=direction, dims_displayed=shown, world=True)
    if isinstance(value, tuple):  # of a multiscale layer, with the level
        value = value[1]
    if value is None:
        return None
    pixel = np.round(layer.world_to_data(world[-layer.ndim :])).astype(int)
    shape = level_of(layer).shape
    inside = np.clip(pixel, 0, np.asarray(shape) - 1)
    return int(value), tuple(int(n) for n in inside)
