"""Which image the previews of a training are of, and which part of it is in view."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING

from napari_unet.widgets.train.view import TrainingView
from napari_unet.widgets.viewer.layer_image import LayerImage, plain
from napari_unet.widgets.viewer.view import view_of

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_unet.widgets.recovery.offers import Shown


class PreviewedImage:
    """The first image that is learned from and shown; one that is hidden where none is shown.

    Parameters
    ----------
    viewer : Viewer
        Where the image is looked at.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._images: list[tuple[weakref.ref[Image], str, tuple[int, ...] | None]] = []
        self._name = ""
        self._layer: weakref.ref[Image] | None = None

    @property
    def layer(self) -> Image | None:
        """The image that was in view when `find_view` was called last; None: it was gone."""
        return None if self._layer is None else self._layer()

    @property
    def name(self) -> str:
        """Of the first image that is learned from, whether it is still there or not; or empty."""
        first = self._images[0][0]() if self._images else None
        if first is not None:
            self._name = first.name
        return self._name

    def choose_from(self, images: Iterable[Shown]) -> None:
        """Set the images that are learned from, each with its axes and channels."""
        self._images = [
            (weakref.ref(plain(layer)), axes, channels) for layer, axes, channels in images
        ]
        self._name = ""
        self._name = self.name

    def find_view(self) -> TrainingView | None:
        """What is in view; None where the image was removed, or has other axes now."""
        images = [(layer(), axes, channels) for layer, axes, channels in self._images]
        present = [
            (layer, axes, channels)
            for layer, axes, channels in images
            if layer is not None and layer in self._viewer.layers
        ]
        visible = [each for each in present if each[0].visible] or present
        self._layer = None
        for layer, axes, channels in visible[:1]:
            image = LayerImage.of(layer)
            if len(image.shape) == len(axes):
                self._layer = weakref.ref(layer)
                return TrainingView(image, axes, channels, view_of(self._viewer, layer, axes))
        return None
