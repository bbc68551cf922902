"""Losses of the three tasks, each a mean over the pixels that are known.

A loss is a function of a few sums over the pixels: those of the parts of a batch add up to those of
the whole, so that parts which are computed side by side have the loss of the whole batch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_unet.card import InstanceRepresentation, Task
from napari_unet.instances.maps import BOUNDARY, DISTANCE

DICE_EPSILON = 1.0  # pixels; smooths Dice, and makes it 1 where there is nothing to find


@dataclass(frozen=True)
class Loss:
    """A loss in two parts; called, it does both.

    Attributes
    ----------
    sums : callable
        Of logits (B, K, *spatial); the target, (B, K, *spatial) maps or values or
        (B, 1, *spatial) class indices; and known (B, 1, *spatial), where 0 leaves a pixel out:
        what is added up over the pixels, (S,).
    combine : callable
        From the sums to the loss, a scalar.
    """

    sums: Callable[[Tensor, Tensor, Tensor], Tensor]
    combine: Callable[[Tensor], Tensor]

    def __call__(self, logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """The loss of a batch."""
        return self.combine(self.sums(logits, target, known))


def task_loss(
    task: Task,
    kind: str = "auto",
    border_weight: float = 0.0,
    representation: InstanceRepresentation = DISTANCE,
    class_weights: Sequence[float] = (),
) -> Loss:
    """The loss of a task.

    ``kind`` picks "mse" or "mae" (auto) for regression; ``border_weight`` and which maps stand
    for the objects are for instances; ``class_weights``, of each class (none: all alike), for
    semantic.
    """
    if task == "instance":
        if representation == BOUNDARY:
            sums = functools.partial(sum_boundary_terms, border_weight=border_weight)
            return Loss(sums, combine_boundary_terms)
        sums = functools.partial(sum_distance_terms, border_weight=border_weight)
        return Loss(sums, combine_distance_terms)
    if task == "semantic":
        weights = tuple(class_weights)
        return Loss(functools.partial(sum_class_terms, weights=weights), combine_class_terms)
    return Loss(functools.partial(sum_errors, squared=kind == "mse"), combine_errors)


def mean_of(total: Tensor, weight: Tensor) -> Tensor:
    """A weighted mean from its two sums; 0 where nothing is known."""
    return total / weight.clamp_min(1)


def dice_loss_of(overlap: Tensor, total: Tensor) -> Tensor:
    """1 - soft Dice, the mean over channels (Milletari et al. 2016, section 3)."""
    return 1 - ((2 * overlap + DICE_EPSILON) / (total + DICE_EPSILON)).mean()


def sum_dice_terms(probability: Tensor, target: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Overlap and total of each channel, for `dice_loss_of`."""
    axes = (0, *range(2, probability.ndim))
    overlap = (probability * target * known).sum(axes)
    return overlap, ((probability + target) * known).sum(axes)


def sum_distance_terms(
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
    exact, weight = _read_weights(target, known, border_weight)
    entropy = F.binary_cross_entropy_with_logits(logits, maps, reduction="none")
    # split, not indexed: the gradient of an index is a map of zeros, filled for each of them
    foreground_entropy, distance_entropy = entropy.chunk(2, dim=1)
    foreground, distance_share = logits.sigmoid().chunk(2, dim=1)
    true_foreground, true_distance = maps.chunk(2, dim=1)
    overlap, total = sum_dice_terms(foreground, true_foreground, known)
    difference = distance_share - true_distance
    error = distance_entropy + difference.abs()
    objects = true_foreground > 0.5
    inside, outside = exact * objects * weight, exact * ~objects * weight
    bounded = (known - exact) * objects
    excess = bounded.new_zeros(())
    if bool(bounded.any()):
        excess = (difference.clamp_min(0) * bounded).sum()
    counted = known * weight
    return torch.stack(
        [
            (foreground_entropy * counted).sum(),
            counted.sum(),
            overlap[0],
            total[0],
            (error * inside).sum(),
            inside.sum(),
            (error * outside).sum(),
            outside.sum(),
            excess,
            bounded.sum(),
        ]
    )


def combine_distance_terms(sums: Tensor) -> Tensor:
    """The loss of foreground and distance from its sums."""
    entropy, counted, overlap, total, in_error, inside, out_error, outside, excess, bounded = sums
    # the excess is weighted by its share of pixels, and never more than the exact pixels
    distance = mean_of(in_error, inside) + mean_of(out_error, outside)
    distance = distance + mean_of(excess, bounded + inside)
    return mean_of(entropy, counted) + 0.5 * dice_loss_of(overlap, total) + 0.5 * distance


def sum_boundary_terms(
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
        As of `sum_distance_terms`; the weight is of the foreground's cross-entropy.
    """
    logits = logits.float()
    exact, weight = _read_weights(target, known, border_weight)
    true_foreground, true_interior = target[:, :2].chunk(2, dim=1)
    entropy = F.binary_cross_entropy_with_logits(logits, target[:, :2], reduction="none")
    foreground_entropy, interior_entropy = entropy.chunk(2, dim=1)
    foreground, interior = logits.sigmoid().chunk(2, dim=1)
    objects = exact * (true_foreground > 0.5)
    overlap, total = sum_dice_terms(foreground, true_foreground, known)
    of_boundary = sum_dice_terms(1 - interior, 1 - true_interior, objects)
    counted = known * weight
    return torch.stack(
        [
            (foreground_entropy * counted).sum(),
            counted.sum(),
            (interior_entropy * exact).sum(),
            exact.sum(),
            overlap[0],
            total[0],
            of_boundary[0][0],
            of_boundary[1][0],
        ]
    )


def combine_boundary_terms(sums: Tensor) -> Tensor:
    """The loss of foreground and boundary from its sums."""
    entropy, counted, interior, exact, *dice = sums
    of_foreground, of_boundary = dice_loss_of(*dice[:2]), dice_loss_of(*dice[2:])
    return (
        mean_of(entropy, counted) + mean_of(interior, exact) + 0.5 * (of_foreground + of_boundary)
    )


def sum_class_terms(
    logits: Tensor, target: Tensor, known: Tensor, *, weights: Sequence[float] = ()
) -> Tensor:
    """Cross-entropy, its pixels weighted by their class, and Dice over the classes."""
    logits = logits.float()
    index = target[:, 0].long()
    entropy = F.cross_entropy(logits, index, reduction="none")[:, None]
    hot = F.one_hot(index, logits.shape[1]).movedim(-1, 1).to(logits.dtype)
    overlap, total = sum_dice_terms(logits.softmax(1), hot, known)
    counted = known * logits.new_tensor(weights)[index][:, None] if weights else known
    return torch.cat([torch.stack([(entropy * counted).sum(), counted.sum()]), overlap, total])


def combine_class_terms(sums: Tensor) -> Tensor:
    """The loss of classes from its sums."""
    overlap, total = sums[2:].chunk(2)
    return mean_of(sums[0], sums[1]) + dice_loss_of(overlap, total)


def sum_errors(logits: Tensor, target: Tensor, known: Tensor, *, squared: bool = False) -> Tensor:
    """Absolute, or squared, errors."""
    difference = logits.float() - target
    values = torch.square(difference) if squared else difference.abs()
    known = known.expand_as(values)
    return torch.stack([(values * known).sum(), known.sum()])


def combine_errors(sums: Tensor) -> Tensor:
    """The mean error."""
    return mean_of(sums[0], sums[1])


def _read_weights(target: Tensor, known: Tensor, border_weight: float) -> tuple[Tensor, Tensor]:
    """Where the second map is exact, and the weight of each pixel."""
    if target.shape[1] == 2:
        return known, torch.ones_like(known)
    exact = known * (target[:, 2:3] > 0.999)
    return exact, target[:, 4:] * (1 + border_weight * target[:, 3:4])
