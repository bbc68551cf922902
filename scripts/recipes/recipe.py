"""What a recipe says, and how it becomes a model: train, score on held-out images, save."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import napari_unet as nu
from napari_unet.card import Decoding, IntensityDomain, ScoreRecord
from napari_unet.dataset.labelled_image import open_example_image
from napari_unet.image.domain import measure_domain
from napari_unet.image.normalization import find_limits
from napari_unet.network.model import Model
from napari_unet.training.calibration import calibrate
from napari_unet.training.scoring import make_pieces, predict_piece, score

Parts = Mapping[str, Sequence[nu.Example]]


@dataclass(frozen=True)
class Recipe:
    """How a bundled model is made.

    Attributes
    ----------
    settings : dict
        Of `napari_unet.iter_train`; `minutes` and `device` come from the command line.
    teach, select : callable
        DATA -> the examples to train on, and those that pick the weights and the decoding.
    calibrate : callable, optional
        DATA -> those that pick the decoding, where they are others.
    hold_out : callable
        DATA -> examples by name of their part, never trained on, and scored after each round.
    facts : dict
        Of the card: channels, licence, authors, citation.
    base : str, optional
        The bundled model that it begins with; none: a new network.
    rounds : tuple of float or None
        For each of several rounds, each from the result of the last, the diameter of objects as
        the network is to see them; None: that of the base. Empty: one round.
    """

    settings: dict[str, Any]
    teach: Callable[[Path], list[nu.Example]]
    select: Callable[[Path], list[nu.Example]]
    hold_out: Callable[[Path], Parts]
    facts: dict[str, Any] = field(default_factory=dict)
    score: Callable[[Model, Sequence[nu.Example]], dict[str, float]] | None = None
    calibrate: Callable[[Path], list[nu.Example]] | None = None
    base: str = ""
    rounds: tuple[float | None, ...] = ()

    @property
    def name(self) -> str:
        """The model's."""
        return str(self.settings["name"])


def train_recipe(
    recipe: Recipe,
    data: Path,
    *,
    minutes: float | None,
    steps: int | None,
    device: str,
    checkpoint: Path | None,
    base: str | Path | None = None,
    diameter: float | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Model:
    """Train, printing each validation; goes on from the checkpoint where there is one.

    With ``diameter`` and the setting `match_size` the network sees objects of so many pixels,
    instead of the diameter that its base was trained on. ``changes`` replace settings.
    """
    settings = {**recipe.settings, **(changes or {})}
    base = base or recipe.base
    start = Model.load(base) if base else None
    if start is not None:
        settings.pop("features", None)  # are the base's
        if diameter is not None:
            card = start.card.model_copy(update={"object_diameter": diameter})
            start = replace(start, card=card)
    taught = recipe.teach(data)
    print(f"{recipe.name}: {len(taught)} images to train on", flush=True)
    job = nu.iter_train(
        taught,
        base=start,
        validation=recipe.select(data),
        checkpoint=checkpoint,
        leave_checkpoint=True,
        minutes=minutes,
        steps=steps,
        device=device,
        **settings,
    )
    return run_printing(job)


def run_printing(job: Generator[nu.TrainStep, Any, Model]) -> Model:
    """Run a training to its end and print each validation."""
    losses: list[float] = []
    while True:
        try:
            step = next(job)
        except StopIteration as end:
            model: Model = end.value
            return model
        losses.append(step.loss)
        if step.metric is not None:
            print(
                f"step {step.step}/{step.total} {step.seconds / 60:.1f} min "
                f"loss {np.mean(losses):.4f} score {step.metric:.4f} best {step.best:.4f}",
                flush=True,
            )
            losses = []


def find_domain(examples: Sequence[nu.Example], card: nu.ModelCard) -> IntensityDomain | None:
    """What the intensities of the training images have in common."""
    channels = len(card.channels)
    sources = [
        open_example_image(e, ndim=card.architecture.ndim, in_channels=channels) for e in examples
    ]
    return measure_domain([find_limits(s, card.normalization).profile for s in sources])


def score_objects(model: Model, examples: Sequence[nu.Example]) -> dict[str, float]:
    """What is told of instance scores."""
    found = score(model, list(examples))
    return {
        "AP at IoU 0.5, mean over images": round(found.ap_mean[0.5], 4),
        "AP at IoU 0.7, mean over images": round(found.ap_mean[0.7], 4),
        "F1 at IoU 0.5, mean over images": round(found.f1_mean[0.5], 4),
        "AP at IoU 0.5, pooled": round(found.ap[0.5], 4),
        "median area ratio": round(found.area_ratio or 0.0, 4),
    }


def round_weights(model: Model) -> None:
    """Round the weights to float16, in which their file is half as large."""
    with torch.no_grad():
        for value in model.network.state_dict().values():
            if value.is_floating_point():
                value.copy_(value.half().float())


def calibrate_recipe(recipe: Recipe, data: Path, model: Model) -> Model:
    """The model with its decoding picked anew."""
    pieces = make_pieces((recipe.calibrate or recipe.select)(data), model.card)
    model = replace(model, card=model.card.model_copy(update={"decoding": Decoding()}))
    decoding = calibrate([predict_piece(model, piece) for piece in pieces], pieces)
    return replace(model, card=model.card.model_copy(update={"decoding": decoding}))


def finish_recipe(recipe: Recipe, data: Path, model: Model) -> Model:
    """The model with its scores on the held-out parts and the facts of its card."""
    round_weights(model)
    measure = recipe.score or score_objects
    records = []
    for part, examples in recipe.hold_out(data).items():
        values = measure(model, examples)
        print(part, len(examples), json.dumps(values), flush=True)
        records.append(ScoreRecord(data=part, images=len(examples), values=values))
    domain = find_domain([*recipe.teach(data), *recipe.select(data)], model.card)
    update = {"scores": tuple(records), "domain": domain, **recipe.facts}
    return replace(model, card=model.card.model_copy(update=update))
