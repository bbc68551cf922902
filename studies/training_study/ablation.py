"""What each choice in the recipes of the bundled models is worth, one changed at a time.

New networks, trained for a few hundred steps on the training images of a recipe, and scored on
the images that pick its weights; what is held out is never looked at. Averages of the weights and
of flipped images come from the training of the recipe as it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import napari_unet as nu
from napari_unet.dataset.validation_pieces import ValidationPiece
from napari_unet.inference.results import Prediction
from napari_unet.metrics import InstanceScores
from napari_unet.network.model import Model
from napari_unet.settings import TrainConfig
from napari_unet.training.calibration import calibrate
from napari_unet.training.loop import TrainingLoop
from napari_unet.training.losses import Loss
from napari_unet.training.scoring import make_pieces, predict_piece, score_predictions
from napari_unet.training.setup import prepare_training
from training_study.records import Outcome, Plan, Run

EXPERIMENT = "ablation"
RECIPES = ("histology",)
STEPS = 400
PATCH = (128, 128)  # smaller than in the recipes, so that all runs fit into some hours
AS_IT_IS = "as it is"
DECAYS = (0.98,)  # of averaged weights, per step
FLIPS = {2: [(), (-1,)], 4: [(), (-1,), (-2,), (-1, -2)]}  # flipped axes, by number of images
DISTANCE_TERMS = (4, 6, 8)  # of `napari_unet.training.losses.sum_distance_terms`


@dataclass(frozen=True)
class Change:
    """What differs from the recipe: settings, and the weight of the distance in the loss."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    distance: float = 1.0


CHANGES: Mapping[str, Change] = {
    AS_IT_IS: Change(),
    "a level less": Change({"features": (16, 32, 64, 128)}),
    "a level more": Change({"features": (16, 32, 64, 128, 256, 512)}),
    "half the channels": Change({"features": (8, 16, 32, 64, 128)}),
    "1.5 times the channels": Change({"features": (24, 48, 96, 192, 384)}),
    "linear up-sampling": Change({"upsampling": "linear"}),
    "transposed convolutions": Change({"upsampling": "transposed"}),
    "distance counts half": Change(distance=0.5),
    "distance counts twice": Change(distance=2.0),
    "no weight where objects touch": Change({"border_weight": 0.0}),
    "light augmentation": Change({"augmentation": "light"}),
    "standard augmentation": Change({"augmentation": "standard"}),
}


def iter_runs(plan: Plan) -> Iterator[Run]:
    """One recipe after the other."""
    for seed in plan.seeds:
        for recipe in RECIPES:
            for change in CHANGES:
                condition = {"recipe": recipe, "change": change}
                measure = _measure(plan, recipe, change, seed)
                yield Run(EXPERIMENT, condition, seed, plan.steps_or(STEPS), measure)


class AveragedWeights:
    """Moving averages of a network's weights, of which the first steps are soon forgotten."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.network, self.steps = network, 0
        self.averages = {d: [p.detach().clone() for p in network.parameters()] for d in DECAYS}

    def update(self) -> None:
        """Take in the weights as they are now."""
        self.steps += 1
        now = [p.detach() for p in self.network.parameters()]
        for decay, average in self.averages.items():
            kept = min(decay, (1 + self.steps) / (10 + self.steps))
            torch._foreach_lerp_(average, now, 1 - kept)

    def put_in(self, decay: float) -> None:
        """Give the network an average."""
        with torch.no_grad():
            for value, average in zip(self.network.parameters(), self.averages[decay], strict=True):
                value.copy_(average)


def weigh_distance(loss: Loss, weight: float) -> Loss:
    """A loss of objects in which the terms of the distance count so much."""

    def combine(sums: Tensor) -> Tensor:
        rest = sums.clone()
        rest[list(DISTANCE_TERMS)] = 0
        foreground = loss.combine(rest)
        return foreground + weight * (loss.combine(sums) - foreground)

    return replace(loss, combine=combine)


def predict_flipped(
    model: Model, piece: ValidationPiece, flips: Sequence[Sequence[int]], **run: Any
) -> Prediction:
    """The mean of the scores of flipped images, turned back."""
    found = []
    for axes in flips:
        flipped = replace(piece, image=np.ascontiguousarray(np.flip(piece.image, axes)))
        found.append(predict_piece(model, flipped, **run))
    maps = [np.flip(np.asarray(p.scores), axes) for p, axes in zip(found, flips, strict=True)]
    return replace(found[0], scores=np.mean(maps, axis=0, dtype=np.float32))


def score_calibrated(
    predictions: Sequence[Prediction], pieces: Sequence[ValidationPiece]
) -> dict[str, float]:
    """Scores after the decoding was picked on the same images, as it is for all."""
    decoding = calibrate(predictions, pieces)
    found = score_predictions(predictions, pieces, **decoding.model_dump())
    assert isinstance(found, InstanceScores)
    scores = {
        "AP 0.5": found.ap_mean[0.5],
        "AP 0.5 to 0.9": float(np.mean([v for iou, v in found.ap_mean.items() if iou < 0.95])),
    }
    return scores if found.area_ratio is None else {**scores, "area": found.area_ratio}


@cache
def read_recipe(
    name: str, data: Path
) -> tuple[Mapping[str, Any], list[nu.Example], list[nu.Example]]:
    """Settings, training and selection images of a recipe of a bundled model."""
    recipe = import_module(f"recipes.{name}").RECIPE
    return recipe.settings, recipe.teach(data), recipe.select(data)


def _measure(plan: Plan, name: str, change: str, seed: int) -> Callable[[], Outcome]:
    def measure() -> Outcome:
        settings, taught, selection = read_recipe(name, plan.data)
        taught, selection = plan.some(taught, 8), plan.some(selection, 2)
        steps = plan.steps_or(STEPS)
        wanted = {**settings, **CHANGES[change].settings, "patch": plan.patch(*PATCH)}
        wanted |= {"steps": steps, "seed": seed, "device": plan.device, "threads": plan.threads}
        setup = prepare_training(
            taught,
            base=None,
            config=TrainConfig(validation_every=steps, **wanted),
            validation=selection,
        )
        run = {"device": plan.device, "threads": plan.threads}
        with contextlib.closing(TrainingLoop(setup)) as loop:
            loop.loss = weigh_distance(loop.loss, CHANGES[change].distance)
            averages = AveragedWeights(loop.state.network)
            for _ in loop.run():
                averages.update()
            model, seconds = loop.current_model(), loop.state.seconds
            pieces = make_pieces(selection, model.card)
            plain = [predict_piece(model, piece, **run) for piece in pieces]
            scores = score_calibrated(plain, pieces)
            if change == AS_IT_IS:
                for number, flips in FLIPS.items():
                    turned = [predict_flipped(model, p, flips, **run) for p in pieces]
                    found = score_calibrated(turned, pieces)
                    scores |= {f"{key}, {number} flips": v for key, v in found.items()}
                for decay in DECAYS:
                    averages.put_in(decay)
                    averaged = loop.current_model()
                    smooth = [predict_piece(averaged, piece, **run) for piece in pieces]
                    found = score_calibrated(smooth, pieces)
                    scores |= {f"{key}, averaged {decay}": v for key, v in found.items()}
        details = {
            "training images": len(taught),
            "selection images": len(selection),
            "patch": wanted["patch"],
            "features": wanted["features"],
            "seconds a step": round(seconds / steps, 3),
        }
        return Outcome(scores["AP 0.5 to 0.9"], scores, seconds, details)

    return measure
