"""Which image the previews of a training are of, and which part of it is in view."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from napari_unet.widgets.train.view import TrainingView
from napari_unet.widgets.viewer.layer_image import LayerImage
from napari_unet.widgets.viewer.view import view_of

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_unet.widgets.recovery.offers import Shown


class PreviewedImage:
    """The first image that is learned from and shown; one that is hidden where none is shown.

    Parameters
    ----------
    viewer : Viewer
        Where the image is looked at.

    Attributes
    ----------
    there : bool
        Whether there was such an image at the last `look`.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._images: list[Shown] = []
        self.there = False

    @property
    def name(self) -> str:
        """Of the first image that is learned from, whether it is still there or not; or empty."""
        return self._images[0][0].name if self._images else ""

    def choose_from(self, images: Iterable[Shown]) -> None:
        """Set the images that are learned from, each with its axes and channels."""
        self._images = list(images)

    def look(self) -> TrainingView | None:
        """What is in view; None where the image was removed, or has other axes now."""
        present = [each for each in self._images if each[0] in self._viewer.layers]
        visible = [each for each in present if each[0].visible] or present
        self.there = False
        for layer, axes, channels in visible[:1]:
            image = LayerImage.of(layer)
            self.there = len(image.shape) == len(axes)
            if self.there:
                return TrainingView(image, axes, channels, view_of(self._viewer, layer, axes))
        return None
