"""Labels that mean something else than they say: masks, and negative numbers for unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.dataset.components import number_regions
from napari_unet.widgets.annotation.marks import marks_for, marks_of, set_marks
from napari_unet.widgets.annotation.painting import correct
from napari_unet.widgets.viewer.label_colours import object_colours

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Labels


def number_objects(viewer: Viewer, labels: Labels, image: Image, axes: str) -> Labels:
    """Add a copy of labels in which each connected region is an object of its own.

    Parameters
    ----------
    viewer : Viewer
        Where. The labels themselves are hidden.
    labels : Labels
        A mask, or classes; a background label keeps its number.
    image : Image
        What they are of.
    axes : str
        Of its array, colours included.

    Returns
    -------
    Labels
        Named "IMAGE objects", on the pixels of the whole image, with the marks of the labels.

    Raises
    ------
    InputError
        If the labels do not lie along the pixels of the image.
    """
    layer = _copy(viewer, labels, image, axes, f"{image.name} objects")
    marks = marks_for(layer)
    numbered = number_regions(layer.data, marks.axes, background=marks.background)
    layer.data = numbered.astype(np.int32)
    layer.colormap = object_colours()
    return layer


def mark_unknown(viewer: Viewer, labels: Labels, image: Image, axes: str) -> Labels:
    """Add a copy of labels in which nothing is known where they are negative.

    Nothing is painted there; where they are 0, the background is painted with a label of its own,
    as the marks of the copy say.

    Parameters
    ----------
    viewer, labels, image, axes
        As in `number_objects`.

    Returns
    -------
    Labels
        Named "IMAGE known", on the pixels of the whole image.

    Raises
    ------
    InputError
        If the labels do not lie along the pixels of the image.
    """
    layer = _copy(viewer, labels, image, axes, f"{image.name} known")
    values: NDArray[Any] = np.asarray(layer.data)
    background = int(values.max(initial=0)) + 1
    layer.data = np.where(values == 0, background, np.maximum(values, 0))
    set_marks(layer, replace(marks_for(layer), background=background))
    return layer


def _copy(viewer: Viewer, labels: Labels, image: Image, axes: str, name: str) -> Labels:
    """A copy over the image, with what is marked in the labels."""
    before = marks_of(labels)
    layer = correct(viewer, labels, image, axes)
    layer.name, layer.mode = name, "pan_zoom"
    if before is not None and before.axes == marks_for(layer).axes:
        set_marks(layer, replace(marks_for(layer), done=before.done))
    return layer
