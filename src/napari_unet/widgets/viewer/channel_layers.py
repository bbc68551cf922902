"""The channels of an image layer as layers of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari.utils.transforms import Affine, CompositeAffine

from napari_unet.errors import UNetError
from napari_unet.image.given import FILE_KEY, FILE_PART_KEY, PIXEL_SIZE_KEY
from napari_unet.io import read_image
from napari_unet.widgets.viewer.layer_image import plain
from napari_unet.widgets.viewer.placement import as_sliceable

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image


def split_channels(viewer: Viewer, image: Image, axes: str) -> list[Image]:
    """Add a layer for each channel of an image, which is hidden.

    Nothing is read or copied. The layers lie where the image does.

    Parameters
    ----------
    viewer : Viewer
        Where.
    image : Image
        With an axis of channels, which are no colours.
    axes : str
        Of its array.

    Returns
    -------
    list of Image
        In the order of the channels, named after those of the file where it names them.
    """
    image = plain(image)
    axis = axes.index("C")
    levels = [as_sliceable(each) for each in (image.data if image.multiscale else [image.data])]
    count = int(levels[0].shape[axis])
    names, colours = _channel_names(image, count), channel_colours(count)
    place = {key: getattr(image, key) for key in ("scale", "translate", "rotate", "shear")}
    place = without_axis({**place, "affine": image.affine.affine_matrix}, axis, image.ndim)
    kept = [i for i in range(image.ndim) if i != axis]
    metadata = {k: v for k, v in image.metadata.items() if k in (PIXEL_SIZE_KEY, FILE_KEY)}
    if image.source.path is not None:
        metadata[FILE_KEY] = str(image.source.path)
    part = image.metadata.get(FILE_PART_KEY, {})
    layers = []
    for number in range(count):
        index = (slice(None),) * axis + (number,)
        data = [level[index] for level in levels]
        layers.append(
            viewer.add_image(
                data if image.multiscale else data[0],
                name=names[number],
                metadata={**metadata, FILE_PART_KEY: {**part, "channel": number}},
                multiscale=image.multiscale,
                rgb=False,
                colormap=colours[number],
                blending="additive" if number else "translucent_no_depth",
                units=[image.units[i] for i in kept],
                axis_labels=[axes[i].lower() for i in kept],
                **place,
            )
        )
    image.visible = False
    return layers


def channel_colours(count: int) -> list[str]:
    """Colormaps of channels that are shown over one another.

    >>> channel_colours(1), channel_colours(2)
    (['gray'], ['magenta', 'green'])
    """
    if count == 1:
        return ["gray"]
    colours = (
        ("magenta", "green")
        if count == 2
        else ("cyan", "magenta", "yellow", "blue", "green", "red")
    )
    return [colours[i % len(colours)] for i in range(count)]


def without_axis(place: Mapping[str, Any], axis: int, ndim: int) -> dict[str, Any]:
    """Where an array of ``ndim`` axes lies, less one axis: scale, rotation and the rest."""
    kept = [i for i in range(ndim) if i != axis]
    given = {key: place[key] for key in ("scale", "translate", "rotate", "shear") if key in place}
    part = CompositeAffine(**given, ndim=ndim).set_slice(kept)
    left: dict[str, Any] = {key: getattr(part, key) for key in given}
    if "affine" in place:
        left["affine"] = Affine(affine_matrix=place["affine"]).set_slice(kept)
    return left


def _channel_names(image: Image, count: int) -> Sequence[str]:
    """Those that the file of a layer gives, else numbers."""
    names: tuple[str, ...] = ()
    if image.source.path is not None:
        scene = image.metadata.get(FILE_PART_KEY, {}).get("scene")
        with suppress(UNetError, OSError, ValueError):
            names = read_image(image.source.path, scene=scene, eager_bytes=0).channel_names
    if len(names) == count:
        return [f"{image.name} {name}" for name in names]
    return [f"{image.name} C{number}" for number in range(count)]
