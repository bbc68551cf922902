"""What a run is said to cost: every part of it that takes time counts."""

from __future__ import annotations

import shutil
import time
from collections import namedtuple
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import napari_unet as nu
from napari_unet.image.source import open_image
from napari_unet.inference import cost
from napari_unet.inference.cost import estimate_cost, learn_pace

SETTINGS = nu.SegmentSettings(device="cpu", tile=64)


class Slow:
    """An array of which reading takes long."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        time.sleep(0.05)
        return self._array[index]


def seconds(image: Any, rates: dict[Any, float] | None = None, **settings: Any) -> float:
    source = open_image(image, axes="ZYX"[-len(image.shape) :])
    wanted = SETTINGS.model_copy(update=settings)
    return estimate_cost(source, "nuclei", wanted, rates=rates).seconds


def test_reading_limits_and_decoding_count(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.zeros((3, 128, 128), np.uint8)
    monkeypatch.setattr(cost, "measure_rate", lambda _: 0.0)
    for name in ("measure_decoding_rate", "measure_limits_rate", "measure_reading_rate"):
        with monkeypatch.context() as only:
            for other in ("measure_decoding_rate", "measure_limits_rate", "measure_reading_rate"):
                only.setattr(cost, other, lambda *_, same=other == name: float(same))
            pixels = image.size * (2 if name == "measure_reading_rate" else 1)
            assert seconds(image) == pixels


def test_a_slow_file_is_timed_and_an_array_is_not_read() -> None:
    image = np.zeros((3, 64, 64), np.uint8)
    assert cost.measure_reading_rate(open_image(image, axes="ZYX")) == 0
    slow = cost.measure_reading_rate(open_image(Slow(image), axes="ZYX"))
    assert slow * 64 * 64 >= 0.05


def test_the_next_estimate_knows_how_long_a_run_took() -> None:
    rates: dict[Any, float] = {}
    image = np.zeros((64, 64), np.uint8)
    source = open_image(image, axes="YX")
    first = estimate_cost(source, "nuclei", SETTINGS, rates=rates)
    learn_pace(rates, replace(first, seconds=0.1), 3.0)  # its layer took longer than itself
    assert seconds(image, rates) == first.seconds
    long = replace(first, seconds=10.0)
    learn_pace(rates, long, 30.0)
    assert seconds(image, rates) == pytest.approx(3 * first.seconds)


def test_without_room_for_machine_code_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_unet.instances import _kernels

    def one(x: Any) -> Any:
        return x + 1

    kept: Any = _kernels.compiled(one)
    assert kept.stats.cache_path
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 0))
    full: Any = _kernels.compiled(one)
    assert full.stats.cache_path is None
    assert full(1) == 2
