"""An object split by seeds: a watershed on its distance map."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import watershed

from napari_unet.correction.change import Change
from napari_unet.correction.distance import measure_depth, spread_to_nearest
from napari_unet.correction.excerpt import Excerpt, read_object
from napari_unet.correction.free_label import free_label
from napari_unet.correction.window import Near, box_around
from napari_unet.errors import InputError

Pixel = tuple[int, ...]
LEAST_HEIGHT = 0.1  # of the middle of an object in a map from 0 to 1, unless it was not predicted


def split_by_seeds(
    labels: Any,
    label: int,
    seeds: Sequence[Any],
    *,
    distance: Any = None,
    spacing: Sequence[float] | None = None,
    largest: int | None = None,
    near: Near | None = None,
    frame: Sequence[int] = (),
) -> Change:
    """Split an object into one part per seed.

    The parts meet where the object is narrow between the seeds; where it is not, half way.
    Each pixel of the object goes to a part: pieces without a seed to the nearest one.

    Parameters
    ----------
    labels : int array
        Anything with shape, dtype and slicing.
    label : int
        The object's number, which the part of the first seed keeps.
    seeds : sequence of point, or of (N, ndim) array
        Two or more: points in the object, or all pixels of a stroke, in the axes of the labels.
    distance : array-like, optional
        A map of the shape of the labels that is high inside objects and low between them, such
        as that of a network, from 0 to 1. None, or where it is not known in all of the object or
        does not see it: the distance to the outline.
    spacing : sequence of float, optional
        Pixel size along each axis of space, for that distance. None: 1.
    largest : int, optional
        The largest label used so far; see `free_label`. New numbers follow it, in the order of
        the seeds.
    near, frame
        Where the object lies; see `object_window`. The seeds are looked at in any case.

    Returns
    -------
    Change

    Raises
    ------
    InputError
        If there are fewer than two seeds, one is not in the object, two are in one place, or
        no label is free.

    Examples
    --------
    >>> labels = np.array([[4, 4, 4, 4, 4, 4]])
    >>> split_by_seeds(labels, 4, [(0, 0), (0, 5)]).new.tolist()
    [[5, 5, 5]]
    """
    points = [_as_pixels(seed, len(labels.shape)) for seed in seeds]
    if len(points) < 2:
        raise InputError(
            f"A split needs two seeds, {len(points)} given",
            "click into each part",
            parameter="seeds",
            value=len(points),
        )
    around = box_around(np.concatenate(points), near)  # seeds may be in pieces apart
    excerpt = read_object(labels, label, near=around, frame=frame)
    mask = excerpt.pixels == label
    groups = [_place(seed, excerpt, mask, label, frame) for seed in points]
    _check_apart(groups)
    known = None if largest is None else max(largest, int(excerpt.pixels.max()))
    first = free_label(labels, known, count=len(groups) - 1)
    height = None if distance is None else _read_height(distance, labels, excerpt, mask)
    if height is None:
        height = measure_depth(mask, spacing)
    parts = _flood(mask, height, groups)
    ids = np.array([0, label, *range(first, first + len(groups) - 1)], excerpt.pixels.dtype)
    return excerpt.replace(np.where(mask, ids[parts], excerpt.pixels))


def _as_pixels(seed: Any, ndim: int) -> NDArray[np.int64]:
    points = np.atleast_2d(np.asarray(seed, float))
    if points.ndim != 2 or points.shape[1] != ndim or not np.isfinite(points).all():
        raise InputError(
            f"A seed of shape {np.shape(seed)} is no place in labels of {ndim} axes",
            "give a coordinate for each axis",
            parameter="seeds",
        )
    pixels: NDArray[np.int64] = np.rint(points).astype(np.int64)
    return pixels


def _place(
    seed: NDArray[np.int64],
    excerpt: Excerpt,
    mask: NDArray[np.bool_],
    label: int,
    frame: Sequence[int],
) -> list[Pixel]:
    """The pixels of a seed, counted from the window's first."""
    found = [
        tuple(int(n) for n in point)
        for point in seed - np.array([part.start for part in excerpt.window])
    ]
    depth = len(frame)
    for pixel, point in zip(found, seed, strict=True):
        inside = not any(pixel[:depth]) and all(
            0 <= n < size for n, size in zip(pixel[depth:], mask.shape, strict=True)
        )
        if not (inside and mask[pixel[depth:]]):
            place = tuple(int(n) for n in point)
            raise InputError(
                f"The seed at {place} is not in object {label}",
                "click into the object",
                parameter="seeds",
                value=place,
                code="seed-outside",
            )
    return [pixel[depth:] for pixel in found]


def _check_apart(groups: Sequence[Sequence[Pixel]]) -> None:
    for first, second in itertools.combinations(groups, 2):
        if not set(first).isdisjoint(second):
            raise InputError(
                "Two seeds are in the same place",
                "click into each part",
                parameter="seeds",
                code="seeds-coincide",
            )


def _read_height(
    distance: Any, labels: Any, excerpt: Excerpt, mask: NDArray[np.bool_]
) -> NDArray[np.float32] | None:
    """The map in the window; None where it does not tell of the object."""
    if tuple(distance.shape) != tuple(labels.shape):
        raise InputError(
            f"The distance map has the shape {tuple(distance.shape)}, "
            f"the labels {tuple(labels.shape)}",
            "give one value per pixel, or no map",
            parameter="distance",
        )
    found = np.asarray(distance[excerpt.window], np.float32).reshape(excerpt.pixels.shape)
    inside = found[mask]
    if not np.isfinite(inside).all() or float(np.median(inside)) < LEAST_HEIGHT:
        return None
    return np.where(mask, found, np.float32(0))


def _flood(
    mask: NDArray[np.bool_], height: NDArray[np.float32], groups: Sequence[Sequence[Pixel]]
) -> NDArray[np.int32]:
    """Parts 1, 2, ... of a mask around groups of pixels.

    A click is seldom on the peak, and of two clicks on one hill the first to flood the peak
    would take nearly all of it. So each seed climbs to its peak, and all above the lowest of
    these peaks is level, where the seeds meet half way. Seeds that climb the same hill to one
    peak say that the map knows of no second one: then all of the object is level.
    """
    markers = np.zeros(mask.shape, np.int32)
    for number, group in enumerate(groups, 1):
        markers[tuple(np.transpose(group))] = number
    climbed = markers.copy()
    level = np.inf
    for number, group in enumerate(groups, 1):
        path = _climb(height, mask, max(group, key=lambda pixel: height[pixel]))
        if any(climbed[pixel] not in (0, number) for pixel in path):
            relief = np.zeros(mask.shape, np.float32)
            break
        climbed[tuple(np.transpose(path))] = number
        level = min(level, float(height[path[-1]]))
    else:
        markers = climbed
        relief = -np.minimum(height, level)
    parts: NDArray[np.int32] = watershed(relief, markers, mask=mask)  # type: ignore[no-untyped-call]
    return spread_to_nearest(parts, mask)


def _climb(height: NDArray[np.float32], mask: NDArray[np.bool_], start: Pixel) -> list[Pixel]:
    """The way of steepest ascent from a pixel to a peak."""
    steps = list(itertools.product((-1, 0, 1), repeat=mask.ndim))
    path = [start]
    while True:
        here = path[-1]
        around = [tuple(n + d for n, d in zip(here, step, strict=True)) for step in steps]
        allowed = [
            pixel
            for pixel in around
            if all(0 <= n < size for n, size in zip(pixel, mask.shape, strict=True)) and mask[pixel]
        ]
        best = max(allowed, key=lambda pixel: height[pixel])
        if height[best] <= height[here]:
            return path
        path.append(best)
