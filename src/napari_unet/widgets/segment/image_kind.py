"""What a layer shows of the kind of its image, from which a model is suggested."""

from __future__ import annotations

from napari_unet.axes import spatial_axes
from napari_unet.errors import UNetError
from napari_unet.network.suggestion import ImageKind
from napari_unet.widgets.viewer.layer_image import LayerImage


def kind_of(image: LayerImage | None) -> ImageKind:
    """Colours, planes, and whether their distance is known; nothing where axes are unclear."""
    if image is None:
        return ImageKind()
    try:
        axes = image.guess_axes(ndim=2, channels=1)[0]
        sizes = dict(zip(spatial_axes(axes), image.pixel_size(axes), strict=True))
    except (UNetError, ValueError):
        return ImageKind(colours=image.rgb)
    planes = image.shape[axes.index("Z")] if "Z" in axes and len(axes) == len(image.shape) else 1
    return ImageKind(image.rgb, planes, spacing_known=sizes.get("Z") is not None)
