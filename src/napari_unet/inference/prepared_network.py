"""A network made fast for prediction on one device."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_unet.errors import SettingsError
from napari_unet.network.precision import DTYPES, choose_precision, device_capability
from napari_unet.network.unet import UNet


@dataclass(frozen=True)
class PreparedNetwork:
    """A copy of a network made fast for prediction on one device.

    Evaluation mode, batch norm folded into the convolutions, channels last, weights in the
    number format of ``precision``. The first convolution and the last two stay in float32:
    they are where rounding moves the outlines of objects most.
    """

    network: UNet
    device: torch.device
    precision: str

    def __call__(self, block: NDArray[Any]) -> Tensor:
        """Logits (C_out, *spatial) in float32, on the device, of a block (C_in, *spatial)."""
        config = self.network.config
        # an own scope for each tile: around a yield the mode would leak into the caller
        with torch.inference_mode(), _exact_convolutions():
            x = torch.from_numpy(np.ascontiguousarray(block, np.float32))[None]
            x = x.to(self.device, DTYPES[self.precision], memory_format=_format(config.ndim))
            logits: Tensor = self.network(x)
            return logits[0].float()


def prepare_network(
    network: UNet, device: torch.device, precision: str = "auto"
) -> PreparedNetwork:
    """Prepare a network for prediction; "auto" is decided by `choose_precision`.

    Raises
    ------
    SettingsError
        If the number format does not run on the device.
    """
    if precision == "auto":
        precision = choose_precision(device_capability(device), network.config)
    single = fold_batch_norm(copy.deepcopy(network).eval().requires_grad_(requires_grad=False))
    single = single.to(device)
    fast = single if precision == "float32" else _reduce_format(single, DTYPES[precision])
    fast = fast.to(memory_format=_format(network.config.ndim))  # type: ignore[call-overload]
    prepared = PreparedNetwork(fast, device, precision)
    if precision != "float32":
        try:
            prepared(np.zeros((network.config.in_channels, *network.config.stride), np.float32))
        except RuntimeError:
            raise SettingsError(
                f"⟨precision⟩ {precision!r} does not run on {device}",
                "choose 'auto' or 'float32'",
                parameter="precision",
                value=precision,
            ) from None
    return prepared


def on_cpu(prepared: PreparedNetwork) -> PreparedNetwork:
    """The same network on the CPU, in float32."""
    network = copy.deepcopy(prepared.network).to("cpu", torch.float32)
    return PreparedNetwork(network, torch.device("cpu"), "float32")


def fold_batch_norm(network: UNet) -> UNet:
    """Fold each batch normalisation into the convolution before it, in place.

    The network must be in evaluation mode; its outputs stay equal but for rounding.
    """
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            for i in range(len(module) - 1):
                first, second = module[i], module[i + 1]
                if isinstance(first, nn.Conv2d | nn.Conv3d) and isinstance(
                    second, nn.BatchNorm2d | nn.BatchNorm3d
                ):
                    module[i] = nn.utils.fusion.fuse_conv_bn_eval(first, second)
                    module[i + 1] = nn.Identity()
    return network


class _SinglePrecision(nn.Module):
    """A layer in float32 among others in any number format."""

    def __init__(self, layer: nn.Module, *, restore_format: bool = False) -> None:
        super().__init__()
        self.layer = layer
        self.restore_format = restore_format  # that of the input

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x.float())
        return y.to(x.dtype) if self.restore_format else y


def _reduce_format(single: UNet, dtype: torch.dtype) -> UNet:
    """The network in a reduced number format, but for its first and its last layers."""
    fast = copy.deepcopy(single).to(dtype)
    first, exact_first = cast(nn.Sequential, fast.encoder[0]), single.encoder[0]
    last = cast(nn.Sequential, (fast.decoder or fast.encoder)[0])
    exact_last = cast(nn.Sequential, (single.decoder or single.encoder)[0])
    first[0] = _SinglePrecision(cast(nn.Sequential, exact_first)[0], restore_format=True)
    last[3], last[4] = _SinglePrecision(exact_last[3]), exact_last[4]  # convolution and norm
    fast.head = single.head
    return fast


def _exact_convolutions() -> AbstractContextManager[None]:
    """Keep cuDNN from rounding float32 convolutions to TF32, which has ten bits of mantissa."""
    cudnn = torch.backends.cudnn
    return cudnn.flags(
        enabled=cudnn.enabled,
        benchmark=cudnn.benchmark,
        deterministic=cudnn.deterministic,
        allow_tf32=False,
    )


def _format(ndim: int) -> torch.memory_format:
    return torch.channels_last if ndim == 2 else torch.channels_last_3d
