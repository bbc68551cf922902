"""What identifies the pixels of an array, so that a record knows whether they are the same."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

HASHED_BYTES = 1 << 26
"""Arrays up to this size are hashed whole, of larger ones as much, spread over all of them."""

SPREAD = 16  # places along an axis from which a sample is taken
SLAB_BYTES = 1 << 24  # read at once


def describe_shape(array: Any) -> dict[str, Any]:
    """Shape and dtype of an array, for which no pixel is read.

    >>> describe_shape(np.zeros((2, 3), np.uint8))
    {'shape': [2, 3], 'dtype': 'uint8'}
    """
    return {"shape": [int(n) for n in array.shape], "dtype": np.dtype(array.dtype).name}


def identify(array: Any) -> dict[str, Any]:
    """Shape, dtype and SHA-256 of the pixels of an array, JSON-ready.

    Parameters
    ----------
    array : array-like
        Anything with shape, dtype and slicing.

    Returns
    -------
    dict
        ``shape``; ``dtype``, its name; ``sha256``, of the pixels in C order and little-endian;
        ``hashed``: "all" of them, or a "sample", evenly spread, of an array above 64 MiB.

    Examples
    --------
    >>> identify(np.zeros((2, 3), np.uint8))["sha256"][:12]
    'b0f66adc8364'
    """
    shape, dtype = tuple(int(n) for n in array.shape), np.dtype(array.dtype)
    whole = math.prod(shape) * dtype.itemsize <= HASHED_BYTES
    digest = hashlib.sha256()
    for window in _windows(shape, dtype.itemsize, HASHED_BYTES):
        for part in _slabs(window, shape, dtype.itemsize):
            pixels = np.asarray(array[part])
            digest.update(np.ascontiguousarray(pixels, dtype.newbyteorder("<")).data)
    return {
        **describe_shape(array),
        "sha256": digest.hexdigest(),
        "hashed": "all" if whole else "sample",
    }


def differ(identity: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """How pixels differ from those that are known, in words; empty where they do not.

    >>> differ({"shape": [2, 3], "dtype": "uint8"}, {"shape": [2, 4], "dtype": "uint8"})
    'its shape is (2, 3), not (2, 4)'
    """
    shapes = [tuple(each.get("shape") or ()) for each in (identity, known)]
    if shapes[1] and shapes[0] != shapes[1]:
        return f"its shape is {shapes[0]}, not {shapes[1]}"
    types = [each.get("dtype") for each in (identity, known)]
    if types[1] and types[0] != types[1]:
        return f"its pixels are {types[0]}, not {types[1]}"
    hashes = [each.get("sha256") for each in (identity, known)]
    if hashes[1] and hashes[0] != hashes[1]:
        return "its pixels have other values"
    return ""


def _windows(shape: tuple[int, ...], itemsize: int, budget: int) -> list[tuple[slice, ...]]:
    """Parts of an array with about as many bytes as the budget, evenly spread."""
    size = math.prod(shape) * itemsize
    if size <= budget or not shape:
        return [()]
    length, inner = shape[0], size // shape[0]
    count = min(length, SPREAD)
    each = budget // count
    thickness = max(each // inner, 1)
    starts = sorted({round(i * (length - thickness) / max(count - 1, 1)) for i in range(count)})
    finer = _windows(shape[1:], itemsize, each) if inner > each else [()]
    return [(slice(start, start + thickness), *rest) for start in starts for rest in finer]


def _slabs(
    window: tuple[slice, ...], shape: tuple[int, ...], itemsize: int
) -> list[tuple[slice, ...]]:
    """A part in slabs along its first axis, which are read at once."""
    whole = (*window, *(slice(0, n) for n in shape[len(window) :]))
    if not whole:
        return [()]
    sizes = [part.stop - part.start for part in whole]
    row = max(math.prod(sizes[1:]) * itemsize, 1)
    step = max(SLAB_BYTES // row, 1)
    first = whole[0]
    return [
        (slice(start, min(start + step, first.stop)), *whole[1:])
        for start in range(first.start, first.stop, step)
    ]
