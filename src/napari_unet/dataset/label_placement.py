"""Where labels lie on the pixels of their image, and labels read at that place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import label_axes
from napari_unet.dataset.label_axes import arrange_labels

AXIS_WORDS = {"T": "time points", "Z": "planes", "Y": "rows", "X": "columns"}


@dataclass(frozen=True)
class LabelPlacement:
    """Labels on the pixels of an image.

    Attributes
    ----------
    axes : str
        Of the labels' array.
    image_axes : str
        Of the image's array.
    image_shape : tuple of int
        Of the image, without C.
    shape, offset : tuple of int
        Size of the labels along the same axes, and the pixel of the image on which their
        first one lies; it may be negative.
    image_level, label_level : int
        Of pyramids, on which both have the same pixels.
    is_declared : bool
        Whether anything says that they lie there: an equal size, or a place of their own.
    ratio : int
        How many times larger the one is than the other, where nothing says where they lie: it
        may be another level of a pyramid. 1 where there is no such doubt.
    """

    axes: str
    image_axes: str
    image_shape: tuple[int, ...]
    shape: tuple[int, ...]
    offset: tuple[int, ...]
    image_level: int = 0
    label_level: int = 0
    is_declared: bool = True
    ratio: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether they lie on all pixels of the image, and on no others."""
        return self.shape == self.image_shape and not any(self.offset)

    @property
    def part(self) -> tuple[slice, ...]:
        """The pixels of the image on which they lie."""
        return tuple(
            slice(max(0, first), min(size, first + length))
            for first, length, size in zip(self.offset, self.shape, self.image_shape, strict=True)
        )

    @property
    def share(self) -> float:
        """The share of the image on which they lie."""
        lengths = [each.stop - each.start for each in self.part]
        return float(np.prod([n / m for n, m in zip(lengths, self.image_shape, strict=True)]))

    def describe_part(self) -> str:
        """The pixels of the image on which they lie, in words.

        Examples
        --------
        >>> LabelPlacement("YX", "YX", (192, 240), (100, 240), (40, 0)).describe_part()
        'rows 40 to 139'
        """
        parts = [
            f"{AXIS_WORDS[axis]} {at.start} to {at.stop - 1}"
            if at.stop - at.start > 1
            else f"{AXIS_WORDS[axis][:-1]} {at.start}"
            for axis, at, size in zip(
                label_axes(self.image_axes), self.part, self.image_shape, strict=True
            )
            if (at.start, at.stop) != (0, size)
        ]
        return joined(parts)

    def place(self, labels: Any) -> Any:
        """Labels as an array of the image's pixels, less C; 0 beside them. Nothing is read.

        Parameters
        ----------
        labels : array-like
            Or a mask of their shape, of which axes may have length 1.
        """
        target, axes = label_axes(self.image_axes), self._axes_of(labels)
        arranged = labels if axes == target else arrange_labels(labels, axes, target)
        if self.is_whole:
            return arranged
        return PlacedArray(arranged, self)

    def place_region(self, region: Any, labels: Any) -> Any:
        """Where labels can be trusted, on the pixels of the image; beside them nothing is known.

        Parameters
        ----------
        region : str, array-like, or a tuple of these
            As `Example` takes it, on the labels' own pixels.
        labels : array-like
            The labels before they were placed; they are read for "planes" only.
        """
        if isinstance(region, tuple | list):
            return tuple(self.place_region(part, labels) for part in region)
        if isinstance(region, str):
            if region == "painted" or self.is_whole:
                return region
            shape = tuple(labels.shape)
            region = (
                _labelled_planes(labels, self._axes_of(labels))
                if region == "planes"
                else np.broadcast_to(np.True_, shape)
            )
        return self.place(region)

    def _axes_of(self, array: Any) -> str:
        """Axes of labels or of a mask, of which an axis C of length 1 may have been taken out."""
        return self.axes if len(array.shape) == len(self.axes) else label_axes(self.axes)


@dataclass(frozen=True, eq=False)
class PlacedArray:
    """An array that lies somewhere on the pixels of another one; 0 beside it.

    Nothing is copied before it is read, so that what is painted on the source is seen.

    Parameters
    ----------
    source : array-like
        Labels with the axes of the image less C, or a mask of them; where an axis of a mask
        has length 1 and the labels more, it is repeated.
    placement : LabelPlacement
        Where they lie.

    Examples
    --------
    >>> placement = LabelPlacement("YX", "YX", (3, 2), (2, 2), (1, -1))
    >>> PlacedArray(np.ones((2, 2), int), placement)[:, :].tolist()
    [[0, 0], [1, 0], [1, 0]]
    """

    source: Any
    placement: LabelPlacement

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the image, without C."""
        return self.placement.image_shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the source."""
        found: np.dtype[Any] = np.dtype(self.source.dtype)
        return found

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def _source(self) -> Any:
        """What holds the record of a run; see `napari_unet.io.record.find_record`."""
        return getattr(self.source, "_source", self.source)

    @property
    def path(self) -> Any:
        """The file of the source, if it has one."""
        return getattr(self.source, "path", getattr(self.source, "filename", None))

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """A part; the index has whole numbers, slices with step 1, and an ellipsis."""
        full = self._expand(index)
        ranges = [
            range(each, each + 1) if isinstance(each, int) else range(*each.indices(size))
            for each, size in zip(full, self.shape, strict=True)
        ]
        found = np.zeros([len(each) for each in ranges], self.dtype)
        starts = [
            max(each.start, first)
            for each, first in zip(ranges, self.placement.offset, strict=True)
        ]
        stops = [
            min(each.stop, first + length)
            for each, first, length in zip(
                ranges, self.placement.offset, self.placement.shape, strict=True
            )
        ]
        if all(a < b for a, b in zip(starts, stops, strict=True)):
            inner = tuple(
                slice(0, 1) if stored == 1 else slice(a - first, b - first)
                for a, b, first, stored in zip(
                    starts, stops, self.placement.offset, self.source.shape, strict=True
                )
            )
            outer = tuple(
                slice(a - each.start, b - each.start)
                for a, b, each in zip(starts, stops, ranges, strict=True)
            )
            found[outer] = np.asarray(self.source[inner])
        kept = tuple(0 if isinstance(each, int) else slice(None) for each in full)
        return np.asarray(found[kept])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All of it, for NumPy."""
        del copy  # what is read is new anyway
        return self[...] if dtype is None else self[...].astype(dtype)

    def _expand(self, index: Any) -> list[int | slice]:
        """An index or slice for each axis."""
        parts = list(index) if isinstance(index, tuple) else [index]
        if any(each is Ellipsis for each in parts):
            at = next(i for i, each in enumerate(parts) if each is Ellipsis)
            rest = self.ndim - len(parts) + 1
            parts[at : at + 1] = [slice(None)] * rest
        parts += [slice(None)] * (self.ndim - len(parts))
        full: list[int | slice] = []
        for each, size in zip(parts, self.shape, strict=True):
            if isinstance(each, slice):
                full.append(each)
                continue
            place = int(each) + (size if int(each) < 0 else 0)
            if not 0 <= place < size:
                raise IndexError(f"index {each} is out of bounds for an axis of length {size}")
            full.append(place)
        return full


def _labelled_planes(labels: Any, axes: str) -> NDArray[np.bool_]:
    """Planes that carry any label, with length 1 along Y and X."""
    stack = [n if a not in "YX" else 1 for a, n in zip(axes, labels.shape, strict=True)]
    found = np.zeros(stack, np.bool_)
    for place in np.ndindex(*stack):
        index = tuple(slice(None) if a in "YX" else i for a, i in zip(axes, place, strict=True))
        found[place] = bool(np.asarray(labels[index]).any())
    return found


def joined(words: Sequence[str]) -> str:
    """Words with commas and "and".

    >>> joined(["Z", "Y", "X"])
    'Z, Y and X'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
