"""Networks prepared for prediction, and the number format that they are given."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from napari_unet.errors import SettingsError
from napari_unet.inference import prepared_network
from napari_unet.inference.prepared_network import on_cpu, prepare_network
from napari_unet.network.devices import resolve_device
from napari_unet.network.precision import DeviceCapability
from napari_unet.network.unet import UNet
from napari_unet.unet_config import UNetConfig

CPU = torch.device("cpu")

pytestmark = pytest.mark.number_format


def network_of(**fields: Any) -> UNet:
    """A network in training mode, as one comes from training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = UNet(UNetConfig(**{"features": (8, 16), **fields}))
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                module.running_var.uniform_(0.05, 0.5)  # type: ignore[union-attr]
    return network


def block_of(network: UNet, size: int = 12) -> np.ndarray:
    shape = (network.config.in_channels, *((size,) * network.config.ndim))
    return np.random.default_rng(0).random(shape, dtype=np.float32)


@pytest.mark.parametrize("norm", ["batch", "instance", "group", "none"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_a_prepared_network_gives_the_networks_output(ndim: Any, norm: Any) -> None:
    network = network_of(ndim=ndim, norm=norm, in_channels=2, out_channels=3)
    block = block_of(network)
    prepared = prepare_network(network, CPU, "float32")
    found = prepared(block)
    with torch.inference_mode():
        expected = copy.deepcopy(network).eval()(torch.from_numpy(block)[None])[0]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_preparing_leaves_the_network_as_it_was() -> None:
    network = network_of()
    before = copy.deepcopy(network.state_dict())
    prepare_network(network, CPU, "bfloat16")
    assert network.training
    assert all(p.requires_grad and p.dtype == torch.float32 for p in network.parameters())
    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_a_prepared_network_is_folded_and_frozen() -> None:
    prepared = prepare_network(network_of(), CPU, "float32").network
    assert not prepared.training
    assert not any(isinstance(m, nn.BatchNorm2d) for m in prepared.modules())
    assert not any(p.requires_grad for p in prepared.parameters())


def test_inference_mode_ends_with_the_tile() -> None:
    network = network_of()
    prepare_network(network, CPU, "float32")(block_of(network))
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()


def test_any_array_is_a_block() -> None:
    network = network_of(in_channels=2)
    prepared = prepare_network(network, CPU, "float32")
    block = block_of(network)
    expected = prepared(block)
    strided = np.asfortranarray(block)
    read_only = block.astype(np.float64)
    read_only.flags.writeable = False
    assert torch.equal(prepared(strided), expected)
    assert torch.equal(prepared(read_only), expected)


def test_half_precision_is_close_and_comes_back_in_single() -> None:
    network = network_of(out_channels=2)
    block = block_of(network)
    single = prepare_network(network, CPU, "float32")(block)
    half = prepare_network(network, CPU, "bfloat16")
    assert half.precision == "bfloat16"
    assert {p.dtype for p in half.network.encoder[-1].parameters()} == {torch.bfloat16}
    found = half(block)
    assert found.dtype == torch.float32
    assert not torch.equal(found, single)
    torch.testing.assert_close(found, single, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("features", [(8,), (8, 16), (4, 8, 16)])
@pytest.mark.parametrize("norm", ["batch", "instance", "group", "none"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_every_network_runs_in_bfloat16_and_then_on_the_cpu(
    ndim: Any, norm: Any, features: tuple[int, ...]
) -> None:
    network = network_of(ndim=ndim, norm=norm, features=features, out_channels=2)
    block = block_of(network)
    half = prepare_network(network, CPU, "bfloat16")
    assert half(block).dtype == torch.float32
    assert on_cpu(half)(block).dtype == torch.float32


def test_falling_back_to_the_cpu_is_in_single_precision() -> None:
    network = network_of()
    half = prepare_network(network, CPU, "bfloat16")
    fallback = on_cpu(half)
    assert (fallback.device, fallback.precision) == (CPU, "float32")
    assert {p.dtype for p in fallback.network.parameters()} == {torch.float32}
    assert {p.dtype for p in half.network.encoder[-1].parameters()} == {torch.bfloat16}
    assert torch.isfinite(fallback(block_of(network))).all()


@pytest.mark.parametrize(
    ("features", "units", "expected"),
    [((16, 32), True, "bfloat16"), ((16, 32), False, "float32"), ((8, 16), True, "float32")],
)
def test_auto_follows_the_rule(
    monkeypatch: pytest.MonkeyPatch, features: tuple[int, ...], units: bool, expected: str
) -> None:
    capability = DeviceCapability("cpu", bfloat16_matrix_units=units)
    monkeypatch.setattr(prepared_network, "device_capability", lambda _: capability)
    network = network_of(features=features)
    prepared = prepare_network(network, CPU, "auto")
    assert prepared.precision == expected
    assert torch.isfinite(prepared(block_of(network))).all()


def test_the_last_convolution_is_not_rounded() -> None:
    network = network_of(out_channels=2)
    scores = prepare_network(network, CPU, "bfloat16")(block_of(network, 64))
    assert not torch.equal(scores, scores.bfloat16().float())


def test_a_format_that_does_not_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any, block: Any) -> torch.Tensor:
        raise RuntimeError("not implemented for 'Half'")

    monkeypatch.setattr(prepared_network.PreparedNetwork, "__call__", fail)
    with pytest.raises(SettingsError, match="'float16' does not run on cpu") as caught:
        prepare_network(network_of(), CPU, "float16")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_cuda_device_gives_the_cpus_output(precision: str) -> None:
    network = network_of(out_channels=2)
    block = block_of(network, 64)
    expected = prepare_network(network, CPU, "float32")(block)
    found = prepare_network(network, resolve_device("cuda"), precision)(block)
    assert found.device.type == "cuda"
    close = 1e-2 if precision == "float32" else 0.05  # TF32 convolutions are the default
    torch.testing.assert_close(found.cpu(), expected, atol=close, rtol=close)
