"""Patches to train on: around labelled pixels, classes and objects in balance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_unet.dataset.frames import Frame
from napari_unet.dataset.label_statistics import ANYWHERE, Places
from napari_unet.dataset.targets import INSTANCE_TARGETS
from napari_unet.inference.resampling import axis_weights, resample
from napari_unet.training.augmentation import PRESETS, augment
from napari_unet.training.setup import TrainingSetup
from napari_unet.training.state import LoopState, memory_layout

JITTER_FRACTION = 1 / 6  # of the patch: how far the labelled pixel may lie from its centre
REPLAY_SHARE = 0.5  # of a batch that comes from the base's own images, where they are kept
# from which on the nearest pixel of a target is taken: classes are not mixed, weights need not be
NEAREST_TARGETS = {"semantic": 0, "instance": INSTANCE_TARGETS.index("touching")}
MAX_REDRAWS = 8  # of patches from which augmentation has moved all known pixels


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
        self._probabilities = {key: self._frame_probabilities(key) for key in keys}
        self._classes = [key for key in keys if key != ANYWHERE]

    def _frame_probabilities(self, key: int) -> NDArray[np.float64]:
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
            frame = self.frames[int(rng.choice(len(self.frames), p=self._probabilities[key]))]
            start = _choose_start(frame, frame.statistics.places[key], key, patch, window, rng)
            parts.append(frame.crop_window(start, window))
        images, targets, known = zip(*parts, strict=True)
        return _stack(images), _stack(targets), _stack(known)


def _stack(parts: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """In float32; torch converts half precision several times as fast as NumPy."""
    stacked: NDArray[np.float32] = torch.from_numpy(np.stack(parts)).float().numpy()
    return stacked


class Batch(NamedTuple):
    """Augmented patches on the training device.

    Attributes
    ----------
    image : (B, C, *patch) tensor
        Normalised pixels, float32.
    target : (B, M, *patch) tensor
        What `napari_unet.dataset.targets.encode_target` makes of the labels, float32.
    known : (B, 1, *patch) tensor
        1 where the target can be trusted, else 0.
    """

    image: Tensor
    target: Tensor
    known: Tensor


class BatchSampler:
    """Draws batches of augmented patches.

    Parameters
    ----------
    setup : TrainingSetup
        Frames, settings and network of a training.
    device : torch.device
        Where the batches are augmented and used.
    """

    def __init__(self, setup: TrainingSetup, device: torch.device) -> None:
        self._patches = PatchSampler(setup.data.frames)
        self._replay = PatchSampler(setup.replay) if setup.replay else None
        self._zoom = setup.zoom
        self._task = setup.data.target_spec.task
        self._anisotropy = setup.anisotropy
        self._layout = memory_layout(setup.network)
        self._device = device
        self._augmentation = PRESETS[setup.config.augmentation]
        if self._task == "regression":  # interpolation would smooth the noise of the input
            self._augmentation = replace(self._augmentation, rotate=False, scale=0.0, elastic=0.0)

    def draw(self, state: LoopState) -> Batch:
        """A batch in each patch of which something is known.

        Its size and the random numbers are those of ``state``.
        """
        batch = self._draw(state, state.batch_size)
        for _ in range(MAX_REDRAWS):
            empty = (batch.known.flatten(1).amax(1) == 0).nonzero().flatten()
            if not len(empty):
                break
            for old, new in zip(batch, self._draw(state, len(empty)), strict=True):
                old[empty] = new
        return batch._replace(image=batch.image.contiguous(memory_format=self._layout))

    def _draw(self, state: LoopState, count: int) -> Batch:
        how, patch = self._augmentation, state.patch
        window = tuple(math.ceil(p * how.margin) if p > 1 else 1 for p in patch[-2:])
        window = (*patch[:-2], *window)
        rng = state.patch_rng
        replayed = 0 if self._replay is None else int(count * REPLAY_SHARE + rng.random())
        parts = []
        if replayed < count:
            parts.append(self._draw_zoomed(patch, window, count - replayed, rng))
        if self._replay is not None and replayed:
            parts.append(self._replay.draw(patch, window, replayed, rng))
        arrays = [np.concatenate(each) for each in zip(*parts, strict=True)]
        image, target, known = (torch.from_numpy(a).to(self._device) for a in arrays)
        return Batch(
            *augment(
                image,
                target,
                known,
                patch,
                how,
                state.augmentation_rng,
                nearest_targets=NEAREST_TARGETS.get(self._task),
                change_intensity=self._task != "regression",
                anisotropy=self._anisotropy,
            )
        )

    def _draw_zoomed(
        self,
        patch: tuple[int, ...],
        window: tuple[int, ...],
        count: int,
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.float32], ...]:
        """Windows at the size that the network sees, resampled as predictions resample."""
        if self._zoom == 1:
            return self._patches.draw(patch, window, count, rng)
        wide, reach = (tuple(round(n / self._zoom) for n in sizes) for sizes in (window, patch))
        images, targets, known = self._patches.draw(reach, wide, count, rng)
        weights = [axis_weights(0, w, w, n)[2] for w, n in zip(window, wide, strict=True)]
        axes = range(2, 2 + len(window))
        share = resample(known, weights, axes)
        inside = (share > 1 - 1e-3).astype(np.float32)  # nothing unknown is mixed into it
        return resample(images, weights, axes), resample(targets, weights, axes), inside


def _choose_start(
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
        reach = (size * JITTER_FRACTION).astype(int)
        centre = places.draw(rng) + rng.integers(-reach, reach + 1)
    room = shape - size
    corner = np.clip(centre - size // 2, np.minimum(room, 0), np.maximum(room, 0))
    found: NDArray[np.intp] = corner - (np.array(window) - size) // 2
    return found
