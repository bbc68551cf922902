"""The Segment dock."""

from napari_unet.widgets.segment.dock import SegmentWidget

__all__ = ["SegmentWidget"]
