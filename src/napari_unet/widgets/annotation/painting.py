"""Layers to paint on: empty ones over an image, and predictions to correct."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_info
from numpy.typing import NDArray

from napari_unet.errors import InputError
from napari_unet.widgets.annotation.marks import (
    MARKS_KEY,
    Marks,
    adopt,
    done_at,
    marks_for,
    marks_of,
    plane_shown,
    set_marks,
    toggle_done,
)
from napari_unet.widgets.annotation.snapshot import Trusted, blank, snapshot, trusted
from napari_unet.widgets.qt.wording import worded
from napari_unet.widgets.viewer.layer_image import RECORD_KEY, LayerImage, level_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari import Viewer
    from napari.layers import Image, Labels

__all__ = [
    "DONE_KEY",
    "MARKS_KEY",
    "Marks",
    "Trusted",
    "adopt",
    "bind_done_key",
    "correct",
    "done_at",
    "marks_for",
    "marks_of",
    "new_labels",
    "plane_shown",
    "set_marks",
    "snapshot",
    "toggle_done",
    "trusted",
]

DONE_KEY = "D"  # neither the viewer nor its Labels layers have a use for it
LARGEST_LABEL = np.iinfo(np.int32).max
GRID_TOLERANCE_PIXELS = 1e-3  # of a pixel: grids that differ by less are the same


def new_labels(viewer: Viewer, image: Image, axes: str) -> Labels:
    """Add an empty Labels layer over an image, and take up the brush.

    Parameters
    ----------
    viewer : Viewer
        Where.
    image : Image
        What is to be labelled; of a multiscale one its finest level.
    axes : str
        Of its array, colours included. The labels have them less C.

    Returns
    -------
    Labels
        int32, named "IMAGE labels", of 0 everywhere. It takes memory only where it is
        painted on.

    Raises
    ------
    InputError
        If the axes do not fit the image, labels cannot lie on it, or the system does not give
        the memory.
    """
    shape, placement = _grid(image, axes)
    marks = Marks(image.name, axes.replace("C", ""))
    return _add(viewer, blank(shape), f"{image.name} labels", marks, {}, placement)


def correct(viewer: Viewer, result: Labels, image: Image, axes: str) -> Labels:
    """Add a copy of predicted labels that can be painted on, and take up the brush.

    The copy lies on the pixels of the whole image, also where the prediction covers a part
    of it or was made on a coarser level. The prediction is hidden.

    Parameters
    ----------
    viewer : Viewer
        Where.
    result : Labels
        The prediction, whole or a preview.
    image : Image
        What it was made of.
    axes : str
        Of its array, colours included.

    Returns
    -------
    Labels
        Named "IMAGE corrected". It carries no run record any more, but keeps it in its marks.

    Raises
    ------
    InputError
        If the prediction does not lie along the pixels of the image, or the system does not
        give the memory.
    """
    shape, placement = _grid(image, axes)
    labels = level_of(result)
    ends, steps = _place(result, image, axes, shape)
    values: NDArray[Any] = np.asarray(labels)
    if (
        not np.can_cast(values.dtype, np.int32)
        and values.size
        and int(values.max()) > LARGEST_LABEL
    ):
        raise InputError(
            f"The labels of ‘{result.name}’ reach {int(values.max())}, more than can be painted",
            "number them anew first",
        )
    copy = blank(shape)
    part = tuple(slice(*pair) for pair in ends)
    whole = ends == tuple((0, n) for n in shape)
    copy[part] = values if whole and values.shape == shape else values[np.ix_(*steps)]
    record = result.metadata.get(RECORD_KEY)
    marks = marks_of(result) or Marks(image.name, axes.replace("C", ""))
    marks = replace(
        marks,
        image=image.name,
        axes=axes.replace("C", ""),
        done=(),
        corrected=dict(record) if isinstance(record, dict) else marks.corrected,
        part=None if whole else ends,
    )
    kept = {k: v for k, v in result.metadata.items() if k not in (RECORD_KEY, MARKS_KEY)}
    name = f"{image.name} corrected"
    layer = _add(viewer, copy, name, marks, kept, {**placement, **_appearance(result)})
    result.visible = False
    return layer


def bind_done_key(
    viewer: Viewer, layer: Labels, on_done: Callable[[], None] = lambda: None
) -> None:
    """Let the key mark planes of a layer as done, while the layer is the active one."""

    def press(layer: Labels) -> None:
        try:
            done = toggle_done(viewer, layer)
        except InputError as error:
            show_info(worded(error))
            return
        viewer.status = "This plane is done." if done else "This plane is not done any more."
        on_done()

    layer.bind_key(DONE_KEY, press, overwrite=True)


def _add(
    viewer: Viewer,
    labels: NDArray[np.int32],
    name: str,
    marks: Marks,
    metadata: dict[str, Any],
    look: dict[str, Any],
) -> Labels:
    metadata = {**metadata, MARKS_KEY: marks.as_json()}
    layer = viewer.add_labels(labels, name=name, metadata=metadata, **look)
    small = min(labels.shape[marks.axes.index(a)] for a in "YX")
    layer.brush_size = int(np.clip(round(small / 64), 3, 40))
    bind_done_key(viewer, layer)
    viewer.layers.selection.active = layer
    layer.mode = "paint"
    return layer


def _appearance(result: Labels) -> dict[str, Any]:
    """Colours and names of a prediction's classes."""
    from napari.utils.colormaps import DirectLabelColormap

    look: dict[str, Any] = {}
    if isinstance(result.colormap, DirectLabelColormap):
        look["colormap"] = result.colormap.model_copy(deep=True)
    if len(result.features.columns) > 0:
        look["features"] = result.features.copy()
    return look


def _grid(image: Image, axes: str) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Shape of the labels of an image, and where they lie."""
    found = LayerImage.of(image)
    if len(axes) != len(found.shape) or not {"Y", "X"} <= set(axes):
        raise InputError(
            f"The axes {axes!r} do not fit ‘{image.name}’ of shape {found.shape}",
            "correct them",
            parameter="axes",
            value=axes,
        )
    if "C" in axes[1:] and not image.rgb:
        raise InputError(
            f"The channels of ‘{image.name}’ ({axes}) come after other axes, so that labels cannot "
            "lie on it",
            "split them first: right-click the layer, ‘Split Stack’",
        )
    shape = tuple(n for n, axis in zip(found.shape, axes, strict=True) if axis != "C")
    return shape, found.placement(axes)


def _place(
    result: Labels, image: Image, axes: str, shape: tuple[int, ...]
) -> tuple[tuple[tuple[int, int], ...], list[NDArray[np.intp]]]:
    """Which pixels of the image a prediction covers, and which of its own lies on each."""
    own = axes.replace("C", "")
    sizes = [int(n) for n in level_of(result).shape]
    if result.ndim != len(own):
        raise InputError(
            f"‘{result.name}’ has {result.ndim} axes, labels of ‘{image.name}’ have {len(own)}",
            "choose the image that it was made of",
        )
    kept = [i for i, axis in enumerate(axes) if axis != "C"]
    grid = LayerImage.of(image).place.set_slice(kept)
    affine = image.affine.set_slice(kept)

    def pixel(place: NDArray[np.float64]) -> NDArray[np.float64]:
        world = np.asarray(result.data_to_world(place))
        return np.asarray(grid.inverse(affine.inverse(world)))

    origin = pixel(np.zeros(result.ndim))
    ratios = np.empty(result.ndim)
    for i, unit in enumerate(np.eye(result.ndim)):
        along = pixel(unit) - origin
        ratios[i] = along[i]
        slant = np.abs(np.delete(along, i)).max() * sizes[i]
        if ratios[i] <= 0 or slant > GRID_TOLERANCE_PIXELS * max(sizes):
            raise InputError(
                f"‘{result.name}’ does not lie along the pixels of ‘{image.name}’",
                "choose the image that it was made of",
            )
    ends, steps = [], []
    for first, ratio, size, n in zip(origin, ratios, sizes, shape, strict=True):
        # pixels of the image whose centres lie on a pixel of the prediction
        start = max(0, int(np.ceil(round(first - ratio / 2, 3))))
        stop = min(n, int(np.ceil(round(first + ratio * (size - 0.5), 3))))
        if start >= stop:
            raise InputError(
                f"‘{result.name}’ lies outside of ‘{image.name}’",
                "choose the image that it was made of",
            )
        at = np.floor(np.round((np.arange(start, stop) - first) / ratio + 0.5, 3))
        ends.append((start, stop))
        steps.append(at.clip(0, size - 1).astype(np.intp))
    return tuple(ends), steps
