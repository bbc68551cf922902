"""A frame of a result array, read and written from wherever its zarr array can be opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.tiling import Region


def index_of(axes: str, time: int, region: Region) -> tuple[Any, ...]:
    """Where a time point and region lie in an array with these axes; all of C."""
    place: dict[str, Any] = dict(zip([a for a in "ZYX" if a in axes], region, strict=True))
    place["T"] = time
    place["C"] = slice(None)
    return tuple(place[axis] for axis in axes)


def arrange(axes: str, block: NDArray[Any]) -> NDArray[Any]:
    """A block ([C,] *spatial, canonical order) in the order of an array without T."""
    canonical = [a for a in "CZYX" if a in axes]
    return block.transpose([canonical.index(axis) for axis in axes if axis != "T"])


def arrange_back(axes: str, block: NDArray[Any]) -> NDArray[Any]:
    """The inverse of `arrange`."""
    order = [axis for axis in axes if axis != "T"]
    return block.transpose([order.index(a) for a in "CZYX" if a in order])


@dataclass(frozen=True)
class RegionView:
    """A result array from one of its frames on; small enough to be sent to a worker.

    Attributes
    ----------
    location : str
        Path or URL of the zarr array.
    axes : str
        Of the array.
    time, plane : int
        Where in it the frame is that counts as the first.
    """

    location: str
    axes: str
    time: int = 0
    plane: int = 0

    def at(self, time: int, plane: int | None) -> RegionView:
        """The same array from a frame on."""
        return replace(self, time=time, plane=plane or 0)

    @property
    def array(self) -> Any:
        """The zarr array, opened for writing."""
        import zarr

        return zarr.open_array(self.location, mode="r+")

    @property
    def folder(self) -> Path | None:
        """Where a local array lies."""
        return None if "://" in self.location else Path(self.location).parent

    def write(self, time: int, region: Region, block: NDArray[Any]) -> None:
        """Put a block ([C,] *spatial, canonical order) at a time point and region."""
        self.array[self._index(time, region)] = arrange(self.axes, block)

    def add(self, time: int, region: Region, block: NDArray[Any]) -> None:
        """Add a block to what is there."""
        array, index = self.array, self._index(time, region)
        array[index] = np.nan_to_num(array[index]) + arrange(self.axes, block)

    def read(self, time: int, region: Region) -> NDArray[Any]:
        """A block that was written, [C,] *spatial in canonical order."""
        return arrange_back(self.axes, np.asarray(self.array[self._index(time, region)]))

    def _index(self, time: int, region: Region) -> tuple[Any, ...]:
        if "Z" in self.axes and self.plane:
            first, *rest = region
            region = (slice(first.start + self.plane, first.stop + self.plane), *rest)
        return index_of(self.axes, time + self.time, region)
