"""Errors that nobody foresaw: told in a sentence, with a log of the details."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from napari_unet.errors import FileError, UNetError
from napari_unet.state import state_folder

LOG = "errors.log"
MAX_LOG_BYTES = 1 << 20  # then it becomes the one before, and that goes
MAX_REASON_CHARACTERS = 300

NO_MEMORY = (
    "out of memory",
    "can't allocate memory",  # the CPU, on Linux and macOS
    "cannot allocate memory",  # the operating system
    "not enough memory: you tried",  # the CPU, on Windows
    "could not create a primitive",  # oneDNN, where it finds no memory for its scratchpad
    "could not create a memory object",
    "_status_alloc_failed",  # cuBLAS, and cuDNN until version 8
    "_allocation_failed",  # cuDNN since version 9
    "std::bad_alloc",
    "can't start new thread",  # whose stack found no room
)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error, or what caused it, says that memory ran out, on any device.

    Examples
    --------
    >>> out_of_memory(MemoryError()), out_of_memory(RuntimeError("could not create a primitive"))
    (True, True)
    >>> out_of_memory(ValueError("too small"))
    False
    """
    return any(
        isinstance(each, MemoryError)
        or type(each).__name__ == "OutOfMemoryError"  # of torch, which is not imported for it
        or any(phrase in str(each).lower() for phrase in NO_MEMORY)
        for each in _chain(error)
    )


def _chain(error: BaseException) -> Iterable[BaseException]:
    seen: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and each not in seen:
        seen.append(each)
        each = each.__cause__
    return seen


def explain_error(error: Exception) -> UNetError:
    """An error of any kind as one that the user can act on.

    Parameters
    ----------
    error : Exception
        Whatever left a job.

    Returns
    -------
    UNetError
        The same one where it is of that kind already. What nobody foresaw has the code
        "unexpected", and its traceback stands in a log that the message names.
    """
    if isinstance(error, UNetError):
        return error
    if out_of_memory(error):
        return UNetError(
            "There is not enough memory for this",
            "take smaller tiles or patches, close other programs, or run on the CPU",
            code="out-of-memory",
        )
    if isinstance(error, OSError) and error.strerror and error.filename:
        return FileError(
            f"{error.filename} cannot be used ({error.strerror})",
            "check its permissions and the disk",
        )
    log = write_log(error)
    reason = " ".join(str(error).split())[:MAX_REASON_CHARACTERS]
    where = "could not be written down" if log is None else f"are in {log}"
    return UNetError(
        f"Something unexpected failed ({type(error).__name__}{': ' * bool(reason)}{reason})",
        f"the details {where}: please report them",
        code="unexpected",
    )


def write_log(error: BaseException) -> Path | None:
    """Add the traceback of an error to the log; its path, None where no place can be written to."""
    return append_log("".join(traceback.format_exception(error)))


def append_log(text: str) -> Path | None:
    """Add a text to the log, with the time; its path, None where no place can be written to."""
    entry = f"{datetime.now().astimezone().isoformat(timespec='seconds')}\n{text}\n"
    for folder in (state_folder(), Path(tempfile.gettempdir()) / "napari-unet"):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / LOG
            if path.is_file() and path.stat().st_size > MAX_LOG_BYTES:
                path.replace(path.with_suffix(".1.log"))
            with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(entry)
            return path
    return None
