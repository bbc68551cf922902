"""From labels that were looked at to a training: the dock "Train" takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image

from napari_unet.errors import InputError
from napari_unet.widgets.annotation.marks import marks_for
from napari_unet.widgets.viewer.docks import open_dock
from napari_unet.widgets.viewer.layer_image import shape_of

if TYPE_CHECKING:
    from napari import Viewer

    from napari_unet.widgets.correct.target import Target


def hand_to_train(viewer: Viewer, target: Target) -> None:
    """Open the dock "Train" with the labels and their image.

    Raises
    ------
    InputError
        If their image is not open.
    """
    layer, marks = target.layer, marks_for(target.layer)
    images = [each for each in viewer.layers if isinstance(each, Image)]
    named = [each for each in images if each.name == marks.image] or [
        each for each in images if layer.name.startswith(each.name)
    ]
    image = max(named, key=lambda each: len(each.name), default=None)
    if image is None:
        same = [each for each in images if shape_of(each) == shape_of(layer)]
        image = same[0] if len(same) == 1 else None
    if image is None:
        raise InputError(
            f"The image of ‘{layer.name}’ is not open",
            "open it, and choose both in the dock ‘Train’",
            code="no-image",
        )
    open_dock(viewer, "Train").take(image, layer)
