"""Layers and opened files that `measure` was given: their arrays, axes and pixel size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari_unet.axes import label_axes
from napari_unet.image.given import Given, is_layer, take_in
from napari_unet.io.reading import ImageFile

Sizes = float | Sequence[float | None] | None


def take_in_layers(
    labels: Any, image: Any, axes: str | None, pixel_size: Sizes
) -> tuple[Any, Any, str | None, Sizes]:
    """Arrays in place of layers and files; what they say of axes and pixel size, if not given.

    Parameters
    ----------
    labels, image, axes, pixel_size
        As `napari_unet.measure` takes them; arrays stay as they are.

    Returns
    -------
    tuple
        The same four.
    """
    several = isinstance(image, list | tuple)
    images = list(image) if several else [] if image is None else [image]
    if not any(_knows(each) for each in (labels, *images)):
        return labels, image, axes, pixel_size
    shown = take_in(labels) if _knows(labels) else Given(labels)
    pictures = [take_in(each) if _knows(each) else Given(each) for each in images]
    if axes is None:
        axes = _axes_of(shown, pictures)
    # labels of two axes need no name for them: rows, then columns
    places = axes or ("YX" if shown.array.ndim == 2 else None)
    if pixel_size is None and places is not None:
        known = [_sizes_of(each, places) for each in (shown, *pictures[:1])]
        pixel_size = next((sizes for sizes in known if sizes is not None), None)
    arrays = [each.array for each in pictures]
    picture = arrays if several else arrays[0] if arrays else None
    return shown.array, picture, axes, pixel_size


def _knows(thing: Any) -> bool:
    return isinstance(thing, ImageFile) or is_layer(thing)


def _axes_of(shown: Given, pictures: list[Given]) -> str | None:
    """Axes of the image if there is one that names them, else of the labels."""
    for given in (*pictures[:1], shown):
        if given.axes is not None and len(given.axes) == given.array.ndim:
            return given.axes
    return None


def _sizes_of(given: Given, axes: str) -> list[float | None] | None:
    """Micrometres along the spatial axes of ``axes``, in their order."""
    count = given.array.ndim
    own = next((each for each in (axes, label_axes(axes)) if len(each) == count), None)
    if own is None:
        return None
    sizes = given.pixel_size(own)
    if sizes is None:
        return None
    known = dict(zip([axis for axis in own if axis in "ZYX"], sizes, strict=True))
    return [known.get(axis) for axis in axes if axis in "ZYX"]
