"""Hidden folders for what is not complete yet, and what processes that were killed left of them."""

from __future__ import annotations

import re
import shutil
import uuid
import weakref
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from napari_unet.io.locks import LOCK, try_lock

NAME = re.compile(r"\.[0-9a-f]{12}\.partial")
LOCK_WAIT_S = 1.0  # whoever looks for leftovers holds a lock briefly

_swept: set[Path] = set()  # folders that this process has swept


class ScratchFolder:
    """A folder of this process beside where its content will be.

    The process holds a lock on it. Where a process was killed, the next one that writes beside
    it removes it; where a file system has no locks nothing can be told, and nothing is removed.

    Parameters
    ----------
    parent : Path
        Where; it exists.
    temporary : bool
        Whether it goes with this object, and with the process, unless it was removed before.

    Attributes
    ----------
    path : Path
        The folder. Other users cannot look into it; what is moved out has its own permissions.

    Raises
    ------
    OSError
        If it cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> parent = Path(tempfile.mkdtemp())
    >>> scratch = ScratchFolder(parent)
    >>> _ = (scratch.path / "note.txt").write_text("not yet")
    >>> scratch.remove()
    >>> list(parent.iterdir())
    []
    """

    def __init__(self, parent: Path, *, temporary: bool = False) -> None:
        sweep_leftovers(parent)
        while True:
            self.path = parent / f".{uuid.uuid4().hex[:12]}.partial"
            self.path.mkdir(mode=0o700)
            self._lock = try_lock(self.path, LOCK_WAIT_S)
            # else somebody who swept took it for a leftover, in the moment before it was locked
            if self.path.is_dir() and (self._lock is None or (self.path / LOCK).exists()):
                break
        self._end = weakref.finalize(self, _remove, self.path, self._lock) if temporary else None

    def remove(self) -> None:
        """Remove it with all that is in it."""
        self._release()
        shutil.rmtree(self.path, ignore_errors=True)
        if self._end is not None:
            self._end.detach()

    def abandon(self) -> None:
        """Leave it with all that is in it for the user: no one will remove it."""
        self._release()
        with suppress(OSError):
            (self.path / LOCK).unlink()

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()  # Windows removes no open file


def _remove(path: Path, lock: FileLock | None) -> None:
    if lock is not None:
        lock.release()
    shutil.rmtree(path, ignore_errors=True)


def sweep_leftovers(parent: Path, *, again: bool = False) -> None:
    """Remove the scratch folders in a folder whose processes have ended.

    Parameters
    ----------
    parent : Path
        The folder.
    again : bool
        Whether to look although this process has looked before.
    """
    place = parent.absolute()
    if place in _swept and not again:
        return
    _swept.add(place)
    folders: list[Path] = []
    with suppress(OSError):
        folders = [each for each in place.iterdir() if NAME.fullmatch(each.name)]
    for folder in folders:
        with suppress(OSError):  # one of another user does not keep those of this one
            if folder.is_symlink():
                continue
            if not (folder / LOCK).is_file():
                folder.rmdir()  # if empty: its process was killed before it could lock it
                continue
            lock = try_lock(folder)
            if lock is not None:
                lock.release()
                shutil.rmtree(folder, ignore_errors=True)
