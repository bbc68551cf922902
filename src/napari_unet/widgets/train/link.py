"""What a dock and the training in its worker thread tell each other."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_unet.widgets.train.view import TrainingView

if TYPE_CHECKING:
    from napari_unet.dataset.example import Example
    from napari_unet.recovery.training import TrainingSession
    from napari_unet.training.steps import TrainStep

TRAINING_PER_PREVIEW = 19  # time to train before the next preview, in times that the last one took


@dataclass(frozen=True, eq=False)
class Previewed:
    """Labels, or values, of a view.

    Attributes
    ----------
    view : TrainingView
        Of what.
    result : array
        With the axes of the image less C; values have the axis C.
    ndim : int
        Spatial axes of the network.
    early : bool
        Whether it says little yet.
    of_base : bool
        By the base model; else by the one that is trained.
    """

    view: TrainingView
    result: Any
    ndim: int
    early: bool = False
    of_base: bool = False


@dataclass(frozen=True, eq=False)
class Addition:
    """Labels that are to be taken in.

    Attributes
    ----------
    copy : callable
        Gives the examples as they are when it is called; in the worker, since it takes seconds
        of large stacks. Raises UNetError where they cannot be had.
    values : mapping
        What the form asks for, in plain values.
    """

    copy: Callable[[], Sequence[Example]]
    values: Mapping[str, Any]


class TrainingLink:
    """Wishes of the dock, and what the training tells; safe between two threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: deque[TrainStep | Previewed] = deque()
        self._view: TrainingView | None = None
        self._free_at = 0.0
        self._addition: Addition | None = None
        self._asked = self._taken = self._answered = 0  # additions, by their number
        self._stop = self._cancel = self._left = False
        self._session: TrainingSession | None = None  # that the worker is done with

    # of the dock

    def set_view(self, view: TrainingView | None) -> None:
        """Previews are to be of this; None: of nothing."""
        with self._lock:
            self._view = view

    def add(self, copy: Callable[[], Sequence[Example]], values: Mapping[str, Any]) -> None:
        """Take in labels; see `Addition`."""
        with self._lock:
            self._addition = Addition(copy, values)
            self._asked += 1

    def stop(self) -> None:
        """End with the best model so far."""
        with self._lock:
            self._stop = True

    def cancel(self) -> None:
        """End, and leave nothing."""
        with self._lock:
            self._cancel = True

    def leave(self) -> None:
        """Nobody listens any more: what there is of the training can be taken over."""
        with self._lock:
            self._left, session = True, self._session
        if session is not None:
            session.release()

    @property
    def cancelled(self) -> bool:
        """Whether nothing is to be left."""
        with self._lock:
            return self._cancel

    @property
    def stopping(self) -> bool:
        """Whether the training is asked to stop with the best model."""
        with self._lock:
            return self._stop

    @property
    def too_late(self) -> bool:
        """Whether labels were sent that the training neither took nor refused."""
        with self._lock:
            return self._answered < self._asked

    def take_news(self) -> list[TrainStep | Previewed]:
        """What was told since the last time, in order."""
        found = []
        while self._told:
            found.append(self._told.popleft())
        return found

    # of the worker

    def add_news(self, news: TrainStep | Previewed) -> None:
        """Let the dock know."""
        self._told.append(news)

    def hand_over(self, session: TrainingSession) -> None:
        """The worker is done with it: it is the dock's, or, where that has left, anybody's."""
        with self._lock:
            self._session, left = session, self._left
        if left:
            session.release()

    def take_addition(self) -> Addition | None:
        """What is to be taken in, once."""
        with self._lock:
            found, self._addition = self._addition, None
            self._taken = self._asked
        return found

    def answer(self) -> None:
        """What was taken last has been accepted or refused."""
        with self._lock:
            self._answered = self._taken

    def due_view(self) -> TrainingView | None:
        """The view to be shown now, if its time has come."""
        with self._lock:
            return self._view if time.monotonic() >= self._free_at else None

    def shown(self, seconds: float) -> None:
        """A view was shown, which took so long; the next may be after a multiple of that."""
        with self._lock:
            self._free_at = time.monotonic() + TRAINING_PER_PREVIEW * seconds
