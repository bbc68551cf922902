"""The score by which a training for values picks its weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_unet.dataset.example import Example
from napari_unet.network.model import Model
from napari_unet.training.scoring import make_pieces, mean_psnr, predict_piece
from napari_unet.training.train import train

RAMP = np.linspace(0, 1, 256).reshape(16, 16).astype(np.float32)
FLAT = np.zeros((16, 16), np.float32)


@pytest.fixture(scope="module")
def model() -> Model:
    return train(
        [Example(RAMP, RAMP, axes="YX")],
        task="regression",
        features=(4, 8),
        patch=(16, 16),
        batch_size=1,
        steps=1,
        device="cpu",
        precision="float32",
    )


def psnr_of(
    model: Model, pairs: list[tuple[NDArray[Any], NDArray[Any]]], region: Any = "all"
) -> float:
    """Of values for truths; the range of the model's output is about 1."""
    examples = [Example(RAMP, truth, region=region, axes="YX") for _, truth in pairs]
    pieces = make_pieces(examples, model.card)
    found = [predict_piece(model, piece) for piece in pieces]
    for prediction, (values, _) in zip(found, pairs, strict=True):
        np.asarray(prediction.scores)[...] = values
    return mean_psnr(found, pieces)


def test_the_noisiest_image_does_not_decide_alone(model: Model) -> None:
    before = psnr_of(model, [(RAMP + 0.01, RAMP), (RAMP + 1.0, RAMP)])
    # little noise made ten times smaller, much noise made slightly stronger
    after = psnr_of(model, [(RAMP + 0.001, RAMP), (RAMP + 1.1, RAMP)])
    assert before == pytest.approx((40 + 0) / 2, abs=0.3)
    assert after == pytest.approx(before + 9.6, abs=0.1)


def test_a_perfect_image_does_not_decide_alone(model: Model) -> None:
    better = psnr_of(model, [(RAMP, RAMP), (RAMP + 0.1, RAMP)])
    worse = psnr_of(model, [(RAMP, RAMP), (RAMP + 0.2, RAMP)])
    assert np.isfinite(better)
    assert better == pytest.approx(worse + 3, abs=0.1)


def test_errors_where_nothing_is_count(model: Model) -> None:
    right = psnr_of(model, [(RAMP + 0.01, RAMP), (FLAT, FLAT)])
    grey = psnr_of(model, [(RAMP + 0.01, RAMP), (FLAT + 0.3, FLAT)])
    assert right > grey + 40


def test_what_is_not_known_does_not_count(model: Model) -> None:
    known = np.zeros(RAMP.shape, bool)
    known[:8] = True
    values = np.where(known, RAMP + 0.1, 1e6)
    assert psnr_of(model, [(values, RAMP)], region=known) == pytest.approx(20, abs=0.3)
