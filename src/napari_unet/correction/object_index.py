"""Where the objects of labels lie: a box for each, found in one reading of all of them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from scipy import ndimage

from napari_unet.correction.blocks import read_blocks
from napari_unet.correction.change import Window
from napari_unet.correction.window import join_windows
from napari_unet.renumbering import renumber


class ObjectIndex:
    """Boxes that hold all pieces of each object.

    A box may be larger than its object by now: edits only widen boxes.

    Attributes
    ----------
    largest : int
        The largest label that was seen.
    is_complete : bool
        Whether all of the labels were read.

    Examples
    --------
    >>> index = ObjectIndex()
    >>> for _ in index.read(np.array([[4, 0, 0, 4]])):
    ...     pass
    >>> index.box(4), index.largest
    ((slice(0, 1, None), slice(0, 4, None)), 4)
    """

    def __init__(self) -> None:
        self._boxes: dict[int, Window] = {}
        self.largest = 0
        self.is_complete = False

    def read(self, labels: Any) -> Generator[float, None, None]:
        """Read all of the labels; yields the part that is done, after each block."""
        region = tuple(slice(0, int(size)) for size in labels.shape)
        total = max(int(np.prod(labels.shape)), 1)
        done = 0
        for window, pixels in read_blocks(labels, region):
            values, numbers = renumber(pixels.clip(0))
            boxes = ndimage.find_objects(numbers.astype(np.int32) + 1)
            for value, box in zip(values.tolist(), boxes, strict=True):
                if value > 0 and box is not None:
                    self.include(
                        value,
                        tuple(
                            slice(outer.start + part.start, outer.start + part.stop)
                            for outer, part in zip(window, box, strict=True)
                        ),
                    )
            done += pixels.size
            yield done / total
        self.is_complete = True

    def include(self, label: int, window: Window) -> None:
        """Note that a window has pixels of an object."""
        known = self._boxes.get(label)
        self._boxes[label] = window if known is None else join_windows(known, window)
        self.largest = max(self.largest, label)

    def box(self, label: int) -> Window | None:
        """A box that holds all pieces of an object; None while that is not known."""
        return self._boxes.get(label) if self.is_complete else None
