"""Which process owns a folder of recovery data: the one that holds the lock on it."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from filelock import FileLock

from napari_unet.errors import FileError
from napari_unet.io.locks import LOCK, try_lock
from napari_unet.io.reason import reason_of

KEPT_S = 30 * 86400.0  # that abandoned data is offered
CONTENTION_S = 1.0  # that an owner waits: whoever looks for abandoned data holds a lock briefly


def lock_folder(folder: Path) -> FileLock:
    """Lock a folder that this process writes to; it is created where it is missing.

    Raises
    ------
    FileError
        If the folder cannot be created, another process has it, or there are no locks.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"the folder {folder} cannot be created ({reason_of(error)})",
            "check the disk and its permissions, or set NAPARI_UNET_STATE to another folder",
        ) from None
    lock = try_lock(folder, CONTENTION_S)
    if lock is None:
        raise FileError(
            f"the folder {folder} cannot be locked: its file system has no locks, or another "
            "window has it",
            "set NAPARI_UNET_STATE to a folder on a local disk",
        )
    return lock


def find_abandoned(folder: Path) -> list[Path]:
    """Folders in a folder that nobody holds; removes those unchanged for thirty days."""
    found = []
    for each in sorted(folder.iterdir()) if folder.is_dir() else []:
        lock = try_lock(each)
        if lock is None:
            continue
        age_s = time.time() - _last_change(each)
        lock.release()
        if age_s > KEPT_S:
            shutil.rmtree(each, ignore_errors=True)
        else:
            found.append(each)
    return found


def remove_folder(folder: Path, index: str, lock: FileLock | None) -> None:
    """Remove a folder whose lock is held; without its index it counts for nothing."""
    (folder / index).unlink(missing_ok=True)
    if lock is not None:
        lock.release()  # Windows removes no open file
    shutil.rmtree(folder, ignore_errors=True)


def read_index(path: Path) -> dict[str, Any]:
    """Plain values from a JSON file; empty where it is gone or damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _last_change(folder: Path) -> float:
    """When a file in a folder was written last; the lock file does not count."""
    try:
        times = [path.stat().st_mtime for path in folder.rglob("*") if path.name != LOCK]
        return max(times, default=folder.stat().st_mtime)
    except OSError:
        return time.time()  # it was removed just now: somebody is at work
