"""The end of a training: decoding calibrated, model and base scored, thumbnail drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_unet.card import ScoreRecord
from napari_unet.dataset.validation_pieces import (
    ValidationPiece,
    crop_pieces,
    make_validation_pieces,
)
from napari_unet.image.overlay import encode_thumbnail
from napari_unet.inference.decoding import iter_decode
from napari_unet.inference.results import Prediction
from napari_unet.instances.maps import DISTANCE
from napari_unet.metrics import InstanceScores, RegressionScores, Scores, SemanticScores
from napari_unet.network.model import Model
from napari_unet.progress import drain
from napari_unet.training.calibration import calibrate
from napari_unet.training.class_calibration import (
    calibrate_classes,
    shift_classes,
    shift_scores,
)
from napari_unet.training.learned_pieces import choose_learned_pieces
from napari_unet.training.scoring import predict_piece, score_predictions
from napari_unet.training.setup import TrainingSetup
from napari_unet.training.stroke_calibration import (
    estimate_threshold,
    find_edge_threshold,
    lack_outlines,
    limit_threshold,
)
from napari_unet.training.verdict import class_dice, describe_held_out

CALIBRATION_FRAMES = 8  # of those that are trained on, where nothing is held out
CALIBRATION_OBJECTS = 100  # held out; with fewer, objects that were learned from count too
CALIBRATION_PIXELS = 4_000_000  # of what is learned from
SCORED_PIXELS = 16_000_000

EstimateThreshold = Callable[[Sequence[Prediction], Sequence[ValidationPiece]], float | None]


@dataclass(frozen=True, eq=False)
class _ScoredModel:
    """A model with calibrated decoding, and its predictions and scores of some pieces."""

    model: Model
    predictions: list[Prediction]
    scores: Scores
    pixels: int


def finalize_model(model: Model, setup: TrainingSetup, precision: str) -> Model:
    """The model with its scores on the validation pieces.

    Instances: calibrated decoding; classes: calibrated offsets of their logits. All tasks: the
    scores on them, and those of the base model on the same pixels, where it answers the same
    question. What a model has predicted counts only where somebody has looked at it since;
    where that is nowhere, there are no figures. A thumbnail.
    """
    config = setup.config
    run = {"device": config.device, "precision": precision, "threads": config.threads}
    pieces = crop_pieces(setup.data.validation, SCORED_PIXELS)
    if not pieces:
        learned = setup.distance_known or model.card.task == "regression"
        if learned and model.card.task != "semantic":
            return model
        # without a learned distance objects are split by shape, whose radius must be found, and
        # classes are balanced; as nothing is held out, on some of the training frames
        frames = make_validation_pieces(setup.data.frames[:CALIBRATION_FRAMES])
        return _score_model(model, crop_pieces(frames, CALIBRATION_PIXELS), run).model
    # a base that is kept has one decoding for its own images and for the new ones
    further = make_validation_pieces(setup.replay)
    # how thickly objects were painted tells nothing of a threshold that was learned elsewhere
    estimate = estimate_threshold if setup.base is None else find_edge_threshold
    if model.card.task == "instance":
        learned_from = choose_learned_pieces(setup.data, pieces, CALIBRATION_OBJECTS)
        further += crop_pieces(learned_from, CALIBRATION_PIXELS)
    new = _score_model(model, pieces, run, further, estimate=estimate)
    records = [_make_record(new, None)]
    base = setup.compared
    if base is not None:
        # calibrated too, or it would be at a disadvantage
        old = _score_model(base, pieces, run, further, estimate=find_edge_threshold)
        records.append(_make_record(old, base.card.name))
    thumbnail = make_thumbnail(new.model, new.predictions[0], pieces[0])
    update: dict[str, Any] = {"scores": tuple(records), "thumbnail": thumbnail}
    return replace(new.model, card=new.model.card.model_copy(update=update))


def _score_model(
    model: Model,
    pieces: Sequence[ValidationPiece],
    run: dict[str, Any],
    further: Sequence[ValidationPiece] = (),
    *,
    estimate: EstimateThreshold = estimate_threshold,
) -> _ScoredModel:
    """The network runs once for each piece; ``further`` ones count for the decoding alone.

    Where the labels lack outlines, the threshold is estimated, or else that of the card.
    """
    predictions = [predict_piece(model, piece, **run) for piece in pieces]
    if model.card.task == "semantic":
        offsets = calibrate_classes(predictions, pieces)
        model = shift_classes(model, offsets)
        predictions = [shift_scores(each, offsets) for each in predictions]
    elif model.card.task == "instance":
        others = [predict_piece(model, piece, **run) for piece in further]
        seen, known = [*predictions, *others], [*pieces, *further]
        threshold = None
        if model.card.instances == DISTANCE and lack_outlines(known):
            threshold = estimate(seen, known) or model.card.decoding.threshold
            threshold = limit_threshold(threshold, seen, known)
        decoding = calibrate(seen, known, threshold=threshold)
        model = replace(model, card=model.card.model_copy(update={"decoding": decoding}))
    scores = score_predictions(predictions, pieces, looked_at_only=True, **stored_decoding(model))
    pixels = sum(int(np.count_nonzero(_compared(piece))) for piece in pieces)
    return _ScoredModel(model, predictions, scores, pixels)


def _compared(piece: ValidationPiece) -> NDArray[np.bool_]:
    """Where two models can be compared."""
    return piece.known if piece.looked_at is None else piece.known & piece.looked_at


def stored_decoding(model: Model) -> dict[str, Any]:
    """Settings that decode by the card of an instance model; none for others."""
    return model.card.decoding.model_dump() if model.card.task == "instance" else {}


def _make_record(scored: _ScoredModel, name: str | None) -> ScoreRecord:
    instance = isinstance(scored.scores, InstanceScores)
    calibrated = not isinstance(scored.scores, RegressionScores)
    unit: Literal["object", "pixel"] = "object" if instance else "pixel"
    count = scored.pixels
    if isinstance(scored.scores, InstanceScores):
        count = scored.scores.tp[0.5] + scored.scores.fn[0.5]
    data = describe_held_out(count, unit)
    return ScoreRecord(
        data=f"{data}, on which the decoding was calibrated" if calibrated else data,
        images=len(scored.predictions),
        values=name_scores(scored.scores) if scored.pixels else {},
        model=name,
        count=count,
        unit=unit,
    )


def name_scores(scores: Scores) -> dict[str, float]:
    """The scores that are told of a model.

    Instance: AP and F1 as means over images, the area of the objects that were found over the
    true one (median); semantic: Dice, and that of each class;
    regression: mean absolute error and PSNR in dB, means over images, where there is any error.
    """
    if isinstance(scores, InstanceScores):
        found = {f"AP at IoU {iou}": scores.ap_mean[iou] for iou in (0.5, 0.7, 0.9)}
        found["F1 at IoU 0.5"] = scores.f1_mean[0.5]
        if scores.area_ratio is not None:
            found["median area ratio"] = scores.area_ratio
    elif isinstance(scores, SemanticScores):
        found = {"Dice": scores.macro_dice_mean}
        found |= {class_dice(value): dice for value, dice in scores.dice.items()}
    else:
        assert isinstance(scores, RegressionScores)
        found = {"MAE": scores.mae_mean}
        if scores.psnr_mean is not None:
            found["PSNR"] = scores.psnr_mean
    return {name: round(float(value), 4) for name, value in found.items()}


def make_thumbnail(model: Model, prediction: Prediction, piece: ValidationPiece) -> str:
    """A piece as the model sees it, of a stack its middle plane: a small PNG in base64.

    Labels are outlined; of a regression the left half is the image, the right half its values.
    """
    if model.card.task == "regression":
        shown = _join_halves(piece.image.mean(0), np.asarray(prediction.scores).mean(0))
        plane = shown if shown.ndim == 2 else shown[len(shown) // 2]
        return encode_thumbnail(plane, np.zeros(plane.shape, int))
    labels = np.asarray(drain(iter_decode(prediction, **stored_decoding(model))).labels)
    image = piece.image
    if labels.ndim == 3:
        middle = labels.shape[0] // 2
        labels, image = labels[middle], image[:, middle]
    return encode_thumbnail(image, labels)


def _join_halves(image: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    """The left half of one and the right half of the other, each in its own range."""
    left, right = np.array_split(np.arange(image.shape[-1]), 2)
    halves = [image[..., left], values[..., right]]
    limits = [np.percentile(each, (1, 99.8)) if each.size else (0, 1) for each in (image, values)]
    scaled = [
        np.clip((half - low) / max(high - low, 1e-9), 0, 1)
        for half, (low, high) in zip(halves, limits, strict=True)
    ]
    return np.concatenate(scaled, -1)
