"""A part of an image: ranges of its axes, and an outline in its planes."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import InputError
from napari_unet.image.source import ImageSource

Range = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Roi:
    """Ranges of pixels, first and one past the last; None: the whole axis.

    Attributes
    ----------
    t, z, y, x : tuple of int or None
        Ranges. One of an axis that the image has not is ignored.
    inside : (Y, X) bool array or None
        Of the size of the ranges y and x: the pixels inside an outline. Outside there are
        no labels. None: all of them.

    Examples
    --------
    >>> Roi(y=(10, 20)).y
    (10, 20)
    """

    t: Range | None = None
    z: Range | None = None
    y: Range | None = None
    x: Range | None = None
    inside: NDArray[np.bool_] | None = None

    def coarsened(self, factors: Mapping[str, float], sizes: Mapping[str, int]) -> Roi:
        """The same part on a coarser level of the image.

        Parameters
        ----------
        factors : mapping of str to float
            Fine pixels per coarse one, by axis of TZYX; 1 where none is given.
        sizes : mapping of str to int
            Length of the axes on the coarser level.

        Examples
        --------
        >>> Roi(y=(10, 21)).coarsened({"Y": 2.0}, {"Y": 50}).y
        (5, 11)
        """
        found: dict[str, Range | None] = {}
        for axis, part in zip("tzyx", (self.t, self.z, self.y, self.x), strict=True):
            factor, size = factors.get(axis.upper(), 1), sizes.get(axis.upper(), 1)
            found[axis] = part and (
                min(math.floor(part[0] / factor), size - 1),
                min(math.ceil(part[1] / factor), size),
            )
        inside = self.inside
        y, x = found["y"], found["x"]
        if inside is not None and self.y and self.x and y and x:
            # a coarse pixel lies inside where its centre does
            rows = (np.arange(*y) + 0.5) * factors.get("Y", 1) - self.y[0]
            columns = (np.arange(*x) + 0.5) * factors.get("X", 1) - self.x[0]
            at = np.ix_(
                np.clip(rows.astype(int), 0, inside.shape[0] - 1),
                np.clip(columns.astype(int), 0, inside.shape[1] - 1),
            )
            inside = inside[at]
        return Roi(**found, inside=inside)

    def of(self, source: ImageSource) -> Mapping[str, slice]:
        """The part of an image that is meant, as a slice of each axis of TZYX.

        Raises
        ------
        InputError
            If a range is empty or reaches beyond the image, or the outline has another size.
        """
        found: dict[str, slice] = {}
        for axis, part in zip("TZYX", (self.t, self.z, self.y, self.x), strict=True):
            size = source.size(axis)
            start, stop = (0, size) if part is None or axis not in source.axes else part
            if not 0 <= start < stop <= size:
                raise InputError(
                    f"The range {start} to {stop} of axis {axis} is not a part of 0 to {size}",
                    "choose a region that lies on the image",
                    parameter="region",
                    value=(start, stop),
                )
            found[axis] = slice(start, stop)
        if self.inside is not None:
            shape = tuple(found[axis].stop - found[axis].start for axis in "YX")
            if self.inside.shape != shape:
                raise InputError(
                    f"The outline has the shape {self.inside.shape}, its range {shape}",
                    "give a mask of the size of the ranges y and x",
                    parameter="region",
                )
        return found


def pack_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """A mask for a run record: its shape, and base64 of its zlib-compressed bits.

    >>> pack_mask(np.ones((2, 3), bool))["shape"]
    [2, 3]
    """
    bits = zlib.compress(np.packbits(mask).tobytes())
    return {"shape": list(mask.shape), "bits": base64.b64encode(bits).decode("ascii")}


def unpack_mask(packed: Mapping[str, Any]) -> NDArray[np.bool_]:
    """The mask that `pack_mask` packed.

    Raises
    ------
    InputError
        If the record is damaged.

    Examples
    --------
    >>> unpack_mask(pack_mask(np.array([[True, False]]))).tolist()
    [[True, False]]
    """
    try:
        shape = tuple(int(n) for n in packed["shape"])
        bits = np.frombuffer(zlib.decompress(base64.b64decode(packed["bits"])), np.uint8)
        mask = np.unpackbits(bits, count=math.prod(shape)).reshape(shape)
    except (KeyError, TypeError, ValueError, zlib.error):
        raise InputError(
            "The outline in the run record cannot be read", "predict the region again"
        ) from None
    return mask.astype(bool)
