"""Arrays of mostly empty planes as small files."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import FileError
from napari_unet.io.atomic import atomic_path

_HEAD = "array.json"
_LEVEL = 1  # of compression: speed counts


def write_sparse(path: Path, array: Any) -> None:
    """Write an array, without the planes that are 0 everywhere.

    Parameters
    ----------
    path : Path
        A zip file; it appears complete or not at all.
    array : array-like
        Numbers or bool, of one axis or more; the last two are its planes. Read plane by plane.

    Raises
    ------
    FileError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "labels.zip"
    >>> labels = np.zeros((3, 2, 2), int)
    >>> labels[1] = 5
    >>> write_sparse(file, labels)
    >>> bool((read_sparse(file) == labels).all())
    True
    """
    shape = tuple(int(n) for n in array.shape)
    head = {"shape": shape, "dtype": np.dtype(array.dtype).str}
    with (
        atomic_path(path) as part,
        zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as file,
    ):
        file.writestr(_HEAD, json.dumps(head))
        whole = (slice(None),) * min(2, len(shape))
        for number, index in enumerate(np.ndindex(shape[:-2])):
            plane = np.ascontiguousarray(array[index + whole])
            if plane.any():
                file.writestr(str(number), plane.tobytes())


def read_sparse(
    path: Path, zeros: Callable[[tuple[int, ...], Any], NDArray[Any]] = np.zeros
) -> NDArray[Any]:
    """The array that `write_sparse` wrote; memory is taken for planes with values only.

    Parameters
    ----------
    path : Path
        The file.
    zeros : callable
        Makes zeros of a shape and a dtype.

    Raises
    ------
    FileError
        If the file cannot be read, or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:
            head = json.loads(file.read(_HEAD))
            shape, dtype = tuple(int(n) for n in head["shape"]), np.dtype(head["dtype"])
            array = zeros(shape, dtype)
            planes = array.reshape(-1, *shape[-2:])
            for name in file.namelist():
                if name != _HEAD:
                    values = np.frombuffer(file.read(name), dtype)
                    planes[int(name)] = values.reshape(shape[-2:])
            return array
    except (OSError, KeyError, TypeError, ValueError, IndexError, zipfile.BadZipFile):
        raise FileError(f"{path} is damaged or gone; it cannot be gone on with.") from None


def sparse_bytes(array: Any) -> int:
    """Bytes of an array in memory.

    >>> sparse_bytes(np.zeros((2, 3), np.int32))
    24
    """
    return math.prod(int(n) for n in array.shape) * int(np.dtype(array.dtype).itemsize)
