"""One file of a batch: opened, predicted, its results written, its record last."""

from __future__ import annotations

import math
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.batch.destinations import Targets
from napari_unet.batch.finished import identify, metadata_of, refuse_foreign
from napari_unet.batch.inputs import Task
from napari_unet.batch.opened import OpenedTask
from napari_unet.batch.options import BatchOptions
from napari_unet.batch.remote import fetch, send
from napari_unet.batch.writing import write_results
from napari_unet.errors import InputError
from napari_unet.image.source import open_image
from napari_unet.inference.segmentation import RunResult, iter_run
from napari_unet.io import read_image
from napari_unet.io.reading import ImageFile
from napari_unet.io.record import in_unicode
from napari_unet.io.scratch import ScratchFolder
from napari_unet.io.zarr_urls import open_zarr_url
from napari_unet.network.model import Model
from napari_unet.progress import Progress
from napari_unet.settings import SegmentSettings

if TYPE_CHECKING:
    from napari_unet.card import ModelCard

VALUE_BYTES = 4  # of a label or a score
MAX_RESULT_BYTES = 1 << 28  # larger results are put on disk, and from there into the file


@dataclass(frozen=True)
class FileRequest:
    """How each file of a batch is run; values only, so that it can be sent to a worker.

    Attributes
    ----------
    settings : SegmentSettings
        Not resolved.
    axes, channels, pixel_size
        As of `napari_unet.segment`.
    options : BatchOptions
        What is written.
    fingerprint : dict
        All that decides on the results, JSON-ready.
    """

    settings: SegmentSettings
    axes: str | None
    channels: tuple[int, ...] | None
    pixel_size: Any
    options: BatchOptions
    fingerprint: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        model: Model,
        settings: SegmentSettings,
        options: BatchOptions,
        *,
        axes: str | None,
        channels: Sequence[int] | None,
        pixel_size: Any,
    ) -> FileRequest:
        """The request, with what its results are known by."""
        chosen = None if channels is None else tuple(int(n) for n in channels)
        sizes = list(pixel_size) if isinstance(pixel_size, Sequence) else pixel_size
        known = {
            "model": model.sha256,
            "settings": settings.model_dump(mode="json"),
            "axes": axes,
            "channels": None if chosen is None else list(chosen),
            "pixel_size": sizes,
            "file_format": options.file_format,
        }
        return cls(settings, axes, chosen, pixel_size, options, known)


def open_task(task: Task, targets: Targets, request: FileRequest, card: ModelCard) -> OpenedTask:
    """Open a file; small ones are read at once.

    Raises
    ------
    UNetError
        If it cannot be read or does not suit the model, or a result must not be replaced.
    """
    with ExitStack() as stack:
        if not request.options.overwrite:
            refuse_foreign(targets)
        file = _read(task, stack)
        # after it: an input that is missing is told by the reader
        identity = identify(task.source, hashed=request.options.check == "hash")
        axes, size = request.axes, request.pixel_size
        image = open_image(
            file if isinstance(task.source, Path) else file.array,
            axes=axes or file.axes,
            channels=request.channels,
            pixel_size=file.pixel_size_along(axes) if size is None else size,
            ndim=card.architecture.ndim,
            in_channels=card.architecture.in_channels,
            takes_colours=card.takes_colours,
        )
        doubts = () if image.doubt is None else (image.doubt,)
        notes = (*task.notes, *file.notes, *doubts)
        return OpenedTask(file, image, notes, identity, stack.pop_all())


def _read(task: Task, stack: ExitStack) -> ImageFile:
    source = task.source
    if isinstance(source, Path):
        return read_image(source, scene=task.scene)
    if source.lower().rstrip("/").endswith(".zarr") or "." not in source.rpartition("/")[2]:
        found = open_zarr_url(source)
        return ImageFile(Path(task.title), found.array, found.axes, found.pixel_size, found.notes)
    import tempfile

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="napari-unet-")))
    return read_image(fetch(source, folder), scene=task.scene)


def predict_task(
    opened: OpenedTask,
    targets: Targets,
    model: Model,
    request: FileRequest,
    client: Any = None,
) -> Generator[Progress, None, RunResult]:
    """Run the model over an open file; large results go to disk."""
    image, options, card = opened.image, request.options, model.card
    wants_labels = bool({"labels", "measurements", "overlay"} & set(options.write)) or bool(
        options.export
    )
    labels = wants_labels and card.task != "regression"
    scores: bool | Path = bool({"scores", "measurements"} & set(options.write)) or not labels
    pixels = image.times * math.prod(image.spatial_shape)
    parts = labels + (card.architecture.out_channels if scores else 0)
    output: Path | str | None = None
    to_zarr = options.file_format == "zarr"
    if to_zarr or pixels * parts * VALUE_BYTES > MAX_RESULT_BYTES:
        folder = _local_folder(targets, opened.stack)
        _check_disk(folder, pixels * parts * VALUE_BYTES)
        scratch = ScratchFolder(folder)
        opened.stack.callback(scratch.remove)
        output = scratch.path / "labels.zarr" if labels else None
        scores = scratch.path / "scores.zarr" if scores else False
    more = {} if client is None else {"client": client}
    return (
        yield from iter_run(
            image,
            model,
            labels=labels,
            scores=scores,
            settings=request.settings,
            output=output,
            **more,
        )
    )


def write_task(
    task: Task,
    opened: OpenedTask,
    result: RunResult,
    targets: Targets,
    request: FileRequest,
) -> dict[str, Any]:
    """Write the results of a file, and the record last; the record."""
    if result.labels is not None:
        found = result.labels.record
    else:
        assert result.scores is not None
        found = result.scores.prediction.record
    record = {
        **found,
        "source": in_unicode(task.source),
        "scene": opened.file.scene if len(opened.file.scenes) > 1 else None,
        "notes": [str(note) for note in opened.notes],
        "output": in_unicode(targets.main),
        "outputs": {kind: in_unicode(file) for kind, file in targets.files.items()},
        "source_file": {**opened.identity, **metadata_of(opened.file)},
        "request": dict(request.fingerprint),
    }
    try:
        local = _staged(targets, opened.stack)
        written = write_results(opened, result, local, record, request.options)
        if local is not targets:
            for kind, file in local.files.items():
                send(Path(file), str(targets.files[kind]))
            send(Path(local.record), str(targets.record))
    finally:
        opened.stack.close()
    return written


def _staged(targets: Targets, stack: ExitStack) -> Targets:
    """Local files for results that go to a URL; else the results themselves."""
    if isinstance(targets.main, Path):
        return targets
    folder = _local_folder(targets, stack)
    return Targets({k: folder / str(f).rpartition("/")[2] for k, f in targets.files.items()})


def _local_folder(targets: Targets, stack: ExitStack) -> Path:
    """The folder of the results, made if it is missing; for a URL one that is removed again."""
    folder = targets.folder
    if isinstance(folder, Path):
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    import tempfile

    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="napari-unet-")))


def _check_disk(folder: Path, needed: int) -> None:
    """Refuse a result that no disk there holds; a store of a few bytes can declare any size."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"The result would take {needed / 1e9:,.0f} GB, of which the disk of {folder} has "
            f"{free / 1e9:,.0f} GB",
            "choose another folder, or run a part of the image",
            code="disk-full",
        )
