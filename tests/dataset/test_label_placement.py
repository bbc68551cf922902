"""Where labels lie on the pixels of their image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_unet.dataset.example import Example
from napari_unet.dataset.label_placement import LabelPlacement
from napari_unet.dataset.labelled_image import open_example
from napari_unet.dataset.pixel_grid import MismatchError, PixelGrid, match_grids, match_levels


def grid(
    shape: tuple[int, ...],
    axes: str = "YX",
    *,
    name: str = "‘lab’",
    scale: Any = 1.0,
    at: Any = 0.0,
    turned: float = 0.0,
    level: int = 0,
) -> PixelGrid:
    matrix = np.eye(len(shape) + 1)
    turn = np.radians(turned)
    linear = np.eye(len(shape))
    linear[-2:, -2:] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    matrix[:-1, :-1] = linear * np.broadcast_to(scale, len(shape))
    matrix[:-1, -1] = at
    return PixelGrid(name, shape, axes, matrix, level)


def image(shape: tuple[int, ...], axes: str = "YX", **place: Any) -> PixelGrid:
    return grid(shape, axes, name="‘img’", **place)


# what lies on the pixels of the image


@pytest.mark.parametrize(
    ("of", "labels", "offset", "part"),
    [
        (image((20, 30)), grid((20, 30)), (0, 0), ""),
        (image((20, 30)), grid((20, 30), at=(5, 0)), (5, 0), "rows 5 to 19"),
        (image((20, 30)), grid((4, 5), at=(5, 7)), (5, 7), "rows 5 to 8 and columns 7 to 11"),
        (image((20, 30)), grid((40, 50), at=(-5, -7)), (-5, -7), ""),
        (image((20, 30), scale=0.325), grid((4, 5), scale=0.325, at=0.65), (2, 2), "rows 2 to 5"),
        (
            image((20, 30), scale=(0.5, 0.2), at=8),
            grid((20, 30), scale=(0.5, 0.2), at=8),
            (0, 0),
            "",
        ),
        # both turned alike
        (image((20, 30), turned=30), grid((20, 30), turned=30), (0, 0), ""),
        # the pixel size was rounded by a program
        (image((20, 30), scale=0.325), grid((20, 30), scale=0.32501), (0, 0), ""),
        # a plane of a stack, and axes of length 1
        (image((9, 20, 30), "ZYX"), grid((1, 20, 30), "ZYX", at=(4, 0, 0)), (4, 0, 0), "plane 4"),
        (image((1, 20, 30), "ZYX"), grid((20, 30)), (0, 0, 0), ""),
        (image((20, 30)), grid((1, 20, 30), "ZYX", at=(7, 0, 0)), (0, 0), ""),
        (image((3, 20, 30), "CYX"), grid((1, 20, 30), "CYX"), (0, 0), ""),
        (image((5, 2, 20, 30), "TCYX"), grid((5, 1, 20, 30), "TCYX"), (0, 0, 0), ""),
        (image((5, 2, 20, 30), "TCYX"), grid((2, 20, 30), "TYX", at=(3, 0, 0)), (3, 0, 0), "time"),
        (image((20, 30, 3), "YXC"), grid((20, 30)), (0, 0), ""),
    ],
)
def test_labels_lie_where_their_place_says(
    of: PixelGrid, labels: PixelGrid, offset: tuple[int, ...], part: str
) -> None:
    found = match_grids(of, labels)
    assert found.offset == offset
    assert found.describe_part().startswith(part)
    assert bool(found.describe_part()) == (found.share < 1)
    assert found.ratio == 1


@pytest.mark.parametrize(
    ("of", "labels", "code", "words"),
    [
        (image((20, 30)), grid((20, 30), at=(3.5, 0)), "between-pixels", "3.5 pixels beside ‘img’"),
        (
            image((20, 30), scale=0.2),
            grid((20, 30), scale=0.2, at=(0, 0.1)),
            "between-pixels",
            "0.5",
        ),
        (image((20, 30)), grid((20, 30), at=(20, 0)), "apart", "beside ‘img’ along Y"),
        (image((20, 30)), grid((20, 30), turned=30), "turned", "turned by 30°"),
        (image((20, 20)), grid((20, 20), turned=90, at=(0, 19)), "turned", "turned by 90°"),
        (image((20, 30)), grid((20, 30), scale=(1, -1), at=(0, 29)), "flipped", "along X against"),
        (image((20, 30)), grid((10, 15), scale=2), "pixel-size", "level of a pyramid"),
        (
            image((20, 30)),
            grid((20, 30), scale=1.3),
            "pixel-size",
            "1.3 times the size along Y and X",
        ),
        (image((20, 30), scale=0.325), grid((20, 30)), "unplaced", "pixel size 0.325 × 0.325"),
        (image((20, 30), at=(0, 30)), grid((20, 30)), "unplaced", "its place"),
        (image((9, 20, 30), "ZYX"), grid((20, 30)), "no-plane", "on which of the 9 planes"),
        (image((20, 30)), grid((9, 20, 30), "ZYX"), "axes", "Z of length 9"),
        (image((3, 20, 30), "CYX"), grid((3, 20, 30), "CYX"), "axes", "3 channels"),
    ],
)
def test_what_does_not_lie_on_the_pixels_is_named_with_the_reason(
    of: PixelGrid, labels: PixelGrid, code: str, words: str
) -> None:
    with pytest.raises(MismatchError, match="‘lab’") as raised:
        match_grids(of, labels)
    assert raised.value.code == code
    assert words in str(raised.value)


def test_swapped_rows_and_columns_are_named() -> None:
    swapped = PixelGrid("‘lab’", (30, 20), "YX", np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1.0]]))
    with pytest.raises(MismatchError, match="rows and columns swapped"):
        match_grids(image((20, 30)), swapped)


def test_a_size_that_may_be_a_level_of_a_pyramid_is_marked() -> None:
    assert match_grids(image((20, 30)), grid((10, 15))).ratio == 2
    assert match_grids(image((21, 31)), grid((10, 16))).ratio == 2
    assert match_grids(image((20, 30)), grid((10, 15), at=(1, 0))).ratio == 1


def test_levels_of_pyramids_are_matched_by_their_pixels() -> None:
    images = [image((40, 60)), image((20, 30), scale=2, at=0.5, level=1)]
    same = match_levels(images, [grid((40, 60)), grid((20, 30), scale=2, at=0.5, level=1)])
    assert (same.image_level, same.label_level) == (0, 0)
    coarse = match_levels(images, [grid((20, 30), scale=2, at=0.5)])
    assert (coarse.image_level, coarse.label_level) == (1, 0)
    assert coarse.is_whole
    with pytest.raises(MismatchError, match=r"0\.5 times the size"):
        match_levels(images, [grid((80, 120), scale=0.5, at=-0.25)])


# what is read


def test_labels_and_regions_are_read_where_they_lie() -> None:
    labels = np.arange(1, 13).reshape(3, 4)
    found = LabelPlacement("YX", "YX", (5, 5), (3, 4), (-1, 2))
    whole = np.zeros((5, 5), int)
    whole[:2, 2:] = labels[1:, :3]
    placed = found.place(labels)
    np.testing.assert_array_equal(placed[...], whole)
    np.testing.assert_array_equal(placed[1:4, 3], whole[1:4, 3])
    np.testing.assert_array_equal(np.asarray(found.place_region("all", labels)), whole > 0)
    assert found.place_region("painted", labels) == "painted"
    labels[1, 0] = 99
    assert placed[0, 2] == 99  # what is painted later is seen
    inside = np.zeros((3, 1), bool)
    inside[1] = True
    known = np.asarray(found.place_region((inside, "painted"), labels)[0])
    assert known[0, 2:].all()
    assert known.sum() == 3


def test_complete_planes_of_labels_that_lie_in_a_part_are_complete_there_only() -> None:
    labels = np.zeros((2, 4, 4), int)
    labels[1, 1, 1] = 7
    found = LabelPlacement("ZYX", "ZYX", (5, 6, 6), (2, 4, 4), (2, 1, 1))
    known = np.asarray(found.place_region("planes", labels))
    assert known[3, 1:5, 1:5].all()
    assert known.sum() == 16


def test_labels_with_other_axes_are_brought_to_those_of_the_image() -> None:
    labels = np.arange(2 * 3 * 4).reshape(1, 2, 3, 4)
    found = match_grids(image((2, 3, 3, 4), "TCYX"), grid((1, 2, 3, 4), "CTYX"))
    np.testing.assert_array_equal(found.place(labels), labels[0])
    moved = match_grids(image((5, 3, 3, 4), "TCYX"), grid((1, 2, 3, 4), "CTYX", at=(0, 3, 0, 0)))
    np.testing.assert_array_equal(moved.place(labels)[3:5], labels[0])


def test_what_is_not_labelled_is_not_known() -> None:
    labels = np.zeros((4, 5), int)
    labels[1, 1] = 3
    found = LabelPlacement("YX", "YX", (20, 30), (4, 5), (10, 20))
    example = Example(
        np.zeros((20, 30)), found.place(labels), region=found.place_region("all", labels)
    )
    opened = open_example(example, ndim=2, in_channels=1, task="instance")
    read, known = opened.read_labels(0, (slice(0, 20), slice(0, 30)))
    assert known.sum() == 20
    assert known[10:14, 20:25].all()
    assert np.argwhere(read[0]).tolist() == [[11, 21]]
