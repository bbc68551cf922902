"""From an image, or its scores, to labels."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet import instances
from napari_unet.axes import label_axes
from napari_unet.card import Decoding, ModelCard
from napari_unet.errors import ModelError
from napari_unet.image import ImageSource, PixelSize, open_image
from napari_unet.linking import PlaneLinker
from napari_unet.model import Model
from napari_unet.output import OutputArray
from napari_unet.prediction import Prediction, refuse_client
from napari_unet.prediction_plan import PredictionPlan, plan_prediction
from napari_unet.progress import Progress, drain
from napari_unet.record import RunRecord
from napari_unet.settings import SegmentSettings, fill_decoding, resolve
from napari_unet.tile_prediction import run_plan

DECODING_FIELDS = {*Decoding.model_fields, "volume_mode", "link_iou"}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Segmentation:
    """Labels and how they came about.

    Attributes
    ----------
    labels : array
        int32 (instances) or the card's class values as uint8 or uint16 (semantic); the
        axes of the image less C. NumPy, or zarr where ``output`` was given.
    axes : str
        Axes of ``labels``.
    pixel_size : tuple of float or None
        Micrometres per spatial axis (ZYX order); None where unknown.
    card : ModelCard
        Of the model.
    record : dict
        The run record; ``record["message"]`` says the result in words.
    """

    labels: Any
    axes: str
    pixel_size: PixelSize
    card: ModelCard
    record: dict[str, Any]


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

    The parameters are those of `napari_unet.predict`. With ``output``, classes are written tile
    by tile; objects are decoded in memory, a plane (2D model) or a time point (3D model) at a
    time. An empty result is said to be empty
    through the logger ``napari_unet.segmentation``, at level WARNING.

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
    _refuse_regression(card)
    wanted = resolve(SegmentSettings, settings, overrides)
    yield Progress(0, 1, "reading the intensities")
    plan = plan_prediction(
        image, loaded, wanted, axes=axes, channels=channels, pixel_size=pixel_size
    )
    record = RunRecord.start("segment", plan, loaded)
    labels = OutputArray(plan.source, None, label_dtype(card), output, planewise=plan.planewise)
    summary = _Summary(card, constant=plan.constant)
    try:
        if card.task == "semantic" and not plan.blended:
            values = _class_values(card)
            for block in run_plan(plan, record.fallbacks):
                summary.see(block.scores)
                labels.write(block.time, block.region, values[block.scores.argmax(0)])
                yield Progress(block.done, block.total, "segmenting")
        else:
            writer = _FrameWriter(labels, plan.source, card, plan.settings, summary)
            for done, time, plane, scores in _frames(plan, card, record.fallbacks):
                if scores is not None:
                    writer.write(time, plane, scores)
                yield Progress(done, plan.total, "segmenting")
            summary.objects = writer.objects
        finished = record.finish(**summary.as_dict())
        array = labels.finish(finished)
    except BaseException:
        labels.discard()
        raise
    source = plan.source
    return Segmentation(array, label_axes(source.axes), source.pixel_size, card, finished)


def decode(
    prediction: Prediction, *, settings: SegmentSettings | None = None, **overrides: Any
) -> NDArray[Any]:
    """Labels from scores, without the network: what `segment` gives with the same settings.

    Decoding settings that are not given are those of the prediction's record.

    Parameters
    ----------
    prediction : Prediction
        Of an instance or semantic model.
    settings : SegmentSettings, optional
        Its decoding fields are used (thresholds, sizes, ``volume_mode``, ``link_iou``);
        ``overrides`` are single fields of it.

    Raises
    ------
    ModelError
        If the prediction is of a regression model: its scores are the result.
    """
    card = prediction.card
    _refuse_regression(card)
    given = resolve(SegmentSettings, settings, overrides)
    recorded = prediction.record.get("settings", {})
    kept = {n: recorded[n] for n in DECODING_FIELDS & set(recorded) - given.model_fields_set}
    wanted = fill_decoding(resolve(SegmentSettings, given, kept), card.decoding)
    channels = tuple(range(card.architecture.out_channels))
    source = open_image(
        prediction.scores,
        axes=prediction.axes,
        channels=channels,
        ndim=2,
        in_channels=len(channels),
    )
    labels = OutputArray(source, None, label_dtype(card), None)
    summary = _Summary(card)
    writer = _FrameWriter(labels, source, card, wanted, summary)
    planewise = card.architecture.ndim == 2 and "Z" in source.axes
    whole = tuple(slice(0, n) for n in source.spatial_shape)
    for time in range(source.times):
        for plane in range(source.size("Z")) if planewise else (None,):
            region = whole if plane is None else (slice(plane, plane + 1), *whole[1:])
            writer.write(time, plane, source.read(time, region))
    summary.objects = writer.objects
    said = summary.as_dict()
    if said["empty"]:
        logger.warning("%s", said["message"])
    result: NDArray[Any] = labels.finish({})
    return result


def label_dtype(card: ModelCard) -> np.dtype[Any]:
    """The dtype of a model's labels."""
    if card.task == "instance":
        return np.dtype(np.int32)
    largest = max(c.value for c in card.classes)
    return np.dtype(np.uint8 if largest < 256 else np.uint16)


class _Summary:
    """What a result holds, gathered while it is made."""

    def __init__(self, card: ModelCard, *, constant: bool = False) -> None:
        self.card = card
        self.constant = constant
        self.objects: int | None = None
        self.low = [np.inf] * card.architecture.out_channels
        self.high = [-np.inf] * card.architecture.out_channels

    def see(self, scores: NDArray[Any]) -> None:
        axes = tuple(range(1, scores.ndim))
        self.low = np.minimum(self.low, scores.min(axes)).tolist()
        self.high = np.maximum(self.high, scores.max(axes)).tolist()

    def as_dict(self) -> dict[str, Any]:
        ranges = [[round(a, 4), round(b, 4)] for a, b in zip(self.low, self.high, strict=True)]
        out: dict[str, Any] = {"score_range": ranges, "empty": False}
        if self.card.task == "instance":
            low, high = ranges[0]
            out["objects"] = self.objects or 0
            out["empty"] = not self.objects
            count = f"{self.objects} object" + ("" if self.objects == 1 else "s")
            out["message"] = (
                count
                if self.objects
                else "No objects were found: the image is constant, so there is nothing to see; "
                "check the channel and the normalisation."
                if self.constant
                else "No objects were found: the foreground probability lies between "
                f"{low:.3g} and {high:.3g}; lower threshold, or check the channel, the axes "
                "and the object diameter."
            )
        else:
            out["message"] = f"{len(self.card.classes)} classes"
        return out


class _FrameWriter:
    """Decodes frames (a plane or a volume of one time point) in order, and writes them."""

    def __init__(
        self,
        labels: OutputArray,
        source: ImageSource,
        card: ModelCard,
        settings: SegmentSettings,
        summary: _Summary,
    ) -> None:
        if card.task == "instance":
            instances.check_representation(card.instances)
        self.objects = 0
        self._labels, self._source, self._card = labels, source, card
        self._summary = summary
        fields = {name: getattr(settings, name) for name in Decoding.model_fields}
        self._decoding = Decoding.model_validate(fields)
        linked = settings.volume_mode != "slices"
        self._link_iou = settings.link_iou if linked else None
        self._linker: PlaneLinker | None = None

    def write(self, time: int, plane: int | None, scores: NDArray[Any]) -> None:
        """Decode and write the scores (C, *spatial) of a frame."""
        self._summary.see(scores)
        region = tuple(slice(0, n) for n in self._source.spatial_shape)
        if plane is not None:
            region = (slice(plane, plane + 1), *region[1:])
        if self._card.task == "semantic":
            self._labels.write(time, region, _class_values(self._card)[scores.argmax(0)])
            return
        if plane is None:
            found = instances.decode(scores, self._decoding)
            found = np.where(found > 0, found + self.objects, 0)
            self.objects = max(self.objects, int(found.max(initial=0)))
        else:
            found = instances.decode(scores[:, 0], self._decoding)
            if plane == 0 or self._linker is None:
                self._linker = PlaneLinker(self._link_iou, self.objects)
            found = self._linker.link(found)[None]
            self.objects = self._linker.count
        self._labels.write(time, region, found.astype(np.int32))


def _frames(
    plan: PredictionPlan, card: ModelCard, fallbacks: list[str]
) -> Generator[tuple[int, int, int | None, NDArray[np.float32] | None], None, None]:
    """Complete frames as (tiles done, time, plane, scores); scores None while incomplete."""
    shape = plan.source.spatial_shape
    shape = (1, *shape[1:]) if plan.planewise else shape
    channels = card.architecture.out_channels
    scores = np.zeros((channels, *shape), np.float32)
    for block in run_plan(plan, fallbacks):
        plane = block.region[0].start if plan.planewise else None
        region = block.region if plane is None else (slice(0, 1), *block.region[1:])
        place = (slice(None), *region)
        if plan.blended:
            scores[place] += block.scores
        else:
            scores[place] = block.scores
        complete = block.last_of_frame
        yield block.done, block.time, plane, scores if complete else None
        if complete:
            scores[:] = 0


def _class_values(card: ModelCard) -> NDArray[Any]:
    return np.array([c.value for c in card.classes], label_dtype(card))


def _refuse_regression(card: ModelCard) -> None:
    if card.task == "regression":
        raise ModelError(
            f"The model {card.name!r} predicts values, not labels; use predict instead of segment."
        )
