"""Labels numbered anew and counted, against NumPy's slower ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unet.errors import InputError
from napari_unet.renumbering import compact_labels, count_pixels, remove_small, renumber

LABELS = hnp.arrays(
    st.sampled_from([np.uint8, np.int32, np.int64]),
    hnp.array_shapes(max_dims=3, max_side=6, min_side=0),
    elements=st.integers(0, 9),
)
FACTORS = st.sampled_from([1, 11_000_000])  # up to tables of all values, and beyond them


@given(LABELS, FACTORS)
def test_renumbered_labels_are_ranks(labels: np.ndarray, factor: int) -> None:
    labels = labels if labels.dtype == np.uint8 else labels * labels.dtype.type(factor)
    values, index = renumber(labels)
    np.testing.assert_array_equal(values, np.unique(labels))
    np.testing.assert_array_equal(values[index], labels)
    assert values.dtype == labels.dtype


@given(LABELS, FACTORS)
def test_compact_labels_part_the_pixels_as_before(labels: np.ndarray, factor: int) -> None:
    labels = labels.astype(np.int64) * factor
    ids = compact_labels(labels)
    assert ids.dtype == np.uint32
    assert ids.max(initial=0) < 1 << 22
    np.testing.assert_array_equal(ids == 0, labels == 0)
    pairs = {(int(a), int(b)) for a, b in zip(ids.flat, labels.flat, strict=True)}
    assert len(pairs) == len(np.unique(labels)) == len(np.unique(ids))


def test_a_negative_label_is_named() -> None:
    with pytest.raises(InputError, match="-3"):
        compact_labels(np.array([[0, -3]]))


@given(LABELS)
def test_pixels_are_counted_as_numpy_does(labels: np.ndarray) -> None:
    for part in (labels, labels.T, labels.astype(np.int16) - 4):
        expected: Any = np.unique(part, return_counts=True)
        for mine, numpys in zip(count_pixels(part), expected, strict=True):
            np.testing.assert_array_equal(mine, numpys)


def test_small_objects_are_removed_and_the_rest_numbered_anew() -> None:
    labels = np.array([[4, 4, 4, 0, 9, 2, 2]])
    np.testing.assert_array_equal(remove_small(labels, 2), [[2, 2, 2, 0, 0, 1, 1]])
    np.testing.assert_array_equal(remove_small(labels, 0), [[2, 2, 2, 0, 3, 1, 1]])
    assert not remove_small(labels, 4).any()
