"""How sure scores are of the labels that were made from them, pixel by pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.card import InstanceRepresentation
from napari_unet.errors import InputError
from napari_unet.instances.maps import DISTANCE, encode


def find_uncertainty(
    scores: NDArray[Any],
    labels: NDArray[Any] | None,
    representation: InstanceRepresentation = DISTANCE,
) -> NDArray[np.float32]:
    """How much the scores of a plane or volume disagree with its labels.

    The maps of objects are compared with the maps that their labels would have: they differ
    where a pixel may be foreground or not, and where it is unclear how objects part. Of classes
    it is how little the likeliest one is ahead of the next.

    Parameters
    ----------
    scores : (C, [Z,] Y, X) float array
        Of objects the maps of `napari_unet.instances.maps`; of classes their probabilities.
    labels : ([Z,] Y, X) int array or None
        The objects that were decoded from the scores; None: the scores are of classes.
    representation : InstanceRepresentation
        Which maps of objects the scores are, as the card of the model says.

    Returns
    -------
    ([Z,] Y, X) float32 array
        From 0, sure, to 1. Scores that are not finite count as unsure.

    Raises
    ------
    InputError
        If scores and labels do not fit one another.

    Examples
    --------
    >>> labels = np.array([[0, 1, 1, 1, 0]])
    >>> maps = encode(labels)
    >>> maps[0, 0, 4] = 0.6
    >>> find_uncertainty(maps, labels).round(2).tolist()
    [[0.0, 0.0, 0.0, 0.0, 0.3]]
    """
    if labels is None:
        return _find_indecision(scores)
    expected = encode(labels, representation)
    if scores.shape != expected.shape:
        raise InputError(
            f"Scores of shape {scores.shape} are no maps of labels of shape {labels.shape}",
            "give the scores that the labels were made from",
            parameter="scores",
            value=scores.shape,
        )
    found = np.zeros(labels.shape, np.float32)
    for own, wanted in zip(scores, expected, strict=True):
        found += np.abs(own - wanted)
    return _limit(found / np.float32(len(expected)))


def _find_indecision(scores: NDArray[Any]) -> NDArray[np.float32]:
    if len(scores) < 2:
        raise InputError(
            "Scores of a single class leave nothing to be unsure of",
            "give the probabilities of all classes",
            parameter="scores",
            value=scores.shape,
        )
    second, first = np.partition(scores, (-2, -1), axis=0)[-2:]
    return _limit((1 - (first - second)).astype(np.float32))


def _limit(found: NDArray[np.float32]) -> NDArray[np.float32]:
    limited: NDArray[np.float32] = np.nan_to_num(found, nan=1.0, posinf=1.0).clip(0, 1)
    return limited
