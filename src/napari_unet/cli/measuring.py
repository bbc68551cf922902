"""The command ``napari-unet measure``: its options, and what it does with files."""

from __future__ import annotations

import argparse
from argparse import Namespace
from pathlib import Path
from typing import Any


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
        help="file that ends in .csv, .tsv or .xlsx (default: the table is printed, as CSV)",
    )
    parser.add_argument(
        "--properties",
        type=lambda text: tuple(part.strip() for part in text.split(",") if part.strip()),
        metavar="NAME[,NAME]",
        help="what to measure, as in area,centroid (default: all)",
    )
    parser.add_argument(
        "--neighbour-distance",
        type=float,
        metavar="D",
        help="count the objects so near, in µm where the pixel size is known, else in pixels",
    )


def run_measure(options: Namespace) -> int:
    """Measure the objects of a label file into a table."""
    from napari_unet.cli.label_input import read_label_input
    from napari_unet.cli.printing import one_line, print_result, tell
    from napari_unet.measurement import measure, write_table
    from napari_unet.measurement.table_file import check_table_path

    if options.output is not None:
        check_table_path(options.output)
    given = read_label_input(options.labels, options.image, options.axes, options.pixel_size)
    table = measure(
        given.labels,
        None if given.image is None else given.image.array,
        axes=given.axes,
        pixel_size=given.pixel_size,
        properties=options.properties,
        neighbour_distance=options.neighbour_distance,
    )
    unit = "pixels" if table.attrs["pixel_size"] is None else "micrometres"
    rows = "object" if len(table) == 1 else "objects"
    if "T" in table.attrs["axes"]:
        rows += " in all time points"
    said = f"{len(table)} {rows}, lengths in {unit}"
    facts = {"source": options.labels, "output": options.output, "unit": unit}
    if options.output is None:
        text = table.to_csv(index=False, lineterminator="\n").removesuffix("\n")
        listed = table.to_dict("records") if options.json else None
        print_result(text, **facts, objects=len(table), rows=listed)
        tell("note", said)
    else:
        write_table(options.output, table)
        _write_record(options, given)
        print_result(one_line(f"{options.output}: {said}"), **facts, objects=len(table))
    return 0


def _write_record(options: Namespace, given: Any) -> None:
    """Put the record of the table beside it, by which it can be measured again."""
    from napari_unet.cli.printing import one_line, tell
    from napari_unet.errors import UNetError
    from napari_unet.replay.kept_arrays import HeldArray, settle
    from napari_unet.replay.measuring import write_table_record

    origin = {"path": str(options.labels.absolute())}
    sizes = given.pixel_size
    draft = {
        "operation": "measure",
        "labels": HeldArray(given.labels, options.labels.stem, origin, as_labels=True),
        "image": []
        if given.image is None
        else [
            HeldArray(
                given.image.array, options.image.stem, {"path": str(options.image.absolute())}
            )
        ],
        "axes": given.axes,
        "pixel_size": sizes if sizes is None or isinstance(sizes, list | tuple) else [sizes],
        "properties": options.properties,
        "neighbour_distance": options.neighbour_distance,
    }
    try:
        content, _ = settle(draft)
        write_table_record(options.output, content)
    except (UNetError, OSError) as error:
        tell("note", one_line(f"the table has no record: {error}"))
