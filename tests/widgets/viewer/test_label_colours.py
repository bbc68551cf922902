"""Colours of objects: no reds, and the same for an object whatever its number becomes."""

from __future__ import annotations

import colorsys

import numpy as np
from napari.layers import Labels

from napari_unet.widgets.viewer.label_colours import (
    MOST_COLOURS,
    follow_colours,
    match_labels,
    number_as,
    object_colours,
)


def colour(layer: Labels, label: int) -> tuple[float, ...]:
    return tuple(np.round(layer.get_color(label), 3))


def test_no_object_has_the_colour_of_errors() -> None:
    for red, green, blue, alpha in object_colours().colors[1:]:
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        assert 20 / 360 <= hue <= 330 / 360
        assert min(saturation, value, alpha) > 0.19


def test_objects_keep_their_colours_when_one_appears_above_them() -> None:
    before = np.zeros((40, 40), np.int32)
    before[10:20, 5:15], before[10:20, 20:30], before[30:35, 5:15] = 1, 2, 3
    after = np.zeros_like(before)
    after[1:4, 1:4] = 1  # new
    after[11:19, 6:14], after[9:21, 19:31] = 2, 3  # smaller and larger; the last one is gone
    layer = Labels(before, colormap=object_colours())
    was = [colour(layer, label) for label in (1, 2)]
    layer.colormap = follow_colours(layer.colormap, before, after)
    layer.data = after
    assert [colour(layer, label) for label in (2, 3)] == was
    assert colour(layer, 1)[3] == 1


def test_the_largest_part_of_a_split_object_stays_the_same() -> None:
    before = np.repeat(np.array([[0, 1, 1, 1, 1, 1, 0, 2]]), 3, axis=0)
    after = np.repeat(np.array([[0, 1, 1, 2, 2, 2, 0, 3]]), 3, axis=0)
    assert match_labels(before, after).tolist() == [0, 0, 1, 2]
    assert match_labels(after, before).tolist() == [0, 2, 3]


def test_parts_of_large_volumes_are_compared() -> None:
    objects = np.arange(1, 4001, dtype=np.int32).reshape(1, 4000)
    before = np.repeat(np.repeat(objects, 3000, axis=0), 2, axis=1)
    after = np.where(before > 2, before - 2, 0)
    matches = match_labels(before, after)
    assert matches.tolist() == [0, *range(3, 4001)]
    colours = follow_colours(object_colours(4000), before, after)
    assert (colours.colors[1:3000] == object_colours(4000).colors[3:3002]).all()


def test_more_objects_than_colours_begin_anew() -> None:
    before = np.arange(1, MOST_COLOURS + 1001).reshape(8, -1)
    colours = follow_colours(object_colours(), before, before)
    assert len(colours.colors) == MOST_COLOURS
    assert (colours.colors[1:, 3] == 1).all()


def test_a_plane_gets_the_numbers_that_stand_there() -> None:
    data = np.zeros((2, 4, 9), np.int32)
    data[1, :2, :4], data[1, 2:, 5:] = 7, 9
    plane = np.zeros((4, 9), np.int32)
    plane[0, 7], plane[:2, :3], plane[3, 5:] = 1, 2, 3
    found = number_as(data, (1, slice(None), slice(None)), plane)
    assert found.dtype == data.dtype
    assert [found[0, 7], found[0, 0], found[3, 8], found[2, 0]] == [10, 7, 9, 0]
    empty = np.zeros((3, 4), np.int32)
    assert not number_as(empty, (slice(None),), empty).any()
