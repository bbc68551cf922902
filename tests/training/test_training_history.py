"""What a model was trained on, in lines that can be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import napari_unet as nu
from napari_unet.card import ScoreRecord, TrainingRecord
from napari_unet.network.model import Model
from napari_unet.training.verdict import describe_training

RECORD: dict[str, Any] = {
    "base": "nuclei",
    "base_sha256": "0123456789abcdef",
    "examples": 1,
    "labelled_pixels": 12034,
    "data_sha256": "fedcba9876543210",
    "steps": 210,
    "seconds": 125.0,
    "seed": 7,
    "versions": {"python": "3.12.1", "torch": "2.9.0"},
    "config": {"patch": [128, 96], "batch_size": 4, "learning_rate": 1e-3},
}


def lines(make_model: Callable[..., Model], **fields: Any) -> list[str]:
    return describe_training(make_model(task="semantic").card.model_copy(update=fields))


def test_all_that_is_recorded_is_told(make_model: Callable[..., Model]) -> None:
    scores = (
        ScoreRecord(data="the held-out part", images=2, values={"Dice": 0.81234}),
        ScoreRecord(data="the held-out part", images=2, values={"Dice": 0.7}, model="nuclei"),
    )
    told = lines(make_model, training=TrainingRecord(**RECORD), scores=scores, licence="CC0-1.0")
    assert told == [
        "Started from: nuclei (01234567).",
        "Learned from: 1 example, 12,034 labelled pixels (data fedcba98).",
        "Training: 210 steps in 2.1 min, seed 7.",
        "Classes: class 0 (0), class 1 (1), class 2 (2).",
        "Settings: patches of 128 × 96, batches of 4, learning rate 0.001.",
        "Made with: Python 3.12.1, PyTorch 2.9.0.",
        "Scores on the held-out part (2 images): Dice 0.812.",
        "Scores of nuclei on the held-out part (2 images): Dice 0.700.",
        "Licence: CC0-1.0.",
    ]


def test_a_new_network_and_a_poor_record(make_model: Callable[..., Model]) -> None:
    poor = RECORD | {"base": None, "base_sha256": None, "versions": {}, "config": {}}
    told = lines(make_model, training=TrainingRecord(**poor))
    assert told[0] == "Started from: scratch, a new network."
    assert not any(line.startswith(("Settings", "Made with")) for line in told)


def test_what_is_not_recorded_is_said_to_be_so(make_model: Callable[..., Model]) -> None:
    assert lines(make_model) == ["How this model was trained is not recorded."]


def test_of_every_bundled_model_something_is_told() -> None:
    for card in nu.list_models():
        assert len(describe_training(card)) > 3
