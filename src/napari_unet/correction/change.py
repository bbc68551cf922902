"""A change of a window of labels, with the pixels before and after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import InputError

Window = tuple[slice, ...]
"""A slice with start and stop for each axis of an array."""


@dataclass(frozen=True, eq=False)
class Change:
    """What an edit does to labels; nothing is written before `apply`.

    A change is false where no pixel changes.

    Attributes
    ----------
    window : tuple of slice
        One per axis of the labels, just large enough for all pixels that change.
    old, new : int array
        All pixels of the window before and after, in the dtype of the labels.

    Examples
    --------
    >>> labels = np.array([0, 3, 3, 0])
    >>> change = Change.between((slice(0, 4),), labels, np.array([0, 3, 4, 0]))
    >>> change.apply(labels)
    >>> labels.tolist()
    [0, 3, 4, 0]
    >>> change.revert(labels)
    >>> labels.tolist(), change.window
    ([0, 3, 3, 0], (slice(2, 3, None),))
    """

    window: Window
    old: NDArray[Any]
    new: NDArray[Any]

    @classmethod
    def between(cls, window: Window, old: NDArray[Any], new: NDArray[Any]) -> Change:
        """The change from the old pixels of a window to the new ones, cut to what differs."""
        inner = bounding_box(old != new)
        if inner is None:
            inner = (slice(0, 0),) * old.ndim
        trimmed = tuple(
            slice(outer.start + part.start, outer.start + part.stop)
            for outer, part in zip(window, inner, strict=True)
        )
        return cls(trimmed, old[inner].copy(), new[inner].copy())

    def __bool__(self) -> bool:
        return self.old.size > 0

    @property
    def changed(self) -> NDArray[np.bool_]:
        """The pixels of the window that change."""
        found: NDArray[np.bool_] = self.old != self.new
        return found

    @property
    def old_ids(self) -> list[int]:
        """The values that pixels lose, ascending."""
        return [int(value) for value in np.unique(self.old[self.changed])]

    @property
    def new_ids(self) -> list[int]:
        """The values that pixels get, ascending."""
        return [int(value) for value in np.unique(self.new[self.changed])]

    def indices(self) -> tuple[NDArray[np.int64], ...]:
        """Where pixels change: an index array per axis of the labels, as `numpy.nonzero`.

        ``change.old[change.changed]`` and ``change.new[change.changed]`` are in this order.
        """
        found = np.nonzero(self.changed)
        return tuple(index + part.start for index, part in zip(found, self.window, strict=True))

    def apply(self, labels: Any) -> None:
        """Write the new pixels into the labels.

        Parameters
        ----------
        labels : int array
            Anything that is read and written by slices, such as NumPy or zarr arrays.

        Raises
        ------
        InputError
            If a pixel that changes is not what it was; nothing is written then.
        """
        self._write(labels, self.old, self.new)

    def revert(self, labels: Any) -> None:
        """Write the old pixels back; see `apply`."""
        self._write(labels, self.new, self.old)

    def _write(self, labels: Any, present: NDArray[Any], wanted: NDArray[Any]) -> None:
        if not self:
            return
        changed = self.changed
        pixels = np.array(labels[self.window])
        if (
            pixels.shape != present.shape
            or pixels.dtype != present.dtype
            or (pixels[changed] != present[changed]).any()
        ):
            raise InputError(
                "The labels were changed since at the place of this edit",
                "undo the later edits first",
                parameter="labels",
                code="labels-changed",
            )
        pixels[changed] = wanted[changed]
        labels[self.window] = pixels


def bounding_box(mask: NDArray[np.bool_]) -> Window | None:
    """The smallest window that holds all true pixels; None: there are none.

    >>> bounding_box(np.array([[False, True, True]]))
    (slice(0, 1, None), slice(1, 3, None))
    """
    found = []
    for axis in range(mask.ndim):
        hits = np.flatnonzero(mask.any(axis=tuple(i for i in range(mask.ndim) if i != axis)))
        if hits.size == 0:
            return None
        found.append(slice(int(hits[0]), int(hits[-1]) + 1))
    return tuple(found)
