"""Which layers hold the labels of an image layer: by where they lie in the viewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.transforms import CompositeAffine
from numpy.typing import NDArray

from napari_unet.axes import label_axes
from napari_unet.dataset.label_placement import LabelPlacement
from napari_unet.dataset.pixel_grid import MismatchError, PixelGrid, match_levels, size_ratio
from napari_unet.errors import InputError
from napari_unet.widgets.annotation.marks import marks_of
from napari_unet.widgets.viewer.coordinates import unit_ratio
from napari_unet.widgets.viewer.layer_axes import letters_of
from napari_unet.widgets.viewer.layer_image import level_of, shape_of

WINDOW_PIXELS = 256  # along each side, of an image that may hold labels
FLAT = 0.8  # share of neighbours with equal values, from which an image may hold labels


def match_layers(image: Image, axes: str, labels: Any, *, target: bool = False) -> LabelPlacement:
    """Place the labels of a layer on the pixels of an image layer.

    Parameters
    ----------
    image : Image
        The image; of a multiscale one the finest level on whose pixels the labels lie.
    axes : str
        Of its array, colours included.
    labels : Labels or Image
        What is to lie on it.
    target : bool
        Whether it is the target of a regression, which may have channels.

    Raises
    ------
    MismatchError
        If they do not lie on the pixels of the image; it says why.
    InputError
        If the axes do not fit the image.
    """
    if len(axes) != len(shape_of(image)):
        raise InputError(f"The axes of ‘{image.name}’ are not known", "name them")
    own = axes[: image.ndim]
    units = dict(zip(own, image.units, strict=True))
    found = axes_of_labels(image, axes, labels, target=target)
    grids = _grids(labels, found, units)
    if target and "C" in found:
        grids = [_without_channels(each) for each in grids]
    return match_levels(_grids(image, own, units), grids)


def axes_of_labels(image: Image, axes: str, labels: Any, *, target: bool = False) -> str:
    """Axes of a layer of labels beside an image layer.

    By the layer's marks or the names of its axes; else they are those of the image, less C, or
    with an axis of length 1 there; else the last of these, as the viewer aligns layers.
    """
    own = axes[: image.ndim]
    flat = label_axes(own)
    if labels.ndim == len(flat):
        marks = marks_of(labels) if isinstance(labels, Labels) else None
        for said in (marks and marks.axes, letters_of(labels.axis_labels)):
            if said and set(said) == set(flat):
                return said
        return flat
    if labels.ndim == len(own):
        return own
    said = letters_of(labels.axis_labels)
    if said:
        return said
    if labels.ndim < len(flat):
        return flat[-labels.ndim :]
    more = labels.ndim - len(own)
    sizes = shape_of(image)[: image.ndim]
    shape = shape_of(labels)
    for at in range(labels.ndim if more == 1 and "C" not in own else 0):
        if shape[at] == 1 and shape[:at] + shape[at + 1 :] == sizes:
            return f"{own[:at]}C{own[at:]}"  # an axis of length 1 more does not matter
    free = [a for a in ("CTZ" if target else "ZTC") if a not in own]
    if more > len(free):
        raise MismatchError(
            f"‘{labels.name}’ has {labels.ndim} axes, ‘{image.name}’ {image.ndim}",
            "choose the labels of this image",
            code="axes",
        )
    return "".join(free[:more][::-1]) + own


def lay_on(image: Image, axes: str, labels: Any) -> None:
    """Move a layer to the place of an image: scale, translation, rotation, units and the rest."""
    found = axes_of_labels(image, axes, labels)
    own = axes[: image.ndim]
    place = CompositeAffine(
        scale=image.scale,
        translate=image.translate,
        rotate=image.rotate,
        shear=image.shear,
        ndim=image.ndim,
    )
    kept = [own.index(axis) for axis in found if axis in own]
    added = [i for i, axis in enumerate(found) if axis not in own]
    chosen = place.set_slice(kept).expand_dims(added)
    labels.scale, labels.translate = chosen.scale, chosen.translate
    labels.rotate, labels.shear = chosen.rotate, chosen.shear
    labels.affine = image.affine.set_slice(kept).expand_dims(added)
    if not added:
        labels.units = tuple(image.units[i] for i in kept)


def looks_like_labels(layer: Image) -> bool:
    """Whether an image holds whole numbers that are equal over areas, as labels are.

    At most a window of one plane is read.
    """
    if layer.rgb:
        return False
    data = level_of(layer)
    if np.dtype(data.dtype).kind not in "uibf":
        return False
    middle = [n // 2 for n in data.shape[:-2]]
    starts = [max(0, (n - WINDOW_PIXELS) // 2) for n in data.shape[-2:]]
    sides = [slice(start, start + WINDOW_PIXELS) for start in starts]
    try:
        pixels = np.asarray(data[(*middle, *sides)])
    except Exception:  # noqa: BLE001  # of other libraries, of any kind: no labels then
        return False
    return _is_flat(pixels)


def convert_to_labels(layer: Image) -> Labels:
    """A Labels layer of the pixels of an image layer, at its place."""
    data = [_as_integers(each) for each in layer.data] if layer.multiscale else layer.data
    return Labels(
        data if layer.multiscale else _as_integers(data),
        name=f"{layer.name} (labels)",
        multiscale=layer.multiscale,
        scale=layer.scale,
        translate=layer.translate,
        rotate=layer.rotate,
        shear=layer.shear,
        affine=layer.affine.affine_matrix,
        units=layer.units,
        axis_labels=layer.axis_labels,
    )


def _as_integers(data: Any) -> Any:
    kind = np.dtype(data.dtype).kind
    return data if kind in "ui" else data.astype(np.uint8 if kind == "b" else np.int32)


def _is_flat(pixels: NDArray[Any]) -> bool:
    """Whether neighbours that are not 0 are mostly equal whole numbers.

    >>> _is_flat(np.kron(np.arange(4).reshape(2, 2), np.ones((9, 9), int)))
    True
    >>> _is_flat(np.arange(400).reshape(20, 20))
    False
    """
    if min(pixels.shape) < 2 or not pixels.any():
        return False
    if pixels.dtype.kind == "f" and not np.array_equal(np.rint(pixels), pixels):
        return False
    first, second = pixels[:, :-1], pixels[:, 1:]
    inside = (first != 0) & (second != 0)
    return bool(inside.any() and (first == second)[inside].mean() >= FLAT)


def _grids(layer: Any, axes: str, units: dict[str, Any]) -> list[PixelGrid]:
    """Where the pixels of a layer lie, for each level, in the units of the image."""
    place = CompositeAffine(
        scale=layer.scale,
        translate=layer.translate,
        rotate=layer.rotate,
        shear=layer.shear,
        ndim=layer.ndim,
    )
    matrix = np.asarray(layer.affine.affine_matrix @ place.affine_matrix, float)
    ratios = [
        unit_ratio(unit, units[axis]) if axis in units else 1.0
        for axis, unit in zip(axes, layer.units, strict=True)
    ]
    matrix = np.diag([*ratios, 1.0]) @ matrix
    name = f"‘{layer.name}’"
    finest = shape_of(layer)[: layer.ndim]
    grids = [PixelGrid(name, finest, axes, matrix)]
    for level in range(1, len(layer.data) if layer.multiscale else 1):
        shape = tuple(int(n) for n in level_of(layer, level).shape[: layer.ndim])
        grids += [
            PixelGrid(name, shape, axes, matrix @ each, level) for each in _coarser(finest, shape)
        ]
    return grids


def _coarser(finest: Sequence[int], shape: Sequence[int]) -> list[NDArray[np.float64]]:
    """From the pixels of a level to the finest, as programs lay it: by centres or by corners."""
    exact = np.array(finest, float) / np.array(shape, float)
    ratio = size_ratio(finest, shape)
    round_ = np.where(exact > 1, np.rint(exact), 1.0) if ratio > 1 else exact
    found = []
    for factors in (round_, exact):
        for shift in ((factors - 1) / 2, np.zeros(len(shape))):
            matrix = np.diag([*factors, 1.0])
            matrix[:-1, -1] = shift
            found.append(matrix)
    return found


def _without_channels(grid: PixelGrid) -> PixelGrid:
    kept = [i for i, axis in enumerate(grid.axes) if axis != "C"]
    rows = [*kept, len(grid.axes)]
    return PixelGrid(
        grid.name,
        tuple(grid.shape[i] for i in kept),
        label_axes(grid.axes),
        grid.to_world[np.ix_(rows, rows)],
        grid.level,
    )
