"""Labels to a table: size, shape, place, intensity and confidence of every object."""

from napari_unet.measurement.table import measure
from napari_unet.measurement.table_file import write_table

__all__ = ["measure", "write_table"]
