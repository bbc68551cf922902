"""Decoding settings are chosen by what they score."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from skimage.draw import disk

import napari_unet as nu
from napari_unet.calibration import calibrate
from napari_unet.card import Decoding
from napari_unet.model import Model


def specked_disks(seed: int) -> nu.Example:
    """Bright disks, which count, and bright specks of 2 x 2 pixels, which do not."""
    rng = np.random.default_rng(seed)
    image = np.zeros((96, 96), np.float32)
    truth = np.zeros(image.shape, np.int32)
    for number, (y, x) in enumerate([(20, 20), (20, 70), (70, 30), (72, 75)], start=1):
        place = disk((y, x), 10)
        image[place], truth[place] = 1, number
    for y, x in rng.integers(0, 47, (12, 2)) * 2:
        if not truth[y : y + 2, x : x + 2].any():
            image[y : y + 2, x : x + 2] = 1
    return nu.Example(image, truth, axes="YX")


def test_specks_raise_the_smallest_size(bright_model: Callable[..., Model]) -> None:
    examples = [specked_disks(0), specked_disks(1)]
    found = calibrate(bright_model(), examples)
    assert 4 < found.min_size <= 320
    labels = nu.segment(examples[0].image, bright_model(), min_size=found.min_size)
    assert labels.max() == 4


def test_a_sound_default_stays(bright_model: Callable[..., Model]) -> None:
    example = specked_disks(0)
    clean = nu.Example((np.asarray(example.labels) > 0).astype(np.float32), example.labels)
    assert calibrate(bright_model(), [clean]) == Decoding()


def test_no_objects_at_all_leave_the_default(bright_model: Callable[..., Model]) -> None:
    empty = nu.Example(np.zeros((32, 32), np.float32), np.zeros((32, 32), np.int32))
    assert calibrate(bright_model(), [empty]) == Decoding()
