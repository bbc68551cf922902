"""The Correct dock."""

from napari_unet.widgets.correct.dock import CorrectWidget

__all__ = ["CorrectWidget"]
