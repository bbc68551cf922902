"""Pieces of what is learned from, for questions that what is held out has too few objects for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_unet.dataset.assembly import TrainingData
from napari_unet.dataset.validation_pieces import ValidationPiece, make_validation_pieces

LEARNED_FRAMES = 8  # at most, spread evenly over those with labels


def choose_learned_pieces(
    data: TrainingData, held_out: Sequence[ValidationPiece], objects: int
) -> list[ValidationPiece]:
    """Pieces of some training frames; none where ``held_out`` has so many objects or more."""
    if sum(count_objects(piece) for piece in held_out) >= objects:
        return []
    labelled = [frame for frame in data.frames if 1 in frame.statistics.places]
    spread = np.unique(np.linspace(0, len(labelled) - 1, LEARNED_FRAMES).round().astype(int))
    return make_validation_pieces([labelled[i] for i in spread]) if labelled else []


def count_objects(piece: ValidationPiece) -> int:
    """Labels of which something is known."""
    values = np.unique(piece.labels[0][piece.known])
    return int(np.count_nonzero(values > 0))
