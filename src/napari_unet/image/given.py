"""What a caller gives as an image: an array, a file that is open, or a layer of a viewer.

A layer is told by what it is, without napari being imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.io.declared_axes import declared_axes
from napari_unet.io.pixel_size import tidy, unit_in_micrometres
from napari_unet.io.reading import ImageFile
from napari_unet.io.record import in_unicode

PIXEL_SIZE_KEY = "napari_unet_pixel_size"
"""In a layer's metadata: micrometres by axis that a user has typed."""

FILE_PART_KEY = "napari_unet_part"
"""In a layer's metadata: which scene or channel of its file the layer is."""

FILE_KEY = "napari_unet_file"
"""In a layer's metadata: its file, where the viewer does not know it, as of a sample."""

_LETTERS = {
    "T": ("t", "time"),
    "C": ("c", "ch", "channel", "channels"),
    "Z": ("z", "depth"),
    "Y": ("y",),
    "X": ("x",),
}


@dataclass(frozen=True, eq=False)
class Given:
    """An array, and what is known of it.

    Attributes
    ----------
    array : array-like
        The pixels.
    axes : str or None
        One letter over TCZYX per axis; None: not known.
    sizes : mapping of str to float
        Micrometres by axis letter, as far as they are known; where ``axes`` is None by
        the number of the axis.
    origin : mapping
        Where it is from, for the run record: ``path``, and ``scene``, ``channel`` or ``level`` of
        the file; empty: not known.
    """

    array: Any
    axes: str | None = None
    sizes: Mapping[str | int, float] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)

    def pixel_size(self, axes: str) -> list[float | None] | None:
        """Micrometres along the spatial axes of an array with these axes; None: all unknown."""
        sizes = [
            self.sizes.get(axis, self.sizes.get(number))
            for number, axis in enumerate(axes)
            if axis in "ZYX"
        ]
        return None if all(size is None for size in sizes) else sizes


def take_in(image: Any) -> Given:
    """What is known of an image.

    Parameters
    ----------
    image : array-like, ImageFile or layer
        An array; what `napari_unet.read_image` gives; or an image or labels layer of napari, of
        which the finest level is taken.
    """
    if isinstance(image, Given):
        return image
    if isinstance(image, ImageFile):
        return _of_file(image)
    if is_layer(image):
        return _of_layer(image)
    path = path_of(image)
    return Given(image, origin={} if path is None else {"path": path})


def path_of(array: Any) -> str | None:
    """The file that an array reads from, where it says so."""
    found = getattr(array, "path", None)
    if not isinstance(found, Path):
        found = getattr(array, "filename", None)  # a memory map
    if isinstance(found, Path | str) and str(found):
        return str(Path(found).absolute())
    store = getattr(getattr(array, "store", None), "root", None)  # zarr, in a local folder
    if isinstance(store, Path):
        return str((store / str(getattr(array, "path", ""))).absolute())
    return None


def is_layer(thing: object) -> bool:
    """Whether something is a layer of napari, or a proxy of one that a plugin was given."""
    kind = type(getattr(thing, "__wrapped__", thing))
    return any(base.__module__.startswith("napari.layers.") for base in kind.__mro__)


def letters_of(axis_labels: Sequence[str]) -> str | None:
    """Axes that the labels of a layer spell; None where they say nothing.

    Examples
    --------
    >>> letters_of(("time", "y", "x")), letters_of(("-2", "-1"))
    ('TYX', None)
    """
    table = {word: letter for letter, words in _LETTERS.items() for word in words}
    letters = [table.get(label.strip().lower(), "?") for label in axis_labels]
    distinct = len(set(letters)) == len(letters)
    if "?" in letters or not distinct or not {"Y", "X"} <= set(letters):
        return None
    return "".join(letters)


def steps_of(layer: Any) -> list[float | None]:
    """Micrometres per axis of a layer's finest array; None where its unit is no length.

    It is the length of a step along each axis, whatever the layer is turned or stretched by.
    """
    corner = np.asarray(layer.data_to_world([0.0] * layer.ndim), float)
    ends = [np.asarray(layer.data_to_world(row), float) for row in np.eye(layer.ndim)]
    units = [unit_in_micrometres(unit) for unit in layer.units]
    return [
        None if unit is None else tidy(float(np.linalg.norm(end - corner)) * unit)
        for end, unit in zip(ends, units, strict=True)
    ]


def typed_size(layer: Any) -> dict[str, float]:
    """Micrometres by axis letter that a user has typed for a layer."""
    found = layer.metadata.get(PIXEL_SIZE_KEY)
    if not isinstance(found, Mapping):
        return {}
    sizes = {a: tidy(float(size)) for a, size in found.items() if isinstance(size, int | float)}
    return {axis: size for axis, size in sizes.items() if axis in "ZYX" and size is not None}


def origin_of_layer(layer: Any, level: int = 0) -> dict[str, Any]:
    """Where the array of a layer is from, as far as the layer knows."""
    path = getattr(getattr(layer, "source", None), "path", None) or layer.metadata.get(FILE_KEY)
    if not path:
        return {}
    part = layer.metadata.get(FILE_PART_KEY)
    more = dict(part) if isinstance(part, Mapping) else {}
    if layer.multiscale:
        more["level"] = level
    try:
        return {"path": in_unicode(Path(path).absolute()), **more}
    except (OSError, TypeError, ValueError):  # an address, or what is no path at all
        return {"path": str(path), **more}


def _of_file(file: ImageFile) -> Given:
    sizes: dict[str | int, float] = {}
    if file.axes is not None:
        spatial = [axis for axis in file.axes if axis in "ZYX"]
        pairs = zip(spatial, file.pixel_size or (), strict=False)
        sizes = {axis: size for axis, size in pairs if size is not None}
    origin: dict[str, Any] = {"path": in_unicode(file.path.absolute())}
    if len(file.scenes) > 1:
        origin["scene"] = file.scene
    return Given(file.array, file.axes, sizes, origin)


def _of_layer(layer: Any) -> Given:
    array = layer.data[0] if layer.multiscale else layer.data
    rgb = bool(getattr(layer, "rgb", False))
    axes = letters_of(tuple(layer.axis_labels))
    if axes is not None:
        axes += "C" * rgb
    else:
        path = getattr(getattr(layer, "source", None), "path", None)
        axes = declared_axes(path, array.shape)
        axes = axes if axes is None or axes.endswith("C") or not rgb else None
    sizes: dict[Any, float] = {
        number: step for number, step in enumerate(steps_of(layer)) if step is not None
    }
    sizes.update(typed_size(layer))
    return Given(array, axes, sizes, origin_of_layer(layer))
