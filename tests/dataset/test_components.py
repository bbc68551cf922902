"""Masks as labels."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unet.dataset.components import number_regions
from napari_unet.dataset.label_values import split_unknown
from napari_unet.errors import InputError

MASK = np.array([[1, 0, 1], [1, 0, 1]], bool)


@pytest.mark.parametrize("mask", [MASK, MASK * np.uint8(255), MASK * np.float32(1)])
def test_each_region_is_an_object(mask: np.ndarray) -> None:
    assert number_regions(mask, None).tolist() == [[1, 0, 2], [1, 0, 2]]


def test_regions_of_different_time_points_are_never_one() -> None:
    series = np.stack([MASK, MASK])
    assert len(np.unique(number_regions(series, "TYX"))) == 5
    assert len(np.unique(number_regions(series, "ZYX"))) == 3
    assert len(np.unique(number_regions(series.transpose(1, 2, 0), "YXT"))) == 5
    with pytest.raises(InputError, match="axes"):
        number_regions(series, None)


def test_classes_that_touch_are_different_objects() -> None:
    assert number_regions(np.array([[1, 2, 0, 2]]), "YX").tolist() == [[1, 2, 0, 3]]


def test_probabilities_are_no_mask() -> None:
    with pytest.raises(InputError, match=r"0\.5"):
        number_regions(np.array([[0.5, 1.0]]), "YX")


def test_the_background_label_stays() -> None:
    painted = np.array([[7, 0, 7, 2, 2, 0, 7]])
    assert number_regions(painted, "YX", background=2).tolist() == [[1, 0, 3, 2, 2, 0, 4]]


def test_negative_labels_are_unknown() -> None:
    labels, known = split_unknown(np.array([[-1.0, 0.0, 3.0]], np.float32))
    assert labels.tolist() == [[0, 0, 3]]
    assert known.tolist() == [[False, True, True]]
    assert split_unknown(np.array([True]))[1].all()
