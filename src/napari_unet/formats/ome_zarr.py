"""OME-Zarr 0.5: labels with their pyramid, alone or as the labels of their image.

With an image the store holds the image, and the labels in its group ``labels``, as the
specification has it; without one the store itself is the label image. Each level has every second
row and column of the one before, so that no labels are mixed.

References
----------
.. [1] OME-Zarr 0.5, https://ngff.openmicroscopy.org/0.5/
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.formats.labels import Extent, LabelSource
from napari_unet.formats.record import MARK
from napari_unet.formats.steps import Steps
from napari_unet.measurement.inputs import Source
from napari_unet.progress import Progress

VERSION = "0.5"
LABELS_GROUP = "labels"
COARSEST = 256
"""Rows or columns from which on a level gets a coarser one."""

CHUNK = {"T": 1, "C": 1, "Z": 16, "Y": 512, "X": 512}
SLAB_BYTES = 1 << 27
"""Planes are read and written together up to this size, one at least."""

_KINDS = {"T": "time", "C": "channel"}
Block = NDArray[Any]


def write_ome_zarr(
    part: Path, labels: LabelSource, extent: Extent, record: Mapping[str, Any], name: str
) -> Steps:
    """Write the store.

    Parameters
    ----------
    part : Path
        The folder to make.
    labels : LabelSource
        The labels; their image too, if there is one.
    extent : Extent
        What they hold.
    record : mapping
        Of the export; stands in the attributes of the labels.
    name : str
        Of the image.
    """
    import zarr

    root = zarr.create_group(part, zarr_format=3)
    own: dict[str, Any] = {MARK: dict(record)}
    if labels.image is None:
        yield from _write_labels(root, labels, extent, own, name, {})
        return
    axes = "".join(a for a in "TCZYX" if a in labels.axes or (a == "C" and _has_channels(labels)))
    dtype = np.dtype(labels.image.arrays[0].dtype).newbyteorder("=")
    pixels = _Pyramid(root, axes, _sizes(labels, axes), dtype, labels.pixel_size)
    yield from pixels.fill(labels.image, "writing image")
    root.attrs.update({"ome": {"version": VERSION, "multiscales": [pixels.about(name)]}, **own})
    group = root.create_group(LABELS_GROUP)
    group.attrs.update({"ome": {"version": VERSION, "labels": [name]}})
    source = {"source": {"image": "../../"}}
    yield from _write_labels(group.create_group(name), labels, extent, own, name, source)


def _write_labels(
    group: Any,
    labels: LabelSource,
    extent: Extent,
    own: Mapping[str, Any],
    name: str,
    source: Mapping[str, Any],
) -> Steps:
    axes = "".join(axis for axis in "TZYX" if axis in labels.axes)
    sizes = _sizes(labels, axes)
    pixels = _Pyramid(group, axes, sizes, extent.dtype, labels.pixel_size)
    yield from pixels.fill(labels.source, "writing labels")
    # a list of colours should be there; viewers have their own for objects
    about: dict[str, Any] = {"version": VERSION, "colors": [], **source}
    if labels.classes:
        about["colors"] = [
            {"label-value": each.value, "rgba": _rgba(each.colour)}
            for each in labels.classes
            if each.colour is not None
        ]
        about["properties"] = [
            {"label-value": each.value, "class": each.name} for each in labels.classes
        ]
    ome = {"version": VERSION, "multiscales": [pixels.about(name)], "image-label": about}
    group.attrs.update({"ome": ome, **own})
    pixels.levels[0].attrs.update(own)


def _sizes(labels: LabelSource, axes: str) -> dict[str, int]:
    image = labels.image
    channels = 1
    if image is not None:
        channels = len(image.arrays) if len(image.arrays) > 1 else image.sizes.get("C", 1)
    return {axis: channels if axis == "C" else labels.sizes[axis] for axis in axes}


def _has_channels(labels: LabelSource) -> bool:
    image = labels.image
    return image is not None and (len(image.arrays) > 1 or "C" in image.axes)


class _Pyramid:
    """Arrays of an image, the finest first."""

    def __init__(
        self,
        group: Any,
        axes: str,
        sizes: Mapping[str, int],
        dtype: np.dtype[Any],
        pixel_size: Mapping[str, float],
    ) -> None:
        self.axes, self.sizes, self._sizes = axes, dict(sizes), pixel_size
        plane = sizes["Y"] * sizes["X"] * dtype.itemsize * sizes.get("C", 1)
        self._depth = max(1, min(SLAB_BYTES // plane, CHUNK["Z"]))
        self.levels: list[Any] = []
        level = dict(sizes)
        while True:
            self.levels.append(self._create(group, level, dtype))
            if max(level["Y"], level["X"]) <= COARSEST:
                break
            level |= {axis: math.ceil(level[axis] / 2) for axis in "YX"}

    def _create(self, group: Any, sizes: Mapping[str, int], dtype: np.dtype[Any]) -> Any:
        chunk = CHUNK | {"Z": self._depth}
        return group.create_array(
            str(len(self.levels)),
            shape=tuple(sizes[axis] for axis in self.axes),
            chunks=tuple(min(sizes[axis], chunk[axis]) for axis in self.axes),
            dtype=dtype,
            fill_value=0,
            dimension_names=[axis.lower() for axis in self.axes],
        )

    def fill(self, source: Source, message: str) -> Steps:
        """Write all levels, some planes at a time."""
        slabs = list(self._slabs())
        for number, (time, planes) in enumerate(slabs, 1):
            at = {axis: p for axis, p in (("T", time), ("Z", planes)) if axis in self.axes}
            block = _read(source, at)  # C, Z if there is one, Y, X
            kept = [axis for axis in "CZYX" if axis == "C" or axis in self.axes]
            if "C" not in self.axes:
                block, kept = block[0], kept[1:]
            order = [kept.index(axis) for axis in self.axes if axis != "T"]
            block = block.transpose(order)
            for place, level in enumerate(self.levels):
                index = tuple(at.get(axis, slice(None)) for axis in self.axes)
                level[index] = block
                if place + 1 < len(self.levels):
                    block = block[..., ::2, ::2]
            yield Progress(number, len(slabs), message)

    def _slabs(self) -> Iterator[tuple[int, slice]]:
        for time in range(self.sizes.get("T", 1)):
            for start in range(0, self.sizes.get("Z", 1), self._depth):
                yield time, slice(start, min(start + self._depth, self.sizes.get("Z", 1)))

    def about(self, name: str) -> dict[str, Any]:
        """The metadata of the image."""
        axes = []
        for axis in self.axes:
            entry = {"name": axis.lower(), "type": _KINDS.get(axis, "space")}
            if axis in self._sizes:
                entry["unit"] = "micrometer"
            axes.append(entry)
        datasets = [
            {
                "path": str(level),
                # of every second pixel the first is taken: the levels begin at the same place
                "coordinateTransformations": [{"type": "scale", "scale": self._scale(level)}],
            }
            for level in range(len(self.levels))
        ]
        return {"name": name, "axes": axes, "datasets": datasets, "type": "nearest"}

    def _scale(self, level: int) -> list[float]:
        return [self._sizes.get(a, 1.0) * (2**level if a in "YX" else 1) for a in self.axes]


def _read(source: Source, at: Mapping[str, int | slice]) -> Block:
    """Planes of a slab, read one by one where they share no chunk with others."""
    planes = at.get("Z")
    if not isinstance(planes, slice) or "Z" not in source.axes:
        block = source.read({axis: n for axis, n in at.items() if axis in source.axes})
        return block.view(np.uint8) if block.dtype == bool else block
    several = [source.read({**at, "Z": z}) for z in range(planes.start, planes.stop)]
    block = np.stack(several, 1)
    return block.view(np.uint8) if block.dtype == bool else block


def _rgba(colour: str) -> list[int]:
    return [*(int(colour[i : i + 2], 16) for i in (1, 3, 5)), 255]
