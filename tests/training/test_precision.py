"""The number format of a training, and steps whose loss or gradient is not finite."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage.segmentation import find_boundaries
from torch import Tensor

from napari_unet.dataset.example import Example
from napari_unet.errors import TrainingInterruptedError, UNetError
from napari_unet.network.model import Model
from napari_unet.network.precision import DeviceCapability
from napari_unet.network.unet import UNet
from napari_unet.samples import load_sample
from napari_unet.training import precision
from napari_unet.training.steps import TrainStep
from napari_unet.training.train import iter_train, train

pytestmark = pytest.mark.number_format

SAMPLES = {2: load_sample("nuclei_2d"), 3: load_sample("nuclei_3d")}
IMAGES = {ndim: (sample.image, sample.truth) for ndim, sample in SAMPLES.items()}
EXAMPLE = Example(*(a[:64, :64] for a in IMAGES[2]))
HELD_OUT = Example(*(a[100:164, 300:364] for a in IMAGES[2]))
SETTINGS: dict[str, Any] = {
    "features": (4, 8),
    "patch": (16, 16),
    "batch_size": 2,
    "steps": 52,
    "validation_every": 20,
    "learning_rate": 1e-2,
    "device": "cpu",
}
Inject = Callable[..., list[bool]]


def finish(job: Generator[TrainStep, Any, Model]) -> tuple[list[TrainStep], Model]:
    """All steps and the model."""
    steps = []
    while True:
        try:
            steps.append(next(job))
        except StopIteration as end:
            return steps, end.value


def weights(model: Model) -> dict[str, Tensor]:
    return model.network.state_dict()


def assert_sound(model: Model) -> None:
    assert all(torch.isfinite(value).all() for value in weights(model).values())


@pytest.fixture
def inject(monkeypatch: pytest.MonkeyPatch) -> Inject:
    """``inject(2, 50)``: NaN gradients at these forward passes of the training, from 1 on.

    Returns a list that grows by whether each pass was in a reduced format.
    """
    forward = UNet.forward
    passes: list[bool] = []

    def inject(*at: int, value: float = float("nan"), reduced_only: bool = False) -> list[bool]:
        def faulty(network: UNet, x: Tensor) -> Tensor:
            logits = forward(network, x)
            if network.training and logits.requires_grad:
                passes.append(torch.is_autocast_enabled("cpu"))
                if (len(passes) in at or not at) and (passes[-1] or not reduced_only):
                    logits.register_hook(lambda gradient: gradient * value)
            return logits

        monkeypatch.setattr(UNet, "forward", faulty)
        return passes

    return inject


# Steps that give no finite numbers


@pytest.mark.parametrize(
    ("precision", "at", "value"),
    [
        *(("float32", at, float("nan")) for at in (1, 2, 50)),
        *(("bfloat16", at, float("nan")) for at in (1, 50)),
        ("bfloat16", 2, float("inf")),
    ],
)
def test_one_bad_gradient_does_not_end_the_training(
    inject: Inject, precision: str, at: int, value: float
) -> None:
    passes = inject(at, value=value)
    job = iter_train([EXAMPLE], validation=[HELD_OUT], precision=precision, **SETTINGS)
    steps, model = finish(job)
    assert [step.step for step in steps] == list(range(1, 53))
    assert len(passes) == 53  # one was dropped
    assert all(np.isfinite(step.loss) for step in steps)
    assert_sound(model)
    (told,) = (step for step in steps if f"tep {at} gave" in step.message)
    assert told.step == at
    assert model.card.training is not None
    assert model.card.training.config["precision"] == "float32"
    if precision == "bfloat16":
        assert "goes on in float32" in told.message
        assert passes == [True] * at + [False] * (53 - at)
    else:
        assert "skipped" in told.message


def test_a_loss_that_is_not_finite_is_a_dropped_step_too(monkeypatch: pytest.MonkeyPatch) -> None:
    forward, count = UNet.forward, itertools.count(1)

    def faulty(network: UNet, x: Tensor) -> Tensor:
        logits = forward(network, x)
        if network.training and logits.requires_grad and next(count) == 2:
            return logits * float("inf")
        return logits

    monkeypatch.setattr(UNet, "forward", faulty)
    settings = SETTINGS | {"steps": 4, "precision": "float32"}
    steps, model = finish(iter_train([EXAMPLE], validation=[HELD_OUT], **settings))
    assert "skipped" in steps[1].message
    assert_sound(model)


def test_in_float32_the_second_lowers_the_learning_rate_and_the_third_ends_it(
    inject: Inject,
) -> None:
    inject(1, 2, 50)
    job = iter_train([EXAMPLE], validation=[HELD_OUT], precision="float32", **SETTINGS)
    steps: list[TrainStep] = []
    with pytest.raises(TrainingInterruptedError, match=r"not finite at step 48.*third") as end:
        steps.extend(job)
    assert len(steps) == 47  # the first one took three passes
    assert isinstance(end.value.model, Model)
    assert_sound(end.value.model)


def test_the_learning_rate_is_lowered_for_good(inject: Inject) -> None:
    settings = SETTINGS | {"steps": 6, "validation_every": 2, "precision": "float32"}
    plain, _ = finish(iter_train([EXAMPLE], validation=[HELD_OUT], **settings))
    inject(1, 4)
    steps, _ = finish(iter_train([EXAMPLE], validation=[HELD_OUT], **settings))
    assert [s.learning_rate for s in steps[:2]] == [s.learning_rate for s in plain[:2]]
    for step, other in zip(steps[2:], plain[2:], strict=True):
        assert step.learning_rate == pytest.approx(other.learning_rate / 10)


def test_a_training_without_any_finite_gradient_ends_in_words(inject: Inject) -> None:
    inject()
    with pytest.raises(TrainingInterruptedError, match="learning_rate") as end:
        train([EXAMPLE], validation=[HELD_OUT], precision="bfloat16", **SETTINGS)
    assert end.value.model is None or isinstance(end.value.model, Model)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_training_gives_the_same_weights(
    inject: Inject, tmp_path: Path, precision: str
) -> None:
    settings = SETTINGS | {"steps": 9, "validation_every": 3, "precision": precision}
    place: dict[str, Any] = {"validation": [HELD_OUT], "checkpoint": tmp_path / "run.ckpt"}
    passes = inject(2, 3)
    undisturbed, expected = finish(iter_train([EXAMPLE], validation=[HELD_OUT], **settings))
    passes.clear()
    job = iter_train([EXAMPLE], **place, **settings)
    list(itertools.islice(job, 4))
    job.close()
    passes.extend([False] * 100)  # no further fault
    rest, resumed = finish(iter_train([EXAMPLE], **place, **settings))
    assert [(s.step, s.loss, s.learning_rate) for s in rest] == [
        (s.step, s.loss, s.learning_rate) for s in undisturbed[3:]
    ]
    for key, value in weights(expected).items():
        assert torch.equal(weights(resumed)[key], value), key


# The trial step


@pytest.fixture
def matrix_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the CPU multiplies bfloat16 in hardware."""
    capability = DeviceCapability("cpu", bfloat16_matrix_units=True)
    monkeypatch.setattr(precision, "device_capability", lambda _: capability)


def chosen(**settings: Any) -> str:
    wide = SETTINGS | {"features": (16, 32), "steps": 2, "validation_every": 1} | settings
    _, model = finish(iter_train([EXAMPLE], validation=[HELD_OUT], **wide))
    assert model.card.training is not None
    return str(model.card.training.config["precision"])


@pytest.mark.usefixtures("matrix_units")
def test_auto_takes_bfloat16_where_a_trial_step_is_close_to_float32() -> None:
    assert [chosen() for _ in range(2)] == ["bfloat16"] * 2
    assert chosen(features=(4, 8)) == "float32"  # too narrow to gain
    assert chosen(precision="float32") == "float32"


@pytest.mark.usefixtures("matrix_units")
def test_auto_tries_no_bfloat16_in_3d_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """There it can end the process: a trial would be too late."""

    def fail(*_: object) -> None:
        pytest.fail("the number format was tried")

    monkeypatch.setattr(precision, "gradient_difference", fail)
    image, truth = IMAGES[3]
    settings = SETTINGS | {"features": (16, 32), "steps": 1, "ndim": 3, "patch": (4, 16, 16)}
    _, model = finish(iter_train([Example(image, truth, axes="ZYX")], **settings))
    assert model.card.training is not None
    assert model.card.training.config["precision"] == "float32"
    with pytest.raises(UNetError, match="end the whole program"):
        finish(iter_train([Example(image, truth, axes="ZYX")], precision="bfloat16", **settings))


@pytest.mark.usefixtures("matrix_units")
@pytest.mark.parametrize("value", [float("nan"), 3.0])
def test_auto_takes_float32_where_it_is_not(inject: Inject, value: float) -> None:
    passes = inject(value=value, reduced_only=True)
    assert chosen() == "float32"
    assert passes == [False, True, False, False]


@pytest.mark.usefixtures("matrix_units")
def test_the_trial_changes_nothing_of_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SETTINGS | {"features": (16, 32), "steps": 3, "validation_every": 3}
    monkeypatch.setattr(precision, "MAX_GRADIENT_DIFFERENCE", -1.0)
    tried, first = finish(iter_train([EXAMPLE], **settings))
    plain, second = finish(iter_train([EXAMPLE], precision="float32", **settings))
    assert [step.loss for step in tried] == [step.loss for step in plain]
    for key, value in weights(second).items():
        assert torch.equal(weights(first)[key], value), key


# With default settings


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("task", ["instance", "semantic", "regression"])
def test_a_training_with_default_settings_completes(task: str, ndim: int) -> None:
    image, truth = IMAGES[ndim]
    labels: Any = truth
    if task == "semantic":
        labels = np.where(truth > 0, 1, 0).astype(np.uint8)
        labels[find_boundaries(truth)] = 2
    if task == "regression":
        labels = image.astype(np.float32)
    example = Example(image, labels)
    steps, model = finish(iter_train([example], task=task, steps=4, ndim=ndim))
    assert [step.step for step in steps] == [1, 2, 3, 4]
    assert all(np.isfinite(step.loss) for step in steps)
    assert_sound(model)
