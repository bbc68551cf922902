"""A base network for other channels and outputs: what is kept, what is renewed."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_unet.errors import SettingsError
from napari_unet.network.adaptation import adapt_network
from napari_unet.network.unet import UNet
from napari_unet.unet_config import UNetConfig


def made(ndim: int = 2, in_channels: int = 1, out_channels: int = 2, norm: Any = "batch") -> UNet:
    """A network in evaluation mode with batch-norm statistics that matter."""
    config = UNetConfig(
        ndim=ndim,
        in_channels=in_channels,
        out_channels=out_channels,
        features=(4, 6),
        strides=((1, 2, 2)[-ndim:],),
        norm=norm,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = UNet(config)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                module.running_var.uniform_(0.2, 0.6)  # type: ignore[union-attr]
    return network.eval()


def noise(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(5).random(shape, dtype=np.float32))


def states_equal(one: nn.Module, other: nn.Module, *, but: tuple[str, ...] = ()) -> bool:
    a, b = one.state_dict(), other.state_dict()
    assert a.keys() == b.keys()
    return all(torch.equal(a[k], b[k]) for k in a if not k.startswith(but or ("-",)))


@pytest.mark.parametrize("ndim", [2, 3])
def test_same_numbers_give_a_plain_copy(ndim: int) -> None:
    base = made(ndim)
    network, sentences = adapt_network(base, 1, 2, seed=0)
    assert sentences == ()
    assert network is not base
    assert network.config == base.config
    assert states_equal(network, base)
    with torch.no_grad():
        next(network.parameters()).add_(1)
    assert not states_equal(network, base)  # nothing is shared


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (2, 5), (4, 2)])
@pytest.mark.parametrize("ndim", [2, 3])
def test_equal_channels_give_the_outputs_of_the_base(
    ndim: int, before: int, after: int, norm: str
) -> None:
    base = made(ndim, in_channels=before, norm=norm)
    network, sentences = adapt_network(base, after, 2, seed=0)
    x = noise(2, 1, *(6, 9, 8)[-ndim:])
    spread = (-1, *[-1] * ndim)
    with torch.inference_mode():
        expected = base(x.expand(spread[0], before, *spread[1:]))
        found = network(x.expand(spread[0], after, *spread[1:]))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert len(sentences) == 1
    assert "first layer" in sentences[0]
    assert str(before) in sentences[0]
    assert str(after) in sentences[0]


def test_every_new_channel_counts_and_all_other_weights_stay() -> None:
    base = made()
    network, _ = adapt_network(base, 3, 2, seed=0)
    assert states_equal(network, base, but=("encoder.0.0.weight",))
    x = noise(1, 3, 8, 8)
    with torch.inference_mode():
        reference = network(x)
        for channel in range(3):
            changed = x.clone()
            changed[:, channel] += 0.5
            assert not torch.allclose(network(changed), reference)


@pytest.mark.parametrize("ndim", [2, 3])
def test_other_outputs_renew_the_head_alone(ndim: int) -> None:
    base = made(ndim)
    network, sentences = adapt_network(base, 1, 5, seed=0)
    assert sentences == (
        "The last layer was renewed: the base gives 2 outputs, the examples need 5.",
    )
    a, b = network.state_dict(), base.state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a if not k.startswith("head."))
    with torch.inference_mode():
        out = network(noise(1, 1, *(4, 6, 8)[-ndim:]))
    assert out.shape == (1, 5, *(4, 6, 8)[-ndim:])
    assert len({float(v) for v in out[0, :, ..., 0].flatten(1)[:, 0]}) == 5


def test_the_seed_decides_the_head_and_its_spread_is_that_of_torch() -> None:
    base = made(out_channels=1)
    heads = [adapt_network(base, 1, 400, seed=s)[0].head.state_dict() for s in (1, 1, 2)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        usual = nn.Conv2d(4, 400, 1).state_dict()
    for name in ("weight", "bias"):
        assert torch.equal(heads[0][name], heads[1][name])
        assert not torch.equal(heads[0][name], heads[2][name])
        found, expected = heads[0][name].std().item(), usual[name].std().item()
        assert found == pytest.approx(expected, rel=0.15)
        assert heads[0][name].abs().max() <= usual[name].abs().max() * 1.05


def test_the_head_is_renewed_on_request_though_the_number_is_the_same() -> None:
    base = made()
    network, sentences = adapt_network(base, 1, 2, seed=0, renew_head=True)
    assert len(sentences) == 1
    assert "last layer" in sentences[0]
    assert not states_equal(network.head, base.head)
    assert states_equal(network, base, but=("head.",))


def test_both_ends_renewed_are_both_said() -> None:
    network, sentences = adapt_network(made(), 2, 1, seed=0)
    assert (network.config.in_channels, network.config.out_channels) == (2, 1)
    assert [s.split(" was")[0] for s in sentences] == ["The first layer", "The last layer"]


def test_base_and_random_state_stay_and_the_architecture_is_the_same() -> None:
    base = made(norm="none")
    before = copy.deepcopy(base.state_dict())
    random = torch.get_rng_state()
    network, _ = adapt_network(base, 4, 3, seed=7)
    assert torch.equal(torch.get_rng_state(), random)
    assert base.config == made(norm="none").config
    assert all(torch.equal(before[k], v) for k, v in base.state_dict().items())
    changed = {"in_channels": 4, "out_channels": 3}
    assert network.config == base.config.model_copy(update=changed)
    # the copy is what its config describes: a network built from it takes the weights
    UNet(network.config).load_state_dict(network.state_dict())


@pytest.mark.parametrize("training", [True, False])
def test_mode_number_format_and_gradients_are_kept(training: bool) -> None:
    base = made().double().train(training)
    network, _ = adapt_network(base, 2, 3, seed=0)
    assert all(m.training == training for m in network.modules())
    assert all(p.dtype == torch.float64 and p.requires_grad for p in network.parameters())
    assert network(noise(2, 2, 8, 8).double()).dtype == torch.float64


def test_the_adapted_network_learns_in_every_layer() -> None:
    network, _ = adapt_network(made().train(), 3, 1, seed=0)
    network(noise(2, 3, 8, 8)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize(("inputs", "outputs", "named"), [(0, 1, "in_"), (1, -2, "out_")])
def test_impossible_numbers_are_refused(inputs: int, outputs: int, named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        adapt_network(made(), inputs, outputs, seed=0)
