"""Patches to train on: around labelled pixels, classes and objects in balance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.dataset.frames import Frame
from napari_unet.dataset.label_statistics import ANYWHERE, Places

JITTER = 1 / 6  # of the patch: how far the labelled pixel may lie from its centre


class PatchSampler:
    """Draws where patches lie.

    Half of them lie around a class or an object, all classes (objects) alike, however many
    pixels they have; half around any known pixel. Frames with more pixels or objects are
    drawn more often, by the square root, so that small images are not forgotten.

    Parameters
    ----------
    frames : sequence of Frame
        Each with at least one known pixel.
    """

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = frames
        keys = sorted({key for frame in frames for key in frame.statistics.places})
        self._chances = {key: self._chance(key) for key in keys}
        self._classes = [key for key in keys if key != ANYWHERE]

    def _chance(self, key: int) -> NDArray[np.float64]:
        totals = [
            places.total if (places := frame.statistics.places.get(key)) is not None else 0.0
            for frame in self.frames
        ]
        chance = np.sqrt(totals)
        found: NDArray[np.float64] = chance / chance.sum()
        return found

    def draw(
        self,
        patch: tuple[int, ...],
        window: tuple[int, ...],
        count: int,
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Draw windows whose central patch holds a known pixel.

        Parameters
        ----------
        patch, window : tuple of int
            Sizes; the window is what an augmentation needs around a patch.
        count : int
            How many, B.
        rng : numpy.random.Generator
            The only source of randomness.

        Returns
        -------
        images : (B, C, *window) float32
        targets : (B, M, *window) float32
        known : (B, 1, *window) float32
            1 where the target can be trusted, 0 elsewhere and past the frame.
        """
        parts = []
        for _ in range(count):
            key = ANYWHERE
            if self._classes and rng.random() < 0.5:
                key = self._classes[int(rng.integers(len(self._classes)))]
            frame = self.frames[int(rng.choice(len(self.frames), p=self._chances[key]))]
            start = _start(frame, frame.statistics.places[key], key, patch, window, rng)
            parts.append(frame.cut(start, window))
        images, targets, known = zip(*parts, strict=True)
        return (
            np.stack(images).astype(np.float32, copy=False),
            np.stack(targets).astype(np.float32),
            np.stack(known),
        )


def _start(
    frame: Frame,
    places: Places,
    key: int,
    patch: tuple[int, ...],
    window: tuple[int, ...],
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Where a window begins; its central patch lies in the frame where it fits."""
    shape, size = np.array(frame.shape), np.array(patch)
    if key == ANYWHERE and frame.statistics.complete:
        centre: NDArray[Any] = rng.integers(0, shape)
    else:
        reach = (size * JITTER).astype(int)
        centre = places.draw(rng) + rng.integers(-reach, reach + 1)
    room = shape - size
    corner = np.clip(centre - size // 2, np.minimum(room, 0), np.maximum(room, 0))
    found: NDArray[np.intp] = corner - (np.array(window) - size) // 2
    return found
