"""Arrays that a record names: found in their files, or kept in a file of their own."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.errors import FileError, InputError, UNetError
from napari_unet.image.identity import identify
from napari_unet.io.atomic import atomic_path
from napari_unet.io.record import identity_of
from napari_unet.replay.references import ArrayReference
from napari_unet.state import state_folder

MOST_KEPT_BYTES = 1 << 32
SLAB_BYTES = 1 << 26


@dataclass(frozen=True, eq=False)
class HeldArray:
    """An array in memory, in the place of a record where its reference belongs.

    Attributes
    ----------
    array : array-like
        The pixels.
    name : str
        What it is called, as of its layer.
    origin : mapping
        Where it may be from; see `napari_unet.image.given.Given`.
    as_labels : bool
        Whether the numbers of its file count as they are stored.
    """

    array: Any
    name: str
    origin: Mapping[str, Any] = field(default_factory=dict)
    as_labels: bool = False


@dataclass(frozen=True)
class HeldFile:
    """A file in a temporary folder, in the place of a record where its path belongs."""

    path: Path


def settle(record: Any) -> tuple[Any, list[Path]]:
    """A record whose arrays are all in files, and the files that were written for that.

    An array is in the file that it is said to be from only if the same pixels are read there.
    Otherwise it is kept in the program's folder of states, under a name with its hash, so that
    equal arrays are kept once.

    Raises
    ------
    InputError
        If an array that is in no file is too large to be kept.
    FileError
        If it cannot be written.
    """
    written: list[Path] = []
    return _settle(record, written), written


def _settle(part: Any, written: list[Path]) -> Any:
    if isinstance(part, HeldArray):
        return _refer(part, written)
    if isinstance(part, HeldFile):
        return str(_keep_file(part.path, written))
    if isinstance(part, Mapping):
        return {key: _settle(value, written) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_settle(each, written) for each in part]
    return part


def _refer(held: HeldArray, written: list[Path]) -> dict[str, Any]:
    identity = identify(held.array)
    if held.origin.get("path"):
        found = ArrayReference(**held.origin, **identity, as_labels=held.as_labels)
        try:
            found.open()
        except (UNetError, OSError, ValueError):
            pass  # the layer holds other pixels than its file, or the file is gone
        else:
            return found.model_dump(mode="json", exclude_none=True)
    path = _keep(held, identity["sha256"], written)
    found = ArrayReference(path=str(path), **identity, as_labels=held.as_labels)
    return found.model_dump(mode="json", exclude_none=True)


def _keep(held: HeldArray, sha256: str, written: list[Path]) -> Path:
    shape, dtype = tuple(int(n) for n in held.array.shape), np.dtype(held.array.dtype)
    size = math.prod(shape) * dtype.itemsize
    if size > MOST_KEPT_BYTES:
        raise InputError(
            f"‘{held.name}’ is in no file, and its {size / 1e9:.1f} GB are too many to be copied",
            "save it first",
            parameter="input",
        )
    name = re.sub(r"[^\w.-]+", "_", held.name).strip("._")[:60] or "array"
    path = state_folder() / "arrays" / f"{name}-{sha256[:12]}.npy"
    if path.is_file():
        return path
    try:
        with atomic_path(path) as part:
            _write_npy(part, held.array, shape, dtype)
    except OSError as error:
        raise FileError(
            f"‘{held.name}’ is in no file, and cannot be kept in {path.parent} ({error})",
            "save it first",
        ) from None
    written.append(path)
    return path


def _keep_file(path: Path, written: list[Path]) -> Path:
    """A copy that stays, under the same name, after which results are called."""
    known = identity_of(path)
    if known["bytes"] > MOST_KEPT_BYTES:
        raise InputError(
            f"{path.name} is in a temporary folder, and its {known['bytes'] / 1e9:.1f} GB are too "
            "many to be copied",
            "save the layer first",
            parameter="input",
        )
    target: Path = state_folder() / "arrays" / known["sha256"][:12] / path.name
    if target.is_file():
        return target
    try:
        with atomic_path(target) as part:
            shutil.copyfile(path, part)
    except OSError as error:
        raise FileError(
            f"{path.name} cannot be kept in {target.parent} ({error})", "save the layer first"
        ) from None
    written.append(target)
    return target


def _write_npy(path: Path, array: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Write an array part by part."""
    row = max(math.prod(shape[1:]) * dtype.itemsize, 1)
    step = max(SLAB_BYTES // row, 1)
    with path.open("wb") as file:
        header = {
            "descr": np.lib.format.dtype_to_descr(dtype.newbyteorder("=")),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, shape[0], step):
            part = np.asarray(array[start : start + step])
            file.write(np.ascontiguousarray(part, dtype.newbyteorder("=")).tobytes())
