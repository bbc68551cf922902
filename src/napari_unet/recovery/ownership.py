"""What survives a crash: where it is kept, and whose it was."""

from __future__ import annotations

import functools
import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

KEPT = 30 * 86400.0  # seconds that what a dead process left is offered
TOLERANCE = 5.0  # seconds; clocks are set


def state_folder() -> Path:
    """The platform's folder for the state of programs, or NAPARI_UNET_STATE."""
    from platformdirs import user_state_path

    override = os.environ.get("NAPARI_UNET_STATE")
    return Path(override) if override else user_state_path("napari-unet", appauthor=False)


@dataclass(frozen=True)
class Owner:
    """The process that keeps something.

    Attributes
    ----------
    pid : int
        Its number.
    created : float
        When it began, in seconds since 1970: numbers are used again.
    machine : str
        Where it runs, since a home folder may be shared; empty where that is not known.
    """

    pid: int
    created: float
    machine: str

    @classmethod
    def here(cls) -> Owner:
        """The process that asks.

        >>> Owner.here().is_running()
        True
        """
        return _this_process(os.getpid())

    @classmethod
    def from_json(cls, values: Any) -> Owner | None:
        """From plain values; None where they are not those of an owner."""
        try:
            return cls(int(values["pid"]), float(values["created"]), str(values["machine"]))
        except (KeyError, TypeError, ValueError):
            return None

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    def is_running(self) -> bool:
        """Whether the process still runs; one of another machine is taken for running."""
        if self.machine != _machine():
            return True
        if self.pid == os.getpid():
            return abs(self.created - Owner.here().created) < TOLERANCE
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < TOLERANCE
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False
        except psutil.Error:
            return True


def is_abandoned(values: Mapping[str, Any]) -> bool:
    """Whether what a file says of itself was left: by its process, which goes on, or by its end."""
    owner = Owner.from_json(values.get("owner"))
    return owner is not None and (values.get("released") is True or not owner.is_running())


def prune(folder: Path, index: str, older: float = KEPT) -> None:
    """Remove what was left long ago.

    Parameters
    ----------
    folder : Path
        Whose folders are looked at.
    index : str
        The file in each of them that names its owner.
    older : float
        Seconds since anything was written there; what a running process has stays.
    """
    if not folder.is_dir():
        return
    for each in folder.iterdir():
        try:
            if each.is_dir() and time.time() - _newest(each) > older and not _in_use(each / index):
                shutil.rmtree(each, ignore_errors=True)
        except OSError:
            continue  # another process was quicker


def read_index(path: Path) -> dict[str, Any]:
    """Plain values from a file; empty where it is gone or damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _in_use(index: Path) -> bool:
    owner = Owner.from_json(read_index(index).get("owner"))
    return owner is not None and owner.machine == _machine() and owner.is_running()


def _newest(folder: Path) -> float:
    return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))


@functools.lru_cache(maxsize=4)
def _this_process(pid: int) -> Owner:
    return Owner(pid, psutil.Process(pid).create_time(), _machine())


@functools.lru_cache(maxsize=1)
def _machine() -> str:
    # only on Linux are home folders shared as a rule, and there the name never changes
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
