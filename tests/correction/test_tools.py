"""What each edit does to small labels, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_unet.correction.component import detach_component
from napari_unet.correction.drawing import draw_mask, draw_stroke
from napari_unet.correction.interpolation import interpolate_planes
from napari_unet.correction.line_split import split_by_line
from napari_unet.correction.merging import delete_object, merge_objects
from napari_unet.correction.outline import fill_holes, grow_object, shrink_object, smooth_object
from napari_unet.correction.seed_split import split_by_seeds
from napari_unet.correction.window import object_window
from napari_unet.errors import UNetError


def disk(shape: tuple[int, int], center: tuple[float, float], radius: float) -> np.ndarray:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - center[0]) ** 2 + (x - center[1]) ** 2 <= radius**2


class Counting:
    """An array that counts the pixels read from it."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype, self.pixels = array, array.shape, array.dtype, 0

    def __getitem__(self, window: Any) -> np.ndarray:
        self.pixels += self.array[window].size
        return self.array[window]


# ------------------------------------------------------------------------------------- window


@pytest.mark.parametrize("near", [(300, 410), (slice(290, 310), slice(400, 420))])
def test_a_known_place_reads_little_and_finds_all_of_the_object(near: Any) -> None:
    labels = np.zeros((1000, 1000), np.int32)
    labels[280:350, 405:430] = 8
    labels[600:, 600:] = 9
    source = Counting(labels)
    assert object_window(source, 8, near=near) == (slice(280, 350), slice(405, 430))
    assert source.pixels < 40_000
    assert object_window(labels, 8) == (slice(280, 350), slice(405, 430))


def test_a_wrong_place_costs_a_search() -> None:
    labels = np.zeros((300, 300), np.int32)
    labels[250:, 299] = 8
    for near in [(0, 0), (slice(0, 5), slice(0, 5)), (999, -40)]:
        assert object_window(labels, 8, near=near) == (slice(250, 300), slice(299, 300))


def test_a_frame_is_searched_alone() -> None:
    labels = np.zeros((3, 20, 20), np.int32)
    labels[0, :5, :5] = labels[2, 10:, 10:] = 4
    window = object_window(labels, 4, frame=(2,), margin=2)
    assert window == (slice(2, 3), slice(8, 20), slice(8, 20))
    with pytest.raises(UNetError, match=r"no object 4 at 1:2"):
        object_window(labels, 4, frame=(1,))
    with pytest.raises(UNetError, match="no frame"):
        object_window(labels, 4, frame=(3,))


@pytest.mark.parametrize("label", [0, -3, 256])
def test_what_is_no_number_of_an_object_is_named(label: int) -> None:
    with pytest.raises(UNetError, match=f"{label} is no number"):
        delete_object(np.zeros((4, 4), np.uint8), label)


# -------------------------------------------------------------------------------------- split


def test_an_ellipse_without_a_neck_is_cut_half_way_between_the_clicks() -> None:
    y, x = np.ogrid[:41, :101]
    labels = (((y - 20) / 15) ** 2 + ((x - 50) / 45) ** 2 <= 1).astype(np.int32)
    split_by_seeds(labels, 1, [(18, 25), (24, 75)]).apply(labels)
    sizes = np.bincount(labels.ravel())[1:]
    assert abs(sizes[0] - sizes[1]) < 0.06 * sizes.sum()


def test_a_map_decides_where_the_parts_meet() -> None:
    labels = np.ones((10, 40), np.int32)
    distance = np.ones((10, 40), np.float32)
    distance[:, 12] = 0.1  # the only dip
    split_by_seeds(labels, 1, [(5, 2), (5, 37)], distance=distance).apply(labels)
    assert (labels[:, :12] == 1).all()
    assert (labels[:, 13:] == 2).all()


def test_three_seeds_make_three_parts_numbered_in_their_order() -> None:
    labels = np.zeros((30, 90), np.int32)
    for x in (15, 42, 70):
        labels[disk(labels.shape, (15, x), 14)] = 5
    split_by_seeds(labels, 5, [(15, 70), (15, 15), (15, 42)], largest=20).apply(labels)
    assert [int(labels[15, x]) for x in (70, 15, 42)] == [5, 21, 22]


def test_strokes_are_seeds_and_a_piece_apart_goes_to_the_nearest_part() -> None:
    labels = np.zeros((20, 50), np.int32)
    labels[5:15, 5:40] = 1
    labels[8, 45] = 1
    left = [(y, 8) for y in range(6, 14)]
    change = split_by_seeds(labels, 1, [left, (10, 36)], near=(slice(0, 20), slice(0, 50)))
    change.apply(labels)
    assert labels[8, 45] == 2


def test_seeds_in_pieces_apart_are_found_from_any_place() -> None:
    labels = np.zeros((300, 300), np.int32)
    labels[5:9, 5:9] = labels[250:260, 250:260] = 3
    split_by_seeds(labels, 3, [(6, 6), (255, 255)], near=(6, 6)).apply(labels)
    assert (labels == 3).sum() == 16
    assert (labels == 4).sum() == 100


def test_a_place_that_is_no_number_is_told() -> None:
    with pytest.raises(UNetError, match="no coordinate"):
        delete_object(np.ones((3, 3), int), 1, near=(float("nan"), 1))
    with pytest.raises(UNetError, match="3 numbers, the labels have 2 axes"):
        split_by_seeds(np.ones((3, 3), int), 1, [(0, 0), (2, 2)], near=(0, 0, 0))


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ([(1, 1)], "two seeds, 1 given"),
        ([(1, 1), (0, 0)], r"\(0, 0\) is not in object 1"),
        ([(1, 1), (1.2, 0.9)], "same place"),
        ([(1, 1), (1,)], "no place"),
    ],
)
def test_seeds_that_do_not_split_are_told(seeds: Any, words: str) -> None:
    labels = np.zeros((4, 4), int)
    labels[1:3, 1:3] = 1
    with pytest.raises(UNetError, match=words):
        split_by_seeds(labels, 1, seeds)


@pytest.mark.parametrize("line", [[(-5, 3), (50, 18)], [(20, -2), (5, 12), (22, 60)]])
def test_a_line_parts_an_object_without_a_gap(line: Any) -> None:
    labels = disk((40, 40), (20, 20), 15).astype(np.uint16)
    inside = labels > 0
    split_by_line(labels, 1, line).apply(labels)
    sizes = np.bincount(labels[inside])
    assert len(sizes) == 3
    assert sizes[1] >= sizes[2] > 40


def test_a_line_cuts_a_volume_along_the_axis_that_is_not_seen() -> None:
    labels = np.zeros((2, 8, 20, 20), np.int32)
    labels[:, 2:7, 4:16, 4:16] = 3
    before = labels.copy()
    split_by_line(labels, 3, [(1, 4, 0, 10), (1, 4, 19, 10)], frame=(1,)).apply(labels)
    assert np.array_equal(labels[0], before[0])
    assert (labels[1, 2:7, 4:16, 11:16] == 4).all()
    assert (labels[1, 2:7, 4:16, 4:10] == 3).all()
    across = [(0, 0, 9, 9), (0, 7, 9, 9)]  # drawn in a plane of constant y
    change = split_by_line(before, 3, across, through=2, frame=(0,))
    assert change.window == (slice(0, 1), slice(2, 7), slice(4, 16), slice(4, 10))


@pytest.mark.parametrize("line", [[(20, 0), (20, 20)], [(0, 0), (0, 39)], [(36, 0), (36, 39)]])
def test_a_line_that_ends_inside_parts_nothing(line: Any) -> None:
    labels = disk((40, 40), (20, 20), 15).astype(np.int32)
    with pytest.raises(UNetError, match="right across"):
        split_by_line(labels, 1, line)


def test_a_line_leaves_no_crumbs() -> None:
    labels = np.zeros((30, 30), np.int32)
    labels[5:25, 5:25] = 1
    labels[10:20:2, 25] = 1  # teeth beside the line
    split_by_line(labels, 1, [(0, 24), (29, 12)]).apply(labels)
    assert set(np.unique(labels)) == {0, 1, 2}


# ------------------------------------------------------------------------------------ outline


def test_holes_are_filled_but_what_is_in_them_stays() -> None:
    labels = np.full((7, 7), 3)
    labels[2:5, 2:5] = 0
    labels[3, 3] = 8
    labels[0, 3] = 0  # open to the side of the image: no hole
    fill_holes(labels, 3).apply(labels)
    assert (labels == 0).sum() == 1
    assert labels[3, 3] == 8


def test_a_tube_is_filled_plane_by_plane_only() -> None:
    tube = np.ones((3, 5, 5), int)
    tube[:, 2, 2] = 0
    assert not fill_holes(tube, 1)
    assert fill_holes(tube, 1, frame=(1,)).indices()[0].tolist() == [1]


def test_smoothing_takes_a_spike_and_fills_a_notch() -> None:
    labels = disk((40, 40), (20, 20), 12).astype(int)
    rough = labels.copy()
    rough[20, 32:37] = 1
    rough[9:11, 20] = 0
    smooth_object(rough, 1, radius=1.5).apply(rough)
    assert (rough != labels).sum() < 30
    assert rough[20, 34] == 0
    assert rough[10, 20] == 1
    with pytest.raises(UNetError, match="Nothing would be left"):
        smooth_object(np.eye(9, dtype=int), 1, radius=3)


def test_growing_goes_around_no_neighbour_and_over_none() -> None:
    labels = np.zeros((5, 7), int)
    labels[2, 1] = 1
    labels[:, 2] = 2
    grow_object(labels, 1, pixels=3).apply(labels)
    assert (labels[:, 2] == 2).all()
    assert (labels[:, 3:] == 0).all()
    assert (labels[:, :2] == 1).sum() == 10


def test_growing_and_shrinking_by_one_undo_each_other_on_a_square() -> None:
    labels = np.zeros((9, 9), int)
    labels[2:7, 2:7] = 1
    grow_object(labels, 1).apply(labels)
    assert (labels == 1).sum() == 25 + 20
    shrink_object(labels, 1).apply(labels)
    assert (labels == 1).sum() == 25
    with pytest.raises(UNetError, match="delete it instead"):
        shrink_object(labels, 1, pixels=3)


def test_an_object_does_not_shrink_from_the_side_of_the_image() -> None:
    labels = np.zeros((5, 5), int)
    labels[:3] = 1
    shrink_object(labels, 1).apply(labels)
    assert labels[:, 0].tolist() == [1, 1, 0, 0, 0]


def test_a_painted_background_is_free_and_is_written_for_what_goes() -> None:
    labels = np.array([[0, 9, 1, 1, 9, 2]])
    grow_object(labels, 1, background=(9, 0)).apply(labels)
    assert labels.tolist() == [[0, 1, 1, 1, 1, 2]]
    delete_object(labels, 1, background=(9, 0)).apply(labels)
    assert labels.tolist() == [[0, 9, 9, 9, 9, 2]]
    with pytest.raises(UNetError, match="not background"):
        delete_object(labels, 9, background=(9, 0))


# ----------------------------------------------------------------- merging, pieces and drawing


def test_a_track_is_merged_in_all_frames_or_in_one() -> None:
    labels = np.array([[[1, 2]], [[2, 1]]])
    everywhere = labels.copy()
    merge_objects(everywhere, 1, 2).apply(everywhere)
    assert (everywhere == 1).all()
    merge_objects(labels, 1, 2, frame=(0,)).apply(labels)
    assert labels.tolist() == [[[1, 1]], [[2, 1]]]
    with pytest.raises(UNetError, match="with itself"):
        merge_objects(labels, 1, 1)


def test_a_piece_is_taken_off_however_far_the_rest_is() -> None:
    labels = np.zeros((200, 200), np.int32)
    labels[5, 5] = labels[6, 6] = 1
    with pytest.raises(UNetError, match="one piece"):
        detach_component(labels, (5, 5))
    labels[190, 190] = 1
    detach_component(labels, (6, 6), largest=4).apply(labels)
    assert [int(labels[i, i]) for i in (5, 6, 190)] == [5, 5, 1]
    with pytest.raises(UNetError, match="no object at"):
        detach_component(labels, (0, 0))


def test_a_mask_takes_other_objects_only_when_told() -> None:
    labels = np.array([[0, 0, 2, 0]])
    mask = np.ones((1, 9), bool)
    assert draw_mask(labels, 5, mask, (0, -3)).indices()[1].tolist() == [0, 1, 3]
    draw_mask(labels, 5, mask, (0, -3), overwrite=True).apply(labels)
    assert labels.tolist() == [[5, 5, 5, 5]]
    assert not draw_mask(labels, 5, mask, (7, 7))


def test_a_stroke_is_as_wide_as_the_brush() -> None:
    labels = np.zeros((3, 40, 40), np.int32)
    draw_stroke(labels, 2, [(10, 10), (10, 30)], 4, frame=(1,)).apply(labels)
    assert (labels[1, :, 20] == 2).sum() == 9
    assert not labels[[0, 2]].any()
    np.testing.assert_array_equal(
        draw_stroke(np.zeros((20, 20), int), 1, [(9, 9)], 5).new.astype(bool),
        disk((11, 11), (5, 5), 5),
    )
    ball = draw_stroke(np.zeros((9, 9, 9), int), 1, [(4, 4, 4)], 2)
    assert ball.new.sum() == 33  # lattice points of a ball of radius 2


# ------------------------------------------------------------------------------ interpolation


@pytest.mark.parametrize("axis", [0, 1])
def test_a_disk_moves_and_grows_between_two_planes(axis: int) -> None:
    planes = np.zeros((5, 40, 60), np.int32)
    planes[0][disk((40, 60), (20, 12), 6)] = 3
    planes[4][disk((40, 60), (20, 44), 10)] = 3
    labels = np.ascontiguousarray(np.moveaxis(planes, 0, axis))
    before = planes.copy()
    interpolate_planes(labels, 3, 4, 0, axis=axis).apply(labels)
    found = np.moveaxis(labels, axis, 0)
    assert np.array_equal(found[[0, 4]], before[[0, 4]])
    wanted = disk((40, 60), (20, 28), 8)
    both = (wanted & (found[2] == 3)).sum()
    assert both / (wanted | (found[2] == 3)).sum() > 0.95


def test_a_plane_between_that_is_painted_stays_and_others_are_not_overwritten() -> None:
    labels = np.zeros((2, 7, 20, 20), np.uint8)
    labels[1, 0, 5:15, 5:15] = labels[1, 6, 5:15, 5:15] = 3
    labels[1, 3, 9:11, 9:11] = 3
    labels[1, 2, 10:, :] = 4
    before = labels.copy()
    interpolate_planes(labels, 3, 0, 6, frame=(1,)).apply(labels)
    assert np.array_equal(labels[1, 3], before[1, 3])
    assert np.array_equal(labels == 4, before == 4)
    assert not labels[0].any()
    sizes = [(plane == 3).sum() for plane in labels[1]]
    assert 4 < sizes[4] < sizes[5] < 100
    with pytest.raises(UNetError, match="no object 4"):
        interpolate_planes(labels, 4, 0, 2, frame=(1,))
    with pytest.raises(UNetError, match="nothing between"):
        interpolate_planes(labels, 3, 2, 2, frame=(1,))
