"""Examples: what a network learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Example:
    """An image and what is known of it.

    Parameters
    ----------
    image : array-like, or list of array-like
        As in `napari_unet.segment`.
    labels : array-like
        Integer labels (instance, semantic) with the image's axes less C; for regression
        the target image, which may have channels: where the image has them, or first. Whole
        numbers that are stored as floats are labels. Of a mask, `skimage.measure.label` makes
        objects; negative labels that mean unknown are told by ``region=labels >= 0`` beside
        ``numpy.maximum(labels, 0)``.
    region : {"all", "planes", "painted"}, array-like, or a tuple of these
        Where the labels can be trusted; pixels elsewhere do not count. ``"all"``:
        everywhere, 0 is background. ``"planes"``: in planes (of each time point) that carry
        any label, which are complete. ``"painted"``: where the label is not 0. An array,
        the mask: where it is not 0; it has the shape of the labels, or length 1 along some
        axes. A tuple: in any of its regions, so that one image can mix scribbles, boxes and
        whole planes.
    background : int, optional
        The label that means background where 0 means unlabelled; not with ``"all"``. It
        counts as 0, unless the classes of a semantic model name it.
    axes, channels, pixel_size
        As in `napari_unet.segment`.

    Examples
    --------
    >>> import numpy as np
    >>> painted = np.array([[0, 1, 1, 0], [0, 2, 0, 9]])
    >>> example = Example(np.zeros((2, 4)), painted, region="painted", background=9)
    """

    image: Any
    labels: Any
    region: Any = "all"
    background: int | None = None
    axes: str | None = None
    channels: Sequence[int] | None = None
    pixel_size: float | Sequence[float | None] | None = None
