"""From scores to labels."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet import instances
from napari_unet.card import Decoding, ModelCard
from napari_unet.errors import ModelError
from napari_unet.image import ImageSource, PixelSize, open_image
from napari_unet.linking import PlaneLinker
from napari_unet.output import OutputArray
from napari_unet.prediction import Prediction
from napari_unet.progress import Progress, drain
from napari_unet.settings import DECODING_FIELDS, SegmentSettings, fill_decoding, resolve

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
        Its decoding fields are used (thresholds, sizes, ``volume_mode``, ``link_overlap``);
        ``overrides`` are single fields of it.

    Raises
    ------
    ModelError
        If the prediction is of a regression model: its scores are the result.
    """
    found = drain(iter_decode(prediction, settings=settings, **overrides))
    if found.record["empty"]:
        logger.warning("%s", found.record["message"])
    labels: NDArray[Any] = found.labels
    return labels


def iter_decode(
    prediction: Prediction, *, settings: SegmentSettings | None = None, **overrides: Any
) -> Generator[Progress, None, Segmentation]:
    """`decode` as a generator: yields `Progress` per frame, returns a `Segmentation`."""
    start = time.perf_counter()
    card = prediction.card
    wanted = decoding_settings(prediction, settings, **overrides)
    source = score_source(prediction)
    labels = OutputArray(
        prediction.axes, {a: source.size(a) for a in "TZYX"}, None, label_dtype(card), None
    )
    summary = Summary(card, constant=bool(prediction.record.get("constant")))
    writer = FrameWriter(labels, source.spatial_shape, card, wanted, summary)
    planes = range(source.size("Z")) if writer.planewise else (None,)
    total = source.times * len(planes)
    for point in range(source.times):
        for done, plane in enumerate(planes, point * len(planes)):
            yield Progress(done, total, "finding objects")
            writer.write(point, plane, read_frame(source, point, plane))
    summary.objects = writer.objects
    before = prediction.record
    record = {
        **before,
        "operation": "segment",
        "settings": {**before.get("settings", {}), **wanted.model_dump(include=DECODING_FIELDS)},
        **summary.as_dict(),
        "seconds": round(before.get("seconds", 0) + time.perf_counter() - start, 3),
    }
    return Segmentation(labels.finish(record), labels.axes, prediction.pixel_size, card, record)


def decoding_settings(
    prediction: Prediction, settings: SegmentSettings | None = None, **overrides: Any
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


def read_frame(source: ImageSource, time: int, plane: int | None) -> NDArray[Any]:
    """The scores (C, *spatial) of a time point, or of one plane of it, which keeps its Z."""
    region = tuple(slice(0, n) for n in source.spatial_shape)
    if plane is not None:
        region = (slice(plane, plane + 1), *region[1:])
    return source.read(time, region)


def label_dtype(card: ModelCard) -> np.dtype[Any]:
    """The dtype of a model's labels."""
    if card.task == "instance":
        return np.dtype(np.int32)
    largest = max(c.value for c in card.classes)
    return np.dtype(np.uint8 if largest < 256 else np.uint16)


class Summary:
    """What a result holds, gathered while it is made."""

    def __init__(self, card: ModelCard, *, constant: bool = False) -> None:
        self.card = card
        self.constant = constant
        self.objects: int | None = None
        self.pixels = np.zeros(len(card.classes), np.int64)  # by class
        self.low = [np.inf] * card.architecture.out_channels
        self.high = [-np.inf] * card.architecture.out_channels

    def see(self, scores: NDArray[Any]) -> None:
        """Take in some scores (C, *spatial)."""
        axes = tuple(range(1, scores.ndim))
        self.low = np.minimum(self.low, scores.min(axes)).tolist()
        self.high = np.maximum(self.high, scores.max(axes)).tolist()

    def see_classes(self, channels: NDArray[Any]) -> None:
        """Take in which channel of the scores is the largest at some pixels."""
        self.pixels += np.bincount(channels.ravel(), minlength=self.pixels.size)

    def as_dict(self) -> dict[str, Any]:
        """Score range per channel, whether the result is empty, and a message."""
        ranges = [[round(a, 4), round(b, 4)] for a, b in zip(self.low, self.high, strict=True)]
        out: dict[str, Any] = {"score_range": ranges, "empty": False}
        if self.card.task == "instance":
            low, high = ranges[0]
            out["objects"] = self.objects or 0
            out["empty"] = not self.objects
            out["message"] = (
                count_in_words(self.objects)
                if self.objects
                else "No objects were found: the image is constant, so there is nothing to see; "
                "check the channel and the normalisation."
                if self.constant
                else "No objects were found: the foreground probability lies between "
                f"{low:.3g} and {high:.3g}; lower threshold, or check the channel, the axes "
                "and the object diameter."
            )
        else:
            out["pixels"] = {
                c.name: int(n) for c, n in zip(self.card.classes, self.pixels, strict=True)
            }
            out["empty"] = self.pixels.size > 1 and not self.pixels[1:].any()
            out["message"] = self._classes_in_words(ranges)
        return out

    def _classes_in_words(self, ranges: list[list[float]]) -> str:
        first, *others = self.card.classes
        if others and not self.pixels[1:].any():
            best, name = max(
                (high, c.name) for (_, high), c in zip(ranges[1:], others, strict=True)
            )
            return (
                f"Only {first.name} was found: the highest probability of another class is "
                f"{best:.3g} ({name}); check the channel, the axes and the object diameter."
            )
        total = max(int(self.pixels.sum()), 1)
        shares = zip(self.card.classes, self.pixels, strict=True)
        return ", ".join(f"{c.name} {n / total:.1%}" for c, n in shares)


def count_in_words(objects: int) -> str:
    """How many objects there are.

    >>> count_in_words(1), count_in_words(12)
    ('1 object', '12 objects')
    """
    return f"{objects} object" + ("" if objects == 1 else "s")


class FrameWriter:
    """Decodes frames (a plane or a volume of one time point) in order, and writes them."""

    def __init__(
        self,
        labels: OutputArray,
        shape: tuple[int, ...],
        card: ModelCard,
        settings: SegmentSettings,
        summary: Summary,
    ) -> None:
        if card.task == "instance":
            instances.check_representation(card.instances)
        self.objects = 0
        self.planewise = card.architecture.ndim == 2 and len(shape) == 3
        self._labels, self._shape, self._card = labels, shape, card
        self._summary = summary
        fields = {name: getattr(settings, name) for name in Decoding.model_fields}
        self._decoding = Decoding.model_validate(fields)
        linked = settings.volume_mode != "slices"
        self._overlap = settings.link_overlap if linked else None
        self._linker: PlaneLinker | None = None

    def write(self, time: int, plane: int | None, scores: NDArray[Any]) -> None:
        """Decode and write the scores (C, *spatial) of a frame."""
        self._summary.see(scores)
        region = tuple(slice(0, n) for n in self._shape)
        if plane is not None:
            region = (slice(plane, plane + 1), *region[1:])
        if self._card.task == "semantic":
            channels = scores.argmax(0)
            self._summary.see_classes(channels)
            self._labels.write(time, region, class_values(self._card)[channels])
            return
        if plane is None:
            found = instances.decode(scores, self._decoding)
            found = np.where(found > 0, found + self.objects, 0)
            self.objects = max(self.objects, int(found.max(initial=0)))
        else:
            found = instances.decode(scores[:, 0], self._decoding)
            if plane == 0 or self._linker is None:
                self._linker = PlaneLinker(self._overlap, self.objects)
            found = self._linker.link(found)[None]
        self._labels.write(time, region, found.astype(np.int32))
        if plane is not None and plane == self._shape[0] - 1:
            self._finish_stack(time)

    def _finish_stack(self, time: int) -> None:
        """Number the objects of a stack whose planes are all there."""
        assert self._linker is not None
        self.objects = self._linker.count
        if self._overlap is None:
            return
        final = self._linker.finish()
        self.objects = final.count
        for z in range(self._shape[0]) if final.changes else ():
            region = (slice(z, z + 1), *(slice(0, n) for n in self._shape[1:]))
            plane = self._labels.read(time, region)
            self._labels.write(time, region, final.renumber(z, plane))


def class_values(card: ModelCard) -> NDArray[Any]:
    """Label value of each output channel."""
    return np.array([c.value for c in card.classes], label_dtype(card))


def refuse_regression(card: ModelCard) -> None:
    """Raise `ModelError` for a model whose scores are the result."""
    if card.task == "regression":
        raise ModelError(
            f"The model {card.name!r} predicts values, not labels; use predict instead of segment."
        )
