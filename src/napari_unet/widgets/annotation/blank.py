"""Arrays of zeros that take memory only where something is written."""

from __future__ import annotations

import math
import mmap
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_unet.errors import InputError

_LINUX = 0x4000  # of MAP_NORESERVE, which Python names from 3.13 on


def blank(shape: Sequence[int], dtype: DTypeLike = np.int32) -> NDArray[Any]:
    """Zeros, of which the system gives each page when it is written to.

    Parameters
    ----------
    shape : sequence of int
        May be larger than the memory where the system lets it.
    dtype : dtype
        Of integers.

    Raises
    ------
    InputError
        If the system does not promise so much.

    Examples
    --------
    >>> int(blank((2, 3)).sum())
    0
    """
    try:
        return np.zeros(tuple(shape), dtype)
    except MemoryError:
        pass
    size = math.prod(shape) * np.dtype(dtype).itemsize
    unreserved = getattr(mmap, "MAP_NORESERVE", _LINUX if sys.platform == "linux" else 0)
    if unreserved:
        try:
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | unreserved
            return np.frombuffer(mmap.mmap(-1, size, flags=flags), dtype).reshape(tuple(shape))
        except (OSError, ValueError, OverflowError):
            pass
    raise InputError(
        f"Labels of shape {tuple(shape)} need {size / 1e9:.0f} GB, more than the system gives; "
        "crop the image first."
    )
