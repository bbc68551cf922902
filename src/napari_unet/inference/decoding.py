"""From scores that were kept to labels."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Unpack

from numpy.typing import NDArray

from napari_unet.image.source import ImageSource, open_image
from napari_unet.inference.frames import FrameWriter, frame_reader, label_dtype, refuse_regression
from napari_unet.inference.output import OutputArray
from napari_unet.inference.results import Prediction, Segmentation
from napari_unet.progress import Progress, drain
from napari_unet.settings import (
    DECODING_FIELDS,
    SegmentOverrides,
    SegmentSettings,
    fill_decoding,
    resolve,
)

logger = logging.getLogger(__name__)


def decode(
    prediction: Prediction,
    *,
    settings: SegmentSettings | None = None,
    output: str | Path | None = None,
    **overrides: Unpack[SegmentOverrides],
) -> Any:
    """Labels from scores, without the network: what `segment` gives with the same settings.

    Decoding settings that are not given are those of the prediction's record.

    Parameters
    ----------
    prediction : Prediction
        Of an instance or semantic model.
    settings : SegmentSettings, optional
        Its decoding fields are used (thresholds, sizes, ``volume_mode``, ``link_overlap``);
        ``overrides`` are single fields of it.
    output : str or Path, optional
        Path or URL of a zarr array for the labels, instead of memory. Scores that are too
        large for memory, as zarr, are read block by block; the labels are the same.
    **overrides
        Single fields of `SegmentSettings`, such as ``threshold=0.6``.

    Returns
    -------
    array
        Labels with the axes of the image less C, as of `segment`. NumPy, or zarr where
        ``output`` is given.

    Raises
    ------
    ModelError
        If the prediction is of a regression model: its scores are the result.
    SettingsError, FileError
        If a setting or the output cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_unet.inference.prediction import predict
    >>> y, x = np.mgrid[:64, :64]
    >>> disk = ((y - 32) ** 2 + (x - 30) ** 2 < 12**2).astype(np.float32)
    >>> prediction = predict(disk, "nuclei")
    >>> [int(decode(prediction, min_size=size).max()) for size in (10, 1000)]
    [1, 0]
    """
    found = drain(iter_decode(prediction, settings=settings, output=output, **overrides))
    if found.record["empty"]:
        logger.warning("%s", found.record["message"])
    return found.labels


def iter_decode(
    prediction: Prediction,
    *,
    settings: SegmentSettings | None = None,
    output: str | Path | None = None,
    **overrides: Unpack[SegmentOverrides],
) -> Generator[Progress, None, Segmentation]:
    """`decode` as a generator, with the same parameters.

    Yields
    ------
    Progress
        Per plane (2D model) or time point (3D model). Closing the generator cancels, and leaves
        no output behind.

    Returns
    -------
    Segmentation
        Labels, axes, card and record.

    Raises
    ------
    ModelError, SettingsError, FileError
        As `decode`.
    """
    start = time.perf_counter()
    card = prediction.card
    wanted = decoding_settings(prediction, settings, **overrides)
    source = score_source(prediction)
    constant = bool(prediction.record.get("constant"))
    planewise = card.architecture.ndim == 2 and "Z" in source.axes
    labels = OutputArray(
        prediction.axes,
        {axis: source.size(axis) for axis in "TZYX"},
        None,
        label_dtype(card),
        output,
        planewise=planewise,
    )
    planes = range(source.size("Z")) if planewise else (None,)
    total = source.times * len(planes)
    try:
        writer = FrameWriter(
            labels,
            source.spatial_shape,
            card,
            wanted,
            constant=constant,
            left_out=prediction.record.get("left_out"),
            doubt=prediction.record.get("domain_doubt", ""),
        )
        for point in range(source.times):
            for done, plane in enumerate(planes, point * len(planes)):
                yield Progress(done, total, "finding objects", "finding")
                yield from writer.iter_write(point, plane, frame_reader(source, point, plane))
        before = prediction.record
        decoded = wanted.model_dump(include=DECODING_FIELDS)
        record = {
            **before,
            "operation": "segment",
            "settings": {**before.get("settings", {}), **decoded},
            **writer.describe_result(),
            "seconds": round(before.get("seconds", 0) + time.perf_counter() - start, 3),
        }
        array = labels.finish(record)
    except BaseException:
        labels.discard()
        raise
    return Segmentation(array, labels.axes, prediction.pixel_size, card, record)


def decoding_settings(
    prediction: Prediction,
    settings: SegmentSettings | None = None,
    **overrides: Unpack[SegmentOverrides],
) -> SegmentSettings:
    """What a prediction is decoded with: what is given, else its record, else its card.

    Raises
    ------
    ModelError
        If the prediction is of a regression model.
    """
    refuse_regression(prediction.card)
    given = resolve(SegmentSettings, settings, overrides)
    recorded = prediction.record.get("settings", {})
    fields = DECODING_FIELDS & set(SegmentSettings.model_fields) & set(recorded)
    kept = {n: recorded[n] for n in fields - given.model_fields_set}
    return fill_decoding(resolve(SegmentSettings, given, kept), prediction.card.decoding)


def score_source(prediction: Prediction) -> ImageSource:
    """The scores of a prediction, to be read part by part."""
    channels = tuple(range(prediction.card.architecture.out_channels))
    return open_image(
        prediction.scores,
        axes=prediction.axes,
        channels=channels,
        ndim=2,
        in_channels=len(channels),
    )


def iter_frames(prediction: Prediction) -> Iterator[NDArray[Any]]:
    """The scores (C, [Z,] Y, X) of each plane (2D model) or time point (3D model), in order."""
    source = score_source(prediction)
    planewise = prediction.card.architecture.ndim == 2 and "Z" in source.axes
    shape = source.spatial_shape[1:] if planewise else source.spatial_shape
    for point in range(source.times):
        for plane in range(source.size("Z")) if planewise else (None,):
            yield frame_reader(source, point, plane)(tuple(slice(0, n) for n in shape))
