"""``denoise``: noise taken from 2D fluorescence images.

Learned from clean images and the noise of a camera: photons are counted (Poisson) and read
(Gaussian). Clean are images of nuclei (BBBC039 and 2018 Data Science Bowl, CC0 1.0) at half
their size, where the mean of four pixels has half the noise, and synthetic pictures of what
such images lack: filaments, spots, membranes, textures. Photons vary over three decades, read
noise over one and a half. Mosaics of four images of other brightness, or of nothing, teach that
what is flat is as bright as it is. As an image and its denoised version share no scale for the
network, the clean image is told on the scale on which the noisy one is seen.

Scored on w2s (Zhou et al. 2020: one frame against the mean of 400), which is never trained on and
picks no weights, after the best straight line, against non-local means.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.restoration import denoise_nl_means

import napari_unet as nu
from napari_unet.card import Normalization
from napari_unet.dataset.labelled_image import open_example_image
from napari_unet.image.normalization import find_limits
from napari_unet.network.model import Model
from recipes.recipe import Recipe

CROP = 256  # pixels
SYNTHETIC, REAL = 240, 240
NOISES = 3  # of each clean image, of which all but one in mosaics
EMPTY_SHARE = 0.25  # of the quarters of a mosaic
SELECTED = 24
PHOTONS = (3.0, 5000.0)  # of the brightest structures, drawn log-uniformly
READ_NOISE = (0.2, 6.0)  # electrons
HELD_OUT_ROWS = ("C", "G", "K")  # of the BBBC039 plate

Image = NDArray[np.float64]


def draw_filaments(rng: np.random.Generator) -> Image:
    """Curved lines of different brightness and width."""
    image = np.zeros((CROP, CROP))
    for _ in range(rng.integers(8, 60)):
        angle = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, rng.uniform(0.005, 0.05), 500))
        rows = rng.uniform(0, CROP) + np.cumsum(np.sin(angle)) * 0.7
        columns = rng.uniform(0, CROP) + np.cumsum(np.cos(angle)) * 0.7
        inside = (rows > 0) & (rows < CROP - 1) & (columns > 0) & (columns < CROP - 1)
        np.maximum.at(
            image, (rows[inside].astype(int), columns[inside].astype(int)), rng.uniform(0.2, 1)
        )
    return np.asarray(ndimage.gaussian_filter(image, rng.uniform(0.8, 1.8)))


def draw_spots(rng: np.random.Generator) -> Image:
    """Points of different brightness under one point spread."""
    image = np.zeros((CROP, CROP))
    count = rng.integers(20, 1500)
    image[tuple(rng.integers(0, CROP, (2, count)))] = rng.gamma(2, 1, count)
    return np.asarray(ndimage.gaussian_filter(image, rng.uniform(1.0, 2.5)))


def draw_membranes(rng: np.random.Generator) -> Image:
    """The borders of the regions that lie nearest to one of some points."""
    points = rng.uniform(-20, CROP + 20, (rng.integers(15, 120), 2))
    grid = np.moveaxis(np.indices((CROP, CROP), np.float64), 0, -1)
    grid += ndimage.gaussian_filter(rng.normal(0, 1, grid.shape), (8, 8, 0)) * 60
    distance, _ = cKDTree(points).query(grid, k=2)
    image = np.exp(-(((distance[..., 1] - distance[..., 0]) / rng.uniform(1.5, 4)) ** 2))
    return np.asarray(ndimage.gaussian_filter(image, rng.uniform(0.7, 1.5)))


def draw_texture(rng: np.random.Generator) -> Image:
    """A random field with as much at each scale (1/f), in blobs."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(CROP), np.fft.fftfreq(CROP)))
    spectrum = np.fft.fft2(rng.normal(0, 1, (CROP, CROP))) / (frequency + 2 / CROP) ** 1.3
    field_ = np.real(np.fft.ifft2(spectrum))
    field_ = np.clip((field_ - field_.mean()) / field_.std() + rng.uniform(-1, 1), 0, 3)
    return np.asarray(ndimage.gaussian_filter(field_, 1.0))


def scale_range(image: Image) -> Image:
    """The image with its percentiles at 0 and 1."""
    low, high = np.percentile(image, (0.5, 99.9))
    return np.asarray((image - low) / max(high - low, 1e-6))


def draw_image(rng: np.random.Generator) -> Image:
    """One to three kinds of structure on an uneven background."""
    kinds = [draw_filaments, draw_spots, draw_membranes, draw_texture]
    chosen = rng.choice(len(kinds), rng.integers(1, 4), replace=False)
    image = sum(scale_range(kinds[i](rng)).clip(0) * rng.uniform(0.3, 1) for i in chosen)
    haze = ndimage.gaussian_filter(rng.normal(0, 1, (CROP, CROP)), 40)
    haze = scale_range(haze) * rng.uniform(0, 0.4)
    return scale_range(np.asarray(image) + haze).clip(0)


def read_clean(path: Path, rng: np.random.Generator) -> Image | None:
    """A crop of a nuclei image at half its size; None where that is too small or too plain."""
    image = tifffile.imread(path).astype(np.float64)
    if image.ndim != 2 or min(image.shape) < CROP:
        return None
    rows, columns = (n // 2 * 2 for n in image.shape)
    half = image[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2).mean((1, 3))
    size = min(CROP, *half.shape)
    at = [rng.integers(0, n - size + 1) for n in half.shape]
    crop = half[at[0] : at[0] + size, at[1] : at[1] + size]
    if np.ptp(np.percentile(crop, (1, 99.8))) < 12:
        return None
    return scale_range(ndimage.gaussian_filter(crop, 0.5)).clip(0)


def find_intensity_limits(image: Image) -> tuple[float, float]:
    """What becomes 0 and 1 for the network.

    Not just two percentiles: a few bright spots raise the upper one, and noise alone is not
    stretched. Were the clean image told on another scale than the noisy one is seen, the network
    would learn to brighten what looks like such an image, in patches.
    """
    example = nu.Example(image, image, axes="YX")
    source = open_example_image(example, ndim=2, in_channels=1)
    return find_limits(source, Normalization()).at(0, 0)[0]


def add_noise(clean: Image, rng: np.random.Generator) -> nu.Example:
    """Noisy image, and the clean one on the scale on which the network sees the noisy one."""
    photons = np.exp(rng.uniform(*np.log(PHOTONS)))
    background = rng.uniform(0, 0.3)
    electrons = photons * (clean + background)
    noisy = rng.poisson(electrons) + rng.normal(
        0, np.exp(rng.uniform(*np.log(READ_NOISE))), clean.shape
    )
    low, high = find_intensity_limits(noisy)
    scale = max(high - low, 1e-6)
    return nu.Example(
        ((noisy - low) / scale).astype(np.float32),
        ((electrons - low) / scale).astype(np.float32),
        axes="YX",
    )


def sources(data: Path, *, held_out: bool) -> list[Path]:
    """Nuclei images, of other wells and groups for the held-out part."""
    wells = [
        path
        for path in sorted((data / "bbbc039-u2os-nuclei" / "images").iterdir())
        if (path.name.split("_")[1][0] in HELD_OUT_ROWS) == held_out
    ]
    bowl = data / "dsb2018-nuclei"
    with (bowl / "index.csv").open() as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["file"])
    chosen = [
        bowl / "images" / row["file"]
        for row in rows
        if row["kind"] == "fluorescence" and (int(row["group"]) % 7 == 0) == held_out
    ]
    return wells * (1 if held_out else 3) + chosen


def iter_real(data: Path, count: int, seed: int, *, held_out: bool) -> Iterator[Image]:
    """Clean crops of nuclei."""
    rng = np.random.default_rng(seed)
    paths = sources(data, held_out=held_out)
    for i in rng.permutation(len(paths)):
        clean = read_clean(paths[i], rng)
        if clean is not None:
            yield clean
            count -= 1
        if not count:
            return


def make_mosaic(clean: Sequence[Image], rng: np.random.Generator) -> Image:
    """Four quarters, each a part of an image or nothing, of their own brightness and ground."""
    half = CROP // 2
    mosaic = np.empty((CROP, CROP))
    for place in np.ndindex(2, 2):
        image = clean[rng.integers(len(clean))]
        at = [rng.integers(0, n - half + 1) for n in image.shape]
        quarter = image[at[0] : at[0] + half, at[1] : at[1] + half]
        if rng.random() < EMPTY_SHARE:
            quarter = np.zeros((half, half))
        rows, columns = (slice(i * half, (i + 1) * half) for i in place)
        mosaic[rows, columns] = quarter * rng.uniform(0.15, 1) + rng.uniform(0, 0.5)
    return scale_range(mosaic).clip(0)


def make_examples(
    data: Path, real: int, synthetic: int, seed: int, *, held_out: bool, noises: int = 1
) -> list[nu.Example]:
    """Noisy versions of real and of synthetic clean images, and of mosaics of them."""
    rng = np.random.default_rng(seed)
    clean = [*iter_real(data, real, seed, held_out=held_out)]
    clean += [draw_image(rng) for _ in range(synthetic)]
    mosaics = [make_mosaic(clean, rng) for _ in range(len(clean) * (noises - 1))]
    return [add_noise(image, rng) for image in (*clean, *mosaics)]


def teach(data: Path) -> list[nu.Example]:
    """The training images."""
    return make_examples(data, REAL, SYNTHETIC, 0, held_out=False, noises=NOISES)


def select(data: Path) -> list[nu.Example]:
    """Other images that pick the weights."""
    return make_examples(data, SELECTED // 2, SELECTED // 2, 1, held_out=True)


def hold_out(data: Path) -> dict[str, list[nu.Example]]:
    """w2s, and further held-out images with synthetic noise."""
    folder = data / "w2s-denoise-pairs"
    pairs = [
        nu.Example(
            tifffile.imread(path).astype(np.float32),
            tifffile.imread(folder / "targets" / path.name).astype(np.float32),
            axes="YX",
        )
        for path in sorted((folder / "images").glob("*.tif"))
    ]
    return {
        "w2s-denoise-pairs": pairs,
        "nuclei with synthetic noise": make_examples(data, 20, 0, 2, held_out=True),
    }


def fit_line(values: NDArray[Any], target: NDArray[Any]) -> Image:
    """Values times a factor plus an offset, as near to the target as can be."""
    slope, offset = np.polyfit(np.ravel(values).astype(float), np.ravel(target).astype(float), 1)
    return np.asarray(slope * values + offset)


def psnr(found: NDArray[Any], clean: NDArray[Any]) -> float:
    """Decibels after the best straight line; the peak is the range of the clean image."""
    error = np.mean((fit_line(found, clean) - clean) ** 2)
    return float(10 * np.log10(np.ptp(clean.astype(float)) ** 2 / error))


def noise_level(image: Image) -> float:
    """Standard deviation of the noise (Immerkær 1996, doi 10.1006/cviu.1996.0060)."""
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], float)
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(ndimage.convolve(image, mask)).mean())


@dataclass(frozen=True)
class Denoised:
    """One image in decibels, see `psnr`: as it was, by the model, by non-local means."""

    noisy: float
    model: float
    non_local_means: float


def denoise(model: Model, example: nu.Example) -> NDArray[Any]:
    """What the model makes of an image, as the clean one is stored."""
    found = nu.predict(np.asarray(example.image, np.float32), model, axes="YX").scores
    return np.asarray(found).reshape(np.shape(example.labels))


def score_image(model: Model, example: nu.Example) -> Denoised:
    """How near an image comes to the clean one."""
    noisy, clean = np.asarray(example.image, np.float64), np.asarray(example.labels)
    sigma = noise_level(noisy)
    filtered = denoise_nl_means(noisy, h=0.8 * sigma, sigma=sigma, fast_mode=True)
    return Denoised(*(psnr(each, clean) for each in (noisy, denoise(model, example), filtered)))


def score_images(model: Model, examples: Sequence[nu.Example]) -> dict[str, float]:
    """Means over images."""
    rows = [score_image(model, example) for example in examples]
    return {
        "PSNR of the noisy image, dB": round(float(np.mean([r.noisy for r in rows])), 2),
        "PSNR, dB": round(float(np.mean([r.model for r in rows])), 2),
        "PSNR of non-local means, dB": round(float(np.mean([r.non_local_means for r in rows])), 2),
    }


RECIPE = Recipe(
    settings={
        "task": "regression",
        "name": "denoise",
        "description": "Takes the noise from 2D fluorescence images.",
        "loss": "mae",
        "patch": (128, 128),
        "batch_size": 8,
        "learning_rate": 1e-3,
        "augmentation": "light",
        "features": (16, 32, 64, 128),
        "upsampling": "linear",
        "seed": 0,
    },
    teach=teach,
    select=select,
    hold_out=hold_out,
    facts={
        "channels": ("fluorescence",),
        "licence": "CC0-1.0",
        "authors": ("napari-unet contributors",),
        "citation": "Images: Caicedo et al. 2019, Nature Methods 16, 1247 (BBBC038) and "
        "Cytometry A 95, 952 (BBBC039), both CC0 1.0",
    },
    score=score_images,
)
