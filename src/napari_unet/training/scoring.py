"""Scores of a network on validation pieces and examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.card import ModelCard, Normalization
from napari_unet.dataset.example import Example
from napari_unet.dataset.frames import crop_to_image, make_frames
from napari_unet.dataset.label_statistics import collect_statistics
from napari_unet.dataset.labelled_image import open_example
from napari_unet.dataset.targets import TargetSpec
from napari_unet.dataset.validation_pieces import ValidationPiece, make_validation_pieces
from napari_unet.image.normalization import find_limits
from napari_unet.inference.decoding import iter_decode
from napari_unet.inference.prediction import predict
from napari_unet.inference.results import Prediction
from napari_unet.metrics import InstanceScores, Scores, SemanticScores, evaluate
from napari_unet.network.model import Model
from napari_unet.progress import drain

LEAST_ERROR = 1e-5  # of the range of values, that is told from none
NO_NORMALIZATION = Normalization(mode="none")  # the pieces are normalised already


def score(model: Model, examples: Sequence[Example], **settings: Any) -> Scores:
    """Scores of a model on examples, plane by plane for a 2D network.

    Parameters
    ----------
    model : Model
        Any model.
    examples : sequence of Example
        Only what is known of them counts.
    **settings
        Fields of `SegmentSettings`, such as the device.
    """
    return score_pieces(model, make_pieces(examples, model.card), **settings)


def make_pieces(examples: Sequence[Example], card: ModelCard) -> list[ValidationPiece]:
    """Validation pieces of examples, with the spatial axes and normalisation of a model."""
    architecture = card.architecture
    target_spec = TargetSpec(card.task, card.classes, card.output_limits or ())
    pieces: list[ValidationPiece] = []
    for example in examples:
        labelled = open_example(
            example,
            ndim=architecture.ndim,
            in_channels=architecture.in_channels,
            task=card.task,
            named=[c.value for c in card.classes] if card.task == "semantic" else (),
        )
        limits = find_limits(labelled.source, card.normalization)
        # what surrounds the image is not predicted either
        labelled = crop_to_image(labelled, limits) or labelled
        found = collect_statistics(labelled, card.task, architecture.ndim)
        pieces += make_validation_pieces(make_frames(labelled, found, target_spec, limits))
    return pieces


def score_pieces(model: Model, pieces: Sequence[ValidationPiece], **settings: Any) -> Scores:
    """Scores of a model on pieces; what is not known counts neither way."""
    return score_predictions([predict_piece(model, p, **settings) for p in pieces], pieces)


def predict_piece(model: Model, piece: ValidationPiece, **settings: Any) -> Prediction:
    """The scores of a piece."""
    return predict(piece.image, model, axes=piece.axes, normalization=NO_NORMALIZATION, **settings)


def score_predictions(
    predictions: Sequence[Prediction],
    pieces: Sequence[ValidationPiece],
    *,
    looked_at_only: bool = False,
    **decoding: Any,
) -> Scores:
    """Scores of predictions, decoded with the given fields of `SegmentSettings`.

    Objects are compared on the known pixels alone: an object that lies partly outside
    counts with its part inside, as in the truth. ``looked_at_only``: what a model has predicted
    and nobody looked at since counts neither way, as in `ValidationPiece`.
    """
    task = predictions[0].card.task
    truth: list[NDArray[Any]]
    if task == "regression":
        truth = [piece.labels for piece in pieces]
        ignore = [np.broadcast_to(~p.known, p.labels.shape) for p in pieces]
        found = [np.asarray(p.scores, np.float64) for p in predictions]
        return evaluate(found, truth, task=task, ignore=_drop_empty_masks(ignore))
    truth = [piece.labels[0] for piece in pieces]
    # not `decode`, which would warn of every setting that finds nothing
    labels = [np.asarray(drain(iter_decode(p, **decoding)).labels) for p in predictions]
    unseen = [
        np.zeros_like(p.known) if p.looked_at is None or not looked_at_only else ~p.looked_at
        for p in pieces
    ]
    if task == "semantic":
        hidden = [~p.known | mask for p, mask in zip(pieces, unseen, strict=True)]
        return evaluate(labels, truth, task=task, ignore=_drop_empty_masks(hidden))
    seen = [np.where(p.known, each, 0) for p, each in zip(pieces, labels, strict=True)]
    return evaluate(seen, truth, task=task, ignore=_drop_empty_masks(unseen))


def _drop_empty_masks(masks: Sequence[NDArray[np.bool_]]) -> list[NDArray[np.bool_] | None]:
    return [mask if mask.any() else None for mask in masks]


def score_for_training(
    model: Model, pieces: Sequence[ValidationPiece], *, distance_known: bool, **settings: Any
) -> float:
    """The score that picks the weights: AP, Dice or PSNR, mean over pieces; higher is better.

    How to split objects is calibrated at the end: while no distance is learned, their foreground
    counts.
    """
    predictions = [predict_piece(model, piece, **settings) for piece in pieces]
    if model.card.task == "regression":
        return mean_psnr(predictions, pieces)
    scores = score_predictions(predictions, pieces)
    if isinstance(scores, InstanceScores) and not distance_known:
        return scores.dice_mean
    return select_score(scores)


def select_score(scores: Scores) -> float:
    """The score that training maximises for objects and classes: AP or Dice, mean over images.

    The mean AP is over the IoU thresholds 0.5 to 0.95, as in the 2018 Data Science Bowl: AP
    at 0.5 alone hardly sees whether the outlines are right.
    """
    if isinstance(scores, InstanceScores):
        return float(np.mean(list(scores.ap_mean.values())))
    assert isinstance(scores, SemanticScores)
    return scores.macro_dice_mean


def mean_psnr(predictions: Sequence[Prediction], pieces: Sequence[ValidationPiece]) -> float:
    """The score that training maximises for values: PSNR in dB, the mean over the pieces.

    Of all pixels together, the error would be that of the noisiest pieces. The peak is the range
    of each output channel in the card, so that pieces without any structure count as well;
    errors below `LEAST_ERROR` of it count as that.

    Parameters
    ----------
    predictions : sequence of Prediction
        Of a model for regression, one for each piece.
    pieces : sequence of ValidationPiece
        With a known pixel each.
    """
    low, high = np.array(predictions[0].card.output_limits).T
    decibels = []
    for prediction, piece in zip(predictions, pieces, strict=True):
        difference = np.asarray(prediction.scores, np.float64) - piece.labels
        error = np.square(difference[:, piece.known]).mean(1)
        share = max(float((error / (high - low) ** 2).mean()), LEAST_ERROR**2)
        decibels.append(-10 * np.log10(share))
    return float(np.mean(decibels))
