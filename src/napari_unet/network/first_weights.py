"""The weights that a network without normalisation begins with."""

from __future__ import annotations

from torch import nn

CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def keep_variance(network: nn.Module) -> None:
    """Draw weights with which each layer passes on the variance of its input.

    Gaussian of standard deviation sqrt(2 / N), N inputs (Ronneberger et al. 2015, section 3;
    He et al. 2015). torch's own draw makes each layer's output smaller, which a normalisation
    hides; without one the deep levels have nothing left to say.
    """
    for module in network.modules():
        if isinstance(module, CONVOLUTIONS):
            last = all(kernel == 1 for kernel in module.kernel_size)  # no ReLU behind it
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear" if last else "relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
