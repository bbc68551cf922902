"""Whether a training goes on from its base or begins with a new network.

The base answers first, as it is and with the objects brought to the size of its own. Where it
finds next to nothing of what is labelled, its weights are in the way: a new network is better after
as many steps (docs/results/training.md, *Base or scratch*). This costs a second and uses no random
numbers, so that equal trainings begin alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from napari_unet.dataset.assembly import TrainingData
from napari_unet.dataset.validation_pieces import ValidationPiece, crop_pieces
from napari_unet.errors import Note, UNetError
from napari_unet.metrics import InstanceScores
from napari_unet.network.model import Model
from napari_unet.training.learned_pieces import choose_learned_pieces, count_objects
from napari_unet.training.scoring import predict_piece, score_predictions

LEAST_AP = 0.02  # at IoU 0.5: with less a base finds next to nothing
FEW_OBJECTS = 20  # with fewer held out, those that are learned from count too
ASKED_PIXELS = 500_000  # that the base is asked about
SAME_SIZE = 1.25  # diameters closer than this are within the variation of the patches
LEAST_ZOOM, MOST_ZOOM = 0.2, 4.0  # of images that are brought to the diameter of a base

Start = Literal["base", "scratch"]


@dataclass(frozen=True)
class StartChoice:
    """Where the weights begin, and why in one sentence.

    Attributes
    ----------
    start : {"base", "scratch"}
        With those of the base, or with new ones.
    reason : str
        The sentence; empty where there was nothing to decide.
    """

    start: Start
    reason: str = ""

    @property
    def notes(self) -> tuple[Note, ...]:
        """What is to be told."""
        if not self.reason:
            return ()
        other = "scratch" if self.start == "base" else "base"
        remedy = {
            "base": "⟨start='base'⟩ takes the base whatever comes",
            "scratch": "⟨start='scratch'⟩ takes a new network",
        }[other]
        return (Note(f"start-{self.start}", self.reason, remedy),)


GO_ON = StartChoice("base")


def choose_start(adapted: Model, base: Model, data: TrainingData, **run: Any) -> StartChoice:
    """Go on from a base, unless it finds next to nothing of the labelled objects.

    Strokes overlap no object by half, and say nothing of it: with them alone, the base it is.

    Parameters
    ----------
    adapted : Model
        The copy of the base's network that would be trained, its last layer as it was.
    base : Model
        The base, for its name and the diameter of its objects.
    data : TrainingData
        With the labels. What is held out counts, or, where that are few objects, all.
    **run
        Fields of `SegmentSettings`, such as the device.
    """
    pieces = choose_pieces(data)
    objects = sum(count_objects(piece) for piece in pieces)
    if not objects or not data.distance_known:
        return GO_ON
    found = ask_base(adapted, pieces, **run)
    shown = f"{found:.2f}"
    diameter, own = data.object_diameter, base.card.object_diameter
    if found < LEAST_AP and diameter and own and not 1 / SAME_SIZE < own / diameter < SAME_SIZE:
        scaled = Model(adapted.card.model_copy(update={"object_diameter": own}), adapted.network)
        pixels = ASKED_PIXELS / max(1.0, own / diameter) ** data.ndim  # as many as the network sees
        try:
            resized = ask_base(
                scaled,
                crop_pieces(pieces, int(pixels)),
                object_diameter=diameter,
                **run,
            )
        except UNetError:  # a scale that no image can be brought to
            resized = 0.0
        shown += f", and {resized:.2f} with the objects brought to the size of its own"
        found = max(found, resized)
    counted = f"{objects} labelled object" + "s" * (objects != 1)
    name = base.card.name
    if found >= LEAST_AP:
        said = f"Training goes on from the base {name}: before the first step, its AP on "
        return StartChoice("base", f"{said}{counted} is {shown}")
    return StartChoice(
        "scratch",
        f"Training starts from a new network, as the base {name} finds next to nothing of the "
        f"{counted} (AP {shown})",
    )


def match_zoom(base: Model, data: TrainingData) -> float:
    """Pixels per pixel of the images with which the objects are as large as the base knows them.

    It learns more then (docs/results/training.md, *The diameter first*). 1: they are about as
    large, or nothing is known of that.
    """
    diameter, own = data.object_diameter, base.card.object_diameter
    if not (diameter and own) or 1 / SAME_SIZE < own / diameter < SAME_SIZE:
        return 1.0
    return round(min(max(own / diameter, LEAST_ZOOM), MOST_ZOOM), 4)


def choose_pieces(data: TrainingData) -> list[ValidationPiece]:
    """What is held out; where that has few objects, some of what is learned from as well."""
    pieces = crop_pieces(data.validation, ASKED_PIXELS)
    further = choose_learned_pieces(data, pieces, FEW_OBJECTS)
    return crop_pieces([*data.validation, *further], ASKED_PIXELS) if further else pieces


def ask_base(model: Model, pieces: Sequence[ValidationPiece], **settings: Any) -> float:
    """AP at IoU 0.5 of all objects of the pieces together."""
    predictions = [predict_piece(model, piece, **settings) for piece in pieces]
    scores = score_predictions(predictions, pieces, **model.card.decoding.model_dump())
    assert isinstance(scores, InstanceScores)
    return float(scores.ap[0.5])
