"""The state of a training on disk, to resume it after an interruption."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

import torch

from napari_unet.errors import TrainingError
from napari_unet.instances.maps import DISTANCE
from napari_unet.io import atomic_path
from napari_unet.io.locks import hold_file
from napari_unet.training.setup import TrainingSetup
from napari_unet.training.start import StartChoice
from napari_unet.training.state import LoopState

FREE_SETTINGS = {"device", "precision", "threads", "name", "description"}  # may differ on resuming
LATER_SETTINGS = {"representation", "start", "keep_base", "match_size"}  # older files name none


@contextmanager
def own_checkpoint(path: str | Path | None) -> Iterator[None]:
    """Own the file of a checkpoint while a training lives; None: there is none.

    Raises
    ------
    TrainingError
        If another training owns it.
    """
    if path is None:
        yield
        return
    with hold_file(Path(path).absolute()) as owned:
        if not owned:
            raise TrainingError(
                f"The ⟨checkpoint⟩ {path} is in use: another training that is running writes it",
                "wait until that has ended, or name another file",
                parameter="checkpoint",
                value=path,
                code="checkpoint-in-use",
            )
        yield


def read_choice(path: str | Path | None) -> StartChoice | None:
    """What the training of a checkpoint chose between base and new network; None: no such file.

    It is not chosen again: on another device the base could answer a little otherwise.
    """
    if path is None or not Path(path).is_file():
        return None
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        return StartChoice(*stored.get("choice", ("base",)))
    except Exception:  # noqa: BLE001 - `Checkpoint.restore` tells of a damaged file
        return None


class Checkpoint:
    """A file with everything that the next step depends on.

    Parameters
    ----------
    path : str or Path
        The file. It is read with ``weights_only``: nothing in it executes.
    setup : TrainingSetup
        What is trained, as it was when training began; a file of another training is refused.
        Labels that came later are no part of it: send them again after resuming.
    """

    def __init__(self, path: str | Path, setup: TrainingSetup) -> None:
        self.path = Path(path)
        base = setup.base or setup.declined
        self._choice = setup.choice
        self._identity = {
            "data": setup.data.sha256,
            "validation": setup.data.validation_sha256,
            "base": base.sha256 if base else "",
            "config": setup.config.model_dump_json(exclude=FREE_SETTINGS | LATER_SETTINGS),
            "architecture": setup.network.config.model_dump_json(),
        }
        maps = setup.data.target_spec.representation
        if maps != DISTANCE:  # files from before there was another one say nothing of it
            self._identity["representation"] = maps.name
        if setup.declined is not None:
            self._identity["start"] = setup.choice.start
        if setup.zoom != 1:
            self._identity["zoom"] = str(setup.zoom)
        if setup.replay:
            self._identity["keep_base"] = "replay"

    def save(self, state: LoopState) -> None:
        """Write a state, atomically.

        Raises
        ------
        FileError
            If the file cannot be written.
        """
        buffer = io.BytesIO()
        stored = {"identity": self._identity, "state": state.state_dict()}
        torch.save({**stored, "choice": list(astuple(self._choice))}, buffer)
        with atomic_path(self.path) as temporary:
            temporary.write_bytes(buffer.getvalue())

    def restore(self, state: LoopState) -> bool:
        """Load the saved state into ``state``; False where there is no file yet.

        Raises
        ------
        TrainingError
            If the file is damaged or belongs to another training.
        """
        if not self.path.is_file():
            return False
        try:
            stored = torch.load(self.path, map_location="cpu", weights_only=True)
            same = stored["identity"] == self._identity
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
            state.load_state_dict(stored["state"])
        except (KeyError, RuntimeError, TypeError, ValueError):
            raise self._damaged() from None
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
