"""Gradients from shards of a batch."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch

import napari_unet as nu
from napari_unet.network.unet import UNet
from napari_unet.training.data_parallel import DataParallel
from napari_unet.training.losses import task_loss
from napari_unet.training.patch_sampling import Batch
from napari_unet.training.precision import compute_gradients
from napari_unet.unet_config import UNetConfig

REGRESSION = task_loss("regression")


def make_network(norm: str) -> UNet:
    torch.manual_seed(3)
    config = UNetConfig(
        ndim=2, in_channels=1, out_channels=1, features=(4, 8), strides=((2, 2),), norm=norm
    )
    return UNet(config).train()


def make_batch(count: int = 6) -> Batch:
    rng = torch.Generator().manual_seed(5)
    image, target = torch.randn(2, count, 1, 16, 16, generator=rng).unbind()
    known = (torch.rand(count, 1, 16, 16, generator=rng) > 0.3).float()  # other numbers in each
    return Batch(image, target, known)


def gradients_of(network: UNet) -> list[torch.Tensor]:
    return [p.grad.clone() for p in network.parameters() if p.grad is not None]


@pytest.mark.parametrize("count", [6, 5])
def test_shards_give_the_gradients_of_the_whole_batch(count: int) -> None:
    network, batch = make_network("instance"), make_batch(count)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    whole = compute_gradients(network, batch, REGRESSION, "float32")
    expected = gradients_of(network)
    parallel = DataParallel(network, threads=3, batch_size=6)
    value = parallel.compute_gradients(batch, REGRESSION, "float32")
    parallel.close()
    assert value == pytest.approx(whole, rel=1e-6)
    for found, right in zip(gradients_of(network), expected, strict=True):
        torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-6)
    for parameter in network.parameters():  # the fused optimizer takes no other layout
        assert parameter.grad is not None
        assert parameter.grad.stride() == parameter.stride()


def test_batch_norm_sees_its_shard_and_statistics_take_the_mean() -> None:
    network, batch = make_network("batch"), make_batch(4)
    parallel = DataParallel(network, threads=2, batch_size=4)
    parallel.compute_gradients(batch, REGRESSION, "float32")
    parallel.close()
    norm = next(m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))
    expected = []
    for images in batch.image.split(2):
        alone = make_network("batch")
        alone(images)
        found = next(m for m in alone.modules() if isinstance(m, torch.nn.BatchNorm2d))
        expected.append(found.running_var)
    assert not torch.equal(expected[0], expected[1])
    torch.testing.assert_close(norm.running_var, torch.stack(expected).mean(0))
    assert int(norm.num_batches_tracked) == 1


def test_measured_statistics_do_not_depend_on_the_threads() -> None:
    images = make_batch(10).image.split(2)  # five batches on two threads
    networks = [make_network("batch") for _ in range(2)]
    for threads, network in zip((1, 2), networks, strict=True):
        parallel = DataParallel(network, threads, batch_size=4)
        parallel.update_statistics(images)
        parallel.close()
        assert network.training
    one, two = (network.state_dict() for network in networks)
    for name, value in one.items():
        if value.is_floating_point():
            torch.testing.assert_close(two[name], value)


def test_a_step_without_finite_numbers_changes_nothing() -> None:
    network, batch = make_network("batch"), make_batch(4)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    parallel = DataParallel(network, threads=2, batch_size=4)
    batch.image[3, 0, 0, 0] = torch.nan  # in one shard only
    assert parallel.compute_gradients(batch, REGRESSION, "float32") is None
    parallel.close()
    assert not gradients_of(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_an_error_in_a_shard_is_raised_when_all_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    network, batch = make_network("none"), make_batch(2)
    parallel = DataParallel(network, threads=2, batch_size=2)
    ended: list[int] = []
    go_on = threading.Event()

    def run(replica: UNet, image: torch.Tensor, _: str) -> torch.Tensor:
        if torch.equal(image, batch.image[:1]):
            go_on.set()
            raise MemoryError
        assert go_on.wait(30)
        ended.append(1)
        return replica(image)

    monkeypatch.setattr("napari_unet.training.data_parallel.run_network", run)
    with pytest.raises(MemoryError):
        parallel.compute_gradients(batch, REGRESSION, "float32")
    assert ended == [1]
    parallel.close()


def test_equal_trainings_are_equal_bit_by_bit_on_two_threads() -> None:
    sample = nu.load_sample("nuclei_2d")
    example = nu.Example(sample.image[:64, :64], sample.truth[:64, :64], axes="YX")
    settings: dict[str, Any] = {
        "steps": 6, "patch": (32, 32), "batch_size": 4, "features": (4, 8), "threads": 2,
        "validation_every": 3, "precision": "float32",
    }  # fmt: skip
    before = threading.active_count()
    models = [nu.train([example], **settings) for _ in range(2)]
    assert threading.active_count() == before
    one, two = (model.network.state_dict() for model in models)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert models[0].card.training is not None
    assert models[0].card.training.config["threads"] == 2
    assert np.isfinite(sum(float(value.double().sum()) for value in one.values()))
