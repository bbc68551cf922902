"""From an image to labels."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from napari_unet.axes import label_axes
from napari_unet.inference.decoding import (
    FrameWriter,
    Segmentation,
    class_values,
    label_dtype,
    refuse_regression,
)
from napari_unet.inference.output import OutputArray
from napari_unet.inference.plan import PredictionPlan, plan_prediction
from napari_unet.inference.prediction import refuse_client
from napari_unet.inference.run_record import RunRecord
from napari_unet.inference.score_buffer import ScoreBuffer
from napari_unet.inference.summary import ResultSummary
from napari_unet.inference.tiles import run_plan
from napari_unet.network.model import Model
from napari_unet.progress import Progress, drain
from napari_unet.settings import SegmentSettings, resolve

logger = logging.getLogger(__name__)


def segment(
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
) -> Any:
    """Segment an image of any size.

    The parameters are those of `napari_unet.predict`. The result is the same whether it is
    written to ``output`` or kept in memory, and whether the scores of a plane (2D model) or of a
    time point (3D model) fit in memory or not: those that do not are put on disk meanwhile, and
    decoded block by block; only where a map is level over more than 16 pixels can borders then
    differ, and the record says ``in_blocks``. An empty result is said to be empty through the
    logger ``napari_unet.inference.segmentation``, at level WARNING.

    Returns
    -------
    array
        Labels with the axes of the image less C. Instances: int32, unique over the whole
        array, each plane or time point with its own unless they are linked. Classes: the
        values in the card, uint8 or uint16. NumPy, or zarr where ``output`` is given.

    Raises
    ------
    UNetError
        If the image, the model, a setting or the output cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> y, x = np.mgrid[:64, :64]
    >>> disk = ((y - 32) ** 2 + (x - 30) ** 2 < 12**2).astype(np.float32)
    >>> int(segment(disk, "nuclei").max())
    1
    """
    result = drain(
        iter_segmentation(
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
    if result.record["empty"]:
        logger.warning("%s", result.record["message"])
    return result.labels


def iter_segment(
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
) -> Generator[Progress, None, Any]:
    """`segment` as a generator: yields `Progress` per tile, returns the labels.

    Closing it cancels the run within one tile and leaves no output behind.
    """
    result = yield from iter_segmentation(
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
    return result.labels


def iter_segmentation(
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
) -> Generator[Progress, None, Segmentation]:
    """Like `iter_segment`, but returns a `Segmentation`: labels, axes, card and record."""
    refuse_client(client)
    loaded = Model.load(model)
    card = loaded.card
    refuse_regression(card)
    wanted = resolve(SegmentSettings, settings, overrides)
    yield Progress(0, 1, "reading the intensities", "reading")
    plan = plan_prediction(
        image, loaded, wanted, axes=axes, channels=channels, pixel_size=pixel_size
    )
    record = RunRecord.start("segment", plan, loaded)
    labels = OutputArray(
        plan.source.axes, plan.sizes, None, label_dtype(card), output, planewise=plan.planewise
    )
    summary = ResultSummary(card, constant=plan.constant)
    in_blocks = False
    try:
        if card.task == "semantic" and not plan.blended:
            values = class_values(card)
            for block in run_plan(plan, record.fallbacks):
                summary.see(block.scores)
                largest = block.scores.argmax(0)
                summary.see_classes(largest)
                labels.write(block.time, block.region, values[largest])
                yield Progress(block.done, block.total, "segmenting", "segmenting")
        else:
            writer = FrameWriter(labels, _shape(plan), card, plan.settings, summary)
            yield from _iter_frames(plan, writer, record.fallbacks, labels.folder)
            summary.objects = writer.objects
            in_blocks = writer.in_blocks
        finished = record.finish(**summary.as_dict(), in_blocks=in_blocks)
        array = labels.finish(finished)
    except BaseException:
        labels.discard()
        raise
    source = plan.source
    return Segmentation(array, label_axes(source.axes), source.pixel_size, card, finished)


def _iter_frames(
    plan: PredictionPlan, writer: FrameWriter, fallbacks: list[str], folder: Path | None
) -> Generator[Progress, None, None]:
    """Gather the tiles of each plane or time point, and decode it when it is complete."""
    shape = _shape(plan)
    shape = shape[1:] if plan.planewise else shape
    with closing(ScoreBuffer(plan.card.architecture.out_channels, shape, folder)) as frame:
        for block in run_plan(plan, fallbacks):
            plane = block.region[0].start if plan.planewise else None
            scores = block.scores if plane is None else block.scores[:, 0]
            put = frame.add if plan.blended else frame.write
            put(block.region[-len(shape) :], scores)
            if block.last_of_frame:
                yield from writer.iter_write(block.time, plane, frame.read)
                if plan.blended:
                    frame.clear()
            yield Progress(block.done, plan.total, "segmenting", "segmenting")


def _shape(plan: PredictionPlan) -> tuple[int, ...]:
    return tuple(plan.sizes[axis] for axis in plan.source.spatial)
