"""Which process owns a folder or a file: the one that holds the lock on it, or beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

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


@contextmanager
def hold_file(path: Path) -> Iterator[bool]:
    """Own a file, which need not exist yet, by a lock beside it; nothing is left of that.

    Yields
    ------
    bool
        False where another owner holds it, in this process or in another one. Where the file
        system has no locks, or nothing can be written, nothing can be told: then True.
    """
    if not path.parent.is_dir():
        yield True
        return
    lock = FileLock(
        path.with_name(f"{path.name}.{LOCK}"), thread_local=False, fallback_to_soft=False
    )
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    except OSError:
        yield True
        return
    try:
        yield True
    finally:
        with suppress(OSError):
            Path(lock.lock_file).unlink()  # while it is held: whoever opened it sees it gone
        lock.release()
