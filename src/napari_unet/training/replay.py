"""A sample of a base's own training images, so that fine-tuning does not forget them.

The file of a model may carry some labelled patches, in 8 bits and compressed. A training that is
to keep what the base could do draws half of every batch from them (experience replay, Rolnick
et al. 2019), leaves the statistics of batch norm as they are, takes smaller steps, and calibrates
the decoding on both kinds of images. What that brings: docs/results/training.md, *Forgetting*.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from napari_unet.card import Normalization
from napari_unet.dataset.example import Example
from napari_unet.dataset.frames import Frame, cache_frames, make_frames
from napari_unet.dataset.label_statistics import collect_statistics
from napari_unet.dataset.labelled_image import open_example
from napari_unet.dataset.targets import TargetSpec
from napari_unet.errors import ModelError
from napari_unet.image.normalization import find_limits
from napari_unet.renumbering import compact_labels

GREY_LEVELS = 200.0  # that stand for the normalised intensities 0 to 1; brighter ones follow
MAX_REPLAY_BYTES = 1_000_000  # compressed
MAX_UNPACKED_BYTES = 64_000_000
AS_STORED = Normalization(mode="none")


def pack_patches(
    images: Sequence[NDArray[np.float32]], labels: Sequence[NDArray[np.int32]]
) -> bytes:
    """Compress normalised patches (C, Y, X) and their labels (Y, X), all of one size.

    Raises
    ------
    ValueError
        If they take more than a model may carry.
    """
    levels = np.clip(np.stack(images) * GREY_LEVELS, 0, 255).round().astype(np.uint8)
    numbered = np.stack([compact_labels(each) for each in labels]).astype(np.uint16)
    # neighbours are alike: their differences take fewer bytes
    differences = np.diff(levels, axis=-1, prepend=np.uint8(0))
    packed = zlib.compress(save({"differences": differences, "labels": numbered}), 9)
    if len(packed) > MAX_REPLAY_BYTES:
        raise ValueError(f"{len(packed)} bytes are more than {MAX_REPLAY_BYTES}")
    return packed


def unpack_patches(packed: bytes) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Patches (N, C, Y, X) and labels (N, Y, X) as they were, but for rounding.

    Raises
    ------
    ModelError
        If they are damaged.
    """
    try:
        unpacked = zlib.decompressobj().decompress(packed, MAX_UNPACKED_BYTES)
        stored = load(unpacked)
        differences, labels = stored["differences"], stored["labels"]
        fits = differences.dtype == np.uint8 and labels.dtype == np.uint16
        if not fits or differences.ndim != 4 or labels.shape != differences[:, 0].shape:
            raise ValueError
    except (zlib.error, SafetensorError, KeyError, ValueError):
        raise ModelError(
            "The sample of training images in the model is damaged", "get a fresh copy of the file"
        ) from None
    levels = np.cumsum(differences, axis=-1, dtype=np.uint8)
    return levels.astype(np.float32) / np.float32(GREY_LEVELS), labels.astype(np.int32)


def make_replay_frames(packed: bytes, channels: int, target_spec: TargetSpec) -> list[Frame]:
    """Frames of the stored patches, for so many input channels.

    Where their number is another, each gets the mean of those that are stored, as the first layer
    of an adapted network expects it.
    """
    images, labels = unpack_patches(packed)
    if images.shape[1] != channels:
        images = np.repeat(images.mean(1, keepdims=True), channels, axis=1)
    frames: list[Frame] = []
    for image, label in zip(images, labels, strict=True):
        labelled = open_example(
            Example(image, label, axes="CYX"),
            ndim=2,
            in_channels=channels,
            task=target_spec.task,
            named=(),
        )
        seen = collect_statistics(labelled, target_spec.task, 2)
        limits = find_limits(labelled.source, AS_STORED)
        frames += make_frames(labelled, seen, target_spec, limits)
    return cache_frames(frames)
