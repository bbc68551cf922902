"""The axes of a layer belong to the layer: its ``axis_labels`` carry them.

What is typed into a dock is written there, as "t", "c", "y", "x". So it holds in every dock and for
labels that are made from the layer, napari shows it at its sliders, and it is saved with the layer.
Where a layer names no axes, its file is asked, and then they are guessed: `LayerImage.guess_axes`.
A guess is not written into a layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_unet.axes import check_axes
from napari_unet.errors import InputError
from napari_unet.image.given import letters_of

if TYPE_CHECKING:
    from napari.layers import Image, Labels

__all__ = ["letters_of", "name_axes"]


def name_axes(layer: Image | Labels, axes: str) -> bool:
    """Write the axes of a layer's array into the layer; False where they cannot be its axes.

    Parameters
    ----------
    layer : Image
        The layer.
    axes : str
        As they were typed; of a layer of colours they end in C, which is no axis of the layer.
    """
    finest = layer.data[0] if layer.multiscale else layer.data
    try:
        letters = check_axes(axes, finest.shape)
    except InputError:
        return False
    if getattr(layer, "rgb", False) and not letters.endswith("C"):
        return False
    layer.axis_labels = tuple(letters.lower()[: layer.ndim])
    return True
