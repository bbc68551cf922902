"""The commands that run files: their options, and what is printed of each file."""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unet.batch import FileResult

FORMATS = ("tif", "ome.tif", "zarr")


def add_batch_options(parser: argparse.ArgumentParser, *, scores: bool) -> None:
    """The options of files, and of what is written of each."""
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IN",
        help="image file, image inside a zarr store, plate, folder of these, pattern in quotes "
        "such as 'data/**/*.tif', or URL",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        help="folder for the results, or its URL (default: beside each image)",
    )
    parser.add_argument("--format", choices=FORMATS, default="tif", help="(default: tif)")
    if not scores:
        parser.add_argument(
            "--write",
            metavar="KIND[,KIND]",
            help="what is written of each image: labels, scores, measurements, overlay "
            "(default: labels)",
        )
        parser.add_argument(
            "--export",
            metavar="ENDING[,ENDING]",
            default="",
            help="further formats of the labels, by their endings, as in geojson",
        )
    parser.add_argument(
        "--name",
        metavar="TEMPLATE",
        help="names of the results, of {name}, {kind}, {model} and {folder} "
        "(default: {name}_{kind})",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="run all files again, also those that are finished, and replace what is there",
    )
    parser.add_argument(
        "--hash",
        action="store_true",
        help="know finished files by a hash of their input, not by its size, time and metadata",
    )
    parser.add_argument(
        "--summary",
        metavar="FILE.csv",
        help="table of all files (default: batch.csv in the folder of the results, where there "
        "are several files)",
    )
    parser.add_argument(
        "--cluster",
        metavar="local[:N]|tcp://...",
        help="run on Dask: N processes of this machine, or the scheduler at an address",
    )


def run_files(options: Namespace, settings: Mapping[str, Any], *, scores: bool) -> int:
    """Run files, a line each; 0, 1 where some of them failed, 2 where all did."""
    from napari_unet.batch import iter_segment_files
    from napari_unet.batch.inputs import find_tasks
    from napari_unet.cli.bars import run_with_bar
    from napari_unet.cli.printing import print_notes

    found = find_tasks(options.images, options.scene)
    print_notes(found.notes)
    several = len(found.tasks) > 1 and options.output is not None and "://" not in options.output
    with ExitStack() as stack:
        client = None
        if options.cluster is not None:
            from napari_unet.inference.cluster import open_client

            client = stack.enter_context(open_client(options.cluster))
        job = iter_segment_files(
            options.images,
            options.model,
            options.output,
            client=client,
            axes=options.axes,
            channels=options.channels,
            pixel_size=options.pixel_size,
            scene=options.scene,
            file_format=options.format,
            scores=scores,
            write=None if scores else options.write,
            export=() if scores else options.export,
            name=options.name,
            overwrite=options.overwrite,
            check="hash" if options.hash else "time",
            summary=options.summary or several,
            **settings,
        )
        results = run_with_bar(job, _report_step)
    codes = [result.fault.code for result in results if result.fault is not None]
    if not codes:
        return 0
    return 1 if "unexpected" in codes or len(codes) < len(results) else 2


def _report_step(step: Any) -> None:
    result = getattr(step, "result", None)
    if result is not None:
        _report(result)


def _report(result: FileResult) -> None:
    """One line on a file; faults, and what is to be told of it, on standard error."""
    from napari_unet.cli.json_lines import prints_json
    from napari_unet.cli.printing import one_line, print_notes, print_result, tell, tell_fault
    from napari_unet.cli.wording import worded
    from napari_unet.errors import FileError

    source = Path(result.source)
    doubts = [note for note in result.notes if note.code == "axes-guessed"]
    print_notes([note for note in result.notes if note not in doubts], source)
    fault = result.fault
    if fault is not None:
        # faults of files name the file themselves
        place = "" if isinstance(fault, FileError) else f"{result.source}: "
        tell_fault(fault, place, source=result.source)
        return
    record = result.record or {}
    said = one_line(record.get("message", "scores")).removesuffix(".")
    took = "finished before" if result.skipped else f"{result.seconds:.1f} s"
    print_result(
        one_line(f"{result.output}: {said} ({took})"),
        source=result.source,
        output=result.output,
        outputs=result.outputs,
        state=result.state,
        message=said,
        objects=record.get("objects"),
        axes=record.get("axes"),
        seconds=result.seconds,
    )
    for doubt in doubts:
        place = "" if prints_json() else f"{result.source}: "
        told = f"{place}the axes were taken as {record['axes']}. {worded(doubt)}"
        tell("note", told, code=doubt.code, source=result.source)
