"""The network: sizes, receptive field, folding of batch normalisation."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from napari_unet.inference.prepared_network import fold_batch_norm
from napari_unet.network.unet import UNet, pad_to_stride
from napari_unet.unet_config import UNetConfig

NORMS = ("batch", "instance", "group", "none")
UPSAMPLINGS = ("nearest", "linear", "transposed")


def seeded(config: UNetConfig, seed: int = 0) -> UNet:
    """A network in evaluation mode whose normalisation layers do something."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = UNet(config)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                module.running_var.uniform_(0.05, 0.5)  # type: ignore[union-attr]
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d | nn.GroupNorm):
                module.weight.data.uniform_(0.5, 1.5)
                module.bias.data.uniform_(0, 0.3)
    return network.eval()


def noise(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).random(shape, dtype=np.float32))


# Size N in, size N out


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("ndim", [2, 3])
def test_any_size_comes_back_with_finite_values(ndim: int, norm: Any, upsampling: Any) -> None:
    strides = ((2, 3), (3, 1)) if ndim == 2 else ((1, 2, 3), (2, 2, 1))
    config = UNetConfig(
        ndim=ndim,
        in_channels=2,
        out_channels=3,
        features=(4, 8, 4),
        strides=strides,
        norm=norm,
        upsampling=upsampling,
    )
    network = seeded(config)
    sizes = [1, 2, 5, 12, 13] if ndim == 2 else [1, 2, 7]
    with torch.inference_mode():
        for size in itertools.product(sizes, repeat=ndim):
            out = network(noise(2, 2, *size))
            assert out.shape == (2, 3, *size)
            assert torch.isfinite(out).all()


@settings(max_examples=25)
@given(
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), max_size=3),
    st.sampled_from(NORMS),
    st.sampled_from(UPSAMPLINGS),
)
def test_any_strides_and_any_size(
    size: tuple[int, int], strides: list[tuple[int, int]], norm: Any, upsampling: Any
) -> None:
    config = UNetConfig(
        features=(4,) * (len(strides) + 1),
        strides=tuple(strides),
        norm=norm,
        upsampling=upsampling,
    )
    with torch.inference_mode():
        assert seeded(config)(noise(1, 1, *size)).shape == (1, 1, *size)


def test_one_level_has_no_pooling() -> None:
    config = UNetConfig(features=(4,))
    assert (config.stride, config.receptive_field, config.halo) == ((1, 1), (2, 2), (2, 2))
    assert seeded(config)(noise(1, 1, 3, 5)).shape == (1, 1, 3, 5)


def test_gradients_reach_every_weight() -> None:
    for norm, upsampling in itertools.product(NORMS, UPSAMPLINGS):
        network = seeded(UNetConfig(features=(4, 8), norm=norm, upsampling=upsampling)).train()
        network(noise(2, 1, 8, 8)).square().sum().backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name


@pytest.mark.parametrize("groups_of", ["instance", "group"])
def test_group_normalisation_equals_its_definition(groups_of: Any) -> None:
    network = seeded(UNetConfig(features=(4, 6), norm=groups_of, in_channels=6))
    layer = network.encoder[1][1]
    x = noise(2, 6, 5, 4)
    groups = 6 if groups_of == "instance" else 2  # 8 and 4 do not divide 6
    grouped = x.double().reshape(2, groups, -1)
    mean, variance = grouped.mean(-1, keepdim=True), grouped.var(-1, correction=0, keepdim=True)
    expected = ((grouped - mean) / torch.sqrt(variance + 1e-5)).reshape(x.shape)
    expected = expected * layer.weight[:, None, None] + layer.bias[:, None, None]
    torch.testing.assert_close(layer(x).double(), expected, atol=1e-5, rtol=1e-5)


# Padding


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 8), st.integers(1, 8))
def test_padding_repeats_the_far_edge_up_to_the_next_multiple(
    height: int, width: int, sy: int, sx: int
) -> None:
    x = torch.arange(height * width, dtype=torch.float32).reshape(1, 1, height, width)
    padded = pad_to_stride(x, (sy, sx))
    fy, fx = -(-height // sy) * sy, -(-width // sx) * sx
    expected = np.pad(x[0, 0].numpy(), ((0, fy - height), (0, fx - width)), mode="edge")
    np.testing.assert_array_equal(padded[0, 0].numpy(), expected)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_padding_by_hand_gives_the_same_output(norm: Any) -> None:
    network = seeded(UNetConfig(features=(4, 4, 4), norm=norm))
    x = noise(1, 1, 9, 14)
    by_hand = torch.from_numpy(np.pad(x.numpy(), ((0, 0), (0, 0), (0, 3), (0, 2)), mode="edge"))
    with torch.inference_mode():
        torch.testing.assert_close(network(x), network(by_hand)[..., :9, :14])


# Receptive field


def support(config: UNetConfig, axis: int) -> int:
    """Farthest distance along an axis at which a changed input changes an output.

    All weights are positive and the image is zero, so an output is above zero exactly where
    the change reaches it: no rounding hides anything. The change fills a whole plane across
    the axis, which leaves the other axes short.
    """
    network = UNet(config).double().eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.fill_(0.0 if name.endswith("bias") else 0.5)
    period, derived = config.stride[axis], config.receptive_field[axis]
    start = -(-(derived + 2) // period) * period  # multiple of the stride, beyond the reach
    length = 2 * start + period
    shape = [length if a == axis else config.stride[a] for a in range(config.ndim)]
    x = torch.zeros(period, config.in_channels, *shape, dtype=torch.float64)
    for i in range(period):
        x[i].select(1 + axis, start + i).fill_(1.0)
    with torch.inference_mode():
        out = network(x)
    others = tuple(a for a in range(1, out.ndim) if a != 2 + axis)
    reached = (out > 0).any(dim=others)
    assert reached.any(dim=1).all()
    return max(int((reached[i].nonzero().ravel() - (start + i)).abs().max()) for i in range(period))


COMBINATIONS = [
    strides for levels in range(1, 5) for strides in itertools.product((1, 2, 3), repeat=levels - 1)
]


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_receptive_field_is_the_measured_one(upsampling: Any) -> None:
    assert len(COMBINATIONS) == 1 + 3 + 9 + 27
    for strides in COMBINATIONS:
        config = UNetConfig(
            features=(1,) * (len(strides) + 1),
            strides=tuple((s, 1) for s in strides),
            norm="none",
            upsampling=upsampling,
        )
        assert config.receptive_field[0] == support(config, 0), strides


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize(
    "strides",
    [
        ((1, 2),),
        ((3, 2), (1, 3)),
        ((2, 3), (2, 1), (3, 2)),
        ((1, 2, 3),),
        ((1, 2, 2), (2, 2, 2)),
        ((1, 3, 2), (2, 1, 3)),
    ],
)
def test_receptive_field_is_measured_per_axis(strides: Any, upsampling: Any) -> None:
    ndim = len(strides[0])
    config = UNetConfig(
        ndim=ndim,
        features=(1,) * (len(strides) + 1),
        strides=strides,
        norm="none",
        upsampling=upsampling,
    )
    assert config.receptive_field == tuple(support(config, axis) for axis in range(ndim))


def test_batch_norm_does_not_widen_the_receptive_field() -> None:
    config = UNetConfig(features=(2, 2, 2), norm="batch")
    network = seeded(config).double()
    x = noise(1, 1, 96, 96).double()
    changed = x.clone()
    changed[0, 0, 50, 49] += 10
    with torch.inference_mode():
        moved = (network(x) != network(changed))[0, 0].nonzero()
    reach = (moved - torch.tensor([50, 49])).abs().max(dim=0).values
    assert moved.numel()
    assert all(int(r) <= f for r, f in zip(reach, config.receptive_field, strict=True))


@given(st.lists(st.integers(1, 4), max_size=4), st.sampled_from(UPSAMPLINGS))
def test_halo_is_the_receptive_field_rounded_up_to_the_stride(
    strides: list[int], upsampling: Any
) -> None:
    config = UNetConfig(
        features=(1,) * (len(strides) + 1),
        strides=tuple((s, 2) for s in strides),
        upsampling=upsampling,
    )
    assert config.stride == (math.prod(strides), 2 ** len(strides))
    for halo, field, stride in zip(config.halo, config.receptive_field, config.stride, strict=True):
        assert halo % stride == 0
        assert field <= halo < field + stride


# Folding


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("ndim", [2, 3])
def test_folded_batch_norm_gives_the_same_output(ndim: int, upsampling: Any) -> None:
    network = seeded(
        UNetConfig(ndim=ndim, in_channels=2, features=(8, 16), upsampling=upsampling, norm="batch")
    )
    folded = fold_batch_norm(copy.deepcopy(network))
    x = noise(2, 2, *((13,) * ndim))
    with torch.inference_mode():
        before, after = network(x), folded(x)
    assert float(before.std()) > 0.01
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)
    assert not any(isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d) for m in folded.modules())


@pytest.mark.parametrize("norm", ["instance", "group", "none"])
def test_folding_leaves_other_normalisations_alone(norm: Any) -> None:
    network = seeded(UNetConfig(features=(4, 8), norm=norm))
    folded = fold_batch_norm(copy.deepcopy(network))
    x = noise(1, 1, 12, 12)
    with torch.inference_mode():
        assert torch.equal(folded(x), network(x))


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_new_network_without_norm_passes_on_the_variance(ndim: int) -> None:
    """Through fourteen layers torch's own draw leaves next to nothing but its biases."""
    torch.manual_seed(0)
    config = UNetConfig(ndim=ndim, out_channels=16, features=(16, 32, 64, 128), norm="none")
    image = torch.randn(1, 1, *([64, 64] if ndim == 2 else [24, 24, 24]))
    with torch.no_grad():
        spread = UNet(config)(image).std()
    assert 0.2 < spread < 5
