"""Instance labels as maps that a network can learn, and back.

Representation ``foreground-distance``, version 1: two maps,

0. foreground: the probability that a pixel belongs to an object;
1. distance: Euclidean distance to the object's boundary over the largest such distance in
   the object, in 0..1, and 0 in the background.

Decoding splits the foreground where the distance dips (`napari_unet.flooding`).
"""

from __future__ import annotations

from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.card import Decoding, InstanceRepresentation
from napari_unet.errors import InputError, ModelError

REPRESENTATION = InstanceRepresentation(name="foreground-distance", version=1)
CHANNELS = ("foreground", "distance")
TRUNCATE = 3.0  # standard deviations at which the Gaussian of the smoothing ends


def check_representation(representation: InstanceRepresentation | None) -> None:
    """Raise `ModelError` if this version cannot decode the maps."""
    if representation != REPRESENTATION:
        raise ModelError(
            f"The model's instance maps are {representation}, which this version cannot decode; "
            "update napari-unet-torch."
        )


def encode(labels: NDArray[Any]) -> NDArray[np.float32]:
    """The maps of instance labels.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X) integer array
        0 is background, each other value one object. The border of the array is no boundary.

    Returns
    -------
    (2, *labels.shape) float32 array
        Foreground and distance.

    Examples
    --------
    >>> encode(np.array([[0, 1, 1, 1, 0]]))[1].round(2).tolist()
    [[0.0, 0.5, 1.0, 0.5, 0.0]]
    """
    if labels.dtype.kind not in "ui":
        raise InputError(f"Instance labels must be integers, not {labels.dtype}.")
    ids = compact_labels(labels)
    distance = np.asarray(edt.edt(ids, black_border=False), np.float32)
    # an object that fills the whole array has no boundary at all
    distance[~np.isfinite(distance)] = 1.0
    largest = np.full(int(ids.max(initial=0)) + 1, 1e-6, np.float32)
    np.maximum.at(largest, ids.ravel(), distance.ravel())
    out = np.empty((2, *labels.shape), np.float32)
    np.greater(ids, 0, out=out[0])
    np.divide(distance, largest[ids], out=out[1])
    return out


def decode(maps: NDArray[Any], decoding: Decoding) -> NDArray[np.int32]:
    """Labels from the maps.

    Parameters
    ----------
    maps : (2, [Z,] Y, X) float array
        Foreground and distance.
    decoding : Decoding
        Smoothing, foreground threshold, depth of the dips that split objects, smallest size.

    Returns
    -------
    ([Z,] Y, X) int32 array
        Consecutive labels from 1, as they come in memory; 0 is background.

    Examples
    --------
    >>> labels = np.array([[0, 1, 1, 1, 2, 2, 2, 0]])
    >>> decode(encode(labels), Decoding()).tolist()
    [[0, 1, 1, 1, 2, 2, 2, 0]]
    """
    from napari_unet.flooding import flood_objects

    foreground, distance = smooth(maps, decoding)
    return flood_objects(
        foreground, distance, decoding.threshold, decoding.split_depth, decoding.min_size
    )


def smooth(maps: NDArray[Any], decoding: Decoding) -> NDArray[np.float32]:
    """The maps as float32, (2, [Z,] Y, X), under the Gaussian that the decoding asks for."""
    maps = np.asarray(maps, np.float32)
    if decoding.smoothing == 0:
        return maps
    smoothed: NDArray[np.float32] = ndimage.gaussian_filter(
        maps,
        decoding.smoothing,
        mode="nearest",
        radius=decoding_reach(decoding),
        axes=tuple(range(1, maps.ndim)),
    )
    return smoothed


def decoding_reach(decoding: Decoding) -> int:
    """How far a pixel of the smoothed maps looks, in pixels.

    >>> decoding_reach(Decoding()), decoding_reach(Decoding(smoothing=2))
    (0, 6)
    """
    return int(TRUNCATE * decoding.smoothing + 0.5)


def remove_small(labels: NDArray[Any], min_size: int) -> NDArray[np.int32]:
    """Drop objects of fewer than ``min_size`` pixels and number the rest from 1.

    >>> remove_small(np.array([5, 5, 9, 0]), 2).tolist()
    [1, 1, 0, 0]
    """
    sizes = np.bincount(labels.ravel())
    kept = sizes >= max(min_size, 1)
    kept[0] = False
    table = np.zeros(sizes.size, np.int32)
    table[kept] = np.arange(1, np.count_nonzero(kept) + 1)
    renumbered: NDArray[np.int32] = table[labels]
    return renumbered


def compact_labels(labels: NDArray[Any]) -> NDArray[np.uint32]:
    """Contiguous labels from 0 in the dtype the libraries take, whatever the ids were."""
    if labels.size and (labels.min() < 0 or labels.max() >= 1 << 22):
        values, inverse = np.unique(labels, return_inverse=True)
        if values[0] < 0:
            raise InputError(f"Labels must not be negative, but there is {values[0]}.")
        offset = 0 if values[0] == 0 else 1
        return np.ascontiguousarray(inverse.reshape(labels.shape) + offset, dtype=np.uint32)
    return np.ascontiguousarray(labels, dtype=np.uint32)
