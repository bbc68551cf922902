"""The Measure dock."""

from napari_unet.widgets.measure.dock import MeasureWidget

__all__ = ["MeasureWidget"]
