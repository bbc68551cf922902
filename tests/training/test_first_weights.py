"""What a new network of a regression begins with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_unet.dataset.example import Example
from napari_unet.network.identity import can_be_identity, make_identity
from napari_unet.network.unet import UNet
from napari_unet.training.steps import TrainStep
from napari_unet.training.train import iter_train
from napari_unet.unet_config import UNetConfig

BEGINS_WITH_IMAGE = "Its output begins as the image; what to change is learned."
TINY: dict[str, Any] = {
    "task": "regression", "features": (4, 8), "patch": (32, 32), "batch_size": 2, "steps": 1,
    "device": "cpu", "precision": "float32",
}  # fmt: skip


@pytest.mark.parametrize(
    ("ndim", "channels", "features"),
    [(2, 1, (4, 8, 8)), (2, 3, (8, 8)), (3, 1, (4, 8)), (2, 2, (4,))],
)
def test_a_network_that_passes_the_image_can_learn_to_change_it(
    ndim: int, channels: int, features: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    config = UNetConfig(
        ndim=ndim, in_channels=channels, out_channels=channels, features=features, norm="none"
    )
    network = UNet(config)
    make_identity(network)
    image = torch.randn(2, channels, *(13, 9, 10)[:ndim])
    torch.testing.assert_close(network(image), image, rtol=0, atol=1e-6)
    # all its other channels are heard after the first step
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        (network(image) - image.flip(-1)).square().mean().backward()
        optimizer.step()
    deepest = network.encoder[-1]
    assert all((p.grad is not None and p.grad.abs().max() > 0) for p in deepest.parameters())


@pytest.mark.parametrize(
    "update",
    [{"norm": "batch"}, {"out_channels": 2}, {"in_channels": 3, "out_channels": 3}],
    ids=["norm", "other-outputs", "too-narrow"],
)
def test_not_every_network_can_pass_the_image(update: dict[str, Any]) -> None:
    plain: dict[str, Any] = {"features": (4, 8), "norm": "none"}
    assert can_be_identity(UNet(UNetConfig(**plain)))
    assert not can_be_identity(UNet(UNetConfig(**plain | update)))


def begin(
    image: NDArray[Any], target: NDArray[Any], region: Any = "all", **settings: Any
) -> TrainStep:
    values = target.astype(np.float32)
    example = Example(image.astype(np.float32), values, region=region, axes="YX")
    return next(iter_train([example], **TINY | settings))


@pytest.fixture(scope="module")
def cells() -> NDArray[np.float64]:
    rows, columns = np.indices((96, 96))
    return np.sin(rows / 5) * np.cos(columns / 7) + 1


def test_denoising_begins_with_the_image(cells: NDArray[np.float64]) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, cells.shape)
    first = begin(100 * (cells + noise), cells)
    assert BEGINS_WITH_IMAGE in [note.text for note in first.notes]
    # what is left is the noise, in units of the range
    assert first.loss == pytest.approx(0.1 * np.sqrt(2 / np.pi) / 2, rel=0.3)


def test_few_spots_in_noise_begin_with_the_image(cells: NDArray[np.float64]) -> None:
    rng = np.random.default_rng(0)
    spots = np.zeros(cells.shape)
    spots[tuple(rng.integers(5, 91, (2, 20)))] = 1
    spots = gaussian_filter(spots, 1.5)
    spots /= spots.max()
    first = begin(rng.poisson(50 * (spots + 0.1)), spots)
    assert BEGINS_WITH_IMAGE in [note.text for note in first.notes]


@pytest.mark.parametrize("cached", [True, False])
def test_what_is_known_in_part_or_read_from_a_file_is_enough(
    cells: NDArray[np.float64], cached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not cached:
        monkeypatch.setattr("napari_unet.dataset.frames.MAX_CACHED_BYTES", 0)
    noisy = cells + np.random.default_rng(0).normal(0, 0.1, cells.shape)
    known = np.zeros(cells.shape, bool)
    known[:64, :40] = True
    whole = begin(noisy, cells)
    part = begin(noisy, cells, region=known)
    for first in (whole, part):
        assert BEGINS_WITH_IMAGE in [note.text for note in first.notes]


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        (lambda cells: np.roll(cells, 11, axis=0), {}),  # of the same values, and another picture
        (lambda cells: -cells, {}),
        (lambda cells: cells, {"norm": "batch"}),
    ],
    ids=["unlike", "inverted", "batch-norm"],
)
def test_other_regressions_do_not(
    cells: NDArray[np.float64], target: Any, settings: dict[str, Any]
) -> None:
    first = begin(cells, target(cells), **settings)
    assert BEGINS_WITH_IMAGE not in [note.text for note in first.notes]
