"""What the network learns, from labels that may be known in part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.dataset.goal import TargetSpec
from napari_unet.image.normalization import check_finite
from napari_unet.instances import maps as instances
from napari_unet.renumbering import compact_labels

TOUCHING = 2  # pixels between two objects, at most, that count as touching
INSTANCE_TARGETS = (*instances.CHANNELS, "exact", "touching", "balance")
BALANCE = (0.5, 3.0)  # least and largest weight of an object's pixels


def encode_target(
    labels: NDArray[Any],
    known: NDArray[np.bool_],
    goal: TargetSpec,
    open_sides: Sequence[tuple[bool, bool]] | None = None,
    usual_size: float | None = None,
) -> NDArray[Any]:
    """The target of a plane or volume.

    Parameters
    ----------
    labels : (K, *spatial) array
        Labels, or values; K is 1 but for regression.
    known : (*spatial) array of bool
        Where they can be trusted.
    goal : TargetSpec
        The task and its classes or range.
    open_sides : sequence of (bool, bool), optional
        For each axis whether the image goes on before and behind the array.
    usual_size : float, optional
        Median size of the objects of the whole image, in pixels; None: all objects count by
        their pixels.

    Returns
    -------
    (M, *spatial) array
        Regression: values with the output range at 0..1, float32. Semantic: M = 1, indices
        of the classes. Instance: `INSTANCE_TARGETS`, float16 - the foreground; the relative
        distance to the boundary, or what it cannot exceed; whether it is exact; where two
        objects touch; a weight by which small objects count more than their few pixels.
    """
    ndim = labels.ndim - 1
    if goal.task == "regression":
        check_finite(labels)
        low, high = np.array(goal.output_limits).T.reshape(2, -1, *(1,) * ndim)
        values: NDArray[Any] = ((labels - low) / (high - low)).astype(np.float32)
        return values
    if goal.task == "semantic":
        classes = np.array([c.value for c in goal.classes])
        order = np.argsort(classes)
        place = np.minimum(np.searchsorted(classes[order], labels), len(classes) - 1)
        index: NDArray[Any] = order[place].astype(np.min_scalar_type(len(classes) - 1))
        return index
    ids = compact_labels(labels[0])
    touching = _touching(ids)
    if known.all() and not any(map(any, open_sides or ())):
        maps, exact = instances.encode(ids), np.ones(ids.shape, bool)
    else:
        maps, exact = _encode_in_part(ids, known, open_sides or ((False, False),) * ndim)
    rest = np.stack([exact, touching, _balance(ids, exact, usual_size)])
    return np.concatenate([maps, rest]).astype(np.float16)


def _encode_in_part(
    ids: NDArray[np.uint32], known: NDArray[np.bool_], open_sides: Sequence[tuple[bool, bool]]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Foreground and distance, and where the distance is determined.

    An object that may go on where nothing is known has an unknown largest distance. Of its
    pixels nearer to a known boundary than to anything unknown the distance itself is known,
    and the largest of them is at most the object's: their quotient is an upper bound.
    """
    width = [(int(before), int(behind)) for before, behind in open_sides]
    inner = tuple(slice(a, a + n) for (a, _), n in zip(width, ids.shape, strict=True))
    edge = edt.edt(np.pad(known, width).astype(np.uint8), black_border=False)[inner]
    number = int(ids.max(initial=0))
    # what is not known is a label of its own: no distance reaches past it
    parts = np.where(known, ids, np.uint32(number + 1))
    distance = np.asarray(edt.edt(np.ascontiguousarray(parts), black_border=False), np.float32)
    distance[~np.isfinite(distance)] = np.inf
    object_pixels = (ids > 0) & known
    near = edge <= math.sqrt(ids.ndim) + 1e-3  # neighbours, corners too
    open_pixels = object_pixels & (near | (distance >= edge - 1e-3)) & np.isfinite(edge)
    cut = np.zeros(number + 2, bool)
    cut[ids[open_pixels]] = True
    cut[0] = False
    sure = object_pixels & np.isfinite(distance) & ((distance < edge - 1e-3) | ~cut[ids])
    largest = np.ones(number + 2, np.float32)
    whole = np.full(number + 2, 1e-6, np.float32)
    np.maximum.at(largest, ids[sure], distance[sure])
    np.maximum.at(whole, ids[sure], distance[sure])
    largest = np.where(cut, largest, whole)
    relative = np.where(sure, distance / largest[ids], 1.0)
    relative = np.where(object_pixels, np.minimum(relative, 1), 0).astype(np.float32)
    maps = np.stack([object_pixels.astype(np.float32), relative])
    return maps, known & ~cut[ids]


def _balance(
    ids: NDArray[np.uint32], exact: NDArray[np.bool_], usual_size: float | None
) -> NDArray[np.float32]:
    """The root of the usual size over an object's own, within `BALANCE`; 1 where unknown."""
    if usual_size is None:
        return np.ones(ids.shape, np.float32)
    sizes = np.bincount(ids[exact], minlength=int(ids.max(initial=0)) + 1)
    weight = np.ones(sizes.size, np.float32)
    objects = sizes > 0
    objects[0] = False
    weight[objects] = np.clip(np.sqrt(usual_size / sizes[objects]), *BALANCE)
    balance: NDArray[np.float32] = weight[ids]
    return balance


def _touching(ids: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Pixels around which two different objects lie within `TOUCHING` pixels in the plane."""
    if not ids.size:
        return np.zeros(ids.shape, bool)
    size = (1,) * (ids.ndim - 2) + (2 * TOUCHING + 1,) * 2
    largest = ndimage.maximum_filter(ids, size, mode="nearest")
    # above all labels, and a number that the filter's floats hold
    far = np.where(ids > 0, ids, ids.max() + np.uint32(1))
    smallest = ndimage.minimum_filter(far, size, mode="nearest")
    touching: NDArray[np.bool_] = (largest > 0) & (smallest < largest)
    return touching
