"""The Evaluate dock."""

from napari_unet.widgets.evaluate.dock import EvaluateWidget

__all__ = ["EvaluateWidget"]
