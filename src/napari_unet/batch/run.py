"""A batch: which files need work, each of them run, and what is told meanwhile."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Unpack

from napari_unet.batch.destinations import Targets, plan_targets
from napari_unet.batch.file_job import FileRequest
from napari_unet.batch.finished import find_finished
from napari_unet.batch.inputs import Task, find_tasks
from napari_unet.batch.options import BatchOptions
from napari_unet.batch.pipeline import iter_pipeline
from napari_unet.batch.remote import is_url
from napari_unet.batch.result import BatchStep, FileResult
from napari_unet.batch.state import BatchState
from napari_unet.batch.summary import BatchSummary, summary_path
from napari_unet.errors import ModelError, Note
from napari_unet.inference.options import FileOptions, show_keywords
from napari_unet.inference.run_record import locate_model
from napari_unet.io.folders import check_writable
from napari_unet.network.model import Model
from napari_unet.progress import Progress, drain
from napari_unet.settings import SegmentOverrides, SegmentSettings, resolve


def iter_segment_files(
    paths: Sequence[str | Path],
    model: Model | str | Path,
    output_dir: str | Path | None = None,
    *,
    settings: SegmentSettings | None = None,
    client: Any = None,
    axes: str | None = None,
    channels: Sequence[int] | None = None,
    pixel_size: float | Sequence[float | None] | None = None,
    scene: int | str | None = None,
    file_format: str = "tif",
    scores: bool = False,
    write: Sequence[str] | None = None,
    export: Sequence[str] = (),
    name: str | None = None,
    overwrite: bool = False,
    check: str = "time",
    summary: bool | str | Path = False,
    **overrides: Unpack[SegmentOverrides],
) -> Generator[Progress, None, list[FileResult]]:
    """`segment_files` as a generator, with the same parameters.

    Yields
    ------
    Progress
        In thousandths of a file: a `BatchStep` with the file it is about and the time left, and a
        `FileDone` at the end of each file. The generator can be closed at any time: what is
        complete stays, nothing is half-written.

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
    if client is not None:
        from napari_unet.inference.cluster import check_client

        check_client(client)
    started = datetime.now(UTC)
    kinds = write if write is not None else ("scores",) if scores else ("labels",)
    given = {"write": kinds, "export": export, "overwrite": overwrite, "check": check}
    given |= {"file_format": file_format} | ({} if name is None else {"name": name})
    options = BatchOptions.of(given)
    wanted = resolve(SegmentSettings, settings, overrides)
    found = find_tasks(paths, scene)
    loaded = Model.load(model)
    folder = _folder_of(output_dir)
    targets = plan_targets(found.tasks, folder, options, loaded.card.name)
    if loaded.card.task == "regression" and (options.write != ("scores",) or options.export):
        raise ModelError(
            f"The model {loaded.card.name!r} predicts values, not labels",
            "have its scores written instead, with scores=True or the command predict",
        )
    places = {t.folder for t in targets if isinstance(t.folder, Path)}
    for place in [folder] if isinstance(folder, Path) else sorted(places):
        check_writable(place)
    request = FileRequest.of(
        loaded, wanted, options, axes=axes, channels=channels, pixel_size=pixel_size
    )
    report = BatchSummary(
        summary_path(summary, folder, found.tasks),
        {
            "inputs": [str(path) for path in paths],
            "output_dir": None if folder is None else str(folder),
            "model": {"name": loaded.card.name, "sha256": loaded.sha256},
            **locate_model(loaded),
            "settings": wanted.model_dump(mode="json"),
            "axes": axes,
            "channels": None if channels is None else list(channels),
            "pixel_size": request.fingerprint["pixel_size"],
            "scene": scene,
            "summary": True,
            **options.model_dump(mode="json"),
        },
        found.tasks,
        started,
    )
    state = BatchState(found.tasks)
    with _written_at_the_end(report, state):
        yield from _iter_notes(found.notes, state)
        waiting = yield from _iter_finished(found.tasks, targets, request, state)
        work = (found.tasks, targets, waiting, loaded, request, state)
        if waiting and client is not None:
            from napari_unet.batch.cluster import iter_files_on_cluster

            yield from iter_files_on_cluster(*work, client)
        elif waiting:
            yield from iter_pipeline(*work)
    return state.results()


@show_keywords(iter_segment_files, FileOptions)
def segment_files(
    paths: Sequence[str | Path],
    model: Model | str | Path,
    output_dir: str | Path | None = None,
    **overrides: Unpack[FileOptions],
) -> list[FileResult]:
    """Segment image files; one that fails, in whatever way, does not end the run.

    Labels of ``cells.tif`` go to ``cells_labels.tif`` in ``output_dir``, with pixel size and
    axes, the run record to ``cells_labels.json``. The next file is read and the last one written
    while the network works. A file whose record says that it was finished, from the same input
    with the same model and settings, is left as it is; other earlier results are replaced, but
    none that was changed since by hand, or that no run has written.

    Parameters
    ----------
    paths : sequence of path
        Files, and folders of which all images are taken, but no labels that lie beside them by
        their names, such as ``a_masks.tif`` beside ``a.tif``, and no previews of the same name; of
        a Zarr store also what lies in it: a level, labels, a well. A plate or a well stands for all
        of its images. Patterns such as ``data/**/*.tif``, whose folders are mirrored in
        ``output_dir``, and URLs (``s3://bucket/cells.zarr``) that fsspec can open.
    model : Model, str or Path
        As in `napari_unet.segment`.
    output_dir : path or URL, optional
        Made where it is missing. None: the results go beside each image.
    settings : SegmentSettings, optional
        Settings; ``overrides`` are single fields of it.
    client : distributed.Client, optional
        A Dask cluster on which the files are run, or the blocks of each where there are fewer
        files than workers; None: here.
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
    file_format : {"tif", "ome.tif", "zarr"}
        Of labels and scores.
    scores : bool
        Write the scores instead of labels, as `napari_unet.predict` gives them; the same as
        ``write=["scores"]``.
    write : sequence of {"labels", "scores", "measurements", "overlay"}, optional
        What is written of each file: a table of its objects as by `napari_unet.measure`, and a
        picture of their outlines over the image (of a stack, over its middle plane). None: labels.
    export : sequence of str
        Further formats of the labels, by the endings that `napari_unet.export` knows, such as
        ``geojson``.
    name : str, optional
        Template of the names, of ``{name}`` (of the image), ``{kind}``, ``{model}`` and
        ``{folder}``; None: ``{name}_{kind}``. Images of several folders that would have one result
        get a folder of their own.
    overwrite : bool
        Run all files again, and replace whatever is there.
    check : {"time", "hash"}
        How an input is known again: by its size, time and metadata, or by a hash of all of it.
    summary : bool or path
        Whether a table of the files is written, as ``batch.csv`` in ``output_dir``, or where; and
        beside it the record of the batch.
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
    >>> image = load_sample("nuclei_2d").path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (result,) = segment_files([image], "nuclei", folder)
    ...     (again,) = segment_files([image], "nuclei", folder)
    >>> result.output.name, result.record["objects"] > 100, again.skipped
    ('nuclei_2d_labels.tif', True, True)
    """
    return drain(iter_segment_files(paths, model, output_dir, **overrides))


def _folder_of(output_dir: str | Path | None) -> str | Path | None:
    if output_dir is None or is_url(output_dir):
        return output_dir
    return Path(output_dir)


def _iter_notes(notes: Sequence[Note], state: BatchState) -> Iterator[BatchStep]:
    for note in notes:
        yield state.step(-1, str(note))


def _iter_finished(
    tasks: Sequence[Task], targets: Sequence[Targets], request: FileRequest, state: BatchState
) -> Generator[BatchStep, None, list[int]]:
    """Tell what was finished before; gives the numbers of the files that need work."""
    waiting = []
    hashed = request.options.check == "hash"
    for number, (task, its) in enumerate(zip(tasks, targets, strict=True)):
        record = None
        if not request.options.overwrite:
            record = find_finished(task, its, request.fingerprint, hashed=hashed)
        if record is None:
            waiting.append(number)
            continue
        result = FileResult(
            task.source, its.main, record, None, 0.0, None, task.notes, its.files, skipped=True
        )
        yield state.end(number, result, "finished before")
    return waiting


@contextmanager
def _written_at_the_end(report: BatchSummary, state: BatchState) -> Iterator[None]:
    """Write the summary however the batch ends: what is done is in it, also after Cancel."""
    clock = time.perf_counter()
    try:
        yield
    finally:
        report.write(state.known(), time.perf_counter() - clock)
