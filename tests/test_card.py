"""The model card: what it refuses, and that it comes back from its JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from napari_unet.card import (
    FORMAT_VERSION,
    ClassInfo,
    Decoding,
    InstanceRepresentation,
    ModelCard,
    Normalization,
    ScoreRecord,
    TrainingRecord,
    parse_card,
)
from napari_unet.errors import ModelError
from napari_unet.unet_config import UNetConfig

RECORD: dict[str, Any] = {
    "examples": 3,
    "labelled_pixels": 400,
    "data_sha256": "ab" * 32,
    "steps": 10,
    "seconds": 1.5,
    "seed": 7,
    "versions": {"torch": "2"},
}


def card(**changes: Any) -> ModelCard:
    """A valid card of an instance model, with changes."""
    fields: dict[str, Any] = {
        "name": "cells",
        "task": "instance",
        "axes": "CYX",
        "channels": ("dna",),
        "instances": InstanceRepresentation(),
        "architecture": UNetConfig(features=(4, 8), out_channels=2),
    }
    return ModelCard(**{**fields, **changes})


def semantic(**changes: Any) -> ModelCard:
    classes = (ClassInfo(value=0, name="outside"), ClassInfo(value=7, name="cell"))
    return card(**{"task": "semantic", "instances": None, "classes": classes, **changes})


# Cards


FAULTS = [
    ({"axes": "YX"}, "axes"),
    ({"axes": "CZYX"}, "2D"),
    ({"architecture": UNetConfig(ndim=3, features=(4,)), "axes": "CYX"}, "3D"),
    ({"channels": ()}, "channel"),
    ({"channels": ("a", "b")}, "2 channel names for 1"),
    ({"pixel_size": (0.5, 0.5, 0.5)}, "pixel_size"),
    ({"pixel_size": (0.5, 0.0)}, "greater than 0"),
    ({"pixel_size": (0.5, float("inf"))}, "finite"),
    ({"object_diameter": float("nan")}, "finite"),
    ({"object_diameter": -3}, "greater than 0"),
    ({"unit": "pixel"}, "micrometer"),
    ({"task": "detection"}, "instance"),
    ({"instances": None}, "representation"),
    ({"task": "regression"}, "representation"),
    ({"task": "semantic", "instances": None}, "0 classes for 2 output"),
    ({"name": ""}, "at least 1"),
    ({"name": "../secret"}, "pattern"),
    ({"name": "a\\b"}, "pattern"),
    ({"classes": (ClassInfo(value=1, name="a"), ClassInfo(value=1, name="b"))}, "same label value"),
    (
        {"normalization": Normalization(mode="range", limits=((0, 1),) * 3)},
        "3 normalisation limits",
    ),
    (
        {"task": "regression", "instances": None, "output_limits": ((0.0, 1.0),)},
        "1 output limits for 2",
    ),
    ({"colour_of_the_sky": "blue"}, "Extra inputs"),
]


@pytest.mark.parametrize(("changes", "said"), FAULTS)
def test_a_card_that_contradicts_itself_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        card(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"value": -1},
        {"value": 65536},
        {"name": ""},
        {"colour": "red"},
        {"colour": "#12345"},
        {"colour": "#12345678"},
    ],
)
def test_a_class_has_a_uint16_value_a_name_and_a_colour(changes: dict[str, Any]) -> None:
    ClassInfo(value=65535, name="a", colour="#A0b1C2")
    with pytest.raises(ValidationError):
        ClassInfo(**{"value": 1, "name": "a", **changes})


def test_cards_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        card().name = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        card().architecture.features = (1,)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("norm", "exact"), [("batch", True), ("none", True), ("instance", False), ("group", False)]
)
def test_only_networks_of_bounded_reach_tile_exactly(norm: Any, exact: bool) -> None:
    assert card(architecture=UNetConfig(features=(4,), norm=norm)).exact_tiling is exact


# Parts


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"lower": 50, "upper": 50}, "below upper"),
        ({"lower": -1}, "greater than or equal to 0"),
        ({"upper": 100.5}, "less than or equal to 100"),
        ({"mode": "range"}, "limits"),
        ({"mode": "none", "limits": ((0, 1),)}, "limits"),
        ({"limits": ((0, 1),)}, "limits"),
        ({"mode": "range", "limits": ((1, 1),)}, "low < high"),
        ({"mode": "range", "limits": ((2, 1),)}, "low < high"),
        ({"mode": "range", "limits": ((0, float("inf")),)}, "finite"),
        ({"mode": "range", "limits": ((float("nan"), 1),)}, "finite"),
    ],
)
def test_faults_of_a_normalization(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Normalization(**fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"ndim": 1}, "2 or 3"),
        ({"in_channels": 0}, "greater than or equal to 1"),
        ({"out_channels": 0}, "greater than or equal to 1"),
        ({"features": ()}, "at least 1 item"),
        ({"features": (4, 0)}, "greater than or equal to 1"),
        ({"features": (4, 8, 8), "strides": ((2, 2),)}, "3 levels need 2 strides, not 1"),
        ({"features": (4, 8), "strides": ((2, 2, 2),)}, "needs 2 integers"),
        ({"features": (4, 8), "strides": ((0, 2),)}, "greater than or equal to 1"),
        ({"features": (4, 8), "strides": ((9, 2),)}, "less than or equal to 8"),
        ({"norm": "layer"}, "batch"),
        ({"upsampling": "cubic"}, "nearest"),
    ],
)
def test_faults_of_an_architecture(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        UNetConfig(**fields)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("levels", [1, 2, 5])
def test_strides_are_two_by_default(ndim: Any, levels: int) -> None:
    config = UNetConfig(ndim=ndim, features=(4,) * levels)
    assert config.strides == ((2,) * ndim,) * (levels - 1)
    assert config.stride == (2 ** (levels - 1),) * ndim


# JSON


@st.composite
def cards(draw: st.DrawFn) -> ModelCard:
    """Any valid card, every field drawn."""
    ndim = draw(st.sampled_from([2, 3]))
    task = draw(st.sampled_from(["instance", "semantic", "regression"]))
    inputs, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    features = tuple(draw(st.lists(st.integers(1, 64), min_size=1, max_size=4)))
    stride = st.tuples(*[st.integers(1, 8)] * ndim)
    strides = tuple(draw(stride) for _ in features[1:])
    reach = [math.prod(sides) for sides in zip(*strides, strict=True)]
    assume(max(reach, default=1) <= 256 and math.prod(reach) <= 1 << 16)
    number = st.floats(-1e9, 1e9)
    positive = st.floats(1e-6, 1e6)
    pair = st.tuples(st.floats(-100, 0), st.floats(1, 1e5))
    text = st.text(max_size=20)
    values = draw(st.lists(st.integers(0, 65535), unique=True, min_size=outputs, max_size=outputs))
    return ModelCard(
        name=draw(
            st.text(
                st.characters(codec="utf-8", exclude_characters="/\\\n\r\x85\u2028\u2029"),
                min_size=1,
            )
        ),
        description=draw(text),
        task=task,
        axes="CYX" if ndim == 2 else "CZYX",
        channels=tuple(draw(st.lists(text, min_size=inputs, max_size=inputs))),
        classes=tuple(ClassInfo(value=v, name="class", colour="#00ff7F") for v in values),
        instances=InstanceRepresentation(version=draw(st.integers(1, 9)))
        if task == "instance"
        else None,
        decoding=Decoding(threshold=draw(st.floats(0.01, 0.99)), min_size=draw(st.integers(0, 99))),
        pixel_size=draw(st.none() | st.tuples(*[positive] * ndim)),
        object_diameter=draw(st.none() | positive),
        normalization=Normalization(mode="range", limits=(draw(pair),) * inputs)
        if draw(st.booleans())
        else Normalization(lower=draw(st.floats(0, 50)), scope="time"),
        output_limits=draw(st.none() | st.tuples(*[pair] * outputs)),
        architecture=UNetConfig(
            ndim=ndim,
            in_channels=inputs,
            out_channels=outputs,
            features=features,
            strides=strides,
            norm=draw(st.sampled_from(["batch", "instance", "group", "none"])),
            upsampling=draw(st.sampled_from(["nearest", "linear", "transposed"])),
        ),
        training=draw(st.none() | st.just(TrainingRecord(**RECORD, config={"patch": [64, 64]}))),
        scores=tuple(
            ScoreRecord(data="held out", images=2, values={"ap": v})
            for v in draw(st.lists(number, max_size=2))
        ),
        thumbnail=draw(st.none() | st.just("iVBORw0KGgo=")),
        licence=draw(text),
        authors=tuple(draw(st.lists(text, max_size=2))),
        citation=draw(text),
    )


@given(cards())
def test_any_card_comes_back_equal_from_its_json(made: ModelCard) -> None:
    assert parse_card(made.model_dump_json(), "cells.safetensors") == made


def test_a_score_that_json_cannot_hold_is_refused_when_it_is_made() -> None:
    with pytest.raises(ValidationError, match="finite"):
        ScoreRecord(data="none", images=1, values={"ap": float("nan")})


# Damaged and newer cards


def parsed(**changes: Any) -> ModelCard:
    content = {**semantic().model_dump(mode="json"), **changes}
    return parse_card(json.dumps(content), "cells.safetensors")


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 99])
def test_a_newer_card_says_so_and_names_the_remedy(version: int) -> None:
    # a newer version may add fields: its number counts before they do
    with pytest.raises(ModelError, match="newer version") as caught:
        parsed(format_version=version, a_new_field=1)
    assert "cells.safetensors" in str(caught.value)
    assert str(version) in str(caught.value)
    assert "update napari-unet-torch" in str(caught.value)


@pytest.mark.parametrize("version", [0, -1, "1", "2.0", None, True, 1.5, [], {}])
def test_a_version_that_is_no_version_is_damage(version: Any) -> None:
    with pytest.raises(ModelError, match="damaged"):
        parsed(format_version=version)


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", '"card"', "3", "{}", '{"name": "cells"}', "[" * 200_000, "\ud800"],
    ids=lambda text: repr(text[:12]),
)
def test_json_that_is_no_card_is_damage(text: str) -> None:
    with pytest.raises(ModelError, match=r"cells\.safetensors is damaged"):
        parse_card(text, "cells.safetensors")


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"task": "magic"}, "task"),
        ({"extra": 1}, "extra"),
        ({"architecture": {"features": [0]}}, "architecture.features.0"),
        ({"architecture": None}, "architecture"),
        ({"axes": "CZYX"}, "card"),
    ],
)
def test_a_damaged_field_is_named(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(ModelError, match="damaged") as caught:
        parsed(**changes)
    message = str(caught.value)
    assert f"{place!r}" in message
    assert "\n" not in message
    assert message.endswith("get a fresh copy of the file.")
