"""Networks that cannot be tiled exactly: their tiles overlap and are added up by ramps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from napari_unet.image.source import open_image
from napari_unet.inference.blending import blend_weights, split_blended
from napari_unet.inference.decoding import decode
from napari_unet.inference.plan import PredictionPlan, plan_prediction
from napari_unet.inference.prediction import predict
from napari_unet.inference.prepared_network import PreparedNetwork
from napari_unet.inference.segmentation import segment
from napari_unet.inference.tiles import run_plan
from napari_unet.network.model import Model
from napari_unet.settings import SegmentSettings

MakeModel = Callable[..., Model]
FIXED = {"device": "cpu", "precision": "float32"}


def random_image(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).normal(100, 30, shape).astype(np.float32)


def blended_plan(
    make_model: MakeModel, shape: tuple[int, ...], tile: Any, pixel_size: float = 1.0, **model: Any
) -> PredictionPlan:
    own = make_model(norm="group", pixel_size=(1.0, 1.0), **model)
    settings = SegmentSettings(tile=tile, **FIXED)
    source = open_image(random_image(*shape), axes="YX", pixel_size=pixel_size)
    return plan_prediction(source, own, settings)


@settings(max_examples=20)
@given(
    st.tuples(st.integers(1, 200), st.integers(1, 60)),
    st.tuples(st.integers(1, 80), st.integers(1, 80)),
    st.floats(0.4, 2.5) | st.just(1.0),
)
@example((33, 20), (8, 8), 20.0)  # interpolation that reaches farther than the network
def test_weights_sum_to_1(make_model: MakeModel, shape: Any, tile: Any, pixel_size: float) -> None:
    plan = blended_plan(make_model, shape, tile, pixel_size)
    total = np.zeros((1, *shape))
    # the scores of a network that says 1 everywhere are the weights
    one = np.ones((2, 1, 1), np.float32)
    for block in run_plan(constant_network(plan, one)):
        total[(slice(None), *block.region)] += block.scores[:1]
    np.testing.assert_allclose(total, 1, atol=1e-5)


def constant_network(plan: PredictionPlan, logits: np.ndarray) -> PredictionPlan:
    """The plan with a network that gives the same everywhere, and no activation."""

    class Constant:
        device = torch.device("cpu")

        def __call__(self, block: np.ndarray) -> torch.Tensor:
            shape = (logits.shape[0], *block.shape[1:])
            return torch.from_numpy(np.broadcast_to(logits, shape).copy())

    card = plan.card.model_copy(update={"task": "regression", "instances": None})
    return PredictionPlan(
        plan.source,
        card,
        Constant(),  # type: ignore[arg-type]
        plan.limits,
        plan.zoom,
        plan.roi,
        plan.tiles,
        plan.settings,
    )


@pytest.mark.parametrize("norm", ["instance", "group"])
def test_blended_tiles_come_close_to_the_whole(make_model: MakeModel, norm: str) -> None:
    model = make_model(norm=norm, features=(4, 16))
    image = random_image(120, 90)
    whole = predict(image, model, axes="YX", tile=999, **FIXED)
    tiled = predict(image, model, axes="YX", tile=40, **FIXED)
    assert tiled.record["tiles"] == 9
    assert np.abs(whole.scores - tiled.scores).mean() < 0.05
    assert np.corrcoef(whole.scores.ravel(), tiled.scores.ravel())[0, 1] > 0.95


def test_one_tile_is_the_network_itself(make_model: MakeModel) -> None:
    model, image = make_model(norm="instance"), random_image(32, 40)
    low, high = np.percentile(image, (1, 99.8))
    block = ((image - low) / (high - low)).astype(np.float32)
    with torch.inference_mode():
        expected = model.network(torch.from_numpy(block)[None, None])[0].sigmoid().numpy()
    np.testing.assert_allclose(predict(image, model, **FIXED).scores, expected, atol=1e-4)


def test_there_is_no_seam(make_model: MakeModel) -> None:
    """Two tiles that disagree by 1 are joined by a slope, not by a step."""
    plan = blended_plan(make_model, (64, 16), (32, 16))
    overlap = plan.card.architecture.receptive_field[0] // 2
    profile = np.zeros(64)
    for value, tile in enumerate(plan.tiles):
        target = (slice(0, 64), slice(0, 16))
        profile += value * blend_weights(plan, tile, target, (64, 16))[0, :, 0]
    assert np.diff(profile).max() == pytest.approx(1 / (2 * overlap), rel=1e-4)
    assert (profile[: 32 - overlap] == 0).all()
    assert (profile[32 + overlap :] == 1).all()


def test_the_order_of_the_tiles_does_not_matter(make_model: MakeModel) -> None:
    plan = blended_plan(make_model, (70, 50), (24, 24))
    blocks = list(run_plan(plan))
    sums = []
    for order in (blocks, blocks[::-1]):
        total = np.zeros((2, 70, 50), np.float32)
        for block in order:
            total[(slice(None), *block.region)] += block.scores
        sums.append(total)
    np.testing.assert_allclose(sums[0], sums[1], atol=1e-6)


@pytest.mark.parametrize("tile", [24, 999])
def test_halved_tiles_are_blended_too(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, tile: int
) -> None:
    """Out of memory: weights still sum to 1 and no seam appears."""
    plan = blended_plan(make_model, (100, 90), tile)
    constant = constant_network(plan, np.ones((2, 1, 1), np.float32))
    call, calls = type(constant.prepared).__call__, []

    def limited(self: Any, block: np.ndarray) -> torch.Tensor:
        calls.append(block[0].size)
        if block[0].size > 56 * 56:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return call(self, block)

    monkeypatch.setattr(type(constant.prepared), "__call__", limited)
    total = np.zeros((100, 90))
    for block in run_plan(constant):
        total[block.region] += block.scores[0]
    assert max(calls) > 56 * 56 or tile == 24
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_a_tile_is_not_halved_so_far_that_ramps_meet(make_model: MakeModel) -> None:
    plan = blended_plan(make_model, (200, 200), 999)
    radius = plan.card.architecture.receptive_field[0]
    tile = next(iter(plan.tiles))
    while len(halves := split_blended(plan, tile)) > 1:
        tile = halves[0]
        assert all(2 * (part.stop - part.start) >= radius for part in tile.write)
    assert all(part.stop - part.start < 200 for part in tile.write)


def test_out_of_memory_in_a_blended_run(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, image = make_model(norm="group"), random_image(80, 80)
    whole = predict(image, model, axes="YX", **FIXED).scores
    call = PreparedNetwork.__call__

    def limited(prepared: PreparedNetwork, block: np.ndarray) -> torch.Tensor:
        if block[0].size > 64 * 64:
            raise MemoryError
        return call(prepared, block)

    monkeypatch.setattr(PreparedNetwork, "__call__", limited)
    found = predict(image, model, axes="YX", **FIXED).scores
    assert np.abs(found - whole).max() > 0
    assert np.corrcoef(whole.ravel(), found.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("task", ["instance", "semantic"])
def test_labels_are_those_of_the_blended_scores(make_model: MakeModel, task: str) -> None:
    model, image = make_model(norm="instance", task=task), random_image(2, 70, 60)
    arguments = {"axes": "ZYX", "tile": 24, **FIXED}
    labels = segment(image, model, **arguments)
    np.testing.assert_array_equal(labels, decode(predict(image, model, **arguments)))
