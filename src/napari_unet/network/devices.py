"""Which device a network runs on, its memory, and how the lack of it is recognised."""

from __future__ import annotations

import torch

from napari_unet.errors import SettingsError


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
                f"⟨device⟩ {name!r} is not here: this machine has {count} CUDA device(s)",
                "choose 'auto' or 'cpu'",
                parameter="device",
                value=name,
            )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise SettingsError(
            "⟨device⟩ 'mps' needs an Apple GPU",
            "choose 'auto' or 'cpu'",
            parameter="device",
            value=name,
        )
    return device


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
