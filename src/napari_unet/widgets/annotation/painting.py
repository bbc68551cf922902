"""Layers to paint on: empty ones over an image, and predictions to correct."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_info
from numpy.typing import NDArray

from napari_unet.axes import label_axes
from napari_unet.dataset.correction import remember_objects
from napari_unet.errors import InputError
from napari_unet.widgets.annotation.marks import (
    MARKS_KEY,
    Marks,
    adopt,
    axes_of_labels,
    done_at,
    marks_for,
    marks_of,
    plane_shown,
    set_marks,
    toggle_done,
)
from napari_unet.widgets.annotation.snapshot import Trusted, blank, snapshot, trusted
from napari_unet.widgets.qt.wording import worded
from napari_unet.widgets.viewer.kept_scores import hand_on_scores
from napari_unet.widgets.viewer.label_colours import object_colours
from napari_unet.widgets.viewer.layer_image import RECORD_KEY, LayerImage, level_of
from napari_unet.widgets.viewer.placement import Placement, lift

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
    "paint_background",
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
        int32, named "IMAGE labels", of 0 everywhere, laid beside the image as `Placement` does
        it. It takes memory only where it is painted on.

    Raises
    ------
    InputError
        If the axes do not fit the image, labels cannot lie on it, or the system does not give
        the memory.
    """
    shape, placement = _grid(image, axes)
    marks = Marks(image.name, placement.axes)
    look = {**placement, "colormap": object_colours()}
    return _add(viewer, blank(shape), f"{image.name} labels", marks, {}, look)


def correct(viewer: Viewer, result: Labels, image: Image, axes: str) -> Labels:
    """Add a copy of predicted labels that can be painted on, and take up the brush.

    The brush, and the polygon and the bucket too, have a number that no object has. The copy
    lies on the pixels of the whole image, also where the prediction covers a part of it or was
    made on a coarser level. The prediction is hidden.

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
    own = axes_of_labels(result, image, axes)
    if not own:
        raise InputError(
            f"‘{result.name}’ has {result.ndim} axes, labels of ‘{image.name}’ have "
            f"{len(label_axes(axes))}",
            "choose the image that it was made of",
        )
    values: NDArray[Any] = placement.lay(np.asarray(lift(level_of(result), own)[0]))
    ends, steps = _place(result, own, image, axes, placement)
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
    marks = marks_of(result) or Marks(image.name, placement.axes)
    marks = replace(
        marks,
        image=image.name,
        axes=placement.axes,
        done=(),
        corrected=dict(record) if isinstance(record, dict) else marks.corrected,
        part=None if whole else ends,
        predicted=remember_objects(copy) if isinstance(record, dict) else marks.predicted,
    )
    kept = {k: v for k, v in result.metadata.items() if k not in (RECORD_KEY, MARKS_KEY)}
    name = f"{image.name} corrected"
    layer = _add(viewer, copy, name, marks, kept, {**placement, **_appearance(result)})
    if "class" not in result.features.columns:  # what is painted next is an object of its own
        layer.selected_label = min(int(values.max(initial=0)) + 1, LARGEST_LABEL)
    result.visible = False
    letters = placement.axes.replace("C", "")
    hand_on_scores(result, layer, [ends[placement.axes.index(axis)][0] for axis in letters])
    return layer


def paint_background(viewer: Viewer, layer: Labels, marks: Marks, taken: Sequence[int]) -> int:
    """Take up the brush with the label that means background; gives that label.

    Parameters
    ----------
    viewer : Viewer
        Where.
    layer : Labels
        What is painted on.
    marks : Marks
        Of the layer. Where they name no background, a label that is neither on the layer nor in
        the user's hand becomes it.
    taken : sequence of int
        The labels on the layer.

    Raises
    ------
    InputError
        If the layer's dtype has no further label.
    """
    label = marks.background
    if label is None:
        label = _free_label(layer, taken)
        set_marks(layer, replace(marks, background=label))
    viewer.layers.selection.active = layer
    layer.visible = True
    layer.selected_label = label
    layer.mode = "paint"
    return label


def _free_label(layer: Labels, taken: Sequence[int]) -> int:
    # the label in hand may be on its way to the layer
    used = {int(layer.selected_label), *taken}
    largest = int(np.iinfo(level_of(layer).dtype).max)
    label = max(used) + 1
    if label > largest:
        label = next((each for each in range(1, largest + 1) if each not in used), 0)
    if label == 0:
        raise InputError(f"All labels that ‘{layer.name}’ can hold are taken", "remove one first")
    return label


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
    look: Mapping[str, Any],
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
    """Colours of a prediction, and the names of its classes."""
    look: dict[str, Any] = {"colormap": result.colormap.model_copy(deep=True)}
    if len(result.features.columns) > 0:
        look["features"] = result.features.copy()
    return look


def _grid(image: Image, axes: str) -> tuple[tuple[int, ...], Placement]:
    """Shape of the labels of an image, and where they lie."""
    found = LayerImage.of(image)
    if len(axes) != len(found.shape) or not {"Y", "X"} <= set(axes):
        raise InputError(
            f"The axes {axes!r} do not fit ‘{image.name}’ of shape {found.shape}",
            "correct them",
            parameter="axes",
            value=axes,
        )
    placement = found.placement(axes)
    return placement.shape(dict(zip(axes, found.shape, strict=True))), placement


def _place(
    result: Labels, own: str, image: Image, axes: str, placement: Placement
) -> tuple[tuple[tuple[int, int], ...], list[NDArray[np.intp]]]:
    """Which pixels of the image's labels a prediction covers, and which of its own lies on each.

    ``own`` are the axes of the prediction, which has C where the image's labels have it, or not.
    """
    sizes = dict(zip(own, (int(n) for n in level_of(result).shape), strict=True))
    shape = dict(zip(axes, LayerImage.of(image).shape, strict=True)) | {"C": 1}
    kept = [i for i, axis in enumerate(axes) if axis != "C"]
    grid = LayerImage.of(image).place.set_slice(kept)
    affine = image.affine.set_slice(kept)
    letters = [axis for axis in own if axis != "C"]

    def pixel(place: dict[str, float]) -> NDArray[np.float64]:
        world = np.asarray(result.data_to_world([place.get(axis, 0.0) for axis in own]))
        along = world[[own.index(axis) for axis in letters]]
        return np.asarray(grid.inverse(affine.inverse(along)))

    origin = pixel({})
    ratios = np.empty(len(letters))
    for i, axis in enumerate(letters):
        along = pixel({axis: 1.0}) - origin
        ratios[i] = along[i]
        slant = np.abs(np.delete(along, i)).max() * sizes[axis]
        if ratios[i] <= 0 or slant > GRID_TOLERANCE_PIXELS * max(sizes.values()):
            raise InputError(
                f"‘{result.name}’ does not lie along the pixels of ‘{image.name}’",
                "choose the image that it was made of",
            )
    found = {"C": ((0, 1), np.zeros(1, np.intp))}
    for axis, first, ratio in zip(letters, origin, ratios, strict=True):
        size, n = sizes[axis], shape[axis]
        # pixels of the image whose centres lie on a pixel of the prediction
        start = max(0, int(np.ceil(round(first - ratio / 2, 3))))
        stop = min(n, int(np.ceil(round(first + ratio * (size - 0.5), 3))))
        if start >= stop:
            raise InputError(
                f"‘{result.name}’ lies outside of ‘{image.name}’",
                "choose the image that it was made of",
            )
        at = np.floor(np.round((np.arange(start, stop) - first) / ratio + 0.5, 3))
        found[axis] = (start, stop), at.clip(0, size - 1).astype(np.intp)
    ends, steps = zip(*(found[axis] for axis in placement.axes), strict=True)
    return ends, list(steps)
