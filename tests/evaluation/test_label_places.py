"""Places where labels would help most."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.errors import InputError, SettingsError
from napari_unet.evaluation.label_places import APART_SIDES, rank_label_places
from napari_unet.evaluation.uncertainty import find_uncertainty
from napari_unet.instances.maps import encode


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**31),
    st.tuples(st.integers(1, 3), st.integers(1, 90), st.integers(1, 90)),
    st.integers(1, 40),
    st.integers(1, 12),
    st.integers(1, 3),
)
def test_places_lie_on_the_image_and_apart(
    seed: int, shape: tuple[int, int, int], side: int, count: int, apart: int
) -> None:
    rng = np.random.default_rng(seed)
    unsure = rng.random(shape)
    known = rng.random(shape) < rng.random()
    places = rank_label_places(
        zip(unsure, known, strict=True), side=side, count=count, planes_apart=apart
    )
    assert len(places) <= count
    for place in places:
        window = np.s_[place.plane, slice(*place.rows), slice(*place.columns)]
        assert unsure[window].shape == (min(side, shape[1]), min(side, shape[2]))
        wanted = np.where(known[window], 0, unsure[window]).mean()
        assert place.uncertainty == pytest.approx(wanted)
        assert known[window].mean() <= 0.25 + 1e-9
    for i, one in enumerate(places):
        for other in places[:i]:
            away = max(
                abs(one.rows[0] - other.rows[0]) / min(side, shape[1]),
                abs(one.columns[0] - other.columns[0]) / min(side, shape[2]),
            )
            assert abs(one.plane - other.plane) >= apart or away >= APART_SIDES


def test_the_most_uncertain_window_is_the_first() -> None:
    unsure = np.zeros((100, 160))
    unsure[40:60, 100:120], unsure[41:61, 20:40] = 1, 0.9
    found = rank_label_places([(unsure, None)], side=20, count=9)
    assert [(place.rows[0], place.columns[0]) for place in found] == [(40, 100), (40, 20)]
    known = np.zeros(unsure.shape, bool)
    known[40:60, 100:120] = True
    (only,) = rank_label_places([(unsure, known)], side=20, count=9)
    assert only.columns == (20, 40)
    assert rank_label_places([], side=20, count=9) == []
    assert rank_label_places([(np.zeros((5, 5)), None)], side=20, count=9) == []


@pytest.mark.parametrize("name", ["side", "count", "planes_apart"])
def test_numbers_below_one_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        rank_label_places([], **{"side": 1, "count": 1, name: 0})


def test_maps_of_their_own_labels_are_sure() -> None:
    labels = np.zeros((30, 40), np.int32)
    labels[5:20, 5:15], labels[5:20, 15:30] = 1, 2
    maps = encode(labels)
    assert find_uncertainty(maps, labels).max() == 0
    merged = np.minimum(labels, 1)  # what the distance parts is one object in the labels
    assert find_uncertainty(maps, merged)[5:20, 10:20].mean() > 0.1
    maps[:, 2, 2] = np.nan
    assert find_uncertainty(maps, labels)[2, 2] == 1


def test_classes_are_unsure_where_two_are_alike() -> None:
    scores = np.array([[[1.0, 0.5, 0.4]], [[0.0, 0.5, 0.3]], [[0.0, 0.0, 0.3]]])
    assert find_uncertainty(scores, None)[0] == pytest.approx([0, 1, 0.9])
    with pytest.raises(InputError, match="single class"):
        find_uncertainty(scores[:1], None)
    with pytest.raises(InputError, match="no maps"):
        find_uncertainty(scores, np.zeros((1, 3), int))
