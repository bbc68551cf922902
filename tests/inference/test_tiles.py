"""Running a plan: tiled equals whole, and memory that runs out does not end a run."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from napari_unet.card import Normalization
from napari_unet.errors import InputError
from napari_unet.image.normalization import find_limits
from napari_unet.image.normalized_region import normalize, read_normalized
from napari_unet.image.source import open_image
from napari_unet.inference.prediction import iter_predict, predict
from napari_unet.inference.prepared_network import PreparedNetwork
from napari_unet.network.model import Model

MakeModel = Callable[..., Model]
FIXED = {"device": "cpu", "precision": "float32"}
TOLERANCE = 1e-4


def random_image(*shape: int) -> np.ndarray:
    """Smooth and noisy parts, with a bright corner: no two tiles are alike."""
    image = np.random.default_rng(3).normal(100, 20, shape)
    for axis, size in enumerate(shape):
        ramp = np.sin(np.arange(size) * 0.37 + axis) * 30
        image += ramp.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    image[tuple(slice(n - n // 4, n) for n in shape)] += 150
    return image.astype(np.float32)


def whole_logits(image: np.ndarray, model: Model) -> torch.Tensor:
    """The network by itself on the whole normalised image (C, *spatial)."""
    axes = "C" + "ZYX"[-(image.ndim - 1) :]
    source = open_image(image, axes=axes, ndim=image.ndim - 1, in_channels=image.shape[0])
    limits = find_limits(source, Normalization())
    block = read_normalized(source, 0, tuple(slice(0, n) for n in image.shape[1:]), limits).pixels
    with torch.inference_mode():
        return model.network(torch.from_numpy(block)[None])[0]


# ------------------------------------------------------------------------ tiled equals whole

STRIDES = {
    2: [(), ((2, 2), (2, 2)), ((1, 2),), ((3, 2), (1, 2))],
    3: [(), ((1, 2, 2),), ((1, 2, 2), (2, 2, 2))],
}


@st.composite
def cases(draw: st.DrawFn, ndim: int) -> tuple[dict[str, Any], Any, Any]:
    """A network, the shape of an image and a tile, which may be smaller than the halo."""
    strides = draw(st.sampled_from(STRIDES[ndim]))
    network = {
        "strides": strides,
        "features": (4, 6, 8) if len(strides) == 2 else (4, 8),
        "in_channels": draw(st.integers(1, 3)),
        "norm": draw(st.sampled_from(["batch", "none"])),
        "upsampling": draw(st.sampled_from(["nearest", "linear", "transposed"])),
    }
    largest, most_cuts = (80, 5) if ndim == 2 else (18, 3)
    shape = [draw(st.integers(1, largest)) for _ in range(ndim)]
    tile = tuple(-(-n // draw(st.integers(1, most_cuts))) for n in shape)
    return network, tuple(shape), tile


@settings(max_examples=20)
@given(cases(2), st.booleans())
@example(({"in_channels": 2}, (1, 61), (8, 8)), True)
@example(({"upsampling": "linear", "features": (4, 6, 8)}, (75, 1), 4), False)
@example(({"strides": ((1, 2),)}, (1, 1), "auto"), False)
@example(({"strides": ((1, 2),)}, (1, 1), "auto"), True)
def test_tiled_equals_whole_in_2d(make_model: MakeModel, case: Any, flips: bool) -> None:
    network, shape, tile = case
    assert_tiled_equals_whole(make_model(task="regression", **network), shape, tile, flips)


@settings(max_examples=20)
@given(cases(3))
@example(({}, (1, 17, 1), (4, 4, 4)))
@example(({"strides": ((1, 2, 2),)}, (13, 1, 19), (2, 8, 4)))
def test_tiled_equals_whole_in_3d(make_model: MakeModel, case: Any) -> None:
    network, shape, tile = case
    model = make_model(ndim=3, task="regression", **network)
    assert_tiled_equals_whole(model, shape, tile, flips=False)


def assert_tiled_equals_whole(model: Model, shape: tuple[int, ...], tile: Any, flips: bool) -> None:
    image = random_image(model.card.architecture.in_channels, *shape)
    arguments = {"axes": model.card.axes, "flips": flips, **FIXED}
    found = predict(image, model, tile=tile, **arguments).scores
    if flips:
        whole = predict(image, model, tile=999, **arguments).scores
    else:
        whole = whole_logits(image, model).numpy()
    assert found.shape == (1, *shape)
    assert found.dtype == np.float32
    assert np.abs(found - whole).max() <= TOLERANCE


def test_flips_are_averaged(make_model: MakeModel) -> None:
    # a size on the stride: else the padding stands at another end after a flip
    model, image = make_model(), random_image(1, 24, 40)
    logits = []
    for axes in ((), (1,), (2,), (1, 2)):
        flipped = np.flip(image, axes).copy()
        logits.append(
            whole_logits(flipped, model).flip(axes) if axes else whole_logits(image, model)
        )
    expected = torch.stack(logits).mean(0).sigmoid().numpy()
    found = predict(image, model, axes="CYX", flips=True, **FIXED).scores
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    plain = predict(image, model, axes="CYX", **FIXED).scores
    assert np.abs(found - plain).max() > 0.01


@settings(max_examples=20)
@given(cases(2), st.booleans(), st.tuples(st.floats(0.3, 3.5), st.floats(0.3, 3.5) | st.just(1.0)))
@example(({}, (1, 50), (8, 8)), False, (2.7, 0.4))
@example(({"upsampling": "linear"}, (50, 60), (8, 8)), True, (3.5, 1.0))
def test_tiled_equals_whole_when_resampled(
    make_model: MakeModel, case: Any, flips: bool, pixel_size: tuple[float, float]
) -> None:
    network, shape, tile = case
    model = make_model(task="regression", pixel_size=(1.0, 1.0), **network)
    image = random_image(model.card.architecture.in_channels, *(min(n, 50) for n in shape))
    arguments = {"axes": "CYX", "pixel_size": pixel_size, "flips": flips, **FIXED}
    tiled = predict(image, model, tile=tile, **arguments).scores
    whole = predict(image, model, tile=9999, **arguments).scores
    assert tiled.shape == whole.shape == (1, *image.shape[1:])
    assert np.abs(tiled - whole).max() <= TOLERANCE


def test_tiled_equals_whole_when_resampled_in_3d(make_model: MakeModel) -> None:
    model = make_model(ndim=3, pixel_size=(2.0, 1.0, 1.0), object_diameter=10.0)
    image = random_image(9, 22, 26)
    for scale in ({"pixel_size": (3.0, 0.6, 0.8)}, {"object_diameter": 14.0}):
        tiled = predict(image, model, axes="ZYX", tile=(4, 8, 12), **scale, **FIXED)
        whole = predict(image, model, axes="ZYX", tile=999, **scale, **FIXED)
        assert tiled.record["tiles"] > 4
        assert whole.record["tiles"] == 1
        assert np.abs(tiled.scores - whole.scores).max() <= TOLERANCE


def test_a_resampled_image_is_seen_at_the_scale_of_the_model(bright_model: Any) -> None:
    """Three times finer pixels of the same scene give three times finer scores."""
    scene = np.zeros((20, 24), np.float32)
    scene[5:11, 6:16] = 1
    fine = np.kron(scene, np.ones((3, 3), np.float32))
    model = bright_model(pixel_size=(3.0, 3.0), object_diameter=8.0)
    for scale in ({"pixel_size": 1.0}, {"object_diameter": 24.0}):
        found = predict(fine, model, axes="YX", **scale, **FIXED)
        assert found.record["zoom"] == [1 / 3, 1 / 3]
        assert found.scores.shape == (2, 60, 72)
        wrong = (found.scores[0] > 0.5) != (fine > 0.5)
        assert np.count_nonzero(wrong) <= 8  # corners are rounded


def test_a_scale_close_to_the_models_is_left_alone(make_model: MakeModel) -> None:
    model = make_model(pixel_size=(1.0, 1.0))
    image = random_image(20, 24)
    plain = predict(image, model, axes="YX", **FIXED).scores
    close = predict(image, model, axes="YX", pixel_size=1.01, **FIXED)
    assert close.record["zoom"] == [1.0, 1.0]
    np.testing.assert_array_equal(close.scores, plain)


@settings(max_examples=15)
@given(st.sampled_from(["TZYX", "ZYX", "TYX", "YXT"]), st.integers(8, 40))
def test_a_2d_model_goes_over_the_planes(make_model: MakeModel, axes: str, tile: int) -> None:
    model = make_model()
    lengths = {"T": 2, "Z": 3, "Y": 21, "X": 30}
    image = random_image(*(lengths[a] for a in axes))
    prediction = predict(image, model, axes=axes, tile=tile, **FIXED)
    scores = np.moveaxis(prediction.scores, prediction.axes.index("C"), 0)
    limits = find_limits(open_image(image, axes=axes), Normalization()).at()
    order = [axes.index(a) for a in "TZYX" if a in axes]
    planes = image.transpose(order).reshape(-1, 1, 21, 30)
    found = scores.transpose([0, *(o + 1 for o in order)]).reshape(2, -1, 21, 30)
    with torch.inference_mode():
        block = torch.from_numpy(np.stack([normalize(plane, limits) for plane in planes]))
        expected = model.network(block).sigmoid().numpy()
    np.testing.assert_allclose(found, expected.swapaxes(0, 1), atol=TOLERANCE)


def test_a_3d_model_goes_over_the_time_points(make_model: MakeModel) -> None:
    model = make_model(ndim=3)
    image = random_image(2, 6, 10, 12)
    both = predict(image, model, axes="TZYX", tile=4, **FIXED).scores
    limits = find_limits(open_image(image, axes="TZYX", ndim=3), Normalization()).at()
    fixed = Normalization(mode="range", limits=limits)
    for time in range(2):
        one = predict(image[time], model, axes="ZYX", normalization=fixed, **FIXED).scores
        np.testing.assert_allclose(both[time], one, atol=TOLERANCE)


@pytest.mark.parametrize("scope", ["time", "plane"])
def test_each_plane_gets_its_own_limits(make_model: MakeModel, scope: Any) -> None:
    model = make_model()
    image = random_image(2, 3, 16, 16)
    image[1] *= 7
    image[:, 2] += 500
    own = Normalization(scope=scope)
    found = predict(image, model, axes="TZYX", normalization=own, tile=8, **FIXED).scores
    for time in range(2):
        parts = [image[time]] if scope == "time" else list(image[time, :, None])
        alone = [predict(part, model, axes="ZYX", **FIXED).scores for part in parts]
        np.testing.assert_allclose(found[time], np.concatenate(alone, 1), atol=TOLERANCE)


# ------------------------------------------------------------------------------ activations


def test_semantic_scores_are_probabilities(make_model: MakeModel) -> None:
    model = make_model(task="semantic", values=(0, 1, 2, 3))
    image = random_image(1, 20, 30)
    scores = predict(image, model, axes="CYX", tile=8, **FIXED).scores
    np.testing.assert_allclose(scores.sum(0), 1, atol=1e-5)
    np.testing.assert_allclose(scores, whole_logits(image, model).softmax(0), atol=TOLERANCE)


def test_regression_gives_values_in_their_own_range(make_model: MakeModel) -> None:
    image = random_image(1, 20, 30)
    plain = make_model(task="regression", out_channels=2)
    scaled = make_model(task="regression", out_channels=2, output_limits=((10, 20), (-5.0, 5.0)))
    logits = whole_logits(image, plain).numpy()
    found = predict(image, plain, axes="CYX", tile=8, **FIXED).scores
    np.testing.assert_allclose(found, logits, atol=TOLERANCE * np.abs(logits).max())
    found = predict(image, scaled, axes="CYX", tile=8, **FIXED).scores
    np.testing.assert_allclose(found[0], logits[0] * 10 + 10, atol=2e-3)
    np.testing.assert_allclose(found[1], logits[1] * 10 - 5, atol=2e-3)


# ------------------------------------------------------------------------------ out of memory


class SmallMemory:
    """A network call that fails for blocks of more than ``pixels``, and keeps count."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pixels: float, error: Exception) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.failures = 0
        call = PreparedNetwork.__call__

        def limited(prepared: PreparedNetwork, block: np.ndarray) -> torch.Tensor:
            if block[0].size > pixels:
                self.failures += 1
                raise error
            self.shapes.append(block.shape[1:])
            return call(prepared, block)

        monkeypatch.setattr(PreparedNetwork, "__call__", limited)


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory."),
    MemoryError(),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
]
SOURCES = ["torch", "python", "allocator", "windows", "cublas", "cudnn-8", "cudnn-9"]


@pytest.mark.parametrize("error", ERRORS, ids=SOURCES)
def test_out_of_memory_halves_the_tile(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    model, image = make_model(), random_image(60, 52)
    expected = predict(image, model, axes="YX", **FIXED).scores
    memory = SmallMemory(monkeypatch, 1600, error)
    found = predict(image, model, axes="YX", tile=60, **FIXED).scores
    assert memory.failures > 0
    assert len(memory.shapes) > 2
    assert np.abs(found - expected).max() <= TOLERANCE


@pytest.mark.parametrize("threads", [1, 2])
def test_the_run_goes_on_from_the_tile_it_had_reached(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """Of four tiles only the second is too large: nothing else is computed again."""
    model, image = make_model(), random_image(4, 24, 24)
    expected = predict(image, model, axes="TYX", **FIXED).scores
    call, count = PreparedNetwork.__call__, itertools.count()
    written: list[int] = []

    def second_fails(prepared: PreparedNetwork, block: np.ndarray) -> torch.Tensor:
        if next(count) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        written.append(block[0].size)
        return call(prepared, block)

    monkeypatch.setattr(PreparedNetwork, "__call__", second_fails)
    steps = iter_predict(image, model, axes="TYX", tile=24, threads=threads, **FIXED)
    done = []
    while True:
        try:
            done.append(next(steps).done)
        except StopIteration as end:
            result = end.value
            break
    # alone it is halved; beside others it is tried alone first
    assert len(written) == (5 if threads == 1 else 4)
    assert ("one tile after another" in str(result.record["fallbacks"])) == (threads == 2)
    assert done == ([0, 1, 1, 2, 3, 4] if threads == 1 else [0, 1, 2, 3, 4])
    assert np.abs(result.scores - expected).max() <= TOLERANCE


def test_the_last_resort_is_said_in_words(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    SmallMemory(monkeypatch, 0, MemoryError())
    with pytest.raises(InputError, match="not enough memory even for the smallest tile"):
        predict(random_image(20, 20), make_model(), axes="YX", **FIXED)


def test_the_cpu_takes_over_from_a_small_device(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The meta device stands for a graphics card that has no memory at all."""
    from napari_unet.inference import plan as prediction_plan

    model, image = make_model(), random_image(20, 20)
    expected = predict(image, model, axes="YX", **FIXED).scores
    call = PreparedNetwork.__call__

    def only_cpu(prepared: PreparedNetwork, block: np.ndarray) -> torch.Tensor:
        if prepared.device.type != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return call(prepared, block)

    prepare = prediction_plan.prepare_network

    def on_small_device(*arguments: Any) -> PreparedNetwork:
        prepared = prepare(*arguments)
        return PreparedNetwork(prepared.network, torch.device("meta"), prepared.precision)

    monkeypatch.setattr(PreparedNetwork, "__call__", only_cpu)
    monkeypatch.setattr(prediction_plan, "prepare_network", on_small_device)
    found = predict(image, model, axes="YX", tile=16, **FIXED).scores
    assert np.abs(found - expected).max() <= TOLERANCE


def test_other_faults_are_not_taken_for_a_lack_of_memory(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    SmallMemory(monkeypatch, 0, RuntimeError("expected scalar type Float"))
    with pytest.raises(RuntimeError, match="expected scalar type"):
        predict(random_image(20, 20), make_model(), axes="YX", **FIXED)
