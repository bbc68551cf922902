"""Resampling: a part equals a cut from the whole, and nothing is shifted or aliased."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.inference.resampling import axis_weights, resample, resampled_shape

sizes = st.integers(1, 60)


def full_matrix(start: int, stop: int, new: int, old: int) -> np.ndarray:
    """The weights over all ``old`` pixels."""
    first, last, weights = axis_weights(start, stop, new, old)
    assert 0 <= first < last <= old
    assert weights.shape == (stop - start, last - first)
    matrix = np.zeros((stop - start, old))
    matrix[:, first:last] = weights
    return matrix


@given(sizes, sizes, st.data())
def test_a_part_equals_a_cut_from_the_whole(new: int, old: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, new - 1))
    stop = data.draw(st.integers(start + 1, new))
    whole = full_matrix(0, new, new, old)
    np.testing.assert_allclose(full_matrix(start, stop, new, old), whole[start:stop], atol=1e-6)


@given(sizes, sizes)
def test_weights_average_and_are_symmetric(new: int, old: int) -> None:
    matrix = full_matrix(0, new, new, old)
    assert (matrix >= 0).all()
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-5)


@given(sizes)
def test_the_same_size_changes_nothing(size: int) -> None:
    np.testing.assert_allclose(full_matrix(0, size, size, size), np.eye(size), atol=1e-6)


@pytest.mark.parametrize(("new", "old"), [(40, 20), (20, 40), (33, 50), (50, 33)])
def test_a_straight_ramp_stays_in_its_place(new: int, old: int) -> None:
    ramp = (np.arange(old) + 0.5) / old  # position in 0..1
    expected = (np.arange(new) + 0.5) / new
    found = full_matrix(0, new, new, old) @ ramp
    edge = int(np.ceil(max(new / old, 1)))
    tolerance = 0.05 / new  # a twentieth of a pixel
    np.testing.assert_allclose(found[edge:-edge], expected[edge:-edge], atol=tolerance, rtol=0)


def test_a_coarser_grid_does_not_alias() -> None:
    stripes = np.tile([0.0, 1.0], 30)
    found = full_matrix(0, 20, 20, 60) @ stripes
    assert np.abs(found - 0.5).max() < 0.1


def test_each_axis_has_its_own_matrix() -> None:
    block = np.random.default_rng(0).random((2, 6, 5, 4))
    along_1 = axis_weights(0, 9, 9, 6)[2]
    along_3 = axis_weights(0, 2, 2, 4)[2]
    found = resample(block, [along_1, None, along_3], range(1, 4))
    assert found.dtype == np.float32
    expected = np.einsum("pi,qk,cijk->cpjq", along_1, along_3, block)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@given(st.lists(st.tuples(sizes, st.floats(0.03, 32)), min_size=1, max_size=3))
def test_no_axis_vanishes(axes: list[tuple[int, float]]) -> None:
    shape, zoom = [n for n, _ in axes], [z for _, z in axes]
    for found, n, z in zip(resampled_shape(shape, zoom), shape, zoom, strict=True):
        assert found >= 1
        assert found == 1 or abs(found - n * z) <= 0.5
