"""Rare classes count more in the loss; afterwards each class is given as often as it is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

import napari_unet as nu
from napari_unet.dataset.targets import TargetSpec, find_classes
from napari_unet.dataset.validation_pieces import ValidationPiece
from napari_unet.inference.results import Prediction
from napari_unet.network.model import Model
from napari_unet.training.class_balance import MAX_WEIGHT_RATIO, weigh_classes
from napari_unet.training.class_calibration import (
    calibrate_classes,
    estimate_shares,
    shift_classes,
    shift_scores,
)
from napari_unet.training.losses import task_loss
from napari_unet.training.scoring import make_pieces, predict_piece

SHARES = np.array([0.8, 0.17, 0.03])
SIDE = 160


def test_weights_follow_the_root_of_the_share_up_to_a_bound() -> None:
    spec = TargetSpec("semantic", find_classes(range(4), ()))
    # the last class occurs nowhere here: it is named, or held out
    common, rare, rarest, _ = weigh_classes([{0: 90_000, 1: 900}, {0: 10_000, 1: 100, 2: 1}], spec)
    assert rare / common == pytest.approx(10)
    assert rarest / common == pytest.approx(MAX_WEIGHT_RATIO)
    assert (100_000 * common + 1000 * rare + rarest) / 101_001 == pytest.approx(1)
    assert weigh_classes([{}], TargetSpec("instance")) == ()


def test_a_pixel_counts_by_the_weight_of_its_class() -> None:
    logits = torch.tensor([[[[2.0, 0.0]], [[0.0, 0.0]]]])
    target, known = torch.tensor([[[[0.0, 1.0]]]]), torch.ones(1, 1, 1, 2)
    plain, weighted = task_loss("semantic"), task_loss("semantic", class_weights=(1.0, 3.0))
    right, undecided = np.log1p(np.exp(-2.0)), np.log(2.0)
    difference = (right + 3 * undecided) / 4 - (right + undecided) / 2
    found = weighted(logits, target, known) - plain(logits, target, known)
    assert found.item() == pytest.approx(difference)


def drawn(model: Model, seed: int = 0) -> tuple[Prediction, NDArray[np.int32]]:
    """The truth of a plane, and what a network says that takes all classes for as common."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, (SIDE, SIDE), p=SHARES).astype(np.int32)
    logits = 2.0 * np.eye(3)[truth] + rng.normal(0, 1, (SIDE, SIDE, 3))
    # the scores of this noise if all classes were as common: its log-likelihood, but for a constant
    odds = np.exp(2.0 * np.moveaxis(logits, -1, 0)).astype(np.float32)
    card = model.card
    return Prediction(odds / odds.sum(0), "CYX", (None, None), card, {}), truth


def piece_of(truth: NDArray[np.int32], known: NDArray[np.bool_]) -> ValidationPiece:
    return ValidationPiece(np.zeros((1, *truth.shape), np.float32), truth[None], known)


def mean_dice(prediction: Prediction, truth: NDArray[np.int32]) -> float:
    found = np.asarray(prediction.scores).argmax(0).astype(np.int32)
    scores = nu.evaluate(found, truth, task="semantic")
    return float(np.mean(list(scores.dice.values())))


def test_common_classes_are_given_more_often(make_model: Callable[..., Model]) -> None:
    prediction, truth = drawn(make_model(task="semantic"))
    everywhere = np.ones(truth.shape, bool)
    offsets = calibrate_classes([prediction], [piece_of(truth, everywhere)])
    assert offsets.sum() == pytest.approx(0)
    assert offsets[0] > offsets[1] > offsets[2]
    other, labels = drawn(make_model(task="semantic"), seed=1)  # not what it was found on
    assert mean_dice(shift_scores(other, offsets), labels) > mean_dice(other, labels) + 0.05


def test_what_is_right_or_hardly_known_stays(make_model: Callable[..., Model]) -> None:
    prediction, truth = drawn(make_model(task="semantic"))
    right = np.moveaxis(np.eye(3, dtype=np.float32)[truth], -1, 0)
    everywhere = np.ones(truth.shape, bool)
    perfect = replace(prediction, scores=right)
    piece = piece_of(truth, everywhere)
    assert not calibrate_classes([perfect], [piece]).any()
    few = np.zeros(truth.shape, bool)
    few[:20, :20] = True  # fewer than a thousand
    assert not calibrate_classes([prediction], [piece_of(truth, few)]).any()
    single = piece_of(np.zeros_like(truth), everywhere)
    assert not calibrate_classes([prediction], [single]).any()


def test_equally_many_strokes_do_not_make_classes_equally_common(
    make_model: Callable[..., Model],
) -> None:
    prediction, truth = drawn(make_model(task="semantic"))
    rng = np.random.default_rng(2)
    known = np.zeros(truth.shape, bool)
    for value in range(3):
        known.flat[rng.choice(np.flatnonzero(truth == value), 500, replace=False)] = True
    scores = np.asarray(prediction.scores)
    mean = scores.reshape(3, -1).mean(1).astype(float)
    assert estimate_shares(scores[:, known], truth[known], mean) == pytest.approx(SHARES, abs=0.03)
    offsets = calibrate_classes([prediction], [piece_of(truth, known)])
    best = calibrate_classes([prediction], [piece_of(truth, ~known | known)])
    reached = mean_dice(shift_scores(prediction, offsets), truth)
    assert reached > mean_dice(shift_scores(prediction, best), truth) - 0.02
    # taken as they are, they would leave the classes as they were
    assert reached > mean_dice(prediction, truth) + 0.05


def test_classes_that_cannot_be_told_apart_are_as_common() -> None:
    scores = np.array([[0.9, 0.8, 0.9, 0.8], [0.1, 0.2, 0.1, 0.2], [0, 0, 0, 0]], np.float32)
    shares = estimate_shares(scores, np.array([0, 0, 1, 1]), np.array([0.85, 0.15, 0.0]))
    assert shares == pytest.approx([0.5, 0.5, 0])


def test_a_shifted_model_predicts_the_shifted_scores(make_model: Callable[..., Model]) -> None:
    model = make_model(task="semantic")
    rng = np.random.default_rng(0)
    example = nu.Example(rng.random((24, 32), np.float32), rng.integers(0, 3, (24, 32)), axes="YX")
    (piece,) = make_pieces([example], model.card)
    offsets = np.array([0.5, -1.0, 0.5])
    before = predict_piece(model, piece, device="cpu", precision="float32")
    shifted = shift_classes(model, offsets)
    after = predict_piece(shifted, piece, device="cpu", precision="float32")
    expected = np.asarray(shift_scores(before, offsets).scores)
    np.testing.assert_allclose(np.asarray(after.scores), expected, atol=1e-5)
    assert np.abs(np.asarray(before.scores) - expected).max() > 0.05  # the model itself is kept
    assert shift_classes(model, np.zeros(3)) is model


def spotted(seed: int) -> nu.Example:
    """Clouds, and spots of 0.2 % of the pixels."""
    rng = np.random.default_rng(seed)
    clouds = ndimage.gaussian_filter(rng.standard_normal((128, 128)), 10)
    labels = (clouds > np.quantile(clouds, 0.7)).astype(np.uint8)
    image = 0.3 + 0.3 * labels + rng.normal(0, 0.08, labels.shape)
    for y, x in rng.integers(4, 120, (2, 2)):
        labels[y : y + 4, x : x + 4] = 2
        image[y : y + 4, x : x + 4] += 0.25
    return nu.Example(image.astype(np.float32), labels, axes="YX")


def test_a_rare_class_is_found_in_few_steps() -> None:
    settings: dict[str, Any] = {
        "features": (8, 16, 32),
        "patch": (64, 64),
        "batch_size": 4,
        "learning_rate": 3e-3,
    }
    settings |= {"device": "cpu", "precision": "float32", "threads": 1, "validation_every": 40}
    model = nu.train([spotted(i) for i in range(4)], task="semantic", steps=40, **settings)
    tests = [spotted(i) for i in range(10, 13)]
    found = [nu.segment(test.image, model, device="cpu") for test in tests]
    scores = nu.evaluate(found, [test.labels for test in tests], task="semantic")
    assert scores.dice[2] > 0.15  # 0 where all pixels count alike
    assert scores.dice[1] > 0.9
