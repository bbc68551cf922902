"""The Batch dock."""

from napari_unet.widgets.batch.dock import BatchWidget

__all__ = ["BatchWidget"]
