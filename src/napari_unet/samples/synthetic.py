"""A synthetic time series of nuclei with its truth: none of it was seen by a microscope."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_unet.errors import InputError
from napari_unet.renumbering import remove_small

AREA = 1800.0  # square pixels per nucleus
MARGIN = 30  # pixels around the field of view, where nuclei are too: some drift in
RADIUS = (9.0, 13.0)  # pixels
DRIFT = np.array([0.7, -0.4])  # pixels per frame, of the stage
DIVISIONS = 0.02  # chance of a nucleus per frame
GROWTH = 1.015  # of a radius per frame, up to the largest
BLEACHING = 0.98  # of the brightness per frame
OFFSET, READ_NOISE = 100.0, 6.0  # grey values of the camera


@dataclass(frozen=True, eq=False)
class _Nucleus:
    """An ellipse with a lobed outline and a mottled inside, all of it in its own frame."""

    label: int
    centre: NDArray[np.float64]  # y, x in pixels
    velocity: NDArray[np.float64]  # pixels per frame
    radius: float
    elongation: float
    angle: float
    brightness: float
    lobes: NDArray[np.float64]  # phases of the outline's harmonics 2, 3, 4
    waves: NDArray[np.float64]  # (waves, 3): frequency along both axes, phase


def make_time_series(
    frames: int = 12, shape: tuple[int, int] = (256, 256), *, seed: int = 0
) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Make up a fluorescence time series of nuclei that move, grow and divide.

    Nuclei wander with a persistent velocity, give way to each other and drift with the
    stage, some of them into the field of view or out of it; a few divide. The image is
    synthetic: it is blurred and hazy as by optics, bleaches a little with each frame, and
    carries shot noise and read noise. The same arguments give the same series.

    Parameters
    ----------
    frames : int
        Time points, >= 1.
    shape : tuple of int
        Pixels along Y and X, >= 32 each.
    seed : int
        Another seed makes another series.

    Returns
    -------
    image : ndarray
        Axes TYX, uint16.
    truth : ndarray
        Instance labels, axes TYX, int32: 0 is background, a nucleus keeps its label for as
        long as it lives, and both daughters of a division have new ones.

    Raises
    ------
    InputError
        If there is no frame, or the frames are too small for nuclei.

    Examples
    --------
    >>> image, truth = make_time_series(2, (64, 96))
    >>> image.shape, image.dtype, truth.dtype
    ((2, 64, 96), dtype('uint16'), dtype('int32'))
    """
    if frames < 1 or min(shape) < 32:
        raise InputError(
            f"{frames} frames of shape {tuple(shape)} hold no series of nuclei",
            "ask for one frame or more, of 32 × 32 pixels or more",
        )
    rng = np.random.default_rng(seed)
    nuclei = _scatter(shape, rng)
    image = np.empty((frames, *shape), np.uint16)
    truth = np.empty((frames, *shape), np.int32)
    for t in range(frames):
        if t:
            nuclei = _move(_divide(nuclei, rng), rng)
        truth[t], light = _draw(nuclei, shape)
        image[t] = _expose(light * BLEACHING**t, rng)
    # labels without gaps, although some nuclei never came into view
    return image, remove_small(truth, 0)


def _scatter(shape: tuple[int, int], rng: np.random.Generator) -> list[_Nucleus]:
    """Nuclei at places that keep their distance."""
    size = np.array(shape) + 2 * MARGIN
    nuclei = [
        _Nucleus(
            label=label,
            centre=rng.random(2) * size - MARGIN,
            velocity=rng.normal(0, 1.2, 2),
            radius=rng.uniform(*RADIUS),
            elongation=rng.uniform(1.0, 1.5),
            angle=rng.uniform(0, np.pi),
            brightness=rng.uniform(0.45, 1.0),
            lobes=rng.uniform(0, 2 * np.pi, 3),
            waves=_mottle(rng),
        )
        for label in range(1, round(float(size.prod()) / AREA) + 1)
    ]
    return _part(nuclei, rounds=200)


def _mottle(rng: np.random.Generator) -> NDArray[np.float64]:
    return np.column_stack([rng.uniform(-6, 6, (5, 2)), rng.uniform(0, 2 * np.pi, 5)])


def _move(nuclei: list[_Nucleus], rng: np.random.Generator) -> list[_Nucleus]:
    """The next frame of each."""
    moved = []
    for one in nuclei:
        velocity = 0.8 * one.velocity + rng.normal(0, 0.7, 2)
        moved.append(
            replace(
                one,
                velocity=velocity,
                centre=one.centre + velocity + DRIFT,
                angle=one.angle + rng.normal(0, 0.05),
                lobes=one.lobes + rng.normal(0, 0.1, 3),
                radius=max(one.radius, min(one.radius * GROWTH, RADIUS[1])),
            )
        )
    return _part(moved, rounds=20)


def _divide(nuclei: list[_Nucleus], rng: np.random.Generator) -> list[_Nucleus]:
    """Put two daughters in the place of each nucleus whose turn it is."""
    free = max(one.label for one in nuclei) + 1
    after = []
    for one in nuclei:
        if rng.random() >= DIVISIONS or one.radius < RADIUS[0]:  # daughters grow first
            after.append(one)
            continue
        along = np.array([np.sin(one.angle), np.cos(one.angle)])  # the long axis
        for side in (-1, 1):
            daughter = replace(
                one,
                label=free,
                centre=one.centre + side * 0.75 * one.radius * along,
                velocity=one.velocity + side * 1.5 * along,
                radius=one.radius / np.sqrt(2),
                elongation=1.2,
                angle=one.angle + np.pi / 2,
                brightness=min(1.2 * one.brightness, 1.0),
                lobes=rng.uniform(0, 2 * np.pi, 3),
                waves=_mottle(rng),
            )
            after.append(daughter)
            free += 1
    return after


def _part(nuclei: list[_Nucleus], *, rounds: int) -> list[_Nucleus]:
    """Push nuclei apart that overlap; neighbours may touch."""
    centres = np.array([one.centre for one in nuclei])
    reach = np.array([one.radius * np.sqrt(one.elongation) for one in nuclei])
    wanted = reach[:, None] + reach[None]
    np.fill_diagonal(wanted, 0)
    for _ in range(rounds):
        apart = centres[:, None] - centres[None]
        distance = np.maximum(np.linalg.norm(apart, axis=-1), 1e-3)
        push = np.clip(wanted - distance, 0, None) / distance
        centres = centres + 0.25 * (push[..., None] * apart).sum(1)
    return [replace(one, centre=c) for one, c in zip(nuclei, centres, strict=True)]


def _draw(
    nuclei: list[_Nucleus], shape: tuple[int, int]
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Labels and sharp light of one frame; where two overlap, the nearer one counts."""
    labels = np.zeros(shape, np.int32)
    light = np.zeros(shape)
    nearest = np.ones(shape)  # 0 in the middle of a nucleus, 1 on its outline
    for one in nuclei:
        corner = np.floor(one.centre).astype(int) - int(2 * one.radius)
        low, high = np.maximum(corner, 0), np.minimum(corner + int(4 * one.radius) + 1, shape)
        if (low >= high).any():
            continue
        place = (slice(low[0], high[0]), slice(low[1], high[1]))
        depth, glow = _inside(one, np.mgrid[place])
        mine = depth < nearest[place]
        nearest[place][mine] = depth[mine]
        labels[place][mine] = one.label
        light[place][mine] = glow[mine]
    return labels, light


def _inside(
    one: _Nucleus, grid: NDArray[np.int_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Depth (below 1: inside) and light of a nucleus at pixels (2, Y, X)."""
    y, x = grid - one.centre[:, None, None]
    along = np.sin(one.angle) * y + np.cos(one.angle) * x
    across = np.cos(one.angle) * y - np.sin(one.angle) * x
    along /= one.radius * np.sqrt(one.elongation)
    across *= np.sqrt(one.elongation) / one.radius
    turn = np.arctan2(across, along)
    harmonics = zip((0.05, 0.04, 0.03), (2, 3, 4), one.lobes, strict=True)
    outline = 1 + sum(size * np.cos(k * turn + phase) for size, k, phase in harmonics)
    depth = np.hypot(along, across) / outline
    mottle = sum(np.sin(a * along + b * across + phase) for a, b, phase in one.waves)
    thickness = np.sqrt(np.clip(1 - 0.75 * depth**2, 0, None))
    return depth, one.brightness * thickness * (1 + 0.15 * mottle)


def _expose(light: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint16]:
    """What a camera sees of the light, at a few hundred photons per pixel."""
    haze = 0.03 + 0.12 * gaussian_filter(light, 15, mode="nearest")
    photons = rng.poisson(300 * (gaussian_filter(light, 1.3, mode="nearest") + haze))
    grey = OFFSET + 4.0 * photons + rng.normal(0, READ_NOISE, light.shape)
    counts: NDArray[np.uint16] = np.clip(np.round(grey), 0, 65535).astype(np.uint16)
    return counts
