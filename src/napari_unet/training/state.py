"""The state of a training: everything that its next step depends on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_unet.network.unet import UNet
from napari_unet.training.optimizer import AdamW
from napari_unet.training.setup import TrainingSetup

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Validation:
    """One validation of a training.

    Attributes
    ----------
    step : int
        After which step.
    score : float or None
        Score on the validation pieces, as it was then; None where there are no pieces.
    ended_s : float
        When it ended, in seconds of training.
    duration_s : float
        How long it took; 0 where there was nothing to score.
    """

    step: int
    score: float | None
    ended_s: float
    duration_s: float


@dataclass(eq=False)
class LoopState:
    """What the training loop changes and a checkpoint stores.

    Attributes
    ----------
    device : torch.device
        Where the network is trained.
    network : UNet
        With the current weights.
    optimizer : AdamW
        Of the network's parameters.
    patch_rng : numpy.random.Generator
        Chooses the patches.
    augmentation_rng : torch.Generator
        Varies them; on the CPU.
    precision : str
        Number format of the forward pass.
    batch_size : int
        Patches in a batch; smaller than the setting after a shortage of memory.
    patch : tuple of int
        Size of a patch; likewise.
    validation_sha256 : str
        Of the validation data that ``best_score`` was measured on.
    dropped_steps : int
        Steps in float32 that were dropped, as the loss or a gradient was not finite.
    learning_rate_factor : float
        Of the learning rate of the settings; below 1 after such steps.
    step : int
        Steps taken.
    finished : bool
        Whether the budget is used up.
    best_score : float or None
        Highest score of a validation so far.
    best_weights : dict of tensors or None
        The weights with that score, on the CPU.
    sound_weights : dict of tensors or None
        The weights at the last validation of a training without validation pieces, on the CPU.
    history : list of Validation
        All validations so far.
    setup_s : float
        Seconds that it took to open the examples and make the network.
    earlier_s : float
        Seconds of training before an interruption.
    started_s : float
        When this process started to train, by `time.perf_counter`.
    """

    device: torch.device
    network: UNet
    optimizer: AdamW
    patch_rng: np.random.Generator
    augmentation_rng: torch.Generator
    precision: str
    batch_size: int
    patch: tuple[int, ...]
    validation_sha256: str
    dropped_steps: int = 0
    learning_rate_factor: float = 1.0
    step: int = 0
    finished: bool = False
    best_score: float | None = None
    best_weights: Weights | None = None
    sound_weights: Weights | None = None
    history: list[Validation] = field(default_factory=list)
    setup_s: float = 0.0
    earlier_s: float = 0.0
    started_s: float = field(default_factory=time.perf_counter)

    @classmethod
    def initialize(
        cls,
        setup: TrainingSetup,
        device: torch.device,
        started_s: float | None = None,
    ) -> LoopState:
        """The state before the first step; the network of ``setup`` moves to the device."""
        config = setup.config
        network: UNet = setup.network.to(device)
        layout = memory_layout(network)
        network = network.to(memory_format=layout)  # type: ignore[call-overload]
        state = cls(
            device=device,
            network=network,
            optimizer=AdamW(network.parameters(), config.learning_rate, config.weight_decay),
            patch_rng=np.random.default_rng(config.seed),
            augmentation_rng=torch.Generator().manual_seed(config.seed),
            precision="float32",
            batch_size=config.batch_size,
            patch=setup.patch,
            validation_sha256=setup.data.validation_sha256,
            started_s=time.perf_counter() if started_s is None else started_s,
        )
        state.setup_s = state.seconds
        return state

    @property
    def seconds(self) -> float:
        """Seconds of training so far; pauses between interrupted runs do not count."""
        return self.earlier_s + time.perf_counter() - self.started_s

    @property
    def validation_s(self) -> float:
        """Duration of the last validation; 0 before the first."""
        return self.history[-1].duration_s if self.history else 0.0

    @property
    def since_validation_s(self) -> float:
        """Seconds of training since the last validation, or since the set-up."""
        return self.seconds - (self.history[-1].ended_s if self.history else self.setup_s)

    def copy_weights(self) -> Weights:
        """The current weights, on the CPU."""
        return {
            key: value.detach().to("cpu", copy=True).contiguous()
            for key, value in self.network.state_dict().items()
        }

    @contextmanager
    def preserve_random_state(self) -> Iterator[None]:
        """Patches drawn inside do not change those that training draws afterwards."""
        patches, augmentation = (
            self.patch_rng.bit_generator.state,
            self.augmentation_rng.get_state(),
        )
        try:
            yield
        finally:
            self.patch_rng.bit_generator.state = patches
            self.augmentation_rng.set_state(augmentation)

    def state_dict(self) -> dict[str, Any]:
        """The state in tensors and plain values, for `torch.save`."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "patch_rng": self.patch_rng.bit_generator.state,
            "augmentation_rng": self.augmentation_rng.get_state(),
            "precision": self.precision,
            "batch_size": self.batch_size,
            "patch": list(self.patch),
            "validation_sha256": self.validation_sha256,
            "dropped_steps": self.dropped_steps,
            "learning_rate_factor": self.learning_rate_factor,
            "step": self.step,
            "finished": self.finished,
            "best_score": self.best_score,
            "best_weights": self.best_weights,
            "sound_weights": self.sound_weights,
            "history": [list(astuple(validation)) for validation in self.history],
            "setup_s": self.setup_s,
            "seconds": self.seconds,
        }

    def load_state_dict(self, values: dict[str, Any]) -> None:
        """Continue from a saved state.

        Parameters
        ----------
        values : dict
            What `state_dict` returned.

        Raises
        ------
        KeyError, RuntimeError, TypeError, ValueError
            If something is missing or does not fit the network.
        """
        self.network.load_state_dict(values["network"])
        self.optimizer.load_state_dict(values["optimizer"])
        self.patch_rng.bit_generator.state = values["patch_rng"]
        self.augmentation_rng.set_state(values["augmentation_rng"])
        self.precision = values["precision"]  # another one would give other weights
        self.batch_size = values["batch_size"]
        self.patch = tuple(values["patch"])
        self.validation_sha256 = values["validation_sha256"]
        self.dropped_steps = values["dropped_steps"]
        self.learning_rate_factor = values["learning_rate_factor"]
        self.step = values["step"]
        self.finished = values["finished"]
        self.best_score = values["best_score"]
        self.best_weights = values["best_weights"]
        self.sound_weights = values["sound_weights"]
        self.history = [Validation(*each) for each in values["history"]]
        self.setup_s = values["setup_s"]
        self.earlier_s = values["seconds"]


def memory_layout(network: UNet) -> torch.memory_format:
    """Channels last, in which convolutions are fastest."""
    return torch.channels_last if network.config.ndim == 2 else torch.channels_last_3d
