"""The table of objects, as `napari_unet.measurement` measures them."""

from __future__ import annotations

from pathlib import Path

from napari_unet.axes import spatial_in_order
from napari_unet.formats.labels import LabelSource
from napari_unet.formats.steps import Steps
from napari_unet.measurement import measure
from napari_unet.measurement.table_file import SEPARATORS
from napari_unet.progress import Progress


def write_object_table(part: Path, target: Path, labels: LabelSource) -> Steps:
    """Measure the objects and write the table, with commas or tabs by the ending of ``target``."""
    separator = SEPARATORS[target.suffix.lower()]
    yield Progress(0, 1, "measuring")
    sizes = [labels.pixel_size.get(axis) for axis in spatial_in_order(labels.axes)]
    image = None if labels.image is None else list(labels.image.arrays)
    table = measure(
        labels.source.arrays[0],
        image[0] if image is not None and len(image) == 1 else image,
        axes=labels.given_axes,
        pixel_size=None if None in sizes else sizes,
    )
    with part.open("w", encoding="utf-8", newline="") as file:
        table.to_csv(file, sep=separator, index=False, lineterminator="\n")
    yield Progress(1, 1, "measuring")
