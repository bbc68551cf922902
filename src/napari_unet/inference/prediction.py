"""From an image of any size to its scores."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any, Unpack

from napari_unet.inference.options import RunOptions, show_keywords
from napari_unet.inference.results import Prediction
from napari_unet.inference.segmentation import iter_run
from napari_unet.network.model import Model
from napari_unet.progress import Progress, drain


@show_keywords(iter_run, RunOptions)
def predict(image: Any, model: Model | str | Path, **overrides: Unpack[RunOptions]) -> Prediction:
    """Run a model over an image of any size and return its scores.

    Parameters
    ----------
    image : array-like, or list of array-like
        Anything with shape, dtype and slicing (NumPy, zarr, Dask, memory map), or a list
        with one array per channel.
    model : Model, str or Path
        A model, the name of one, or its file.
    axes : str, optional
        Axes of the image over TCZYX; None: guessed, and written in the record.
    channels : sequence of int, optional
        Which channels to use, in the model's order.
    pixel_size : float or sequence of float, optional
        Micrometres per spatial axis in the image's order; one number for all; None: unknown.
    settings : SegmentSettings, optional
        Settings; ``overrides`` are single fields of it.
    output : str or Path, optional
        Path or URL of a zarr array that is written block by block instead of memory.
    client : distributed.Client, optional
        A Dask cluster on which the image is run block by block, with equal labels; None: here.
    **overrides
        Single fields of `SegmentSettings`.

    Returns
    -------
    Prediction
        float32 scores with the axes of the image, C (the model's output channels) before the
        spatial ones.

    Raises
    ------
    UNetError
        If the image, the model, a setting or the output cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> prediction = predict(np.zeros((40, 50), np.uint8), "nuclei")
    >>> prediction.scores.shape, prediction.axes
    ((2, 40, 50), 'CYX')
    """
    return drain(iter_predict(image, model, **overrides))


@show_keywords(iter_run, RunOptions)
def iter_predict(
    image: Any, model: Model | str | Path, **overrides: Unpack[RunOptions]
) -> Generator[Progress, None, Prediction]:
    """`predict` as a generator, with the same parameters.

    Yields
    ------
    Progress
        Per tile. Closing the generator cancels the run within one tile and leaves no output
        behind.

    Returns
    -------
    Prediction
        As of `predict`.

    Raises
    ------
    UNetError
        If the image, the model, a setting or the output cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> job = iter_predict(np.zeros((40, 100), np.uint8), "nuclei", tile=50)
    >>> [(step.done, step.total) for step in job]
    [(0, 1), (1, 2), (2, 2)]
    """
    output = overrides.pop("output", None)
    kept = True if output is None else output
    result = yield from iter_run(image, model, labels=False, scores=kept, **overrides)
    assert result.scores is not None
    return result.scores.prediction
