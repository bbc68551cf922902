"""The pixels around an object, as an edit sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.correction.change import Change, Window
from napari_unet.correction.window import Near, check_label, object_window

ONLY_ZERO = (0,)


@dataclass(frozen=True, eq=False)
class Excerpt:
    """A copy of a window of labels.

    Attributes
    ----------
    window : tuple of slice
        One per axis of the labels.
    pixels : ([Z,] Y, X) int array
        Without the axes of the frame.
    background : sequence of int
        The values that stand for no object.
    """

    window: Window
    pixels: NDArray[Any]
    background: Sequence[int] = ONLY_ZERO

    @property
    def free(self) -> NDArray[np.bool_]:
        """The pixels that belong to no object."""
        return np.isin(self.pixels, self.background)

    @property
    def spatial_window(self) -> Window:
        """The window without the axes of the frame."""
        return self.window[len(self.window) - self.pixels.ndim :]

    def reshape(self, label: int, mask: NDArray[np.bool_]) -> Change:
        """Give an object the pixels of a mask, as far as they belong to no other object."""
        new = self.pixels.copy()
        new[(self.pixels == label) & ~mask] = self.background[0]
        new[mask & self.free] = label
        return self.replace(new)

    def replace(self, new: NDArray[Any]) -> Change:
        """The change to new pixels of the window."""
        shape = tuple(part.stop - part.start for part in self.window)
        return Change.between(self.window, self.pixels.reshape(shape), new.reshape(shape))


def read_excerpt(
    labels: Any, window: Window, frame: Sequence[int], background: Sequence[int] = ONLY_ZERO
) -> Excerpt:
    """Copy a window of labels."""
    pixels = np.array(labels[window])
    return Excerpt(window, pixels.reshape(pixels.shape[len(frame) :]), tuple(background))


def read_object(
    labels: Any,
    label: int,
    *,
    near: Near | None,
    frame: Sequence[int],
    background: Sequence[int] = ONLY_ZERO,
    margin: int = 0,
) -> Excerpt:
    """Copy the window of an object; see `object_window`.

    Raises
    ------
    InputError
        If there is no such object, or its number stands for the background.
    """
    check_label(labels, label, background)
    window = object_window(labels, label, near=near, frame=frame, margin=margin)
    return read_excerpt(labels, window, frame, background)
