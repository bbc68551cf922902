"""Foreground and inner boundary (Ronneberger et al. 2015; Caicedo et al. 2019)."""

from __future__ import annotations

import edt
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from instance_study.representation import (
    DEPTHS,
    Decoder,
    Labels,
    Maps,
    Representation,
    flood_cores,
    hills,
    two_part_loss,
)
from napari_unet.renumbering import compact_labels

WIDTH = 1.5
"""Pixels nearer to another object or the background than this are boundary."""


class ForegroundBoundary(Representation):
    """A: foreground and inner boundary."""

    key = "A"
    title = "foreground + boundary"

    @property
    def channels(self) -> int:
        """Foreground, boundary."""
        return 2

    @property
    def decoders(self) -> tuple[Decoder, ...]:
        """Cores between boundaries, grown back at equal speed or over the boundary map."""
        grid = (0.15, 0.3, 0.45, 0.6, 0.75)

        def grown(maps: Maps, threshold: float, level: float) -> Labels:
            return flood_cores(None, maps[1] < level, maps[0] > threshold)

        def flooded(maps: Maps, threshold: float, level: float) -> Labels:
            return flood_cores(maps[1], maps[1] < level, maps[0] > threshold)

        def split(maps: Maps, threshold: float, depth: float) -> Labels:
            return hills(1 - maps[1], maps[0] > threshold, depth)

        return (
            Decoder("cores grown back", grid, grown),
            Decoder("cores, watershed on the boundary", grid, flooded),
            Decoder("hills split by depth", DEPTHS, split),
        )

    def encode(self, labels: Labels) -> Maps:
        """Foreground and boundary; the array's border is no boundary."""
        ids = compact_labels(labels)
        foreground = ids > 0
        near = edt.edt(ids, black_border=False) < WIDTH
        return np.stack([foreground, foreground & near]).astype(np.float32)

    def undetermined(self, labels: Labels, edge: NDArray[np.float32]) -> NDArray[np.bool_]:
        """The boundary beside the edge, unless a neighbour that is known decides it."""
        maps = self.encode(labels)
        open_boundary = (maps[0] > 0) & (maps[1] == 0) & (edge < WIDTH)
        return np.stack([np.zeros_like(open_boundary), open_boundary])

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy and Dice of both maps."""
        return two_part_loss(logits, targets)
