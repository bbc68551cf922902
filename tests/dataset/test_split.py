"""Held-out pixels: never on both sides, about as many as wanted, and said in words."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_unet.card import Task
from napari_unet.dataset.example import Example
from napari_unet.dataset.label_statistics import collect_statistics
from napari_unet.dataset.labelled_image import LabelledImage, open_example
from napari_unet.dataset.split import Split, split_examples

FEW = "The labels are too few to hold some out to validate on."


def split(
    examples: list[Example],
    *,
    fraction: float = 0.2,
    seed: int = 0,
    task: Task = "instance",
    ndim: int = 2,
) -> Split:
    opened = [open_example(e, ndim=ndim, in_channels=None, task=task) for e in examples]
    return split_examples(
        opened,
        [collect_statistics(o, task, ndim) for o in opened],
        fraction=fraction,
        seed=seed,
        task=task,
        ndim=ndim,
    )


def extents(piece: LabelledImage) -> tuple[tuple[int, int], ...]:
    """From where to where it goes, along T and the spatial axes."""
    return (
        (piece.times.start, piece.times.stop),
        *((w.start, w.stop) for w in piece.window),
    )


def mark(example: Example, piece: LabelledImage) -> NDArray[np.bool_]:
    """The pixels of a piece, (T, *spatial)."""
    seen = np.zeros((piece.source.times, *piece.source.spatial_shape), bool)
    seen[piece.times.start : piece.times.stop, *piece.window] = True
    return seen


def grid(shape: tuple[int, ...], step: int = 10, size: int = 4) -> NDArray[np.int32]:
    """Objects evenly spread, in every plane others."""
    labels = np.zeros(shape, np.int32)
    count = 0
    for place in np.ndindex(*shape[:-2]):
        for y in range(2, shape[-2] - size, step):
            for x in range(2, shape[-1] - size, step):
                count += 1
                labels[(*place, slice(y, y + size), slice(x, x + size))] = count
    return labels


def known_objects(piece: LabelledImage) -> set[int]:
    found: set[int] = set()
    for time in piece.times:
        labels, _ = piece.read_labels(time, tuple(slice(0, n) for n in piece.shape))
        found |= set(np.unique(labels).tolist()) - {0}
    return found


@settings(max_examples=25)
@given(
    axes=st.sampled_from(["YX", "ZYX", "TYX", "TZYX", "XYZ"]),
    images=st.integers(1, 4),
    ndim=st.sampled_from([2, 3]),
    region=st.sampled_from(["all", "planes", "painted"]),
    task=st.sampled_from(["instance", "semantic"]),
    fraction=st.sampled_from([0.1, 0.2, 0.5]),
    seed=st.integers(0, 1000),
)
def test_no_pixel_is_on_both_sides_and_none_is_lost(
    axes: str, images: int, ndim: int, region: str, task: Task, fraction: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    ndim = ndim if "Z" in axes else 2
    examples = []
    for _ in range(images):
        sizes = {"T": rng.integers(1, 7), "Z": rng.integers(1, 20), "Y": rng.integers(10, 90)}
        shape = tuple(int(sizes.get(a, rng.integers(10, 90))) for a in axes)
        labels = (rng.random(shape) < 0.01).astype(int) * rng.integers(1, 4, shape)
        examples.append(Example(np.zeros(shape, np.uint8), labels, region, axes=axes))
    found = split(examples, fraction=fraction, seed=seed, task=task, ndim=ndim)
    assert found.summary.endswith("validate on.")
    sides = [(found.training, 0), (found.validation, 1)]
    for example in examples:
        seen = [
            [mark(example, p) for p in pieces if p.source.arrays[0] is example.image]
            for pieces, _ in sides
        ]
        covered = np.sum([each for side in seen for each in side], axis=0)
        assert (covered == 1).all()
    if found.validation:
        assert any(known_objects(piece) for piece in found.training)
        if task == "instance":
            assert any(known_objects(piece) for piece in found.validation)
    again = split(examples, fraction=fraction, seed=seed, task=task, ndim=ndim)
    assert again.summary == found.summary
    for mine, same in ((found.training, again.training), (found.validation, again.validation)):
        assert [extents(p) for p in mine] == [extents(p) for p in same]


def whole_images(count: int, **kwargs: Any) -> list[Example]:
    return [Example(np.zeros((40, 40)), grid((40, 40)), **kwargs) for _ in range(count)]


def test_of_three_images_or_more_whole_ones_are_held_out() -> None:
    examples = whole_images(10)
    found = split(examples)
    assert (len(found.training), len(found.validation)) == (8, 2)
    assert found.summary == "2 of 10 images are held out to validate on."
    held = {id(p.source.arrays[0]) for p in found.validation}
    assert held.isdisjoint(id(p.source.arrays[0]) for p in found.training)
    assert all(p.shape == (40, 40) for p in found.training + found.validation)
    chosen = {
        frozenset(
            i for i, e in enumerate(examples)
            if id(e.image) in {id(p.source.arrays[0]) for p in split(examples, seed=s).validation}
        )
        for s in range(5)
    }  # fmt: skip
    assert len(chosen) > 1  # the seed decides which
    assert len(split(whole_images(3), fraction=0.01).validation) == 1
    assert len(split(whole_images(3), fraction=0.5).training) == 1


def test_nothing_is_held_out_where_nothing_is_wanted() -> None:
    found = split(whole_images(4), fraction=0)
    assert len(found.training) == 4
    assert found.validation == []
    assert found.summary == "Nothing is held out to validate on."


@pytest.mark.parametrize("seed", range(6))
def test_images_without_labels_are_neither_chosen_nor_counted(seed: int) -> None:
    """Held out they tell nothing, and what there is to learn from must not be held out alone."""
    empty = [Example(np.zeros((40, 40)), np.zeros((40, 40), int), "painted") for _ in range(4)]
    found = split([*empty, *whole_images(3)], seed=seed)
    assert found.summary == "1 of 3 images are held out to validate on."
    assert len(found.training) == 6
    assert known_objects(found.validation[0])
    found = split([*empty, *whole_images(1)], seed=seed)
    assert any(known_objects(piece) for piece in found.training)
    dark = [Example(np.zeros((40, 40)), np.zeros((40, 40), int)) for _ in range(4)]
    found = split([*dark, *whole_images(3)], seed=seed)
    assert known_objects(found.validation[0])


@pytest.mark.parametrize("seed", range(6))
def test_the_last_of_a_class_is_not_held_out(seed: int) -> None:
    labels = [np.ones((40, 40), int) for _ in range(4)]
    labels[1][:, 20:] = 0
    labels[2][:, 20:] = 0
    labels[3][3, 3] = 2
    images = [np.zeros((40, 40)) for _ in labels]
    examples = [Example(i, each) for i, each in zip(images, labels, strict=True)]
    found = split(examples, seed=seed, task="semantic", fraction=0.3)
    assert len(found.validation) == 1
    learned = {
        v for piece in found.training for v in collect_statistics(piece, "semantic", 2).values
    }
    assert learned == {0, 1, 2}


def test_the_last_of_a_class_is_not_cut_off() -> None:
    labels = np.ones((200, 150), int)
    labels[190:, :100] = 2
    found = split([Example(np.zeros(labels.shape), labels)], task="semantic")
    (before,), (behind,) = found.training, found.validation
    assert collect_statistics(before, "semantic", 2).values == {1, 2}
    assert extents(behind)[1] == (0, 200)  # columns instead of rows


def test_examples_of_one_array_stay_together() -> None:
    examples = whole_images(5)
    image = examples[0].image
    other = np.zeros((40, 40))
    examples += [
        Example(image, grid((40, 40)), "painted"),
        Example([other, image], grid((40, 40)), channels=[1]),
        Example(other, grid((40, 40))),
    ]
    for seed in range(8):
        found = split(examples, seed=seed)
        assert found.summary == "1 of 5 images are held out to validate on."
        sides = [
            {id(a) for p in s for a in p.source.arrays} for s in (found.training, found.validation)
        ]
        assert sides[0].isdisjoint(sides[1])
        assert len(found.training) + len(found.validation) == 8


def test_views_of_the_same_pixels_stay_together() -> None:
    """The last plane of one is the first of the next: it must not be on both sides."""
    stack = np.zeros((7, 40, 40))
    labels = grid(stack.shape)
    views = [
        Example(stack[a : a + 3], labels[a : a + 3], axes="ZYX") for a in (0, 2, 4)
    ]  # one image, as each shares a plane with the next
    examples = whole_images(2) + views
    sides = set()
    for seed in range(12):
        found = split(examples, seed=seed)
        assert found.summary == "1 of 3 images are held out to validate on."
        sides.add(
            frozenset(any(p.source.arrays[0] is v.image for p in found.validation) for v in views)
        )
    assert sides == {frozenset([True]), frozenset([False])}  # all of them, or none


def test_overlapping_parts_of_one_image_alone_are_not_cut() -> None:
    """An index of one is another place in the other."""
    stack = np.zeros((60, 40, 40))
    labels = grid(stack.shape)
    parts = [Example(stack[s], labels[s], axes="ZYX") for s in (slice(0, 40), slice(20, 60))]
    found = split(parts)
    assert found.validation == []
    assert "overlap" in found.summary


def test_parts_of_one_image_that_do_not_overlap_are_images_of_their_own() -> None:
    image = np.zeros((200, 90))
    labels = grid(image.shape)
    columns = [slice(0, 30), slice(30, 60), slice(60, 90)]
    examples = [Example(image[:, s], labels[:, s]) for s in columns]
    assert split(examples).summary == "1 of 3 images are held out to validate on."
    assert split([*examples, Example(image[:, 25:31], labels[:, 25:31])]).summary == (
        "The last rows are held out to validate on."
    )


def test_examples_of_one_array_are_cut_at_the_same_place() -> None:
    image = np.zeros((200, 100))
    first, second = grid((200, 100)), grid((200, 100))
    first[100:], second[:100] = 0, 0
    found = split([Example(image, first, "painted"), Example(image, second, "painted")])
    assert len(found.training) == len(found.validation) == 2
    blocks = {extents(p)[1] for p in found.validation}
    assert len(blocks) == 1
    ((start, stop),) = blocks
    assert stop == 200
    assert {extents(p)[1] for p in found.training} == {(0, start)}


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.4])
@pytest.mark.parametrize(
    ("axes", "shape", "ndim", "words"),
    [
        ("YX", (200, 120), 2, "rows"),
        ("YX", (120, 200), 2, "columns"),
        ("ZYX", (20, 60, 60), 2, "planes"),
        ("TYX", (20, 60, 60), 2, "time points"),
        ("TZYX", (20, 3, 40, 40), 3, "time points"),
        ("ZYX", (3, 60, 300), 2, "columns"),  # too few planes
        ("ZYX", (3, 60, 300), 3, "columns"),
        ("ZYX", (90, 50, 50), 3, "planes"),
    ],
)
def test_of_one_image_a_block_with_the_wanted_share_of_objects(
    axes: str, shape: tuple[int, ...], ndim: int, words: str, fraction: float
) -> None:
    labels = grid(shape)
    found = split(
        [Example(np.zeros(shape, np.uint8), labels, axes=axes)], fraction=fraction, ndim=ndim
    )
    assert found.summary == f"The last {words} are held out to validate on."
    (before,), (behind,) = found.training, found.validation
    share = len(known_objects(behind)) / len(known_objects(before) | known_objects(behind))
    assert abs(share - fraction) < 0.08
    assert extents(before)[0][0] == 0
    moved = [a != b for a, b in zip(extents(before), extents(behind), strict=True)]
    assert sum(moved) == 1


def test_the_share_is_of_objects_not_of_pixels() -> None:
    """All objects lie in the upper fifth of the image: there the cut is."""
    labels = np.zeros((1000, 120), np.int32)
    labels[:200] = grid((200, 120))
    found = split([Example(np.zeros(labels.shape), labels)])
    held = known_objects(found.validation[0])
    assert 0.1 < len(held) / labels.max() < 0.3


def test_the_share_of_painted_pixels_is_of_those() -> None:
    labels = np.zeros((400, 90), int)
    labels[100:200, 40:44] = 1
    labels[150:160, 60:80] = 2
    found = split([Example(np.zeros(labels.shape), labels, "painted")], task="semantic")
    known = [
        collect_statistics(side[0], "semantic", 2).known
        for side in (found.training, found.validation)
    ]
    assert 0.1 < known[1] / sum(known) < 0.3


def test_single_labelled_planes_of_a_stack_are_held_out_whole() -> None:
    labels = np.zeros((50, 60, 60), np.int32)
    for plane in (3, 11, 24, 30, 41):
        labels[plane] = grid((60, 60)) + plane * 100 * (grid((60, 60)) > 0)
    found = split([Example(np.zeros(labels.shape), labels, "planes")])
    (before, after), (behind,) = found.training, found.validation
    assert extents(behind)[1] == (41, 42)
    assert extents(before)[1] == (0, 41)
    assert extents(after)[1] == (42, 50)  # what is labelled there later is learned from
    assert found.summary == "The last planes are held out to validate on."


def test_a_block_with_hardly_anything_in_it_is_no_choice() -> None:
    """The last time point holds one object of many: another axis does better."""
    labels = np.zeros((5, 200, 60), np.int32)
    labels[:4] = grid((4, 200, 60))
    labels[:3, :, 30:] = 0
    labels[:3, 40:] = 0
    labels[4, 5, 5] = 10_000
    found = split([Example(np.zeros(labels.shape), labels, axes="TYX")])
    held = len(known_objects(found.validation[0]))
    total = len(np.unique(labels)) - 1
    assert 0.08 < held / total < 0.4


@pytest.mark.parametrize(
    ("labels", "region"),
    [
        (np.zeros((200, 200), int), "all"),
        (np.pad(np.ones((5, 5), int), ((90, 105), (90, 105))), "all"),  # one object
        (grid((40, 40)), "all"),  # too small to cut
        (np.zeros((200, 200), int), "painted"),
    ],
)
def test_too_few_labels_are_all_learned_from(labels: NDArray[np.int32], region: str) -> None:
    found = split([Example(np.zeros(labels.shape), labels, region)])
    assert found.summary == FEW
    assert len(found.training) == 1
    assert found.validation == []


def test_of_two_images_a_block_each_where_it_can_be() -> None:
    examples = [
        Example(da.zeros((200, 100), chunks=50), grid((200, 100))),
        Example(np.zeros((30, 30)), grid((30, 30))),
    ]
    found = split(examples)
    assert found.summary == "The last rows are held out to validate on."
    assert (len(found.training), len(found.validation)) == (2, 1)
    found = split([examples[0], Example(np.zeros((90, 300)), grid((90, 300)))])
    assert found.summary == "The last rows and columns are held out to validate on."
    assert (len(found.training), len(found.validation)) == (2, 2)


def test_the_same_array_with_other_axes_is_not_cut() -> None:
    image = np.zeros((60, 60, 60))
    labels = grid((60, 60, 60))
    found = split([Example(image, labels, axes="ZYX"), Example(image, labels, axes="TYX")])
    assert found.validation == []
    assert len(found.training) == 2


@pytest.mark.parametrize("painted", [False, True])
def test_nothing_is_held_out_behind_what_is_known(painted: bool) -> None:
    """Else what is labelled there later, while training goes on, would never be learned from."""
    labels = np.zeros((80, 400), np.int32)
    labels[:, :200] = grid((80, 200)) + painted * (grid((80, 200)) == 0) * 999
    mask = np.zeros(labels.shape, bool)
    mask[:, :200] = True
    region, background = ("painted", 999) if painted else (mask, None)
    found = split([Example(np.zeros(labels.shape), labels, region, background)])
    (before, after), (behind,) = found.training, found.validation
    columns = [extents(each)[-1] for each in (before, behind, after)]
    assert columns[0][0] == 0
    assert columns[0][1] == columns[1][0]
    assert columns[1][1] == columns[2][0]
    assert 190 < columns[1][1] <= 200
    assert columns[2][1] == 400
