"""Decoding settings are chosen by what they score."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from skimage.draw import disk

import napari_unet as nu
from napari_unet.card import Decoding, Normalization
from napari_unet.network.model import Model
from napari_unet.training.calibration import calibrate
from napari_unet.training.learned_pieces import choose_learned_pieces, count_objects
from napari_unet.training.scoring import make_pieces, predict_piece
from napari_unet.training.setup import prepare_training


def found_for(model: Model, *examples: nu.Example) -> Decoding:
    pieces = make_pieces(examples, model.card)
    return calibrate([predict_piece(model, piece) for piece in pieces], pieces)


def specked_disks(seed: int) -> nu.Example:
    """Bright disks, which count, and bright specks of 2 x 2 pixels, which do not."""
    rng = np.random.default_rng(seed)
    image = np.zeros((96, 96), np.float32)
    truth = np.zeros(image.shape, np.int32)
    for number, (y, x) in enumerate([(20, 20), (20, 70), (70, 30), (72, 75)], start=1):
        place = disk((y, x), 10)
        image[place], truth[place] = 1, number
    for y, x in rng.integers(0, 47, (12, 2)) * 2:
        if not truth[y : y + 2, x : x + 2].any():
            image[y : y + 2, x : x + 2] = 1
    return nu.Example(image, truth, axes="YX")


def test_specks_raise_the_smallest_size(bright_model: Callable[..., Model]) -> None:
    examples = [specked_disks(0), specked_disks(1)]
    found = found_for(bright_model(), *examples)
    assert 4 < found.min_size <= 320
    labels = nu.segment(examples[0].image, bright_model(), min_size=found.min_size)
    assert labels.max() == 4


def soft_disks(count: int, radius: float) -> nu.Example:
    """Disks with blurred rims, 8 pixels wide at half of their height, and truth of a radius."""
    rng = np.random.default_rng(0)
    image = np.zeros((40, 40 * count), np.float32)
    truth = np.zeros(image.shape, np.int32)
    y, x = np.indices(image.shape)
    for number in range(count):
        row, column = rng.uniform(19, 21, 2)
        distance = np.hypot(y - row, x - column - 40 * number)
        image = np.maximum(image, np.clip((8 + 6 - distance) / 12, 0, 1).astype(np.float32))
        truth[distance <= radius] = number + 1
    return nu.Example(image, truth, axes="YX")


def test_areas_are_unbiased_where_that_costs_nothing(bright_model: Callable[..., Model]) -> None:
    large, small = soft_disks(25, 8.4), soft_disks(25, 7.6)
    model = bright_model()
    for example in (large, small):
        before, after = (
            nu.evaluate(nu.segment(example.image, model, **decoding.model_dump()), example.labels)
            for decoding in (Decoding(), found_for(model, example))
        )
        assert abs(after.area_ratio - 1) < 0.03 < abs(before.area_ratio - 1)
        assert after.ap[0.75] == before.ap[0.75] == 1
    assert found_for(model, large).threshold < 0.5 < found_for(model, small).threshold
    few = soft_disks(4, 8.4)
    assert found_for(model, few).threshold == 0.5


def test_outlines_count_as_much_as_a_faint_object(bright_model: Callable[..., Model]) -> None:
    """A threshold that costs one object of 26 is taken where the outlines of all others fit."""
    model, example = bright_model(), soft_disks(26, 7.4)
    image = np.array(example.image)
    image[:, -40:] = 0.515 * (image[:, -40:] > 0.5)
    found = found_for(model, nu.Example(image, example.labels, axes="YX"))
    scores = nu.evaluate(nu.segment(image, model, **found.model_dump()), example.labels)
    assert scores.area_ratio == pytest.approx(1, abs=0.03)
    assert scores.ap[0.9] == 25 / 26


def test_a_sound_default_stays(bright_model: Callable[..., Model]) -> None:
    example = specked_disks(0)
    clean = nu.Example((np.asarray(example.labels) > 0).astype(np.float32), example.labels)
    assert found_for(bright_model(), clean) == Decoding()


def test_no_objects_at_all_leave_the_default(bright_model: Callable[..., Model]) -> None:
    empty = nu.Example(np.zeros((32, 32), np.float32), np.zeros((32, 32), np.int32))
    assert found_for(bright_model(), empty) == Decoding()


def specks(example: nu.Example) -> np.ndarray:
    return (np.asarray(example.image) > 0) & (np.asarray(example.labels) == 0)


def test_what_is_not_known_does_not_count(bright_model: Callable[..., Model]) -> None:
    example = specked_disks(0)
    trusted = nu.Example(example.image, example.labels, region=~specks(example))
    assert found_for(bright_model(), trusted) == Decoding()
    assert found_for(bright_model(), example, example).min_size > 4


def test_sizes_of_parts_are_no_sizes(bright_model: Callable[..., Model]) -> None:
    """Of an image known in part the smallest size is not calibrated: its objects are cut."""
    example = specked_disks(0)
    known = np.ones((96, 96), bool)
    known[0, 0] = False
    assert found_for(bright_model(), nu.Example(example.image, example.labels)).min_size > 4
    cut = nu.Example(example.image, example.labels, region=known)
    assert found_for(bright_model(), cut).min_size == 0


def touching_balls(shape: tuple[int, ...]) -> np.ndarray:
    """Pairs of balls that touch; a pixel belongs to the nearer one."""
    grid = np.indices(shape)
    centres = [(*[4] * (len(shape) - 2), y, x) for y in (12, 36) for x in (12, 27, 52, 67)]
    far = [
        np.sqrt(sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True))) for centre in centres
    ]
    return np.where(np.min(far, axis=0) < 9, np.argmin(far, axis=0) + 1, 0).astype(np.int32)


def dented_rods() -> nu.Example:
    """Rods with two shallow dips each, of which some touch along their sides, in a deep dip."""
    probability = np.zeros((120, 150), np.float32)
    truth = np.zeros(probability.shape, np.int32)
    tops = [4, 22, 40, 50, 68, 78, 96]  # the third and fourth touch, and the fifth and sixth
    for number, (top, left) in enumerate([(t, x) for t in tops for x in (5, 80)], start=1):
        rod = (slice(top, top + 10), slice(left, left + 60))
        truth[rod], probability[rod] = number, 0.95
        for dip in (19, 39):
            probability[top : top + 10, left + dip : left + dip + 2] = 0.73
    for top in (50, 78):
        probability[top - 1 : top + 1] = np.minimum(probability[top - 1 : top + 1], 0.55)
    inverse = np.log(np.maximum(probability, 1e-3) / (1 - np.maximum(probability, 1e-3)))
    return nu.Example((0.5 + inverse / 20).astype(np.float32), truth, axes="YX")


def test_a_better_distance_is_not_missed_for_a_shape_that_is_better_at_first(
    bright_model: Callable[..., Model],
) -> None:
    example, model = dented_rods(), bright_model(normalization=Normalization(mode="none"))

    def score(**decoding: float) -> float:
        labels = nu.segment(example.image, model, **decoding)
        return nu.evaluate(labels, example.labels, task="instance").ap[0.5]

    assert score() < score(shape_radius=5.0) < 0.8
    found = found_for(model, example)
    assert found.shape_radius == 0
    assert score(**found.model_dump()) == 1


@pytest.mark.parametrize(
    ("ndim", "axes", "shape"),
    [(2, "YX", (48, 80)), (2, "ZYX", (9, 48, 80)), (3, "ZYX", (9, 48, 80))],
)
def test_the_shape_splits_where_no_distance_was_learned(
    bright_model: Callable[..., Model], ndim: int, axes: str, shape: tuple[int, ...]
) -> None:
    """The distance of this model is as level as its foreground."""
    truth = touching_balls(shape)
    example = nu.Example((truth > 0).astype(np.float32), truth, axes=axes)
    model = bright_model(ndim)
    found = found_for(model, example)
    assert 3 < found.shape_radius < 12
    labels = nu.segment(example.image, model, axes=axes, **found.model_dump())
    assert labels.max() == 8
    assert nu.evaluate(labels, truth).ap[0.75] == 1


def test_a_radius_that_does_not_help_is_given_up(bright_model: Callable[..., Model]) -> None:
    """The card's own radius splits what the learned distance keeps together."""
    bars = np.zeros((40, 80), np.int32)
    bars[5:15, 4:30], bars[5:15, 50:76] = 1, 2
    bars[8:12, 30:50] = 1
    bars[25:35, 4:76] = 3
    example = nu.Example((bars > 0).astype(np.float32), np.where(bars == 2, 1, bars))
    model = bright_model()
    card = model.card.model_copy(update={"decoding": Decoding(shape_radius=5)})
    assert nu.segment(example.image, Model(card, model.network)).max() == 3
    assert found_for(Model(card, model.network), example).shape_radius == 0


def test_few_objects_that_are_held_out_are_joined_by_learned_ones() -> None:
    examples = [specked_disks(seed) for seed in range(4)]
    config = nu.TrainConfig(task="instance", steps=1)
    data = prepare_training(examples, base=None, config=config, validation=None).data
    assert [count_objects(piece) for piece in data.validation] == [4]
    further = choose_learned_pieces(data, data.validation, objects=5)
    assert [count_objects(piece) for piece in further] == [4, 4, 4]
    assert choose_learned_pieces(data, data.validation, objects=4) == []
