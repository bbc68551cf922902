"""A frame, which is a plane or a volume of one time point: its scores gathered, then decoded.

The scores of a frame that is too large for memory are put on disk meanwhile, and decoded block
by block, with the same labels.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_unet.card import ModelCard
from napari_unet.errors import FileError, ModelError
from napari_unet.inference.run_record import ResultSummary
from napari_unet.instances import maps as instances
from napari_unet.instances.linking import PlaneLinker
from napari_unet.io.scratch import ScratchFolder
from napari_unet.progress import Progress
from napari_unet.settings import SegmentSettings, decoding_of
from napari_unet.tiling import Region, TilePlan

LARGEST_FRAME_BYTES = 1 << 30  # bytes of a frame that is kept in memory
CHUNK = {2: (1024, 1024), 3: (32, 256, 256)}
BLOCK = {2: (2048, 2048), 3: (64, 512, 512)}
"""Pixels of a frame that are decoded at once where it is large; multiples of the chunks on disk."""


class ScoreStore(Protocol):
    """Where the scores (C, *region) of a time point can be read: an image, an array, a buffer."""

    def read(self, time: int, region: Region) -> NDArray[Any]:
        """The scores of a region, with all its spatial axes."""
        ...


class LabelArray(Protocol):
    """Where the labels of an image go: its array, or a view of one frame of it."""

    @property
    def folder(self) -> Path | None:
        """Where a local zarr array is written; None: it is none."""
        ...

    def write(self, time: int, region: Region, block: NDArray[Any]) -> None:
        """Put a block ([Z,] Y, X) at a time point and region."""
        ...

    def read(self, time: int, region: Region) -> NDArray[Any]:
        """A block that was written."""
        ...


def score_bytes(channels: int, shape: Iterable[int]) -> int:
    """Size of float32 scores (channels, *shape).

    >>> score_bytes(2, (10, 100))
    8000
    """
    return channels * math.prod(shape) * np.dtype(np.float32).itemsize


def is_large(channels: int, shape: tuple[int, ...]) -> bool:
    """Whether the scores of a frame are too large to be kept in memory."""
    size = score_bytes(channels, shape)
    return bool(size > min(LARGEST_FRAME_BYTES, psutil.virtual_memory().available // 4))


class ScoreBuffer:
    """Scores (C, *shape) of one frame after the other.

    Parameters
    ----------
    channels : int
        Of the scores.
    shape : tuple of int
        ([Z,] Y, X) of a frame. Regions may have one axis more: the plane that the frame is.
    near : Path, optional
        Folder in which large frames are put on disk; None: the system's for temporary files.
    """

    def __init__(self, channels: int, shape: tuple[int, ...], near: Path | None = None) -> None:
        self.shape = shape
        self.large = is_large(channels, shape)
        self._folder: ScratchFolder | None = None
        self._array: Any
        if not self.large:
            self._array = np.zeros((channels, *shape), np.float32)
            return
        import zarr

        with _named_faults():
            self._folder = ScratchFolder(near or Path(tempfile.gettempdir()))
            self._array = zarr.create_array(
                store=str(self._folder.path / "scores"),
                shape=(channels, *shape),
                chunks=(channels, *map(min, CHUNK[len(shape)], shape)),
                dtype=np.float32,
                fill_value=np.nan,
                overwrite=True,
            )

    def write(self, time: int, region: Region, scores: NDArray[np.float32]) -> None:
        """Put the scores (C, *region) of a region of the frame."""
        del time  # there is one frame at a time
        with _named_faults():
            self._array[self._index(region)] = scores.reshape(self._sizes(scores, region))

    def add(self, time: int, region: Region, scores: NDArray[np.float32]) -> None:
        """Add to the scores of a region."""
        before = np.nan_to_num(self._stored(region))
        self.write(time, region, before + scores.reshape(before.shape))

    def read(self, time: int, region: Region) -> NDArray[np.float32]:
        """The scores (C, *region) of a region that was written."""
        del time
        stored = self._stored(region)
        return stored.reshape(stored.shape[:1] + tuple(_sizes(region)))

    def _stored(self, region: Region) -> NDArray[np.float32]:
        with _named_faults():
            return np.asarray(self._array[self._index(region)])

    def _index(self, region: Region) -> Region:
        return (slice(None), *region[-len(self.shape) :])

    def _sizes(self, scores: NDArray[Any], region: Region) -> list[int]:
        return [scores.shape[0], *_sizes(region[-len(self.shape) :])]

    def clear(self) -> None:
        """Make room for the next frame."""
        with _named_faults():
            self._array[...] = 0

    def close(self) -> None:
        """Remove what is on disk."""
        if self._folder is not None:
            self._folder.remove()
            self._folder = None


def check_scores(scores: NDArray[Any]) -> NDArray[Any]:
    """Scores as they are; `FileError` where parts of them are missing on disk.

    Where a zarr array has no data it gives its fill value, which is NaN for scores.
    """
    if np.isnan(scores).any():
        raise FileError(
            "The scores that were put on disk are not there any more", "run the prediction again"
        )
    return scores


@contextmanager
def _named_faults() -> Iterator[None]:
    """A disk that is full, or gone, in one sentence."""
    try:
        yield
    except OSError as error:
        raise FileError(
            f"The scores do not fit in memory and cannot be put on disk ({error})",
            "make room, or segment a part of the image",
        ) from error


def frame_reader(
    store: ScoreStore, time: int, plane: int | None
) -> Callable[[Region], NDArray[Any]]:
    """Reads the scores (C, *region) of regions of a time point, or of one plane of it.

    Reading raises `FileError` where scores that were put on disk are not there any more.
    """

    def read(region: Region) -> NDArray[Any]:
        if plane is None:
            return check_scores(store.read(time, region))
        return check_scores(store.read(time, (slice(plane, plane + 1), *region))[:, 0])

    return read


def label_dtype(card: ModelCard) -> np.dtype[Any]:
    """The dtype of a model's labels."""
    if card.task == "instance":
        return np.dtype(np.int32)
    largest = max(c.value for c in card.classes)
    return np.dtype(np.uint8 if largest < 256 else np.uint16)


def class_values(card: ModelCard) -> NDArray[Any]:
    """Label value of each output channel."""
    return np.array([c.value for c in card.classes], label_dtype(card))


def refuse_regression(card: ModelCard) -> None:
    """Raise `ModelError` for a model whose scores are the result."""
    if card.task == "regression":
        raise ModelError(
            f"The model {card.name!r} predicts values, not labels", "use predict instead of segment"
        )


class FrameWriter:
    """Decodes frames (a plane or a volume of one time point) in order, and writes them.

    Frames that are too large for memory are decoded block by block, with the same result.

    Parameters
    ----------
    labels : OutputArray or RegionView
        Where the labels go.
    shape : tuple of int
        ([Z,] Y, X) of a time point.
    card : ModelCard
        Of the model.
    settings : SegmentSettings
        With the decoding resolved.
    constant : bool
        Whether the image is constant, for the words about an empty result.
    left_out : mapping of str to int, optional
        Pixels that the intensity limits do not count, for the words about NaN.
    doubt : str
        Why the image may not be of the model's kind; empty where it may well be.
    """

    def __init__(
        self,
        labels: LabelArray,
        shape: tuple[int, ...],
        card: ModelCard,
        settings: SegmentSettings,
        *,
        constant: bool = False,
        left_out: Mapping[str, int] | None = None,
        doubt: str = "",
    ) -> None:
        if card.task == "instance":
            instances.check_representation(card.instances)
        self.objects = 0
        self.planewise = card.architecture.ndim == 2 and len(shape) == 3
        self._labels, self._shape, self._card = labels, shape, card
        self._frame = shape[1:] if self.planewise else shape
        large = is_large(card.architecture.out_channels, self._frame)
        self.in_blocks = card.task == "instance" and large
        self.summary = ResultSummary(card, constant=constant, left_out=left_out, doubt=doubt)
        self._decoding = decoding_of(settings)
        linked = self.planewise and settings.volume_mode != "slices"
        self._overlap = settings.link_overlap if linked else None
        self._linker: PlaneLinker | None = None

    def make_buffer(self) -> ScoreBuffer:
        """Room for the scores of a frame while its tiles come in."""
        return ScoreBuffer(self._card.architecture.out_channels, self._frame, self._labels.folder)

    def describe_result(self) -> dict[str, Any]:
        """What a run record says of the labels: how many objects, which classes, in words."""
        self.summary.objects = self.objects
        return {**self.summary.as_dict(), "in_blocks": self.in_blocks}

    def take_in(self, found: Iterable[Any]) -> None:
        """Take in what others have found in the frames, such as the workers of a cluster."""
        for frame in found:
            self.summary.low = np.minimum(self.summary.low, frame.low).tolist()
            self.summary.high = np.maximum(self.summary.high, frame.high).tolist()
            self.summary.pixels += np.array(frame.pixels, np.int64)
            self.objects += frame.objects
            self.in_blocks |= frame.in_blocks

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
                self.write_classes(time, (*before, *tile.write), read(tile.write))
        elif self.in_blocks:
            yield from self._iter_objects_in_blocks(time, before, read)
        else:
            scores = read(tuple(slice(0, n) for n in self._frame))
            self.summary.see(scores)
            found = instances.decode(scores, self._decoding)
            count = int(found.max(initial=0))
            self._write_objects(time, before, found, count)
        if self._linker is not None and plane == self._shape[0] - 1:
            self._finish_stack(time)

    def write_classes(self, time: int, region: Region, scores: NDArray[Any]) -> None:
        """Write the most probable class of each pixel of a region, from scores (C, *region)."""
        self.summary.see(scores)
        channels = scores.argmax(0)
        self.summary.see_classes(channels)
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
            self.summary.see(maps)
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
