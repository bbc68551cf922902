"""From painted labels to what training takes: labels, and where they can be trusted."""

from __future__ import annotations

import math
import mmap
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_unet.dataset.seen_region import find_seen_region
from napari_unet.errors import InputError
from napari_unet.image.roi import unpack_mask
from napari_unet.widgets.annotation.marks import (
    Marks,
    Plane,
    marks_for,
    plane_count,
    plane_index,
)
from napari_unet.widgets.viewer.layer_image import level_of
from napari_unet.widgets.viewer.placement import lift
from napari_unet.widgets.viewer.shapes import AREAS, corners, fill, has_area, in_pixels

if TYPE_CHECKING:
    from napari.layers import Labels, Shapes


TILT_PIXELS = 0.5  # pixels that the corners of an area may differ by across its plane


LINUX_MAP_NORESERVE = 0x4000  # of MAP_NORESERVE, which Python names from 3.13 on


def mask_of_shapes(shapes: Shapes, layer: Labels, axes: str) -> NDArray[np.bool_]:
    """The pixels of labels whose centres lie inside the areas of a Shapes layer.

    An area of a layer that has the axis T or Z lies in one time point or plane; of a layer
    that has not, it holds for all. The layers may have different transforms.

    Parameters
    ----------
    shapes : Shapes
        What was drawn.
    layer : Labels
        On what.
    axes : str
        Of the labels.

    Returns
    -------
    bool array
        With the axes of the labels; of length 1 along T or Z where all are meant.

    Raises
    ------
    InputError
        If there is no area, none that covers a pixel, or one across planes.

    Examples
    --------
    >>> from napari.layers import Labels, Shapes
    >>> box = Shapes([[4, 1, 1], [4, 1, 3], [4, 3, 3], [4, 3, 1]], shape_type="rectangle")
    >>> mask = mask_of_shapes(box, Labels(np.zeros((9, 5, 5), int)), "ZYX")
    >>> mask.shape, int(mask[4].sum()), int(mask.sum())
    ((9, 5, 5), 4, 4)
    """
    if not has_area(shapes):
        raise InputError(
            f"The layer ‘{shapes.name}’ has no area", "draw a rectangle, an ellipse or a polygon"
        )
    sizes = dict(zip(axes, (int(n) for n in level_of(layer).shape), strict=True))
    shared = min(shapes.ndim, layer.ndim)  # layers are aligned at the last axes
    fixed = [a for i, a in enumerate(axes) if a in "TZ" and i >= layer.ndim - shared]
    mask = blank([n if a in "YX" or a in fixed else 1 for a, n in sizes.items()], np.bool_)
    flipped = axes.index("X") < axes.index("Y")
    for vertices, kind in zip(shapes.data, shapes.shape_type, strict=True):
        if kind not in AREAS:
            continue
        pixels = in_pixels(corners(vertices, kind), shapes, layer, axes)
        plane = _plane(pixels, axes, fixed, shapes, layer)
        if any(not 0 <= place < sizes[a] for a, place in plane.items()):
            continue
        area = pixels[:, [axes.index("Y"), axes.index("X")]]
        inside = fill(area, (sizes["Y"], sizes["X"]))
        index = tuple(slice(None) if a in "YX" else plane.get(a, 0) for a in axes)
        mask[index] |= inside.T if flipped else inside
    if not mask.any():
        raise InputError(
            f"The areas of the layer ‘{shapes.name}’ cover no pixel of ‘{layer.name}’",
            "draw on the labels, or choose another region",
        )
    return mask


def _plane(
    pixels: NDArray[Any], axes: str, fixed: Sequence[str], shapes: Shapes, layer: Labels
) -> dict[str, int]:
    """The time point and z in which an area was drawn."""
    found = {}
    for axis in fixed:
        along = pixels[:, axes.index(axis)]
        if np.ptp(along) > TILT_PIXELS:
            raise InputError(
                f"An area of the layer ‘{shapes.name}’ lies across the planes of ‘{layer.name}’",
                "draw areas while rows and columns are shown",
            )
        found[axis] = round(float(along.mean()))
    return found


def blank(shape: Sequence[int], dtype: DTypeLike = np.int32) -> NDArray[Any]:
    """Zeros, of which the system gives each page when it is written to.

    Parameters
    ----------
    shape : sequence of int
        May be larger than the memory where the system lets it.
    dtype : dtype
        Of integers.

    Raises
    ------
    InputError
        If the system does not promise so much.

    Examples
    --------
    >>> int(blank((2, 3)).sum())
    0
    """
    try:
        return np.zeros(tuple(shape), dtype)
    except MemoryError:
        pass
    size = math.prod(shape) * np.dtype(dtype).itemsize
    unreserved = getattr(
        mmap, "MAP_NORESERVE", LINUX_MAP_NORESERVE if sys.platform == "linux" else 0
    )
    if unreserved:
        try:
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | unreserved
            return np.frombuffer(mmap.mmap(-1, size, flags=flags), dtype).reshape(tuple(shape))
        except (OSError, ValueError, OverflowError):
            pass
    raise InputError(
        f"Labels of shape {tuple(shape)} need {size / 1e9:.0f} GB, more than the system gives",
        "crop the image first",
    )


Known = tuple[Any, Any, int | None]  # labels, region, background, as `Example` takes them


@dataclass(frozen=True, eq=False)
class Trusted:
    """Labels of a layer and where they count; arrays and values only, so any thread may copy.

    Attributes
    ----------
    labels : array-like
        Those of the layer itself: they change while somebody paints. They have no axis C.
    marks : Marks
        Of the layer, with the axes of ``labels``.
    way : {"all", "planes", "painted", "seen", "mask"}
        Where labels can be trusted; "seen": objects that were accepted or corrected, and planes
        that are done.
    planes : tuple of (int, int)
        Time point and z of the planes that are done.
    mask : array or None
        Where the way is "mask"; and for done planes of labels that cover a part of the image.
    """

    labels: Any
    marks: Marks
    way: str
    planes: tuple[Plane, ...] = ()
    mask: NDArray[np.bool_] | None = None

    def live(self) -> Known:
        """Labels, region and background without a copy, to be looked at only.

        Labels outside of the region are there, and do not count.
        """
        if self.way == "seen":
            return self.labels, self._find_seen(self.labels), self.marks.background
        region: Any = self.way if self.way in ("all", "painted") else self.mask
        if self.way == "planes" and self.mask is None:
            region = self._mask_of(self.planes)
        return self.labels, region, self.marks.background

    def copy(self) -> Known:
        """Labels, region and background as they are now, however they change later.

        Labels outside of the region are 0. Memory is taken for planes with labels only.
        """
        axes, way = self.marks.axes, self.way
        labels = blank(self.labels.shape, self.labels.dtype)
        if way != "planes" or self.mask is not None:
            for plane in self._planes():
                index = plane_index(axes, plane)
                found = np.asarray(self.labels[index])
                # what was painted outside of a predicted part is known as well
                if way == "mask" and self.mask is not None:
                    found = np.where(self.mask[self._mask_index(plane)], found, 0)
                if found.any():
                    labels[index] = found
            if way == "seen":
                seen = self._find_seen(labels)
                for plane in self._planes():
                    index = plane_index(axes, plane)
                    if labels[index].any():
                        labels[index] = np.where(seen[index], labels[index], 0)
                return labels, seen, self.marks.background
            partly = way == "planes"
            region = (self.mask, "painted") if partly else self.mask if way == "mask" else way
            return labels, region, self.marks.background
        empty = []
        for plane in self.planes:
            index = plane_index(axes, plane)
            labels[index] = self.labels[index]
            if not labels[index].any():
                empty.append(plane)
        whole: Any = ("planes", self._mask_of(empty)) if empty else "planes"
        if not self.planes:
            whole = self._mask_of(())
        return labels, whole, self.marks.background

    def _find_seen(self, labels: Any) -> NDArray[np.bool_]:
        """Objects that were looked at with their surroundings, and planes that are done."""
        marks = self.marks
        found = find_seen_region(
            labels, marks.axes, marks.review, marks.predicted, marks.background
        )
        for plane in self.planes:
            index = plane_index(marks.axes, plane)
            found[index] |= True if self.mask is None else self.mask[index]
        return found

    def _planes(self) -> Iterator[Plane]:
        """The planes that may hold labels that count."""
        if self.way == "planes":
            yield from self.planes
            return
        sizes = dict(zip(self.marks.axes, self.labels.shape, strict=True))
        for plane in product(range(sizes.get("T", 1)), range(sizes.get("Z", 1))):
            if self.way != "mask" or self.mask is None or self.mask[self._mask_index(plane)].any():
                yield plane

    def _mask_index(self, plane: Plane) -> tuple[int | slice, ...]:
        """Where a plane stands in the mask, which may have axes of length 1."""
        assert self.mask is not None
        index = plane_index(self.marks.axes, plane)
        shape = self.mask.shape
        return tuple(
            0 if isinstance(i, int) and n == 1 else i for i, n in zip(index, shape, strict=True)
        )

    def _mask_of(self, planes: tuple[Plane, ...] | list[Plane]) -> NDArray[np.bool_]:
        """A mask of whole planes, with length 1 along Y and X."""
        axes = self.marks.axes
        sizes = zip(axes, self.labels.shape, strict=True)
        mask = np.zeros([n if a in "TZ" else 1 for a, n in sizes], np.bool_)
        for plane in planes:
            mask[plane_index(axes, plane)] = True
        return mask


def trusted(layer: Labels, way: str | Shapes) -> Trusted:
    """What of a layer counts; quick, and to be called in the thread of the viewer.

    Parameters
    ----------
    layer : Labels
        Painted labels.
    way : {"all", "planes", "painted", "seen"} or Shapes
        Everywhere; the planes that are marked as done; what was painted; these planes and the
        objects that were looked at; inside the areas of a Shapes layer.

    Raises
    ------
    InputError
        If a Shapes layer has no area that covers a pixel of the labels.
    """
    marks = marks_for(layer)
    labels, axes = lift(level_of(layer), marks.axes)
    drawn = mask_of_shapes(way, layer, marks.axes) if not isinstance(way, str) else None
    if marks.part is not None:
        part = tuple(p for a, p in zip(marks.axes, marks.part, strict=True) if a in axes)
        marks = replace(marks, part=part)
    before, marks = marks.axes, replace(marks, axes=axes)
    if drawn is not None:
        return Trusted(labels, marks, "mask", mask=lift(drawn, before)[0])
    assert isinstance(way, str)
    if way not in ("all", "planes", "painted", "seen"):
        raise InputError(
            f"{way!r} does not say where labels can be trusted",
            "choose everywhere, the planes that are done, what was painted or looked at, or a "
            "Shapes layer",
        )
    if way not in ("planes", "seen"):
        return Trusted(labels, marks, way)
    times, depth = plane_count(layer, before)
    done = tuple((t, z) for t, z in marks.done if t < times and z < depth)
    mask = None if marks.part is None else _mask_of_part(labels.shape, marks, done)
    return Trusted(labels, marks, way, done, mask)


def snapshot(layer: Labels, way: str | Shapes) -> Known:
    """Labels of a layer as they are now, and where they can be trusted.

    Parameters
    ----------
    layer, way
        As in `trusted`.

    Returns
    -------
    labels : integer array
        A copy with the axes of the layer but C. It takes memory only where there are labels.
    region : str, array or tuple
        As `napari_unet.Example` takes it. For "planes" those that are done: "planes", with a
        mask (sizes of T and Z, 1 along Y and X) of those among them that are empty. Where
        the labels began as a prediction of a part of the image, that part of the planes,
        and what was painted in them beside it. For "seen" a mask.
    background : int or None
        The label that means background.
    """
    return trusted(layer, way).copy()


def _mask_of_part(
    shape: tuple[int, ...], marks: Marks, done: tuple[Plane, ...]
) -> NDArray[np.bool_]:
    """The predicted part of the planes that are done."""
    assert marks.part is not None
    mask = blank(shape, np.bool_)
    ends = dict(zip(marks.axes, marks.part, strict=True))
    ranges = {a: range(*ends[a]) if a in ends else range(1) for a in "TZ"}
    inside = _outline(marks)
    for plane in done:
        index = plane_index(marks.axes, plane)
        if plane[0] not in ranges["T"] or plane[1] not in ranges["Z"]:
            mask[index] = True  # nothing was predicted there: all of it is painted
            continue
        index = tuple(
            slice(*ends[a]) if a in "YX" else i for a, i in zip(marks.axes, index, strict=True)
        )
        mask[index] = True if inside is None else inside
    return mask


def _outline(marks: Marks) -> NDArray[np.bool_] | None:
    """The outline within which a prediction was made, on the pixels of its part."""
    packed = (marks.corrected or {}).get("outline")
    if not isinstance(packed, Mapping) or marks.part is None:
        return None
    ends = dict(zip(marks.axes, marks.part, strict=True))
    size = [ends[a][1] - ends[a][0] for a in "YX"]
    try:
        inside = unpack_mask(packed)
    except InputError:
        return None
    rows, columns = (np.arange(n) * m // n for n, m in zip(size, inside.shape, strict=True))
    inside = inside[np.ix_(rows, columns)]
    return inside if marks.axes.index("Y") < marks.axes.index("X") else inside.T
