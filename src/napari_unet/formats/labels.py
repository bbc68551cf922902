"""The labels that are to be exported: checked, and read plane by plane."""

from __future__ import annotations

import numbers
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import label_axes, spatial_in_order
from napari_unet.errors import InputError
from napari_unet.io.pixel_size import check_pixel_size
from napari_unet.io.slabs import SlabReader
from napari_unet.measurement.inputs import Source, check_inputs
from napari_unet.progress import Progress

TABLE_LABELS = 1 << 27
"""Labels below this are counted in a table of as many bytes at most, others by sorting."""


@dataclass(frozen=True)
class LabelClass:
    """What a label value means, where labels are classes."""

    value: int
    name: str
    colour: str | None = None


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane of labels.

    Attributes
    ----------
    labels : (Y, X) integer array
        The labels.
    time, z : int or None
        Where it stands; None where there is no such axis.
    number : int
        How many planes stand before it.
    """

    labels: NDArray[Any]
    time: int | None
    z: int | None
    number: int


@dataclass(frozen=True)
class Extent:
    """What labels hold, found by reading all of them once.

    Attributes
    ----------
    largest, count : int
        The largest label, and how many labels but 0 there are.
    """

    largest: int
    count: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest of uint8, uint16 and uint32 that holds every label."""
        fits = (t for t in (np.uint8, np.uint16, np.uint32) if self.largest <= np.iinfo(t).max)
        return np.dtype(next(fits))


@dataclass(frozen=True, eq=False)
class LabelSource:
    """Labels with what is known of them.

    Attributes
    ----------
    source : Source
        Reads them.
    image : Source or None
        The image below them, on the same pixels.
    given_axes : str
        Axes of the image if there is one, else of the labels.
    axes : str
        Of the labels, in their order, without C.
    sizes : dict of str to int
        Lengths by axis.
    pixel_size : dict of str to float
        Micrometres by axis; what is not known is left out.
    classes : tuple of LabelClass
        Names of label values; empty for objects.
    """

    source: Source
    image: Source | None
    given_axes: str
    axes: str
    sizes: dict[str, int]
    pixel_size: dict[str, float]
    classes: tuple[LabelClass, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Lengths of T, Z, Y and X; 1 for an axis that is not there."""
        time, z, y, x = (self.sizes.get(axis, 1) for axis in "TZYX")
        return time, z, y, x

    @property
    def plane_count(self) -> int:
        """Number of planes."""
        return self.shape[0] * self.shape[1]

    def read_plane(self, time: int | None, z: int | None) -> NDArray[Any]:
        """The labels (Y, X) of a plane."""
        at = {axis: place for axis, place in (("T", time), ("Z", z)) if place is not None}
        values: NDArray[Any] = self.source.read(at)[0]
        return values.view(np.uint8) if values.dtype == bool else values

    def planes(self) -> Iterator[Plane]:
        """All planes, those of a time point after each other."""
        times, depth = self.shape[:2]
        for number, (time, z) in enumerate(np.ndindex(times, depth)):
            t = time if "T" in self.axes else None
            k = z if "Z" in self.axes else None
            yield Plane(self.read_plane(t, k), t, k, number)

    def plane_of(self, time: int, z: int) -> LabelSource:
        """One plane alone."""
        at = {axis: n for axis, n in (("T", time), ("Z", z)) if axis in self.axes}
        image = self.image
        if image is not None:
            image = replace(image, fixed={**image.fixed, **at})
        return replace(
            self,
            source=replace(self.source, fixed={**self.source.fixed, **at}),
            image=image,
            axes="".join(axis for axis in self.axes if axis not in "TZ"),
            sizes={axis: n for axis, n in self.sizes.items() if axis not in "TZ"},
            pixel_size={axis: n for axis, n in self.pixel_size.items() if axis != "Z"},
        )

    def scan(self) -> Generator[Progress, None, Extent]:
        """Find the largest label and count them.

        Raises
        ------
        InputError
            If a label is negative, or does not fit into 32 bits.
        """
        seen = np.zeros(1, bool)
        others: NDArray[Any] = np.empty(0, np.uint64)
        largest = 0
        for plane in self.planes():
            values = plane.labels
            low, high = int(values.min()), int(values.max())
            if low < 0:
                raise InputError(
                    f"the labels hold {low}, but objects have numbers above 0",
                    "give 0 to what is no object",
                    parameter="labels",
                    value=low,
                )
            if high > np.iinfo(np.uint32).max:
                raise InputError(
                    f"the labels hold {high}, which does not fit into 32 bits",
                    "number them anew, as skimage.segmentation.relabel_sequential does",
                    parameter="labels",
                    value=high,
                )
            largest = max(largest, high)
            if high < TABLE_LABELS:
                if high >= seen.size:
                    seen = np.concatenate([seen, np.zeros(high + 1 - seen.size, bool)])
                seen[values] = True
            else:
                others = np.union1d(others, np.unique(values).astype(np.uint64))
            yield Progress(plane.number + 1, self.plane_count, "reading labels", "reading")
        inside = others[others < seen.size].astype(np.int64)
        seen[inside] = True
        count = int(seen[1:].sum()) + int((others >= seen.size).sum())
        return Extent(largest, count)


def check_labels(
    labels: Any,
    *,
    axes: str | None,
    pixel_size: float | Sequence[float | None] | None,
    image: Any,
    record: Mapping[str, Any] | None,
) -> LabelSource:
    """Check what `export` was given; see there.

    Raises
    ------
    InputError
        If the labels are no integers, the shapes differ, or the axes are not known.
    """
    if isinstance(labels, list | tuple):
        labels = np.asarray(labels)
    kind = np.dtype(labels.dtype).kind if hasattr(labels, "dtype") else ""
    if kind == "f":
        raise InputError(
            f"the labels are of type {labels.dtype}, but labels are integers",
            "give integers, one for each object and 0 for the background; round them first if they "
            "are whole numbers",
            parameter="labels",
            value=str(labels.dtype),
        )
    ndim = len(labels.shape) if hasattr(labels, "shape") else 0
    recorded = str((record or {}).get("axes", ""))
    if axes is None and image is None and len(label_axes(recorded)) == ndim:
        axes = label_axes(recorded)
    if axes is None and ndim == 2 == len(getattr(image, "shape", ())):
        axes = "YX"  # so that a wrong shape is called wrong
    as_bytes = _Bytes(labels) if kind == "b" else labels
    inputs = check_inputs(as_bytes, image, axes, None, None)
    if kind == "b":
        inputs = replace(inputs, labels=replace(inputs.labels, arrays=(labels,)))
    if axes is None:
        axes = inputs.axes
    source = replace(inputs.labels, arrays=(_in_slabs(inputs.labels),))
    sizes = {axis: source.sizes[axis] for axis in inputs.axes}
    return LabelSource(
        source,
        inputs.image,
        str(axes).upper(),
        inputs.axes,
        sizes,
        _known_sizes(pixel_size, inputs.axes, record),
        classes_of(record),
    )


def classes_of(record: Mapping[str, Any] | None) -> tuple[LabelClass, ...]:
    """The classes that a run record names; none where its labels are objects."""
    if record is None or record.get("task", "semantic") != "semantic":
        return ()
    found = []
    for each in record.get("classes") or ():
        if isinstance(each, Mapping) and isinstance(each.get("value"), int):
            value = int(each["value"])
            colour = each.get("colour")
            name = str(each.get("name") or value)
            found.append(LabelClass(value, name, None if colour is None else str(colour)))
    return tuple(found)


def _known_sizes(
    value: float | Sequence[float | None] | None, axes: str, record: Mapping[str, Any] | None
) -> dict[str, float]:
    """Micrometres by axis, as they were given, else as the run that made the labels knew them."""
    if value is None:
        given = record or {}
        letters, sizes = spatial_in_order(str(given.get("axes", ""))), given.get("pixel_size") or ()
        known = dict(zip(letters, sizes, strict=False))
        return check_pixel_size(tuple(known.get(axis) for axis in spatial_in_order(axes)), axes)
    many = isinstance(value, Iterable) and not isinstance(value, str)
    every = tuple(value) if many else (value,) * len(spatial_in_order(axes))  # type: ignore[arg-type]
    for size in every:
        if size is not None and (isinstance(size, bool) or not isinstance(size, numbers.Real)):
            raise InputError(
                f"⟨pixel_size⟩ {value!r} is no number of micrometres",
                "give one number, or one per spatial axis",
                parameter="pixel_size",
                value=value,
            )
    return check_pixel_size(every, axes)  # type: ignore[arg-type]


def _in_slabs(source: Source) -> Any:
    """The array, of which planes that share chunks are read together."""
    (array,) = source.arrays
    chunks = getattr(array, "chunks", None)
    axis = source.axes.find("Z") if "Z" in source.axes else source.axes.find("T")
    if chunks is None or axis < 0 or array.ndim < 3:
        return array
    return SlabReader(array, axis)


class _Bytes:
    """A mask of True and False, for checks that want numbers."""

    def __init__(self, array: Any) -> None:
        self.shape = tuple(int(n) for n in array.shape)
        self.ndim = len(self.shape)
        self.dtype = np.dtype(np.uint8)

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError
