"""The command ``napari-unet evaluate``: its options, and what it does with files."""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unet.evaluation import Atlas, Evaluation


def add_evaluate_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command, except those of its settings."""
    parser.add_argument(
        "predictions", type=Path, metavar="PREDICTED", help="predicted labels: file, or folder"
    )
    parser.add_argument(
        "truth", type=Path, metavar="TRUTH", help="true labels: file, or folder of them by name"
    )
    parser.add_argument(
        "--second",
        type=Path,
        metavar="PREDICTED",
        help="predictions of another model, or with other settings, to compare on the same truth",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="TABLE",
        help="file that ends in .csv, .tsv or .json, for the scores of each image and of all",
    )
    parser.add_argument(
        "--errors",
        type=Path,
        metavar="FOLDER",
        help="folder for the errors of each image, one by one: a table, and labels of them",
    )
    parser.add_argument(
        "--axes",
        help="axes of the labels over TZYX, as in TYX for time (default: as the files say)",
    )


def run_evaluate(options: Namespace, settings: Mapping[str, Any]) -> int:
    """Score files against their truth: 0 if all were, 1 if some could not be."""
    from napari_unet.cli.bars import run_with_bar
    from napari_unet.cli.printing import one_line, print_notes, print_result, say, tell, tell_fault
    from napari_unet.evaluation import iter_evaluate_files
    from napari_unet.evaluation.error_files import (
        check_errors_folder,
        write_error_labels,
        write_error_table,
    )
    from napari_unet.evaluation.run import ImageDone
    from napari_unet.evaluation.table import as_dict, check_evaluation_path, write_evaluation
    from napari_unet.replay.measuring import write_table_record

    folder = options.errors
    if options.output is not None:
        check_evaluation_path(options.output)
    if folder is not None:
        check_errors_folder(folder)
    atlases: list[tuple[str, str, Atlas]] = []
    several = options.second is not None
    job = iter_evaluate_files(
        options.predictions,
        options.truth,
        second=options.second,
        axes=options.axes,
        errors=folder is not None,
        **settings,
    )

    def report(step: Any) -> None:
        if isinstance(step, ImageDone):
            print_notes(step.notes)
            if step.fault is not None:
                image = step.fault.image
                tell_fault(step.fault.error, f"{image}: ", source=image)
            for number, atlas in enumerate(step.atlases, 1):
                name = f"{step.image}-{number}" if several else step.image
                write_error_labels(folder, name, atlas)
                atlases.append((step.image, str(number), atlas))

    found: Evaluation = run_with_bar(job, report)
    if folder is not None:
        table = write_error_table(folder, atlases)
        tell("note", f"{sum(len(a.errors) for *_, a in atlases)} errors are listed in {table}")
    if options.output is not None:
        write_evaluation(options.output, found)
        write_table_record(options.output, found.record)
    shown = {"output": options.output, **as_dict(found)} if options.json else {}
    print_result("\n\n".join(describe_evaluation(found)), **shown)
    if options.output is not None and not options.json:
        say(
            one_line(
                f"{options.output}: scores of {len(found.images)} of "
                f"{len(found.images) + len(found.faults)} images"
            )
        )
    return 1 if found.faults else 0


def describe_evaluation(found: Evaluation) -> list[str]:
    """The main scores in words, a paragraph each."""
    return [
        *(
            f"{name}: {scores}" if len(found.candidates) > 1 else str(scores)
            for name, scores in zip(found.candidates, found.scores, strict=True)
        ),
        *_describe_intervals(found),
    ]


MAIN = {
    "instance": (
        ("ap", 0.5),
        ("f1", 0.5),
        ("panoptic_quality", None),
        ("aggregated_jaccard", None),
    ),
    "semantic": (("macro_dice", None), ("macro_jaccard", None), ("accuracy", None)),
    "regression": (("rmse", None), ("mae", None), ("psnr", None), ("ssim", None)),
}
"""The figures whose intervals are printed."""


def _describe_intervals(found: Evaluation) -> list[str]:
    from napari_unet.metrics.bootstrap import LEAST_IMAGES

    share = f"{100 * found.record['settings']['confidence']:g} %"
    paragraphs = []
    if len(found.images) < LEAST_IMAGES:
        paragraphs.append(f"Intervals need {LEAST_IMAGES} images or more.")
    for name, intervals in zip(found.candidates, found.intervals, strict=True):
        if intervals:
            told = [_interval(n, k, intervals) for n, k in MAIN[found.task]]
            paragraphs.append(f"{share} intervals of {name}: {', '.join(told)}")
    if found.difference is not None:
        first, second = found.candidates
        change = found.difference
        told = []
        for name, key in MAIN[found.task]:
            value = change.value[name] if key is None else change.value[name][key]
            text = f"{_called(name, key)} {'n/a' if value is None else format(value, '+.4f')}"
            if change.interval:
                text += f" [{_interval(name, key, change.interval).partition('[')[2]}"
            told.append(text)
        paragraphs.append(f"{second} less {first}: {', '.join(told)}")
    return paragraphs


def _called(name: str, key: float | None) -> str:
    return name.replace("_", " ") + ("" if key is None else f" at IoU {key}")


def _interval(name: str, key: float | None, intervals: dict[str, Any]) -> str:
    both = intervals[name] if key is None else intervals[name][key]
    return f"{_called(name, key)} [" + (
        "n/a]" if both is None else f"{both[0]:.4f}, {both[1]:.4f}]"
    )
