"""The command ``napari-unet measure``: its options, and what it does with files."""

from __future__ import annotations

import argparse
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unet.io import ImageFile


def add_measure_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command, except those of axes and pixel size."""
    parser.add_argument("labels", type=Path, metavar="LABELS", help="label file")
    parser.add_argument(
        "--image",
        type=Path,
        metavar="IMAGE",
        help="image of these labels, to measure intensities (default: none)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="TABLE",
        help="file that ends in .csv or .tsv (default: the table is printed, as CSV)",
    )
    parser.add_argument(
        "--properties",
        type=lambda text: tuple(part.strip() for part in text.split(",") if part.strip()),
        metavar="NAME[,NAME]",
        help="what to measure, as in area,centroid (default: all)",
    )


def run_measure(options: Namespace) -> int:
    """Measure the objects of a label file into a table."""
    from napari_unet.cli.file_matching import check_pixel_sizes
    from napari_unet.cli.printing import one_line, print_notes, say, tell
    from napari_unet.dataset.label_axes import arrange_labels
    from napari_unet.io import read_image, read_labels
    from napari_unet.measurement import measure, write_table
    from napari_unet.measurement.table_file import check_table_path

    if options.output is not None:
        check_table_path(options.output)
    image = None if options.image is None else read_image(options.image)
    file = read_labels(options.labels, image, axes=options.axes)
    print_notes(() if image is None else image.notes, options.image)
    print_notes(file.notes)
    axes = options.axes or (image.axes if image is not None else None) or file.axes
    labels = file.array
    if image is not None and axes is not None and len(axes) == image.array.ndim:
        sizes = dict(zip(axes.upper(), image.array.shape, strict=True))
        labels = arrange_labels(labels, file.axes, axes.upper(), sizes)
    pixel_size = options.pixel_size
    if pixel_size is None:
        if image is not None:
            check_pixel_sizes(image, (axes or "").upper(), options.labels)
        pixel_size = _find_pixel_size(options.labels, image, axes)
    table = measure(
        labels,
        None if image is None else image.array,
        axes=axes,
        pixel_size=pixel_size,
        properties=options.properties,
    )
    unit = "pixels" if table.attrs["pixel_size"] is None else "micrometres"
    rows = "object" if len(table) == 1 else "objects"
    if "T" in table.attrs["axes"]:
        rows += " in all time points"
    said = f"{len(table)} {rows}, lengths in {unit}"
    if options.output is None:
        say(table.to_csv(index=False, lineterminator="\n").removesuffix("\n"))
        tell("note", said)
    else:
        write_table(options.output, table)
        say(one_line(f"{options.output}: {said}"))
    return 0


def _find_pixel_size(labels: Path, image: ImageFile | None, axes: str | None) -> Any:
    """Micrometres along the spatial axes, of the labels' file if it says them, else the image's."""
    from napari_unet.io import READ_SUFFIXES, read_image
    from napari_unet.io.cellpose_files import is_pickled

    files = [] if image is None else [image]
    plain = labels.is_dir() or labels.suffix.lower() in READ_SUFFIXES
    if plain and not (labels.suffix.lower() == ".npy" and is_pickled(labels)):
        files.insert(0, read_image(labels, as_labels=True, eager_bytes=0))
    for file in files:
        found = file.pixel_size_along(axes)
        if found is not None and None not in found:
            return found
    return None
