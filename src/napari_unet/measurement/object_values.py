"""The values of one object, from its mask and the pixels below it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.measurement.outline import measure_outline

SAME_SIZE = 1e-3  # relative difference up to which pixels count as square
PERIMETER_NEIGHBOURS = 4  # as in scikit-image's regionprops


def measure_shape(
    mask: NDArray[np.bool_],
    start: Sequence[int],
    spacing: Sequence[float],
    properties: Collection[str],
) -> dict[str, Any]:
    """Size, place and shape, by property.

    Parameters
    ----------
    mask : (Y, X) or (Z, Y, X) array of bool
        The object in its bounding box.
    start : sequence of int
        Where the bounding box begins.
    spacing : sequence of float
        Size of a pixel along each axis.
    properties : collection of str
        What is wanted.
    """
    from skimage.measure import perimeter, regionprops

    pixels = mask.view(np.uint8)
    (region,) = regionprops(pixels, spacing=tuple(spacing))  # type: ignore[no-untyped-call]
    found: dict[str, Any] = {"area": float(region.area)}
    stop = [a + n for a, n in zip(start, mask.shape, strict=True)]
    found["bbox"] = (*start, *stop)
    if "centroid" in properties:
        found["centroid"] = [
            float(c + a * s) for c, a, s in zip(region.centroid, start, spacing, strict=True)
        ]
    for name in ("equivalent_diameter_area", "axis_major_length", "axis_minor_length"):
        if name in properties:
            found[name] = float(getattr(region, name))
    for name in ("eccentricity", "orientation"):
        if name in properties:
            found[name] = float(getattr(region, name))
    square = max(spacing) <= min(spacing) * (1 + SAME_SIZE)
    if "perimeter" in properties:
        length = perimeter(mask, PERIMETER_NEIGHBOURS)  # type: ignore[no-untyped-call]
        found["perimeter"] = float(length) * float(np.mean(spacing)) if square else math.nan
    if "circularity" in properties:
        found["circularity"] = _measure_circularity(mask) if square else math.nan
    if "solidity" in properties:
        found["solidity"] = _measure_solidity(mask)
    return found


def _measure_circularity(mask: NDArray[np.bool_]) -> float:
    """ImageJ's circularity, 4 pi area / perimeter² of the traced outline, at most 1."""
    return min(1.0, 4 * math.pi * int(mask.sum()) / measure_outline(mask) ** 2)


def _measure_solidity(mask: NDArray[np.bool_]) -> float:
    """Share of the convex hull; of a flat object, of the hull in its plane or row."""
    from skimage.morphology import convex_hull_image

    flat = mask.squeeze()
    if flat.ndim < 2:
        return float(mask.mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a hull that cannot be found
        hull = convex_hull_image(flat)  # type: ignore[no-untyped-call]
    convex = int(hull.sum())
    return int(mask.sum()) / convex if convex > 0 else math.nan


def measure_intensity(
    pixels: NDArray[Any], background: NDArray[Any], properties: Collection[str]
) -> dict[str, list[float]]:
    """Intensities, by property and channel.

    Parameters
    ----------
    pixels : (C, n) array
        Of the object.
    background : (C, m) array
        Of its surroundings, outside all objects; may be empty.
    properties : collection of str
        What is wanted.
    """
    values, around = pixels.astype(np.float64), background.astype(np.float64)
    with np.errstate(all="ignore"):  # images may hold NaN and infinity
        found = {
            "intensity_mean": values.mean(axis=1),
            "intensity_std": values.std(axis=1),
            "intensity_min": values.min(axis=1),
            "intensity_max": values.max(axis=1),
            "intensity_integrated": values.sum(axis=1),
        }
        if "intensity_median" in properties:
            found["intensity_median"] = np.median(values, axis=1)
        if {"intensity_background", "intensity_integrated_corrected"} & set(properties):
            empty = around.shape[1] == 0
            level = np.full(len(values), np.nan) if empty else np.median(around, axis=1)
            found["intensity_background"] = level
            corrected = found["intensity_integrated"] - level * values.shape[1]
            found["intensity_integrated_corrected"] = corrected
    return {name: found[name].tolist() for name in found if name in properties}


def measure_confidence(scores: NDArray[Any]) -> float:
    """The mean score inside an object, of the channel in which it is highest.

    Parameters
    ----------
    scores : (C, n) array
        Of the object, in each channel that stands for objects or for a class.
    """
    return float(scores.astype(np.float64).mean(axis=1).max())
