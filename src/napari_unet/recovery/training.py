"""What a training needs to be gone on with after a crash, in a folder of its own."""

from __future__ import annotations

import json
import logging
import shutil
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from napari_unet.dataset.example import Example
from napari_unet.errors import FileError, UNetError
from napari_unet.io.atomic import atomic_path
from napari_unet.recovery.examples import ImageShelf, read_examples, write_examples
from napari_unet.recovery.ownership import Owner, is_abandoned, prune, read_index, state_folder
from napari_unet.settings import TrainConfig

if TYPE_CHECKING:
    from napari_unet.network.model import Model

logger = logging.getLogger(__name__)

INDEX = "session.json"
CHECKPOINT = "checkpoint.pt"
MODEL = "model.safetensors"


def sessions_folder() -> Path:
    """Where trainings are kept."""
    return state_folder() / "trainings"


@dataclass(eq=False)
class StoredTraining:
    """A training on disk.

    Attributes
    ----------
    folder : Path
        Its own.
    values : mapping
        What the form asked for, in plain values.
    base : str, Path or None
        The model that training starts from.
    config : TrainConfig
        How.
    """

    folder: Path
    values: Mapping[str, Any]
    base: str | Path | None
    config: TrainConfig

    @property
    def images(self) -> list[str]:
        """Names of the images, as far as the form told them."""
        lines = self.values.get("examples") or []
        names = [line["image"] for line in lines if isinstance(line, Mapping) and "image" in line]
        return list(dict.fromkeys(map(str, names)))

    @property
    def model(self) -> Path | None:
        """The trained model, where training had ended and it was kept; else None."""
        path = self.folder / MODEL
        return path if path.is_file() else None

    def release(self) -> None:
        """Leave it to whoever wants to go on with it; here it belongs to nobody anyway."""

    def remove(self) -> None:
        """Remove the training from the disk."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(eq=False)
class TrainingSession(StoredTraining):
    """A training of this process; on disk until it is removed. See also `StoredTraining`.

    Attributes
    ----------
    first : list of Example
        What it began with, as `napari_unet.iter_train` must get it again to go on.
    added : list of Example or None
        All examples with what was added meanwhile, for `napari_unet.MoreLabels`.
    """

    first: list[Example]
    added: list[Example] | None = None
    _shelf: ImageShelf = field(default_factory=ImageShelf)
    _stored: dict[str, Any] = field(default_factory=dict)
    _count: int = 0

    @property
    def checkpoint(self) -> Path:
        """For ``iter_train(..., checkpoint=)``."""
        return self.folder / CHECKPOINT

    def add(self, examples: Sequence[Example], values: Mapping[str, Any] | None = None) -> str:
        """Keep the examples as they are now, in place of those added before.

        Parameters
        ----------
        examples : sequence of Example
            As `napari_unet.MoreLabels` takes them.
        values : mapping, optional
            What the form says now.

        Returns
        -------
        str
            Why they could not be kept, empty otherwise: training can go on without.
        """
        self.added = list(examples)
        values_before = self.values
        if values is not None:
            self.values = values
        before, self._count = self._count, self._count + 1
        try:
            stored = self._write_examples(examples, f"added-{self._count}")
            self._write_index({**self._stored, "added": stored})
        except (FileError, MemoryError) as error:
            self.values = values_before  # of what is kept
            logger.warning("What was added is not kept: %s", error)
            return f"What was added would be lost in a crash: {error}"
        with suppress(OSError):  # they take some room until the session is removed
            for old in self.folder.glob(f"added-{before}-*") if before else ():
                old.unlink(missing_ok=True)
        return ""

    def keep(self, model: Model) -> None:
        """Keep a model that was trained, until it has a name or is discarded.

        The checkpoint, from which it could be had again, goes only then. A folder that cannot
        be written to is no fault: the model is in memory.
        """
        try:
            model.save(self.folder / MODEL)
        except UNetError as error:
            logger.warning("The model is not kept: %s", error)
            return
        with suppress(OSError):
            self.checkpoint.unlink(missing_ok=True)

    def release(self) -> None:
        """Leave it to whoever wants to go on with it, though this process still runs."""
        if not (self.folder / INDEX).is_file():
            return  # it was removed
        try:
            self._write_index(self._stored, released=True)
        except FileError as error:
            logger.warning("The training is offered when this process has ended: %s", error)

    def _write_examples(self, examples: Sequence[Example], name: str) -> list[dict[str, Any]]:
        lines = self.values.get("examples") or []
        return write_examples(examples, lines, self.folder, name, self._shelf)

    def _write_index(self, stored: dict[str, Any], *, released: bool = False) -> None:
        values = {
            "format": 1,
            "owner": Owner.here().as_json(),
            "released": released,
            "saved": datetime.now(UTC).isoformat(timespec="seconds"),
            "request": dict(self.values),
            "base": None if self.base is None else str(self.base),
            "base_is_file": isinstance(self.base, Path),
            "config": self.config.model_dump(mode="json"),
            **stored,
        }
        with atomic_path(self.folder / INDEX) as part:
            part.write_text(json.dumps(values), encoding="utf-8")
        self._stored = stored


@dataclass(eq=False)
class InterruptedSession(StoredTraining):
    """A training of a process that runs no more. See also `StoredTraining`.

    Attributes
    ----------
    saved : datetime
        When it began, or something was added.
    """

    saved: datetime
    _stored: Mapping[str, Any]

    @property
    def missing(self) -> list[str]:
        """Names of images that were not stored, and are in no known file."""
        every = [*self._stored["first"], *(self._stored.get("added") or [])]
        names = [
            image["name"]
            for each in every
            for image in each["image"]["parts"]
            if image["stored"] is None and not (image["file"] and Path(image["file"]).exists())
        ]
        return list(dict.fromkeys(names))

    def resume(self, images: Mapping[str, Any] | None = None) -> TrainingSession:
        """Take the training over; then it belongs to this process.

        Parameters
        ----------
        images : mapping of str to array-like, optional
            Images by the names of their layers, for those that were not stored. A list
            where an image has an array for each channel.

        Raises
        ------
        UNetError
            If an image is missing or differs from what it was, a file is damaged, or another
            process has the training.
        """
        if not is_abandoned(read_index(self.folder / INDEX)):
            raise FileError("This training was resumed in another window already; look there.")
        shelf = ImageShelf()
        first = read_examples(self._stored["first"], self.folder, images or {}, shelf)
        added = self._stored.get("added")
        numbers = [int(path.name.split("-")[1]) for path in self.folder.glob("added-*-*")]
        session = TrainingSession(
            folder=self.folder,
            values=self.values,
            base=self.base,
            config=self.config,
            first=first,
            added=added and read_examples(added, self.folder, images or {}, shelf),
            _shelf=shelf,
            _stored=dict(self._stored),
            _count=max(numbers, default=0),
        )
        session._write_index(dict(self._stored))
        return session


def begin_session(
    values: Mapping[str, Any],
    examples: Sequence[Example],
    base: str | Path | None,
    config: TrainConfig,
) -> TrainingSession:
    """Keep what a training begins with.

    Labels and masks are stored. Images are where they are arrays in memory, of one gigabyte
    together at most; of others name, shape, data type and, where it is known, the file.

    Parameters
    ----------
    values : mapping
        What the form asked for, in plain values. Its "examples" may name for each example
        the "image" and the "image_file".
    examples : sequence of Example
        What is learned from.
    base : str, Path or None
        The model to start from.
    config : TrainConfig
        How.

    Returns
    -------
    TrainingSession
        Its ``first`` are the examples, its ``checkpoint`` is for `napari_unet.iter_train`.

    Raises
    ------
    FileError
        If the folder cannot be written to.
    """
    folder = sessions_folder() / uuid.uuid4().hex[:16]
    session = TrainingSession(folder, dict(values), base, config, list(examples))
    try:
        stored = session._write_examples(examples, "first")
        session._write_index({"first": stored})  # last: without it the folder counts for nothing
    except BaseException:
        session.remove()
        raise
    return session


def interrupted_sessions() -> list[InterruptedSession]:
    """Trainings that processes left which run no more, the newest first.

    Only those that can be gone on with, or had ended; the rest of them is removed, and what
    is older than thirty days.
    """
    folder = sessions_folder()
    prune(folder, INDEX)
    found = []
    for each in sorted(folder.iterdir()) if folder.is_dir() else []:
        values = read_index(each / INDEX)
        if not values or not is_abandoned(values):
            continue
        if not (each / CHECKPOINT).is_file() and not (each / MODEL).is_file():
            shutil.rmtree(each, ignore_errors=True)  # nothing was learned yet
            continue
        session = _read(each, values)
        if session is not None:
            found.append(session)
    return sorted(found, key=lambda session: session.saved, reverse=True)


def _read(folder: Path, values: Mapping[str, Any]) -> InterruptedSession | None:
    try:
        base = values["base"]
        return InterruptedSession(
            folder=folder,
            values=dict(values["request"]),
            base=Path(base) if base is not None and values["base_is_file"] else base,
            config=TrainConfig.model_validate(values["config"]),
            saved=datetime.fromisoformat(values["saved"]),
            _stored={"first": list(values["first"]), "added": values.get("added")},
        )
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        logger.info("The training kept in %s is damaged: %s", folder, error)
    if not (folder / MODEL).is_file():
        return None
    # of another version, for example; a model that is ready needs nothing of it
    request = values.get("request")
    return InterruptedSession(
        folder=folder,
        values=dict(request) if isinstance(request, Mapping) else {},
        base=None,
        config=TrainConfig(),
        saved=datetime.fromtimestamp((folder / MODEL).stat().st_mtime, UTC),
        _stored={"first": []},
    )
