"""From an image to scores, in tiles."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.axes import score_axes
from napari_unet.card import ModelCard
from napari_unet.errors import SettingsError
from napari_unet.image.source import PixelSize
from napari_unet.inference.output import OutputArray
from napari_unet.inference.plan import PredictionPlan, plan_prediction
from napari_unet.inference.run_record import RunRecord
from napari_unet.inference.tiles import run_plan
from napari_unet.network.model import Model
from napari_unet.progress import Progress, drain
from napari_unet.settings import SegmentSettings, resolve


@dataclass(frozen=True)
class Prediction:
    """Scores of an image.

    Attributes
    ----------
    scores : array
        float32; axes of the image with C (the model's output channels) before the spatial
        ones: class probabilities (semantic), the maps that `napari_unet.instances.maps` defines
        (instance), values (regression). NumPy, or zarr where ``output`` was given.
    axes : str
        Axes of ``scores``.
    pixel_size : tuple of float or None
        Micrometres per spatial axis (ZYX order); None where unknown.
    card : ModelCard
        Of the model.
    record : dict
        The run record: resolved settings, model and its SHA-256, versions, time.
    """

    scores: Any
    axes: str
    pixel_size: PixelSize
    card: ModelCard
    record: dict[str, Any]


def predict(
    image: Any,
    model: Model | str | Path,
    *,
    axes: str | None = None,
    channels: Sequence[int] | None = None,
    pixel_size: float | Sequence[float | None] | None = None,
    settings: SegmentSettings | None = None,
    output: str | Path | None = None,
    client: Any = None,
    **overrides: Any,
) -> Prediction:
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
    client : optional
        Not available yet: must be None.

    Returns
    -------
    Prediction

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
    return drain(
        iter_predict(
            image,
            model,
            axes=axes,
            channels=channels,
            pixel_size=pixel_size,
            settings=settings,
            output=output,
            client=client,
            **overrides,
        )
    )


def iter_predict(
    image: Any,
    model: Model | str | Path,
    *,
    axes: str | None = None,
    channels: Sequence[int] | None = None,
    pixel_size: float | Sequence[float | None] | None = None,
    settings: SegmentSettings | None = None,
    output: str | Path | None = None,
    client: Any = None,
    **overrides: Any,
) -> Generator[Progress, None, Prediction]:
    """`predict` as a generator: yields `Progress` per tile, returns the `Prediction`.

    Closing it cancels the run within one tile and leaves no output behind.
    """
    refuse_client(client)
    loaded = Model.load(model)
    wanted = resolve(SegmentSettings, settings, overrides)
    yield Progress(0, 1, "reading the intensities", "reading")
    plan = plan_prediction(
        image, loaded, wanted, axes=axes, channels=channels, pixel_size=pixel_size
    )
    return (yield from iter_plan(plan, loaded, output))


def iter_plan(
    plan: PredictionPlan, model: Model, output: str | Path | None = None
) -> Generator[Progress, None, Prediction]:
    """Carry out a plan: what it says of the image, be it the whole or a part."""
    record = RunRecord.start("predict", plan, model)
    scores = OutputArray(
        plan.source.axes,
        plan.sizes,
        plan.card.architecture.out_channels,
        np.float32,
        output,
        planewise=plan.planewise,
    )
    try:
        for block in run_plan(plan, record.fallbacks):
            put = scores.add if plan.blended else scores.write
            put(block.time, block.region, block.scores)
            yield Progress(block.done, block.total, "predicting", "predicting")
        finished = record.finish()
        array = scores.finish(finished)
    except BaseException:
        scores.discard()
        raise
    source = plan.source
    return Prediction(array, score_axes(source.axes), source.pixel_size, plan.card, finished)


def refuse_client(client: Any) -> None:
    """Raise `SettingsError` where a Dask client is given."""
    if client is not None:
        raise SettingsError(
            "client= (running on a Dask cluster) is not available in this version",
            "leave it out to run here",
            parameter="client",
        )
