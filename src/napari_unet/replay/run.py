"""`run`: a recorded run, once more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_unet.progress import drain
from napari_unet.replay.records import read_run
from napari_unet.replay.repeated import Job, Repeated


def run(
    record: Mapping[str, Any] | str | Path,
    *,
    input: Any = None,  # noqa: A002 - the name of the public API
    output: str | Path | None = None,
) -> Any:
    """Repeat a recorded run: the same input, model and settings give equal labels.

    Parameters
    ----------
    record : mapping, path or str
        A run record: the JSON file beside a result, the result itself, the JSON as a text, or
        what a layer's metadata or ``Prediction.record`` hold. Of any operation: segment,
        predict, train, measure, evaluate, export, batch, correct.
    input : path, array, layer, or list of these, optional
        Another input than the recorded one, one per channel in a list: it is run as it is, with
        the axes of the record where they fit, and its own pixel size where it has one. None: the
        recorded input, which must still hold the same pixels.
    output : path, optional
        File, or folder, to write the result to, with its record beside it. None: nothing is
        written.

    Returns
    -------
    object
        As of the function that was recorded: labels, a `Prediction`, a `Model`, a table, an
        `Evaluation` with its scores, a path or a list of `FileResult`.

    Raises
    ------
    UNetError
        If the record cannot be read; the model here is another one than the recorded; the
        input has changed or is gone; or the run itself fails.

    Examples
    --------
    >>> import tempfile
    >>> from napari_unet.batch import segment_files
    >>> from napari_unet.samples import load_sample
    >>> folder = tempfile.mkdtemp()
    >>> (first,) = segment_files([load_sample("nuclei_2d").path], "nuclei", folder)
    >>> labels = run(first.output.with_suffix(".json"))
    >>> int(labels.max()) == first.record["objects"]
    True
    """
    return drain(iter_repeat(record, input=input, output=output)).value


def iter_repeat(
    record: Mapping[str, Any] | str | Path,
    *,
    input: Any = None,  # noqa: A002
    output: str | Path | None = None,
) -> Job:
    """`run` as a generator of the steps of the operation; it returns a `Repeated`."""
    result: Repeated = yield from read_run(record).repeat(input, output)
    return result
