"""Labels in Cellpose's ``_seg.npy`` files, which are pickled, without running anything of them.

A pickle is a program that names functions to be called. Here no name leads to one: those that
NumPy's arrays are pickled with lead to records of what was stored, any other is refused. From the
records an array is built of which type and size were checked.

References
----------
.. [1] Cellpose, "Outputs": the file is a dictionary, its ``masks`` are the labels.
   https://cellpose.readthedocs.io/en/latest/outputs.html
"""

from __future__ import annotations

import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import FileError
from napari_unet.io.reason import reason_of

_KEY = "masks"
_NUMBERS = re.compile(r"[biu][1248]|f[48]")


def is_pickled(path: Path) -> bool:
    """Whether a ``.npy`` file holds objects, which NumPy would have to unpickle."""
    if not path.is_file():  # nothing comes out of a pipe
        return False
    try:
        with path.open("rb") as file:
            return _read_header(file)[1].hasobject
    except (OSError, ValueError):
        return False


def read_cellpose_labels(path: Path) -> tuple[NDArray[Any], str | None]:
    """The labels of a ``_seg.npy`` file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    labels : integer array
        (Y, X), or (Z, Y, X) of a stack.
    axes : str or None
        "YX"; None for a stack, since the file does not say what its planes are.

    Raises
    ------
    FileError
        If the file is damaged, is none of Cellpose, or names anything but arrays and plain
        containers.
    """
    try:
        with path.open("rb") as file:
            shape, dtype = _read_header(file)
            if shape != () or not dtype.hasobject:
                raise ValueError("it is no dictionary")
            content = _Reader(file).load()
        (stored,) = content.data  # an array of no axes, with one object
        labels = stored[_KEY].build()
    except OSError as error:
        raise FileError(f"{path} cannot be read ({reason_of(error)})", "check the disk") from error
    except _UnknownNameError as error:
        raise FileError(
            f"{path} is pickled, and asks for {error}, which labels do not need: it was not "
            "opened, since it might run a program",
            "export the labels as TIFF or PNG from Cellpose, and only if you trust the file",
        ) from None
    except Exception as error:
        # what a damaged pickle raises is of any kind
        raise FileError(
            f"{path} holds no labels of Cellpose, or is damaged ({reason_of(error)})",
            "export the labels as TIFF or PNG",
        ) from error
    return labels, "YX" if labels.ndim == 2 else None


def _read_header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"version {version} of the format")
    return shape, dtype


class _UnknownNameError(Exception):
    """A pickle names something that arrays and plain containers do not need."""


class _DtypeRecord:
    """What was stored of a data type."""

    def __init__(self, name: Any = "", *_: Any) -> None:
        self.name = name
        self.order: Any = "|"

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1:
            self.order = state[1]


class _ArrayRecord:
    """What was stored of an array."""

    shape: Any = ()
    dtype: Any = None
    is_fortran: Any = False
    data: Any = b""

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.dtype, self.is_fortran, self.data = state

    def build(self) -> NDArray[Any]:
        """The array, if it is one of numbers and all there."""
        name, order = self.dtype.name, self.dtype.order
        if not isinstance(name, str) or not _NUMBERS.fullmatch(name) or order not in tuple("<>|="):
            raise ValueError(f"the type of the labels is {name!r}")
        dtype = np.dtype(order + name)
        shape, data = tuple(self.shape), self.data
        if not all(type(n) is int and n > 0 for n in shape) or not 2 <= len(shape) <= 4:
            raise ValueError(f"the shape of the labels is {shape}")
        if (
            not isinstance(data, bytes | bytearray)
            or len(data) != math.prod(shape) * dtype.itemsize
        ):
            raise ValueError("pixels are missing")
        array = np.frombuffer(data, dtype).reshape(shape, order="F" if self.is_fortran else "C")
        return np.ascontiguousarray(array, dtype.newbyteorder("="))


def _reconstruct(*_: Any) -> _ArrayRecord:
    return _ArrayRecord()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> _ArrayRecord:
    record = _ArrayRecord()
    record.__setstate__((1, shape, dtype, order == "F", bytes(data)))
    return record


def _ignore(*_: Any) -> None:
    """Numbers and paths that stand beside the labels."""


_RECORDS: dict[str, Any] = {
    "multiarray._reconstruct": _reconstruct,
    "numeric._frombuffer": _from_buffer,
    "multiarray.scalar": _ignore,
    "ndarray": _ArrayRecord,
    "dtype": _DtypeRecord,
}
_PATHS = ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath")


class _Reader(pickle.Unpickler):
    """Reads arrays as records, and plain containers; calls nothing that a file names."""

    def find_class(self, module: str, name: str) -> Any:
        """The record for a name; an error for any other."""
        if module.partition(".")[0] == "pathlib" and name in _PATHS:
            return _ignore
        for package in ("numpy._core.", "numpy.core.", "numpy."):
            if module + "." == package or (module + ".").startswith(package):
                found = _RECORDS.get(f"{module}.{name}".removeprefix(package))
                if found is not None:
                    return found
        raise _UnknownNameError(f"{module}.{name}")
