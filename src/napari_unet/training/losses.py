"""Losses of the three tasks, each a mean over the pixels that are known."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_unet.card import InstanceRepresentation, Task
from napari_unet.instances.maps import BOUNDARY, DISTANCE

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]

DICE_EPSILON = 1.0  # pixels; smooths Dice, and makes it 1 where there is nothing to find


def task_loss(
    task: Task,
    kind: str = "auto",
    border_weight: float = 0.0,
    representation: InstanceRepresentation = DISTANCE,
) -> Loss:
    """The loss of a task.

    ``kind`` picks "mse" or "mae" (auto) for regression; ``border_weight`` and which maps stand
    for the objects are for instances.

    It is called with logits (B, K, *spatial); the target, (B, K, *spatial) maps or values or
    (B, 1, *spatial) class indices; and known (B, 1, *spatial), where 0 leaves a pixel out.
    """
    if task == "instance":
        loss = boundary_loss if representation == BOUNDARY else instance_loss
        return functools.partial(loss, border_weight=border_weight)
    if task == "semantic":
        return semantic_loss
    return functools.partial(regression_loss, squared=kind == "mse")


def masked_mean(values: Tensor, known: Tensor) -> Tensor:
    """Mean over known pixels, weighted by ``known``; 0 where none is known."""
    known = known.expand_as(values)
    return (values * known).sum() / known.sum().clamp_min(1)


def soft_dice_loss(probability: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """1 - soft Dice per channel over the batch (Milletari et al. 2016, section 3)."""
    axes = (0, *range(2, probability.ndim))
    overlap = (probability * target * known).sum(axes)
    total = ((probability + target) * known).sum(axes)
    return 1 - ((2 * overlap + DICE_EPSILON) / (total + DICE_EPSILON)).mean()


def instance_loss(
    logits: Tensor, target: Tensor, known: Tensor, *, border_weight: float = 0.0
) -> Tensor:
    """Cross-entropy and Dice of the foreground; cross-entropy and error of the distance.

    The distance is a soft label in 0..1; its absolute error keeps the ridges sharp. Its
    terms are means over the objects plus means over the background, so that a few small
    objects count as much as the wide background around them. Where the distance is only
    bounded above, in objects that go on where nothing is known, only what exceeds the bound
    is an error.

    Parameters
    ----------
    logits : (B, 2, *spatial) tensor
        Foreground and distance.
    target : (B, 2 or 5, *spatial) tensor
        As `napari_unet.dataset.targets.INSTANCE_TARGETS`; the first two alone are exact everywhere.
    known : (B, 1, *spatial) tensor
        1 where the target can be trusted.
    border_weight : float
        Further weight of pixels around which two objects touch (after Ronneberger et al.
        2015, section 3, whose weight falls off with the distance).
    """
    logits = logits.float()
    maps = target[:, :2]
    weight = torch.ones_like(known)
    exact = known
    if target.shape[1] > 2:
        exact = known * (target[:, 2:3] > 0.999)
        weight = target[:, 4:] * (1 + border_weight * target[:, 3:4])
    entropy = F.binary_cross_entropy_with_logits(logits, maps, reduction="none")
    # split, not indexed: the gradient of an index is a map of zeros, filled for each of them
    foreground_entropy, distance_entropy = entropy.chunk(2, dim=1)
    foreground, distance_share = logits.sigmoid().chunk(2, dim=1)
    true_foreground, true_distance = maps.chunk(2, dim=1)
    dice = soft_dice_loss(foreground, true_foreground, known)
    difference = distance_share - true_distance
    error = distance_entropy + difference.abs()
    objects = true_foreground > 0.5
    inside, outside = exact * objects * weight, exact * ~objects * weight
    distance = masked_mean(error, inside) + masked_mean(error, outside)
    bounded = (known - exact) * objects
    if bool(bounded.any()):
        excess = difference.clamp_min(0)
        # weighted by its share of pixels, and never more than the exact pixels of the batch
        pixels = (bounded.sum() + inside.sum()).clamp_min(1)
        distance = distance + (excess * bounded).sum() / pixels
    return masked_mean(foreground_entropy, known * weight) + 0.5 * dice + 0.5 * distance


def boundary_loss(
    logits: Tensor, target: Tensor, known: Tensor, *, border_weight: float = 0.0
) -> Tensor:
    """Cross-entropy and half a Dice of the foreground, and of the boundary between objects.

    The boundary counts where it is determined (``exact``), all pixels alike: it is thin, and
    Dice keeps it from being left out. Its Dice is over the objects alone, since elsewhere the
    network has nothing to tell a boundary from background by.

    Parameters
    ----------
    logits : (B, 2, *spatial) tensor
        Foreground, and interior: 1 minus the boundary.
    target, known, border_weight
        As of `instance_loss`; the weight is of the foreground's cross-entropy.
    """
    logits = logits.float()
    weight = torch.ones_like(known)
    exact = known
    if target.shape[1] > 2:
        exact = known * (target[:, 2:3] > 0.999)
        weight = target[:, 4:] * (1 + border_weight * target[:, 3:4])
    true_foreground, true_interior = target[:, :2].chunk(2, dim=1)
    entropy = F.binary_cross_entropy_with_logits(logits, target[:, :2], reduction="none")
    foreground_entropy, interior_entropy = entropy.chunk(2, dim=1)
    foreground, interior = logits.sigmoid().chunk(2, dim=1)
    of_foreground = soft_dice_loss(foreground, true_foreground, known)
    objects = exact * (true_foreground > 0.5)
    of_boundary = soft_dice_loss(1 - interior, 1 - true_interior, objects)
    return (
        masked_mean(foreground_entropy, known * weight)
        + masked_mean(interior_entropy, exact)
        + 0.5 * (of_foreground + of_boundary)
    )


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
