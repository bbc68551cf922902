"""Labels without channels beside an image whose channels come after other axes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari.layers import Labels
from napari.utils.transforms import CompositeAffine

from napari_unet.axes import label_axes
from napari_unet.widgets.annotation.marks import marks_of, set_marks
from napari_unet.widgets.viewer.channel_layers import split_channels, without_axis
from napari_unet.widgets.viewer.layer_axes import letters_of
from napari_unet.widgets.viewer.layer_image import LayerImage, plain, shape_of
from napari_unet.widgets.viewer.placement import as_sliceable

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image


def lay_beside_channels(labels: Labels, image: Image, axes: str) -> bool:
    """Give labels of an image the axis that its channels have in the viewer, if they lack it.

    Labels (T, Y, X) that were read from a file would be moved by the slider of the channels of an
    image (T, C, Y, X), and be painted at another time than the one that is seen. The pixels stay
    the same, in the same memory.

    Parameters
    ----------
    labels : Labels
        As large as the image; others stay as they are.
    image : Image
        The image.
    axes : str
        Of its array, colours included.

    Returns
    -------
    bool
        Whether the layer was changed.
    """
    labels = plain(labels)
    placement = LayerImage.of(image).placement(axes)
    flat = label_axes(placement.axes)
    sizes = dict(zip(axes, shape_of(image), strict=True))
    marks, named = marks_of(labels), letters_of(labels.axis_labels)
    others = {marks.axes if marks is not None else flat, named or flat} != {flat}
    whole = shape_of(labels) == tuple(sizes[axis] for axis in flat)
    if flat == placement.axes or labels.multiscale or others or not whole:
        return False
    at = placement.axes.index("C")
    place = CompositeAffine(
        scale=labels.scale,
        translate=labels.translate,
        rotate=labels.rotate,
        shear=labels.shear,
        ndim=labels.ndim,
    ).expand_dims([at])
    affine, units = labels.affine.expand_dims([at]), list(labels.units)
    labels.data = placement.lay(labels.data)
    mode, labels.editable = labels.mode, False  # which forgets strokes: they have no such axis
    labels.editable, labels.mode = True, mode
    labels.rotate, labels.shear, labels.affine = place.rotate, place.shear, affine
    scale, translate = place.scale.copy(), place.translate.copy()
    scale[at], translate[at] = placement["scale"][at], placement["translate"][at]
    labels.scale, labels.translate = scale, translate
    labels.units = (*units[:at], placement["units"][at], *units[at:])
    if named is not None:
        labels.axis_labels = tuple(placement.axes.lower())
    if marks is not None:
        part = None if marks.part is None else (*marks.part[:at], (0, 1), *marks.part[at:])
        set_marks(labels, replace(marks, axes=placement.axes, part=part))
    return True


def split_with_labels(viewer: Viewer, image: Image, axes: str) -> list[Image]:
    """Make layers of the channels of an image; labels beside them lose the axis of length 1.

    Else the viewer, which aligns layers at their last axes, would show them at other times.

    Parameters
    ----------
    viewer, image, axes
        As in `split_channels`.
    """
    at, sizes = axes.index("C"), shape_of(image)
    beside = tuple(1 if i == at else n for i, n in enumerate(sizes))
    for layer in list(viewer.layers):
        if at and isinstance(layer, Labels) and shape_of(layer) == beside:
            _take_off_channels(plain(layer), at)
    return split_channels(viewer, image, axes)


def _take_off_channels(labels: Labels, at: int) -> None:
    """Take an axis of length 1 away; the pixels stay the same, in the same memory."""
    if labels.multiscale:
        return
    kept = [i for i in range(labels.ndim) if i != at]
    keys = ("scale", "translate", "rotate", "shear")
    place = {key: getattr(labels, key) for key in keys}
    place = without_axis({**place, "affine": labels.affine.affine_matrix}, at, labels.ndim)
    units, names = ([each[i] for i in kept] for each in (labels.units, labels.axis_labels))
    marks = marks_of(labels)
    labels.data = as_sliceable(labels.data)[(slice(None),) * at + (0,)]
    mode, labels.editable = labels.mode, False  # which forgets strokes: they have that axis
    labels.editable, labels.mode = True, mode
    for key in ("rotate", "shear", "affine", "scale", "translate"):
        setattr(labels, key, place[key])
    labels.units, labels.axis_labels = units, names
    if marks is not None and at < len(marks.axes):
        part = None if marks.part is None else tuple(marks.part[i] for i in kept)
        set_marks(labels, replace(marks, axes=label_axes(marks.axes), part=part))
