"""What every representation of objects offers: maps, loss, decodings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cc3d
import numpy as np
import torch
from numpy.typing import NDArray
from skimage.segmentation import watershed
from torch import Tensor

from instance_study.losses import masked_mean, soft_dice_loss
from napari_unet.instances.watershed import object_watershed

Labels = NDArray[Any]
Maps = NDArray[np.float32]


@dataclass(frozen=True)
class Decoder:
    """One way from maps to labels, with one free parameter and the values to try.

    ``decode`` takes the maps, the foreground threshold and the parameter.
    """

    name: str
    grid: tuple[float, ...]
    decode: Callable[[Maps, float, float], Labels]


class Representation:
    """Maps that stand for instance labels; the first one is always the foreground.

    Parameters
    ----------
    ndim : int
        Number of spatial axes.
    radius : float
        Median over the training objects of the largest distance to the boundary, in pixels.
    """

    key = ""
    title = ""

    def __init__(self, ndim: int, radius: float) -> None:
        self.ndim = ndim
        self.radius = radius

    @property
    def channels(self) -> int:
        """Number of maps."""
        raise NotImplementedError

    @property
    def decoders(self) -> tuple[Decoder, ...]:
        """The decodings to compare."""
        raise NotImplementedError

    def encode(self, labels: Labels) -> Maps:
        """Maps (K, *shape) of labels; NaN where they are not known."""
        raise NotImplementedError

    def undetermined(self, labels: Labels, edge: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which values (K, *shape) the edge of a labelled region leaves open.

        ``edge`` is each pixel's distance to the nearest pixel outside the region.
        """
        raise NotImplementedError

    def cached(self, labels: Labels) -> Maps:
        """What is computed once for an image, and cut and turned for each patch."""
        return self.encode(labels)

    def turned(self, crop: Maps, quarters: int, flips: tuple[int, ...]) -> Maps:
        """Maps of a cut that is turned by quarters in the plane, then flipped."""
        return turn(crop, quarters, flips)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Loss of logits against maps, both (B, K, *shape), over the known values."""
        raise NotImplementedError

    def maps(self, logits: Tensor) -> Maps:
        """Maps (K, *shape) of the network's output (1, K, *shape)."""
        return np.ascontiguousarray(logits[0].float().sigmoid().numpy())


DEPTHS = (0.05, 0.1, 0.2, 0.3, 0.4)
"""Depths of the dips between objects."""


def turn(array: NDArray[Any], quarters: int, flips: tuple[int, ...]) -> NDArray[Any]:
    """Quarter turns in the last two axes, then flips along axes counted from the end."""
    return np.flip(np.rot90(array, quarters, (-2, -1)), flips)


def faces(ndim: int) -> int:
    """Connectivity through faces, as cc3d counts it."""
    return 4 if ndim == 2 else 6


def components(mask: NDArray[np.bool_]) -> Labels:
    """Pieces connected through faces, numbered from 1."""
    return np.asarray(cc3d.connected_components(mask, connectivity=faces(mask.ndim)), np.int32)


def flood(height: NDArray[Any] | None, seeds: Labels, mask: NDArray[np.bool_]) -> Labels:
    """Seeded watershed; without a height, growth at equal speed.

    A piece of the mask without a seed becomes an object too.
    """
    parts = components(mask)
    seeded = np.zeros(int(parts.max(initial=0)) + 1, bool)
    seeded[parts[seeds > 0]] = True
    count = int(seeds.max(initial=0))
    seeds = np.where((seeds == 0) & ~seeded[parts] & mask, count + parts, seeds)
    if height is None:
        height = np.zeros(mask.shape, np.uint8)
    return np.asarray(watershed(height, seeds, mask=mask), np.int32)


def flood_cores(
    height: NDArray[Any] | None, core: NDArray[np.bool_], mask: NDArray[np.bool_]
) -> Labels:
    """Seeded watershed: each piece of the core within the mask is a seed."""
    return flood(height, components(mask & core), mask)


def hills(height: NDArray[Any], mask: NDArray[np.bool_], depth: float) -> Labels:
    """The hills of a map of 0..1, split where it dips by the depth: the package's decoding."""
    return object_watershed(mask.astype(np.float32), height, 0.5, depth)


def two_part_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy and Dice of the foreground, and of the other maps together."""
    return probability_loss(logits[:, :1], targets[:, :1]) + probability_loss(
        logits[:, 1:], targets[:, 1:]
    )


def probability_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy and half a soft Dice loss of probability maps."""
    known = torch.isfinite(targets).float()
    targets = torch.nan_to_num(targets)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, targets, reduction="none"
    )
    dice = soft_dice_loss(logits.sigmoid(), targets, known)
    return masked_mean(entropy, known) + 0.5 * dice
