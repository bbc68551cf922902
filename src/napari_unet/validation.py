"""Scoring a network on examples that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_unet.examples import Example
from napari_unet.metrics import InstanceScores, RegressionScores, Scores, SemanticScores, evaluate
from napari_unet.model import Model
from napari_unet.prediction import predict
from napari_unet.progress import drain
from napari_unet.segmentation import iter_segmentation
from napari_unet.training_setup import TrainingSetup
from napari_unet.unet import UNet


def validate(setup: TrainingSetup, network: UNet, precision: str) -> float:
    """The task's metric on the validation examples of a training; higher is better.

    ``precision`` is a resolved one: a race for the fastest would make the choice of the best
    weights a matter of chance.
    """
    model = Model(setup.make_card(0, 0.0), network)
    device = setup.config.device
    return headline(score(model, setup.validation, device=device, precision=precision))


def score(model: Model, examples: Sequence[Example], **settings: Any) -> Scores:
    """Scores of a model on examples, as `napari_unet.evaluate` gives them."""
    found, truth = [], []
    for example in examples:
        place: dict[str, Any] = {
            "axes": example.axes,
            "channels": example.channels,
            "pixel_size": example.pixel_size,
        }
        if model.card.task == "regression":
            prediction = predict(example.image, model, **place, **settings)
            labels = np.asarray(example.labels)
            values = np.asarray(prediction.scores, np.float64)
            if labels.ndim == values.ndim:  # channels, wherever the image has them
                order = prediction.record["axes"]
                values = values.transpose([prediction.axes.index(axis) for axis in order])
            found.append(values.reshape(labels.shape))
        else:
            labels = np.asarray(example.labels)
            job = iter_segmentation(example.image, model, **place, **settings)
            found.append(drain(job).labels)
        truth.append(labels)
    return evaluate(found, truth, task=model.card.task)


def headline(scores: Scores) -> float:
    """The one figure that training maximises: mean AP, mean Dice, or PSNR in dB.

    The mean AP is over the IoU thresholds 0.5 to 0.95, as in the 2018 Data Science Bowl: AP
    at 0.5 alone hardly sees whether the outlines are right.
    """
    if isinstance(scores, InstanceScores):
        return float(np.mean(list(scores.ap_mean.values())))
    if isinstance(scores, SemanticScores):
        return scores.macro_dice_mean
    if isinstance(scores, RegressionScores) and scores.psnr is not None:
        return scores.psnr
    return float("inf")  # no error at all
