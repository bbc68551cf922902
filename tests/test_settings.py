"""Settings: bounds, faults in words, overrides, JSON."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

import napari_unet as nu
from napari_unet.card import ClassInfo, Decoding, ModelCard, Normalization
from napari_unet.errors import SettingsError
from napari_unet.settings import (
    SegmentOverrides,
    SegmentSettings,
    TrainConfig,
    TrainOverrides,
    fill_decoding,
    resolve,
)
from napari_unet.unet_config import UNetConfig


def refusal(kind: Any, settings: Any = None, **overrides: Any) -> str:
    """The sentence with which overrides are refused."""
    with pytest.raises(SettingsError) as caught:
        resolve(kind, settings, overrides)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


# Bounds


SEGMENT_FAULTS = [
    ("tile", 0),
    ("tile", -5),
    ("tile", 2**31),
    ("tile", (64, 0)),
    ("tile", 64.5),
    ("tile", "large"),
    ("device", "gpu"),
    ("device", "cuda:"),
    ("device", "cuda:-1"),
    ("device", "cuda:1\n"),
    ("device", 0),
    ("precision", "float64"),
    ("normalization", "percentile"),
    ("normalization", {"mode": "range"}),
    ("threshold", 0),
    ("threshold", 1),
    ("threshold", float("nan")),
    ("threshold", "high"),
    ("split_depth", 1.5),
    ("min_size", -1),
    ("min_size", 2.5),
    ("object_diameter", 0),
    ("object_diameter", float("inf")),
    ("volume_mode", "volume"),
    ("link_overlap", 0),
    ("link_overlap", 1.01),
    ("flips", "maybe"),
]
TRAIN_FAULTS = [
    ("task", "detection"),
    ("name", ""),
    ("name", "models/mine"),
    ("name", "models\\mine"),
    ("ndim", 4),
    ("minutes", 0),
    ("minutes", float("inf")),
    ("steps", 0),
    ("patch", (0, 64)),
    ("patch", 64),
    ("batch_size", 0),
    ("learning_rate", 0),
    ("learning_rate", 2),
    ("weight_decay", -1e-9),
    ("augmentation", "extreme"),
    ("validation_fraction", 0.6),
    ("validation_every", 0),
    ("normalization", {"lower": 60, "upper": 40}),
    ("features", (8, 0)),
    ("strides", ((0, 2),)),
    ("strides", ((9, 2),)),
    ("norm", "layer"),
    ("upsampling", "cubic"),
    ("loss", "dice"),
    ("seed", -1),
    ("seed", 2**31),
    ("classes", [{"value": 2**31, "name": "a"}]),
]


@pytest.mark.parametrize(("field", "value"), SEGMENT_FAULTS, ids=repr)
def test_faults_of_segment_settings_name_the_field(field: str, value: Any) -> None:
    assert refusal(SegmentSettings, **{field: value}).startswith(f"{field}: ")
    with pytest.raises(ValidationError):
        SegmentSettings(**{field: value})


@pytest.mark.parametrize(("field", "value"), TRAIN_FAULTS, ids=repr)
def test_faults_of_a_train_config_name_the_field(field: str, value: Any) -> None:
    assert refusal(TrainConfig, **{field: value}).startswith(f"{field}: ")
    with pytest.raises(ValidationError):
        TrainConfig(**{field: value})


@pytest.mark.parametrize("kind", [SegmentSettings, TrainConfig])
def test_every_field_says_what_it_is_and_has_a_default(kind: Any) -> None:
    kind()
    for name, field in kind.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        SegmentSettings().tile = 64  # type: ignore[misc]


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:15", "mps"])
def test_devices(device: str) -> None:
    assert SegmentSettings(device=device).device == TrainConfig(device=device).device == device


@pytest.mark.parametrize(
    "size", [np.int64(64), np.uint16(64), 64.0], ids=lambda size: type(size).__name__
)
def test_numbers_of_numpy_are_numbers(size: Any) -> None:
    settings = resolve(SegmentSettings, None, {"tile": size, "min_size": size})
    assert (settings.tile, settings.min_size) == (64, 64)
    assert type(settings.tile) is type(settings.min_size) is int


def test_any_name_of_a_config_is_one_that_a_card_takes() -> None:
    # else a training would fail at its end
    pattern = [
        next(m.pattern for m in kind.model_fields["name"].metadata if hasattr(m, "pattern"))
        for kind in (TrainConfig, ModelCard)
    ]
    assert pattern[0] == pattern[1]


@given(st.sampled_from([2, 3]), st.integers(1, 4), st.data())
def test_any_network_of_a_config_is_an_architecture(ndim: Any, levels: int, data: Any) -> None:
    strides = tuple(data.draw(st.tuples(*[st.integers(1, 8)] * ndim)) for _ in range(levels - 1))
    try:
        config = TrainConfig(features=(4,) * levels, strides=strides)
    except ValidationError as error:
        assert "strides come to" in str(error)  # noqa: PT017 - most do not
        assume(False)
    UNetConfig(ndim=ndim, features=config.features, strides=config.strides)


# Faults in words


def test_all_faults_stand_in_one_sentence_with_their_values() -> None:
    message = refusal(SegmentSettings, threshold=2, device="tpu", min_size=-3)
    for part in ("threshold: ", "(given: 2)", "device: ", "'tpu'", "min_size: ", "(given: -3)"):
        assert part in message
    assert message.count("; ") == 2


def test_a_field_of_several_kinds_is_named_once_with_all_that_it_takes() -> None:
    message = refusal(SegmentSettings, tile=0)
    assert message.count("tile") == 1
    assert "'auto'" in message
    assert "greater than or equal to 1" in message
    assert message.count("(given: 0)") == 1


def test_the_words_are_not_pydantics_prefixes() -> None:
    message = refusal(TrainConfig, minutes=1, steps=5)
    assert message == "give minutes or steps, not both."


def test_a_device_is_described_by_examples_not_by_a_pattern() -> None:
    message = refusal(SegmentSettings, device="gpu")
    assert "'cuda:1'" in message
    assert "pattern" not in message


def test_unknown_settings_are_named_and_the_known_ones_listed() -> None:
    message = refusal(SegmentSettings, treshold=0.5, tiles=2)
    assert "'tiles'" in message
    assert "'treshold'" in message
    assert all(name in message for name in SegmentSettings.model_fields)


# Overrides


def test_no_settings_are_the_defaults() -> None:
    assert resolve(SegmentSettings, None, {}) == SegmentSettings()
    assert resolve(TrainConfig, None, {}) == TrainConfig()


def test_overrides_win_and_the_rest_stays() -> None:
    base = SegmentSettings(tile=(32, 64), threshold=0.3)
    found = resolve(SegmentSettings, base, {"threshold": 0.7, "flips": True})
    assert found == SegmentSettings(tile=(32, 64), threshold=0.7, flips=True)
    assert base == SegmentSettings(tile=(32, 64), threshold=0.3)


def test_an_override_of_none_takes_a_value_back() -> None:
    base = TrainConfig(steps=100)
    assert resolve(TrainConfig, base, {"steps": None, "minutes": 2.0}) == TrainConfig(minutes=2.0)
    assert refusal(TrainConfig, base, minutes=2.0) == "give minutes or steps, not both."


def test_overrides_are_checked_as_much_as_settings() -> None:
    assert "threshold" in refusal(SegmentSettings, SegmentSettings(), threshold=3)


def test_what_was_set_is_known_after_resolving() -> None:
    found = resolve(TrainConfig, TrainConfig(steps=5), {"seed": 1})
    assert found.model_fields_set == {"steps", "seed"}


@pytest.mark.parametrize("settings", [{"tile": 64}, TrainConfig(), "fast", 3])
def test_settings_of_another_kind_are_refused(settings: Any) -> None:
    message = refusal(SegmentSettings, settings)
    assert type(settings).__name__ in message
    assert "SegmentSettings" in message


@given(st.none() | st.floats(0.01, 0.99), st.none() | st.floats(0.01, 0.99), st.none() | st.just(3))
def test_empty_decoding_fields_take_the_cards(low: Any, seed: Any, size: Any) -> None:
    decoding = Decoding(threshold=0.2, split_depth=0.8, min_size=40)
    given_ = SegmentSettings(threshold=low, split_depth=seed, min_size=size, tile=9)
    filled = fill_decoding(given_, decoding)
    assert filled.threshold == (0.2 if low is None else low)
    assert filled.split_depth == (0.8 if seed is None else seed)
    assert filled.min_size == (40 if size is None else size)
    assert filled.tile == 9


# JSON


@st.composite
def segment_settings(draw: st.DrawFn) -> SegmentSettings:
    share = st.none() | st.floats(0.001, 0.999)
    size = st.integers(1, 65536)
    return SegmentSettings(
        tile=draw(st.just("auto") | size | st.tuples(size, size) | st.tuples(size, size, size)),
        device=draw(st.sampled_from(["auto", "cpu", "cuda:3"])),
        precision=draw(st.sampled_from(["auto", "float32", "bfloat16", "float16"])),
        normalization=draw(
            st.none()
            | st.just(Normalization(mode="range", limits=((0, 255), (3.5, 9))))
            | st.just(Normalization(scope="plane", lower=0.1))
        ),
        threshold=draw(share),
        split_depth=draw(share),
        min_size=draw(st.none() | st.integers(0, 10**6)),
        shape_radius=draw(st.none() | st.floats(0, 200)),
        object_diameter=draw(st.none() | st.floats(1e-3, 1e6)),
        volume_mode=draw(st.sampled_from(["auto", "slices", "linked"])),
        link_overlap=draw(st.floats(0.01, 1)),
        flips=draw(st.booleans()),
    )


@st.composite
def train_configs(draw: st.DrawFn) -> TrainConfig:
    size = st.integers(1, 65536)
    budget = draw(st.sampled_from(["minutes", "steps", "none"]))
    return TrainConfig(
        classes=tuple(
            ClassInfo(value=v, name=f"class {v}", colour="#aabb00")
            for v in draw(st.lists(st.integers(0, 65535), unique=True, max_size=3))
        ),
        ndim=draw(st.sampled_from(["auto", 2, 3])),
        minutes=draw(st.floats(1e-3, 1e4)) if budget == "minutes" else None,
        steps=draw(st.integers(1, 10**7)) if budget == "steps" else None,
        patch=draw(st.none() | st.tuples(size, size) | st.tuples(size, size, size)),
        learning_rate=draw(st.floats(1e-8, 1)),
        features=tuple(draw(st.lists(st.integers(1, 4096), min_size=1, max_size=5))),
        strides=tuple(draw(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), max_size=3))),
        seed=draw(st.integers(0, 2**31 - 1)),
    )


@given(segment_settings() | train_configs())
def test_settings_come_back_equal_from_json(made: Any) -> None:
    text = made.model_dump_json()
    assert type(made).model_validate_json(text) == made
    # as the run records do it: through plain Python values
    again = resolve(type(made), None, json.loads(json.dumps(made.model_dump(mode="json"))))
    assert again == made
    assert hash(again) == hash(made)  # lists have become tuples again


@pytest.mark.parametrize(
    ("overrides", "settings"),
    [(SegmentOverrides, SegmentSettings), (TrainOverrides, TrainConfig)],
)
def test_the_typed_keywords_are_the_fields(overrides: Any, settings: Any) -> None:
    assert list(overrides.__annotations__) == list(settings.model_fields)
    assert not overrides.__required_keys__


FILE_KEYWORDS = (
    "settings client axes channels pixel_size scene file_format scores write export name "
    "overwrite check summary"
)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (nu.segment, "axes channels pixel_size settings output client"),
        (nu.iter_segment, "axes channels pixel_size settings output client"),
        (nu.predict, "axes channels pixel_size settings output client"),
        (nu.iter_predict, "axes channels pixel_size settings output client"),
        (nu.decode, "settings output"),
        (nu.segment_files, FILE_KEYWORDS),
        (nu.iter_segment_files, FILE_KEYWORDS),
        (nu.train, "base config validation checkpoint"),
    ],
)
def test_help_names_the_keywords(function: Any, names: str) -> None:
    parameters = inspect.signature(function).parameters.values()
    assert [p.name for p in parameters if p.kind is p.KEYWORD_ONLY] == names.split()
    assert [p.name for p in parameters if p.kind is p.VAR_KEYWORD] == ["overrides"]
