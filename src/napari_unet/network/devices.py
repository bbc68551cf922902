"""Which device and number format a network runs with."""

from __future__ import annotations

import copy
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_unet.errors import SettingsError
from napari_unet.network.unet import UNet, fold_batch_norm

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def resolve_device(name: str) -> torch.device:
    """The torch device for a setting; "auto" takes CUDA, then MPS, then the CPU.

    Raises
    ------
    SettingsError
        If the machine does not have the device.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise SettingsError(
                f"device {name!r} is not here: this machine has {count} CUDA device(s); "
                "choose 'auto' or 'cpu'."
            )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise SettingsError("device 'mps' needs an Apple GPU; choose 'auto' or 'cpu'.")
    return device


@dataclass(frozen=True)
class PreparedNetwork:
    """A copy of a network made fast for prediction on one device.

    Evaluation mode, batch norm folded into the convolutions, channels last, weights in
    the number format of ``precision``.
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


def _exact_convolutions() -> AbstractContextManager[None]:
    """Keep cuDNN from rounding float32 convolutions to TF32, which has ten bits of mantissa."""
    cudnn = torch.backends.cudnn
    return cudnn.flags(
        enabled=cudnn.enabled,
        benchmark=cudnn.benchmark,
        deterministic=cudnn.deterministic,
        allow_tf32=False,
    )


def prepare_network(
    network: UNet, device: torch.device, precision: str = "auto"
) -> PreparedNetwork:
    """Prepare a network for prediction; ``precision`` "auto" is settled by a race.

    Raises
    ------
    SettingsError
        If the number format does not run on the device.
    """
    if precision == "auto":
        precision = _race(network, device)
    prepared = _prepare(network, device, precision)
    if precision != "float32":
        try:
            prepared(_probe(network, 1))
        except RuntimeError:
            raise SettingsError(
                f"precision {precision!r} does not run on {device}; choose 'auto' or 'float32'."
            ) from None
    return prepared


def training_precision(precision: str, device: torch.device) -> str:
    """The number format of a training's forward pass; "auto": bfloat16 where it is native."""
    if precision == "auto":
        native = (device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()) or (
            device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        )
        return "bfloat16" if native else "float32"
    if precision == "float16":
        raise SettingsError(
            "precision 'float16' loses small gradients in training; use 'auto' or 'bfloat16'."
        )
    return precision


def on_cpu(prepared: PreparedNetwork) -> PreparedNetwork:
    """The same network on the CPU, in float32."""
    network = copy.deepcopy(prepared.network).to("cpu", torch.float32)
    return PreparedNetwork(network, torch.device("cpu"), "float32")


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _prepare(network: UNet, device: torch.device, precision: str) -> PreparedNetwork:
    fast = fold_batch_norm(copy.deepcopy(network).eval().requires_grad_(requires_grad=False))
    fast = fast.to(device, DTYPES[precision])
    fast = fast.to(memory_format=_format(network.config.ndim))  # type: ignore[call-overload]
    return PreparedNetwork(fast, device, precision)


def _format(ndim: int) -> torch.memory_format:
    return torch.channels_last if ndim == 2 else torch.channels_last_3d


def _race(network: UNet, device: torch.device) -> str:
    """The faster of bfloat16 and float32 on one small tile of this device."""
    if device.type == "mps":
        return "float32"
    # without hardware support bfloat16 convolutions are up to 25 times slower: no race then
    if device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return "float32"
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "float32"
    block = _probe(network, 256 if network.config.ndim == 2 else 48)
    times = {}
    for precision in ("float32", "bfloat16"):
        runner = _prepare(network, device, precision)
        runner(block)
        synchronize(device)
        start = time.perf_counter()
        runner(block)
        synchronize(device)
        times[precision] = time.perf_counter() - start
    return min(times, key=times.__getitem__)


def _probe(network: UNet, size: int) -> NDArray[np.float32]:
    config = network.config
    shape = tuple(-(-size // s) * s for s in config.stride)
    return np.zeros((config.in_channels, *shape), np.float32)
