"""The command ``napari-unet export``: its options, and what it does with files."""

from __future__ import annotations

import argparse
from argparse import Namespace
from pathlib import Path

FORMATS = (
    "tif", "ome.tif", "ome.zarr", "roi", "geojson", "coco", "cellpose", "png", "overlay", "csv",
)  # fmt: skip


def add_export_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command, except those of axes and pixel size."""
    parser.add_argument("labels", type=Path, metavar="LABELS", help="label file")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", required=True, help="file to write"
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="where the ending does not tell it (default: it does)"
    )
    parser.add_argument(
        "--image",
        type=Path,
        metavar="IMAGE",
        help="image of these labels, for tables, outlines, OME-Zarr and Cellpose (default: none)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a file that is no earlier export, too"
    )


def run_export(options: Namespace) -> int:
    """Export a label file."""
    from napari_unet.cli.bars import run_with_bar
    from napari_unet.cli.label_input import read_label_input
    from napari_unet.cli.printing import one_line, print_result
    from napari_unet.formats import kind_of
    from napari_unet.formats.export import iter_export

    kind_of(options.output, options.format, has_image=options.image is not None)
    given = read_label_input(options.labels, options.image, options.axes, options.pixel_size)
    path = run_with_bar(
        iter_export(
            given.labels,
            options.output,
            format=options.format,
            axes=given.axes,
            pixel_size=given.pixel_size,
            image=None if given.image is None else given.image.array,
            record=given.record,
            replace=options.overwrite,
            files={
                "labels": str(options.labels.absolute()),
                "image": None if options.image is None else str(options.image.absolute()),
            },
        ),
        lambda _: None,
    )
    kind = kind_of(path, options.format, has_image=options.image is not None)
    told = one_line(f"{path}: {kind.title}")
    print_result(told, source=options.labels, output=path, format=kind.title)
    return 0
