"""How the learning rate changes in the course of a training."""

from __future__ import annotations

import math

WARM_UP_FRACTION = 0.03  # of the budget, in which the learning rate rises
KEEPING_FACTOR = 0.3  # of the learning rate, for weights that are to keep what they could do


def schedule_learning_rate(fraction: float) -> float:
    """Factor of the learning rate: a short linear warm-up, then half a cosine.

    >>> [round(schedule_learning_rate(f), 2) for f in (0.0, 0.03, 0.5, 1.0)]
    [0.05, 1.0, 0.52, 0.0]
    """
    if fraction < WARM_UP_FRACTION:
        return max(fraction / WARM_UP_FRACTION, 0.05)
    return 0.5 * (1 + math.cos(math.pi * (fraction - WARM_UP_FRACTION) / (1 - WARM_UP_FRACTION)))
