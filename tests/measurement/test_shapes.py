"""Shapes, surfaces, neighbours: against public formulas, scikit-image and plain loops."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr
from scipy import ndimage
from scipy.spatial.distance import cdist, pdist
from skimage.draw import disk, polygon
from skimage.measure import regionprops_table

import napari_unet as nu
from napari_unet.errors import InputError, SettingsError
from napari_unet.measurement import windows


def ball(radius: float, spacing: tuple[float, ...] = (1, 1, 1)) -> np.ndarray:
    along = []
    for size in spacing:
        half = math.ceil(radius / size) + 1
        along.append(np.arange(-half, half + 1) * size)
    grid = np.meshgrid(*along, indexing="ij")
    return (np.linalg.norm(grid, axis=0) <= radius).astype(np.int32)


def blobs(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Ragged objects with holes and pieces, and single pixels."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.random(shape), 1.1)
    labels, _ = ndimage.label(smooth > np.quantile(smooth, 0.6), np.ones((3,) * len(shape)))
    labels[(labels % 5) == 0] //= 2  # several pieces
    return np.asarray(labels, np.int32)


def corners_of(mask: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    places = np.argwhere(mask)
    steps = np.argwhere(np.ones((2,) * mask.ndim))
    return np.unique((places[:, None] + steps).reshape(-1, mask.ndim), axis=0) * np.array(spacing)


def test_ragged_objects_are_as_in_scikit_image() -> None:
    names = ["label", "solidity", "perimeter", "axis_minor_length", "centroid"]
    for seed in range(6):
        labels = blobs((60, 70), seed)
        wanted = regionprops_table(labels, properties=names)
        found = nu.measure(labels, axes="YX")
        for name, values in wanted.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-9, err_msg=name)


def test_volumes_are_as_in_scikit_image_where_that_has_a_hull() -> None:
    labels = blobs((9, 26, 30), 1)
    sizes = np.bincount(labels.ravel())
    labels[sizes[labels] < 20] = 0
    spacing = (2.0, 0.5, 0.25)
    names = ["label", "area", "solidity", "axis_major_length", "axis_minor_length"]
    wanted = regionprops_table(labels, properties=names, spacing=spacing)
    found = nu.measure(labels, axes="ZYX", pixel_size=spacing)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, err_msg=name)
    slanted = np.zeros((5, 5, 5), np.int32)
    slanted[np.arange(5), np.arange(5), np.arange(5)] = 1  # scikit-image gives up here
    assert nu.measure(slanted, axes="ZYX").solidity[0] == 1


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 0.2)])
def test_feret_diameters_are_those_of_the_corners_of_pixels(spacing: tuple[float, ...]) -> None:
    labels = blobs((50, 60), 2)
    found = nu.measure(labels, axes="YX", pixel_size=spacing).set_index("label")
    angles = np.linspace(0, math.pi, 2000, endpoint=False)
    lines = np.stack([np.sin(angles), np.cos(angles)])
    for label in found.index[::7]:
        corners = corners_of(labels == label, spacing)
        assert found.feret_diameter_max[label] == pytest.approx(pdist(corners).max(), rel=1e-9)
        width = np.ptp(corners @ lines, axis=0).min()  # as ImageJ did it, turning step by step
        assert found.feret_diameter_min[label] == pytest.approx(width, rel=0.01)


@pytest.mark.parametrize("radius", [20, 50])
def test_a_disc_is_as_wide_everywhere_as_in_fiji(radius: int) -> None:
    labels = np.zeros((110, 110), np.uint8)
    labels[disk((55, 54.5), radius)] = 3
    table = nu.measure(labels, axes="YX", pixel_size=0.5)
    corners = corners_of(labels == 3, (0.5, 0.5))
    assert table.feret_diameter_max[0] == pytest.approx(pdist(corners).max(), rel=1e-9)
    assert table.feret_diameter_min[0] == pytest.approx(radius, rel=0.03)
    turned = np.zeros((90, 90), np.uint8)
    turned[polygon([10, 50, 70, 30], [40, 10, 37, 67])] = 1  # a rectangle of 50 by 33.6
    wide = nu.measure(turned, axes="YX")
    assert wide.feret_diameter_min[0] == pytest.approx(33.6 + 1.2, rel=0.03)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 0.8, 0.8)])
def test_a_ball_has_the_surface_of_a_ball(spacing: tuple[float, float, float]) -> None:
    radius = 20.0
    table = nu.measure(ball(radius, spacing), axes="ZYX", pixel_size=spacing)
    assert table.surface_area[0] == pytest.approx(4 * math.pi * radius**2, rel=0.02)
    assert table.area[0] == pytest.approx(4 / 3 * math.pi * radius**3, rel=0.02)
    for name in ("axis_major_length", "axis_middle_length", "axis_minor_length"):
        assert table[name][0] == pytest.approx(2 * radius, rel=0.03)
    corners = corners_of(ball(radius, spacing), spacing)
    longest = cdist(corners[:: len(corners) // 2000], corners).max()
    assert longest - 0.5 < table.feret_diameter_max[0] < longest + 3
    assert table.attrs["units"]["surface_area"] == "µm²"
    assert table.attrs["units"]["area"] == "µm³"


def test_the_direction_of_a_volume() -> None:
    grid = np.indices((41, 41, 41)) - 20.0
    along = np.array([2.0, 1.0, 2.0]) / 3
    distance = np.tensordot(along, grid, 1)
    across = np.linalg.norm(grid - along[:, None, None, None] * distance, axis=0)
    labels = ((across < 4) & (np.abs(distance) < 18)).astype(np.uint8)
    table = nu.measure(labels, axes="ZYX", properties=["orientation", "axis_major_length"])
    found = table[["orientation-0", "orientation-1", "orientation-2"]].to_numpy()[0]
    np.testing.assert_allclose(found, along, atol=0.01)
    assert table.axis_major_length[0] > 35


def test_places_far_from_the_corner_are_as_exact_as_near_it() -> None:
    near, far = (np.zeros((40, n), np.int32) for n in (60, 3_000_060))
    near[5:20, 7:31], far[5:20, 3_000_007:3_000_031] = 1, 1
    near[10, 31], far[10, 3_000_031] = 1, 1
    names = ["axis_major_length", "axis_minor_length", "orientation", "eccentricity"]
    tables = [nu.measure(each, axes="YX", properties=names) for each in (near, far)]
    np.testing.assert_array_equal(*(table.to_numpy() for table in tables))


# Neighbours


def neighbours_by_hand(labels: np.ndarray, distance: float, spacing: Any) -> pd.Series:
    values = np.unique(labels[labels > 0])
    found = {}
    for value in values:
        away = ndimage.distance_transform_edt(labels != value, sampling=spacing)
        near = np.unique(labels[away <= distance * (1 + 1e-9)])
        found[int(value)] = len(set(near.tolist()) - {0, int(value)})
    return pd.Series(found)


@pytest.mark.parametrize(
    ("shape", "spacing", "distance"),
    [((50, 60), (1, 1), 1), ((50, 60), (0.3, 0.3), 0.9), ((8, 24, 30), (2, 0.5, 0.5), 2.5)],
)
def test_neighbours_are_those_within_the_distance(
    shape: Any, spacing: Any, distance: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    labels = blobs(shape, 4)
    wanted = neighbours_by_hand(labels, distance, spacing)
    axes = "ZYX"[-len(shape) :]
    more = {"axes": axes, "pixel_size": spacing, "neighbour_distance": distance}
    table = nu.measure(labels, **more)
    assert table.attrs["neighbour_distance"] == distance
    pd.testing.assert_series_equal(table.set_index("label").neighbours, wanted, check_names=False)
    monkeypatch.setattr(windows, "BLOCK_PIXELS", 500)
    stored = zarr.create_array(tmp_path / "a.zarr", data=labels, chunks=(4,) * len(shape))
    again = nu.measure(stored, **more, properties=["neighbours"])
    assert again.neighbours.tolist() == table.neighbours.tolist()


def test_neighbours_are_asked_for_with_a_distance() -> None:
    labels = np.ones((4, 4), np.uint8)
    assert "neighbours" not in nu.measure(labels, axes="YX")
    with pytest.raises(SettingsError, match="neighbour_distance") as caught:
        nu.measure(labels, axes="YX", properties=["neighbours"])
    assert caught.value.parameter == "neighbour_distance"
    for wrong in (0, -1, math.nan, "5", True):
        with pytest.raises(SettingsError, match="no distance"):
            nu.measure(labels, axes="YX", neighbour_distance=wrong)  # type: ignore[arg-type]


# What may go wrong


def test_labels_of_all_whole_types() -> None:
    labels = blobs((30, 30), 5)
    wanted = nu.measure(labels, axes="YX")
    for kind in ("u1", "f4", ">i4"):
        found = nu.measure(labels.astype(kind), labels.astype(kind), axes="YX")
        pd.testing.assert_frame_equal(found[wanted.columns], wanted)
    huge = labels.astype(np.uint64) + np.uint64(2**63) * (labels > 0).astype(np.uint64)
    assert nu.measure(huge, axes="YX").label.max() == 2**63 + int(labels.max())


def test_intensities_that_are_no_numbers() -> None:
    labels = np.repeat([[1, 2, 3]], 4, axis=0)
    image = np.array([[1, 5, 7], [2, np.nan, 8], [3, 6, np.inf], [4, 6, 9]])
    table = nu.measure(labels, image, axes="YX")
    assert table.intensity_mean[0] == 2.5
    assert table.intensity_median[0] == 2.5
    assert table.intensity_std[0] == pytest.approx(np.std([1, 2, 3, 4]))
    of_nan = table.loc[1, ["intensity_mean", "intensity_median", "intensity_min", "intensity_max"]]
    assert of_nan.isna().all()
    assert table.intensity_max[2] == table.intensity_mean[2] == math.inf
    assert table.intensity_min[2] == 7
    assert table.intensity_median[2] == 8.5


def test_labels_that_change_while_they_are_read_are_told() -> None:
    class Changing:
        shape, dtype, ndim = (20, 20), np.dtype(np.int32), 2
        read = 0

        def __getitem__(self, index: Any) -> np.ndarray:
            self.read += 1
            labels = np.zeros((20, 20), np.int32)
            labels[3:9, 3:9] = 4 if self.read == 1 else 5
            return labels[index]

    with pytest.raises(InputError, match="changed") as caught:
        nu.measure(Changing(), axes="YX")
    assert caught.value.parameter == "labels"
