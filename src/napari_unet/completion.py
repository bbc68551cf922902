"""The last touches to a trained model: decoding, scores beside the base's, a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_unet.calibration import calibrate
from napari_unet.card import Decoding, ScoreRecord
from napari_unet.held_out import HeldOut, held_out_pieces
from napari_unet.metrics import InstanceScores, RegressionScores, Scores, SemanticScores
from napari_unet.model import Model
from napari_unet.overlay import encode_thumbnail
from napari_unet.progress import drain
from napari_unet.segmentation import iter_segmentation
from napari_unet.training_setup import TrainingSetup
from napari_unet.validation import PLAIN, score_pieces, shorten

FEW_FRAMES = 8
SCORED_PIXELS = 16_000_000
HELD_OUT = "the held-out part of the training data"


def complete(model: Model, setup: TrainingSetup, precision: str) -> Model:
    """The model with what its held-out examples tell.

    Instances: calibrated decoding. All tasks: the scores on them, and those of the base
    model on the same pixels, where it answers the same question. A thumbnail.
    """
    pieces = shorten(setup.data.validation, SCORED_PIXELS)
    run = {"device": setup.config.device, "precision": precision}
    card = model.card
    if not pieces:
        if card.task != "instance" or setup.distance_known:
            return model
        # without a learned distance objects are split by shape, whose radius must be found
        card = card.model_copy(update={"decoding": _decode_what_was_learned(model, setup, run)})
        return Model(card, model.network)
    model = _calibrated(model, pieces, run)
    card = model.card
    records = [_record(model, pieces, run)]
    if setup.base is not None and not setup.renewed:
        records.append(_record(_calibrated(setup.base, pieces, run), pieces, run, other=True))
    update: dict[str, Any] = {"scores": tuple(records)}
    if card.task != "regression":
        update["thumbnail"] = make_thumbnail(model, pieces[0], **run)
    return Model(card.model_copy(update=update), model.network)


def _decode_what_was_learned(model: Model, setup: TrainingSetup, run: dict[str, str]) -> Decoding:
    """Calibrated on some of the training frames, as nothing is held out."""
    return calibrate(model, held_out_pieces(setup.data.frames[:FEW_FRAMES]), **run)


def _calibrated(model: Model, pieces: Sequence[HeldOut], run: dict[str, str]) -> Model:
    """With the decoding that suits the pieces: the base's too, or it would be at a disadvantage."""
    if model.card.task != "instance":
        return model
    decoding = calibrate(model, pieces, **run)
    return Model(model.card.model_copy(update={"decoding": decoding}), model.network)


def _record(
    model: Model, pieces: Sequence[HeldOut], run: dict[str, str], *, other: bool = False
) -> ScoreRecord:
    data = HELD_OUT
    if model.card.task == "instance":
        data += ", on which the decoding was calibrated"
    return ScoreRecord(
        data=data,
        images=len(pieces),
        values=figures(score_pieces(model, pieces, **run)),
        model=model.card.name if other else None,
    )


def figures(scores: Scores) -> dict[str, float]:
    """The scores that are told of a model.

    Instance: AP and F1 as means over images; semantic: Dice, and that of each class;
    regression: mean absolute error and PSNR in dB, where there is any error.
    """
    if isinstance(scores, InstanceScores):
        found = {f"AP at IoU {iou}": scores.ap_mean[iou] for iou in (0.5, 0.7, 0.9)}
        found["F1 at IoU 0.5"] = scores.f1_mean[0.5]
    elif isinstance(scores, SemanticScores):
        found = {"Dice": scores.macro_dice_mean}
        found |= {f"Dice of {value}": dice for value, dice in scores.dice.items()}
    else:
        assert isinstance(scores, RegressionScores)
        found = {"MAE": scores.mae}
        if scores.psnr is not None:
            found["PSNR"] = scores.psnr
    return {name: round(float(value), 4) for name, value in found.items()}


def make_thumbnail(model: Model, piece: HeldOut, **run: Any) -> str:
    """A piece as the model sees it, of a stack its middle plane: a small PNG in base64."""
    job = iter_segmentation(piece.image, model, axes=piece.axes, normalization=PLAIN, **run)
    labels = np.asarray(drain(job).labels)
    image = piece.image
    if labels.ndim == 3:
        middle = labels.shape[0] // 2
        labels, image = labels[middle], image[:, middle]
    return encode_thumbnail(image, labels)
