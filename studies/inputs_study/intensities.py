"""Intensities that are none of the sample's: fill, NaN, saturation, bad frames, noise alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from scipy import ndimage

import napari_unet as nu
from inputs_study.kinds import AGREEMENT, KINDS, MODEL, Outcome, agreement, result, sample, segment

SECTION = "Intensities"


def camera(offset: int = 400) -> np.ndarray:
    """The sample as a camera of 16 bits gives it."""
    return sample()[0].astype(np.uint16) * 16 + offset


def _compare(
    folder: Path, image: np.ndarray, inside: Any, right: np.ndarray, *, least: float = AGREEMENT
) -> Outcome:
    tifffile.imwrite(folder / "a.tif", image)
    run = segment(folder, "a.tif")
    if run.status:
        return Outcome(run.said, right=False)
    return Outcome(run.said, agreement(result(folder, "a")[inside], right) >= least)


def _framed(folder: Path, value: float, pad: int) -> Outcome:
    image = camera()
    right = np.asarray(nu.segment(image, MODEL, axes="YX"))
    framed = np.pad(
        image.astype(type(value) if value != value else image.dtype), pad, constant_values=value
    )
    inside = (slice(pad, -pad), slice(pad, -pad))
    return _compare(folder, framed, inside, right, least=1.0)


for pad in (4, 64):
    KINDS.add(SECTION, f"{pad} pixels of zeros around the image")(
        partial(_framed, value=0, pad=pad)
    )
KINDS.add(SECTION, "16 pixels of 65535 around the image")(partial(_framed, value=65535, pad=16))


@KINDS.add(SECTION, "rotated by 20 degrees, zeros in the corners")
def _rotated(folder: Path) -> Outcome:
    turned = ndimage.rotate(camera().astype(float), 20, order=1, cval=0)
    filled = ndimage.rotate(
        camera().astype(float), 20, order=1, cval=float(np.percentile(camera(), 5))
    )
    right = np.asarray(nu.segment(filled, MODEL, axes="YX"))
    return _compare(folder, turned.astype(np.uint16), ..., right, least=0.8)


def _missing(folder: Path, value: float) -> Outcome:
    image = camera().astype(np.float32)
    right = np.asarray(nu.segment(image, MODEL, axes="YX")).copy()
    image[:12], image[:, -9:] = value, value
    right[:12], right[:, -9:] = 0, 0
    outcome = _compare(folder, image, ..., right, least=0.85)  # objects are cut at the border
    return Outcome(outcome.happens, outcome.right and "NaN or infinite" in outcome.happens)


KINDS.add(SECTION, "a border of NaN")(partial(_missing, value=np.nan))
KINDS.add(SECTION, "a border of infinity")(partial(_missing, value=np.inf))


@KINDS.add(SECTION, "a saturated lump")
def _saturated(folder: Path) -> Outcome:
    image = camera()
    right = np.asarray(nu.segment(image, MODEL, axes="YX")).copy()
    place = (slice(100, 124), slice(160, 190))
    image[place] = 65535
    right[place] = 0
    tifffile.imwrite(folder / "a.tif", image)
    run = segment(folder, "a.tif")
    found = result(folder, "a").copy()
    found[np.isin(found, np.unique(found[place]))] = 0
    right[np.isin(right, np.unique(right[96:128, 156:192]))] = 0
    return Outcome(run.said, agreement(found, right) >= 0.8)


@KINDS.add(SECTION, "hot pixels")
def _hot(folder: Path) -> Outcome:
    image = camera()
    right = np.asarray(nu.segment(image, MODEL, axes="YX"))
    rng = np.random.default_rng(0)
    image[rng.integers(0, 128, 12), rng.integers(0, 192, 12)] = 65535
    return _compare(folder, image, ..., right)


@KINDS.add(SECTION, "2 % hot pixels")
def _many_hot(folder: Path) -> Outcome:
    image = camera()
    right = np.asarray(nu.segment(image, MODEL, axes="YX"))
    image[np.random.default_rng(0).random(image.shape) < 0.02] = 65535
    return _compare(folder, image, ..., right, least=0.8)


@KINDS.add(SECTION, "8 % hot pixels")
def _most_hot(folder: Path) -> Outcome:
    image = camera()
    image[np.random.default_rng(0).random(image.shape) < 0.08] = 65535
    tifffile.imwrite(folder / "a.tif", image)
    run = segment(folder, "a.tif")
    return Outcome(run.said, run.status == 0 and "hot pixels" in run.said)


@KINDS.add(SECTION, "infinity where it is brightest")
def _infinite_peaks(folder: Path) -> Outcome:
    image = camera().astype(np.float32)
    peaks = image > np.percentile(image, 95)
    right = np.asarray(nu.segment(np.where(peaks, image[~peaks].max(), image), MODEL, axes="YX"))
    return _compare(folder, np.where(peaks, np.inf, image).astype(np.float32), ..., right)


def _gap(folder: Path, place: str) -> Outcome:
    image = camera(2000)
    right = np.asarray(nu.segment(image, MODEL, axes="YX")).copy()
    mask = np.zeros(image.shape, bool)
    if place == "border":
        mask[[0, -1]] = mask[:, [0, -1]] = True
    elif place == "gap":
        mask[60:63] = mask[:, 100:102] = True
    else:
        mask[40:80, 60:120] = True
    image[mask], right[mask] = 0, 0
    tifffile.imwrite(folder / "a.tif", image)
    run = segment(folder, "a.tif")
    found = result(folder, "a").copy()
    empty = not found[mask].any()
    cut = np.unique(right[ndimage.binary_dilation(mask, iterations=3)])
    near = ndimage.binary_dilation(np.isin(right, cut[cut > 0]) | mask, iterations=3)
    found[np.isin(found, np.unique(found[near]))] = 0  # objects that it cuts are others
    right[np.isin(right, np.unique(right[near]))] = 0
    return Outcome(run.said, empty and agreement(found, right) >= 0.8)


for place, words in (
    ("border", "a border of zeros, one pixel wide"),
    ("gap", "gaps of zeros, 2 and 3 pixels wide, through the image"),
    ("hole", "a hole of zeros in the image"),
):
    KINDS.add(SECTION, words)(partial(_gap, place=place))


def _series(folder: Path, series: np.ndarray, skip: tuple[int, ...], single: np.ndarray) -> Outcome:
    tifffile.imwrite(folder / "a.tif", series, imagej=True, metadata={"axes": "TYX"})
    run = segment(folder, "a.tif")
    if run.status:
        return Outcome(run.said, right=False)
    frames = [f for k, f in enumerate(result(folder, "a")) if k not in skip]
    return Outcome(run.said, all(agreement(f, single) >= AGREEMENT for f in frames))


@KINDS.add(SECTION, "a time series with an over-exposed frame")
def _exposed(folder: Path) -> Outcome:
    series = np.stack([camera()] * 12)
    series[5] = 65535
    return _series(folder, series, (5,), np.asarray(nu.segment(camera(), MODEL, axes="YX")))


@KINDS.add(SECTION, "a time series that bleaches to 15 %")
def _bleaching(folder: Path) -> Outcome:
    signal = sample()[0].astype(float) * 16
    series = np.stack([signal * np.exp(-0.38 * k) + 100 for k in range(6)]).astype(np.uint16)
    return _series(folder, series, (), np.asarray(nu.segment(series[0], MODEL, axes="YX")))


@KINDS.add(SECTION, "noise without anything in it: no objects")
def _noise(folder: Path) -> Outcome:
    noise = np.random.default_rng(0).normal(400, 12, (256, 256)).astype(np.uint16)
    tifffile.imwrite(folder / "a.tif", noise)
    run = segment(folder, "a.tif")
    return Outcome(run.said, run.status == 0 and not result(folder, "a").any())


def _correlated(folder: Path, make: Any) -> Outcome:
    noise = make(np.random.default_rng(0).normal(0, 1, (256, 256)))
    noise = (400 + 12 * noise / noise.std()).astype(np.uint16)
    tifffile.imwrite(folder / "a.tif", noise)
    run = segment(folder, "a.tif")
    return Outcome(run.said, run.status == 0 and not result(folder, "a").any())


def _photons(white: Any) -> Any:
    counted = np.random.default_rng(0).poisson(0.3, white.shape).astype(float)
    return ndimage.gaussian_filter(counted, 1.5)


def _speckle(white: Any) -> Any:
    other = np.random.default_rng(1).normal(0, 1, white.shape)
    return sum(ndimage.gaussian_filter(each, 1.5) ** 2 for each in (white, other))


for words, make in (
    ("smoothed noise", lambda white: ndimage.gaussian_filter(white, 1.5)),
    ("median-filtered noise", lambda white: ndimage.median_filter(white, 5)),
    ("smoothed noise of single photons", _photons),
    ("noise hardly smoothed", lambda white: ndimage.gaussian_filter(white, 0.7)),
    ("lognormal noise", np.exp),
    ("lognormal noise, smoothed", lambda white: ndimage.gaussian_filter(np.exp(white), 1.5)),
    ("speckle", _speckle),
    ("noise with the rows of a camera", lambda white: white + 1.7 * white[:, :1]),
    ("enlarged noise", lambda white: ndimage.zoom(white[:86, :86], 3)[:256, :256]),
):
    KINDS.add(SECTION, f"{words}: no objects")(partial(_correlated, make=make))


@KINDS.add(SECTION, "a constant image")
def _constant(folder: Path) -> Outcome:
    tifffile.imwrite(folder / "a.tif", np.full((128, 128), 500, np.uint16))
    run = segment(folder, "a.tif")
    return Outcome(run.said, run.status == 0 and "constant" in run.said)


@KINDS.add(SECTION, "a single nucleus in a large field")
def _single(folder: Path) -> Outcome:
    rng = np.random.default_rng(0)
    field = rng.normal(400, 8, (1024, 1024))
    y, x = np.ogrid[-20:21, -20:21]
    field[500:541, 500:541] += 1500 * np.exp(-(((x**2 + y**2) / 150.0) ** 2))
    tifffile.imwrite(folder / "a.tif", field.astype(np.uint16))
    run = segment(folder, "a.tif")
    found = result(folder, "a") if run.status == 0 else np.zeros((1024, 1024))
    return Outcome(run.said, len(np.unique(found)) == 2 and bool(found[520, 520]))
