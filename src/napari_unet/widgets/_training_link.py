"""What a dock and the training in its worker thread tell each other."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_unet.widgets._training_view import TrainingView

if TYPE_CHECKING:
    from napari_unet.examples import Example
    from napari_unet.training_session import TrainingSession
    from napari_unet.training_step import TrainStep

PATIENCE = 12  # the training works that many times as long as a preview took, before the next


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


class TrainingLink:
    """Wishes of the dock, and what the training tells; safe between two threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: deque[TrainStep | Previewed] = deque()
        self._view: TrainingView | None = None
        self._free_at = 0.0
        self._examples: Sequence[Example] | None = None
        self._stop = self._cancel = self._left = False
        self._session: TrainingSession | None = None  # that the worker is done with

    # of the dock

    def look(self, view: TrainingView | None) -> None:
        """Previews are to be of this; None: of nothing."""
        with self._lock:
            self._view = view

    def add(self, examples: Sequence[Example]) -> None:
        """Take the examples as they are now."""
        with self._lock:
            self._examples = examples

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

    def take(self) -> list[TrainStep | Previewed]:
        """What was told since the last time, in order."""
        found = []
        while self._told:
            found.append(self._told.popleft())
        return found

    # of the worker

    def tell(self, news: TrainStep | Previewed) -> None:
        """Let the dock know."""
        self._told.append(news)

    def hand_over(self, session: TrainingSession) -> None:
        """The worker is done with it: it is the dock's, or, where that has left, anybody's."""
        with self._lock:
            self._session, left = session, self._left
        if left:
            session.release()

    def take_examples(self) -> Sequence[Example] | None:
        """Examples to be taken in, once."""
        with self._lock:
            found, self._examples = self._examples, None
        return found

    def due_view(self) -> TrainingView | None:
        """The view to be shown now, if its time has come."""
        with self._lock:
            return self._view if time.monotonic() >= self._free_at else None

    def shown(self, seconds: float) -> None:
        """A view was shown, which took so long; the next may be after a multiple of that."""
        with self._lock:
            self._free_at = time.monotonic() + PATIENCE * seconds
