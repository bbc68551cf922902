"""Peaks that stand out, and those that do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.morphology import local_maxima, reconstruction

from napari_unet.seeds import LEVELS, STEP, find_seeds


def two_hills(dip: float) -> np.ndarray:
    """Two peaks of 0.9 and 0.8 with a saddle ``dip`` below the lower one."""
    row = np.array([0.1, 0.5, 0.9, 0.8 - dip, 0.8, 0.5, 0.1])
    return np.tile(row, (3, 1))


@pytest.mark.parametrize(("dip", "count"), [(0.05, 1), (0.3, 2), (0.6, 2)])
def test_a_dip_deeper_than_the_depth_splits(dip: float, count: int) -> None:
    height = two_hills(dip)
    assert find_seeds(height, height > 0, 0.2)[1] == count


def test_lower_depth_splits_more() -> None:
    rng = np.random.default_rng(0)
    height = ndimage.gaussian_filter(rng.random((80, 80)), 2)
    height = (height - height.min()) / np.ptp(height)
    counts = [find_seeds(height, height > 0, depth)[1] for depth in (0.05, 0.15, 0.3, 0.6)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_seeds_lie_in_the_mask_and_are_numbered_from_one() -> None:
    rng = np.random.default_rng(1)
    height = ndimage.gaussian_filter(rng.random((20, 30, 30)), 1.5)
    height = (height - height.min()) / np.ptp(height)
    mask = rng.random(height.shape) > 0.2
    seeds, count = find_seeds(height, mask, 0.1)
    assert count > 3
    assert mask[seeds > 0].all()
    np.testing.assert_array_equal(np.unique(seeds), np.arange(count + 1))


def test_nothing_above_the_lowest_level_gives_no_seed() -> None:
    height = np.full((5, 5), LEVELS[-1] / 2)
    seeds, count = find_seeds(height, height > 0, 0.1)
    assert count == 0
    assert not seeds.any()


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        np.int8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 19)
    ),
    st.integers(1, 6),
)
def test_equals_h_maxima_on_quantised_maps(steps: np.ndarray, depth: int) -> None:
    """The seeds are as many as the extended maxima, which h-reconstruction defines."""
    height = (steps + 0.5) * STEP
    mask = steps > 0
    _, count = find_seeds(height, mask, depth * STEP)
    values = np.where(mask, steps, -100).astype(float)  # pieces never meet
    cross = ndimage.generate_binary_structure(2, 1)
    # lowered by half a step less than the depth: a dip as deep as the depth separates
    rebuilt = reconstruction(values - (depth - 0.5), values, footprint=cross)
    expected = ndimage.label(
        local_maxima(np.pad(rebuilt, 1, constant_values=-1000), connectivity=1)
    )
    assert count == (expected[1] if mask.any() else 0)
