"""The one way from an image to scores and labels, and `segment`, which goes it."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from napari_unet.axes import label_axes, score_axes
from napari_unet.errors import InputError
from napari_unet.image.roi import Roi
from napari_unet.image.source import open_image
from napari_unet.inference.frames import (
    FrameWriter,
    label_dtype,
    refuse_regression,
)
from napari_unet.inference.options import RunOptions, show_keywords
from napari_unet.inference.output import OutputArray
from napari_unet.inference.plan import PredictionPlan, plan_prediction
from napari_unet.inference.results import Prediction, Segmentation
from napari_unet.inference.roi import RoiPlace, RoiPrediction, cut_segmentation
from napari_unet.inference.run_record import RunRecord
from napari_unet.inference.single_frame import iter_tiles
from napari_unet.network.model import Model
from napari_unet.progress import Progress, drain
from napari_unet.settings import SegmentOverrides, SegmentSettings, resolve

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class RunResult:
    """What a run gives.

    Attributes
    ----------
    labels : Segmentation or None
        None where no labels were asked for.
    scores : RoiPrediction or None
        None where the scores were not kept.
    """

    labels: Segmentation | None
    scores: RoiPrediction | None


def iter_run(
    image: Any,
    model: Model | str | Path,
    *,
    roi: Roi | None = None,
    labels: bool = True,
    scores: bool | str | Path = False,
    axes: str | None = None,
    channels: Sequence[int] | None = None,
    pixel_size: float | Sequence[float | None] | None = None,
    settings: SegmentSettings | None = None,
    output: str | Path | None = None,
    client: Any = None,
    **overrides: Unpack[SegmentOverrides],
) -> Generator[Progress, None, RunResult]:
    """Run a model over an image: plan, tiles, scores, labels.

    The Python API, the command line and the docks all come through here.

    Parameters
    ----------
    image : array-like, list of array-like, or ImageSource
        As for `segment`; an opened image is used as it is.
    model : Model, str or Path
        A model, the name of one, or its file.
    roi : Roi, optional
        The part of the image; None: all of it. A part is predicted with a margin, from the
        intensities of the whole image and on its grid of tiles, so that its scores are those of
        the whole and objects at its edge are decoded whole.
    labels : bool
        Whether the scores are decoded.
    scores : bool, str or Path
        Whether the scores are kept, in memory or as a zarr array at a path or URL.
    axes, channels, pixel_size
        How the image is to be read; see `segment`.
    settings : SegmentSettings, optional
        Settings; ``overrides`` are single fields of it.
    output : str or Path, optional
        Path or URL of a zarr array for the labels of a whole image.
    client : distributed.Client, optional
        A Dask cluster on which the image is run block by block, with equal labels; None: here.

    Yields
    ------
    Progress
        Per tile. Closing the generator cancels the run and leaves no output behind.

    Returns
    -------
    RunResult

    Raises
    ------
    UNetError
        If the image, the model, the part, a setting or the output cannot be used.
    """
    if client is not None:
        from napari_unet.inference.cluster import check_client

        check_client(client)
    loaded = Model.load(model)
    config = loaded.card.architecture
    if labels:
        refuse_regression(loaded.card)
    wanted = resolve(SegmentSettings, settings, overrides)
    source = open_image(
        image,
        axes=axes,
        channels=channels,
        pixel_size=pixel_size,
        ndim=config.ndim,
        in_channels=config.in_channels,
        takes_colours=loaded.card.takes_colours,
    )
    place = None
    if roi is not None or scores is not False:
        place = RoiPlace.of(roi or Roi(), source, loaded.card, wanted.object_diameter)
    if output is not None and roi is not None:
        raise InputError(
            "Labels of a part of an image are not written to ⟨output⟩",
            "leave it out",
            parameter="output",
            value=output,
        )
    yield Progress(0, 1, "reading the intensities", "reading")
    plan = plan_prediction(source, loaded, wanted, part=None if place is None else place.wide)
    record = RunRecord.start("segment" if labels else "predict", plan, loaded)
    record.content.update({} if place is None else place.as_record())
    with ExitStack() as stack:  # removes what is incomplete where the run does not end well
        kept = target = writer = None
        in_memory = output is None, scores is True
        if client is not None and True in (labels and in_memory[0], in_memory[1]):
            from napari_unet.inference.cluster_run import temporary_output

            folder = temporary_output(stack)  # workers write files
            output = folder / "labels.zarr" if output is None else output
            scores = folder / "scores.zarr" if scores is True else scores
        if scores is not False:
            channels_out = plan.card.architecture.out_channels
            path = None if scores is True else scores
            kept = _open_output(plan, channels_out, np.float32, path)
            stack.callback(kept.discard)
        if labels:
            target = _open_output(plan, None, label_dtype(plan.card), output)
            stack.callback(target.discard)
            sizes = plan.spatial_sizes
            writer = FrameWriter(
                target,
                sizes,
                plan.card,
                plan.settings,
                constant=plan.constant,
                left_out=plan.limits.left_out,
                doubt=str(record.content["domain_doubt"]),
            )
        if client is None:
            yield from iter_tiles(plan, record.fallbacks, kept, writer)
        else:
            from napari_unet.inference.cluster import count_threads
            from napari_unet.inference.cluster_run import iter_blocks_on_cluster

            yield from iter_blocks_on_cluster(
                client, plan, loaded, record.fallbacks, kept, target, writer
            )
            if not isinstance(plan.settings.threads, int):
                record.content["threads"] = count_threads(client, record.content["threads"])
        prediction = segmentation = None
        if kept is not None and place is not None:
            finished = {**record.finish(), "operation": "predict"}
            axes = score_axes(source.axes)
            array = kept.finish(finished)
            array = array[...] if in_memory[1] and client is not None else array
            found = Prediction(array, axes, source.pixel_size, plan.card, finished)
            prediction = RoiPrediction(found, place)
        if target is not None and writer is not None:
            finished = record.finish(**writer.describe_result())
            array, axes = target.finish(finished), label_axes(source.axes)
            array = array[...] if in_memory[0] and client is not None else array
            segmentation = Segmentation(array, axes, source.pixel_size, plan.card, finished)
            if place is not None:
                segmentation = cut_segmentation(segmentation, place)
    return RunResult(segmentation, prediction)


def _open_output(
    plan: PredictionPlan, channels: int | None, dtype: Any, output: str | Path | None
) -> OutputArray:
    axes, sizes = plan.source.axes, plan.sizes
    return OutputArray(axes, sizes, channels, dtype, output, planewise=plan.planewise)


@show_keywords(iter_run, RunOptions)
def segment(image: Any, model: Model | str | Path, **overrides: Unpack[RunOptions]) -> Any:
    """Segment an image of any size.

    The result is the same whether it is written to ``output`` or kept in memory, and whether
    the scores of a plane (2D model) or of a time point (3D model) fit in memory or not: those
    that do not are put on disk meanwhile, and decoded block by block; only where a map is level
    over more than 16 pixels can borders then differ, and the record says ``in_blocks``. An empty
    result is said to be empty through the logger ``napari_unet.inference.segmentation``, at level
    WARNING.

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
        Single fields of `SegmentSettings`, such as ``threshold=0.6``.

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
    >>> y, x = np.mgrid[:64, :64]
    >>> disk = ((y - 32) ** 2 + (x - 30) ** 2 < 12**2).astype(np.float32)
    >>> int(segment(disk, "nuclei").max())
    1
    """
    result = drain(iter_segmentation(image, model, **overrides))
    if result.record["empty"]:
        logger.warning("%s", result.record["message"])
    return result.labels


@show_keywords(iter_run, RunOptions)
def iter_segment(
    image: Any, model: Model | str | Path, **overrides: Unpack[RunOptions]
) -> Generator[Progress, None, Any]:
    """`segment` as a generator, with the same parameters.

    Yields
    ------
    Progress
        Per tile. Closing the generator cancels the run within one tile and leaves no output
        behind.

    Returns
    -------
    array
        The labels, as of `segment`.

    Raises
    ------
    UNetError
        If the image, the model, a setting or the output cannot be used.

    Examples
    --------
    >>> job = iter_segment(np.zeros((40, 100), np.uint8), "nuclei", tile=50)
    >>> [(step.done, step.total) for step in job]
    [(0, 1), (1, 2), (2, 2)]
    """
    result = yield from iter_segmentation(image, model, **overrides)
    return result.labels


def iter_segmentation(
    image: Any, model: Model | str | Path, **overrides: Unpack[RunOptions]
) -> Generator[Progress, None, Segmentation]:
    """Like `iter_segment`, but returns a `Segmentation`: labels, axes, card and record."""
    result = yield from iter_run(image, model, **overrides)
    assert result.labels is not None
    return result.labels
