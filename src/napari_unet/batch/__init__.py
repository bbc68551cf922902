"""Files in, files out: a folder segmented file by file, here or on a cluster."""

from napari_unet.batch.result import BatchStep, FileDone, FileResult
from napari_unet.batch.run import iter_segment_files, segment_files

__all__ = ["BatchStep", "FileDone", "FileResult", "iter_segment_files", "segment_files"]
