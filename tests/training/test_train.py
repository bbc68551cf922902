"""Training: what is learned on real images, and what the loop promises."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.segmentation import find_boundaries
from torch import Tensor

from napari_unet.card import ClassInfo, Decoding, ModelCard, Normalization, Task
from napari_unet.dataset.example import Example
from napari_unet.dataset.validation_pieces import ValidationPiece, crop_pieces
from napari_unet.errors import (
    InputError,
    SettingsError,
    TrainingError,
    TrainingInterruptedError,
    UNetError,
)
from napari_unet.inference.prediction import predict
from napari_unet.metrics import InstanceScores, RegressionScores, SemanticScores, evaluate
from napari_unet.network.model import Model
from napari_unet.network.unet import UNet
from napari_unet.samples import load_sample
from napari_unet.training.learning_rate import schedule_learning_rate
from napari_unet.training.loop import TrainingLoop
from napari_unet.training.patch_sampling import PatchSampler
from napari_unet.training.scoring import score, select_score
from napari_unet.training.steps import Preview, TrainStep
from napari_unet.training.train import iter_train, train
from napari_unet.unet_config import UNetConfig

SAMPLES = {2: load_sample("nuclei_2d"), 3: load_sample("nuclei_3d")}
IMAGES = {ndim: (sample.image, sample.truth) for ndim, sample in SAMPLES.items()}
FAST: dict[str, Any] = {"batch_size": 4, "learning_rate": 1e-2, "augmentation": "light"}
LEARN: dict[int, dict[str, Any]] = {
    # one thread: what is learned in so few steps is not the same with others
    2: FAST | {"features": (8, 16, 32), "patch": (64, 64), "device": "cpu", "threads": 1},
    3: FAST | {"features": (8, 16), "patch": (16, 24, 24), "device": "cpu", "threads": 1},
}
TINY: dict[str, Any] = {
    "features": (4, 8),
    "patch": (32, 32),
    "batch_size": 2,
    "steps": 4,
    "validation_every": 2,
    "device": "cpu",
    "precision": "float32",
    "start": "base",  # one that has learned next to nothing in a few steps too
}


def corner(y: int = 0, x: int = 0, size: int = 64) -> Example:
    """A small piece of the image of nuclei."""
    image, truth = (a[y : y + size, x : x + size] for a in IMAGES[2])
    return Example(image, truth)


def weights(model: Model) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.network.state_dict().items()}


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def finish(job: Generator[TrainStep, str | None, Model]) -> tuple[list[TrainStep], Model]:
    """All steps and the model."""
    steps = []
    while True:
        try:
            steps.append(next(job))
        except StopIteration as end:
            return steps, end.value


def stop(job: Generator[TrainStep, str | None, Model]) -> Model:
    with pytest.raises(StopIteration) as end:
        job.send("stop")
    model: Model = end.value.value
    return model


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model in a file, hardly trained."""
    model = train([corner()], name="base", **TINY)
    return Model.load(model.save(tmp_path_factory.mktemp("models") / "base"))


# ------------------------------------------------------------------- learning, on real images


def real_examples(task: Task, ndim: int) -> tuple[Example, Example]:
    """The left part of the image to learn from, the right one to score."""
    image, truth = IMAGES[ndim]
    labels: np.ndarray = truth
    if task == "semantic":
        # values that are not the indices of the network's outputs
        labels = np.where(truth > 0, 5, 0).astype(np.uint8)
        labels[find_boundaries(truth, mode="thick")] = 9
    if task == "regression":
        sigma = 0.15 * np.percentile(image, 99.8)
        noise = np.random.default_rng(0).normal(0, sigma, image.shape)
        image, labels = (image + noise).astype(np.float32), image.astype(np.float32)
    cut = image.shape[-1] * 3 // 5
    left, right = np.s_[..., :cut], np.s_[..., cut:]
    return Example(image[left], labels[left]), Example(image[right], labels[right])


@pytest.mark.parametrize(("ndim", "steps"), [(2, 60), pytest.param(3, 80, marks=pytest.mark.slow)])
def test_objects_are_learned_from_a_real_image(ndim: int, steps: int) -> None:
    training, held_out = real_examples("instance", ndim)
    config = LEARN[ndim] | {"ndim": ndim, "steps": steps}
    told, model = finish(
        iter_train([training], validation=[held_out], validation_every=20, **config)
    )
    scores = score(model, [held_out], device="cpu")
    assert isinstance(scores, InstanceScores)
    assert scores.ap[0.5] > 0.5
    # the weights are the best ones: but for the calibrated decoding, they score as then
    plain = Model(model.card.model_copy(update={"decoding": Decoding()}), model.network)
    assert select_score(score(plain, [held_out], device="cpu")) == pytest.approx(told[-1].best)
    # the same network before it has learned anything
    start = train([training], validation=[], **(config | {"steps": 1, "learning_rate": 1e-9}))
    floor = score(start, [held_out], device="cpu")
    assert isinstance(floor, InstanceScores)
    assert floor.ap[0.5] < 0.1
    assert model.card.axes == ("CYX" if ndim == 2 else "CZYX")


@pytest.mark.parametrize("ndim", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_classes_are_learned_from_a_real_image(ndim: int) -> None:
    training, held_out = real_examples("semantic", ndim)
    model = train([training], task="semantic", ndim=ndim, steps=60, **LEARN[ndim])
    assert [c.value for c in model.card.classes] == [0, 5, 9]
    scores = score(model, [held_out], device="cpu")
    assert isinstance(scores, SemanticScores)
    # with the same answer everywhere a single class would score, and that one less
    assert scores.dice[5] > 0.7
    assert scores.macro_dice > 0.4
    most = max(float((held_out.labels == value).mean()) for value in (0, 5, 9))
    assert scores.accuracy > most + 0.08


@pytest.mark.parametrize("ndim", [2, 3])
def test_denoising_is_learned_from_a_real_image(ndim: int) -> None:
    training, held_out = real_examples("regression", ndim)
    small = {"features": (4, 8), "batch_size": 2, "steps": 100, "learning_rate": 3e-3}
    small = LEARN[ndim] | small
    model = train([training], task="regression", ndim=ndim, **small)
    noisy = evaluate(held_out.image, held_out.labels, task="regression").psnr
    found = predict(held_out.image, model, device="cpu").scores[0]
    clean = evaluate(found, held_out.labels, task="regression").psnr
    assert noisy is not None
    assert clean is not None
    assert clean > noisy + 1.5
    low, high = np.percentile(training.labels, (1.0, 99.8))
    assert model.card.output_limits == ((pytest.approx(low), pytest.approx(high)),)
    # batch norm would lose the brightness of a batch
    assert model.card.architecture.norm == "none"
    # the image on the left, what is made of it on the right, which is smoother
    assert model.card.thumbnail is not None
    picture = Image.open(io.BytesIO(base64.b64decode(model.card.thumbnail))).convert("L")
    halves = np.array_split(np.asarray(picture, float), 2, axis=1)
    left, right = (np.abs(np.diff(half, axis=0)).mean() / half.std() for half in halves)
    assert left > 1.2 * right


# ----------------------------------------------------------------------------- reproducible


def test_the_seed_decides_every_bit() -> None:
    examples, held_out = [corner(), corner(100, 300)], [corner(200, 200)]
    state = torch.get_rng_state()
    runs = [
        finish(iter_train(examples, validation=held_out, **(TINY | {"seed": seed})))
        for seed in (3, 3, 4)
    ]
    assert torch.equal(torch.get_rng_state(), state)
    (first, model), (second, same), (_, other) = runs
    assert [s.loss for s in first] == [s.loss for s in second]
    assert [s.metric for s in first] == [s.metric for s in second]
    assert equal(weights(model), weights(same))
    assert not equal(weights(model), weights(other))
    assert model.card.training is not None
    assert model.card.training.seed == 3


def test_validating_changes_nothing_of_what_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    rising = itertools.count()

    score_network = TrainingLoop.score_network

    def score_and_rise(loop: TrainingLoop) -> float:
        score_network(loop)
        return float(next(rising))  # so that the best weights are the last ones

    monkeypatch.setattr(TrainingLoop, "score_network", score_and_rise)
    often, never = (
        finish(iter_train([corner()], validation=held_out, **(TINY | {"validation_every": 1})))
        for held_out in ([corner(100, 300)], [])
    )
    assert [s.loss for s in often[0]] == [s.loss for s in never[0]]
    assert all(s.metric is not None for s in often[0])
    assert all(s.metric is None for s in never[0])
    parameters = [dict(run[1].network.named_parameters()) for run in (often, never)]
    assert equal(*parameters)


# -------------------------------------------------------------------------- batch statistics


def first_layers(model: Model) -> tuple[torch.nn.Module, torch.nn.BatchNorm2d]:
    convolution, norm = model.network.encoder[0][0], model.network.encoder[0][1]
    assert isinstance(norm, torch.nn.BatchNorm2d)
    return convolution, norm


@pytest.mark.parametrize("validated", [False, True])
def test_batch_norm_statistics_are_those_of_the_final_weights(validated: bool) -> None:
    example = corner(0, 300, 32)
    scaled = Example(np.asarray(example.image, np.float32) / 60, example.labels)
    model = train(
        [scaled],
        validation=[scaled] if validated else [],
        augmentation="none",
        normalization=Normalization(mode="none"),
        **(TINY | {"steps": 12, "learning_rate": 0.05}),  # weights on the move
    )
    convolution, norm = first_layers(model)
    # each patch is the whole image, so that its statistics are known
    with torch.no_grad():
        values = convolution(torch.from_numpy(scaled.image)[None, None]).movedim(1, 0).flatten(1)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, values.mean(1), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(norm.running_var, values.var(1), rtol=1e-2, atol=1e-4)


def test_batch_norm_statistics_are_a_mean_over_many_patches() -> None:
    labels = np.zeros((32, 32), np.int32)
    labels[8:20, 8:20] = 1
    examples = [Example(np.full((32, 32), v, np.float32), labels) for v in (0.0, 1.0)]
    model = train(
        examples,
        validation=[],
        augmentation="none",
        normalization=Normalization(mode="none"),
        **(TINY | {"batch_size": 1}),
    )
    convolution, norm = first_layers(model)
    assert int(norm.num_batches_tracked or 0) == 64
    with torch.no_grad():
        bright = convolution(torch.ones(1, 1, 32, 32)).mean((0, 2, 3))
    assert norm.running_mean is not None
    share = norm.running_mean / bright  # a dark patch gives 0
    assert share.std() < 1e-3
    assert 0.3 < share.mean() < 0.7
    assert {m.momentum for m in model.network.modules() if isinstance(m, type(norm))} == {0.1}


@pytest.mark.parametrize("norm", ["instance", "group", "none"])
def test_other_normalisations_train(norm: str) -> None:
    model = train([corner()], validation=[corner(100, 300)], norm=norm, **TINY)
    assert model.card.architecture.norm == norm


# ------------------------------------------------------------------------------ best weights


def script(monkeypatch: pytest.MonkeyPatch, metrics: list[float]) -> list[dict[str, Tensor]]:
    """Let validations give these metrics; the weights that each of them saw."""
    seen: list[dict[str, Tensor]] = []
    queue: Iterator[float] = iter(metrics)

    def scripted(loop: TrainingLoop) -> float:
        seen.append({k: v.clone() for k, v in loop.state.network.state_dict().items()})
        return next(queue)

    monkeypatch.setattr(TrainingLoop, "score_network", scripted)
    return seen


def test_the_best_weights_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = script(monkeypatch, [0.2, 0.9, 0.1, 0.5])
    job = iter_train([corner()], validation=[corner()], **(TINY | {"validation_every": 1}))
    steps, model = finish(job)
    assert [s.metric for s in steps] == [0.2, 0.9, 0.1, 0.5]
    assert [s.best for s in steps] == [0.2, 0.9, 0.9, 0.9]
    assert equal(weights(model), seen[1])
    assert not equal(weights(model), seen[3])


def test_stopping_gives_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = script(monkeypatch, [0.2, 0.9, 0.1, 0.5])
    job = iter_train([corner()], validation=[corner()], **(TINY | {"validation_every": 1}))
    for _ in range(3):
        next(job)
    model = stop(job)
    assert equal(weights(model), seen[1])
    assert model.card.training is not None
    assert model.card.training.steps == 3


def test_stopping_before_any_validation_gives_the_last_weights() -> None:
    job = iter_train([corner()], validation=[], **(TINY | {"steps": 50}))
    next(job)
    model = stop(job)
    assert model.card.training is not None
    assert model.card.training.steps == 1
    _, same = finish(iter_train([corner()], validation=[], **(TINY | {"steps": 50})))
    assert not equal(weights(model), weights(same))
    assert int(first_layers(model)[1].num_batches_tracked or 0) > 1  # settled


# ---------------------------------------------------------------------------- the generator


def test_what_a_step_says() -> None:
    settings = TINY | {"steps": 40, "validation_every": None, "norm": "none"}
    steps, _ = finish(iter_train([corner()], validation=[corner()], **settings))
    assert [s.step for s in steps] == list(range(1, 41))
    assert {s.total for s in steps} == {40}
    assert [s.learning_rate for s in steps] == [
        1e-3 * schedule_learning_rate(i / 40) for i in range(40)
    ]
    losses = [s.loss for s in steps]
    assert np.mean(losses[-10:]) < np.mean(losses[:10])  # batches differ
    scored = [s.step for s in steps if s.metric is not None]
    assert scored == [20, 40]  # twenty steps apart at least, the last step among them
    assert [s.seconds for s in steps] == sorted(s.seconds for s in steps)


def test_the_learning_rate_warms_up_and_falls() -> None:
    factors = [schedule_learning_rate(i / 1000) for i in range(1001)]
    top = int(np.argmax(factors))
    assert factors[top] == pytest.approx(1, abs=1e-3)
    assert factors[:top] == sorted(factors[:top])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert min(factors[:-1]) > 0
    assert factors[-1] == pytest.approx(0, abs=1e-9)


class SteadyClock:
    """A clock of its own, 10 ms on at each look, so that a busy machine changes nothing."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def perf_counter(self) -> float:
        self.now_s += 0.01
        return self.now_s


@pytest.mark.parametrize("held_out", [[], [corner(100, 300)]])
def test_minutes_are_kept_to(held_out: list[Example], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SteadyClock()
    monkeypatch.setattr("napari_unet.training.state.time", clock)
    monkeypatch.setattr("napari_unet.training.train.time", clock)
    settings = TINY | {"steps": None, "validation_every": None, "minutes": 0.05}
    steps, model = finish(iter_train([corner()], validation=held_out, **settings))
    assert 2.5 < steps[-1].seconds < 3.2  # 3 seconds, less what the last validation may take
    assert 0.5 * len(steps) < np.median([s.total for s in steps[len(steps) // 2 :]])
    assert steps[-1].learning_rate < 0.1 * max(s.learning_rate for s in steps)
    assert (steps[-1].metric is None) == (not held_out)
    assert model.card.training is not None
    assert model.card.training.seconds == pytest.approx(steps[-1].seconds, abs=0.2)


def test_without_a_budget_there_are_ten_minutes() -> None:
    job = iter_train([corner()], **(TINY | {"steps": None}))
    next(job)
    training = stop(job).card.training
    assert training is not None
    assert training.config["minutes"] == 10


def test_closing_leaves_nothing(
    base: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    threads = threading.active_count()
    before = weights(base)
    settings = TINY | {"validation_every": 1}
    job = iter_train([corner()], base=base, validation=[corner()], **settings)
    for _ in itertools.islice(job, 2):
        assert torch.is_grad_enabled()  # no mode leaks out of a step
        assert not torch.is_inference_mode_enabled()
    job.close()
    with pytest.raises(StopIteration):
        next(job)
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == threads
    assert equal(weights(base), before)


# -------------------------------------------------------------------------------------- base


def test_the_base_is_where_training_starts_and_stays_as_it_is(base: Model) -> None:
    assert base.path is not None
    before, digest = weights(base), hashlib.sha256(base.path.read_bytes()).hexdigest()
    tuned = train([corner(100, 300)], base=base, **TINY)
    same = train([corner(100, 300)], base=base.path, **TINY)
    assert equal(weights(base), before)
    assert hashlib.sha256(base.path.read_bytes()).hexdigest() == digest
    assert equal(weights(tuned), weights(same))
    moved = [(tuned.network.state_dict()[k] - before[k]).abs().max() for k, _ in named(base)]
    assert max(moved) > 1e-4
    still = train([corner()], base=base, **(TINY | {"steps": 1, "learning_rate": 1e-9}))
    for key, value in named(still):
        torch.testing.assert_close(value.data, before[key], rtol=0, atol=1e-6)
    record = tuned.card.training
    assert record is not None
    assert (record.base, record.base_sha256) == ("base", digest)


def named(model: Model) -> list[tuple[str, torch.nn.Parameter]]:
    return list(model.network.named_parameters())


def test_the_base_decides_architecture_and_normalisation() -> None:
    fixed = Normalization(mode="range", limits=((0.0, 50.0),))
    start = train([corner()], normalization=fixed, **TINY)
    tuned = train([corner()], base=start, **(TINY | {"features": (16, 32, 64)}))
    assert tuned.card.architecture == start.card.architecture
    assert tuned.card.normalization == fixed


# -------------------------------------------------------------------------------- the card


def test_the_card_tells_what_was_done(tmp_path: Path) -> None:
    image, truth = IMAGES[2][0][:96, :96], IMAGES[2][1][:96, :96]
    examples = [Example(image, truth, pixel_size=size) for size in (0.5, 0.51)]
    model = train(examples, validation=[], name="mine", description="Of a test.", seed=7, **TINY)
    card, record = model.card, model.card.training
    assert record is not None
    assert (card.name, card.description, card.task) == ("mine", "Of a test.", "instance")
    assert card.instances is not None
    assert card.pixel_size == pytest.approx((0.505, 0.505))
    areas = np.unique(truth[truth > 0], return_counts=True)[1]
    assert card.object_diameter == pytest.approx(np.median(np.sqrt(4 * areas / np.pi)), abs=0.01)
    assert (record.examples, record.labelled_pixels) == (2, 2 * 96 * 96)
    assert (record.steps, record.seed, record.base, record.base_sha256) == (4, 7, None, None)
    assert record.config["learning_rate"] == 1e-3
    resolved = ("device", "precision", "statistics", "features", "strides", "patch", "ndim")
    assert [record.config[name] for name in resolved] == [
        "cpu", "float32", "settled", [4, 8], [[2, 2]], [32, 32], 2,
    ]  # fmt: skip
    assert record.versions["torch"]
    loaded = Model.load(model.save(tmp_path / "mine"))
    loaded.verify()
    assert loaded.card == card
    assert equal(weights(loaded), weights(model))
    other = train([examples[0], corner(200, 200)], validation=[], **TINY).card.training
    assert other is not None
    assert other.data_sha256 != record.data_sha256


def test_unequal_pixel_sizes_are_unknown() -> None:
    image, truth = IMAGES[2][0][:64, :64], IMAGES[2][1][:64, :64]
    examples = [Example(image, truth, pixel_size=size) for size in (0.5, 0.6)]
    assert train(examples, validation=[], **TINY).card.pixel_size is None


def test_a_share_of_several_examples_is_held_out() -> None:
    examples = [corner(0, x) for x in (0, 100, 200, 300)]
    steps, model = finish(iter_train(examples, **TINY))
    assert steps[-1].metric is not None
    assert model.card.training is not None
    assert model.card.training.examples == 3
    steps, model = finish(iter_train(examples, validation_fraction=0, **TINY))
    assert steps[-1].metric is None
    assert model.card.training is not None
    assert model.card.training.examples == 4


def test_classes_do_not_depend_on_what_is_held_out() -> None:
    images = [np.random.default_rng(i).random((32, 32)) for i in range(2)]
    labels = [np.full((32, 32), value, np.uint8) for value in (1, 2)]
    labels[0][:4] = labels[1][:4] = 0
    examples = [Example(i, n) for i, n in zip(images, labels, strict=True)]
    model = train(examples, task="semantic", **TINY)
    assert [c.value for c in model.card.classes] == [0, 1, 2]


@pytest.mark.parametrize(
    ("settings", "planes", "ndim"),
    [({}, 8, 3), ({}, 7, 2), ({"patch": (32, 32)}, 12, 2), ({"ndim": 2}, 12, 2),
     ({"patch": (4, 16, 16)}, 4, 3)],
)  # fmt: skip
def test_deep_stacks_get_a_3d_network(settings: dict[str, Any], planes: int, ndim: int) -> None:
    stack, truth = (a[8 : 8 + planes, :32, :32] for a in IMAGES[3])
    config = TINY | {"steps": 1, "patch": None} | settings
    card = train([Example(stack, truth)], validation=[], **config).card
    assert card.architecture.ndim == ndim
    parts = list(truth) if ndim == 2 else [truth]
    sizes = np.concatenate([np.unique(p[p > 0], return_counts=True)[1] for p in parts])
    diameters = np.sqrt(4 / np.pi * sizes) if ndim == 2 else np.cbrt(6 / np.pi * sizes)
    assert card.object_diameter == pytest.approx(np.median(diameters), abs=0.01)


def test_several_channels() -> None:
    image, truth = IMAGES[2][0][:64, :64], IMAGES[2][1][:64, :64]
    stacked = np.stack([image, 255 - image], axis=-1)
    model = train([Example(stacked, truth, axes="YXC")], **TINY)
    assert model.card.architecture.in_channels == len(model.card.channels) == 2
    model = train([Example([image, image, image], truth)], **TINY)
    assert model.card.architecture.in_channels == 3


@pytest.mark.parametrize("axes", ["CYX", "YXC", "YCX"])
def test_targets_with_channels_are_scored_on_their_own_axes(axes: str) -> None:
    network = UNet(UNetConfig(ndim=2, in_channels=2, out_channels=2, features=(4,)))
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.copy_(torch.tensor([0.25, 0.75]))
    card = ModelCard(
        name="constant", task="regression", axes="CYX", channels=("a", "b"),
        architecture=network.config,
    )  # fmt: skip
    target = np.zeros((2, 12, 15)) + np.array([0.25, 0.75])[:, None, None]
    moved = target.transpose(["CYX".index(a) for a in axes])
    example = Example(np.random.default_rng(0).random(moved.shape), moved, axes=axes)
    scores = score(Model(card, network.eval()), [example], device="cpu")
    assert isinstance(scores, RegressionScores)
    assert scores.mae < 1e-6


# -------------------------------------------------------------------------------- bad input


def semantic_model() -> Model:
    labels = np.random.default_rng(0).integers(0, 3, (32, 32))
    return train([Example(IMAGES[2][0][:32, :32], labels)], task="semantic", **TINY)


def values(shape: tuple[int, ...] = (32, 32), top: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, top, shape)


@pytest.mark.parametrize(
    ("examples", "settings", "kind", "words"),
    [
        ([], {}, TrainingError, "no examples"),
        ([Example(values(), values((32, 31)))], {}, InputError, r"shape \(32, 31\)"),
        ([Example(values(), values() * 0.3)], {}, InputError, "no whole number"),
        ([Example(values(), values() * 0)], {}, TrainingError, "labels are empty"),
        (
            [Example(values(), values()), Example([values(), values()], values())],
            {},
            TrainingError,
            r"different numbers of channels \[1, 2\]",
        ),
        ([Example(values(), values(), region="slices")], {}, TrainingError, "'slices'"),
        (
            [Example(values(), values(top=3))],
            {"task": "semantic", "classes": (ClassInfo(value=0, name="a"),
                                             ClassInfo(value=1, name="b"))},
            TrainingError,
            "value 2, which none of the classes",
        ),
        (
            [Example(values(), np.full((32, 32), 4.5))],
            {"task": "regression"},
            TrainingError,
            r"constant \(4.5\)",
        ),
        ([Example(values(), values())], {"patch": (8, 8, 8)}, UNetError, "Z axis|sizes"),
        ([Example(values(), values())], {"patch": (8,)}, TrainingError, "patch"),
        (
            [Example(values(), values())],
            {"patch": (2, 2), "batch_size": 1},
            TrainingError,
            r"patch \(2, 2\) and batch_size 1 leave a single pixel",
        ),
        ([Example(values(), values())], {"precision": "float16"}, SettingsError, "float16"),
        ([Example(values(), values())], {"septs": 3}, SettingsError, "septs"),
        ([Example(values(), values())], {"minutes": 1}, SettingsError, "not both"),
        ([Example(values() * np.nan, values())], {}, InputError, "NaN"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_before_any_step(
    examples: list[Example], settings: dict[str, Any], kind: type[UNetError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        next(iter_train(examples, validation=[], **(TINY | settings)))


@pytest.mark.parametrize(
    ("held_out", "task", "words"),
    [
        (Example(values(), values((30, 32))), "instance", r"shape \(30, 32\)"),
        (Example(values(), values() * 0.3), "instance", "no whole number"),
        (Example(values((32, 32, 3)), values()), "instance", "takes 1 channel"),
        (Example(values(), values(), region="slices"), "instance", "'slices'"),
        (Example(values(), values(top=9)), "semantic", "none of the classes names"),
    ],
)
def test_bad_validation_examples_are_refused_before_any_step(
    held_out: Example, task: Task, words: str
) -> None:
    with pytest.raises(UNetError, match=words):
        next(iter_train([Example(values(), values())], validation=[held_out], task=task, **TINY))


def test_a_base_that_does_not_fit(base: Model) -> None:
    floats = Example(values(), values() * 1.0)
    with pytest.raises(TrainingError, match="'base' is for the task 'instance', not 'regression'"):
        next(iter_train([floats], base=base, task="regression", **TINY))
    with pytest.raises(UNetError, match="no model"):
        next(iter_train([Example(values(), values())], base="no-such-model", **TINY))


def test_a_base_is_adapted_to_other_channels(base: Model) -> None:
    image, truth = corner().image, corner().labels
    steps, model = finish(iter_train([Example([image] * 3, truth)], base=base, **TINY))
    assert "first layer" in steps[0].message
    assert model.card.architecture.in_channels == 3
    assert len(model.card.channels) == 3
    rgb = train([Example(np.stack([image] * 3, -1), truth, axes="YXC")], base=base, **TINY)
    assert rgb.card.architecture.in_channels == 3
    assert [record.model for record in rgb.card.scores] == [None]  # the base answers nothing here


def test_a_base_is_adapted_to_other_classes() -> None:
    classes = tuple(ClassInfo(value=v, name=str(v)) for v in range(2))
    two = Example(values(), values())
    wanted = {"task": "semantic", "classes": classes}
    steps, model = finish(iter_train([two], base=semantic_model(), **wanted, **TINY))
    assert "last layer" in steps[0].message
    assert model.card.architecture.out_channels == 2
    assert model.card.classes == classes


def test_base_and_new_model_are_scored_side_by_side(base: Model) -> None:
    model = train([corner(size=128)], base=base, **TINY)
    new, old = model.card.scores
    assert (new.model, old.model) == (None, "base")
    assert new.data == old.data
    assert new.images == old.images == 1
    # where nothing is found there is no area of what was found
    assert {*new.values, "median area ratio"} == {*old.values, "median area ratio"}


def test_a_loss_that_is_no_number_ends_in_words() -> None:
    bright = Example(values() * 1e30, values())
    plain = {"norm": "none", "normalization": Normalization(mode="none"), "augmentation": "none"}
    job = iter_train([bright], task="regression", loss="mse", **plain, **TINY)
    with pytest.raises(TrainingError, match=r"not finite at step 1.*learning_rate"):
        finish(job)


# ------------------------------------------------------------------------- faults of settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"features": (4, 8, 16), "strides": ((2, 2),)},
        {"features": (4, 8), "strides": ((2, 2, 2),)},
    ],
    ids=["too few strides", "strides of a volume"],
)
def test_an_impossible_architecture_is_told_in_words(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="stride"):
        train([corner()], **(TINY | wrong))


@pytest.mark.parametrize("wrong", [corner(), [(1, 2)]], ids=["one example", "pairs"])
def test_examples_that_are_none(wrong: Any) -> None:
    with pytest.raises(TrainingError, match=r"napari_unet\.Example"):
        train(wrong, **TINY)


def test_examples_may_come_from_a_generator() -> None:
    assert train((corner() for _ in range(1)), **TINY).card.training.examples == 1


def shortage(monkeypatch: pytest.MonkeyPatch, pixels: int) -> None:
    """Let a batch of more pixels not fit into memory."""
    forward = UNet.forward

    def limited(network: UNet, x: Tensor) -> Tensor:
        if network.training and x[:, 0].numel() > pixels:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(network, x)

    monkeypatch.setattr(UNet, "forward", limited)


def test_out_of_memory_halves_the_batch_and_then_the_patch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shortage(monkeypatch, 32 * 16)
    config = TINY | {"batch_size": 4, "statistics": "running"}
    steps, model = finish(iter_train([corner()], validation=[], **config))
    assert "batch_size 2" in steps[0].message
    assert "patch (16, 32)" in steps[0].message
    assert not any(s.message for s in steps[1:])
    assert len(steps) == 4
    assert model.card.training is not None
    assert model.card.training.config["batch_size"] == 1
    assert model.card.training.config["patch"] == [16, 32]


def test_out_of_memory_for_the_smallest_patch_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    shortage(monkeypatch, 0)
    with pytest.raises(TrainingInterruptedError, match="not enough memory for batch_size 1"):
        train([corner()], validation=[], **TINY)


def test_what_was_learned_before_a_fault_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    job = iter_train([corner()], validation=[corner(100, 300)], **TINY)
    told = [next(job) for _ in range(3)]
    shortage(monkeypatch, 0)
    with pytest.raises(TrainingInterruptedError) as fault:
        next(job)
    model = fault.value.model
    assert isinstance(model, Model)
    assert model.card.training is not None
    # as good as told, or better by the calibrated decoding
    best = told[-1].best
    assert best is not None
    assert select_score(score(model, [corner(100, 300)], device="cpu")) >= best
    assert [record.model for record in model.card.scores] == [None]


def test_a_read_that_fails_in_mid_run_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    job = iter_train([corner()], validation=[corner(100, 300)], **TINY)
    for _ in range(3):
        next(job)

    def broken(*_: Any) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(PatchSampler, "draw", broken)
    with pytest.raises(TrainingInterruptedError, match=r"step 4: OSError: the disk is gone") as end:
        next(job)
    assert isinstance(end.value.model, Model)


@pytest.mark.parametrize("held_out", [[], [corner(100, 300)]])
def test_a_loss_that_becomes_no_number_keeps_what_was_learned(
    held_out: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = iter_train([corner()], validation=held_out, **TINY)
    for _ in range(3):
        next(job)
    forward = UNet.forward

    def overflow(network: UNet, x: Tensor) -> Tensor:
        return forward(network, x) * (float("nan") if network.training else 1.0)

    monkeypatch.setattr(UNet, "forward", overflow)
    with pytest.raises(TrainingInterruptedError, match="gradient was not finite") as end:
        next(job)
    assert isinstance(end.value.model, Model)
    assert all(torch.isfinite(value).all() for value in weights(end.value.model).values())


def test_what_fails_after_the_training_does_not_lose_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError("too large")

    monkeypatch.setattr("napari_unet.training.train.finalize_model", fail)
    with pytest.raises(TrainingInterruptedError, match="MemoryError: too large") as end:
        train([corner()], validation=[corner(100, 300)], **TINY)
    assert isinstance(end.value.model, Model)


def test_a_preview_is_given_on_request_and_changes_nothing() -> None:
    view = IMAGES[2][0][100:160, 200:280]
    plain, _ = finish(iter_train([corner()], validation=[], **TINY))
    job = iter_train([corner()], validation=[], **TINY)
    steps = [next(job), job.send(Preview(view)), next(job), job.send(Preview(view, axes="YX"))]
    assert [s.preview is not None for s in steps] == [False, True, False, True]
    assert steps[1].preview.shape == view.shape
    assert steps[1].preview.dtype == np.int32
    assert [s.loss for s in steps] == [s.loss for s in plain]
    regression = iter_train([Example(values(), values() * 1.0)], task="regression", **TINY)
    next(regression)
    assert regression.send(Preview(view)).preview.shape == (1, *view.shape)


def test_a_view_that_cannot_be_shown_is_told_and_training_goes_on() -> None:
    job = iter_train([corner()], validation=[], **TINY)
    next(job)
    step = job.send(Preview(np.zeros((8, 8)), axes="QYX"))
    assert step.preview is None
    assert "There is no preview: axes 'QYX'" in step.message
    assert next(job).step == 3


def test_the_guard_gives_the_base_the_same_chance(base: Model) -> None:
    """The same weights score the same, though only the new decoding is calibrated for good."""
    still = {"statistics": "frozen", "learning_rate": 1e-30, "weight_decay": 0.0}
    model = train([corner(size=160)], base=base, **(TINY | still))
    new, old = model.card.scores
    assert new.values == old.values


def test_without_validation_the_decoding_is_that_of_the_base(base: Model) -> None:
    card = base.card.model_copy(update={"decoding": Decoding(split_depth=0.3, min_size=7)})
    model = train([corner()], base=Model(card, base.network), validation=[], **TINY)
    assert model.card.decoding == card.decoding


def test_long_validations_are_cut_down() -> None:
    image, truth = (np.tile(a, (3, 3)) for a in IMAGES[2])
    pieces = [ValidationPiece(image[None], truth[None], np.ones(truth.shape, bool))] * 2
    short = crop_pieces(pieces, 100_000)
    assert all(0 < piece.known.size <= 50_000 for piece in short)
    assert all(piece.image.shape[1:] == piece.labels.shape[1:] for piece in short)
    known = np.zeros(truth.shape, bool)
    known[-30:, -40:] = True
    assert crop_pieces([ValidationPiece(image[None], truth[None], known)], 10_000)[0].known.any()
    assert crop_pieces(pieces, 10**9)[0] is pieces[0]


def test_batch_norm_of_no_base_cannot_be_frozen() -> None:
    with pytest.raises(TrainingError, match="there is none"):
        train([corner()], statistics="frozen", **TINY)


@pytest.mark.parametrize("task", ["regression", "instance"])
def test_patches_of_a_regression_are_moved_but_not_interpolated(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interpolated pixels have less noise than those that are predicted from later."""
    seen: list[Tensor] = []
    forward = UNet.forward

    def look(network: UNet, x: Tensor) -> Tensor:
        if network.training:
            seen.append(x)
        return forward(network, x)

    monkeypatch.setattr(UNet, "forward", look)
    image = np.random.default_rng(0).permutation(64 * 64).reshape(64, 64).astype(np.float32)
    config = TINY | {"normalization": Normalization(mode="none"), "augmentation": "strong"}
    labels = image if task == "regression" else corner().labels
    train([Example(image, labels)], task=task, validation=[], **config)
    whole = all(bool((x == x.round()).all()) for x in seen)
    assert whole == (task == "regression")
    first = torch.cat(seen[:2])  # the shards of a batch, where they are computed side by side
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("statistics", ["settled", "frozen", "running"])
def test_statistics_of_batch_norm(base: Model, statistics: str) -> None:
    model = train([corner()], base=base, validation=[], statistics=statistics, **TINY)
    now, before = (
        {k: v for k, v in m.network.state_dict().items() if "running_mean" in k}
        for m in (model, base)
    )
    assert equal(now, before) == (statistics == "frozen")


def test_two_classes_of_one_value_are_told_before_the_work() -> None:
    twice = tuple(ClassInfo(value=1, name=name) for name in ("a", "b"))
    with pytest.raises(SettingsError, match="same label value"):
        train([corner()], **(TINY | {"task": "semantic", "classes": twice}))
