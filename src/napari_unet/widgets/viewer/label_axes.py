"""Axes of a layer of labels, as far as it, its file or an image says."""

from __future__ import annotations

from collections.abc import Sequence

from napari.layers import Image, Labels

from napari_unet.axes import label_axes
from napari_unet.io.declared_axes import declared_axes
from napari_unet.widgets.qt.axes_field import AxesGuess
from napari_unet.widgets.viewer.label_data import known_axes
from napari_unet.widgets.viewer.layer_image import LayerImage, shape_of

Z_OR_T = "Nothing says whether the first axis is Z (planes) or T (time): press what it is."


def guess_axes_of_labels(layer: Labels, images: Sequence[Image]) -> AxesGuess:
    """Axes of a layer of labels: as it, its file or an image of its shape says, else in doubt."""
    shape = shape_of(layer)
    known = known_axes(layer.axis_labels, layer.metadata, shape) or _declared(layer)
    if known is None:
        named = (LayerImage.of(image).known_axes for image in images)
        pairs = zip(named, images, strict=True)
        flat = (label_axes(a) for a, i in pairs if a and _sizes_without_channels(i, a) == shape)
        known = next(flat, None)
    if known is not None:
        return AxesGuess(known)
    if len(shape) == 3:
        return AxesGuess("ZYX", Z_OR_T, ("TYX",))
    return AxesGuess({2: "YX", 4: "TZYX"}.get(len(shape), ""))


def _declared(layer: Labels) -> str | None:
    """Axes that the file of a layer declares."""
    found = declared_axes(layer.source.path, shape_of(layer))
    return found if found is not None and len(label_axes(found)) == layer.ndim else None


def _sizes_without_channels(image: Image, axes: str) -> tuple[int, ...]:
    sizes = zip(axes, shape_of(image), strict=False)
    return tuple(size for axis, size in sizes if axis != "C")
