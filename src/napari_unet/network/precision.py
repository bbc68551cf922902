"""Which number format a network runs with: float32, or bfloat16 where a rule says that it pays."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from napari_unet.unet_config import UNetConfig

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


MIN_BFLOAT16_FEATURES = 16  # channels of the first level: docs/decisions/precision.md


@dataclass(frozen=True)
class DeviceCapability:
    """What a device can do, as far as the choice of the number format depends on it.

    Attributes
    ----------
    device : str
        "cpu", "cuda" or "mps".
    bfloat16_matrix_units : bool
        Whether it multiplies bfloat16 matrices in hardware and adds up in float32: AMX on a
        CPU, tensor cores on a GPU. Vector instructions alone (AVX512_BF16) do not count: they
        were no faster than float32.
    """

    device: str
    bfloat16_matrix_units: bool


def device_capability(device: torch.device) -> DeviceCapability:
    """What a device of this machine can do; nothing is timed."""
    units = (device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)) or (
        device.type == "cpu" and _has_amx()
    )
    return DeviceCapability(device.type, units)


def choose_precision(capability: DeviceCapability, config: UNetConfig) -> str:
    """The number format of the forward pass where the setting is "auto".

    bfloat16 where the device has matrix units for it and the network is wide enough to gain
    from them, else float32. A rule and no measurement: equal calls give equal labels.

    Examples
    --------
    >>> wide = UNetConfig(ndim=2, in_channels=1, out_channels=2, features=(32, 64))
    >>> choose_precision(DeviceCapability("cpu", bfloat16_matrix_units=True), wide)
    'bfloat16'
    >>> choose_precision(DeviceCapability("cpu", bfloat16_matrix_units=False), wide)
    'float32'
    """
    wide = config.features[0] >= MIN_BFLOAT16_FEATURES
    return "bfloat16" if capability.bfloat16_matrix_units and wide else "float32"


def _has_amx() -> bool:
    """Whether oneDNN multiplies bfloat16 with AMX, which its environment variable may forbid."""
    highest = os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", ""))
    forbidden = highest.upper() not in ("", "DEFAULT", "ALL") and "AMX" not in highest.upper()
    has_tiles = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)  # since torch 2.6
    return not forbidden and torch.ops.mkldnn._is_mkldnn_bf16_supported() and has_tiles()
