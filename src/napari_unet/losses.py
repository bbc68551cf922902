"""Losses of the three tasks, each a mean over the pixels that are known."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_unet.card import Task

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def task_loss(task: Task, kind: str = "auto") -> Loss:
    """The loss of a task; ``kind`` picks "mse" or "mae" (auto) for regression.

    It is called with logits (B, K, *spatial); the target, (B, K, *spatial) maps or values or
    (B, 1, *spatial) class indices; and known (B, 1, *spatial), where 0 leaves a pixel out.
    """
    if task == "instance":
        return instance_loss
    if task == "semantic":
        return semantic_loss
    return functools.partial(regression_loss, squared=kind == "mse")


def masked_mean(values: Tensor, known: Tensor) -> Tensor:
    """Mean over known pixels; 0 where none is known."""
    known = known.expand_as(values)
    return (values * known).sum() / known.sum().clamp_min(1)


def soft_dice_loss(probability: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """1 - soft Dice per channel over the batch (Milletari et al. 2016, section 3)."""
    axes = (0, *range(2, probability.ndim))
    overlap = (probability * target * known).sum(axes)
    total = ((probability + target) * known).sum(axes)
    return 1 - ((2 * overlap + 1) / (total + 1)).mean()


def instance_loss(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy and Dice of the foreground; cross-entropy and error of the distance.

    The distance is a soft label in 0..1; its absolute error keeps the ridges sharp. Its
    terms are means over the objects plus means over the background, so that a few small
    objects count as much as the wide background around them.
    """
    logits = logits.float()
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    probability = logits.sigmoid()
    dice = soft_dice_loss(probability[:, :1], target[:, :1], known)
    distance = entropy[:, 1:] + (probability[:, 1:] - target[:, 1:]).abs()
    inside = known * (target[:, :1] > 0.5)
    balanced = masked_mean(distance, inside) + masked_mean(distance, known - inside)
    return masked_mean(entropy[:, :1], known) + 0.5 * dice + 0.5 * balanced


def semantic_loss(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy and Dice over the classes."""
    logits = logits.float()
    index = target[:, 0].long()
    entropy = F.cross_entropy(logits, index, reduction="none")[:, None]
    hot = F.one_hot(index, logits.shape[1]).movedim(-1, 1).to(logits.dtype)
    return masked_mean(entropy, known) + soft_dice_loss(logits.softmax(1), hot, known)


def regression_loss(
    logits: Tensor, target: Tensor, known: Tensor, *, squared: bool = False
) -> Tensor:
    """Mean absolute, or mean squared, error."""
    difference = logits.float() - target
    values = torch.square(difference) if squared else difference.abs()
    return masked_mean(values, known)
