"""The state of a training on disk, so that it goes on after an interruption."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from napari_unet.errors import TrainingError
from napari_unet.io import atomic_path

if TYPE_CHECKING:
    from napari_unet.training.setup import TrainingSetup


FREE = {"device", "precision", "name", "description"}  # may differ when a training goes on


class Checkpoint:
    """A file with everything that the next step depends on.

    Parameters
    ----------
    path : str or Path
        The file. It is read with ``weights_only``: nothing in it executes.
    setup : TrainingSetup
        What is trained, as it was when training began; a file of another training is refused.
        Labels that came later are no part of it: they are to be taken in again.
    """

    def __init__(self, path: str | Path, setup: TrainingSetup) -> None:
        self.path = Path(path)
        self._identity = {
            "data": setup.data.sha256,
            "validation": setup.data.validation_sha256,
            "base": setup.base.sha256 if setup.base else "",
            "config": setup.config.model_dump_json(exclude=FREE),
            "architecture": setup.network.config.model_dump_json(),
        }

    def save(self, run: Any) -> None:
        """Write the state of a run, atomically."""
        state = {
            "identity": self._identity,
            "step": run.step,
            "seconds": run.seconds,
            "validation_seconds": run.validation_seconds,
            "last_milestone": run.last_milestone,
            "finished": run.finished,
            "precision": run.precision,
            "batch_size": run.batch_size,
            "patch": list(run.patch),
            "network": run.network.state_dict(),
            "optimizer": run.optimizer.state_dict(),
            "rng": run.rng.bit_generator.state,
            "generator": run.generator.get_state(),
            "best": run.best,
            "best_weights": run.best_weights,
            "validated": run.validated,
            "judged": run.setup.data.validation_sha256,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        with atomic_path(self.path) as temporary:
            temporary.write_bytes(buffer.getvalue())

    def restore(self, run: Any) -> bool:
        """Put a run into the saved state, where the file exists; say whether it does.

        Raises
        ------
        TrainingError
            If the file is damaged or belongs to another training.
        """
        if not self.path.is_file():
            return False
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            same = state["identity"] == self._identity
        except Exception:  # noqa: BLE001 - torch names no error of its own for a damaged file
            raise self._damaged() from None
        if not same:
            raise TrainingError(
                f"The checkpoint {self.path} belongs to a training with other examples or settings",
                "remove it, or name another file",
                parameter="checkpoint",
                value=self.path,
            )
        try:
            run.network.load_state_dict(state["network"])
            run.optimizer.load_state_dict(state["optimizer"])
            run.rng.bit_generator.state = state["rng"]
            run.generator.set_state(state["generator"])
            run.step = state["step"]
            run.before = state["seconds"]
            run.validation_seconds = state["validation_seconds"]
            run.last_milestone = state["last_milestone"]
            run.finished = state["finished"]
            run.precision = state["precision"]  # another one would give other weights
            run.batch_size = state["batch_size"]
            run.patch = tuple(state["patch"])
            run.best = state["best"]
            run.best_weights = state["best_weights"]
            run.validated = state.get("validated", run.best is not None)
            judged = state.get("judged", run.setup.data.validation_sha256)
        except (KeyError, RuntimeError, TypeError, ValueError):
            raise self._damaged() from None
        if judged != run.setup.data.validation_sha256:
            run.judge_best()  # the score was that on labels that came later
        return True

    def _damaged(self) -> TrainingError:
        return TrainingError(
            f"The checkpoint {self.path} is damaged",
            "remove it to start anew",
            parameter="checkpoint",
            value=self.path,
        )

    def remove(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)
