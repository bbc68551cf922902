"""Instance labels as maps that a network can learn, and back.

Representation ``foreground-distance``, version 1: two maps,

0. foreground: the probability that a pixel belongs to an object;
1. distance: Euclidean distance to the object's boundary over the largest such distance in
   the object, in 0..1, and 0 in the background.

Decoding is a seeded watershed of the distance map inside the foreground.
"""

from __future__ import annotations

from typing import Any, Literal

import cc3d
import edt
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import watershed

from napari_unet.card import Decoding, InstanceRepresentation
from napari_unet.errors import InputError, ModelError
from napari_unet.seeds import find_seeds

REPRESENTATION = InstanceRepresentation(name="foreground-distance", version=1)
CHANNELS = ("foreground", "distance")


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
    ids = cc3d_compatible(labels)
    distance = np.asarray(edt.edt(ids, black_border=False), np.float32)
    # an object that fills the whole array has no boundary at all
    distance[~np.isfinite(distance)] = 1.0
    largest = np.zeros(int(ids.max(initial=0)) + 1, np.float32)
    np.maximum.at(largest, ids.ravel(), distance.ravel())
    foreground = ids > 0
    out = np.zeros((2, *labels.shape), np.float32)
    out[0] = foreground
    out[1][foreground] = (distance / np.maximum(largest, 1e-6)[ids])[foreground]
    return out


def decode(maps: NDArray[Any], decoding: Decoding) -> NDArray[np.int32]:
    """Labels from the maps.

    Parameters
    ----------
    maps : (2, [Z,] Y, X) float array
        Foreground and distance.
    decoding : Decoding
        Foreground threshold, depth of the dips that split objects, smallest size.

    Returns
    -------
    ([Z,] Y, X) int32 array
        Consecutive labels from 1; 0 is background.

    Examples
    --------
    >>> labels = np.array([[0, 1, 1, 1, 2, 2, 2, 0]])
    >>> decode(encode(labels), Decoding()).tolist()
    [[0, 1, 1, 1, 2, 2, 2, 0]]
    """
    foreground = np.ascontiguousarray(maps[0] > decoding.threshold)
    if not foreground.any():
        return np.zeros(foreground.shape, np.int32)
    faces: Literal[4, 6] = 4 if foreground.ndim == 2 else 6
    seeds, count = find_seeds(maps[1], foreground, decoding.split_depth)
    parts, number = cc3d.connected_components(
        foreground, connectivity=faces, return_N=True, out_dtype=np.uint32
    )
    # a piece of foreground whose distances stay below all levels is an object too
    seeded = np.zeros(number + 1, bool)
    seeded[parts[seeds > 0]] = True
    new_ids = np.zeros(number + 1, np.int32)
    lonely = np.flatnonzero(~seeded[1:]) + 1
    new_ids[lonely] = count + 1 + np.arange(lonely.size)
    seeds = np.where(seeds > 0, seeds, new_ids[parts])
    labels = watershed(  # type: ignore[no-untyped-call]
        -np.asarray(maps[1], np.float32), seeds, mask=foreground
    )
    return remove_small(labels, decoding.min_size)


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


def cc3d_compatible(labels: NDArray[Any]) -> NDArray[np.uint32]:
    """Contiguous labels from 0 in the dtype the libraries take, whatever the ids were."""
    if labels.size and (labels.min() < 0 or labels.max() >= 1 << 22):
        values, inverse = np.unique(labels, return_inverse=True)
        if values[0] < 0:
            raise InputError(f"Labels must not be negative, but there is {values[0]}.")
        offset = 0 if values[0] == 0 else 1
        return np.ascontiguousarray(inverse.reshape(labels.shape) + offset, dtype=np.uint32)
    return np.ascontiguousarray(labels, dtype=np.uint32)
