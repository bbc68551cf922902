"""Labels of a layer as arrays and words: axes, pixel size, record, classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Image

from napari_unet.axes import label_axes
from napari_unet.dataset.correction import MARKS_KEY
from napari_unet.errors import InputError
from napari_unet.widgets.viewer.layer_axes import letters_of
from napari_unet.widgets.viewer.layer_image import PIXEL_SIZE_KEY, RECORD_KEY, LayerImage
from napari_unet.widgets.viewer.placement import lift

PLACE = ("scale", "rotate", "shear", "affine", "units", "axis_labels")
AXES_BY_NUMBER = {2: "YX", 3: "ZYX", 4: "TZYX", 5: "TCZYX"}  # where the layer does not name them


@dataclass(frozen=True, eq=False)
class LabelData:
    """Labels of a layer as they were at one moment; the layer itself is not kept.

    Attributes
    ----------
    array : array-like
        The labels, of a multiscale layer the finest.
    axes : str
        Of them, without C.
    layer_axes : str
        Of the layer, in which C may have length 1.
    pixel_size : tuple of float or None
        Micrometres per spatial axis.
    record : dict or None
        The record of the run that made them, with the names of their classes.
    """

    array: Any
    axes: str
    layer_axes: str
    pixel_size: tuple[float | None, ...]
    record: dict[str, Any] | None

    @classmethod
    def of(cls, data: Any, attributes: Mapping[str, Any]) -> LabelData:
        """What a layer data tuple of a Labels layer says.

        Raises
        ------
        InputError
            If the layer has more axes than a file can name.
        """
        array = data[0] if attributes.get("multiscale") else data
        metadata = attributes.get("metadata") or {}
        layer = one_pixel(array.ndim, attributes)
        axes = known_axes(layer.axis_labels, metadata, array.shape)
        layer_axes = axes = axes_by_number(array.ndim) if axes is None else axes
        record = record_of(metadata)
        sizes = layer.pixel_size(axes)
        if all(size is None for size in sizes):
            sizes = recorded_sizes(record, axes)
        if "C" in axes and array.shape[axes.index("C")] == 1:
            array, axes = lift(array, axes)  # it lay beside its channels
        return cls(array, axes, layer_axes, sizes, _with_classes(record, attributes))


def one_pixel(ndim: int, attributes: Mapping[str, Any], *, rgb: bool = False) -> LayerImage:
    """One pixel in the place of a layer: what its axes and sizes are, `LayerImage` knows."""
    pixel = np.zeros((1,) * ndim + (3,) * rgb, np.uint8)
    place = {key: attributes[key] for key in PLACE if attributes.get(key) is not None}
    typed = {PIXEL_SIZE_KEY: (attributes.get("metadata") or {}).get(PIXEL_SIZE_KEY)}
    return LayerImage.of(Image(pixel, rgb=rgb, metadata=typed, **place))


def record_of(metadata: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The run record in the metadata of a layer."""
    found = metadata.get(RECORD_KEY)
    return found if isinstance(found, Mapping) else None


def recorded_sizes(record: Mapping[str, Any] | None, axes: str) -> tuple[float | None, ...]:
    """The pixel size that a run knew, of a result whose layer has none: one that was typed."""
    known: dict[str, Any] = {}
    if record is not None:
        of_image = [a for a in str(record.get("axes", "")) if a in "ZYX"]
        known = dict(zip(of_image, record.get("pixel_size") or (), strict=False))
    return tuple(known.get(axis) for axis in axes if axis in "ZYX")


def known_axes(
    axis_labels: tuple[str, ...], metadata: Mapping[str, Any], shape: tuple[int, ...]
) -> str | None:
    """Axes that a layer says, colours left out."""
    ndim = len(axis_labels)
    named = letters_of(axis_labels)
    if named is not None:
        return named
    marks, record = metadata.get(MARKS_KEY), metadata.get(RECORD_KEY)
    known = [str(marks.get("axes"))] if isinstance(marks, Mapping) else []
    if isinstance(record, Mapping):  # its axes are those of the image
        of_image = str(record.get("axes", ""))
        known += [label_axes(of_image), of_image]
    for axes in known:
        if len(axes) == ndim and ("C" not in axes or shape[axes.index("C")] == 1):
            return axes
    return None


def axes_by_number(ndim: int) -> str:
    """Axes of a layer that says nothing of them."""
    if ndim not in AXES_BY_NUMBER:
        raise InputError(
            f"A layer with {ndim} axes cannot be written, because a file has at most T, C, Z, Y "
            "and X",
            "slice the layer first",
        )
    return AXES_BY_NUMBER[ndim]


def _with_classes(
    record: Mapping[str, Any] | None, attributes: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The record, with the classes that the layer's features name."""
    features = attributes.get("features")
    if record is not None and record.get("classes"):
        return dict(record)
    if features is None or not {"index", "class"} <= set(features):
        return None if record is None else dict(record)
    classes = [
        {"value": int(value), "name": str(name), "colour": None}
        for value, name in zip(features["index"], features["class"], strict=True)
    ]
    return {**(record or {}), "task": "semantic", "classes": classes}
