"""How the learning rate changes in the course of a training, and of which layers it differs."""

from __future__ import annotations

import math

from torch import nn

from napari_unet.training.setup import TrainingSetup

WARM_UP_FRACTION = 0.03  # of the budget, in which the learning rate rises
KEEPING_FACTOR = 0.3  # of the learning rate, for weights that are to keep what they could do
NEW_HEAD_FACTOR = 3.0  # of the learning rate, for the layer that gives the probabilities
NEW_HEAD_HIGHEST = 0.01  # learning rate that the factor may lead to


def schedule_learning_rate(fraction: float) -> float:
    """Factor of the learning rate: a short linear warm-up, then half a cosine.

    >>> [round(schedule_learning_rate(f), 2) for f in (0.0, 0.03, 0.5, 1.0)]
    [0.05, 1.0, 0.52, 0.0]
    """
    if fraction < WARM_UP_FRACTION:
        return max(fraction / WARM_UP_FRACTION, 0.05)
    return 0.5 * (1 + math.cos(math.pi * (fraction - WARM_UP_FRACTION) / (1 - WARM_UP_FRACTION)))


def learning_rate_factors(setup: TrainingSetup) -> dict[nn.Parameter, float]:
    """Factors of the learning rate of single parameters: a new head, a base that is kept.

    A step of Adam is about the learning rate, whatever the gradient: in a few hundred of them
    the few weights of a head grow by some tenths, and the background stays at a probability of
    0.1 to 0.15, so that objects come out too large at any usual threshold
    (docs/results/outlines.md). The head of a base has learned its scale.
    """
    factors = dict.fromkeys(setup.network.parameters(), KEEPING_FACTOR) if setup.replay else {}
    if setup.data.target_spec.task != "instance" or (setup.base is not None and not setup.renewed):
        return factors
    factor = min(NEW_HEAD_FACTOR, max(NEW_HEAD_HIGHEST / setup.config.learning_rate, 1.0))
    return factors | dict.fromkeys(setup.network.head.parameters(), factor)
