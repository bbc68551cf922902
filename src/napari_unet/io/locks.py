"""Which process owns a folder: the one that holds the lock on it."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

LOCK = "lock"  # file in each folder that has an owner


def try_lock(folder: Path, timeout_s: float = 0.0) -> FileLock | None:
    """Lock a folder; None where another owner holds it or the file system has no locks.

    The file system drops the lock when the process ends, however it ends. The lock counts in
    other containers and on other machines as far as the file system passes locks on.
    """
    if not folder.is_dir():
        return None  # which the lock would create
    # a "soft" lock file would outlive a killed process
    lock = FileLock(folder / LOCK, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(timeout=timeout_s)
    except OSError:  # Timeout is one too
        return None
    return lock
