"""Labels to a table: size, shape, place, intensity and confidence of every object."""

from napari_unet.measurement.table import iter_measure, measure
from napari_unet.measurement.table_file import write_table

__all__ = ["iter_measure", "measure", "write_table"]
