"""Looking at the examples of a training in the background, whenever they change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer

from napari_unet.errors import UNetError
from napari_unet.progress import Progress
from napari_unet.widgets.qt.job import JobRunner, Outcome

if TYPE_CHECKING:
    from napari_unet.checks import Finding
    from napari_unet.dataset.example import Example
    from napari_unet.dataset.labelled_image import LabelledImage
    from napari_unet.widgets.train.request import TrainingRequest

CHECK_DELAY_MS = 400  # without a change, before the examples are checked
MOST_VALUES = 256  # more of them are objects or intensities


@dataclass(frozen=True, eq=False)
class Checked:
    """What was found.

    Attributes
    ----------
    request : TrainingRequest
        What was looked at.
    findings : list of Finding
        Faults, then doubts.
    values : tuple of set of int
        For each example, the labels that are known of it; empty sets where they are no
        classes.
    """

    request: TrainingRequest
    findings: list[Finding]
    values: tuple[set[int], ...]


class FindingsRunner:
    """Looks at a request some time after the last change, in a worker thread.

    One look at a time: what changes meanwhile is looked at when it has ended, and what it
    found is not told any more.

    Parameters
    ----------
    parent : QObject
        Whose life the timer shares.
    on_checked : callable
        Called with `Checked`.
    """

    def __init__(self, parent: QObject, on_checked: Callable[[Checked], None]) -> None:
        self._on_checked = on_checked
        self._next: TrainingRequest | None = None
        self._is_stale = False
        self._taken_back = threading.Event()  # of the present look
        self._held = False
        self._runner = JobRunner(lambda _: None, self._ended)
        self._pause = QTimer(parent)
        self._pause.setSingleShot(True)
        self._pause.setInterval(CHECK_DELAY_MS)
        self._pause.timeout.connect(self._start)

    @property
    def running(self) -> bool:
        """Whether there is something to be looked at yet."""
        return self._next is not None or self._runner.running

    def check(self, request: TrainingRequest | None) -> None:
        """Look at this, and not at anything earlier; None: at nothing."""
        self._next = request
        self._is_stale = True
        self._taken_back.set()
        if request is None or self._held:
            self._pause.stop()
        else:
            self._pause.start()

    def hold(self, *, held: bool) -> None:
        """Let everything wait, as while a training needs the processor."""
        self._held = held
        if held:
            self._pause.stop()
        elif self._next is not None:
            self._pause.start()

    def drop(self) -> None:
        """Hear no more of anything."""
        self._pause.stop()
        self._next = None
        self._taken_back.set()
        self._runner.drop()

    def _start(self) -> None:
        if self._next is None or self._runner.running:
            return
        request, self._next, self._is_stale = self._next, None, False
        taken_back = self._taken_back = threading.Event()
        self._runner.start(lambda: _check(request, taken_back), "")

    def _ended(self, outcome: Outcome) -> None:
        is_stale = self._is_stale
        if self._next is not None and not self._pause.isActive() and not self._held:
            self._start()
        if outcome.result is not None and not is_stale:
            self._on_checked(outcome.result)


class _TakenBackError(BaseException):
    """Ends a look at once: no check takes it for a fault of the labels."""


class _Labels:
    """Labels that nobody goes on reading after what they belong to was taken back."""

    def __init__(self, labels: Any, taken_back: threading.Event) -> None:
        self._source, self._taken_back = labels, taken_back
        self.shape, self.dtype, self.ndim = labels.shape, labels.dtype, labels.ndim
        self.chunks = getattr(labels, "chunks", None)
        for name in ("placement", "correction"):  # which checks tell of
            setattr(self, name, getattr(labels, name, None))

    def __getitem__(self, index: Any) -> Any:
        if self._taken_back.is_set():
            raise _TakenBackError
        return self._source[index]


def _check(
    request: TrainingRequest, taken_back: threading.Event
) -> Generator[Progress, None, Checked | None]:
    from napari_unet.checks import check_examples

    yield Progress(0, 2, "looking")
    task = request.config.task
    examples = request.examples(copy=False)
    if task != "regression":
        examples = [replace(e, labels=_Labels(e.labels, taken_back)) for e in examples]
    # without the names that the form gives by itself: they would say that classes are meant
    config = request.config.model_copy(update={"classes": ()})
    try:
        values = tuple(_values(each) if task == "semantic" else set() for each in examples)
        yield Progress(1, 2, "looking")
        return Checked(request, check_examples(examples, base=request.base, config=config), values)
    except _TakenBackError:
        return None


def _values(example: Example) -> set[int]:
    from napari_unet.dataset.labelled_image import open_example

    try:
        opened = open_example(example, ndim=2, in_channels=None, task="semantic")
    except UNetError:
        return set()  # the checks tell of it
    return known_values(opened)


def known_values(labelled: LabelledImage) -> set[int]:
    """The label values that are known of an example; empty if they are more than classes.

    Parameters
    ----------
    labelled : LabelledImage
        The example, opened.
    """
    found: set[int] = set()
    for time in labelled.times:
        for slab in labelled.slabs():
            labels, known = labelled.read_labels(time, slab)
            found |= _distinct(labels[0][known])
            if len(found) > MOST_VALUES:
                return set()
    return found


def _distinct(values: NDArray[Any]) -> set[int]:
    """Distinct values; small ones are counted, which is faster than sorting.

    >>> sorted(_distinct(np.array([3, 0, 3], np.uint8)))
    [0, 3]
    """
    if not values.size:
        return set()
    if values.min() >= 0 and values.max() < 1 << 16:
        return {int(value) for value in np.flatnonzero(np.bincount(values.astype(np.intp)))}
    return {int(value) for value in np.unique(values)}
