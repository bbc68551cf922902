"""Denoising learned from pairs, against the noisy image and two classical filters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

import napari_unet as nu
from training_study.learning import SMALL, fit
from training_study.records import Outcome, Plan, Run

EXPERIMENT = "regression"
STEPS = 200
BATCH, PATCH = 4, (128, 128)
TEST_FIELDS = ("fov074", "fov095", "fov097")
FILTER_WEIGHTS = {
    "total variation": (1.0, 1.5, 2.0, 2.5, 3.0, 4.0),
    "non-local means": (0.8, 1.0, 1.3, 1.7, 2.2, 3.0),
}
NETWORKS: dict[str, dict[str, Any]] = {
    "U-Net, mae": {"loss": "mae"},
    "U-Net, mse": {"loss": "mse"},
    "U-Net, mae, batch norm": {"loss": "mae", "norm": "batch"},
}
CROP = 192  # pixels, of the training images on which a filter's weight is picked

Image = NDArray[np.float32]
Pair = tuple[Image, Image]


def iter_runs(plan: Plan) -> Iterator[Run]:
    """What needs no seed once; the network with both losses for each seed."""
    for method in ("noisy", *FILTER_WEIGHTS):
        yield Run(EXPERIMENT, {"method": method}, plan.seeds[0], 0, _classical(plan, method))
    for seed in plan.seeds:
        for name, settings in NETWORKS.items():
            condition = {"method": name}
            measure = _learned(plan, settings, seed)
            yield Run(EXPERIMENT, condition, seed, plan.steps_or(STEPS), measure)


@cache
def load(folder: Path) -> tuple[list[Pair], list[Pair]]:
    """Noisy and clean images to learn from, and tests of other fields of view.

    Each image of this copy was stretched on its own. So the noisy one is normalised by its
    percentiles, and the clean one brought to it by a straight line.
    """
    training: list[Pair] = []
    tests: list[Pair] = []
    for path in sorted((folder / "images").glob("*.tif")):
        noisy = tifffile.imread(path).astype(np.float32)
        low, high = np.percentile(noisy, (1, 99.8))
        noisy = (noisy - low) / (high - low)
        clean = fit_line(tifffile.imread(folder / "targets" / path.name), noisy)
        use = tests if path.name.startswith(TEST_FIELDS) else training
        use.append((noisy.astype(np.float32), clean.astype(np.float32)))
    return training, tests


def fit_line(values: NDArray[Any], target: NDArray[Any]) -> NDArray[np.float64]:
    """Values times a factor plus an offset, as near to the target as can be (least squares).

    >>> fit_line(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]))
    array([1., 3., 5.])
    """
    x, y = values.astype(np.float64), target.astype(np.float64)
    spread = x.var()
    slope = ((x - x.mean()) * (y - y.mean())).mean() / spread if spread > 0 else 0.0
    return np.asarray(y.mean() + slope * (x - x.mean()))


def psnr(found: NDArray[Any], clean: NDArray[Any]) -> float:
    """PSNR in dB of an image after `fit_line`; the peak is the range of the clean image."""
    error = np.mean((fit_line(found, clean) - clean) ** 2)
    return float(10 * np.log10((float(clean.max()) - float(clean.min())) ** 2 / error))


def noise_level(image: Image) -> float:
    """Standard deviation of the noise (Immerkær 1996, doi 10.1006/cviu.1996.0060)."""
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(ndimage.convolve(image, mask)).mean())


def denoise(image: Image, method: str, weight: float) -> NDArray[Any]:
    """A classical filter, its strength in units of the noise."""
    from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

    sigma = noise_level(image)
    if method == "total variation":
        found = denoise_tv_chambolle(image, weight=weight * sigma)  # type: ignore[no-untyped-call]
        return np.asarray(found)
    found = denoise_nl_means(
        image, patch_size=5, patch_distance=6, h=weight * sigma, sigma=sigma, fast_mode=True
    )
    return np.asarray(found)


def _pairs(plan: Plan) -> tuple[list[Pair], list[Pair]]:
    training, tests = load(plan.data / "w2s-denoise-pairs")
    return plan.some(training, 2), plan.some(tests, 2)


def _outcome(values: list[float], seconds: float = 0.0, **details: Any) -> Outcome:
    mean = float(np.mean(values))
    return Outcome(mean, {"PSNR": mean}, seconds, {"test images": len(values), **details})


def _classical(plan: Plan, method: str) -> Callable[[], Outcome]:
    def measure() -> Outcome:
        training, tests = _pairs(plan)
        if method == "noisy":
            return _outcome([psnr(noisy, clean) for noisy, clean in tests])
        part = (slice(CROP, 2 * CROP),) * 2
        reached = {
            weight: np.mean([psnr(denoise(n[part], method, weight), c[part]) for n, c in training])
            for weight in plan.some(FILTER_WEIGHTS[method], 2)
        }
        best = max(reached, key=reached.__getitem__)
        values = [psnr(denoise(noisy, method, best), clean) for noisy, clean in tests]
        return _outcome(values, weight=best, **{"training images": len(training)})

    return measure


def _learned(plan: Plan, settings: dict[str, Any], seed: int) -> Callable[[], Outcome]:
    def measure() -> Outcome:
        training, tests = _pairs(plan)
        model, seconds = fit(
            [nu.Example(noisy, clean, axes="YX") for noisy, clean in training],
            plan,
            steps=plan.steps_or(STEPS),
            seed=seed,
            task="regression",
            **settings,
            features=SMALL,
            patch=plan.patch(*PATCH),
            batch_size=BATCH,
        )
        values = []
        for noisy, clean in tests:
            found = nu.predict(noisy, model, axes="YX", device=plan.device)
            values.append(psnr(np.asarray(found.scores).reshape(clean.shape), clean))
        return _outcome(
            values,
            seconds,
            patch=plan.patch(*PATCH),
            batch=BATCH,
            features=SMALL,
            **{"training images": len(training)},
        )

    return measure
