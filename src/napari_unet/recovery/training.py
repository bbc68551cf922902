"""What a training needs to be resumed after a crash, in a folder of its own."""

from __future__ import annotations

import logging
import shutil
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from pydantic import AwareDatetime, BaseModel, ValidationError

from napari_unet.dataset.example import Example
from napari_unet.errors import FileError, Note, UNetError, note_of
from napari_unet.io.atomic import atomic_path
from napari_unet.io.locks import try_lock
from napari_unet.recovery.examples import (
    StoredImages,
    missing_images,
    read_examples,
    write_examples,
)
from napari_unet.recovery.ownership import (
    CONTENTION_S,
    find_abandoned,
    lock_folder,
    read_index,
    remove_folder,
)
from napari_unet.settings import TrainConfig
from napari_unet.state import state_folder

if TYPE_CHECKING:
    from napari_unet.network.model import Model

logger = logging.getLogger(__name__)

INDEX = "session.json"
CHECKPOINT = "checkpoint.pt"
MODEL = "model.safetensors"


def sessions_folder() -> Path:
    """Where trainings are kept."""
    return state_folder() / "trainings"


class SessionRecord(BaseModel, frozen=True, extra="forbid"):
    """The file `INDEX`: what `StoredTraining` describes, and the examples as they are stored."""

    saved: AwareDatetime
    values: dict[str, Any]
    base: str | None
    base_is_file: bool
    config: TrainConfig
    first: list[dict[str, Any]]
    added: list[dict[str, Any]] | None = None


@dataclass(eq=False)
class StoredTraining:
    """A training on disk.

    Attributes
    ----------
    folder : Path
        Its own.
    values : mapping
        What the form asked for, JSON values.
    base : str, Path or None
        The model that training starts from.
    config : TrainConfig
        How.
    """

    folder: Path
    values: Mapping[str, Any]
    base: str | Path | None
    config: TrainConfig
    _lock: FileLock | None = field(default=None, kw_only=True)

    @property
    def images(self) -> list[str]:
        """Names of the images, as far as the form told them."""
        lines = self.values.get("examples") or []
        names = [line["image"] for line in lines if isinstance(line, Mapping) and "image" in line]
        return list(dict.fromkeys(map(str, names)))

    @property
    def checkpoint(self) -> Path:
        """For ``iter_train(..., checkpoint=)``."""
        return self.folder / CHECKPOINT

    @property
    def model(self) -> Path | None:
        """The trained model, where training had ended and it was kept; else None."""
        path = self.folder / MODEL
        return path if path.is_file() else None

    def claim(self) -> None:
        """Make it this process's; raises `FileError` if another process has it."""
        if self._lock is None:
            self._lock = try_lock(self.folder, CONTENTION_S)
        if self._lock is None or not (self.folder / INDEX).is_file():
            self.release()
            raise FileError("this training is at work in another window, or gone", "look there")

    def release(self) -> None:
        """Let whoever wants to take it over, though this process goes on."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def remove(self) -> None:
        """Remove it from the disk."""
        lock, self._lock = self._lock, None
        with suppress(OSError):
            remove_folder(self.folder, INDEX, lock)


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
    _images: StoredImages
    added: list[Example] | None = None
    _stored: dict[str, Any] = field(default_factory=dict)  # "first" and "added", on disk

    def add(
        self, examples: Sequence[Example], values: Mapping[str, Any] | None = None
    ) -> Note | None:
        """Store the examples as they are now, in place of those added before.

        Parameters
        ----------
        examples : sequence of Example
            As `napari_unet.MoreLabels` takes them.
        values : mapping, optional
            What the form says now.

        Returns
        -------
        Note or None
            Why they could not be stored: training can go on without.
        """
        self.added = list(examples)
        values = self.values if values is None else values
        before = self._stored.get("added") or []
        name = f"added-{uuid.uuid4().hex[:8]}"
        try:
            lines = values.get("examples") or []
            added = write_examples(examples, lines, self._images, name)
            self._write_record(values, {**self._stored, "added": added})
        except (FileError, MemoryError) as error:
            logger.warning("What was added is not kept: %s", error)
            prefix = "What was added would be lost in a crash: "
            return note_of("labels-not-kept", error, prefix)
        for each in before:  # they take some room until the session is removed
            for path in self.folder.glob(each["labels"].removesuffix("labels") + "*"):
                shutil.rmtree(path, ignore_errors=True)
        return None

    def keep(self, model: Model) -> None:
        """Store a model that was trained, until it has a name or is discarded.

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

    def _write_record(self, values: Mapping[str, Any], stored: dict[str, Any]) -> None:
        record = SessionRecord(
            saved=datetime.now(UTC),
            values=dict(values),
            base=None if self.base is None else str(self.base),
            base_is_file=isinstance(self.base, Path),
            config=self.config,
            **stored,
        )
        with atomic_path(self.folder / INDEX) as part:
            part.write_text(record.model_dump_json(), encoding="utf-8")
        self.values, self._stored = values, stored


@dataclass(eq=False)
class InterruptedSession(StoredTraining):
    """A training that no process has. See also `StoredTraining`.

    Attributes
    ----------
    saved : datetime
        When it began, or something was added.
    """

    saved: datetime
    _stored: dict[str, Any]

    @property
    def missing(self) -> list[str]:
        """Names of images that were not stored, and are in no known file."""
        return missing_images([*self._stored["first"], *(self._stored.get("added") or [])])

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
            If an image is missing or differs from what it was, something is damaged, or
            another process has the training.
        """
        self.claim()
        try:
            stored = StoredImages(self.folder)
            first = read_examples(self._stored["first"], stored, images or {})
            added = self._stored.get("added")
            session = TrainingSession(
                folder=self.folder,
                values=self.values,
                base=self.base,
                config=self.config,
                first=first,
                added=added and read_examples(added, stored, images or {}),
                _images=stored,
                _stored=self._stored,
            )
        except BaseException:
            self.release()
            raise
        session._lock, self._lock = self._lock, None
        return session


def begin_session(
    values: Mapping[str, Any],
    examples: Sequence[Example],
    base: str | Path | None,
    config: TrainConfig,
) -> TrainingSession:
    """Store what a training begins with.

    Labels and masks are stored; chunks of labels that are equal to those on disk of their
    layer take no room. Images are stored where they are arrays in memory, of one gigabyte
    together at most; of others name, shape, dtype and, where it is known, the file.

    Parameters
    ----------
    values : mapping
        What the form asked for, JSON values. For its "examples" see
        `napari_unet.recovery.examples.write_examples`.
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
    images = StoredImages(folder)
    session = TrainingSession(folder, values, base, config, list(examples), images)
    with suppress(FileError):  # without a lock it is not offered after a crash, but it can train
        session._lock = lock_folder(folder)
    try:
        first = write_examples(examples, values.get("examples") or [], images, "first")
        session._write_record(values, {"first": first})  # last: without it nothing is offered
    except BaseException:
        session.remove()
        raise
    return session


def find_interrupted_sessions() -> list[InterruptedSession]:
    """Trainings that no process has, the newest first.

    Only those that can be resumed or had ended; removes the others, and what is older than
    thirty days.
    """
    found = []
    for folder in find_abandoned(sessions_folder()):
        if not (folder / INDEX).is_file():
            continue
        session = _read_session(folder)
        if session is not None and not session.checkpoint.is_file() and session.model is None:
            with suppress(FileError):  # nothing was learned yet
                session.claim()
                session.remove()
        elif session is not None:
            found.append(session)
    return sorted(found, key=lambda session: session.saved, reverse=True)


def _read_session(folder: Path) -> InterruptedSession | None:
    values = read_index(folder / INDEX)
    try:
        record = SessionRecord.model_validate(values)
    except ValidationError as error:
        logger.info("The training kept in %s is damaged: %s", folder, error)
        if not (folder / MODEL).is_file():
            return None
        # of another version, for example; a model that is ready needs nothing of it
        asked = values.get("values")
        record = SessionRecord(
            saved=datetime.fromtimestamp((folder / MODEL).stat().st_mtime, UTC),
            values=asked if isinstance(asked, dict) else {},
            base=None,
            base_is_file=False,
            config=TrainConfig(),
            first=[],
        )
    base = Path(record.base) if record.base is not None and record.base_is_file else record.base
    return InterruptedSession(
        folder,
        record.values,
        base,
        record.config,
        saved=record.saved,
        _stored={"first": record.first, "added": record.added},
    )
