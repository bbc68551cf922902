"""Noise of any distribution is told from images, however faint what they show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

import napari_unet as nu
from napari_unet.image.noise_marks import is_noise_alone
from napari_unet.samples import load_sample

Make = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def speckle(white: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    field = ndimage.gaussian_filter(white, 1.5) + 1j * ndimage.gaussian_filter(
        rng.normal(size=white.shape), 1.5
    )
    return np.asarray(1e4 * np.abs(field) ** 2)


KINDS: dict[str, Make] = {
    "gaussian": lambda white, _: 400 + 12 * white,
    "poisson": lambda white, rng: 30.0 * rng.poisson(3, white.shape),
    "exponential": lambda white, rng: rng.exponential(20, white.shape),
    "lognormal": lambda white, _: 100 * np.exp(1.5 * white),
    "salt": lambda white, rng: np.where(rng.random(white.shape) < 0.03, 4000, 400 + 12 * white),
    "gaussian, hardly smoothed": lambda white, _: 400 + 20 * ndimage.gaussian_filter(white, 0.7),
    "lognormal, smoothed": lambda white, _: ndimage.gaussian_filter(100 * np.exp(white), 1.5),
    "lognormal of smoothed": lambda white, _: 100 * np.exp(3 * ndimage.gaussian_filter(white, 1.5)),
    "salt, smoothed": lambda white, rng: ndimage.gaussian_filter(
        np.where(rng.random(white.shape) < 0.01, 4000, 400 + 12 * white), 1
    ),
    "speckle": speckle,
    "rows of a camera": lambda white, rng: 400 + 12 * white + 20 * rng.normal(size=(256, 1)),
    "uneven light": lambda white, _: (400 + 12 * white) * np.linspace(1, 1.4, 256),
}


GRAINY = ("lognormal, smoothed", "speckle")


@pytest.mark.parametrize("kind", KINDS)
def test_noise_of_any_kind_has_no_objects(kind: str) -> None:
    rng = np.random.default_rng(0)
    image = KINDS[kind](rng.normal(size=(256, 256)), rng).clip(0, 65535).astype(np.uint16)
    assert not nu.segment(image, "nuclei", axes="YX").any()


@pytest.mark.parametrize("kind", ["lognormal", "lognormal, smoothed", "uneven light", "speckle"])
def test_a_single_faint_object_is_no_noise(kind: str) -> None:
    rng = np.random.default_rng(0)
    image = KINDS[kind](rng.normal(size=(256, 256)), rng)
    assert is_noise_alone([image])
    y, x = np.ogrid[:256, :256]
    spread = np.subtract(*np.percentile(image, (84, 16))) / 2  # a deviation of most pixels
    # the means of smoothed noise vary more
    image[(y - 90) ** 2 + (x - 120) ** 2 < 10**2] += spread * (4 if kind in GRAINY else 1.5)
    assert not is_noise_alone([image])
    assert not is_noise_alone([KINDS[kind](rng.normal(size=(256, 256)), rng), image])


def test_images_are_no_noise() -> None:
    nuclei = np.asarray(load_sample("nuclei_2d").image, float)
    rng = np.random.default_rng(0)
    for image in (
        nuclei,
        nuclei + rng.normal(0, 3 * nuclei.std(), nuclei.shape),
        nuclei.max() - nuclei,
    ):
        assert not is_noise_alone([image])
    tissue = np.asarray(load_sample("histology").image, float)
    for channel in np.moveaxis(tissue, -1, 0):
        for y, x in ((0, 0), (40, 50)):
            assert not is_noise_alone([channel[y : y + 200, x : x + 200]])
    assert not is_noise_alone([rng.normal(size=(100, 300))])  # too small to be told
    assert not is_noise_alone([])


def test_the_message_says_that_there_is_only_noise() -> None:
    from napari_unet.inference.segmentation import iter_segmentation
    from napari_unet.progress import drain

    image = np.random.default_rng(0).lognormal(3, 1, (256, 256)).astype(np.float32)
    record = drain(iter_segmentation(image, "nuclei", axes="YX")).record
    assert record["objects"] == 0
    assert "nothing but noise" in record["message"]
