"""What somebody has looked at of labels: accepted objects, and places that were cleared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.dataset.fingerprint import fingerprint_mask, fingerprint_objects
from napari_unet.errors import InputError
from napari_unet.image.roi import pack_mask, unpack_mask

MOST_PIXELS = 1 << 28  # of a time point


@dataclass(frozen=True)
class AcceptedObject:
    """An object that somebody has called right.

    Attributes
    ----------
    time : int
        The time point.
    label : int
        Its number.
    digest : int
        Depends on each of its pixels: what was changed since is not accepted any more, until the
        change is undone.
    """

    time: int
    label: int
    digest: int


@dataclass(frozen=True)
class ClearedPlace:
    """Pixels of an object that somebody has deleted: they are background, while nothing is there.

    Attributes
    ----------
    time : int
        The time point.
    starts : tuple of int
        Where the mask begins, along the axes of space.
    mask : mapping
        From `napari_unet.image.roi.pack_mask`.
    """

    time: int
    starts: tuple[int, ...]
    mask: Mapping[str, Any]


@dataclass(frozen=True)
class Review:
    """What was looked at of labels; it is true where anything was.

    Attributes
    ----------
    accepted : tuple of AcceptedObject
        By time and label.
    cleared : tuple of ClearedPlace
        In the order in which they were deleted.
    began : str or None
        The objects when the review began, from `napari_unet.dataset.correction.remember_objects`:
        those that are others now were corrected. None: not known.

    Examples
    --------
    >>> labels = np.array([[1, 1, 0, 2]])
    >>> review = Review().accept(labels, 0, [2])
    >>> review.accepted_labels(labels, 0).tolist()
    [2]
    >>> labels[0, 2] = 2
    >>> review.accepted_labels(labels, 0).tolist()
    []
    """

    accepted: tuple[AcceptedObject, ...] = ()
    cleared: tuple[ClearedPlace, ...] = ()
    began: str | None = None

    def __bool__(self) -> bool:
        return bool(self.accepted or self.cleared or self.began is not None)

    def accept(self, frame: NDArray[Any], time: int, labels: Iterable[int]) -> Review:
        """Call objects right, as they are now.

        Parameters
        ----------
        frame : (*space) int array
            The labels of the time point.
        time : int
            The time point.
        labels : iterable of int
            Numbers of objects; those that are not there are passed over.
        """
        wanted = sorted({int(label) for label in labels} - {0})
        values, digests = fingerprint_objects(frame, wanted)
        found = dict(zip(values.tolist(), digests.tolist(), strict=True))
        return self._with([AcceptedObject(time, label, found[label]) for label in found])

    def accept_mask(
        self,
        time: int,
        label: int,
        mask: NDArray[np.bool_],
        starts: Sequence[int],
        shape: Sequence[int],
    ) -> Review:
        """Call an object right, of which all pixels are known.

        Parameters
        ----------
        time : int
            The time point.
        label : int
            Number of the object.
        mask : (*space) bool array
            Its pixels.
        starts : sequence of int
            Where the mask begins, along the axes of space.
        shape : sequence of int
            Of the time point.

        Examples
        --------
        >>> labels = np.array([[1, 1, 0, 2]])
        >>> mask = np.ones((1, 2), bool)
        >>> Review().accept_mask(0, 1, mask, (0, 0), (1, 4)) == Review().accept(labels, 0, [1])
        True
        """
        return self._with([AcceptedObject(time, label, fingerprint_mask(mask, starts, shape))])

    def _with(self, accepted: Iterable[AcceptedObject]) -> Review:
        kept = {(each.time, each.label): each for each in (*self.accepted, *accepted)}
        return replace(self, accepted=tuple(kept[key] for key in sorted(kept)))

    def withdraw(self, time: int, labels: Iterable[int]) -> Review:
        """Take it back that objects are right."""
        gone = {(time, int(label)) for label in labels}
        kept = tuple(a for a in self.accepted if (a.time, a.label) not in gone)
        return replace(self, accepted=kept)

    def clear(self, time: int, starts: Sequence[int], mask: NDArray[np.bool_]) -> Review:
        """Keep the pixels of an object that is deleted.

        Parameters
        ----------
        time : int
            The time point.
        starts : sequence of int
            Where the mask begins, along the axes of space.
        mask : (*space) bool array
            Its pixels.
        """
        place = ClearedPlace(time, tuple(int(n) for n in starts), pack_mask(mask))
        kept = tuple(each for each in self.cleared if each != place)
        return replace(self, cleared=(*kept, place))

    def accepted_labels(self, frame: NDArray[Any], time: int) -> NDArray[np.int64]:
        """The accepted objects of a time point that are as they were then, ascending.

        ``frame`` are the labels of the time point.
        """
        known = {each.label: each.digest for each in self.accepted if each.time == time}
        values, digests = fingerprint_objects(frame, sorted(known))
        same = [known[v] == d for v, d in zip(values.tolist(), digests.tolist(), strict=True)]
        found: NDArray[np.int64] = values[np.array(same, bool)]
        return found

    def cleared_pixels(self, frame: NDArray[Any], time: int) -> NDArray[np.bool_] | None:
        """Where objects were deleted and nothing is since; None: nowhere.

        ``frame`` are the labels of the time point.
        """
        found: NDArray[np.bool_] | None = None
        for place in self.cleared:
            if place.time != time or len(place.starts) != frame.ndim:
                continue
            try:
                mask = unpack_mask(place.mask)
            except InputError:
                continue  # a damaged file tells nothing
            ends = [start + n for start, n in zip(place.starts, mask.shape, strict=False)]
            if mask.ndim != frame.ndim or any(
                e > n for e, n in zip(ends, frame.shape, strict=True)
            ):
                continue
            window = tuple(slice(a, b) for a, b in zip(place.starts, ends, strict=True))
            if frame[window][mask].any():
                continue  # undone, or drawn over
            if found is None:
                found = np.zeros(frame.shape, bool)
            found[window] |= mask
        return found

    def as_json(self) -> dict[str, Any]:
        """As plain values, for `from_json`."""
        return {
            "accepted": [[each.time, each.label, each.digest] for each in self.accepted],
            "cleared": [[each.time, list(each.starts), dict(each.mask)] for each in self.cleared],
            "began": self.began,
        }

    @classmethod
    def from_json(cls, values: Any) -> Review:
        """From what `as_json` gave; raises KeyError, TypeError or ValueError for anything else.

        >>> Review.from_json(None)
        Review(accepted=(), cleared=(), began=None)
        """
        if values is None:
            return cls()
        accepted = (AcceptedObject(*(int(n) for n in each)) for each in values["accepted"])
        cleared = (
            ClearedPlace(int(time), tuple(int(n) for n in starts), dict(mask))
            for time, starts, mask in values["cleared"]
        )
        began = values["began"]
        key = sorted(accepted, key=lambda each: (each.time, each.label))
        return cls(tuple(key), tuple(cleared), None if began is None else str(began))


def find_accepted(labels: Any, axes: str, review: Review) -> list[tuple[int, int]]:
    """Time point and label of the accepted objects that are as they were then.

    ``labels``, with ``axes`` over TZYX, are read a time point at a time.
    """
    found: list[tuple[int, int]] = []
    wanted = {each.time for each in review.accepted}
    if not wanted:
        return found
    for time, index in iter_frames(axes, labels.shape):
        if time in wanted:
            frame = np.asarray(labels[index])
            found += [(time, label) for label in review.accepted_labels(frame, time).tolist()]
    return found


def iter_frames(axes: str, shape: Sequence[int]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Each time point of labels, with its index in the array.

    Raises
    ------
    InputError
        If a time point is too large to be looked at as a whole.

    Examples
    --------
    >>> list(iter_frames("TYX", (2, 5, 5)))[1]
    (1, (1, slice(None, None, None), slice(None, None, None)))
    """
    sizes = dict(zip(axes, (int(n) for n in shape), strict=True))
    times = sizes.get("T", 1)
    if math.prod(sizes.values()) > MOST_PIXELS * times:
        raise InputError(
            f"Labels of shape {tuple(shape)} are too large for single objects to be looked at",
            "mark planes as done instead",
            code="too-large",
        )
    for time in range(times):
        yield time, tuple(time if axis == "T" else slice(None) for axis in axes)
