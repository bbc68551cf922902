"""Whether a file was finished before: what its record says of the input, the model, the settings.

The record is written last, so that a run that was killed leaves no file that seems finished.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_unet.batch.destinations import Targets
from napari_unet.batch.inputs import Task
from napari_unet.batch.remote import filesystem_of, read_remote_record, stat_remote
from napari_unet.errors import FileError
from napari_unet.io.reading import ImageFile, read_image
from napari_unet.io.record import FILE, describes

METADATA = ("shape", "dtype", "axes", "pixel_size")
KNOWN_AGAIN = ("bytes", "files", "modified")
HASH_BYTES = 1 << 20


def identify(source: Path | str, *, hashed: bool = False) -> dict[str, Any]:
    """Size, number of files, time of the last change and, if wanted, SHA-256 of an input.

    Of a Zarr store all of its files count.

    Raises
    ------
    OSError
        If it is not there.
    """
    if isinstance(source, str):
        known = stat_remote(source)
        return {**known, "sha256": _remote_sha256(source)} if hashed else known
    files = _files_of(source)
    stats = [file.stat() for file in files]
    known = {
        "bytes": sum(stat.st_size for stat in stats),
        "files": len(files),
        "modified": max((stat.st_mtime_ns for stat in stats), default=0),
    }
    return {**known, "sha256": _sha256(source, files)} if hashed else known


def metadata_of(file: ImageFile) -> dict[str, Any]:
    """What the file says of its pixels."""
    return {
        "shape": [int(n) for n in file.array.shape],
        "dtype": str(file.array.dtype),
        "axes": file.axes,
        "pixel_size": None if file.pixel_size is None else list(file.pixel_size),
    }


def find_finished(
    task: Task, targets: Targets, request: Mapping[str, Any], *, hashed: bool
) -> dict[str, Any] | None:
    """The record of a file that needs no work; None where it does.

    Parameters
    ----------
    task : Task
        The image.
    targets : Targets
        Where its results would go.
    request : mapping
        All that decides on the results, JSON-ready: model, settings, how the image is read.
    hashed : bool
        Whether the input is known by its hash, whatever its time.
    """
    record = read_record(targets.record)
    if record is None or record.get("request") != json.loads(json.dumps(request)):
        return None
    if not _outputs_there(record, targets, thorough=hashed):
        return None
    known = record.get("source_file")
    if not isinstance(known, Mapping):
        return None
    try:
        now = identify(task.source, hashed=hashed)
        if hashed:
            return record if now["sha256"] == known.get("sha256") else None
        if any(now[name] != known.get(name) for name in KNOWN_AGAIN):
            return None
        if isinstance(task.source, Path):
            file = read_image(task.source, scene=task.scene, eager_bytes=0)
            found = json.loads(json.dumps(metadata_of(file)))
            if any(found[name] != known.get(name) for name in METADATA):
                return None
    except Exception:  # noqa: BLE001  # it is told when the file has its turn
        return None
    return record


def read_record(place: Path | str) -> dict[str, Any] | None:
    """A run record; None where there is none that can be read."""
    if isinstance(place, str):
        found = read_remote_record(place)
    else:
        try:
            found = json.loads(place.read_bytes())
        except (OSError, ValueError):
            return None
    return dict(found) if isinstance(found, Mapping) else None


def refuse_foreign(targets: Targets) -> None:
    """Raise `FileError` where a result would replace what no run has written, or was changed since.

    Corrections by hand, and labels that only bear the name of a result, are not to be lost.
    """
    main = targets.main
    if isinstance(main, str):
        return  # nobody edits those in place
    record = read_record(targets.record)
    known = {} if record is None else record.get("outputs")
    names = {Path(str(name)).name for name in known.values()} if isinstance(known, Mapping) else ()
    if record is not None and not known:
        names = {Path(str(record.get("output"))).name}  # of earlier versions
    for kind, file in targets.files.items():
        if isinstance(file, str) or not os.path.lexists(file):
            continue
        if file.name not in names and kind in ("labels", "scores"):
            raise FileError(
                f"{file} is there already, and no run has written it",
                "move it away, or give ⟨overwrite=True⟩ to replace it",
                parameter="overwrite",
                code="exists",
            )
    if record is not None and main.is_file() and not describes(record, main):
        raise FileError(
            f"{main} was changed since it was written, as by a correction",
            "move it away, or give ⟨overwrite=True⟩ to replace it",
            parameter="overwrite",
            code="changed-since",
        )


def _outputs_there(record: Mapping[str, Any], targets: Targets, *, thorough: bool) -> bool:
    own, others = record.get(FILE), record.get("output_bytes")
    if not isinstance(others, Mapping):
        return False
    # of the file beside which the record stands, that knows the size by itself
    sizes = {next(iter(targets.files)): (own or {}).get("bytes"), **others}
    for kind, file in targets.files.items():
        try:
            size = identify(file)["bytes"]
        except (OSError, FileError):
            return False
        if size != sizes.get(kind):
            return False
    main = targets.main
    return not (thorough and isinstance(main, Path) and main.is_file()) or describes(record, main)


def _files_of(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    return sorted(Path(parent, name) for parent, _, names in os.walk(source) for name in names)


def _sha256(source: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        if file != source:
            digest.update(file.relative_to(source).as_posix().encode("utf-8", "surrogateescape"))
        with file.open("rb") as opened:
            while block := opened.read(HASH_BYTES):
                digest.update(block)
    return digest.hexdigest()


def _remote_sha256(url: str) -> str:
    system, path = filesystem_of(url)
    digest = hashlib.sha256()
    parts = sorted(system.find(path)) or [path]
    for part in parts:
        if part != path:
            digest.update(part.removeprefix(path).strip("/").encode())
        digest.update(system.cat_file(part))
    return digest.hexdigest()
