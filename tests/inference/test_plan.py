"""Automatic tiles: decided by the machine, not by what it is doing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import psutil
import pytest
import torch

from napari_unet.image.normalization import IntensityLimits
from napari_unet.image.source import open_image
from napari_unet.inference.plan import PredictionPlan, plan_prediction, tile_budget
from napari_unet.network.model import Model
from napari_unet.settings import SegmentSettings

MakeModel = Callable[..., Model]

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


def plan_of(make_model: MakeModel, shape: tuple[int, ...], threads: int) -> PredictionPlan:
    image = open_image(np.broadcast_to(np.uint8(0), shape), axes="TYX"[-len(shape) :])
    settings = SegmentSettings(device="cpu", threads=threads)
    limits = IntensityLimits("image", {})
    return plan_prediction(image, make_model(), settings, limits=limits)


def test_a_large_image_has_a_tile_for_each_thread(make_model: MakeModel) -> None:
    one, two, many = (plan_of(make_model, (400, 900), threads) for threads in (1, 2, 500))
    assert (len(one.tiles), one.tiles_at_once) == (1, 1)
    assert (len(two.tiles), two.tiles_at_once) == (2, 2)
    assert two.tiles.tile[1] <= 452  # along its longest side
    pixels = [sum(np.prod(t.read_shape) for t in each.tiles) for each in (one, two, many)]
    assert pixels[2] <= 1.25 * pixels[0]
    assert 2 < len(many.tiles) < 500


@pytest.mark.parametrize(("total", "most"), [(4, 1), (8, 2), (64, 16)])
def test_tiles_of_a_deep_network_take_more_memory_where_there_is_some(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, total: int, most: int
) -> None:
    budget_of(monkeypatch, total * GIB, total * GIB)
    model = make_model(ndim=3, features=(16, 32, 64, 128))
    image = open_image(np.broadcast_to(np.uint8(0), (64, 256, 256)), axes="ZYX")
    settings = SegmentSettings(device="cpu", threads=1)
    plan = plan_prediction(image, model, settings, limits=IntensityLimits("image", {}))
    computed = sum(np.prod(tile.read_shape) for tile in plan.tiles) / (64 * 256 * 256)
    assert plan.tile_bytes <= most * GIB
    assert (computed <= 2) == (total > 8)
    assert plan.tiles_at_once == 1 or plan.tiles_at_once * plan.tile_bytes <= total * GIB // 4


def test_tiles_that_would_be_mostly_halo_stay_whole(make_model: MakeModel) -> None:
    assert len(plan_of(make_model, (30, 30), 2).tiles) == 1


def test_frames_are_tiles_enough(make_model: MakeModel) -> None:
    plan = plan_of(make_model, (3, 400, 900), 3)
    assert (len(plan.tiles), plan.total, plan.tiles_at_once) == (1, 3, 3)


def test_tiles_that_run_at_once_share_the_memory(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(make_model, (8, 400, 900), 8)
    assert plan.tiles_at_once == 8
    memory = psutil.virtual_memory()._replace(total=12 * plan.tile_bytes, available=10**15)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    assert plan.tiles_at_once == 3
    tight = memory._replace(available=2 * plan.tile_bytes)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: tight)
    assert plan.tiles_at_once == 2
