"""Which tiles cover an image: integers only.

A tile *writes* its core and *reads* its core with a halo. Cores partition the image, start
on the grid of the network's stride, and reads end at the image or, at the far end, at its
size rounded up to the stride: so a tile sees what the whole image would show it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from napari_unet.errors import SettingsError

Region = tuple[slice, ...]


@dataclass(frozen=True)
class Tile:
    """One tile, in pixels of the (padded) image; slices have plain start and stop.

    Attributes
    ----------
    write : tuple of slice
        The core, inside the image.
    read : tuple of slice
        The core and its halo, inside the image padded to the stride.
    """

    write: Region
    read: Region

    @property
    def crop(self) -> Region:
        """The core, counted from the start of the read region."""
        return tuple(
            slice(w.start - r.start, w.stop - r.start)
            for w, r in zip(self.write, self.read, strict=True)
        )

    @property
    def read_shape(self) -> tuple[int, ...]:
        """Shape of the read region."""
        return tuple(r.stop - r.start for r in self.read)


@dataclass(frozen=True)
class TilePlan:
    """A partition of an image, or of a part of it, into tiles.

    Parameters
    ----------
    shape : tuple of int
        Shape of the image, spatial axes only.
    tile : tuple of int
        Wanted size of the cores; it is rounded up to the stride and cut at the image.
    halo : tuple of int
        Context around a core, rounded up to the stride.
    stride : tuple of int
        Grid on which cores and reads start.
    within : tuple of slice, optional
        The part of the image that is covered; its starts are rounded down to the stride.
        None: all of it.

    Raises
    ------
    SettingsError
        If a size is not positive or the lengths differ.

    Examples
    --------
    >>> plan = TilePlan(shape=(10, 100), tile=(32, 32), halo=(8, 8), stride=(4, 4))
    >>> len(plan), plan.padded_shape
    (4, (12, 100))
    >>> [tile.read[1] for tile in plan][1]
    slice(24, 72, None)
    """

    shape: tuple[int, ...]
    tile: tuple[int, ...]
    halo: tuple[int, ...]
    stride: tuple[int, ...]
    within: Region | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.shape), len(self.tile), len(self.halo), len(self.stride)}
        if len(lengths) != 1:
            raise SettingsError(
                f"⟨tile⟩ {self.tile} needs one size per spatial axis of the model "
                f"({len(self.shape)})",
                "give one integer for all axes, or one for each",
                parameter="tile",
                value=self.tile,
            )
        positive = (*self.shape, *self.tile, *self.stride)
        if min(positive) < 1 or min(self.halo) < 0:
            raise SettingsError(
                f"⟨tile⟩ sizes must be positive, not {self.tile}",
                parameter="tile",
                value=self.tile,
            )
        if self.within is not None:
            parts = zip(self.within, self.stride, strict=True)
            within = tuple(slice(p.start - p.start % s, p.stop) for p, s in parts)
            object.__setattr__(self, "within", within)
        rounded = zip(self.tile, self.bounds, self.stride, strict=True)
        core = tuple(_up(min(t, b.stop - b.start), s) for t, b, s in rounded)
        object.__setattr__(self, "tile", core)
        halo = tuple(_up(h, s) for h, s in zip(self.halo, self.stride, strict=True))
        object.__setattr__(self, "halo", halo)

    @property
    def bounds(self) -> Region:
        """What the cores cover together."""
        return self.within or tuple(slice(0, n) for n in self.shape)

    @property
    def padded_shape(self) -> tuple[int, ...]:
        """The shape rounded up to the stride."""
        return tuple(_up(n, s) for n, s in zip(self.shape, self.stride, strict=True))

    @property
    def read_shape(self) -> tuple[int, ...]:
        """Largest read region of any tile."""
        sizes = zip(self.tile, self.halo, self.padded_shape, strict=True)
        return tuple(min(t + 2 * h, p) for t, h, p in sizes)

    def __len__(self) -> int:
        sizes = zip(self.bounds, self.tile, strict=True)
        return math.prod(-(-(b.stop - b.start) // t) for b, t in sizes)

    def __iter__(self) -> Iterator[Tile]:
        sizes = zip(self.bounds, self.tile, strict=True)
        starts = (range(b.start, b.stop, t) for b, t in sizes)
        for corner in itertools.product(*starts):
            parts = zip(corner, self.tile, self.bounds, strict=True)
            yield self.around(tuple(slice(c, min(c + t, b.stop)) for c, t, b in parts))

    def around(self, write: Region) -> Tile:
        """The tile that writes ``write``, whose starts must lie on the stride."""
        sizes = zip(write, self.halo, self.padded_shape, self.stride, strict=True)
        read = tuple(slice(max(w.start - h, 0), min(_up(w.stop, s) + h, p)) for w, h, p, s in sizes)
        return Tile(write, read)

    def split(self, tile: Tile) -> tuple[Tile, ...]:
        """Cut a tile in two along its longest axis; unchanged if it is one stride small.

        >>> plan = TilePlan((64,), (64,), (8,), (8,))
        >>> [t.write for t in plan.split(next(iter(plan)))]
        [(slice(0, 32, None),), (slice(32, 64, None),)]
        """
        strides = self.stride
        counts = [-(-(w.stop - w.start) // s) for w, s in zip(tile.write, strides, strict=True)]
        if max(counts) < 2:
            return (tile,)
        sizes = [w.stop - w.start if n > 1 else 0 for w, n in zip(tile.write, counts, strict=True)]
        axis = sizes.index(max(sizes))
        old = tile.write[axis]
        middle = old.start + (counts[axis] // 2) * strides[axis]
        halves = (slice(old.start, middle), slice(middle, old.stop))
        return tuple(
            self.around((*tile.write[:axis], half, *tile.write[axis + 1 :])) for half in halves
        )


def per_axis(value: int | Sequence[int], ndim: int) -> tuple[int, ...]:
    """One integer per axis from one for all.

    >>> per_axis(256, 2), per_axis((8, 64, 64), 3)
    ((256, 256), (8, 64, 64))
    """
    return (value,) * ndim if isinstance(value, int) else tuple(value)


def _up(size: int, stride: int) -> int:
    return -(-size // stride) * stride
