"""The dock "Batch" and run records: what it would run as one, and one taken over into it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.network.files import read_header
from napari_unet.replay.batching import BatchRun
from napari_unet.replay.kept_arrays import HeldFile
from napari_unet.replay.records import describe_taken, read_run_of_kind
from napari_unet.replay.references import describe_model
from napari_unet.settings import SegmentSettings, resolve

if TYPE_CHECKING:
    from napari_unet.widgets.batch.face import BatchFace

FILE_OPTIONS = ("write", "export", "file_format", "name", "overwrite", "axes")
NOT_IN_FORM = ("pixel_size", "scene", "check")


def draft_of(dock: BatchFace, *, temporary: Path, several: bool) -> dict[str, Any]:
    """The record of what the dock would run.

    Parameters
    ----------
    dock : BatchFace
        The dock.
    temporary : Path
        The folder in which layers lie that are in no file: it goes with the dock.
    several : bool
        Whether there are several images, and so a table of them.
    """
    paths: list[Any] = [
        HeldFile(Path(path)) if temporary in Path(path).parents else path for path in dock.image
    ]
    options = dock.options
    settings = resolve(SegmentSettings, None, dock.form.settings.values())
    assert dock.model is not None  # there is a request
    return {
        "operation": "batch",
        "inputs": paths,
        "output_dir": dock.output,
        "model": describe_model(dock.model),
        "settings": settings.model_dump(mode="json", exclude_defaults=True),
        "channels": options["channels"],
        "summary": several,
        **{name: options[name] for name in FILE_OPTIONS},
    }


def take_over(path: Path, dock: BatchFace) -> str:
    """Fill the dock from a record.

    Returns
    -------
    str
        What is to be said of it.

    Raises
    ------
    UNetError
        If it is no record of a batch, or its model or its images are not here.
    """
    run = read_run_of_kind(path, BatchRun)
    model = run.model.find_to_choose()  # the same one, or an error
    dock.image = list(run.inputs)
    dock.model = model
    dock.output = run.output_dir
    kept = {name: getattr(run, name) for name in (*FILE_OPTIONS, "channels")}
    dock.options = {name: value for name, value in kept.items() if value is not None}
    dock.settings = run.settings
    left: Sequence[str] = [name for name in NOT_IN_FORM if getattr(run, name) not in (None, "time")]
    if run.settings.normalization not in (None, read_header(run.model.find()).normalization):
        left = [*left, "normalization"]
    return describe_taken(path, left)
