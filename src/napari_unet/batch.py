"""Files in, files out."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from napari_unet.axes import in_order
from napari_unet.errors import InputError, ModelError, Note, UNetError
from napari_unet.image.source import open_image
from napari_unet.inference.options import FileOptions, RunOptions, show_keywords
from napari_unet.inference.prediction import iter_predict
from napari_unet.inference.results import Prediction, Segmentation
from napari_unet.inference.segmentation import iter_segmentation, refuse_client
from napari_unet.io import read_image, write_image, write_labels
from napari_unet.io.folders import check_writable, find_images
from napari_unet.io.listing import FoundImage
from napari_unet.io.reading import count_scenes
from napari_unet.io.scratch import ScratchFolder
from napari_unet.io.slabs import SlabReader
from napari_unet.network.model import Model
from napari_unet.progress import Progress, drain
from napari_unet.settings import SegmentOverrides, SegmentSettings, resolve
from napari_unet.unexpected import explain_error

ALL_SCENES = "all"
PARTS = 1000  # units of progress in a file
FORMATS = ("tif", "ome.tif")
VALUE_BYTES = 4  # of a label or a score
MAX_RESULT_BYTES = 1 << 28  # larger results are put on disk, and from there into the file


@dataclass(frozen=True)
class FileResult:
    """What became of a file.

    Attributes
    ----------
    source : Path
        The image.
    output : Path or None
        The file that was written; None where it failed.
    record : dict or None
        The run record, which also stands beside the output as JSON.
    error : str or None
        Why it failed, in one sentence.
    seconds : float
        How long it took.
    fault : UNetError or None
        The error itself, with its fields; what nobody foresaw has the code "unexpected", and its
        traceback is in the log that the sentence names.
    notes : tuple of Note
        What was left out of the file or beside it, and what its axes could be otherwise; also in
        the record, as ``notes``.
    """

    source: Path
    output: Path | None
    record: dict[str, Any] | None
    error: str | None
    seconds: float
    fault: UNetError | None = None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FileDone(Progress):
    """The step that ends a file, with what became of it."""

    result: FileResult


def iter_segment_files(
    paths: Sequence[str | Path],
    model: Model | str | Path,
    output_dir: str | Path,
    *,
    settings: SegmentSettings | None = None,
    client: Any = None,
    axes: str | None = None,
    channels: Sequence[int] | None = None,
    pixel_size: float | Sequence[float | None] | None = None,
    scene: int | str | None = None,
    file_format: str = "tif",
    scores: bool = False,
    **overrides: Unpack[SegmentOverrides],
) -> Generator[Progress, None, list[FileResult]]:
    """`segment_files` as a generator, with the same parameters.

    Yields
    ------
    Progress
        In thousandths of a file, and a `FileDone` at the end of each file. The generator can be
        closed at any time: what is complete stays, nothing is half-written.

    Returns
    -------
    list of FileResult
        As of `segment_files`.

    Raises
    ------
    UNetError
        Before the first file, where `segment_files` raises.

    Examples
    --------
    >>> import tempfile
    >>> from napari_unet.samples import load_sample
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     steps = list(iter_segment_files([load_sample("nuclei_2d").path], "nuclei", folder))
    >>> steps[-1].done, steps[-1].total, steps[-1].result.error
    (1000, 1000, None)
    """
    refuse_client(client)
    if file_format not in FORMATS:
        raise InputError(
            f"file_format {file_format!r} is unknown",
            f"choose one of {', '.join(FORMATS)}",
            parameter="file_format",
            value=file_format,
        )
    wanted = resolve(SegmentSettings, settings, overrides)
    found = find_images(paths)
    tasks = _tasks(found.images, scene)
    outputs = _outputs(tasks, Path(output_dir), "_scores" if scores else "_labels", file_format)
    loaded = Model.load(model)
    if loaded.card.task == "regression" and not scores:
        raise ModelError(
            f"The model {loaded.card.name!r} predicts values, not labels",
            "have its scores written instead, with scores=True or the command predict",
        )
    check_writable(Path(output_dir))
    results: list[FileResult] = []
    total = PARTS * len(tasks)
    for note in found.notes:
        yield Progress(0, total, str(note))
    for number, (task, output) in enumerate(zip(tasks, outputs, strict=True)):
        began = time.perf_counter()
        written: _Written | None = None
        fault: UNetError | None = None
        job = _run_file(
            task,
            output,
            loaded,
            scores=scores,
            settings=wanted,
            axes=axes,
            channels=channels,
            pixel_size=pixel_size,
        )
        title = task.image.title
        try:
            while True:
                step = next(job)
                done = number * PARTS + PARTS * step.done // max(step.total, 1)
                yield Progress(done, total, f"{title}: {step.message}", step.phase)
        except StopIteration as end:
            written = end.value
        except Exception as error:  # noqa: BLE001 - whatever a file does is that file's failure
            fault = explain_error(error)
        finally:
            job.close()
        result = FileResult(
            task.image.path,
            None if written is None else output,
            None if written is None else written.record,
            None if fault is None else str(fault),
            time.perf_counter() - began,
            fault,
            task.image.notes if written is None else written.notes,
        )
        results.append(result)
        said = f"{title}: {result.error or 'done'}"
        yield FileDone((number + 1) * PARTS, total, said, result=result)
    return results


@show_keywords(iter_segment_files, FileOptions)
def segment_files(
    paths: Sequence[str | Path],
    model: Model | str | Path,
    output_dir: str | Path,
    **overrides: Unpack[FileOptions],
) -> list[FileResult]:
    """Segment image files; one that fails, in whatever way, does not end the run.

    Labels of ``cells.tif`` go to ``cells_labels.tif`` in ``output_dir``, with pixel size and
    axes, the run record to ``cells_labels.json``. Earlier results are replaced.

    Parameters
    ----------
    paths : sequence of path
        Files, and folders of which all images are taken, but no labels that lie beside them by
        their names, such as ``a_masks.tif`` beside ``a.tif``, and no previews of the same name; of
        a Zarr store also what lies in it: a level, labels, a well. A plate or a well stands for all
        of its images.
    model : Model, str or Path
        As in `napari_unet.segment`.
    output_dir : path
        Made where it is missing.
    settings : SegmentSettings, optional
        Settings; ``overrides`` are single fields of it.
    client : optional
        Not available yet: must be None.
    axes : str, optional
        Axes of all images over TCZYX; None: as each file says, else guessed.
    channels : sequence of int, optional
        Which channels to use, in the model's order.
    pixel_size : float or sequence of float, optional
        Micrometres per spatial axis, for all files; None: as each file says.
    scene : int or str, optional
        Which image of files that hold several: its number from 0, or its name; "all": each of
        them, with a result of its own, such as ``cells_scene1_labels.tif``. By default the first,
        or a larger one of which that is the thumbnail; what is left out stands in the notes.
    file_format : {"tif", "ome.tif"}
        Of what is written.
    scores : bool
        Write the scores instead of labels, as `napari_unet.predict` gives them.
    **overrides
        Single fields of `SegmentSettings`.

    Returns
    -------
    list of FileResult
        In the order of the files.

    Raises
    ------
    UNetError
        If the model, a setting, the list of files or the output folder cannot be used at
        all: nothing is written then.

    Examples
    --------
    >>> import tempfile
    >>> from napari_unet.samples import load_sample
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (result,) = segment_files([load_sample("nuclei_2d").path], "nuclei", folder)
    >>> result.output.name, result.record["objects"] > 100
    ('nuclei_2d_labels.tif', True)
    """
    return drain(iter_segment_files(paths, model, output_dir, **overrides))


@dataclass(frozen=True)
class _Task:
    """One image to run, with the name of its result."""

    image: FoundImage
    scene: int | str | None
    name: str


@dataclass(frozen=True)
class _Written:
    record: dict[str, Any]
    notes: tuple[Note, ...]


def _tasks(images: Sequence[FoundImage], scene: int | str | None) -> list[_Task]:
    tasks = []
    for image in images:
        count = 1
        if scene == ALL_SCENES:
            with suppress(Exception):  # which is told when the file has its turn
                count = count_scenes(image.path)
        if count > 1:
            tasks += [_Task(image, i, f"{image.name}_scene{i}") for i in range(count)]
        else:
            tasks.append(_Task(image, None if scene == ALL_SCENES else scene, image.name))
    return tasks


def _outputs(tasks: Sequence[_Task], folder: Path, ending: str, file_format: str) -> list[Path]:
    outputs = [folder / f"{task.name}{ending}.{file_format}" for task in tasks]
    counts = Counter(outputs)
    inputs = {os.path.realpath(task.image.path) for task in tasks}  # takes links in a circle too
    for task, output in zip(tasks, outputs, strict=True):
        if counts[output] > 1:
            raise InputError(
                f"Two images would both be written to {output.name}",
                f"rename one of them (such as {task.image.path}), or run them into different "
                "folders",
            )
        if os.path.realpath(output) in inputs:
            raise InputError(
                f"The result of {task.image.path} would replace {output}, which is an input too",
                "leave that out, or choose another output folder",
            )
    return outputs


def _run_file(
    task: _Task, target: Path, model: Model, *, scores: bool, **options: Unpack[RunOptions]
) -> Generator[Progress, None, _Written]:
    """Run one file and write the result."""
    source = task.image.path
    file = read_image(source, scene=task.scene)
    axes, size = options.pop("axes", None), options.pop("pixel_size", None)
    image = open_image(
        file.array,
        axes=axes or file.axes,
        channels=options.pop("channels", None),
        pixel_size=file.pixel_size_along(axes) if size is None else size,
        ndim=model.card.architecture.ndim,
        in_channels=model.card.architecture.in_channels,
    )
    doubts = () if image.doubt is None else (image.doubt,)
    notes = (*task.image.notes, *file.notes, *doubts)
    result: Prediction | Segmentation
    values = image.times * math.prod(image.spatial_shape)
    values *= model.card.architecture.out_channels if scores else 1
    with ExitStack() as stack:
        if values * VALUE_BYTES > MAX_RESULT_BYTES:
            target.parent.mkdir(parents=True, exist_ok=True)
            _check_disk(target.parent, values * VALUE_BYTES)
            scratch = ScratchFolder(target.parent)
            stack.callback(scratch.remove)
            options["output"] = scratch.path / "result.zarr"
        if scores:
            result = predicted = yield from iter_predict(image, model, **options)
            array = predicted.scores
        else:
            result = segmented = yield from iter_segmentation(image, model, **options)
            array = segmented.labels
        if "Z" in result.axes and hasattr(array, "chunks"):
            array = SlabReader(array, result.axes.index("Z"))
        record = {
            **result.record,
            "source": _in_unicode(source),
            "scene": file.scene if len(file.scenes) > 1 else None,
            "notes": [str(note) for note in notes],
            "output": _in_unicode(target),
        }
        sizes = in_order(result.pixel_size, result.axes)
        if scores:
            write_image(target, array, axes=result.axes, pixel_size=sizes, record=record)
        else:
            write_labels(target, array, axes=result.axes, pixel_size=sizes, record=record)
    return _Written(record, notes)


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


def _in_unicode(path: Path) -> str:
    """The path for a record; bytes that are no UTF-8 (names of old disks) escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
