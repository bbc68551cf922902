"""The commands: thin over the Python API."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from napari_unet.cli.bars import run_with_bar
from napari_unet.cli.parser import chosen_settings
from napari_unet.cli.printing import one_line, print_notes, say, tell
from napari_unet.cli.wording import worded
from napari_unet.errors import FileError, ModelError
from napari_unet.network.files import bundled_names, closed_folder, model_files

if TYPE_CHECKING:
    from napari_unet.batch import FileResult


def segment(options: Namespace) -> int:
    """Segment files, one line each."""
    return _files(options, scores=False)


def predict(options: Namespace) -> int:
    """Write the scores of files."""
    return _files(options, scores=True)


def _files(options: Namespace, *, scores: bool) -> int:
    from napari_unet.batch import FileDone, iter_segment_files
    from napari_unet.io.folders import find_images

    print_notes(find_images(options.images).notes)
    job = iter_segment_files(
        options.images,
        options.model,
        options.output,
        axes=options.axes,
        channels=options.channels,
        pixel_size=options.pixel_size,
        scene=options.scene,
        file_format=options.format,
        scores=scores,
        **chosen_settings(options),
    )

    def report(step: Any) -> None:
        if isinstance(step, FileDone):
            _report(step.result)

    results = run_with_bar(job, report)
    codes = [result.fault.code for result in results if result.fault is not None]
    return 0 if not codes else 1 if "unexpected" in codes else 2


def _report(result: FileResult) -> None:
    """One line on a file; faults, and what is to be told of it, on standard error."""
    doubts = [note for note in result.notes if note.code == "axes-guessed"]
    print_notes([note for note in result.notes if note not in doubts], result.source)
    fault = result.fault
    if fault is not None:
        # faults of files name the file themselves
        place = "" if isinstance(fault, FileError) else f"{result.source}: "
        tell("error", place + worded(fault))
        return
    record = result.record or {}
    said = one_line(record.get("message", "scores"))
    say(one_line(f"{result.output}: {said.removesuffix('.')} ({result.seconds:.1f} s)"))
    for doubt in doubts:
        place = f"{result.source}: the axes were taken as {record['axes']}. "
        tell("note", place + worded(doubt))


def train(options: Namespace) -> int:
    """Train a model on image and label files."""
    from napari_unet.cli.training import run_training

    return run_training(options)


def measure(options: Namespace) -> int:
    """Measure the objects of a label file."""
    from napari_unet.cli.measuring import run_measure

    return run_measure(options)


def run(options: Namespace) -> int:
    """Repeat a recorded run."""
    from napari_unet.cli.repeating import run_record

    return run_record(options)


def export(options: Namespace) -> int:
    """Export a label file to a format of another program."""
    from napari_unet.cli.exporting import run_export

    return run_export(options)


def models_list(options: Namespace) -> int:
    """One line a model."""
    del options
    from napari_unet.network.files import read_header

    bundled = bundled_names()
    for name, path in model_files().items():
        try:
            card = read_header(path)
        except ModelError as error:
            tell("note", str(error))
            continue
        origin = "bundled" if name in bundled else "yours"
        kind = f"{card.architecture.ndim}D {card.task}"
        columns = (name, origin, kind, card.description)
        say("\t".join(one_line(column).replace("\t", " ") for column in columns))
    closed = closed_folder()
    if closed is not None:
        tell("note", str(closed))
    return 0


def models_show(options: Namespace) -> int:
    """The card and the file of a model, as one JSON object."""
    import json

    from napari_unet.network.files import file_sha256, find_model, read_header

    path = find_model(options.model)
    card = read_header(path)
    shown = {
        "file": str(path),
        "sha256": file_sha256(path),
        "exact_tiling": card.exact_tiling,
        "card": card.model_dump(mode="json", exclude={"thumbnail"}),
    }
    say(json.dumps(shown, indent=2, ensure_ascii=False))
    return 0


def models_verify(options: Namespace) -> int:
    """Recompute the stored output."""
    from napari_unet.network.model import Model

    model = Model.load(options.model)
    model.verify()
    say(one_line(f"{model.card.name}: gives the output that was stored with it"))
    return 0


def demo(options: Namespace) -> int:
    """Segment the bundled images."""
    from napari_unet.cli.demo import run_demo

    return run_demo(options.output, window=not options.no_window)
