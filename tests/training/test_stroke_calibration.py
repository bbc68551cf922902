"""Thresholds and sizes of objects of which strokes alone are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy import ndimage, special

import napari_unet as nu
from napari_unet.card import Decoding
from napari_unet.dataset.validation_pieces import ValidationPiece
from napari_unet.inference.results import Prediction
from napari_unet.network.model import Model
from napari_unet.settings import TrainConfig
from napari_unet.training import finalize
from napari_unet.training.calibration import calibrate
from napari_unet.training.setup import prepare_training
from napari_unet.training.stroke_calibration import (
    THRESHOLDS,
    estimate_least_size,
    estimate_share_threshold,
    estimate_threshold,
    find_edge_threshold,
    lack_outlines,
    limit_threshold,
)

RADIUS, SPACING, COUNT = 8.0, 40, 25
Floats = NDArray[np.float32]
Predict = Callable[[Floats], Prediction]


@pytest.fixture(scope="module")
def predict(bright_model: Callable[..., Model]) -> Predict:
    """What a network would have predicted, from its foreground."""
    card = bright_model().card
    return lambda maps: Prediction(np.stack([maps, maps]), "CYX", (None, None), card, {})


def calibrated(prediction: Prediction, piece: ValidationPiece) -> Decoding:
    """As a training from strokes does it."""
    threshold = estimate_threshold([prediction], [piece])
    assert threshold is not None
    threshold = limit_threshold(threshold, [prediction], [piece])
    return calibrate([prediction], [piece], threshold=threshold)


def find_distances() -> tuple[Floats, NDArray[np.int32]]:
    """How far pixels are outside of the nearest of some disks; and the disks."""
    y, x = np.indices((SPACING, SPACING * COUNT))
    column = x // SPACING
    distance = np.hypot(y - SPACING / 2, x - column * SPACING - SPACING / 2) - RADIUS
    return distance.astype(np.float32), np.where(distance <= 0, column + 1, 0).astype(np.int32)


def sigmoid(values: NDArray[Any]) -> Floats:
    return np.asarray(special.expit(values), np.float32)


def paint(truth: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Lines through the middle of all objects, and as long ones far from them."""
    painted = np.zeros(truth.shape, bool)
    for number in range(COUNT):
        middle = number * SPACING + SPACING // 2
        painted[SPACING // 2 - 1 : SPACING // 2 + 2, middle - 6 : middle + 6] = True
        painted[1:4, middle - 6 : middle + 6] = True
    return painted


def make_piece(
    image: Floats, truth: NDArray[np.int32], painted: NDArray[np.bool_]
) -> ValidationPiece:
    return ValidationPiece(image[None], np.where(painted, truth, 0)[None], painted)


@pytest.mark.parametrize("bias", [-0.9, 0.0, 1.4])
@pytest.mark.parametrize("sign", [1, -1])
def test_outlines_run_where_the_image_is_steepest(predict: Predict, bias: float, sign: int) -> None:
    """A network that takes objects for more, or less, likely than they are; bright or dark."""
    distance, truth = find_distances()
    noise = np.random.default_rng(0).normal(0, 0.05, distance.shape).astype(np.float32)
    piece = make_piece(sign * sigmoid(-distance) + noise, truth, paint(truth))
    prediction = predict(sigmoid(bias - distance / 2))

    def area(decoding: Decoding) -> float:
        ratio = nu.evaluate(nu.decode(prediction, **decoding.model_dump()), truth).area_ratio
        assert ratio is not None
        return ratio

    found = calibrated(prediction, piece)
    assert found.threshold == pytest.approx(1 / (1 + np.exp(-bias)), abs=0.051)
    assert abs(area(found) - 1) < 0.12
    assert not bias or abs(area(Decoding()) - 1) > 0.15


def test_specks_are_smaller_than_anything_that_was_painted(predict: Predict) -> None:
    distance, truth = find_distances()
    painted, image = paint(truth), sigmoid(-distance)
    image[36:39, 5::40] = 0.97  # three pixels each, unpainted
    prediction, piece = predict(image), make_piece(image, truth, painted)
    found = calibrated(prediction, piece)
    assert 3 < found.min_size < np.pi * RADIUS**2
    assert nu.decode(prediction, **found.model_dump()).max() == COUNT
    few = make_piece(image, truth, painted & (np.arange(image.shape[1]) < 5 * SPACING))
    assert calibrated(prediction, few).min_size == 0


@given(
    foreground=arrays.arrays(
        np.float32, (7, 9), elements=st.sampled_from([0.0, 0.2, 0.3, 0.35, 0.62, 0.9, 1.0])
    ),
    seed=st.integers(0, 99),
)
def test_the_steepest_outline_is_that_of_counting(
    predict: Predict, foreground: Floats, seed: int
) -> None:
    """Against the definition, threshold by threshold; without smoothing, as in an even image."""
    image = np.random.default_rng(seed).random((1, 7, 9)).astype(np.float32)
    piece = ValidationPiece(image, np.zeros((1, 7, 9), np.int32), np.zeros((7, 9), bool))
    found = find_edge_threshold([predict(foreground)], [piece])
    means = steepness_of_each(foreground, image[0])
    if not means:
        assert found is None
        return
    best = max(means.values())
    if found is None:
        assert any(means[end] == pytest.approx(best, rel=1e-4) for end in (min(means), max(means)))
    else:
        assert min(means) < found < max(means)
        assert means[found] == pytest.approx(best, rel=1e-4)


def steepness_of_each(foreground: Floats, image: Floats) -> dict[float, float]:
    """By threshold, where at least half as much is outline as usual."""
    smooth, told = ndimage.gaussian_filter(image, 1.0), {}
    for threshold in THRESHOLDS:
        inside, here = foreground > threshold, []
        for axis in (0, 1):
            steps = np.abs(np.diff(smooth, axis=axis))
            here += list((steps / steps.mean())[np.diff(inside, axis=axis)])
        told[round(float(threshold), 2)] = here
    usual = np.median([len(each) for each in told.values() if each] or [1])
    return {t: float(np.mean(each)) for t, each in told.items() if each and len(each) >= usual / 2}


@given(painted=st.floats(0.1, 0.9), everywhere=st.floats(0.1, 0.9))
def test_else_the_threshold_follows_the_shares(
    predict: Predict, painted: float, everywhere: float
) -> None:
    """Even odds of the pixels are those of the painted ones, changed by both shares."""
    pixels = 20_000
    inside = np.arange(pixels) < everywhere * pixels
    scores = np.where(inside, 0.999, 0.001).astype(np.float32)[None]
    known = np.zeros((1, pixels), bool)
    known[0, : round(1000 * painted)] = True
    known[0, pixels - round(1000 * (1 - painted)) :] = True
    piece = ValidationPiece(scores[None], inside[None, None].astype(np.int32), known)
    found = estimate_share_threshold([predict(scores)], [piece])
    truth = painted * (1 - everywhere)
    truth /= truth + everywhere * (1 - painted)
    assert found == pytest.approx(np.clip(truth, THRESHOLDS[0], THRESHOLDS[-1]), abs=0.03)


def test_cells_that_are_steepest_inside_are_judged_by_the_shares(predict: Predict) -> None:
    """A bright core in a dim cell: the steepest outline would be that of the core."""
    distance, truth = find_distances()
    image = 0.2 * sigmoid(-distance) + sigmoid(-4 * (distance + 3))
    piece = make_piece(image, truth, paint(truth))
    odds = 4.0  # objects are that much likelier among the painted pixels
    prediction = predict(sigmoid(np.log(odds) - distance / 3))
    assert find_edge_threshold([prediction], [piece]) is None
    found = calibrated(prediction, piece)
    assert 0.7 < found.threshold < 0.9


def test_nothing_may_tell_of_a_threshold(predict: Predict) -> None:
    flat = np.full((8, 8), 0.95, np.float32)
    piece = make_piece(flat, np.ones((8, 8), np.int32), np.ones((8, 8), bool))
    assert estimate_threshold([predict(flat)], [piece]) is None


def test_a_training_from_strokes_estimates_and_one_from_outlines_does_not(
    bright_model: Callable[..., Model],
) -> None:
    """The end of a training, with a network that takes bright pixels for objects."""
    distance, truth = find_distances()
    image = sigmoid(-distance) ** 3  # steepest below its half
    labels = np.where(paint(truth), np.where(truth == 0, 99, truth), 0)
    painted = nu.Example(image, labels, region="painted", background=99)
    model = bright_model()
    found = []
    for example in (painted, nu.Example(image, truth)):
        config = TrainConfig(task="instance", steps=1, patch=(32, 32))
        setup = prepare_training([example], base=None, config=config, validation=[example])
        found.append(finalize.finalize_model(model, setup, "float32"))
    strokes, outlines = (each.card.decoding for each in found)
    assert 0 < strokes.min_size < np.pi * RADIUS**2
    assert strokes.threshold < 0.4
    assert outlines.min_size == 0  # nothing is gained by leaving out
    assert all(each.card.scores[0].values["AP at IoU 0.5"] == 1 for each in found)


def test_rows_show_where_objects_end_and_strokes_do_not() -> None:
    distance, truth = find_distances()
    image = sigmoid(-distance)
    rows = np.zeros(truth.shape, bool)
    rows[::6] = True
    assert lack_outlines([make_piece(image, truth, paint(truth))])
    assert not lack_outlines([make_piece(image, truth, rows)])
    assert not lack_outlines([make_piece(image, truth, np.ones(truth.shape, bool))])
    empty = np.zeros_like(truth)
    assert not lack_outlines([make_piece(image, empty, paint(truth))])  # no object at all
    empty = make_piece(image, empty, np.ones(truth.shape, bool))
    assert lack_outlines([make_piece(image, truth, paint(truth)), empty])


def test_dim_objects_are_not_lost_to_the_outlines_of_bright_ones(predict: Predict) -> None:
    distance, truth = find_distances()
    height = np.full(truth.shape, 0.75, np.float32)  # some are unsure
    height[:, : 15 * SPACING] = 0.98
    light = np.where(height > 0.9, 3, 1).astype(np.float32)
    prediction = predict(height * sigmoid(-distance))
    piece = make_piece(light * sigmoid(-distance), truth, paint(truth))
    edge = find_edge_threshold([prediction], [piece])
    assert edge is not None
    assert limit_threshold(0.8, [prediction], [piece]) < 0.7
    found = calibrated(prediction, piece)
    labels = nu.decode(prediction, **found.model_dump())
    assert nu.evaluate(labels, truth).tp[0.5] >= 0.95 * COUNT


def test_with_few_objects_the_smallest_size_stays(predict: Predict) -> None:
    distance, truth = find_distances()
    image = sigmoid(-distance)
    few = make_piece(image, truth, paint(truth) & (np.arange(image.shape[1]) < 5 * SPACING))
    assert estimate_least_size([predict(image)], [few], Decoding(min_size=21)) == 21


def test_a_base_is_not_judged_by_the_shares_of_strokes(
    bright_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither itself, nor what was learned from it in a few steps."""
    asked = []

    def note(*seen: Any) -> None:
        asked.append(seen)

    monkeypatch.setattr(finalize, "estimate_threshold", note)
    distance, truth = find_distances()
    labels = np.where(paint(truth), np.where(truth == 0, 99, truth), 0)
    example = nu.Example(sigmoid(-distance), labels, region="painted", background=99)
    config = TrainConfig(task="instance", steps=1, patch=(32, 32))
    model = bright_model()
    setup = prepare_training([example], base=model, config=config, validation=[example])
    finalize.finalize_model(model, setup, "float32")
    assert not asked


@pytest.mark.parametrize("peak", [1.0, 0.93, 0.87, 0.8])
def test_an_unsure_network_is_not_taken_at_its_last_outlines(predict: Predict, peak: float) -> None:
    distance, truth = find_distances()
    image = 0.2 * sigmoid(-distance) + sigmoid(-4 * (distance + 4))  # steepest inside
    piece = make_piece(image, truth, paint(truth))
    prediction = predict(np.float32(peak) * sigmoid(-distance / 2))
    assert find_edge_threshold([prediction], [piece]) is None
    limit = limit_threshold(0.9, [prediction], [piece])
    assert limit <= max(0.5, 0.9 * peak)
