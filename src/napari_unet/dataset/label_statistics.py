"""Statistics of the labels of an example, collected in one pass, a slab at a time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.card import Task
from napari_unet.dataset.labelled_image import LabelledImage
from napari_unet.errors import InputError

MAX_PLACES_PER_SLAB = 512  # of a class, to draw patches around
ANYWHERE = -1  # key of the places of all known pixels, whatever their label


@dataclass(frozen=True, eq=False)
class Places:
    """Pixels to draw patches around.

    Attributes
    ----------
    positions : (N, ndim) int array
        Pixels of the frame.
    weights : (N,) float array
        How many pixels, or objects, each of them stands for.
    """

    positions: NDArray[np.int32]
    weights: NDArray[np.float64]

    @property
    def total(self) -> float:
        """What all of them stand for."""
        return float(self.weights.sum())

    def draw(self, rng: np.random.Generator) -> NDArray[np.int32]:
        """One of them, by weight."""
        total = np.cumsum(self.weights)
        place = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
        found: NDArray[np.int32] = self.positions[min(place, len(total) - 1)]
        return found


@dataclass(frozen=True, eq=False)
class FrameStatistics:
    """Of one plane (2D network) or volume (3D network).

    Attributes
    ----------
    time : int
        Time point.
    plane : int or None
        Plane of the stack, for a 2D network.
    known : int
        Pixels whose label can be trusted.
    complete : bool
        Whether these are all.
    places : dict
        Known pixels anywhere (key `ANYWHERE`), and of each label value (semantic); of the
        objects, one pixel each (instance, key 1).
    sizes : dict
        Known pixels of each label value.
    median_size : float or None
        Median pixels of the objects that lie in the midst of known pixels; None where there
        are none, as of strokes, or of single planes of a volume.
    digest : str
        SHA-256 of what is known.
    """

    time: int
    plane: int | None
    known: int
    complete: bool
    places: dict[int, Places]
    sizes: dict[int, int]
    median_size: float | None
    digest: str


@dataclass(frozen=True, eq=False)
class LabelStatistics:
    """Of an example: its frames with anything known in them."""

    frames: tuple[FrameStatistics, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of what is known in all frames."""
        digest = hashlib.sha256()
        for frame in self.frames:
            digest.update(repr((frame.time, frame.plane, frame.digest)).encode())
        return digest.hexdigest()

    @property
    def known(self) -> int:
        """Pixels whose label can be trusted."""
        return sum(frame.known for frame in self.frames)

    @property
    def values(self) -> set[int]:
        """Label values at known pixels."""
        return {value for frame in self.frames for value in frame.sizes}


def collect_statistics(labelled: LabelledImage, task: Task, ndim: int) -> LabelStatistics:
    """Count the labels of an example and choose places to draw patches around.

    Parameters
    ----------
    labelled : LabelledImage
        The opened example.
    task : str
        Its labels' meaning.
    ndim : int
        Spatial axes of the network: frames are planes (2) or volumes (3).

    Returns
    -------
    LabelStatistics
        It needs memory for one slab, and for one entry per object.

    Raises
    ------
    InputError
        If a label is negative.
    """
    planewise = _is_planewise(labelled, ndim)
    frames: list[FrameStatistics] = []
    for time in labelled.times:
        builders: dict[int | None, _FrameStatisticsBuilder] = {}
        for part in labelled.slabs():
            labels, known = labelled.read_labels(time, part)
            if not planewise:
                builder = builders.setdefault(None, _FrameStatisticsBuilder(task))
                builder.add(labels, known, tuple(p.start for p in part))
                continue
            corner = tuple(p.start for p in part[1:])
            for row, plane in enumerate(range(part[0].start, part[0].stop)):
                builder = builders.setdefault(plane, _FrameStatisticsBuilder(task))
                builder.add(labels[:, row], known[row], corner)
        frames += [
            builder.build(time, plane) for plane, builder in builders.items() if builder.known
        ]
    return LabelStatistics(tuple(frames))


def collect_frame_statistics(
    piece: LabelledImage, whole: LabelledImage, seen: LabelStatistics, task: Task, ndim: int
) -> LabelStatistics:
    """The statistics of a piece; labels are read again only where a cut goes through frames.

    Parameters
    ----------
    piece, whole : LabelledImage
        ``whole``, and what `LabelledImage.within` gave of it.
    seen : LabelStatistics
        Of ``whole``.
    task, ndim
        As in `collect_statistics`.
    """
    planewise = _is_planewise(whole, ndim)
    inner = slice(int(planewise), None)
    if piece.window[inner] != whole.window[inner]:
        return collect_statistics(piece, task, ndim)
    frames = [frame for frame in seen.frames if frame.time in piece.times]
    if planewise:
        first = piece.window[0].start - whole.window[0].start
        moved = [replace(frame, plane=(frame.plane or 0) - first) for frame in frames]
        frames = [frame for frame in moved if frame.plane in range(piece.shape[0])]
    return LabelStatistics(tuple(frames))


def _is_planewise(labelled: LabelledImage, ndim: int) -> bool:
    return ndim == 2 and len(labelled.shape) == 3


class _FrameStatisticsBuilder:
    """Collects the statistics of one frame from its parts."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.known = self.pixels = 0
        self.sizes: dict[int, int] = {}
        self.drawn: dict[int, list[tuple[NDArray[Any], float]]] = {}
        self.objects: dict[int, tuple[int, NDArray[Any]]] = {}
        self.cut: set[int] = set()
        self.rng = np.random.default_rng(0)  # a sample that is the same every time
        self.digest = hashlib.sha256()

    def add(self, labels: NDArray[Any], known: NDArray[np.bool_], corner: tuple[int, ...]) -> None:
        """Count a part of the frame that starts at a corner: labels (K, *part) and where known."""
        self.pixels += known.size
        count = int(np.count_nonzero(known))
        if not count:
            return
        self.known += count
        self._hash(labels, known, corner)
        where = np.flatnonzero(known)
        self._sample(ANYWHERE, where, known.shape, corner)
        if self.task == "regression":
            return
        flat = labels[0].ravel()[where]
        order = np.argsort(flat, kind="stable")
        values, first, counts = np.unique(flat[order], return_index=True, return_counts=True)
        if values[0] < 0:
            raise InputError(
                f"Labels must not be negative, but there is {values[0]}",
                "if it means unknown, give ⟨region=labels >= 0⟩ and numpy.maximum(labels, 0)",
                parameter="labels",
                value=int(values[0]),
                code="labels-negative",
            )
        if self.task == "instance" and count < known.size:
            beside = ndimage.maximum_filter((~known).view(np.uint8), 3, mode="nearest") > 0
            self.cut |= set(np.unique(labels[0][beside & known]).tolist())
        for value, start, size in zip(values.tolist(), first, counts.tolist(), strict=True):
            self.sizes[int(value)] = self.sizes.get(int(value), 0) + size
            if self.task == "semantic":
                members = where[order[start : start + size]]
                self._sample(int(value), members, known.shape, corner)
            elif value and size > self.objects.get(value, (0, None))[0]:
                middle = where[order[start + size // 2]]
                self.objects[value] = size, _position(middle, known.shape, corner)

    def build(self, time: int, plane: int | None) -> FrameStatistics:
        """The statistics of all parts."""
        places = {
            key: Places(
                np.concatenate([positions for positions, _ in parts]).astype(np.int32),
                np.concatenate([np.full(len(p), weight) for p, weight in parts]),
            )
            for key, parts in self.drawn.items()
        }
        if self.objects:
            positions = np.stack([place for _, place in self.objects.values()]).astype(np.int32)
            places[1] = Places(positions, np.ones(len(positions)))
        complete = self.known == self.pixels
        whole = [n for value, n in self.sizes.items() if value and value not in self.cut]
        median = float(np.median(whole)) if whole and self.task == "instance" else None
        digest = self.digest.hexdigest()
        return FrameStatistics(
            time, plane, self.known, complete, places, self.sizes, median, digest
        )

    def _hash(
        self, labels: NDArray[Any], known: NDArray[np.bool_], corner: tuple[int, ...]
    ) -> None:
        """Plane by plane, so that it does not matter how many of them are read together."""
        if known.ndim == 3:
            for row in np.flatnonzero(known.any(axis=(1, 2))).tolist():
                self.digest.update(repr(corner[0] + row).encode())
                self._hash(labels[:, row], known[row], corner[1:])
            return
        self.digest.update(repr(corner).encode())
        self.digest.update(np.ascontiguousarray(labels).data)
        self.digest.update(b"" if known.all() else np.packbits(known).data)

    def _sample(
        self, key: int, where: NDArray[np.intp], shape: tuple[int, ...], corner: tuple[int, ...]
    ) -> None:
        count = min(MAX_PLACES_PER_SLAB, len(where))
        picked = where if count == len(where) else self.rng.choice(where, count, replace=False)
        positions = _position(picked, shape, corner)
        self.drawn.setdefault(key, []).append((positions, len(where) / count))


def _position(index: Any, shape: tuple[int, ...], corner: tuple[int, ...]) -> NDArray[Any]:
    """Coordinates in the frame, (..., ndim), of flat indices into a part of it."""
    places: NDArray[Any] = np.stack(np.unravel_index(index, shape), axis=-1) + np.array(corner)
    return places
