"""The synthetic time series: its truth is true, and nuclei behave like nuclei."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass, find_objects
from scipy.ndimage import label as components

import napari_unet as nu
from napari_unet.errors import InputError
from napari_unet.samples.synthetic import make_time_series

Series = tuple[NDArray[Any], NDArray[Any]]


@pytest.fixture(scope="module")
def series() -> Series:
    return make_time_series()


def places(frame: NDArray[Any]) -> dict[int, NDArray[Any]]:
    """Centres of the objects of a frame that no edge cuts."""
    edge = {*frame[0], *frame[-1], *frame[:, 0], *frame[:, -1]}
    whole = [label for label in np.unique(frame) if label and label not in edge]
    return {k: np.array(center_of_mass(frame == k)) for k in whole}


@settings(max_examples=8)
@given(
    frames=st.integers(1, 3),
    shape=st.tuples(st.integers(32, 80), st.integers(32, 80)),
    seed=st.integers(0, 2**32),
)
def test_shape_type_and_seed(frames: int, shape: tuple[int, int], seed: int) -> None:
    image, truth = make_time_series(frames, shape, seed=seed)
    assert image.shape == truth.shape == (frames, *shape)
    assert image.dtype == np.uint16
    assert truth.dtype == np.int32
    np.testing.assert_array_equal(np.unique(np.append(truth, 0)), np.arange(truth.max() + 1))
    again, again_truth = make_time_series(frames, shape, seed=seed)
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(truth, again_truth)
    other, _ = make_time_series(frames, shape, seed=seed + 1)
    assert (image != other).any()


def test_every_nucleus_is_one_piece_and_brighter_than_what_surrounds_it(series: Series) -> None:
    for frame, labels in zip(*series, strict=True):
        background = np.median(frame[labels == 0])
        for label, box in enumerate(find_objects(labels), 1):
            if box is not None:
                mask = labels[box] == label
                sizes = np.bincount(components(mask)[0].ravel())[1:]
                assert sizes.max() > 0.95 * sizes.sum()
                if mask.sum() > 30:
                    assert frame[box][mask].mean() > 1.5 * background


def test_a_nucleus_keeps_its_label_and_moves_a_little(series: Series) -> None:
    _, truth = series
    moves = []
    for before, after in pairwise(truth):
        old, new = places(before), places(after)
        moves += [np.linalg.norm(new[k] - old[k]) for k in old.keys() & new.keys()]
    assert len(moves) > 300
    assert max(moves) < 8  # less than a radius
    assert 0.5 < np.median(moves) < 4


def test_two_daughters_take_the_place_of_a_nucleus_that_divides(series: Series) -> None:
    _, truth = series
    divisions = 0
    for t in range(1, len(truth)):
        middle = places(truth[t - 1])
        for mother in middle.keys() - set(np.unique(truth[t])):
            under = set(np.unique(truth[t][truth[t - 1] == mother])) - set(np.unique(truth[:t]))
            assert len(under) == 2
            divisions += 1
    assert divisions >= 3


def test_some_nuclei_drift_into_the_field_of_view(series: Series) -> None:
    _, truth = series
    entered = set()
    for t in range(1, len(truth)):
        edge = np.concatenate([truth[t][0], truth[t][-1], truth[t][:, 0], truth[t][:, -1]])
        entered |= set(np.unique(edge)) - set(np.unique(truth[:t]))
    assert entered


def test_the_image_bleaches() -> None:
    image, truth = make_time_series(6, (128, 128), seed=3)
    steady = [k for k in places(truth[0]) if k in places(truth[-1])]
    assert len(steady) > 3
    ratios = [image[-1][truth[-1] == k].mean() / image[0][truth[0] == k].mean() for k in steady]
    assert 0.85 < np.median(ratios) < 0.96


def test_the_bundled_model_finds_the_nuclei(series: Series) -> None:
    image, truth = series
    picked = [0, 6, 11]
    labels = nu.segment(image[picked], "nuclei", axes="TYX")
    precisions = [
        nu.evaluate(found, true).ap[0.5] for found, true in zip(labels, truth[picked], strict=True)
    ]
    assert np.mean(precisions) > 0.85


@pytest.mark.parametrize(("frames", "shape"), [(0, (64, 64)), (3, (64, 31)), (-1, (64, 64))])
def test_a_series_of_nothing_is_refused(frames: int, shape: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=f"{frames} frames"):
        make_time_series(frames, shape)
