"""Training a U-Net on examples: the loop, from patches to the best weights."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_unet.augmentation import PRESETS, augment
from napari_unet.checkpoint import Checkpoint
from napari_unet.completion import complete
from napari_unet.devices import DTYPES, resolve_device, training_precision
from napari_unet.errors import TrainingError
from napari_unet.examples import Example, draw_patches
from napari_unet.losses import task_loss
from napari_unet.model import Model
from napari_unet.progress import drain
from napari_unet.settings import TrainConfig, resolve
from napari_unet.tile_prediction import out_of_memory
from napari_unet.training_setup import TrainingSetup, set_up
from napari_unet.unet import UNet
from napari_unet.validation import validate

DEFAULT_MINUTES = 10.0
WARM_UP = 0.03
AFTERWARDS = 3  # validations that the last one, the calibration and the thumbnail take
STATISTICS_PATCHES = 64


@dataclass(frozen=True)
class TrainStep:
    """What training says after a step.

    Attributes
    ----------
    step, total : int
        Steps so far, and in all (an estimate where a time budget decides).
    loss : float
        Of this step.
    learning_rate : float
        Of this step.
    metric : float or None
        On the validation examples, where they were just scored: mean AP over IoU 0.5 to 0.95
        (instance), mean Dice (semantic), PSNR in dB (regression).
    best : float or None
        The best metric so far.
    seconds : float
        Since training began.
    """

    step: int
    total: int
    loss: float
    learning_rate: float
    metric: float | None
    best: float | None
    seconds: float


def train(
    examples: Sequence[Example],
    *,
    base: Model | str | Path | None = None,
    config: TrainConfig | None = None,
    validation: Sequence[Example] | None = None,
    checkpoint: str | Path | None = None,
    **overrides: Any,
) -> Model:
    """Train a model on labelled images.

    Parameters
    ----------
    examples : sequence of Example
        Images with labels.
    base : Model, str or Path, optional
        A model to start from; it is not changed. None: a new network.
    config : TrainConfig, optional
        Settings; ``overrides`` are single fields of it. Without a budget: 10 minutes.
    validation : sequence of Example, optional
        Examples that are never trained on; None: a share of ``examples`` is held out where
        there are several.
    checkpoint : str or Path, optional
        A file that is written now and then; where it exists, training goes on from it. It is
        removed at the end.

    Returns
    -------
    Model
        With the weights that scored best on the validation examples, or the last ones
        where there are none. The decoding of instances is calibrated on the validation
        examples.

    Raises
    ------
    UNetError
        If examples, base and settings do not fit one another.
    """
    return drain(
        iter_train(
            examples,
            base=base,
            config=config,
            validation=validation,
            checkpoint=checkpoint,
            **overrides,
        )
    )


def iter_train(
    examples: Sequence[Example],
    *,
    base: Model | str | Path | None = None,
    config: TrainConfig | None = None,
    validation: Sequence[Example] | None = None,
    checkpoint: str | Path | None = None,
    **overrides: Any,
) -> Generator[TrainStep, str | None, Model]:
    """`train` as a generator: yields a `TrainStep` per step, returns the `Model`.

    ``send("stop")`` ends it with the best model so far; closing it discards the training.
    """
    wanted = resolve(TrainConfig, config, overrides)
    if wanted.minutes is None and wanted.steps is None:
        wanted = wanted.model_copy(update={"minutes": DEFAULT_MINUTES})
    setup = set_up(
        examples if isinstance(examples, Example) else list(examples),
        base=None if base is None else Model.load(base),
        config=wanted,
        validation=validation,
    )
    run = _Run(setup)
    store = Checkpoint(checkpoint, setup) if checkpoint is not None else None
    if store is not None and not store.restore(run):
        store.save(run)  # a place that cannot be written to is noticed before the work
    while not run.finished:
        step = run.advance()
        if store is not None and run.at_milestone:
            store.save(run)
        if (yield step) == "stop":
            break
    model = complete(run.best_model(), setup, run.precision)
    if store is not None:
        store.remove()
    return model


class _Run:
    """The state of a training."""

    def __init__(self, setup: TrainingSetup) -> None:
        config = setup.config
        self.setup = setup
        self.device = resolve_device(config.device)
        self.precision = training_precision(config.precision, self.device)
        ndim = setup.network.config.ndim
        self.format = torch.channels_last if ndim == 2 else torch.channels_last_3d
        self.network: UNet = setup.network.to(self.device)
        self.network = self.network.to(memory_format=self.format)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.loss = task_loss(setup.goal.task, config.loss)
        self.rng = np.random.default_rng(config.seed)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.step = 0
        self.before = 0.0  # seconds of an earlier, interrupted run
        self.start = time.perf_counter()
        self.validation_seconds = 0.0  # of the last one
        self.last_milestone = 0.0
        self.at_milestone = False
        self.finished = False
        self.best: float | None = None
        self.best_weights: dict[str, Tensor] | None = None

    @property
    def seconds(self) -> float:
        return self.before + time.perf_counter() - self.start

    @property
    def fraction(self) -> float:
        """Share of the budget that is used, 0 to 1."""
        config = self.setup.config
        if config.steps is not None:
            return self.step / config.steps
        budget = (config.minutes or DEFAULT_MINUTES) * 60
        return min(self.seconds / max(budget - AFTERWARDS * self.validation_seconds, 1e-3), 1.0)

    def advance(self) -> TrainStep:
        """One step of the optimiser; now and then, and at the end, a validation."""
        fraction = self.fraction
        rate = self.setup.config.learning_rate * schedule(fraction)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        try:
            loss = self._forward()
            value = float(loss.detach())
            self.optimizer.zero_grad(set_to_none=True)
            if math.isfinite(value):
                loss.backward()  # type: ignore[no-untyped-call]
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise TrainingError(
                f"There is not enough memory for batch_size {self.setup.config.batch_size} with "
                f"patch {self.setup.patch}; lower one of them."
            ) from None
        if not math.isfinite(value):
            raise TrainingError(
                f"The loss became {value} at step {self.step + 1}; lower the learning rate "
                f"(now {self.setup.config.learning_rate:g}), or use precision 'float32'."
            )
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.step += 1
        # settled once a step: the clock must not end a run between here and a validation
        self.finished = self.fraction >= 1
        self.at_milestone = self._due()
        metric = None
        if self.at_milestone:
            metric = self._validate() if self.setup.validation else None
            self.last_milestone = self.seconds
        total = self.setup.config.steps or round(self.step / max(self.fraction, 1e-6))
        return TrainStep(self.step, total, value, rate, metric, self.best, self.seconds)

    def best_model(self) -> Model:
        """The model with the best weights, on the CPU."""
        weights = self.best_weights
        if weights is None:
            self._settle_statistics()
            weights = _copy_weights(self.network)
        with torch.device("meta"):  # no random values, which would come out of the caller's state
            network = UNet(self.network.config)
        network.load_state_dict(weights, assign=True)
        card = self.setup.make_card(self.step, self.seconds)
        return Model(card, network.eval())

    def _forward(self) -> Tensor:
        """The loss of a new batch."""
        image, target, known = self._batch()
        with torch.autocast(
            self.device.type, DTYPES[self.precision], enabled=self.precision != "float32"
        ):
            logits = self.network(image)
        return self.loss(logits, target, known)

    def _batch(self) -> tuple[Tensor, Tensor, Tensor]:
        setup = self.setup
        how = PRESETS[setup.config.augmentation]
        window = tuple(math.ceil(p * how.margin) if p > 1 else 1 for p in setup.patch[-2:])
        window = (*setup.patch[:-2], *window)
        arrays = draw_patches(setup.frames, window, setup.config.batch_size, self.rng)
        image, target, known = (torch.from_numpy(a).to(self.device) for a in arrays)
        image, target, known = augment(
            image,
            target,
            known,
            setup.patch,
            how,
            self.generator,
            nearest_targets=setup.goal.task == "semantic",
            change_intensity=setup.goal.task != "regression",
        )
        return image.contiguous(memory_format=self.format), target, known

    def _due(self) -> bool:
        """Whether it is time to validate, and to write a checkpoint."""
        if self.finished:
            return True
        every = self.setup.config.validation_every
        if every is not None:
            return self.step % every == 0
        if self.setup.config.steps is not None:
            return self.step % max(10, self.setup.config.steps // 20) == 0
        # by time: about twenty, and never more than a tenth of the time for them
        budget = (self.setup.config.minutes or DEFAULT_MINUTES) * 60
        pause = max(budget / 20, 9 * self.validation_seconds)
        return self.seconds - self.last_milestone >= pause

    def _validate(self) -> float:
        began = time.perf_counter()
        self._settle_statistics()
        metric = validate(self.setup, self.network, self.precision)
        if self.best is None or metric >= self.best:
            self.best = metric
            self.best_weights = _copy_weights(self.network)
        self.validation_seconds = time.perf_counter() - began
        return metric

    def _settle_statistics(self) -> None:
        """Replace the running batch-norm statistics by means over many patches.

        A running mean over small batches is noisy and lags behind the weights.
        """
        norms = [
            m
            for m in self.network.modules()
            if isinstance(m, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d)
        ]
        if not norms:
            return
        momentum = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over the batches
        self.network.train()
        rng, state = copy.deepcopy(self.rng), self.generator.get_state()
        for _ in range(max(1, STATISTICS_PATCHES // self.setup.config.batch_size)):
            image, _, _ = self._batch()
            with torch.inference_mode():
                self.network(image)
        # a validation must not change what is trained on
        self.rng = rng
        self.generator.set_state(state)
        for norm, value in zip(norms, momentum, strict=True):
            norm.momentum = value


def schedule(fraction: float) -> float:
    """Factor of the learning rate: a short linear warm-up, then half a cosine.

    >>> [round(schedule(f), 2) for f in (0.0, 0.03, 0.5, 1.0)]
    [0.05, 1.0, 0.52, 0.0]
    """
    if fraction < WARM_UP:
        return max(fraction / WARM_UP, 0.05)
    return 0.5 * (1 + math.cos(math.pi * (fraction - WARM_UP) / (1 - WARM_UP)))


def _copy_weights(network: UNet) -> dict[str, Tensor]:
    return {
        key: value.detach().to("cpu", copy=True).contiguous()
        for key, value in network.state_dict().items()
    }
