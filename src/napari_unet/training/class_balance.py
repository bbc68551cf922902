"""How much the pixels of a class count in the loss: those of rare classes more.

With equal weights a class of one pixel in a hundred is first learned not to exist, and short
trainings end before it is found. With the inverse of its share it would count as much as a common
one, and be seen everywhere; the root of the inverse lies between (docs/results/training.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from napari_unet.dataset.targets import TargetSpec
from napari_unet.training.losses import Loss, task_loss
from napari_unet.training.setup import TrainingSetup

RARITY_POWER = 0.5  # of the inverse share of a class
MAX_WEIGHT_RATIO = 30.0  # of the rarest class to the most common one


def choose_loss(setup: TrainingSetup) -> Loss:
    """The loss of a training, with the weights of its classes."""
    config, spec = setup.config, setup.data.target_spec
    weights = weigh_classes((frame.statistics.sizes for frame in setup.data.frames), spec)
    return task_loss(spec.task, config.loss, config.border_weight, spec.representation, weights)


def weigh_classes(sizes: Iterable[Mapping[int, int]], target_spec: TargetSpec) -> tuple[float, ...]:
    """A weight for the pixels of each class, 1 in the mean over the known pixels.

    Parameters
    ----------
    sizes : iterable of mapping
        Known pixels of each label value, of each frame that is learned from.
    target_spec : TargetSpec
        Its classes; of none, as of other tasks, there are no weights.

    Examples
    --------
    >>> from napari_unet.card import ClassInfo
    >>> classes = tuple(ClassInfo(value=v, name=str(v)) for v in (0, 1))
    >>> weigh_classes([{0: 900, 1: 60}, {0: 0, 1: 40}], TargetSpec("semantic", classes))
    (0.8333333333333334, 2.5)
    """
    frames = list(sizes)
    counts = np.array(
        [sum(each.get(c.value, 0) for each in frames) for c in target_spec.classes], float
    )
    if not counts.any():
        return (1.0,) * len(counts)
    ratio = counts.max() / np.maximum(counts, 1.0)
    weights = np.minimum(ratio**RARITY_POWER, MAX_WEIGHT_RATIO)
    mean = float((weights * counts).sum() / counts.sum())
    return tuple((weights / mean).tolist())
