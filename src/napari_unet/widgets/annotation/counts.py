"""Counts of labelled pixels, objects and classes, kept up to date in the background."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_unet.progress import Progress
from napari_unet.recovery.arrays import size_bytes
from napari_unet.renumbering import count_pixels, sum_by_value
from napari_unet.widgets.annotation.layer_watch import watch_layer
from napari_unet.widgets.annotation.marks import (
    Plane,
    marks_for,
    plane_count,
    plane_index,
)
from napari_unet.widgets.qt.job import JobRunner, Outcome
from napari_unet.widgets.viewer.layer_image import level_of

if TYPE_CHECKING:
    from napari.layers import Labels

COUNT_DELAY_MS = 200  # after the last change
WHOLE_COUNT_BYTES = 1 << 31  # of larger labels only planes that were worked on are counted
SCANNED_BYTES = 1 << 26  # scanned after a change that does not say where
SLAB_PIXELS = 1 << 22  # counted between two steps


@dataclass(frozen=True, eq=False)
class Tally:
    """What stands in a plane, or in all.

    Attributes
    ----------
    values, pixels : (N,) int arrays
        The labels but 0, ascending, and how many pixels each has.
    digest : int
        A checksum of the plane.
    """

    values: NDArray[np.int64]
    pixels: NDArray[np.int64]
    digest: int = 0


@dataclass(frozen=True, eq=False)
class Counts:
    """What was painted.

    Attributes
    ----------
    values, pixels : (N,) int arrays
        The labels but 0, ascending, and how many pixels each has.
    background : int or None
        The label that means background.
    done, planes : int
        How many planes are done, of how many.
    complete : bool
        False for labels so large that only the planes that were edited are counted.
    """

    values: NDArray[np.int64]
    pixels: NDArray[np.int64]
    background: int | None
    done: int
    planes: int
    complete: bool = True

    @cached_property
    def painted(self) -> int:
        """Pixels that have a label."""
        return int(self.pixels.sum())

    @cached_property
    def objects(self) -> int:
        """Labels that are not the background."""
        return int(np.count_nonzero(self.values != self.background))

    @property
    def by_value(self) -> dict[int, int]:
        """Pixels of each label."""
        return dict(zip(self.values.tolist(), self.pixels.tolist(), strict=True))

    def describe(self, *, classes: bool = False, names: dict[int, str] | None = None) -> str:
        """In words.

        >>> counts = Counts(np.array([1, 9]), np.array([1200, 40]), 9, 0, 1)
        >>> counts.describe()
        '1240 pixels labelled, 1 object'
        >>> counts.describe(classes=True, names={1: "cell"})
        '1240 pixels labelled: cell (1200), background (40)'
        """
        if not self.painted:
            return "Nothing is painted yet" if self.complete else "Nothing was painted here yet"
        text = f"{self.painted} pixel{'s' * (self.painted != 1)} labelled"
        if not self.complete:
            text += " in the planes that were worked on"
        if classes:
            names = names or {}
            kinds = [
                f"{'background' if v == self.background else names.get(v, f'label {v}')} ({n})"
                for v, n in list(self.by_value.items())[:LISTED_CLASSES]
            ]
            return f"{text}: {', '.join(kinds)}{', …' * (len(self.values) > LISTED_CLASSES)}"
        return f"{text}, {self.objects} object{'s' * (self.objects != 1)}"


LISTED_CLASSES = 12  # classes that are listed


@dataclass
class _Seen:
    """What was counted so far; handed from one job to the next."""

    planes: dict[Plane, Tally] = field(default_factory=dict)
    total: Tally | None = None
    next: int = 0  # plane from which the next look goes on


class LabelCounts:
    """Counts a layer in a worker thread, and again the planes in which something changed.

    Strokes, fills, undo, redo and replaced data emit events; what a script writes into the
    data is found by scanning some planes after each refresh of the layer.

    Parameters
    ----------
    layer : Labels
        Painted labels.
    on_change : callable
        Called when other counts are there, and when other planes are done.
    """

    def __init__(self, layer: Labels, on_change: Callable[[], None]) -> None:
        self.layer = layer
        self._on_change = on_change
        self._axes = marks_for(layer).axes
        self._seen = _Seen()
        self._data: Any = None
        self._touched: set[Plane] = set()
        self._anew = True
        self._look = False
        self._runner = JobRunner(lambda _: None, self._counted)
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(COUNT_DELAY_MS)
        self._timer.timeout.connect(self._start)
        self._watch = watch_layer(layer)
        self._watch.touched.connect(self._changed)
        self._watch.marked.connect(self._marked)
        self._timer.start()

    @property
    def counting(self) -> bool:
        """Whether newer counts are to come."""
        return self._runner.running or self._timer.isActive()

    @property
    def counts(self) -> Counts | None:
        """The newest; None until the first are there."""
        total = self._seen.total
        if total is None:
            return None
        marks, size = marks_for(self.layer), plane_count(self.layer, self._axes)
        done = sum(t < size[0] and z < size[1] for t, z in marks.done)
        complete = size_bytes(level_of(self.layer)) <= WHOLE_COUNT_BYTES
        return Counts(
            total.values, total.pixels, marks.background, done, size[0] * size[1], complete
        )

    def close(self) -> None:
        """Stop counting."""
        self._timer.stop()
        self._runner.drop()
        self._watch.touched.disconnect(self._changed)
        self._watch.marked.disconnect(self._marked)

    def _marked(self) -> None:
        axes = marks_for(self.layer).axes
        if axes != self._axes:
            self._axes = axes
            self._changed(None)  # its planes are others now
        self._on_change()

    def _changed(self, planes: set[Plane] | None) -> None:
        if planes is None:
            self._anew = True
        else:
            self._touched |= planes
            self._look = True
        if not self._timer.isActive():  # else continuous painting would postpone the count for ever
            self._timer.start()

    def _start(self) -> None:
        if self._runner.running:
            return  # what it ends with starts the next
        labels = level_of(self.layer)
        if self._anew or self._data is not labels:
            self._seen, self._data = _Seen(), labels
        planes, look = self._touched, self._look
        anew, self._anew, self._touched, self._look = self._anew, False, set(), False
        axes, seen = self._axes, self._seen
        whole = anew and size_bytes(labels) <= WHOLE_COUNT_BYTES
        self._runner.start(lambda: _count(labels, axes, seen, planes, whole=whole, look=look), "")

    def _counted(self, outcome: Outcome) -> None:
        if outcome.result is not None and not self._anew:
            before, self._seen = self._seen.total, outcome.result
            if not _equal(before, self._seen.total):
                self._on_change()
        if self._touched or self._anew or self._look:
            self._timer.start()


def _count(
    labels: Any, axes: str, seen: _Seen, planes: Iterable[Plane], *, whole: bool, look: bool
) -> Generator[Progress, None, _Seen]:
    """Count planes: those given, all, or also the next few that may have changed unheard."""
    sizes = dict(zip(axes, labels.shape, strict=True))
    every = list(product(range(sizes.get("T", 1)), range(sizes.get("Z", 1))))
    bounds = sizes.get("T", 1), sizes.get("Z", 1)
    wanted = {p: None for p in planes if p[0] < bounds[0] and p[1] < bounds[1]}
    start = seen.next
    if whole:
        wanted = dict.fromkeys(every)
    elif look and len(every) <= size_bytes(labels):
        few = min(len(every), max(1, SCANNED_BYTES * len(every) // max(1, size_bytes(labels))))
        wanted |= dict.fromkeys(every[(start + i) % len(every)] for i in range(few))
        start = (start + few) % len(every)
    known = dict(seen.planes)
    changed = seen.total is None
    for i, plane in enumerate(wanted):
        yield Progress(i, len(wanted), "counting")
        tally = yield from _tally(labels, plane_index(axes, plane), known.get(plane))
        if tally is not known.get(plane):
            changed = True
            known.pop(plane, None)
            if tally is not None:
                known[plane] = tally
    total = _merge(known.values()) if changed else seen.total
    return _Seen(known, total, start)


def _tally(
    labels: Any, index: tuple[Any, ...], before: Tally | None
) -> Generator[Progress, None, Tally | None]:
    """Count a plane; the same as before where nothing changed, None where it is empty."""
    plane = np.asarray(labels[index])
    rows = max(1, SLAB_PIXELS // max(1, plane.shape[1]))
    parts = [plane[i : i + rows] for i in range(0, len(plane), rows)]
    digest, painted = 0, False
    for part in parts:
        yield Progress(0, 1, "counting")
        if part.any():
            painted = True
            digest = zlib.crc32(np.ascontiguousarray(part).data, digest)
        else:
            digest = zlib.crc32(b"0", digest)
    if not painted:
        return None
    if before is not None and before.digest == digest:
        return before
    tallies = []
    for part in parts:
        yield Progress(0, 1, "counting")
        tallies.append(_nonzero(*count_pixels(part)))
    merged = _merge(tallies)
    return Tally(merged.values, merged.pixels, digest)


def _merge(tallies: Iterable[Tally]) -> Tally:
    every = list(tallies)
    if not every:
        return Tally(np.zeros(0, np.int64), np.zeros(0, np.int64))
    return _nonzero(
        *sum_by_value(
            np.concatenate([tally.values for tally in every]),
            np.concatenate([tally.pixels for tally in every]),
        )
    )


def _nonzero(values: NDArray[Any], pixels: NDArray[np.int64]) -> Tally:
    return Tally(values[values != 0].astype(np.int64), pixels[values != 0])


def _equal(a: Tally | None, b: Tally | None) -> bool:
    if a is None or b is None:
        return a is b
    same = np.array_equal(a.values, b.values) and np.array_equal(a.pixels, b.pixels)
    return bool(same)
