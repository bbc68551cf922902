"""Made-up stacks of fluorescent nuclei with their truth: none was seen by a microscope.

What varies: size, shape, packing, brightness and mottling of the nuclei; blur along and across
the optical axis; attenuation with depth; haze; photons and read noise; distance of the planes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import expand_labels

RADIUS = (4.5, 13.0)  # pixels of a plane, drawn log-uniformly
SPREAD = (0.05, 0.25)  # of the radii within a stack
ELONGATION = 1.6  # longest over shortest axis, at most
FILLED = (0.03, 0.45)  # share of the volume that nuclei ask for
SPACING = (1.0, 4.0)  # distance of the planes in pixels of a plane
OPTICAL_ELONGATION = (1.5, 4.0)  # blur along z over that within the plane
PHOTONS = (8.0, 800.0)  # of a bright nucleus, drawn log-uniformly
READ_NOISE = (0.5, 3.0)  # electrons
RELAXING = 40  # rounds in which centres give way to each other
WIDE_FROM = 7.0  # radius in pixels from which outlines are drawn as those of the embryos are:
WIDER_BY = 1.0  # pixels outside of half the brightness, where the blur begins

Floats = NDArray[np.float64]


def place_centres(
    shape: tuple[int, int, int], radii: Floats, scale: Floats, rng: np.random.Generator
) -> Floats:
    """Centres (voxels) that keep about the distance of two radii where there is room."""
    extent = np.array(shape) * scale
    centres = rng.random((len(radii), 3)) * extent
    if rng.random() < 0.4:  # a ball of cells, as an embryo or a spheroid
        away = rng.normal(0, 1, centres.shape)
        away /= np.linalg.norm(away, axis=1, keepdims=True)
        reach = extent * rng.uniform(0.3, 0.48) * rng.random((len(radii), 1)) ** (1 / 3)
        centres = extent / 2 + away * reach
    for _ in range(RELAXING):
        gap = centres[:, None] - centres[None]
        distance = np.linalg.norm(gap, axis=-1) + np.eye(len(radii)) * 1e9
        overlap = np.clip((radii[:, None] + radii[None]) * 0.95 - distance, 0, None)
        push = (gap / distance[..., None] * overlap[..., None]).sum(1)
        centres = np.clip(centres + 0.3 * push, 0, extent)
    return np.asarray(centres / scale)


def turn_at_random(rng: np.random.Generator) -> Floats:
    """A rotation in space."""
    turned, _ = np.linalg.qr(rng.normal(0, 1, (3, 3)))
    return np.asarray(turned)


def draw_labels(
    shape: tuple[int, int, int], centres: Floats, radii: Floats, scale: Floats, seed: int
) -> NDArray[np.int32]:
    """Uneven ellipsoids; where two meet, a voxel belongs to the one that it is deeper in."""
    rng = np.random.default_rng(seed)
    bumps = ndimage.gaussian_filter(rng.normal(0, 1, shape), radii.mean() / scale / 2)
    bumps *= rng.uniform(0.02, 0.12) / bumps.std()
    depth = np.full(shape, np.inf)
    labels = np.zeros(shape, np.int32)
    for label, (centre, radius) in enumerate(zip(centres, radii, strict=True), 1):
        axes = rng.uniform(1, ELONGATION, 3)
        axes *= radius / np.prod(axes) ** (1 / 3)
        turned = turn_at_random(rng)
        reach = np.ceil(axes.max() * 1.3 / scale).astype(int)
        low = np.clip(centre.astype(int) - reach, 0, shape)
        high = np.clip(centre.astype(int) + reach + 1, 0, shape)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        grid = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), -1)
        inside = np.linalg.norm(((grid - centre) * scale) @ turned / axes, axis=-1) + bumps[box]
        nearer = (inside < 1) & (inside < depth[box])
        depth[box][nearer] = inside[nearer]
        labels[box][nearer] = label
    return labels


def light_up(
    labels: NDArray[np.int32], radius: float, scale: Floats, rng: np.random.Generator
) -> Floats:
    """What a microscope would show of nuclei without noise, about 1 where they are bright."""
    shape = labels.shape
    brightness = np.concatenate([[0], rng.uniform(rng.uniform(0.2, 0.8), 1, labels.max())])
    mottle = ndimage.gaussian_filter(rng.normal(0, 1, shape), radius / scale / rng.uniform(3, 8))
    light = brightness[labels] * np.clip(
        1 + mottle / mottle.std() * rng.uniform(0.05, 0.35), 0.1, 2
    )
    blur = rng.uniform(0.5, 1.6)
    light = ndimage.gaussian_filter(
        light, np.array([blur * rng.uniform(*OPTICAL_ELONGATION) / scale[0], blur, blur])
    )
    haze = ndimage.gaussian_filter(light, radius * rng.uniform(2, 4) / scale)
    light = light + haze * rng.uniform(0, 0.6)
    z = np.linspace(0, 1, shape[0])[:, None, None]
    return np.asarray(light * np.exp(-rng.uniform(0, 1.6) * (z if rng.random() < 0.5 else 1 - z)))


def make_stack(
    seed: int, shape: tuple[int, int, int] = (32, 112, 112)
) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Make up a stack.

    Parameters
    ----------
    seed : int
        Another seed makes another kind of stack.
    shape : tuple of int
        Voxels along Z, Y, X.

    Returns
    -------
    image : ndarray
        Axes ZYX, uint16.
    truth : ndarray
        Instance labels, axes ZYX, int32; 0 is background.
    """
    rng = np.random.default_rng(seed)
    spacing = 1.0 if rng.random() < 0.3 else rng.uniform(*SPACING)
    scale = np.array([spacing, 1.0, 1.0])
    radius = np.exp(rng.uniform(*np.log(RADIUS)))
    volume = float(np.prod(shape)) * spacing
    asked = rng.uniform(*FILLED) * volume / (4 / 3 * np.pi * radius**3)
    radii = radius * np.exp(rng.normal(0, rng.uniform(*SPREAD), max(2, min(round(asked), 500))))
    centres = place_centres(shape, radii, scale, rng)
    labels = draw_labels(shape, centres, radii, scale, seed)
    light = light_up(labels, radius, scale, rng) + rng.uniform(0, 0.25)
    if radius >= WIDE_FROM:
        labels = expand_labels(labels, WIDER_BY, spacing=tuple(scale))
    electrons = rng.poisson(light * np.exp(rng.uniform(*np.log(PHOTONS))))
    noisy = electrons + rng.normal(0, rng.uniform(*READ_NOISE), shape)
    image = np.clip(noisy * rng.uniform(1, 20) + 100, 0, 65535).astype(np.uint16)
    return image, labels
