"""Labels to files that other programs read: masks, regions, annotations, tables, figures."""

from napari_unet.formats.kinds import KINDS, Kind, kind_of

__all__ = ["KINDS", "Kind", "kind_of"]
