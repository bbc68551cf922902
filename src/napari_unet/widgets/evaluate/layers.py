"""Layers as what an evaluation takes: arrays of one shape, matched by where the layers lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_unet.axes import label_axes
from napari_unet.dataset.pixel_grid import MismatchError
from napari_unet.errors import InputError
from napari_unet.widgets.annotation.label_matching import axes_of_labels, match_layers
from napari_unet.widgets.viewer.layer_image import level_of, shape_of
from napari_unet.widgets.viewer.placement import as_sliceable, lift


@dataclass(frozen=True, eq=False)
class Laid:
    """A prediction on the pixels of its truth.

    Attributes
    ----------
    prediction, truth : array-like
        Of one shape.
    axes : str
        Of both.
    """

    prediction: Any
    truth: Any
    axes: str


def lay_on_truth(prediction: Any, axes: str, truth: Any) -> Laid:
    """The pixels of a prediction that have a truth.

    Parameters
    ----------
    prediction, truth : Labels or Image
        The layers; the truth may be of a part.
    axes : str
        Of the prediction's layer.

    Raises
    ------
    InputError
        If the truth does not lie on the pixels of the prediction; it says why.
    """
    for layer in (prediction, truth):
        if getattr(layer, "rgb", False):
            raise InputError(
                f"‘{layer.name}’ is a colour picture", "choose a layer with one value per pixel"
            )
    found = match_layers(prediction, axes, truth)
    if found.image_level or found.label_level:
        raise InputError(
            f"The pixels of ‘{truth.name}’ have another size than those of ‘{prediction.name}’",
            "scale one of them to the size of the other",
            parameter="truth",
        )
    own = label_axes(found.image_axes)
    parts = dict(zip(own, found.part, strict=True))
    lengths = dict(zip(own, found.shape, strict=True))
    if any(part.stop - part.start != lengths[axis] for axis, part in parts.items()):
        raise InputError(
            f"‘{truth.name}’ reaches beyond ‘{prediction.name}’",
            "crop both to the part that they share",
            parameter="truth",
        )
    true_axes = axes_of_labels(prediction, axes, truth)
    true, kept_true = lift(as_sliceable(level_of(truth)), true_axes)
    index: list[Any] = []
    kept = ""
    count = dict(zip(axes, shape_of(prediction), strict=True)).get("C", 1)
    if count > 1 and "C" not in parts:
        raise InputError(
            f"‘{prediction.name}’ has {count} channels",
            "split them into layers, and choose one",
        )
    for axis in axes:
        if axis == "C" and axis not in parts:
            index.append(0)
        elif axis in kept_true:
            index.append(parts[axis])
            kept += axis
        else:
            index.append(parts[axis].start)  # the truth is of one plane of it
    if kept != kept_true:
        raise MismatchError(
            f"‘{prediction.name}’ has the axes {axes}, ‘{truth.name}’ {true_axes}",
            "give both the same order of axes",
            parameter="truth",
            code="axes",
        )
    return Laid(as_sliceable(level_of(prediction))[tuple(index)], true, kept)


def lay_errors(errors: Any, truth: Any) -> dict[str, Any]:
    """Values and place of the layer of errors: those of the truth."""
    place = {
        name: getattr(truth, name) for name in ("scale", "translate", "rotate", "shear", "units")
    }
    place["affine"] = truth.affine.affine_matrix
    place["axis_labels"] = truth.axis_labels
    return {"data": np.asarray(errors).reshape(shape_of(truth)), **place}
