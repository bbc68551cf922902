"""The U-Net: one class, 2D and 3D by the operators it is built from."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_unet.network.first_weights import keep_variance
from napari_unet.unet_config import UNetConfig


class UNet(nn.Module):
    """U-Net with padded 3-wide convolutions: size N in, size N out, at any N.

    Each level is two times (convolution, normalisation, ReLU). The encoder halves the
    resolution by max-pooling; the decoder raises it, concatenates the skip connection
    and convolves; a 1x1 convolution ends it. After Ronneberger et al. 2015 (section 2)
    and, in 3D, Cicek et al. 2016.

    Parameters
    ----------
    config : UNetConfig
        The architecture.

    Examples
    --------
    >>> net = UNet(UNetConfig(ndim=2, in_channels=1, out_channels=2, features=(4, 8)))
    >>> net(torch.zeros(1, 1, 5, 7)).shape
    torch.Size([1, 2, 5, 7])
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = (config.in_channels, *config.features)
        self.encoder = nn.ModuleList(
            _make_block(config, before, after) for before, after in itertools.pairwise(widths)
        )
        pool = nn.MaxPool2d if config.ndim == 2 else nn.MaxPool3d
        self.pool = nn.ModuleList(pool(stride, stride) for stride in config.strides)
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for level, stride in enumerate(config.strides):
            skip, below = config.features[level], config.features[level + 1]
            if config.upsampling == "transposed":
                convolution = nn.ConvTranspose2d if config.ndim == 2 else nn.ConvTranspose3d
                self.up.append(convolution(below, skip, stride, stride))  # type: ignore[arg-type]
                below = skip
            else:
                linear = "bilinear" if config.ndim == 2 else "trilinear"
                mode = "nearest" if config.upsampling == "nearest" else linear
                self.up.append(nn.Upsample(scale_factor=tuple(map(float, stride)), mode=mode))
            self.decoder.append(_make_block(config, skip + below, skip))
        self.head = _make_convolution(config, config.features[0], config.out_channels, 1, bias=True)
        if config.norm == "none":
            keep_variance(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (N, in_channels, [Z,] Y, X) to logits (N, out_channels, [Z,] Y, X)."""
        size = x.shape[2:]
        x = pad_to_stride(x, self.config.stride)
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            if level:
                skips.append(x)
                x = self.pool[level - 1](x)
            x = block(x)
        for level in reversed(range(len(self.decoder))):
            x = self.decoder[level](torch.cat([skips[level], self.up[level](x)], dim=1))
        logits: Tensor = self.head(x)
        for axis, n in enumerate(size, start=2):
            logits = logits.narrow(axis, 0, n)
        return logits


def pad_to_stride(x: Tensor, stride: tuple[int, ...]) -> Tensor:
    """Pad (N, C, *spatial) at the far ends, edge-replicated, to multiples of the stride."""
    missing = [-n % s for n, s in zip(x.shape[2:], stride, strict=True)]
    if not any(missing):
        return x
    pads = [p for m in reversed(missing) for p in (0, m)]
    return F.pad(x, pads, mode="replicate")


class _GroupNorm(nn.GroupNorm):
    """Group normalisation that also takes a single pixel, which torch's modules refuse.

    The deepest level of a small image has one pixel; its group is its own mean.
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


def _make_convolution(
    config: UNetConfig, before: int, after: int, kernel: int, *, bias: bool
) -> nn.Module:
    convolution = nn.Conv2d if config.ndim == 2 else nn.Conv3d
    return convolution(before, after, kernel, padding=kernel // 2, bias=bias)


def _make_block(config: UNetConfig, before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (before, after):
        layers.append(_make_convolution(config, width, after, 3, bias=config.norm == "none"))
        layers.append(_make_norm(config, after))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _make_norm(config: UNetConfig, channels: int) -> nn.Module:
    if config.norm == "batch":
        return nn.BatchNorm2d(channels) if config.ndim == 2 else nn.BatchNorm3d(channels)
    if config.norm == "instance":
        return _GroupNorm(channels, channels)  # one channel a group: instance normalisation
    if config.norm == "group":
        groups = next(g for g in (8, 4, 2, 1) if channels % g == 0)
        return _GroupNorm(groups, channels)
    return nn.Identity()
