"""A segmentation of what is in view, with the intensities of the whole image."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import label_axes
from napari_unet.progress import Progress
from napari_unet.settings import SegmentSettings

LARGEST = 1024  # pixels a side; a preview is to be there at once


@dataclass(frozen=True)
class View:
    """The part of an image that is in view.

    Attributes
    ----------
    y, x : slice
        In pixels of the image.
    t, z : int
        Time point and plane; 0 where the image has no such axis.
    """

    y: slice
    x: slice
    t: int = 0
    z: int = 0

    @classmethod
    def around(cls, y: slice, x: slice, t: int = 0, z: int = 0) -> View:
        """The same, cut down to its centre where it is too large to be fast.

        >>> View.around(slice(0, 5000), slice(100, 200)).y
        slice(1988, 3012, None)
        """
        return cls(_centre(y), _centre(x), t, z)


@dataclass(frozen=True, eq=False)
class Preview:
    """Labels of a part of an image.

    Attributes
    ----------
    labels : array
        With all axes of the whole result; of T, and of Z for a 2D model, one index.
    corner : tuple of int
        Where it lies in the whole result.
    card : ModelCard
    record : dict
    """

    labels: NDArray[Any]
    corner: tuple[int, ...]
    card: Any
    record: dict[str, Any]


def iter_preview(
    image: Any,
    model: str,
    view: View,
    *,
    axes: str,
    channels: Sequence[int] | None,
    pixel_size: Sequence[float | None],
    settings: SegmentSettings,
) -> Generator[Progress, None, Preview]:
    """Segment the part in view as the whole image would be.

    The part is read with the network's halo around it, and normalised with the limits of
    the whole image.

    Parameters
    ----------
    image, model, axes, channels, pixel_size, settings
        As for `napari_unet.segment`.
    view : View
        What is in view.
    """
    from napari_unet.card import Normalization
    from napari_unet.image import open_image
    from napari_unet.model import Model
    from napari_unet.normalization import find_limits
    from napari_unet.prediction_plan import find_zoom
    from napari_unet.segmentation import iter_segmentation

    loaded = Model.load(model)
    config = loaded.card.architecture
    yield Progress(0, 1, "reading the intensities")
    source = open_image(
        image,
        axes=axes,
        channels=channels,
        pixel_size=pixel_size,
        ndim=config.ndim,
        in_channels=config.in_channels,
    )
    limits = find_limits(source, settings.normalization or loaded.card.normalization)
    # a constant channel becomes 0, as in the whole image
    pairs = tuple((a, b if b > a else a + 1) for a, b in limits.at(view.t, view.z))
    fixed = settings.model_copy(update={"normalization": Normalization(mode="range", limits=pairs)})

    index: dict[str, slice] = {"T": slice(view.t, view.t + 1), "C": slice(None)}
    index["Z"] = slice(None) if config.ndim == 3 else slice(view.z, view.z + 1)
    cut: dict[str, slice] = {}
    zoom = find_zoom(loaded.card, source, settings.object_diameter)
    context = [math.ceil(h / z) for h, z in zip(config.halo, zoom, strict=True)]
    for axis, part, halo in (("Y", view.y, context[-2]), ("X", view.x, context[-1])):
        start, stop = max(part.start - halo, 0), min(part.stop + halo, source.size(axis))
        index[axis] = slice(start, stop)
        cut[axis] = slice(part.start - start, part.stop - start)
    pixels = np.asarray(image[tuple(index[axis] for axis in axes)])
    result = yield from iter_segmentation(
        pixels, loaded, axes=axes, channels=channels, pixel_size=pixel_size, settings=fixed
    )
    kept = label_axes(axes)
    labels = result.labels[tuple(cut.get(axis, slice(None)) for axis in kept)]
    begin = {"Y": view.y.start, "X": view.x.start, "T": view.t}
    begin["Z"] = 0 if config.ndim == 3 else view.z
    return Preview(labels, tuple(begin[axis] for axis in kept), result.card, result.record)


def _centre(part: slice) -> slice:
    length = part.stop - part.start
    if length <= LARGEST:
        return part
    start = part.start + (length - LARGEST) // 2
    return slice(start, start + LARGEST)
