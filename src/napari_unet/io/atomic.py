"""Files that appear complete or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_unet.errors import FileError
from napari_unet.io.reason import reason_of
from napari_unet.io.scratch import ScratchFolder

NO_LINKS = (errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


@contextmanager
def atomic_path(path: str | os.PathLike[str], *, exclusive: bool = False) -> Iterator[Path]:
    """Give a temporary path that becomes ``path`` when the block ends well.

    The temporary file lies in a hidden folder beside ``path``, so that the final rename is
    atomic; it is flushed to the disk before the rename. When the block raises, it is removed and
    what was at ``path`` before stays. Missing parent folders are created.

    Parameters
    ----------
    path : path-like
        The file to write.
    exclusive : bool
        Whether the name must be free when the block ends: of several processes that write one
        file one gets the name, and the others an error with the code "exists". Else an existing
        file is replaced.

    Yields
    ------
    Path
        An empty file to write to; its name does not end like ``path``.

    Raises
    ------
    FileError
        If the folder or the file cannot be written, or is there already, or the disk is full. An
        OSError that leaves the block is taken as a failure to write and becomes a FileError too.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_path(folder / "new" / "note.txt") as part:
    ...     _ = part.write_text("all of it")
    >>> [file.name for file in (folder / "new").iterdir()]
    ['note.txt']
    """
    target = Path(path)
    scratch = None
    try:
        if target.is_dir():
            raise FileError(f"{target} is a folder, not a file", "give a file name to write to")
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = ScratchFolder(target.parent)
        part = scratch.path / "part"
        # Unlike tempfile.mkstemp this respects the umask: the result may be shared.
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield part
        _flush(part)
        if exclusive:
            _take_name(part, target)
        else:
            part.replace(target)
    except OSError as error:
        raise write_error(target, error) from error
    finally:
        if scratch is not None:
            scratch.remove()
    _flush_folder(target.parent)


def _take_name(part: Path, target: Path) -> None:
    """Rename a file, unless there is one of that name."""
    try:
        if os.name == "nt":
            part.rename(target)  # which replaces nothing there
            return
        try:
            target.hardlink_to(part)
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            # a file system without links: an empty file takes the name first
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            part.replace(target)
    except FileExistsError:
        raise FileError(
            f"There is a file {target} already", "choose another name, or remove it", code="exists"
        ) from None


def _flush(file: Path) -> None:
    handle = os.open(file, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_tree(folder: Path) -> None:
    """Write all files of a folder through to the disk."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                _flush(Path(parent, name))
        _flush_folder(Path(parent))


def _flush_folder(folder: Path) -> None:
    # Makes the rename durable. Windows and some network file systems cannot do it, and the
    # file itself is already complete.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_error(target: Path, error: OSError) -> FileError:
    """A failure to write a file or folder, in a sentence."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FileError(
            f"{target} was not written because the disk is full",
            "free some space or choose another folder",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return FileError(
            f"{target} cannot be written because its folder is read-only for you",
            "choose another folder or change its permissions",
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return FileError(
            f"{target} cannot be written because part of its path is a file, not a folder",
            "choose another folder",
        )
    return FileError(
        f"{target} cannot be written ({reason_of(error)})", "choose another name or folder"
    )
