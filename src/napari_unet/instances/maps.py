"""Instance labels as maps that a network can learn, and back.

There are two representations, each of two maps. Map 0 is the foreground of both: the probability
that a pixel belongs to an object. Map 1 is a height, 0 in the background:

- ``foreground-distance``, version 1: Euclidean distance to the object's boundary over the largest
  such distance in the object, in 0..1;
- ``foreground-boundary``, version 1: one minus the object's inner boundary
  (`napari_unet.instances.boundary`), for dense tissue, whose objects touch everywhere and have
  any shape.

Decoding is one and the same: it splits the foreground where the height dips
(`napari_unet.instances.watershed`). Labels that are known in part, such as scribbles, teach a
network the foreground alone: then the height is the distance to the outline of the predicted
foreground (``shape_radius``).
"""

from __future__ import annotations

import math
from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.card import Decoding, InstanceRepresentation
from napari_unet.errors import InputError, ModelError
from napari_unet.instances.boundary import find_boundary
from napari_unet.renumbering import compact_labels

DISTANCE = InstanceRepresentation(name="foreground-distance", version=1)
BOUNDARY = InstanceRepresentation(name="foreground-boundary", version=1)
REPRESENTATIONS = {"distance": DISTANCE, "boundary": BOUNDARY}  # by their names in the settings
CHANNELS = {DISTANCE.name: ("foreground", "distance"), BOUNDARY.name: ("foreground", "interior")}
TRUNCATE_SIGMAS = 3.0  # standard deviations at which the Gaussian of the smoothing ends


def check_representation(
    representation: InstanceRepresentation | None,
) -> InstanceRepresentation:
    """The representation; `ModelError` if this version does not know it.

    >>> check_representation(InstanceRepresentation(name="foreground-boundary")).version
    1
    """
    if representation is None or representation not in REPRESENTATIONS.values():
        name = (
            f"{representation.name} version {representation.version}" if representation else "none"
        )
        known = ", ".join(
            f"{each.name} version {each.version}" for each in REPRESENTATIONS.values()
        )
        raise ModelError(
            f"The model's objects stand in the maps {name}, made by a newer version than this one "
            f"(which reads {known})",
            "update napari-unet-torch",
        )
    return representation


def name_in_settings(representation: InstanceRepresentation) -> str:
    """What `TrainConfig.representation` calls it.

    >>> name_in_settings(BOUNDARY)
    'boundary'
    """
    return next(name for name, each in REPRESENTATIONS.items() if each == representation)


def encode(
    labels: NDArray[Any], representation: InstanceRepresentation = DISTANCE
) -> NDArray[np.float32]:
    """The maps of instance labels.

    Parameters
    ----------
    labels : (Y, X) or (Z, Y, X) integer array
        0 is background, each other value one object. The border of the array is no boundary.
    representation : InstanceRepresentation
        One of `REPRESENTATIONS`.

    Returns
    -------
    (2, *labels.shape) float32 array
        Foreground, and distance or interior.

    Raises
    ------
    InputError
        If the labels are no integers.
    ModelError
        If this version does not know the representation.

    Examples
    --------
    >>> encode(np.array([[0, 1, 1, 1, 0]]))[1].round(2).tolist()
    [[0.0, 0.5, 1.0, 0.5, 0.0]]
    >>> encode(np.array([[1, 1, 1, 2, 2, 0]]), BOUNDARY)[1].tolist()
    [[1.0, 1.0, 0.0, 0.0, 0.0, 0.0]]
    """
    if labels.dtype.kind not in "ui":
        raise InputError(f"Instance labels must be integers, not {labels.dtype}")
    height = _INSIDES[check_representation(representation).name]
    ids = compact_labels(labels)
    out = np.empty((2, *labels.shape), np.float32)
    np.greater(ids, 0, out=out[0])
    out[1] = height(ids)
    return out


def _relative_distance(ids: NDArray[np.uint32]) -> NDArray[np.float32]:
    distance = np.asarray(edt.edt(ids, black_border=False), np.float32)
    # an object that fills the whole array has no boundary at all
    distance[~np.isfinite(distance)] = 1.0
    largest = np.full(int(ids.max(initial=0)) + 1, 1e-6, np.float32)
    np.maximum.at(largest, ids.ravel(), distance.ravel())
    distance /= largest[ids]
    return distance


def _interior(ids: NDArray[np.uint32]) -> NDArray[np.bool_]:
    return (ids > 0) & ~find_boundary(ids)


_INSIDES = {DISTANCE.name: _relative_distance, BOUNDARY.name: _interior}


def decode(maps: NDArray[Any], decoding: Decoding) -> NDArray[np.int32]:
    """Labels from the maps.

    Parameters
    ----------
    maps : (2, [Z,] Y, X) float array
        Foreground and height, of any representation.
    decoding : Decoding
        Smoothing, foreground threshold, what is split and at which depth of its dips, smallest
        size.

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
    from napari_unet.instances.watershed import object_watershed

    foreground, distance = prepare_maps(maps, decoding)
    return object_watershed(
        foreground, distance, decoding.threshold, decoding.split_depth, decoding.min_size
    )


def prepare_maps(maps: NDArray[Any], decoding: Decoding) -> NDArray[np.float32]:
    """What is flooded: the maps, smoothed, or the foreground and how deep in it a pixel lies.

    Parameters
    ----------
    maps : (2, [Z,] Y, X) float array
        Foreground and distance.
    decoding : Decoding
        Its ``smoothing``, ``shape_radius`` and ``threshold``. The radius is in pixels along
        every axis, whatever the size of a voxel, as the distance of `encode` is.

    Returns
    -------
    (2, [Z,] Y, X) float32 array
        Foreground and distance under the Gaussian. With a ``shape_radius``, the distance is
        the Euclidean one to the outline of the smoothed foreground, cut off at the radius and
        divided by it. A pixel depends on others up to `decoding_reach` away.

    Examples
    --------
    >>> maps = np.array([[[0, 1, 1, 1, 1, 1, 1]], [[0, 0, 0, 0, 0, 0, 0]]])
    >>> prepare_maps(maps, Decoding(shape_radius=4))[1].tolist()
    [[0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0]]
    """
    maps = np.asarray(maps, np.float32)
    radius = np.float32(decoding.shape_radius)
    if radius == 0:
        return _smooth(maps, decoding)
    out = np.empty_like(maps)
    out[0] = _smooth(maps[:1], decoding)[0]
    np.minimum(outline_distance(out[0] > np.float32(decoding.threshold)), radius, out=out[1])
    out[1] /= radius
    return out


def outline_distance(foreground: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Euclidean distance of each pixel to the nearest one that is no foreground, in pixels.

    The border of the array is no outline; infinite where there is foreground alone. Squared
    distances below 2**24 are exact, so a part of an array has the distances of the whole as far
    as their outline lies within the part.

    >>> outline_distance(np.array([[True, True, False]])).tolist()
    [[2.0, 1.0, 0.0]]
    """
    found: NDArray[np.float32] = edt.edt(foreground, black_border=False)
    return found


def _smooth(maps: NDArray[np.float32], decoding: Decoding) -> NDArray[np.float32]:
    if decoding.smoothing == 0:
        return maps
    smoothed: NDArray[np.float32] = ndimage.gaussian_filter(
        maps,
        decoding.smoothing,
        mode="nearest",
        radius=_gaussian_radius(decoding),
        axes=tuple(range(1, maps.ndim)),
    )
    return smoothed


def _gaussian_radius(decoding: Decoding) -> int:
    return int(TRUNCATE_SIGMAS * decoding.smoothing + 0.5)


def decoding_reach(decoding: Decoding) -> int:
    """How far a pixel of the prepared maps looks, in pixels.

    >>> [decoding_reach(Decoding(smoothing=s, shape_radius=r)) for s, r in ((0, 0), (2, 0), (2, 4))]
    [0, 6, 10]
    """
    return _gaussian_radius(decoding) + math.ceil(decoding.shape_radius)
