"""The commands: thin over the Python API."""

from __future__ import annotations

from argparse import Namespace

from napari_unet.cli.parser import chosen_settings
from napari_unet.cli.printing import one_line, print_notes, print_result, tell_fault
from napari_unet.errors import ModelError
from napari_unet.network.files import bundled_names, closed_folder, model_files


def segment(options: Namespace) -> int:
    """Segment files, one line each."""
    from napari_unet.cli.batching import run_files

    return run_files(options, chosen_settings(options), scores=False)


def predict(options: Namespace) -> int:
    """Write the scores of files."""
    from napari_unet.cli.batching import run_files

    return run_files(options, chosen_settings(options), scores=True)


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


def evaluate(options: Namespace) -> int:
    """Score predictions against the truth."""
    from napari_unet.cli.evaluating import run_evaluate

    return run_evaluate(options, chosen_settings(options))


def models_list(options: Namespace) -> int:
    """One line a model."""
    del options
    from napari_unet.network.files import read_header

    bundled = bundled_names()
    for name, path in model_files().items():
        try:
            card = read_header(path)
        except ModelError as error:
            tell_fault(error, kind="note", source=path)
            continue
        origin = "bundled" if name in bundled else "yours"
        kind = f"{card.architecture.ndim}D {card.task}"
        columns = (name, origin, kind, card.description)
        print_result(
            "\t".join(one_line(column).replace("\t", " ") for column in columns),
            name=name,
            origin=origin,
            ndim=card.architecture.ndim,
            task=card.task,
            description=card.description,
            file=path,
        )
    closed = closed_folder()
    if closed is not None:
        print_notes([closed])
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
    print_result(json.dumps(shown, indent=2, ensure_ascii=False), **shown)
    return 0


def models_verify(options: Namespace) -> int:
    """Recompute the stored output."""
    from napari_unet.network.model import Model

    model = Model.load(options.model)
    model.verify()
    name = model.card.name
    print_result(
        one_line(f"{name}: gives the output that was stored with it"), name=name, verified=True
    )
    return 0


def models_add(options: Namespace) -> int:
    """Keep models from a file, a folder or a list."""
    from napari_unet.cli.bars import run_with_bar
    from napari_unet.network.catalogue import iter_add, read_catalogue
    from napari_unet.network.files import SUFFIX

    found = {entry.name: entry for entry in read_catalogue(options.source)}
    names = options.names or (list(found) if options.source.endswith(SUFFIX) else [])
    missing = [name for name in names if name not in found]
    if missing:
        known = ", ".join(found)
        raise ModelError(f"There is no {missing[0]!r} in {options.source}", f"there are: {known}")
    if options.new_name and len(names) != 1:
        raise ModelError("--as names one model", "name one to be kept")
    for entry in () if names else found.values():
        columns = (entry.name, entry.description)
        print_result(
            "\t".join(one_line(text).replace("\t", " ") for text in columns),
            name=entry.name,
            description=entry.description,
            file=None,
        )
    for name in names:
        path = run_with_bar(iter_add(found[name], name=options.new_name))
        kept = options.new_name or name
        print_result(one_line(f"{kept}: {path}"), name=kept, file=path)
    return 0


def demo(options: Namespace) -> int:
    """Segment the bundled images."""
    from napari_unet.cli.demo import run_demo

    return run_demo(options.output, window=not options.no_window)
