"""What the labels of an example hold: one pass over them, a slab at a time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.card import Task
from napari_unet.errors import InputError
from napari_unet.labelled_image import LabelledImage

KEPT = 512  # places that are remembered of a class in a slab
ANYWHERE = -1


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
class FrameSurvey:
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
    """

    time: int
    plane: int | None
    known: int
    complete: bool
    places: dict[int, Places]
    sizes: dict[int, int]


@dataclass(frozen=True, eq=False)
class Survey:
    """Of an example: its frames with anything known in them, and a hash of the labels."""

    frames: tuple[FrameSurvey, ...]
    digest: str

    @property
    def known(self) -> int:
        """Pixels whose label can be trusted."""
        return sum(frame.known for frame in self.frames)

    @property
    def values(self) -> set[int]:
        """Label values at known pixels."""
        return {value for frame in self.frames for value in frame.sizes}


def survey(labelled: LabelledImage, task: Task, ndim: int) -> Survey:
    """Look at all labels of an example once.

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
    Survey
        It needs memory for one slab, and for one entry per object.

    Raises
    ------
    InputError
        If the number of an object is negative.
    """
    digest = hashlib.sha256()
    planewise = ndim == 2 and len(labelled.shape) == 3
    frames: list[FrameSurvey] = []
    for time in labelled.times:
        notes: dict[int | None, _Notes] = {}
        for part in labelled.slabs():
            labels, known = labelled.read_labels(time, part)
            digest.update(np.ascontiguousarray(labels).data)
            if not labelled.known_everywhere:
                digest.update(np.packbits(known).data)
            if not planewise:
                note = notes.setdefault(None, _Notes(task))
                note.add(labels[0], known, tuple(p.start for p in part))
                continue
            corner = tuple(p.start for p in part[1:])
            for row, plane in enumerate(range(part[0].start, part[0].stop)):
                note = notes.setdefault(plane, _Notes(task))
                note.add(labels[0, row], known[row], corner)
        frames += [note.frame(time, plane) for plane, note in notes.items() if note.known]
    return Survey(tuple(frames), digest.hexdigest())


class _Notes:
    """What was seen of one frame so far."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.known = self.pixels = 0
        self.sizes: dict[int, int] = {}
        self.drawn: dict[int, list[tuple[NDArray[Any], float]]] = {}
        self.objects: dict[int, tuple[int, NDArray[Any]]] = {}
        self.rng = np.random.default_rng(0)  # a sample that is the same every time

    def add(self, labels: NDArray[Any], known: NDArray[np.bool_], corner: tuple[int, ...]) -> None:
        """A part of the frame that starts at a corner."""
        self.pixels += known.size
        count = int(np.count_nonzero(known))
        if not count:
            return
        self.known += count
        where = np.flatnonzero(known)
        self._sample(ANYWHERE, where, known.shape, corner)
        if self.task == "regression":
            return
        flat = labels.ravel()[where]
        order = np.argsort(flat, kind="stable")
        values, first, counts = np.unique(flat[order], return_index=True, return_counts=True)
        if self.task == "instance" and values[0] < 0:
            raise InputError(f"Labels must not be negative, but there is {values[0]}.")
        for value, start, size in zip(values.tolist(), first, counts.tolist(), strict=True):
            self.sizes[int(value)] = self.sizes.get(int(value), 0) + size
            if self.task == "semantic":
                members = where[order[start : start + size]]
                self._sample(int(value), members, known.shape, corner)
            elif value and size > self.objects.get(value, (0, None))[0]:
                middle = where[order[start + size // 2]]
                self.objects[value] = size, _position(middle, known.shape, corner)

    def frame(self, time: int, plane: int | None) -> FrameSurvey:
        """The notes, put together."""
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
        return FrameSurvey(time, plane, self.known, complete, places, self.sizes)

    def _sample(
        self, key: int, where: NDArray[np.intp], shape: tuple[int, ...], corner: tuple[int, ...]
    ) -> None:
        count = min(KEPT, len(where))
        picked = where if count == len(where) else self.rng.choice(where, count, replace=False)
        positions = _position(picked, shape, corner)
        self.drawn.setdefault(key, []).append((positions, len(where) / count))


def _position(index: Any, shape: tuple[int, ...], corner: tuple[int, ...]) -> NDArray[Any]:
    """Coordinates in the frame, (..., ndim), of flat indices into a part of it."""
    places: NDArray[Any] = np.stack(np.unravel_index(index, shape), axis=-1) + np.array(corner)
    return places
