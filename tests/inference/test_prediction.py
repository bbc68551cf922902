"""`predict` on every kind of input and output; cancelling it; what it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.axes import score_axes
from napari_unet.card import Normalization
from napari_unet.errors import FileError, InputError, SettingsError, UNetError
from napari_unet.inference.prediction import iter_predict, predict
from napari_unet.inference.prepared_network import PreparedNetwork
from napari_unet.network.model import Model
from napari_unet.progress import Progress, drain

MakeModel = Callable[..., Model]
FIXED = {"device": "cpu", "precision": "float32"}
PIXELS = np.random.default_rng(2).gamma(2, 100, (2, 3, 4, 15, 18)).astype(np.uint16)  # TCZYX


def arranged(axes: str, canonical: str) -> np.ndarray:
    """Pixels with the letters of ``canonical``, in the order of ``axes``."""
    index = tuple(slice(None) if letter in canonical else 0 for letter in "TCZYX")
    return PIXELS[index].transpose([canonical.index(letter) for letter in axes])


# ------------------------------------------------------------------------------ axes


@pytest.mark.parametrize("letters", ["YX", "CYX", "ZYX", "TYX", "CZYX", "TCYX", "TZYX", "TCZYX"])
@settings(max_examples=4)
@given(data=st.data())
def test_the_order_of_axes_does_not_matter(
    make_model: MakeModel, letters: str, data: st.DataObject
) -> None:
    axes = "".join(data.draw(st.permutations(letters)))
    model = make_model(in_channels=3 if "C" in letters else 1, task="regression", out_channels=2)
    expected = predict(arranged(letters, letters), model, axes=letters, tile=8, **FIXED)
    found = predict(arranged(axes, letters), model, axes=axes, tile=8, **FIXED)
    assert found.axes == score_axes(axes)
    order = [found.axes.index(letter) for letter in expected.axes]
    np.testing.assert_array_equal(found.scores.transpose(order), expected.scores)


def test_a_3d_model_takes_any_order_of_axes_too(make_model: MakeModel) -> None:
    model = make_model(ndim=3, in_channels=3)
    expected = predict(PIXELS[0], model, axes="CZYX", tile=8, **FIXED).scores
    found = predict(PIXELS[0].T, model, axes="XYZC", tile=8, **FIXED)
    assert found.axes == "CXYZ"
    np.testing.assert_array_equal(found.scores.transpose(0, 3, 2, 1), expected)


def test_guessed_axes_are_recorded_with_their_doubt(make_model: MakeModel) -> None:
    found = predict(PIXELS[0, 0], make_model(), **FIXED)
    assert (found.record["axes"], found.axes) == ("ZYX", "CZYX")
    assert "Z or T" in found.record["axes_doubt"]
    told = predict(PIXELS[0, 0], make_model(), axes="ZYX", **FIXED)
    assert told.record["axes_doubt"] == ""


# ------------------------------------------------------------------------------ inputs


def test_a_list_of_channels_equals_the_stacked_array(make_model: MakeModel) -> None:
    model = make_model(in_channels=3)
    stacked = predict(PIXELS[0, :, 0], model, axes="CYX", **FIXED)
    listed = predict(list(PIXELS[0, :, 0]), model, axes="YX", **FIXED)
    assert stacked.axes == listed.axes == "CYX"
    np.testing.assert_array_equal(listed.scores, stacked.scores)


def test_channels_pick_and_order(make_model: MakeModel) -> None:
    model, image = make_model(in_channels=2), PIXELS[0, :, 0]
    expected = predict(image[[2, 0]], model, axes="CYX", **FIXED).scores
    found = predict(image, model, axes="CYX", channels=[2, 0], **FIXED)
    np.testing.assert_array_equal(found.scores, expected)
    assert found.record["channels"] == [2, 0]
    other = predict(image, model, axes="CYX", channels=[0, 2], **FIXED).scores
    assert not np.allclose(other, expected)


@pytest.mark.parametrize("kind", ["zarr", "dask", "memmap"])
def test_lazy_images_equal_numpy(make_model: MakeModel, kind: str, tmp_path: Path) -> None:
    model, pixels = make_model(), PIXELS[:, 0]
    image: Any
    if kind == "zarr":
        image = zarr.array(pixels, chunks=(1, 2, 8, 8))
    elif kind == "dask":
        image = dask.array.from_array(pixels, chunks=(1, 2, 8, 8))
    else:
        np.save(tmp_path / "image.npy", pixels)
        image = np.load(tmp_path / "image.npy", mmap_mode="r")
    expected = predict(pixels, model, axes="TZYX", tile=8, **FIXED).scores
    found = predict(image, model, axes="TZYX", tile=8, **FIXED).scores
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "dtype", ["u1", "i1", "u2", "i2", "u4", "i8", "u8", "f2", "f4", "f8", ">u2"]
)
def test_dtypes_of_equal_values_give_equal_scores(make_model: MakeModel, dtype: str) -> None:
    model, image = make_model(), (PIXELS[0, 0, 0] % 100)
    expected = predict(image, model, **FIXED).scores
    found = predict(image.astype(dtype), model, **FIXED).scores
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_masks_are_images_of_0_and_1(make_model: MakeModel) -> None:
    mask = PIXELS[0, 0, 0] > 150
    expected = predict(mask.astype(np.uint8), make_model(), **FIXED).scores
    np.testing.assert_array_equal(predict(mask, make_model(), **FIXED).scores, expected)


def test_negative_values_do_not_wrap_around(make_model: MakeModel) -> None:
    image = (PIXELS[0, 0, 0] % 200).astype(np.int16)
    shifted = (image - 100).astype(np.int8)
    expected = predict(image, make_model(), **FIXED).scores
    np.testing.assert_allclose(predict(shifted, make_model(), **FIXED).scores, expected, atol=1e-5)


def test_the_image_is_not_changed(make_model: MakeModel) -> None:
    image = PIXELS[0, 0, 0].astype(np.float32)
    before = image.copy()
    predict(image, make_model(), tile=8, flips=True, **FIXED)
    np.testing.assert_array_equal(image, before)


def test_limits_do_not_depend_on_the_tile(make_model: MakeModel) -> None:
    records = [
        predict(PIXELS[0, 0], make_model(), axes="ZYX", tile=tile, **FIXED).record
        for tile in (8, 999, "auto")
    ]
    assert records[0]["intensity_limits"] == records[1]["intensity_limits"]
    assert records[0]["intensity_limits"] == records[2]["intensity_limits"]


# ------------------------------------------------------------------------------ the record


def test_the_record_holds_what_is_needed_to_do_it_again(make_model: MakeModel) -> None:
    model = make_model()
    found = predict(PIXELS[0, 0], model, axes="ZYX", pixel_size=(2, 0.5, 0.5), **FIXED)
    record = json.loads(json.dumps(found.record))
    assert record["model"] == {"name": model.card.name, "sha256": model.sha256}
    assert record["settings"]["tile"] != "auto"
    assert record["settings"]["threshold"] == model.card.decoding.threshold
    assert record["settings"]["normalization"]["mode"] == "percentile"
    assert record["pixel_size"] == list(found.pixel_size) == [2, 0.5, 0.5]
    again = predict(PIXELS[0, 0], model, axes="ZYX", **record["settings"])
    np.testing.assert_array_equal(again.scores, found.scores)


# ------------------------------------------------------------------------------ generator


def test_progress_counts_the_tiles(make_model: MakeModel) -> None:
    steps = []
    job = iter_predict(PIXELS[:, 0], make_model(), axes="TZYX", tile=8, **FIXED)
    for step in job:
        assert isinstance(step, Progress)
        steps.append(step)
    tiles = 2 * 4 * (2 * 3)
    assert [step.done for step in steps[1:]] == list(range(1, tiles + 1))
    assert {step.total for step in steps[1:]} == {tiles}


def test_the_callers_gradients_are_left_alone(make_model: MakeModel) -> None:
    for _ in iter_predict(PIXELS[0, 0, 0], make_model(), tile=8, flips=True, **FIXED):
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()
        x = torch.ones(1, requires_grad=True)
        (x * 2).backward()
    assert make_model().network.head.weight.requires_grad


def test_the_model_is_left_as_it_was(make_model: MakeModel) -> None:
    model = make_model()
    model.network.train()
    try:
        before = {k: v.clone() for k, v in model.network.state_dict().items()}
        predict(PIXELS[0, 0, 0], model, **FIXED)
        assert model.network.training
        for key, value in model.network.state_dict().items():
            assert torch.equal(value, before[key]), key
    finally:
        model.network.eval()


def test_closing_cancels_within_one_tile(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    call, calls = PreparedNetwork.__call__, []

    def counted(prepared: PreparedNetwork, block: np.ndarray) -> torch.Tensor:
        calls.append(block.shape)
        return call(prepared, block)

    monkeypatch.setattr(PreparedNetwork, "__call__", counted)
    target = tmp_path / "scores.zarr"
    job = iter_predict(PIXELS[0, 0, 0], make_model(), tile=8, output=target, threads=2, **FIXED)
    while next(job).done < 2:
        pass
    assert list(tmp_path.iterdir()) != []
    job.close()
    begun = len(calls)
    assert 2 <= begun <= 2 + 3  # two threads, and one tile more than they can work on
    assert list(tmp_path.iterdir()) == []


def test_drain_returns_what_the_generator_returns(make_model: MakeModel) -> None:
    drained = drain(iter_predict(PIXELS[0, 0, 0], make_model(), **FIXED))
    np.testing.assert_array_equal(
        drained.scores, predict(PIXELS[0, 0, 0], make_model(), **FIXED).scores
    )


# ------------------------------------------------------------------------------ refusals


def hurt(value: Any) -> np.ndarray:
    image = PIXELS[0, 0, 0].astype(type(value))
    image[3, 4] = value
    return image


@pytest.mark.parametrize(
    ("image", "arguments", "kind", "says"),
    [
        (PIXELS[0, 0, 0] * np.nan, {}, InputError, "NaN"),
        (hurt(1j), {}, InputError, "complex"),
        (PIXELS[0, 0, 0].astype(object), {}, InputError, "dtype object"),
        (PIXELS[0, 0, 0, :0], {"axes": "YX"}, InputError, "axis Y"),
        (PIXELS[0, :2, 0], {"axes": "CYX"}, InputError, "takes 1 channel"),
        (PIXELS[0, 0, 0], {"axes": "ZYX"}, InputError, "one letter per axis"),
        (PIXELS[0, 0, 0], {"axes": "AB"}, InputError, "'AB'"),
        (PIXELS[0, 0, 0], {"tile": (8, 8, 8)}, SettingsError, "one size per spatial axis"),
        (PIXELS[0, 0, 0], {"tile": 0}, SettingsError, "tile"),
        (PIXELS[0, 0, 0], {"tiles": 8}, SettingsError, "no setting 'tiles'"),
        (PIXELS[0, 0, 0], {"device": "cuda:99"}, SettingsError, "cuda:99"),
        (PIXELS[0, 0, 0], {"object_diameter": 5}, SettingsError, "object_diameter"),
        (PIXELS[0, 0, 0], {"client": "tcp://host"}, SettingsError, "client="),
        (PIXELS[0, 0, 0], {"settings": {"tile": 8}}, SettingsError, "SegmentSettings"),
    ],
)
def test_faults_are_told_in_one_sentence(
    make_model: MakeModel,
    tmp_path: Path,
    image: np.ndarray,
    arguments: dict[str, Any],
    kind: type[UNetError],
    says: str,
) -> None:
    with pytest.raises(kind, match=re.escape(says)) as caught:
        predict(image, make_model(), output=tmp_path / "out.zarr", **{**FIXED, **arguments})
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))
    assert not re.search(r"[a-z]\. [A-Z]", str(caught.value))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("task", ["instance", "semantic", "regression"])
@pytest.mark.parametrize("diameter", [None, 5.0])
def test_pixels_that_are_no_numbers_are_background(
    make_model: MakeModel, value: float, task: str, diameter: float | None
) -> None:
    image = PIXELS[0, 0, 0].astype(np.float32)
    image[3:6, 4:10] = value
    model = make_model(task=task, object_diameter=8.0)
    settings = FIXED if diameter is None else {**FIXED, "object_diameter": diameter}
    found = predict(image, model, **settings)
    scores = np.asarray(found.scores)
    hole = scores[:, 3:6, 4:10]
    if task == "regression":
        assert np.isnan(hole).all()
    else:
        assert not hole[1 if task == "semantic" else 0 :].any()
    if task == "semantic":
        assert (hole[0] == 1).all()
    outside = np.ones(image.shape, bool)
    outside[3:6, 4:10] = False
    assert np.isfinite(scores[:, outside]).all()
    assert sum(found.record["left_out"].values()) == 3 * 6


@pytest.mark.parametrize("task", ["instance", "semantic", "regression"])
def test_fill_around_an_image_is_background(make_model: MakeModel, task: str) -> None:
    inner = np.random.default_rng(0).normal(500, 40, (40, 50))
    image = np.pad(inner, 12).astype(np.uint16)
    scores = np.asarray(predict(image, make_model(task=task), axes="YX", **FIXED).scores)
    assert np.isfinite(scores).all()  # values of a regression stay
    if task == "instance":
        assert not scores[:, :12].any()
        assert scores[:, 12:-12, 12:-12].any()
    if task == "semantic":
        assert (scores[0, :, -12:] == 1).all()


def test_a_lazy_float_image_is_computed_once_per_tile(make_model: MakeModel) -> None:
    """To find NaN, nothing is read a second time: a Dask array would be computed again."""
    image = PIXELS[0, 0, 0].astype(np.float32)
    image[3:6, 4:10] = np.nan
    reads: list[tuple[Any, ...]] = []

    class Counting:
        shape, dtype = image.shape, image.dtype

        def __getitem__(self, region: Any) -> np.ndarray:
            reads.append(region)
            return image[region]

    model = make_model(task="semantic")
    limits = {"normalization": Normalization(mode="range", limits=((0, 1000),))}
    found = predict(Counting(), model, axes="YX", **limits, **FIXED)
    assert np.isnan(image).any()
    assert (found.scores[0, 3:6, 4:10] == 1).all()
    assert len(reads) == 1


def test_an_absurd_scale_is_refused(make_model: MakeModel) -> None:
    model = make_model(pixel_size=(0.5, 0.5), object_diameter=20.0)
    for scale in ({"pixel_size": 50.0}, {"pixel_size": 0.001}, {"object_diameter": 0.1}):
        with pytest.raises(SettingsError, match="check object_diameter and pixel_size"):
            predict(PIXELS[0, 0, 0], model, **scale, **FIXED)


def test_an_existing_output_is_refused_and_kept(make_model: MakeModel, tmp_path: Path) -> None:
    target = tmp_path / "scores.zarr"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(FileError, match="exists"):
        predict(PIXELS[0, 0, 0], make_model(), output=target, **FIXED)
    assert [p.name for p in tmp_path.rglob("*")] == ["scores.zarr", "mine.txt"]
