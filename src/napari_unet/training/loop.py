"""The training loop: from patches to the best weights, a step at a time."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_unet.dataset.assembly import TrainingData
from napari_unet.dataset.example import Example
from napari_unet.dataset.update import renew_data
from napari_unet.dataset.validation_pieces import ValidationPiece
from napari_unet.errors import Note, TrainingError, TrainingInterruptedError
from napari_unet.metrics import InstanceScores
from napari_unet.network.devices import (
    DTYPES,
    out_of_memory,
    resolve_device,
    training_precision,
)
from napari_unet.network.model import Model
from napari_unet.network.unet import UNet
from napari_unet.training.augmentation import PRESETS, augment
from napari_unet.training.batch_norm import freeze, update_statistics
from napari_unet.training.learning_rate import schedule
from napari_unet.training.losses import task_loss
from napari_unet.training.patch_sampling import PatchSampler
from napari_unet.training.scoring import headline, score_pieces, shorten
from napari_unet.training.setup import TrainingSetup, check_statistics
from napari_unet.training.steps import TrainStep

DEFAULT_MINUTES = 10.0
AFTERWARDS = 5  # validations that the last one, the calibration and the guard take
STATISTICS_PATCHES = 64
EARLY_PATCHES = 8  # for the statistics of a preview before the first validation
PREVIEW_PATCHES = 16  # of later ones
JUDGED_PIXELS = 2_000_000  # that the weights are judged on, again and again
REDRAWS = 8  # of a patch from which augmentation has moved all that is known


class TrainingLoop:
    """The state of a training.

    Parameters
    ----------
    setup : TrainingSetup
        What is trained on what.
    start : float, optional
        When the training was asked for, by `time.perf_counter`; the budget counts from then.
    """

    def __init__(self, setup: TrainingSetup, start: float | None = None) -> None:
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
        self.loss = task_loss(setup.data.goal.task, config.loss, config.border_weight)
        self.sampler = PatchSampler(setup.data.frames)
        self.rng = np.random.default_rng(config.seed)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.statistics = _resolve_statistics(setup)
        self.batch_size, self.patch = config.batch_size, setup.patch
        self.step = 0
        self.before = 0.0  # seconds of an earlier, interrupted run
        self.start = time.perf_counter() if start is None else start
        self.validation_seconds = 0.0  # of the last one
        self.last_milestone = self.seconds  # what was spent on the setting up is no reason
        self.at_milestone = False
        self.validated = False
        self.finished = False
        self.best: float | None = None
        self.best_weights: dict[str, Tensor] | None = None
        self.sound_weights: dict[str, Tensor] | None = None  # the last that gave a finite loss
        self.judged = shorten(setup.data.validation, JUDGED_PIXELS)

    @property
    def seconds(self) -> float:
        """Since training began, interruptions left out."""
        return self.before + time.perf_counter() - self.start

    @property
    def fraction(self) -> float:
        """Share of the budget that is used, 0 to 1."""
        config = self.setup.config
        if config.steps is not None:
            return self.step / config.steps
        budget = (config.minutes or DEFAULT_MINUTES) * 60
        afterwards = min(AFTERWARDS * self.validation_seconds, budget / 2)
        return min(self.seconds / (budget - afterwards), 1.0)

    @property
    def metric_name(self) -> str:
        """What the weights are scored by, for a legend."""
        task = self.setup.data.goal.task
        if task == "regression":
            return "PSNR"
        return "mean AP" if task == "instance" and self.setup.distance_known else "Dice"

    def advance(self) -> TrainStep:
        """One step of the optimiser; now and then, and at the end, a validation.

        Raises
        ------
        TrainingInterruptedError
            If the loss is not finite, or no smaller batch or patch fits into memory.
        """
        rate = self.setup.config.learning_rate * schedule(self.fraction)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self._train_mode()
        notes = []
        while True:
            try:
                value = self._learn()
                break
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
            notes.append(Note("memory-short", self._shrink()))
        self.step += 1
        # settled once a step: the clock must not end a run between here and a validation
        self.finished = self.fraction >= 1
        self.at_milestone = self._due()
        metric = None
        if self.at_milestone:
            metric = self.validate()
            self.last_milestone = self.seconds
        total = self.setup.config.steps or round(self.step / max(self.fraction, 1e-6))
        return TrainStep(
            step=self.step,
            total=total,
            loss=value,
            learning_rate=rate,
            metric=metric,
            best=self.best,
            seconds=self.seconds,
            notes=tuple(notes),
            metric_name=self.metric_name,
        )

    def best_model(self) -> Model:
        """The model with the best weights, on the CPU."""
        if self.best_weights is None:
            return self.current_model()
        return self._model(self.best_weights)

    def current_model(self) -> Model:
        """The model with the present weights, on the CPU."""
        self._settle_statistics()
        return self._model(_copy_weights(self.network))

    def preview_model(self) -> Model:
        """The model with the present weights and, quickly made, rougher statistics."""
        self._settle_statistics(PREVIEW_PATCHES if self.validated else EARLY_PATCHES)
        return self._model(_copy_weights(self.network))

    def take_in(self, examples: Sequence[Example]) -> tuple[Note, ...]:
        """Go on with the labels as they are now; notes that say what was taken in.

        The best weights are scored anew, so that later ones are compared with them on the same
        labels. Where the labels do not fit, everything stays as it was.

        Raises
        ------
        UNetError
            If the examples do not fit the training.
        """
        data = renew_data(self.setup.data, examples, self.setup.config)
        setup = replace(self.setup, data=data)
        judged = shorten(data.validation, JUDGED_PIXELS)
        best = self.best
        if self.best_weights is not None and judged:
            best = self._score(self._model(self.best_weights), judged, setup)
        sampler = PatchSampler(data.frames)
        notes = [Note("labels-taken-in", _describe_data(data, len(examples)))]
        if judged and setup.distance_known != self.setup.distance_known:
            metric = "mean AP" if setup.distance_known else "Dice of the foreground"
            notes.append(Note("score-changed", f"From now on, the score is the {metric}"))
        self.setup, self.judged, self.best, self.sampler = setup, judged, best, sampler
        return tuple(notes)

    def resolved(self) -> dict[str, Any]:
        """Settings that were left to the run, or that it had to change."""
        config = self.setup.config
        regression = self.setup.data.goal.task == "regression"
        return {
            "batch_size": self.batch_size,
            "patch": self.patch,
            "device": str(self.device),
            "precision": self.precision,
            "statistics": self.statistics,
            "loss": "mae" if regression and config.loss == "auto" else config.loss,
        }

    def rescue(self) -> Model | None:
        """The best model that a fault leaves; None where nothing was learned yet."""
        weights = self.best_weights
        if weights is None and self.sound_weights is not None:
            self.network.load_state_dict(self.sound_weights)
            return self.current_model()
        return None if weights is None else self._model(weights)

    def _model(self, weights: dict[str, Tensor]) -> Model:
        with torch.device("meta"):  # no random values, which would come out of the caller's state
            network = UNet(self.network.config)
        network.load_state_dict(weights, assign=True)
        card = self.setup.make_card(self.step, self.seconds, **self.resolved())
        return Model(card, network.eval())

    def _learn(self) -> float:
        """One step of the optimiser on a new batch; its loss."""
        image, target, known = self._batch()
        with torch.autocast(
            self.device.type, DTYPES[self.precision], enabled=self.precision != "float32"
        ):
            logits = self.network(image)
        loss = self.loss(logits, target, known)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingInterruptedError(
                f"The loss became {value} at step {self.step + 1}",
                self.rescue(),
                remedy="lower the learning rate "
                f"(now {self.setup.config.learning_rate:g}), or use ⟨precision⟩ 'float32'",
                parameter="learning_rate",
                value=self.setup.config.learning_rate,
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        return value

    def _batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Varied patches, in each of which something is known."""
        batch = self._draw(self.batch_size)
        for _ in range(REDRAWS):
            empty = (batch[2].flatten(1).amax(1) == 0).nonzero().flatten()
            if not len(empty):
                break
            for old, new in zip(batch, self._draw(len(empty)), strict=True):
                old[empty] = new
        return batch[0].contiguous(memory_format=self.format), batch[1], batch[2]

    def _draw(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        setup = self.setup
        how = PRESETS[setup.config.augmentation]
        regression = setup.data.goal.task == "regression"
        if regression:  # interpolated pixels have less noise than those of a prediction
            how = replace(how, rotate=False, scale=0.0, elastic=0.0)
        window = tuple(math.ceil(p * how.margin) if p > 1 else 1 for p in self.patch[-2:])
        window = (*self.patch[:-2], *window)
        arrays = self.sampler.draw(self.patch, window, count, self.rng)
        image, target, known = (torch.from_numpy(a).to(self.device) for a in arrays)
        return augment(
            image,
            target,
            known,
            self.patch,
            how,
            self.generator,
            nearest_targets=setup.data.goal.task == "semantic",
            change_intensity=not regression,
            anisotropy=setup.anisotropy,
        )

    def _shrink(self) -> str:
        """Take a smaller batch, or a smaller patch; one sentence that says it."""
        self.optimizer.zero_grad(set_to_none=True)
        config = self.network.config
        if self.batch_size > 1:
            batch, patch = self.batch_size // 2, self.patch
        else:
            axis = int(np.argmax(self.patch))
            stride = config.stride[axis]
            smaller = max(stride, self.patch[axis] // 2 // stride * stride)
            batch = 1
            patch = (*self.patch[:axis], smaller, *self.patch[axis + 1 :])
        fits = (batch, patch) != (self.batch_size, self.patch)
        try:
            check_statistics(patch, batch, config)
        except TrainingError:
            fits = False
        if not fits:
            raise TrainingInterruptedError(
                f"There is not enough memory for ⟨batch_size⟩ {self.batch_size} with ⟨patch⟩ "
                f"{self.patch}, and no smaller one would do",
                self.rescue(),
                remedy="take fewer ⟨features⟩ or levels, or close other programs",
                code="memory-short",
            )
        self.batch_size, self.patch = batch, patch
        return (
            f"The memory is short: training goes on with ⟨batch_size⟩ {batch} and ⟨patch⟩ {patch}."
        )

    def _due(self) -> bool:
        """Whether it is time to validate, and to write a checkpoint."""
        if self.finished:
            return True
        every = self.setup.config.validation_every
        if every is not None:
            return self.step % every == 0
        if self.setup.config.steps is not None:
            return self.step % max(20, self.setup.config.steps // 10) == 0
        # by time: about twenty, and never more than a tenth of the time for them
        budget = (self.setup.config.minutes or DEFAULT_MINUTES) * 60
        pause = max(budget / 20, 9 * self.validation_seconds)
        return self.seconds - self.last_milestone >= pause

    def validate(self) -> float | None:
        """Score the present weights, and keep them if they are the best; None: nothing to do."""
        self.validated = True
        if not self.judged:
            self.sound_weights = _copy_weights(self.network)
            return None
        began = time.perf_counter()
        self._settle_statistics()
        metric = self.judge()
        if self.best is None or metric >= self.best:
            self.best = metric
            self.best_weights = _copy_weights(self.network)
        self.validation_seconds = time.perf_counter() - began
        return metric

    def judge(self) -> float:
        """The metric of the present weights on what is held out; higher is better."""
        model = Model(self.setup.make_card(0, 0.0), self.network)
        return self._score(model, self.judged, self.setup)

    def judge_best(self) -> None:
        """Score the best weights anew, on what is held out now."""
        if self.best_weights is not None and self.judged:
            self.best = self._score(self._model(self.best_weights), self.judged, self.setup)

    def _score(
        self, model: Model, pieces: Sequence[ValidationPiece], setup: TrainingSetup
    ) -> float:
        # a resolved precision: a race for the fastest would make the best weights a matter
        # of chance
        run = {"device": setup.config.device, "precision": self.precision}
        scores = score_pieces(model, pieces, **run)
        if isinstance(scores, InstanceScores) and not setup.distance_known:
            return scores.dice_mean  # how objects are split is found by calibration, at the end
        return headline(scores)

    def _train_mode(self) -> None:
        self.network.train()
        if self.statistics == "frozen":
            freeze(self.network)

    def _settle_statistics(self, patches: int = STATISTICS_PATCHES) -> None:
        """Batch-norm statistics of the present weights, if they are to be measured."""
        if self.statistics != "settled":
            return
        rng, state = copy.deepcopy(self.rng), self.generator.get_state()
        update_statistics(self.network, self._statistics_batches(patches))
        # a validation must not change what is trained on
        self.rng = rng
        self.generator.set_state(state)

    def _statistics_batches(self, patches: int) -> Iterator[Tensor]:
        for _ in range(max(1, patches // self.batch_size)):
            yield self._batch()[0]


def _describe_data(data: TrainingData, count: int) -> str:
    """What was taken in with so many examples, those that are held out among them."""
    examples = "1 example" if count == 1 else f"{count} examples"
    held = f", and {data.held_out_pixels} that are held out" if data.held_out_pixels else ""
    return (
        f"The new labels were taken in: {examples}, {data.labelled_pixels} labelled pixels{held}."
    )


def _resolve_statistics(setup: TrainingSetup) -> str:
    """What "auto" means: see docs/decisions/batch-norm.md."""
    return "settled" if setup.config.statistics == "auto" else setup.config.statistics


def _copy_weights(network: UNet) -> dict[str, Tensor]:
    return {
        key: value.detach().to("cpu", copy=True).contiguous()
        for key, value in network.state_dict().items()
    }
