"""Automatic tiles: decided by the machine, not by what it is doing."""

from __future__ import annotations

import psutil
import pytest
import torch

from napari_unet.inference.plan import tile_budget

CPU = torch.device("cpu")
GIB = 1 << 30


def budget_of(monkeypatch: pytest.MonkeyPatch, total: float, free: float) -> int:
    memory = psutil.virtual_memory()._replace(total=int(total), available=int(free))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    return tile_budget(CPU)


@pytest.mark.parametrize("free", [1.01, 2, 3.5, 7])
def test_other_programs_do_not_change_the_tiles(
    monkeypatch: pytest.MonkeyPatch, free: float
) -> None:
    assert budget_of(monkeypatch, 8 * GIB, free * GIB) == GIB


def test_a_small_machine_has_smaller_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    assert budget_of(monkeypatch, 2 * GIB, 2 * GIB) == GIB // 2


def test_memory_that_is_not_free_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert budget_of(monkeypatch, 8 * GIB, 0.3 * GIB) == GIB // 4
    assert budget_of(monkeypatch, 8 * GIB, 0) > 0
