"""Scores of one frame (a plane or a volume) while its tiles come in: in memory, or on disk."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_unet.errors import FileError
from napari_unet.tiling import Region

LARGEST = 1 << 30  # bytes of a frame that is kept in memory
CHUNK = {2: (1024, 1024), 3: (32, 256, 256)}


def score_bytes(channels: int, shape: Iterable[int]) -> int:
    """Size of float32 scores (channels, *shape).

    >>> score_bytes(2, (10, 100))
    8000
    """
    return channels * math.prod(shape) * np.dtype(np.float32).itemsize


def is_large(channels: int, shape: tuple[int, ...]) -> bool:
    """Whether the scores of a frame are too large to be kept in memory."""
    size = score_bytes(channels, shape)
    return bool(size > min(LARGEST, psutil.virtual_memory().available // 4))


class ScoreBuffer:
    """Scores (C, *shape) of one frame after the other.

    Parameters
    ----------
    channels : int
        Of the scores.
    shape : tuple of int
        ([Z,] Y, X) of a frame.
    near : Path, optional
        Folder in which large frames are put on disk; None: the system's for temporary files.
    """

    def __init__(self, channels: int, shape: tuple[int, ...], near: Path | None = None) -> None:
        self.shape = shape
        self.large = is_large(channels, shape)
        self._folder: TemporaryDirectory[str] | None = None
        self._array: Any
        if not self.large:
            self._array = np.zeros((channels, *shape), np.float32)
            return
        import zarr

        with _named_faults():
            self._folder = TemporaryDirectory(prefix=".napari-unet-", dir=near)
            self._array = zarr.create_array(
                store=self._folder.name,
                shape=(channels, *shape),
                chunks=(channels, *map(min, CHUNK[len(shape)], shape)),
                dtype=np.float32,
                fill_value=np.nan,
                overwrite=True,
            )

    def write(self, region: Region, scores: NDArray[np.float32]) -> None:
        """Put the scores of a region."""
        with _named_faults():
            self._array[(slice(None), *region)] = scores

    def add(self, region: Region, scores: NDArray[np.float32]) -> None:
        """Add to the scores of a region."""
        index = (slice(None), *region)
        with _named_faults():
            self._array[index] = np.nan_to_num(self._array[index]) + scores

    def read(self, region: Region) -> NDArray[np.float32]:
        """The scores (C, *region) of a region that was written.

        Raises
        ------
        FileError
            If they are not there any more.
        """
        with _named_faults():
            return check_scores(np.asarray(self._array[(slice(None), *region)]))

    def clear(self) -> None:
        """Make room for the next frame."""
        with _named_faults():
            self._array[...] = 0

    def close(self) -> None:
        """Remove what is on disk."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def check_scores(scores: NDArray[Any]) -> NDArray[Any]:
    """Scores as they are; `FileError` where parts of them are missing on disk.

    Where a zarr array has no data it gives its fill value, which is NaN for scores.
    """
    if np.isnan(scores).any():
        raise FileError(
            "The scores that were put on disk are not there any more", "run the prediction again"
        )
    return scores


@contextmanager
def _named_faults() -> Iterator[None]:
    """A disk that is full, or gone, in one sentence."""
    try:
        yield
    except OSError as error:
        raise FileError(
            f"The scores do not fit in memory and cannot be put on disk ({error})",
            "make room, or segment a part of the image",
        ) from error
