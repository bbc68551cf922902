"""Images of nuclei as users bring them: with borders, empty corners, hot pixels, uneven light."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

import napari_unet as nu

DEFECTS = ("border", "turned", "hot", "lump", "light", "noise")


def spoil(given: nu.Example, rng: np.random.Generator, kind: str | None = None) -> nu.Example:
    """A copy of an image (Y, X) with a defect of a random kind; labels stay in their place."""
    image = np.asarray(given.image, np.float64)
    labels = np.asarray(given.labels)
    low, high = np.percentile(image, (1, 99.8))
    kind = kind or str(rng.choice(DEFECTS))
    if kind == "border":
        width = int(rng.integers(4, 48))
        image = np.pad(image, width, constant_values=float(rng.choice([0.0, high])))
        labels = np.pad(labels, width)
    elif kind == "turned":
        angle = float(rng.uniform(5, 40))
        image = ndimage.rotate(image, angle, order=1, cval=0.0)
        labels = ndimage.rotate(labels, angle, order=0, cval=0)
    elif kind == "hot":
        image[tuple(rng.integers(0, n, 40) for n in image.shape)] = high + 20 * (high - low)
    elif kind == "lump":
        centre = [rng.integers(0, n) for n in image.shape]
        grid = np.indices(image.shape)
        near = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) < 20**2
        image[near], labels = 65535, np.where(near, 0, labels)
    elif kind == "light":
        slope = np.linspace(0.3, 1, image.shape[1])
        image = low + (image - low) * (slope if rng.random() < 0.5 else slope[::-1])
    else:
        image = rng.normal(low, max(high - low, 1) / 20, image.shape)
        labels = np.zeros_like(labels)
    image = np.clip(image, 0, 65535).astype(np.float32)
    return nu.Example(image, labels, axes="YX")
