"""Labels without channels beside an image whose channels come after other axes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari.utils.transforms import CompositeAffine

from napari_unet.axes import label_axes
from napari_unet.widgets.annotation.marks import marks_of, set_marks
from napari_unet.widgets.viewer.layer_axes import letters_of
from napari_unet.widgets.viewer.layer_image import LayerImage, plain, shape_of

if TYPE_CHECKING:
    from napari.layers import Image, Labels


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
