"""A trained network for other input channels or outputs than it was made for."""

from __future__ import annotations

import copy
import math
from typing import cast

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from napari_unet.errors import describe_validation
from napari_unet.network.unet import UNet
from napari_unet.unet_config import UNetConfig


def adapt_network(
    network: UNet, in_channels: int, out_channels: int, *, seed: int, renew_head: bool = False
) -> tuple[UNet, tuple[str, ...]]:
    """Copy a network for another number of input channels or outputs.

    All else is kept: levels, strides, the other weights, batch-norm statistics, mode.

    **First layer.** Each new channel gets the sum of the old input weights divided by the
    new number of channels (a mean repeated over channels is Wang et al. 2016, cross-modality
    pre-training; the division, so that equal inputs give an equal response, is Carreira &
    Zisserman 2017). Where all channels show one image, before and after, the outputs are
    the base's; elsewhere its batch-norm statistics still fit about. Which new channel
    corresponds to which old one is not known, so none is preferred.

    **Last layer.** The 1x1 convolution is drawn anew, uniformly within ±1/sqrt(inputs) as
    torch does; old outputs stand for other classes, so none of them is carried over.

    Parameters
    ----------
    network : UNet
        The base. It is not changed.
    in_channels, out_channels : int
        Channels that the examples have, outputs that their labels need; at least 1.
    seed : int
        Seed of the new last layer. The caller's random state is neither used nor changed.
    renew_head : bool
        Renew the last layer though the number of outputs is the same: for other classes,
        or another task.

    Returns
    -------
    UNet
        The copy, on the same device, in the same number format.
    tuple of str
        What was renewed, one sentence each; empty if nothing was.

    Raises
    ------
    SettingsError
        If a number of channels is below 1.

    Examples
    --------
    >>> base = UNet(UNetConfig(in_channels=1, out_channels=2, features=(4, 8)))
    >>> network, sentences = adapt_network(base, 3, 2, seed=0)
    >>> network.config.in_channels, network(torch.zeros(1, 3, 8, 8)).shape
    (3, torch.Size([1, 2, 8, 8]))
    >>> sentences[0]
    'The first layer was renewed: the base takes 1 channel, the examples have 3.'
    """
    old = network.config
    try:
        config = UNetConfig.model_validate(
            {**old.model_dump(), "in_channels": in_channels, "out_channels": out_channels}
        )
    except ValidationError as error:
        raise describe_validation(error) from None
    adapted = copy.deepcopy(network)
    adapted.config = config
    sentences: list[str] = []
    if in_channels != old.in_channels:
        _spread_input_weights(_convolution(adapted, "encoder.0.0"), in_channels)
        sentences.append(
            f"The first layer was renewed: the base takes {_count(old.in_channels, 'channel')}, "
            f"the examples have {in_channels}."
        )
    if out_channels != old.out_channels:
        sentences.append(
            f"The last layer was renewed: the base gives {_count(old.out_channels, 'output')}, "
            f"the examples need {out_channels}."
        )
    elif renew_head:
        sentences.append(
            "The last layer was renewed: the examples ask for something else than the base gives."
        )
    if out_channels != old.out_channels or renew_head:
        _reset_head(_convolution(adapted, "head"), out_channels, seed)
    return adapted, tuple(sentences)


def _convolution(network: UNet, name: str) -> nn.Conv2d | nn.Conv3d:
    return cast("nn.Conv2d | nn.Conv3d", network.get_submodule(name))


def _spread_input_weights(first: nn.Conv2d | nn.Conv3d, in_channels: int) -> None:
    """Spread the input weights evenly over so many channels; the bias stays."""
    total = first.weight.detach().sum(dim=1, keepdim=True) / in_channels
    repeats = [1, in_channels, *[1] * (total.ndim - 2)]
    first.weight = _parameter_like(first.weight, total.repeat(repeats))
    first.in_channels = in_channels


def _reset_head(head: nn.Conv2d | nn.Conv3d, out_channels: int, seed: int) -> None:
    """Draw the weights and the bias of the last layer anew, for so many outputs."""
    # a generator of its own: torch.manual_seed would reseed the GPUs of the caller as well
    generator = torch.Generator().manual_seed(seed)
    bound = 1 / math.sqrt(head.weight[0].numel())
    shape = (out_channels, *head.weight.shape[1:])
    head.weight = _parameter_like(
        head.weight, torch.empty(shape).uniform_(-bound, bound, generator=generator)
    )
    if head.bias is not None:
        head.bias = _parameter_like(
            head.bias, torch.empty(out_channels).uniform_(-bound, bound, generator=generator)
        )
    head.out_channels = out_channels


def _parameter_like(old: Tensor, values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.to(old), requires_grad=old.requires_grad)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
