"""Shapes from moments, as scikit-image has them: axes, eccentricity, orientation."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_unet.measurement.sums import Totals

Column = NDArray[np.float64]


def find_sizes(totals: Totals, spacing: Sequence[float]) -> tuple[Column, Column, Column]:
    """Areas or volumes, diameters of equal size, and centroids (n, D).

    Parameters
    ----------
    totals : Totals
        Of n objects.
    spacing : sequence of float
        Size of a pixel along each of the D spatial axes.
    """
    ndim = len(spacing)
    area: Column = totals.count.astype(np.float64) * math.prod(spacing)
    diameter: Column = np.asarray((2 * ndim * area / math.pi) ** (1 / ndim), np.float64)
    mean = totals.moments[:, 3 - ndim : 3] / totals.count[:, None]
    centroid: Column = np.asarray(
        (totals.origin[:, 3 - ndim :] + mean) * np.asarray(spacing), np.float64
    )
    return area, diameter, centroid


def find_inertia(totals: Totals, spacing: Sequence[float]) -> NDArray[np.float64]:
    """Tensors of inertia, (n, D, D)."""
    ndim = len(spacing)
    count = totals.count[:, None, None].astype(float)
    sums = totals.moments
    zz, yy, xx, zy, zx, yx = sums[:, 3:].T
    second = np.stack([zz, zy, zx, zy, yy, yx, zx, yx, xx], 1).reshape(-1, 3, 3)
    first = sums[:, :3]
    central = (second - first[:, :, None] * first[:, None, :] / count) / count
    central = central[:, 3 - ndim :, 3 - ndim :]
    central = central * np.multiply.outer(np.asarray(spacing), np.asarray(spacing))
    diagonal = np.einsum("nii->ni", central)
    inertia: NDArray[np.float64] = -central
    total = diagonal.sum(axis=1)
    for axis in range(ndim):
        inertia[:, axis, axis] = total - diagonal[:, axis]
    return inertia


def find_shapes(
    totals: Totals, spacing: Sequence[float], properties: Collection[str]
) -> dict[str, NDArray[np.float64]]:
    """What follows from the tensors of inertia, by property."""
    inertia = find_inertia(totals, spacing)
    ndim = len(spacing)
    own = np.clip(np.linalg.eigvalsh(inertia)[:, ::-1], 0, None)  # falling
    found: dict[str, NDArray[np.float64]] = {}
    if ndim == 2:
        found["axis_major_length"], found["axis_minor_length"] = 4 * np.sqrt(own.T)
        with np.errstate(divide="ignore", invalid="ignore"):
            shape = np.sqrt(1 - own[:, 1] / own[:, 0])
        found["eccentricity"] = np.where(own[:, 0] == 0, 0.0, shape)
        a, b, c = inertia[:, 0, 0], inertia[:, 0, 1], inertia[:, 1, 1]
        turned = 0.5 * np.arctan2(-2 * b, c - a)
        found["orientation"] = np.where(a == c, np.where(b < 0, math.pi / 4, -math.pi / 4), turned)
        return found
    one, two, three = own.T
    for name, squared in (
        ("axis_major_length", one + two - three),
        ("axis_middle_length", one - two + three),
        ("axis_minor_length", -one + two + three),
    ):
        found[name] = np.sqrt(10 * np.clip(squared, 0, None))
    if "orientation" in properties:
        found["orientation"] = find_directions(inertia)
    return found


def find_directions(inertia: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors along the longest axes, (n, 3) in the order ZYX.

    Of the two that point opposite ways, the one whose largest part is positive.

    >>> find_directions(np.array([[[9.0, 0, 0], [0, 1.0, 0], [0, 0, 9.0]]])).tolist()
    [[0.0, 1.0, 0.0]]
    """
    vectors = np.linalg.eigh(inertia)[1][:, :, 0]  # the least inertia is around the longest axis
    largest = np.abs(vectors).argmax(axis=1)
    sign = np.sign(np.take_along_axis(vectors, largest[:, None], 1))
    found: NDArray[np.float64] = vectors * sign + 0.0
    return found


def find_intensities(values: NDArray[np.float64], count: NDArray[np.int64]) -> dict[str, Column]:
    """Sums of one channel as intensities, by property; ``values`` is (n, 6)."""
    total, least, largest, _, away, squares = values.T
    with np.errstate(all="ignore"):  # images may hold NaN and infinity
        variance = (squares - away * away / count) / count
        return {
            "intensity_mean": total / count,
            "intensity_std": np.sqrt(np.where(variance < 0, 0, variance)),
            "intensity_min": least,
            "intensity_max": largest,
            "intensity_integrated": total,
        }
