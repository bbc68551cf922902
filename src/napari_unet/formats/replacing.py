"""What is at a path already: replaced where it is an earlier export, and only as a whole."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_unet.errors import FileError
from napari_unet.formats.kinds import Kind
from napari_unet.formats.record import MARK
from napari_unet.io.atomic import flush_tree, write_error
from napari_unet.io.record import is_export, is_record
from napari_unet.io.scratch import ScratchFolder

HEAD_BYTES = 4096
"""Into these, at the beginning of a file, a record is written that the file itself holds."""

WHOLE, EARLIER = "whole.zarr", "earlier.zarr"  # in a scratch folder


def check_free(target: Path, kind: Kind, *, replace: bool) -> None:
    """Refuse to replace what was not exported before.

    Parameters
    ----------
    target : Path
        Where the file will be.
    kind : Kind
        Its format.
    replace : bool
        Whether the user wants a file of any kind replaced. A folder that is no store of Zarr is
        never.

    Raises
    ------
    FileError
        With the code "exists".
    """
    if not target.exists() or is_earlier_export(target):
        return
    if target.suffix.lower() == ".json" and is_record(target):
        raise FileError(
            f"{target} is the record of another file, which would be lost",
            "choose another name",
            code="exists",
        )
    is_store = target.is_dir() and (target / "zarr.json").is_file() and kind.name == "ome.zarr"
    if replace and (is_store or not target.is_dir()):
        return
    raise FileError(
        f"{target} is there already, and is no earlier export",
        "choose another name, or remove it",
        code="exists",
    )


def is_earlier_export(path: Path) -> bool:
    """Whether a file or store was written by an export."""
    with suppress(OSError, ValueError, zipfile.BadZipFile, AttributeError):
        if path.is_dir():
            about = json.loads((path / "zarr.json").read_bytes())
            return MARK in about.get("attributes", {})
        if is_export(path):
            return True
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                return MARK.encode() in archive.comment
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        return path.suffix.lower() not in (".tif", ".tiff") and MARK.encode() in head
    return False


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Give a path for a folder that becomes ``target`` when the block ends well.

    What was there before stays until then, and is back where the block fails.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    scratch = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = ScratchFolder(target.parent)
        whole, earlier = scratch.path / WHOLE, scratch.path / EARLIER
        yield whole
        flush_tree(whole)
        if target.exists():
            target.rename(earlier)
        try:
            whole.rename(target)
        except OSError:
            if earlier.exists():
                earlier.rename(target)
            raise
    except OSError as error:
        raise write_error(target, error) from error
    finally:
        if scratch is not None:
            if (scratch.path / EARLIER).exists() and not target.exists():
                scratch.abandon()  # it could not be put back: the user will find it there
            else:
                scratch.remove()
