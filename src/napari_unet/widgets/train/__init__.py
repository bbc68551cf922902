"""The Train dock."""

from napari_unet.widgets.train.dock import TrainWidget

__all__ = ["TrainWidget"]
