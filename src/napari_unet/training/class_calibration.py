"""Offsets of the classes' logits, calibrated on held-out pixels after a training.

A network that has learned rare classes by weights, or common and rare ones from equally many
strokes, takes them for more common than they are. By how much each class has to come forward or
to stand back is read from pixels that were held out, and becomes a part of the last layer's bias:
the model is one as any other.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_unet.dataset.validation_pieces import ValidationPiece
from napari_unet.inference.results import Prediction
from napari_unet.network.model import Model

SAMPLED_VALUES = 1_000_000  # scores that the offsets are found on: pixels times classes
LEAST_PIXELS = 1000  # held out; fewer tell too little
OFFSET_STEPS = (1.0, 0.5, 0.25)  # of the search, in units of the logits
MAX_OFFSET = 4.0
MIN_GAIN = 0.001  # of the mean Dice, for which an offset is changed
MAX_ROUNDS = 10
MOSTLY_KNOWN = 0.5  # of the pixels, from which these show how common the classes are
UNFOLDING_ROUNDS = 30  # more of them follow the noise, and lose rare classes
SMALLEST_SCORE = 1e-6


@dataclass(frozen=True, eq=False)
class _Sample:
    """Held-out pixels: logarithms of the scores (K, N), the true class and a weight of each."""

    logs: NDArray[np.float32]
    truth: NDArray[np.intp]
    weights: NDArray[np.float64]

    def mean_dice(self, offsets: NDArray[np.float64]) -> float:
        """Mean over the classes that occur."""
        count = len(offsets)
        found = (self.logs + offsets.astype(np.float32)[:, None]).argmax(0)
        pairs = np.bincount(self.truth * count + found, self.weights, count * count)
        table = pairs.reshape(count, count)
        true, said = table.sum(1), table.sum(0)
        occurs = true > 0
        return float((2 * np.diag(table)[occurs] / (true + said)[occurs]).mean())


def calibrate_classes(
    predictions: Sequence[Prediction], pieces: Sequence[ValidationPiece]
) -> NDArray[np.float64]:
    """Offsets (K,) of the logits with the highest mean Dice of the classes; zeros if none helps.

    Where little is known, as of strokes, each class counts by the share of all pixels that it is
    estimated to have (`estimate_shares`), however much of it was painted.

    Parameters
    ----------
    predictions : sequence of Prediction
        Of a semantic model, one for each piece; the network does not run again.
    pieces : sequence of ValidationPiece
        Not trained on.
    """
    pairs = list(zip(predictions, pieces, strict=True))
    groups = [[pair for pair in pairs if _is_painted(pair[1]) == side] for side in (False, True)]
    samples = [
        _take_sample(group, painted=painted)
        for group, painted in zip(groups, (False, True), strict=True)
        if group
    ]
    whole = _Sample(
        np.concatenate([each.logs for each in samples], axis=1),
        np.concatenate([each.truth for each in samples]),
        np.concatenate([each.weights for each in samples]),
    )
    classes = np.unique(whole.truth)
    if len(whole.truth) < LEAST_PIXELS or len(classes) < 2:
        return np.zeros(len(whole.logs))
    return _climb(whole, classes)


def _is_painted(piece: ValidationPiece) -> bool:
    """Whether a class may have more of the known pixels than of the others."""
    return bool(piece.known.mean() < MOSTLY_KNOWN)


def _take_sample(pairs: Sequence[tuple[Prediction, ValidationPiece]], *, painted: bool) -> _Sample:
    """Known pixels, evenly taken, of pieces that are painted, or are not."""
    values = np.array([c.value for c in pairs[0][0].card.classes])
    known = sum(int(np.count_nonzero(piece.known)) for _, piece in pairs)
    step = max(1, known * len(values) // SAMPLED_VALUES)
    parts = [_known_scores(*pair, values, step) for pair in pairs]
    scores, truth = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    weights = np.ones(len(values))
    if painted and len(truth):
        counts = np.bincount(truth, minlength=len(values))
        shares = estimate_shares(scores, truth, _mean_scores([each for each, _ in pairs]))
        weights = shares * len(truth) / np.maximum(counts, 1)
    return _Sample(np.log(np.maximum(scores, SMALLEST_SCORE)), truth, weights[truth])


def _climb(sample: _Sample, classes: NDArray[np.intp]) -> NDArray[np.float64]:
    """One offset changed at a time, by smaller and smaller steps, for as long as it gains."""
    best = np.zeros(len(sample.logs))
    highest = sample.mean_dice(best)
    for size in OFFSET_STEPS:
        for _ in range(MAX_ROUNDS):
            before = highest
            for index in classes:
                for change in (size, -size):
                    offsets = best.copy()
                    offsets[index] += change
                    if np.ptp(offsets) > MAX_OFFSET:
                        continue
                    reached = sample.mean_dice(offsets)
                    if reached > highest + MIN_GAIN:
                        best, highest = offsets, reached
            if highest == before:
                break
    centred: NDArray[np.float64] = best - best.mean()
    return centred


def estimate_shares(
    scores: NDArray[np.float32], truth: NDArray[np.intp], everywhere: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How common each class is, from what the network says of it and of all pixels.

    The mean scores of all pixels are a mixture of those of the pixels of each class; the parts of
    the mixture are the shares (black box shift estimation, Lipton et al. 2018). Solved for, they
    are 0 for rare classes that resemble common ones. So they are unfolded (Richardson 1972, Lucy
    1974) from equal shares on, in few rounds.

    Parameters
    ----------
    scores : (K, N) float32 array
        Of pixels whose class is known.
    truth : (N,) int array
        Their class.
    everywhere : (K,) float array
        Mean scores of all pixels.

    Returns
    -------
    (K,) float array
        1 in all; 0 for classes that are known nowhere.
    """
    seen = np.unique(truth)
    mixture = np.stack([scores[:, truth == k].mean(1, dtype=np.float64) for k in seen], axis=1)
    parts = np.full(len(seen), 1 / len(seen))
    for _ in range(UNFOLDING_ROUNDS):
        parts = parts * (mixture.T @ (everywhere / np.maximum(mixture @ parts, SMALLEST_SCORE)))
        parts /= parts.sum()
    shares = np.zeros(len(everywhere))
    shares[seen] = parts
    return shares


def shift_classes(model: Model, offsets: NDArray[np.float64]) -> Model:
    """The model with these offsets added to its logits; the model itself if they are all 0."""
    if not offsets.any():
        return model
    network = copy.deepcopy(model.network)
    bias = cast(Tensor, network.head.bias)
    with torch.no_grad():
        bias.add_(torch.as_tensor(offsets, dtype=bias.dtype, device=bias.device))
    return Model(model.card, network)


def shift_scores(prediction: Prediction, offsets: NDArray[np.float64]) -> Prediction:
    """What the shifted model predicts."""
    if not offsets.any():
        return prediction
    scores = np.asarray(prediction.scores)
    axis = prediction.axes.index("C")
    shape = [-1 if i == axis else 1 for i in range(scores.ndim)]
    factors = np.exp(offsets).astype(np.float32).reshape(shape)
    shifted = scores * factors
    shifted /= shifted.sum(axis, keepdims=True)
    return replace(prediction, scores=shifted)


def _known_scores(
    prediction: Prediction, piece: ValidationPiece, values: NDArray[Any], step: int
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Scores (K, N) of every so many of the known pixels, and their true classes as indices."""
    places = np.flatnonzero(piece.known)[::step]
    labels = piece.labels[0].ravel()[places]
    scores = np.asarray(prediction.scores).reshape(len(values), -1)[:, places]
    order = np.argsort(values)
    return scores, order[np.searchsorted(values[order], labels)]


def _mean_scores(predictions: Sequence[Prediction]) -> NDArray[np.float64]:
    """Of all pixels."""
    flat = [np.asarray(p.scores).reshape(len(p.card.classes), -1) for p in predictions]
    sums = np.sum([each.sum(1, dtype=np.float64) for each in flat], axis=0)
    return np.asarray(sums / sum(each.shape[1] for each in flat))
