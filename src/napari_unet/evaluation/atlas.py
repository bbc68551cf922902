"""The errors of a prediction one by one: missed, extra, merged and split objects, bad outlines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import find_objects

from napari_unet.errors import SettingsError
from napari_unet.metrics.matching import ObjectOverlap
from napari_unet.metrics.pairs import Ignore, Pair, pair_image
from napari_unet.renumbering import renumber

ErrorKind = Literal["missed", "extra", "merged", "split", "outline"]
KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)

MATCH_IOU = 0.5  # from which an object counts as found
OUTLINE_IOU = 0.7
LEAST_IOU = 0.2  # of two objects that have no other partner, to be the same with a bad outline
LEAST_PIECE = 0.1  # share of a true object that a piece of it covers, to count as one

COLOURS: Mapping[str, str] = {
    "missed": "#e4c21f",
    "extra": "#e0559b",
    "merged": "#3d9be0",
    "split": "#3fbf7f",
    "outline": "#e08a3d",
}
"""Of the kinds, told apart on dark and light, without red beside green."""

MEANINGS: Mapping[str, str] = {
    "missed": "a true object that nothing was found of",
    "extra": "a found object where there is none",
    "merged": "a found object that covers several true ones",
    "split": "a true object found in several pieces",
    "outline": "an object that was found with a bad outline",
}


@dataclass(frozen=True)
class ObjectError:
    """An error.

    Attributes
    ----------
    number : int
        From 1; the worst first. The value of its pixels in `Atlas.labels`.
    kind : {"missed", "extra", "merged", "split", "outline"}
        What is wrong.
    frame : int or None
        The time point; None where there is no axis of time.
    predicted, true : tuple of int
        Labels of the objects that are concerned.
    wrong_pixels : int
        How bad it is. Missed and extra: the object's pixels; merged: those of the true objects
        but for the largest; split: those of the true object outside its largest piece; outline:
        those that only one of the two has.
    iou : float
        The best IoU of a true and a predicted object among them; 0 where there is none.
    position : tuple of int
        A pixel of it, near its middle, one index per axis of the arrays.
    box : tuple of slice
        Where it lies, likewise.
    """

    number: int
    kind: ErrorKind
    frame: int | None
    predicted: tuple[int, ...]
    true: tuple[int, ...]
    wrong_pixels: int
    iou: float
    position: tuple[int, ...]
    box: tuple[slice, ...]

    def as_row(self, axes: str | None = None) -> dict[str, Any]:
        """As a row of a table: numbers and text."""
        letters = axes or "".join(f"{i}" for i in range(len(self.position)))
        return {
            "number": self.number,
            "kind": self.kind,
            "predicted": " ".join(map(str, self.predicted)),
            "true": " ".join(map(str, self.true)),
            "wrong_pixels": self.wrong_pixels,
            "iou": round(self.iou, 4),
            **{f"position-{a.lower()}": p for a, p in zip(letters, self.position, strict=True)},
        }


@dataclass(frozen=True, eq=False)
class Atlas:
    """All errors of an image.

    Attributes
    ----------
    errors : tuple of ObjectError
        The worst first.
    labels : ndarray of int32
        Of the image's shape; pixels of an error have its number, all others 0.
    axes : str or None
        Of the labels.
    right : int
        Number of true objects that were found well.
    """

    errors: tuple[ObjectError, ...]
    labels: NDArray[np.int32]
    axes: str | None
    right: int

    @property
    def counts(self) -> dict[str, int]:
        """Number of errors of each kind."""
        found = Counter(error.kind for error in self.errors)
        return {kind: found[kind] for kind in KINDS}


def find_errors(
    prediction: ArrayLike,
    truth: ArrayLike,
    *,
    axes: str | None = None,
    ignore: Ignore = None,
    outline_iou: float = OUTLINE_IOU,
) -> Atlas:
    """Find what is wrong with the objects of an image.

    Every object that is a false positive or a false negative at IoU 0.5 is in an error, and so is
    every pair below `outline_iou`. A predicted object is *merged* where it covers more than half
    of two or more true ones; a true object is *split* where two or more predicted ones lie in it
    by more than half, each of them a tenth of it at least. Objects without another partner that
    overlap by an IoU of 0.2 or more have a *bad outline*. What is left is *missed* or *extra*.

    Parameters
    ----------
    prediction, truth : array of int
        Labels of objects, of the same shape; 0 is background.
    axes : str, optional
        Of both; with T each time point is looked at by itself.
    ignore : array of bool, int, or None
        As of `evaluate`.
    outline_iou : float
        IoU below which the outline of a found object is bad; 0.5 to 1.

    Returns
    -------
    Atlas

    Raises
    ------
    InputError
        As `evaluate`.
    SettingsError
        For an `outline_iou` outside its range.

    Examples
    --------
    >>> truth = np.array([[1, 1, 0, 2, 2, 3, 3, 0, 0]])
    >>> found = find_errors(np.array([[0, 0, 0, 5, 5, 5, 5, 0, 7]]), truth)
    >>> [(error.kind, error.predicted, error.true) for error in found.errors]
    [('missed', (), (1,)), ('merged', (5,), (2, 3)), ('extra', (7,), ())]
    >>> found.labels.tolist()
    [[1, 1, 0, 2, 2, 2, 2, 0, 3]]
    """
    if not MATCH_IOU <= outline_iou <= 1:
        raise SettingsError(
            f"⟨outline_iou⟩ {outline_iou} must be 0.5 to 1",
            "0.7 is the default",
            parameter="outline_iou",
            value=outline_iou,
        )
    pair = pair_image(prediction, truth, ignore, axes=axes)
    return errors_of_pair(pair, outline_iou, axes)


def errors_of_pair(pair: Pair, outline_iou: float, axes: str | None) -> Atlas:
    """As `find_errors`, of arrays that are paired already."""
    labels = np.zeros(pair.truth.shape, np.int32)
    found: list[tuple[ObjectError, _Frame]] = []
    right = 0
    for number, frame in enumerate(pair.frames()):
        at = None if pair.time_axis is None else number
        overlap = ObjectOverlap.of(frame)
        errors, good = _classify(overlap, outline_iou)
        right += good
        place = _Frame.of(frame, pair.time_axis, at, needed=bool(errors))
        found += [(place.locate(error), place) for error in errors]
    order = sorted(found, key=lambda each: _rank(each[0]))
    numbered = [(replace(e, number=i), frame) for i, (e, frame) in enumerate(order, 1)]
    for error, where in reversed(numbered):  # the worst on top
        where.paint(labels, error)
    return Atlas(tuple(e for e, _ in numbered), labels, axes and axes.upper(), right)


def _rank(error: ObjectError) -> tuple[int, int, tuple[int, ...]]:
    """The worst first; of equally bad ones the earlier, then by where they lie."""
    return -error.wrong_pixels, error.frame or 0, error.position


@dataclass(frozen=True)
class _Found:
    """An error by ranks of its objects."""

    kind: ErrorKind
    predicted: tuple[int, ...]
    true: tuple[int, ...]
    predicted_labels: tuple[int, ...]
    true_labels: tuple[int, ...]
    wrong_pixels: int
    iou: float


def _classify(o: ObjectOverlap, outline_iou: float) -> tuple[list[_Found], int]:
    """The errors of a frame, and how many true objects are right."""
    overlaps = list(zip(o.true.tolist(), o.predicted.tolist(), o.shared.tolist(), strict=True))
    iou = {(t, p): float(v) for (t, p, _), v in zip(overlaps, o.iou, strict=True)}
    shared = {(t, p): s for t, p, s in overlaps}
    covered: dict[int, list[int]] = {}
    pieces: dict[int, list[int]] = {}
    for t, p, s in overlaps:
        if 2 * s > o.true_sizes[t]:
            covered.setdefault(p, []).append(t)
        if 2 * s > o.predicted_sizes[p] and s >= LEAST_PIECE * o.true_sizes[t]:
            pieces.setdefault(t, []).append(p)
    found: list[_Found] = []

    def add(kind: ErrorKind, predicted: Sequence[int], true: Sequence[int], wrong: int) -> None:
        best = max((iou.get((t, p), 0.0) for t in true for p in predicted), default=0.0)
        names = (
            tuple(int(o.predicted_labels[p]) for p in predicted),
            tuple(int(o.true_labels[t]) for t in true),
        )
        found.append(_Found(kind, tuple(predicted), tuple(true), *names, int(wrong), best))

    for p, true in covered.items():
        if len(true) > 1:
            sizes = [int(o.true_sizes[t]) for t in true]
            add("merged", [p], true, sum(sizes) - max(sizes))
    for t, predicted in pieces.items():
        if len(predicted) > 1:
            largest = max(shared[t, p] for p in predicted)
            add("split", predicted, [t], int(o.true_sizes[t]) - largest)
    in_error = (
        {p for each in found for p in each.predicted},
        {t for each in found for t in each.true},
    )

    match = o.match(MATCH_IOU)
    ours = np.searchsorted(o.predicted_labels, match.prediction).tolist()
    theirs = np.searchsorted(o.true_labels, match.truth).tolist()
    partners = list(zip(theirs, ours, match.iou.tolist(), strict=True))
    seen_true, seen_predicted = {*theirs, *in_error[1]}, {*ours, *in_error[0]}
    loose = sorted(overlaps, key=lambda each: -iou[each[0], each[1]])
    for t, p, _ in loose:
        if iou[t, p] >= LEAST_IOU and t not in seen_true and p not in seen_predicted:
            partners.append((t, p, iou[t, p]))
            seen_true.add(t)
            seen_predicted.add(p)
    right = 0
    for t, p, value in partners:
        if t in in_error[1] or p in in_error[0]:
            continue
        if value < outline_iou:
            add("outline", [p], [t], o.true_sizes[t] + o.predicted_sizes[p] - 2 * shared[t, p])
        else:
            right += 1
    for t in range(o.true_labels.size):
        if t not in seen_true:
            add("missed", [], [t], o.true_sizes[t])
    for p in range(o.predicted_labels.size):
        if p not in seen_predicted:
            add("extra", [p], [], o.predicted_sizes[p])
    return found, right


@dataclass(frozen=True, eq=False)
class _Frame:
    """Where the objects of a time point lie."""

    pair: Pair
    time_axis: int | None
    number: int | None
    boxes: tuple[dict[int, tuple[slice, ...]], dict[int, tuple[slice, ...]]]

    @classmethod
    def of(cls, pair: Pair, time_axis: int | None, number: int | None, *, needed: bool) -> _Frame:
        arrays = (pair.prediction, pair.truth) if needed else ()
        boxes = [_find_boxes(array, pair.ignored) for array in arrays] or [{}, {}]
        return cls(pair, time_axis, number, (boxes[0], boxes[1]))

    def locate(self, found: _Found) -> ObjectError:
        parts = list(self._parts(found.predicted_labels, found.true_labels))
        box, mask = _unite(parts)
        # a pixel of it, and not the middle of a ring
        pixels = np.argwhere(mask)
        nearest = pixels[np.argmin(((pixels - pixels.mean(0)) ** 2).sum(1))]
        position = [int(part.start + n) for part, n in zip(box, nearest, strict=True)]
        where = list(box)
        if self.time_axis is not None and self.number is not None:
            position.insert(self.time_axis, self.number)
            where.insert(self.time_axis, slice(self.number, self.number + 1))
        return ObjectError(
            0,
            found.kind,
            self.number,
            found.predicted_labels,
            found.true_labels,
            found.wrong_pixels,
            found.iou,
            tuple(position),
            tuple(where),
        )

    def paint(self, labels: NDArray[np.int32], error: ObjectError) -> None:
        target = labels
        if self.time_axis is not None:
            target = labels[(slice(None),) * self.time_axis + (self.number,)]
        for box, mask in self._parts(error.predicted, error.true):
            target[box][mask] = error.number

    def _parts(
        self, predicted: Sequence[int], true: Sequence[int]
    ) -> Iterator[tuple[tuple[slice, ...], NDArray[np.bool_]]]:
        for array, names, boxes in (
            (self.pair.prediction, predicted, self.boxes[0]),
            (self.pair.truth, true, self.boxes[1]),
        ):
            for label in names:
                box = boxes[label]
                mask = array[box] == label
                if self.pair.ignored is not None:
                    mask &= ~self.pair.ignored[box]
                yield box, mask


def _find_boxes(
    labels: NDArray[Any], ignored: NDArray[np.bool_] | None
) -> dict[int, tuple[slice, ...]]:
    if ignored is not None:
        labels = np.where(ignored, 0, labels)
    values, index = renumber(labels)
    found = find_objects(index + 1)
    return {int(v): box for v, box in zip(values, found, strict=True) if v != 0 and box is not None}


def _unite(
    parts: Sequence[tuple[tuple[slice, ...], NDArray[np.bool_]]],
) -> tuple[tuple[slice, ...], NDArray[np.bool_]]:
    """The box around masks, and all of them in it."""
    ndim = len(parts[0][0])
    start = [min(box[i].start for box, _ in parts) for i in range(ndim)]
    stop = [max(box[i].stop for box, _ in parts) for i in range(ndim)]
    mask = np.zeros([b - a for a, b in zip(start, stop, strict=True)], bool)
    for box, part in parts:
        inside = tuple(slice(s.start - a, s.stop - a) for s, a in zip(box, start, strict=True))
        mask[inside] |= part
    return tuple(slice(a, b) for a, b in zip(start, stop, strict=True)), mask
