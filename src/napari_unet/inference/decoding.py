"""From scores to labels."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.card import ModelCard
from napari_unet.errors import ModelError
from napari_unet.image.source import ImageSource, PixelSize, open_image
from napari_unet.inference.output import OutputArray
from napari_unet.inference.prediction import Prediction
from napari_unet.inference.score_buffer import check_scores, is_large
from napari_unet.inference.summary import ResultSummary
from napari_unet.instances import maps as instances
from napari_unet.instances.linking import PlaneLinker
from napari_unet.progress import Progress, drain
from napari_unet.settings import (
    DECODING_FIELDS,
    SegmentSettings,
    decoding_of,
    fill_decoding,
    resolve,
)
from napari_unet.tiling import Region, TilePlan

BLOCK = {2: (2048, 2048), 3: (64, 512, 512)}
"""Pixels of a frame that are decoded at once where it is large; multiples of the chunks on disk."""

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
    prediction: Prediction,
    *,
    settings: SegmentSettings | None = None,
    output: str | Path | None = None,
    **overrides: Any,
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

    Returns
    -------
    array
        As of `segment`.

    Raises
    ------
    ModelError
        If the prediction is of a regression model: its scores are the result.
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
    **overrides: Any,
) -> Generator[Progress, None, Segmentation]:
    """`decode` as a generator: yields `Progress` per frame, returns a `Segmentation`."""
    start = time.perf_counter()
    card = prediction.card
    wanted = decoding_settings(prediction, settings, **overrides)
    source = score_source(prediction)
    summary = ResultSummary(card, constant=bool(prediction.record.get("constant")))
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
        writer = FrameWriter(labels, source.spatial_shape, card, wanted, summary)
        for point in range(source.times):
            for done, plane in enumerate(planes, point * len(planes)):
                yield Progress(done, total, "finding objects", "finding")
                yield from writer.iter_write(point, plane, frame_reader(source, point, plane))
        summary.objects = writer.objects
        before = prediction.record
        decoded = wanted.model_dump(include=DECODING_FIELDS)
        record = {
            **before,
            "operation": "segment",
            "settings": {**before.get("settings", {}), **decoded},
            **summary.as_dict(),
            "in_blocks": writer.in_blocks,
            "seconds": round(before.get("seconds", 0) + time.perf_counter() - start, 3),
        }
        array = labels.finish(record)
    except BaseException:
        labels.discard()
        raise
    return Segmentation(array, labels.axes, prediction.pixel_size, card, record)


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


def frame_reader(
    source: ImageSource, time: int, plane: int | None
) -> Callable[[Region], NDArray[Any]]:
    """Reads the scores (C, *region) of regions of a time point, or of one plane of it.

    Reading raises `FileError` where scores that were put on disk are not there any more.
    """

    def read(region: Region) -> NDArray[Any]:
        if plane is None:
            return check_scores(source.read(time, region))
        return check_scores(source.read(time, (slice(plane, plane + 1), *region))[:, 0])

    return read


def iter_frames(prediction: Prediction) -> Iterator[NDArray[Any]]:
    """The scores (C, [Z,] Y, X) of each plane (2D model) or time point (3D model), in order."""
    source = score_source(prediction)
    planewise = prediction.card.architecture.ndim == 2 and "Z" in source.axes
    shape = source.spatial_shape[1:] if planewise else source.spatial_shape
    for point in range(source.times):
        for plane in range(source.size("Z")) if planewise else (None,):
            yield frame_reader(source, point, plane)(tuple(slice(0, n) for n in shape))


def label_dtype(card: ModelCard) -> np.dtype[Any]:
    """The dtype of a model's labels."""
    if card.task == "instance":
        return np.dtype(np.int32)
    largest = max(c.value for c in card.classes)
    return np.dtype(np.uint8 if largest < 256 else np.uint16)


class FrameWriter:
    """Decodes frames (a plane or a volume of one time point) in order, and writes them.

    Frames that are too large for memory are decoded block by block, with the same result.
    """

    def __init__(
        self,
        labels: OutputArray,
        shape: tuple[int, ...],
        card: ModelCard,
        settings: SegmentSettings,
        summary: ResultSummary,
    ) -> None:
        if card.task == "instance":
            instances.check_representation(card.instances)
        self.objects = 0
        self.planewise = card.architecture.ndim == 2 and len(shape) == 3
        self._labels, self._shape, self._card = labels, shape, card
        self._frame = shape[1:] if self.planewise else shape
        large = is_large(card.architecture.out_channels, self._frame)
        self.in_blocks = card.task == "instance" and large
        self._summary = summary
        self._decoding = decoding_of(settings)
        linked = self.planewise and settings.volume_mode != "slices"
        self._overlap = settings.link_overlap if linked else None
        self._linker: PlaneLinker | None = None

    def iter_write(
        self, time: int, plane: int | None, read: Callable[[Region], NDArray[Any]]
    ) -> Generator[Progress, None, None]:
        """Decode and write a frame.

        Parameters
        ----------
        time : int
            Time point.
        plane : int or None
            Plane of a stack that a 2D model goes over.
        read : callable
            Gives the scores (C, *region) of a region of the frame.
        """
        before = () if plane is None else (slice(plane, plane + 1),)
        if self._card.task == "semantic":
            for tile in self._blocks():
                self._write_classes(time, (*before, *tile.write), read(tile.write))
        elif self.in_blocks:
            yield from self._iter_objects_in_blocks(time, before, read)
        else:
            scores = read(tuple(slice(0, n) for n in self._frame))
            self._summary.see(scores)
            found = instances.decode(scores, self._decoding)
            count = int(found.max(initial=0))
            self._write_objects(time, before, found, count)
        if self._linker is not None and plane == self._shape[0] - 1:
            self._finish_stack(time)

    def _write_classes(self, time: int, region: Region, scores: NDArray[Any]) -> None:
        self._summary.see(scores)
        channels = scores.argmax(0)
        self._summary.see_classes(channels)
        classes = class_values(self._card)[channels]
        self._labels.write(time, region, classes.reshape([r.stop - r.start for r in region]))

    def _write_objects(
        self, time: int, before: Region, found: NDArray[np.int32], count: int
    ) -> None:
        """Write a frame of objects numbered from 1."""
        if self._overlap is None:
            found = np.where(found > 0, found + self.objects, 0)
            self.objects += count
        else:
            if before[0].start == 0 or self._linker is None:
                self._linker = PlaneLinker(self._overlap, self.objects)
            found = self._linker.link(found)
        region = (*before, *(slice(0, n) for n in self._frame))
        self._labels.write(time, region, found.astype(np.int32).reshape(_sizes(region)))

    def _iter_objects_in_blocks(
        self, time: int, before: Region, read: Callable[[Region], NDArray[Any]]
    ) -> Generator[Progress, None, None]:
        from napari_unet.instances.blockwise import iter_decode_blocks

        def read_maps(region: Region) -> NDArray[Any]:
            maps = read(region)
            self._summary.see(maps)
            return maps

        def write(region: Region, labels: NDArray[np.int32]) -> None:
            whole = (*before, *region)
            self._labels.write(time, whole, labels.reshape(_sizes(whole)))

        def reread(region: Region) -> NDArray[Any]:
            return self._labels.read(time, (*before, *region)).reshape(_sizes(region))

        first = 1 if self._overlap is not None else self.objects + 1
        count = yield from iter_decode_blocks(
            read_maps,
            self._frame,
            self._decoding,
            write=write,
            reread=reread,
            block=BLOCK[len(self._frame)],
            first=first,
        )
        if self._overlap is None:
            self.objects += count
        else:
            # planes are linked as wholes: two of labels take a quarter of one's scores
            whole = tuple(slice(0, n) for n in self._frame)
            self._write_objects(time, before, reread(whole).astype(np.int32), count)

    def _blocks(self) -> TilePlan:
        ndim = len(self._frame)
        return TilePlan(self._frame, BLOCK[ndim], (0,) * ndim, (1,) * ndim)

    def _finish_stack(self, time: int) -> None:
        """Number the objects of a stack whose planes are all there."""
        assert self._linker is not None
        final = self._linker.finish()
        self._linker, self.objects = None, final.count
        for z in range(self._shape[0]) if final.changes else ():
            region = (slice(z, z + 1), *(slice(0, n) for n in self._shape[1:]))
            plane = self._labels.read(time, region)
            self._labels.write(time, region, final.renumber(z, plane))


def _sizes(region: Region) -> list[int]:
    return [part.stop - part.start for part in region]


def class_values(card: ModelCard) -> NDArray[Any]:
    """Label value of each output channel."""
    return np.array([c.value for c in card.classes], label_dtype(card))


def refuse_regression(card: ModelCard) -> None:
    """Raise `ModelError` for a model whose scores are the result."""
    if card.task == "regression":
        raise ModelError(
            f"The model {card.name!r} predicts values, not labels", "use predict instead of segment"
        )
