"""Objects are split where the map dips, borders run where they should, crops agree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

import napari_unet
from napari_unet.instances.watershed import LEVELS, object_watershed
from napari_unet.metrics import evaluate


def flood(height: np.ndarray, depth: float, threshold: float = 0, min_size: int = 0) -> np.ndarray:
    """Objects of a height map that is its own foreground."""
    return object_watershed(height, height, threshold, depth, min_size)


def smooth_noise(shape: tuple[int, ...], sigma: float, seed: int) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), sigma)
    return ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)


def seeds_by_reconstruction(levels: np.ndarray, depth: int) -> tuple[np.ndarray, int]:
    """Peaks that stand out by ``depth`` levels: the extended maxima of the map; 0 is outside."""
    cross = ndimage.generate_binary_structure(levels.ndim, 1)
    values = np.where(levels > 0, levels, -2 * LEVELS).astype(float)  # pieces never meet
    # lowered by half a level less than the depth: a dip as deep as the depth separates
    rebuilt = reconstruction(values - (depth - 0.5), values, footprint=cross)
    edge = np.pad(rebuilt, 1, constant_values=-9 * LEVELS)
    maxima = local_maxima(edge, connectivity=1)[(slice(1, -1),) * levels.ndim]
    found, count = ndimage.label(maxima & (levels > 0))
    return found, count if (levels > 0).any() else 0


SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9)


@settings(max_examples=50)
@given(hnp.arrays(np.int16, SHAPES, elements=st.integers(0, 19)), st.integers(1, 6))
def test_as_many_objects_as_peaks_that_stand_out(levels: np.ndarray, depth: int) -> None:
    step = 128
    height = levels * step / LEVELS
    labels = flood(height, depth * step / LEVELS)
    assert labels.max() == seeds_by_reconstruction(levels, depth)[1]
    np.testing.assert_array_equal(labels > 0, levels > 0)


@settings(max_examples=25)
@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(0, 1, width=32)))
def test_each_object_is_one_piece_and_numbers_follow_the_memory(height: np.ndarray) -> None:
    labels = flood(height, 0.3, 0.25)
    values, first = np.unique(labels[labels > 0], return_index=True)
    np.testing.assert_array_equal(values, np.arange(1, values.size + 1))
    assert (np.diff(first) > 0).all()
    for label in values:
        assert ndimage.label(labels == label)[1] == 1


@pytest.mark.parametrize("shape", [(90, 110), (24, 40, 36)])
@pytest.mark.parametrize("depth", [0.05, 0.15, 0.4])
def test_borders_are_those_of_a_watershed(shape: tuple[int, ...], depth: float) -> None:
    """The same maps by scikit-image: seeds by reconstruction, then flooding from them."""
    height = smooth_noise(shape, 3 if len(shape) == 2 else 2, 0)
    mask = height > 0.3
    levels = np.where(mask, (height * LEVELS).astype(int) + 1, 0)
    seeds, count = seeds_by_reconstruction(levels, int(depth * LEVELS))
    reference = watershed(-levels, seeds, mask=mask)
    labels = flood(height, depth, 0.3)
    assert labels.max() == count > 1
    assert evaluate(labels, reference).ap[0.9] >= 0.99


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([0.05, 0.2]), st.data())
def test_a_crop_gives_the_same_objects(seed: int, depth: float, data: st.DataObject) -> None:
    """All that lie inside it with their neighbours are the same, to the pixel."""
    shape = data.draw(st.sampled_from([(40, 46), (14, 20, 22)]))
    height = smooth_noise(shape, 1.5, seed)
    crop = tuple(
        slice(data.draw(st.integers(0, n // 4)), n - data.draw(st.integers(0, n // 4)))
        for n in shape
    )
    whole, part = flood(height, depth, 0.3), flood(height[crop], depth, 0.3)
    seen = whole[crop]
    outside = whole.copy()
    outside[crop] = 0
    inside = np.setdiff1d(seen, [0, *np.unique(outside)])
    cross = ndimage.generate_binary_structure(len(shape), 1)
    for label in inside:
        neighbours = np.unique(whole[ndimage.binary_dilation(whole == label, cross)])
        if np.isin(neighbours, [0, *inside]).all():
            (found,) = np.unique(part[seen == label])
            np.testing.assert_array_equal(part == found, seen == label)


def test_a_dip_as_deep_as_the_depth_splits() -> None:
    height = np.array([[0.25, 0.5, 0.9, 0.5, 0.75, 0.25]])
    assert flood(height, 0.25).tolist() == [[1, 1, 1, 1, 2, 2]]
    assert flood(height, 0.251).max() == 1


def test_the_lower_of_two_peaks_is_absorbed_by_what_it_meets_first() -> None:
    height = np.array([[0.9, 0.3, 0.4, 0.35, 0.8, 0.1]])
    assert flood(height, 0.2).tolist() == [[1, 1, 2, 2, 2, 2]]


def test_a_plateau_is_shared_halfway_and_not_in_the_order_of_memory() -> None:
    height = np.full((5, 12), 0.5)
    height[2, 0] = height[2, 11] = 0.9
    np.testing.assert_array_equal(flood(height, 0.1), np.repeat([[1, 2]], 6, axis=1).repeat(5, 0))


def test_two_discs_that_touch_are_split_by_a_straight_line() -> None:
    y, x = np.mgrid[:60, :112]
    near = np.minimum(np.hypot(y - 30, x - 35), np.hypot(y - 30, x - 76))
    labels = flood(np.clip(1 - near / 26, 0, 1), 0.15)
    np.testing.assert_array_equal(labels[labels > 0], np.where(x < 56, 1, 2)[labels > 0])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 8), (1, 1, 1), (3, 1, 9), (4, 5, 6)])
@pytest.mark.parametrize("height", [0.0, 0.5, 1.0, 7.0])
def test_a_level_map_is_one_object(shape: tuple[int, ...], height: float) -> None:
    level = np.full(shape, height)
    np.testing.assert_array_equal(object_watershed(np.ones(shape), level, 0.5, 0.1), 1)
    np.testing.assert_array_equal(object_watershed(np.zeros(shape), level, 0.5, 0.1), 0)


def test_pixels_that_touch_by_a_corner_are_apart() -> None:
    assert flood(np.eye(4), 0.1).max() == 4
    cube = np.zeros((2, 2, 2))
    cube[0, 0, 0] = cube[0, 1, 1] = cube[1, 1, 0] = 1
    assert flood(cube, 0.1).max() == 3


def test_what_is_no_number_is_background_or_lowest() -> None:
    foreground = np.array([[1, np.nan, 1, 1, 1]])
    height = np.array([[0.9, 0.9, 0.8, np.nan, 0.8]])
    assert object_watershed(foreground, height, 0.5, 0.1).tolist() == [[1, 0, 2, 2, 3]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_any_float_and_any_memory_layout(dtype: type) -> None:
    height = smooth_noise((30, 40), 2, 3).astype(np.float16)
    expected = flood(height.astype(np.float32), 0.1, 0.3)
    strange = np.asfortranarray(np.repeat(height.astype(dtype), 2, axis=1))[:, ::2]
    np.testing.assert_array_equal(flood(strange, 0.1, 0.3), expected)


def test_small_objects_go_and_the_rest_keeps_the_order() -> None:
    height = np.array([[0.5, 0.5, 0, 0.5, 0, 0.5, 0.5, 0.5]])
    assert flood(height, 0.1, min_size=2).tolist() == [[1, 1, 0, 0, 0, 2, 2, 2]]
    assert not flood(height, 0.1, min_size=4).any()


@pytest.mark.process
def test_numba_waits_for_the_first_decoding() -> None:
    modules = "napari_unet.instances.maps, napari_unet.instances.blockwise"
    run = f"import sys, {modules}; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", run], check=True)


RUN = """
import numpy as np
from napari_unet.instances import _kernels
print(_kernels.__file__)
print(_kernels.find_root(np.array([0, 0, 1]), 2))
"""


@pytest.mark.process
def test_it_runs_where_no_folder_can_keep_the_machine_code(tmp_path: Path) -> None:
    package = Path(napari_unet.__file__).parent
    copy = tmp_path / "napari_unet"
    copy.mkdir()
    (copy / "instances").mkdir()
    for source in (*package.glob("*.py*"), *package.glob("instances/*.py")):
        shutil.copy(source, copy / source.relative_to(package))
    (copy / "instances" / "__pycache__").touch()  # a file where the folder would be, and no home
    nowhere = dict.fromkeys(("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA"), os.devnull)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **nowhere, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(copy / "instances" / "_kernels.py"), "0"]


@pytest.mark.process
def test_machine_code_that_cannot_be_kept_is_told_once_and_fails_nothing(tmp_path: Path) -> None:
    code = """
import errno, logging
import numpy as np
from numba.core import caching
def full(self, key, data):
    raise OSError(errno.EDQUOT, "Disk quota exceeded")
caching.IndexDataCacheFile.save = full
logging.basicConfig(format="TOLD %(message)s")
from napari_unet.instances._kernels import compiled
@compiled
def one(value):
    return value + 1
@compiled
def two(value):
    return value + 2
print(one(1), two(1.0), one(2.0))
"""
    path = tmp_path / "kernels.py"
    path.write_text(code)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout == "2 3.0 3.0\n"
    assert done.stderr.count("TOLD Machine code is not kept") == 1
