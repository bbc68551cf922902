"""Image files: reading them lazily, writing labels and images, atomically and with a record.

`read_image` opens TIFF (plain, BigTIFF, OME, ImageJ), PNG, BMP, GIF, JPEG, NumPy and Zarr files;
`read_labels` reads label files as what they mean, also regions of ImageJ;
`write_labels` and `write_image` write TIFF, OME-TIFF, PNG and NumPy files with axes and
physical pixel size; `write_record` puts the run record beside an output.
"""

from napari_unet.io.atomic import atomic_path
from napari_unet.io.label_files import LabelFile, read_labels
from napari_unet.io.lazy import LazyArray
from napari_unet.io.pixel_size import PixelSize
from napari_unet.io.reading import READ_SUFFIXES, ImageFile, read_image
from napari_unet.io.record import record_path, write_record
from napari_unet.io.writing import WRITE_SUFFIXES, write_image, write_labels

__all__ = [
    "READ_SUFFIXES",
    "WRITE_SUFFIXES",
    "ImageFile",
    "LabelFile",
    "LazyArray",
    "PixelSize",
    "atomic_path",
    "read_image",
    "read_labels",
    "record_path",
    "write_image",
    "write_labels",
    "write_record",
]
