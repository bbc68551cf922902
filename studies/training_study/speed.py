"""A step of the package's training against a bare PyTorch loop with the same network.

Both see the same kind of patches; the bare loop has them ready, the package draws and augments
them in its step. Steps of the two are taken in turns in one process, as the clock of a machine
changes over minutes.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from napari_unet.network.devices import synchronize
from napari_unet.settings import TrainConfig
from napari_unet.training.loop import TrainingLoop
from napari_unet.training.patch_sampling import Batch
from napari_unet.training.setup import prepare_training
from napari_unet.training.state import LoopState
from training_study import data
from training_study.planes import SETTINGS as VOLUME_SETTINGS
from training_study.records import Outcome, Plan, Run

EXPERIMENT = "speed"
ROUNDS, STEPS = 7, 3
WARM_UP = 2
READY = 4  # batches that the bare loop goes round
CASES: dict[str, dict[str, Any]] = {
    "2D": {"ndim": 2, "patch": (192, 192), "batch_size": 4, "features": (16, 32, 64, 128, 256)},
    "3D": {**VOLUME_SETTINGS["3D"], "patch": (16, 64, 64)},
}


def iter_runs(plan: Plan) -> Iterator[Run]:
    """Both networks, in fp32 and with the automatic precision."""
    for network in CASES:
        for precision in ("float32", "auto"):
            condition = {"network": network, "precision": precision}
            measure = _measure(plan, network, precision)
            yield Run(EXPERIMENT, condition, plan.seeds[0], 0, measure)


class _Package:
    """The package's step, with a clock at its drawing of patches."""

    def __init__(self, plan: Plan, network: str, precision: str) -> None:
        if network == "2D":
            examples = data.fluorescence(plan.data)[0]
        else:
            examples = data.embryos(plan.data, plan.seeds[0])[0]
        settings = {**CASES[network], "patch": plan.patch(*CASES[network]["patch"])}
        config = TrainConfig(
            steps=1_000_000,
            validation_every=1_000_000,
            validation_fraction=0,
            precision=precision,
            device=plan.device,
            **settings,
        )
        self.loop = TrainingLoop(
            prepare_training(examples, base=None, config=config, validation=None)
        )
        self.state = self.loop.state
        self.draw = self.loop.batches.draw
        self.drawing: list[float] = []
        self.loop.batches.draw = self._clocked  # type: ignore[method-assign]
        self.steps = self.loop.run()

    def step(self) -> None:
        next(self.steps)

    def make_loss(self) -> Callable[[], None]:
        """The loss of a batch and its gradient by the logits, without the network."""
        batch = self.draw(self.state)
        with torch.no_grad():
            logits = self.state.network(batch.image)
        logits.requires_grad_()
        return lambda: self.loop.loss(logits, batch.target, batch.known).backward()  # type: ignore[no-untyped-call]

    def _clocked(self, state: LoopState) -> Batch:
        start = _now(state.device)
        batch = self.draw(state)
        self.drawing.append(_now(state.device) - start)
        return batch


class _Bare:
    """The loop that one would write by hand: fp32, NCHW, ready-made patches."""

    def __init__(self, package: _Package) -> None:
        state = package.state
        plain = torch.contiguous_format
        self.batches = [
            tuple(part.contiguous(memory_format=plain).clone() for part in package.draw(state))
            for _ in range(READY)
        ]
        network = copy.deepcopy(state.network)
        self.network = network.to(memory_format=plain).train()  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-3)
        self.loss = package.loop.loss
        self.taken = 0

    def step(self) -> None:
        image, target, known = self.batches[self.taken % READY]
        self.taken += 1
        loss = self.loss(self.network(image), target, known)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        loss.item()


def _measure(plan: Plan, network: str, precision: str) -> Callable[[], Outcome]:
    def measure() -> Outcome:
        package = _Package(plan, network, precision)
        bare = _Bare(package)
        device = package.state.device
        for _ in range(1 if plan.quick else WARM_UP):
            package.step()
            bare.step()
        package.drawing.clear()
        loss = package.make_loss()
        loss()
        ours, theirs, losses = [], [], []
        steps = 1 if plan.quick else STEPS
        for _ in range(1 if plan.quick else ROUNDS):
            ours.append(_seconds(package.step, steps, device))
            theirs.append(_seconds(bare.step, steps, device))
            losses.append(_seconds(loss, steps, device))
        step = float(np.median(ours))
        details = {
            "step seconds": step,
            "bare seconds": float(np.median(theirs)),
            "drawing share": float(np.median(package.drawing)) / step,
            "loss share": float(np.median(losses)) / step,
            "precision": package.state.precision,
            "where": _name(device),
            "batch": package.state.batch_size,
            "patch": package.state.patch,
            "features": package.state.network.config.features,
        }
        return Outcome(float(np.median(np.divide(ours, theirs))), details=details)

    return measure


def _now(device: torch.device) -> float:
    """Seconds. On one thread of the CPU its own time, which other programs do not disturb."""
    synchronize(device)
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    return time.process_time() if alone else time.perf_counter()


def _seconds(step: Callable[[], None], count: int, device: torch.device) -> float:
    """Per step."""
    start = _now(device)
    for _ in range(count):
        step()
    return (_now(device) - start) / count


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.backends.cpu.get_cpu_capability()}"
