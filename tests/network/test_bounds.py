"""Bounds of what a model file may ask for: told in one sentence, before anything is allocated."""

from __future__ import annotations

import json
import math
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

import napari_unet as nu
from napari_unet.card import Normalization
from napari_unet.errors import ModelError, SettingsError
from napari_unet.network.files import (
    CARD_KEY,
    MAX_HEADER_BYTES,
    bundled_names,
    list_models,
    read_header,
)
from napari_unet.network.model import Model
from napari_unet.unet_config import MAX_CHANNELS, MAX_LEVELS, UNetConfig

MakeModel = Callable[..., Model]


def walked_radius(config: UNetConfig, axis: int) -> int:
    """The receptive field, found by following each pixel of a stride through the network."""
    strides = [s[axis] for s in config.strides]

    def encoder(level: int, low: int, high: int) -> tuple[int, int]:
        low, high = low - 2, high + 2
        if level == 0:
            return low, high
        s = strides[level - 1]
        return encoder(level - 1, low * s, high * s + s - 1)

    def decoder(level: int, low: int, high: int) -> tuple[int, int]:
        if level == len(strides):
            return encoder(level, low, high)
        low, high = low - 2, high + 2
        s = strides[level]
        if config.upsampling == "linear":
            below = (2 * low + 1 - s) // (2 * s), -(-(2 * high + 1 - s) // (2 * s))
        else:
            below = low // s, high // s
        skip, deep = encoder(level, low, high), decoder(level + 1, *below)
        return min(skip[0], deep[0]), max(skip[1], deep[1])

    spans = (decoder(0, p, p) for p in range(math.prod(strides)))
    return max(max(p - low, high - p) for p, (low, high) in enumerate(spans))


@given(
    st.lists(st.integers(1, 8), max_size=MAX_LEVELS - 1).filter(lambda s: math.prod(s) <= 256),
    st.sampled_from(["nearest", "linear", "transposed"]),
)
def test_the_halo_equals_the_walk_of_each_pixel(strides: list[int], upsampling: Any) -> None:
    config = UNetConfig(
        features=(1,) * (len(strides) + 1),
        strides=tuple((1, s) for s in strides),
        upsampling=upsampling,
    )
    assert config.receptive_field[1] == walked_radius(config, 1)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"features": (10**30, 8)}, "features"),
        ({"features": (MAX_CHANNELS + 1,)}, "features"),
        ({"features": (1,) * (MAX_LEVELS + 1)}, "features"),
        ({"features": (1,) * 100_000}, "features"),
        ({"in_channels": 2**40}, "in_channels"),
        ({"out_channels": 2**40}, "out_channels"),
        ({"ndim": 10**9, "features": (1, 1)}, "ndim"),
        ({"features": (1,) * 6, "strides": ((1, 8),) * 5}, "32768"),
        ({"features": (1,) * 9, "strides": ((8, 8),) * 8}, "strides come to"),
        ({"ndim": 3, "features": (1,) * 4, "strides": ((4, 4, 4),) * 3}, "262144|in all"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_absurd_architecture_is_refused(fields: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError, match=where):
        UNetConfig(**fields)


def with_card(source: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a model file whose card is changed."""
    raw = source.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    card = json.loads(header["__metadata__"][CARD_KEY])
    change(card)
    sys.set_int_max_str_digits(0)
    header["__metadata__"][CARD_KEY] = json.dumps(card)
    text = json.dumps(header).encode()
    target.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])
    return target


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def set_field(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(card: dict[str, Any]) -> None:
        *outer, last = path.split(".")
        for name in outer:
            card = card[name]
        card[last] = value

    return change


RECORD = {
    "examples": 1,
    "labelled_pixels": 1,
    "data_sha256": "",
    "steps": 1,
    "seconds": 1,
    "seed": 1,
    "versions": {},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("architecture.features", [10**30, 8]),
        ("architecture.strides", [[8, 8]] * 9),
        ("architecture.features", [1] * 3000),
        ("decoding.min_size", 10**24),
        ("training", {**RECORD, "config": nested(900)}),
        ("training", {**RECORD, "config": nested(60)}),
        ("training", {**RECORD, "seed": 10**400}),
        ("output_limits", [[-1e308, 1e308], [0, 1]]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_absurd_card_is_damaged_in_one_sentence(
    tmp_path: Path, make_model: MakeModel, path: str, value: Any
) -> None:
    file = make_model().save(tmp_path / "good")
    bad = with_card(file, tmp_path / "bad.safetensors", set_field(path, value))
    with pytest.raises(ModelError, match="damaged") as caught:
        read_header(bad)
    assert len(str(caught.value)) < 400
    with pytest.raises(ModelError, match="damaged"):
        Model.load(bad)


def test_a_header_larger_than_a_models_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "wide.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", MAX_HEADER_BYTES + 8) + b'{"__metadata__":{}')
        file.truncate(MAX_HEADER_BYTES + 64)
    with pytest.raises(ModelError, match="header"):
        read_header(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_folders_and_devices_are_no_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_model: MakeModel
) -> None:
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(tmp_path))
    make_model().save(tmp_path / "mine")
    os.mkfifo(tmp_path / "pipe.safetensors")  # to open one waits for a writer, for ever
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "zero.safetensors").symlink_to("/dev/zero")
    (tmp_path / "loop.safetensors").symlink_to("loop.safetensors")
    assert {"mine"} < {card.name for card in list_models()} <= {"mine", *bundled_names()}
    with pytest.raises(ModelError, match="cannot be read"):
        Model.load(tmp_path / "loop.safetensors")
    for name in ("pipe", "folder", "zero"):
        with pytest.raises(ModelError, match=r"regular file|folder"):
            Model.load(tmp_path / f"{name}.safetensors")
        with pytest.raises(ModelError, match="not a file"):
            read_header(tmp_path / f"{name}.safetensors")


def test_weights_that_are_no_numbers_are_told_of_the_model(
    tmp_path: Path, make_model: MakeModel
) -> None:
    file = make_model().save(tmp_path / "good")
    content = load_file(file)
    content["network.head.bias"][0] = float("nan")
    path = tmp_path / "nan.safetensors"
    card = read_header(file).model_dump_json()
    save_file(content, path, metadata={CARD_KEY: card})
    with pytest.raises(ModelError, match=r"nan\.safetensors.*NaN"):
        Model.load(path)


def test_scores_that_overflow_are_told_of_the_model(tmp_path: Path, make_model: MakeModel) -> None:
    file = make_model().save(tmp_path / "good")
    content = load_file(file)
    content["network.encoder.0.0.weight"] *= 1e38
    content["network.encoder.0.3.weight"] *= 1e38
    path = tmp_path / "wild.safetensors"
    save_file(content, path, metadata={CARD_KEY: read_header(file).model_dump_json()})
    image = np.random.default_rng(0).random((32, 32), np.float32)
    with pytest.raises(ModelError, match="'random' gives values that are NaN or infinite"):
        nu.segment(image, path, device="cpu", precision="float32")


def test_limits_that_overflow_are_told_with_the_model(make_model: MakeModel) -> None:
    image = np.random.default_rng(0).random((32, 32), np.float32)
    limits = Normalization(mode="range", limits=((0.0, 1e-300),))
    with pytest.raises(ModelError, match="with intensities from 0 to 1e-300"):
        nu.segment(image, make_model(), normalization=limits, device="cpu", precision="float32")
    with pytest.raises(SettingsError, match="less than or equal"):
        nu.segment(image, make_model(), normalization={"mode": "range", "limits": [(0, 1e308)]})


def test_a_stored_test_of_many_pixels_is_not_run(tmp_path: Path, make_model: MakeModel) -> None:
    file = make_model().save(tmp_path / "good")
    content = load_file(file)
    content["test.input"] = torch.zeros(1, 1, 1024, 1024)
    content["test.output"] = torch.zeros(1, 2, 1024, 1024)
    path = tmp_path / "wide.safetensors"
    save_file(content, path, metadata={CARD_KEY: read_header(file).model_dump_json()})
    with pytest.raises(ModelError, match="1048576 pixels"):
        Model.load(path).verify()


def test_a_tile_is_small_where_a_level_is_wide() -> None:
    from napari_unet.inference.plan import memory_bytes

    usual = UNetConfig(features=(16, 32, 64), out_channels=2)
    wide = UNetConfig(features=(4, 4096), strides=((1, 1),))
    many = UNetConfig(features=(4, 8), out_channels=4000)
    assert memory_bytes((10, 10), usual) == 100 * 16 * 4 * 9
    assert memory_bytes((10, 10), wide) == 100 * 4096 * 4 * 9
    assert memory_bytes((10, 10), many) == 100 * 4000 * 4 * 9
