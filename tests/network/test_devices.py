"""The devices of a machine, what they can do, and the number format that follows from it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from napari_unet.errors import SettingsError
from napari_unet.network.devices import resolve_device
from napari_unet.network.precision import DeviceCapability, choose_precision, device_capability
from napari_unet.unet_config import UNetConfig

CPU = torch.device("cpu")


def machine(monkeypatch: pytest.MonkeyPatch, *, cuda: int = 0, mps: bool = False) -> None:
    """Pretend that the machine has these devices."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


# Choice of the device


def test_auto_takes_cuda_then_mps_then_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, cuda=1, mps=True)
    assert resolve_device("auto").type == "cuda"
    machine(monkeypatch, mps=True)
    assert resolve_device("auto").type == "mps"
    machine(monkeypatch)
    assert resolve_device("auto").type == "cpu"


def test_named_devices_that_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, cuda=2, mps=True)
    assert [str(resolve_device(n)) for n in ("cpu", "cuda", "cuda:1", "mps")] == [
        "cpu",
        "cuda",
        "cuda:1",
        "mps",
    ]


@pytest.mark.parametrize(("name", "cuda"), [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2), ("mps", 0)])
def test_a_device_that_is_not_here_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, cuda: int
) -> None:
    machine(monkeypatch, cuda=cuda)
    with pytest.raises(SettingsError, match=f"'{name}'") as caught:
        resolve_device(name)
    assert "choose 'auto' or 'cpu'" in str(caught.value)


def test_devices_can_be_named_without_touching_them(monkeypatch: pytest.MonkeyPatch) -> None:
    # a machine without CUDA has no device_count to ask
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1 / 0)
    with pytest.raises(SettingsError):
        resolve_device("cuda")


# Choice of the number format


@pytest.mark.parametrize(
    ("features", "units", "expected"),
    [
        ((16, 32), True, "bfloat16"),
        ((64, 128), True, "bfloat16"),
        ((8, 256), True, "float32"),  # too narrow to gain
        ((16, 32), False, "float32"),
    ],
)
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_rule(
    device: str, ndim: Any, features: tuple[int, ...], units: bool, expected: str
) -> None:
    config = UNetConfig(ndim=ndim, in_channels=1, out_channels=2, features=features)
    assert choose_precision(DeviceCapability(device, units), config) == expected


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (None, True),
        ("DEFAULT", True),
        ("AVX512_CORE_AMX", True),
        ("avx10_1_512_amx_fp16", True),
        ("AVX512_CORE_BF16", False),
        ("AVX2", False),
    ],
)
def test_amx_can_be_forbidden(
    monkeypatch: pytest.MonkeyPatch, setting: str | None, expected: bool
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    if setting is not None:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", setting)
    assert device_capability(CPU) == DeviceCapability("cpu", expected)


@pytest.mark.parametrize("missing", ["oneDNN", "processor", "torch"])
def test_a_processor_without_amx(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.setattr(
        torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: missing != "oneDNN", raising=False
    )
    monkeypatch.setattr(
        torch.cpu, "_is_amx_tile_supported", lambda: missing != "processor", raising=False
    )
    if missing == "torch":  # an older one
        monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    assert not device_capability(CPU).bfloat16_matrix_units
