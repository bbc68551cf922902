"""Files in, files out."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_unet.axes import in_order
from napari_unet.errors import InputError, ModelError, UNetError
from napari_unet.inference.decoding import Segmentation
from napari_unet.inference.prediction import Prediction, iter_predict, refuse_client
from napari_unet.inference.segmentation import iter_segmentation
from napari_unet.io import read_image, write_image, write_labels
from napari_unet.io.folders import check_writable, find_images, plain_stem
from napari_unet.network.model import Model
from napari_unet.progress import Progress, drain
from napari_unet.settings import SegmentSettings, resolve

PARTS = 1000  # units of progress in a file
FORMATS = ("tif", "ome.tif")


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
        The error itself, with its fields.
    """

    source: Path
    output: Path | None
    record: dict[str, Any] | None
    error: str | None
    seconds: float
    fault: UNetError | None = None


@dataclass(frozen=True, kw_only=True)
class FileDone(Progress):
    """The step that ends a file, with what became of it."""

    result: FileResult


def segment_files(
    paths: Sequence[str | Path],
    model: Model | str | Path,
    output_dir: str | Path,
    *,
    settings: SegmentSettings | None = None,
    client: Any = None,
    **overrides: Any,
) -> list[FileResult]:
    """Segment image files; one that fails does not end the run.

    Labels of ``cells.tif`` go to ``cells_labels.tif`` in ``output_dir``, with pixel size and
    axes, the run record to ``cells_labels.json``. Earlier results are replaced.

    Parameters
    ----------
    paths : sequence of path
        Files, and folders of which all images are taken.
    model : Model, str or Path
        As in `napari_unet.segment`.
    output_dir : path
        Made where it is missing.
    settings : SegmentSettings, optional
        Settings; ``overrides`` are single fields of it, and also ``axes``, ``channels``,
        ``pixel_size`` (for all files), ``file_format`` ("tif" or "ome.tif") and ``scores`` (write
        the scores instead of labels, as `napari_unet.predict` gives them).
    client : optional
        Not available yet: must be None.

    Returns
    -------
    list of FileResult
        In the order of the files.

    Raises
    ------
    UNetError
        If the model, a setting, the list of files or the output folder cannot be used at
        all: nothing is written then.
    """
    return drain(
        iter_segment_files(paths, model, output_dir, settings=settings, client=client, **overrides)
    )


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
    file_format: str = "tif",
    scores: bool = False,
    **overrides: Any,
) -> Generator[Progress, None, list[FileResult]]:
    """`segment_files` as a generator.

    Yields `Progress` in thousandths of a file, and a `FileDone` at the end of each file. It can
    be closed at any time: what is complete stays, nothing is half-written.
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
    files = find_images(paths)
    outputs = _outputs(files, Path(output_dir), "_scores" if scores else "_labels", file_format)
    loaded = Model.load(model)
    if loaded.card.task == "regression" and not scores:
        raise ModelError(
            f"The model {loaded.card.name!r} predicts values, not labels",
            "have its scores written instead, with scores=True or the command predict",
        )
    check_writable(Path(output_dir))
    results: list[FileResult] = []
    total = PARTS * len(files)
    for number, (source, output) in enumerate(zip(files, outputs, strict=True)):
        began = time.perf_counter()
        record: dict[str, Any] | None = None
        fault: UNetError | None = None
        job = _run_file(source, output, loaded, wanted, axes, channels, pixel_size, scores)
        try:
            while True:
                step = next(job)
                done = number * PARTS + PARTS * step.done // max(step.total, 1)
                yield Progress(done, total, f"{source.name}: {step.message}", step.phase)
        except StopIteration as end:
            record = end.value
        except UNetError as error:
            fault = error
        finally:
            job.close()
        seconds = time.perf_counter() - began
        written, said = (output, None) if fault is None else (None, str(fault))
        result = FileResult(source, written, record, said, seconds, fault)
        results.append(result)
        said = f"{source.name}: {said or 'done'}"
        yield FileDone((number + 1) * PARTS, total, said, result=result)
    return results


def _outputs(files: Sequence[Path], folder: Path, ending: str, file_format: str) -> list[Path]:
    outputs = [folder / f"{plain_stem(path)}{ending}.{file_format}" for path in files]
    counts = Counter(outputs)
    inputs = {path.resolve() for path in files}
    for path, output in zip(files, outputs, strict=True):
        if counts[output] > 1:
            raise InputError(
                f"Two images would both be written to {output.name}",
                f"rename one of them (such as {path}), or run them into different folders",
            )
        if output.resolve() in inputs:
            raise InputError(
                f"The result of {path} would replace {output}, which is an input too",
                "leave that out, or choose another output folder",
            )
    return outputs


def _run_file(
    source: Path,
    output: Path,
    model: Model,
    settings: SegmentSettings,
    axes: str | None,
    channels: Sequence[int] | None,
    pixel_size: float | Sequence[float | None] | None,
    scores: bool,
) -> Generator[Progress, None, dict[str, Any]]:
    file = read_image(source)
    place: dict[str, Any] = {
        "axes": axes or file.axes,
        "channels": channels,
        "pixel_size": file.pixel_size_along(axes) if pixel_size is None else pixel_size,
        "settings": settings,
    }
    names = {"source": _in_unicode(source), "output": _in_unicode(output)}
    result: Prediction | Segmentation
    if scores:
        result = predicted = yield from iter_predict(file.array, model, **place)
        array = predicted.scores
    else:
        result = segmented = yield from iter_segmentation(file.array, model, **place)
        array = segmented.labels
    record = {**result.record, **names}
    size = in_order(result.pixel_size, result.axes)
    if scores:
        write_image(output, array, axes=result.axes, pixel_size=size, record=record)
    else:
        write_labels(output, array, axes=result.axes, pixel_size=size, record=record)
    return record


def _in_unicode(path: Path) -> str:
    """The path for a record; bytes that are no UTF-8 (names of old disks) escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
