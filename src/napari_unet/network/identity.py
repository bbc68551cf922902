"""First weights with which the output of a network is its input."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_unet.network.first_weights import CONVOLUTIONS
from napari_unet.network.unet import UNet

CARRIERS = 2  # channels that carry one of the image: as it is, and negated


def can_be_identity(network: UNet) -> bool:
    """Whether `make_identity` can be done: no norm, as many outputs, and enough channels."""
    config = network.config
    return (
        config.norm == "none"
        and config.in_channels == config.out_channels
        and CARRIERS * config.in_channels <= config.features[0]
    )


@torch.no_grad()
def make_identity(network: UNet) -> None:
    """Change the weights so that the output is the input, in float32 to the bit on a CPU.

    Two channels carry each channel of the image, as it is and negated, since ReLU drops what is
    below zero; the highest skip connection takes them past the other levels. All other channels
    are drawn as before and do not count yet, so that what is learned first is a change of the
    image, as by the residual learning of Zhang et al. 2017 (DnCNN, section III-A); here the way
    past the levels is made of weights that are trained like all others.

    Parameters
    ----------
    network : UNet
        One for which `can_be_identity`.

    Examples
    --------
    >>> from napari_unet.unet_config import UNetConfig
    >>> network = UNet(UNetConfig(features=(4, 8), norm="none"))
    >>> make_identity(network)
    >>> image = torch.randn(1, 1, 5, 6)
    >>> bool((network(image) == image).all())
    True
    """
    channels = network.config.in_channels
    carried = CARRIERS * channels
    blocks = [network.encoder[0], *([network.decoder[0]] if len(network.decoder) else [])]
    convolutions = [m for block in blocks for m in block.modules() if isinstance(m, CONVOLUTIONS)]
    for number, convolution in enumerate(convolutions):
        weight, bias = convolution.parameters()
        weight[:carried] = 0
        bias[:carried] = 0
        taps = _middle_taps(weight)
        for carrier in range(carried):
            if number:
                taps[carrier, carrier] = 1
            else:
                taps[carrier, carrier // CARRIERS] = _sign(carrier)
    weight, bias = network.head.parameters()
    weight.zero_()
    bias.zero_()
    for carrier in range(carried):
        weight[carrier // CARRIERS, carrier] = _sign(carrier)


def _middle_taps(weight: Tensor) -> Tensor:
    """A view of the middle of each kernel: (outputs, inputs)."""
    taps = weight
    for size in weight.shape[:1:-1]:
        taps = taps[..., size // 2]
    return taps


def _sign(carrier: int) -> float:
    return 1.0 if carrier % CARRIERS == 0 else -1.0
