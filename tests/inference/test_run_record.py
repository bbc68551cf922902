"""The run record: complete enough to make a result again."""

from __future__ import annotations

import hashlib
import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import napari_unet as nu
from napari_unet.inference.run_record import RunRecord
from napari_unet.installation import package_version, versions
from napari_unet.settings import SegmentSettings

GOLDEN = Path(__file__).parents[1] / "golden" / "format_version_1.safetensors"


def test_versions_are_those_installed() -> None:
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["torch"] == version("torch")
    assert found["numpy"] == np.__version__
    assert "napari-unet-torch" in found


def test_a_distribution_that_is_not_installed_has_an_unknown_version() -> None:
    assert package_version("no-such-distribution-as-this") == "unknown"


def test_finishing_adds_the_time_and_leaves_the_start_as_it_was() -> None:
    content = {"operation": "predict"}
    record = RunRecord(content, clock=0.0)
    closed = record.finish(objects=3)
    assert closed["objects"] == 3
    assert closed["seconds"] > 0
    assert content == {"operation": "predict"}


def test_the_record_of_a_prediction_makes_it_again() -> None:
    image = np.random.default_rng(0).random((45, 2, 30)).astype(np.float32)
    first = nu.predict(image, GOLDEN, axes="YCX", device="cpu", flips=True, tile=16)
    record = json.loads(json.dumps(first.record))  # JSON-ready
    assert record["operation"] == "predict"
    assert record["model"] == {
        "name": "golden-1",
        "sha256": hashlib.sha256(GOLDEN.read_bytes()).hexdigest(),
    }
    assert record["axes"] == "YCX"
    assert record["shape"] == [45, 2, 30]
    assert record["threads"] == torch.get_num_threads()
    assert record["versions"] == versions()
    assert record["tiles"] >= 2
    started = datetime.fromisoformat(record["started"])
    assert abs((datetime.now(UTC) - started).total_seconds()) < 600
    settings = SegmentSettings.model_validate(record["settings"])
    assert settings.flips
    assert settings.precision != "auto"  # resolved: what was done, not what was asked
    assert settings.device == "cpu"
    again = nu.predict(image, GOLDEN, axes=record["axes"], settings=settings)
    np.testing.assert_array_equal(again.scores, first.scores)


def test_pixel_sizes_are_recorded_as_they_are_given(make_model: Any) -> None:
    """The record's axes and pixel size, given again, give the same zoom."""
    model = make_model(pixel_size=(0.5, 0.5))
    image = np.random.default_rng(0).random((24, 30))
    first = nu.predict(image, model, axes="XY", pixel_size=(1, 0.25), device="cpu").record
    assert first["pixel_size"] == [1, 0.25]
    again = nu.predict(
        image, model, axes=first["axes"], pixel_size=first["pixel_size"], device="cpu"
    ).record
    assert again["zoom"] == first["zoom"] == [0.5, 2]
