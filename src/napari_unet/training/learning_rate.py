"""How the learning rate changes in the course of a training."""

from __future__ import annotations

import math

WARM_UP = 0.03  # share of the steps


def schedule(fraction: float) -> float:
    """Factor of the learning rate: a short linear warm-up, then half a cosine.

    >>> [round(schedule(f), 2) for f in (0.0, 0.03, 0.5, 1.0)]
    [0.05, 1.0, 0.52, 0.0]
    """
    if fraction < WARM_UP:
        return max(fraction / WARM_UP, 0.05)
    return 0.5 * (1 + math.cos(math.pi * (fraction - WARM_UP) / (1 - WARM_UP)))
