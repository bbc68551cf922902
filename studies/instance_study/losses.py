"""Parts of the losses that representations are compared with."""

from __future__ import annotations

from torch import Tensor

from napari_unet.training.losses import dice_loss_of, mean_of, sum_dice_terms


def masked_mean(values: Tensor, known: Tensor) -> Tensor:
    """Mean over known pixels, weighted by ``known``; 0 where none is known."""
    known = known.expand_as(values)
    return mean_of((values * known).sum(), known.sum())


def soft_dice_loss(probability: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """1 - soft Dice per channel over the batch."""
    return dice_loss_of(*sum_dice_terms(probability, target, known))
