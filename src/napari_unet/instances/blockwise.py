"""Instance labels of maps that do not fit in memory: the same as of the whole, block by block.

Each block is flooded with a halo. Basins that end inside are finished. Of those that touch a cut
side of the block, or border on one that does, the peak's height and the saddles are recorded. When
all blocks are known, they are merged from the highest saddle down, as the whole would have been.
The result is that of `napari_unet.instances.maps.decode` on the whole array, pixel by pixel, for
objects of any length and maps of any kind, level ground included.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.card import Decoding
from napari_unet.errors import InputError, SettingsError
from napari_unet.instances.maps import decoding_reach, prepare_maps
from napari_unet.progress import Progress
from napari_unet.tiling import Region, Tile, TilePlan, per_axis

HALO = 16
"""Pixels around a block, so that most of what its border cuts is seen in full."""
MAX_LABELS = np.iinfo(np.int32).max


def iter_decode_blocks(
    read: Callable[[Region], NDArray[Any]],
    shape: tuple[int, ...],
    decoding: Decoding,
    *,
    write: Callable[[Region, NDArray[np.int32]], None],
    reread: Callable[[Region], NDArray[Any]],
    block: tuple[int, ...],
    halo: int | tuple[int, ...] = HALO,
    first: int = 1,
) -> Generator[Progress, None, int]:
    """Decode maps of any size into an array of labels.

    Every block is written twice: with preliminary labels, and with the final ones. Memory is
    that of one block and its halo (about 30 bytes per pixel), and a table with an entry per
    object and block. Closing the generator cancels; what was written is then preliminary.

    Parameters
    ----------
    read : callable
        Gives the maps (2, [Z,] Y, X), foreground and distance, of a region: a tuple of
        slices, one per axis of ``shape``, with plain start and stop.
    shape : tuple of int
        ([Z,] Y, X) in pixels.
    decoding : Decoding
        As for `napari_unet.instances.maps.decode`. ``min_size`` holds for whole objects.
    write : callable
        Takes a region and its int32 labels.
    reread : callable
        Gives the labels of a region as they were written.
    block : tuple of int
        Pixels per axis that are written at once; best the chunks of the target, or multiples.
    halo : int or tuple of int
        Pixels around a block that are flooded with it, for all axes or for each, at least 1.
        More costs time; less, a longer table. Where it is less than ways over level ground can be
        long, so many are taken.
    first : int
        Label of the first object.

    Yields
    ------
    Progress
        Per block and pass.

    Returns
    -------
    int
        Number of objects; their labels are consecutive.

    Raises
    ------
    SettingsError
        If the block does not fit the shape or the halo is less than 1.
    InputError
        If there are more pieces than int32 can number.

    Examples
    --------
    >>> from napari_unet.instances.maps import encode
    >>> from napari_unet.progress import drain
    >>> maps = encode(np.array([[0, 1, 1, 1, 1, 1, 0, 2]]))
    >>> labels = np.zeros((1, 8), np.int32)
    >>> job = iter_decode_blocks(
    ...     lambda region: maps[:, *region],
    ...     labels.shape,
    ...     Decoding(),
    ...     write=labels.__setitem__,
    ...     reread=labels.__getitem__,
    ...     block=(1, 3),
    ...     halo=1,
    ... )
    >>> drain(job), labels.tolist()
    (2, [[0, 1, 1, 1, 1, 1, 0, 2]])
    """
    ndim = len(shape)
    halos = per_axis(halo, ndim)
    if min(halos) < 1:
        raise SettingsError(f"The halo of a block must be at least 1 pixel, not {halo}")
    from napari_unet.instances.watershed import SURROUNDINGS

    halos = tuple(max(h, SURROUNDINGS) for h in halos)
    plan = TilePlan(shape, block, halos, (1,) * ndim)
    tiles = list(plan)
    reach = tuple(h + SURROUNDINGS + decoding_reach(decoding) for h in halos)
    wide = TilePlan(shape, block, reach, (1,) * ndim)
    ledger = _Ledger(shape, plan.tile, decoding)
    total = 2 * len(tiles)
    for done, tile in enumerate(tiles):
        yield Progress(done, total, "finding objects", "finding")
        around = wide.around(tile.write).read
        maps = prepare_maps(read(around), decoding)
        part = tuple(
            slice(r.start - a.start, r.stop - a.start)
            for r, a in zip(tile.read, around, strict=True)
        )
        write(tile.write, ledger.enter(maps, part, tile))
    for number, places in ledger.exits():
        yield Progress(len(tiles), total, "joining objects", "joining")
        ledger.resolve(places, reread(tiles[number].write), tiles[number])
    labels, count = ledger.settle(first)
    for done, tile in enumerate(tiles, len(tiles)):
        yield Progress(done, total, "numbering objects", "numbering")
        write(tile.write, labels[reread(tile.write)])
    return count


class _Ledger:
    """What is known of the basins of all blocks.

    A basin is known by the index of its peak in the raveled array; where a block does not see
    the peak, by the complement (~) of the index where its way leads out of what the block sees.
    """

    def __init__(self, shape: tuple[int, ...], block: tuple[int, ...], decoding: Decoding) -> None:
        self._shape, self._block, self._decoding = shape, block, decoding
        self._count = 0
        # of the preliminary labels, in their order
        self._names: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        self._sizes: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        self._firsts: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        """Index of the first pixel in the raveled array."""
        self._peaks: list[NDArray[np.int64]] = [np.zeros((0, 2), np.int64)]
        """Names, and their levels as far as a block sees them."""
        self._edges: list[NDArray[np.int64]] = [np.zeros((0, 4), np.int64)]
        """Level and index of a meeting, and two names."""
        self._same: list[NDArray[np.int64]] = [np.zeros((0, 2), np.int64)]

    def enter(self, maps: NDArray[np.float32], seen: Region, tile: Tile) -> NDArray[np.int32]:
        """Flood a block and its halo, which are ``seen`` of the maps; its preliminary labels."""
        from napari_unet.instances.watershed import block_watershed

        decoding = self._decoding
        part = block_watershed(
            maps[0],
            maps[1],
            decoding.threshold,
            decoding.split_depth,
            seen,
            _zones(tile, self._shape),
            tile.crop,
        )
        before = self._count
        self._count += part.names.size
        if self._count > MAX_LABELS:
            raise InputError(
                f"The blocks hold more than {MAX_LABELS} pieces of objects, which int32 labels "
                "cannot number",
                "raise ⟨threshold⟩ or ⟨split_depth⟩, or decode the parts one by one",
            )
        places = self._moved(part.places, tile)
        keys = np.where(part.exits, ~places, places)
        edges = _first_meetings(part.edges)
        known = np.unique(np.concatenate([part.names, edges[:, 2], edges[:, 3]]))
        self._names.append(keys[part.names])
        self._sizes.append(part.sizes)
        self._firsts.append(self._first_pixels(part.labels, part.sizes.size, tile))
        self._peaks.append(np.column_stack([keys[known], part.peaks[known]]))
        where = self._moved(edges[:, 1], tile)
        self._edges.append(
            np.column_stack([edges[:, 0], where, keys[edges[:, 2]], keys[edges[:, 3]]])
        )
        return np.where(part.labels > 0, part.labels + np.int32(before), 0).astype(np.int32)

    def exits(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Numbers of the blocks into which ways lead, with the indices where they enter."""
        keys = np.unique(np.concatenate([peaks[:, 0] for peaks in self._peaks]))
        places = ~keys[keys < 0]
        index = np.unravel_index(places, self._shape)
        counts = [-(-n // b) for n, b in zip(self._shape, self._block, strict=True)]
        blocks = tuple(i // b for i, b in zip(index, self._block, strict=True))
        numbers = np.ravel_multi_index(blocks, counts)
        for number in np.unique(numbers):
            yield int(number), places[numbers == number]

    def resolve(self, places: NDArray[np.int64], labels: NDArray[Any], tile: Tile) -> None:
        """Look up what the ways that enter a block end in."""
        index = np.unravel_index(places, self._shape)
        starts = (w.start for w in tile.write)
        found = labels[tuple(i - start for i, start in zip(index, starts, strict=True))]
        names = np.concatenate(self._names)
        self._same.append(np.column_stack([~places, names[found - 1]]))

    def settle(self, first: int) -> tuple[NDArray[np.int32], int]:
        """The final label of each preliminary one, and the number of objects."""
        from napari_unet.instances.watershed import join_regions

        levels = np.concatenate(self._peaks)
        keys, inverse = np.unique(levels[:, 0], return_inverse=True)
        peaks = np.zeros(keys.size, np.int64)
        np.maximum.at(peaks, inverse, levels[:, 1])
        edges = np.concatenate(self._edges)
        edges = edges[np.lexsort((edges[:, 1], -edges[:, 0]))]
        met = np.column_stack([edges[:, 0], np.searchsorted(keys, edges[:, 2:])])
        same = np.searchsorted(keys, np.concatenate(self._same))
        objects = join_regions(peaks, same, met, self._decoding.split_depth)
        owners = objects[np.searchsorted(keys, np.concatenate(self._names))]
        sizes = np.zeros(keys.size, np.int64)
        np.add.at(sizes, owners, np.concatenate(self._sizes))
        # as they come in memory, which is how the whole numbers them
        comes = np.full(keys.size, np.iinfo(np.int64).max)
        np.minimum.at(comes, owners, np.concatenate(self._firsts))
        kept = np.unique(owners[sizes[owners] >= self._decoding.min_size])
        final = np.zeros(keys.size, np.int32)
        final[kept[np.argsort(comes[kept])]] = np.arange(first, first + kept.size)
        labels = np.zeros(owners.size + 1, np.int32)
        labels[1:] = final[owners]
        return labels, kept.size

    def _first_pixels(self, labels: NDArray[np.int32], count: int, tile: Tile) -> NDArray[np.int64]:
        """Of labels 1 to ``count`` of a core, the index of the first pixel in the raveled array."""
        flat = labels.ravel()
        first = np.zeros(count + 1, np.int64)
        first[flat[::-1]] = np.arange(flat.size)[::-1]
        index = np.unravel_index(first[1:], labels.shape)
        starts = (w.start for w in tile.write)
        moved = tuple(i + start for i, start in zip(index, starts, strict=True))
        whole: NDArray[np.int64] = np.ravel_multi_index(moved, self._shape).astype(np.int64)
        return whole

    def _moved(self, places: NDArray[np.int64], tile: Tile) -> NDArray[np.int64]:
        """Indices in the raveled array from those in the raveled read region of a tile."""
        index = np.unravel_index(places, tile.read_shape)
        starts = (r.start for r in tile.read)
        moved = tuple(i + start for i, start in zip(index, starts, strict=True))
        whole: NDArray[np.int64] = np.ravel_multi_index(moved, self._shape).astype(np.int64)
        return whole


def _zones(tile: Tile, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Which pixels of a tile's read region other tiles see as well."""
    from napari_unet.instances._kernels import EXIT, FACE, FAR, NEAR, PRIVATE

    zones = np.full(tile.read_shape, FAR, np.uint8)
    outer, inner = [], []
    for write, crop, size in zip(tile.write, tile.crop, shape, strict=True):
        before, after = write.start > 0, write.stop < size
        outer.append(slice(crop.start - before, crop.stop + after))
        inner.append(slice(crop.start + before, crop.stop - after))
    zones[tuple(outer)] = NEAR
    zones[tile.crop] = FACE
    zones[tuple(inner)] = PRIVATE
    for axis, (read, size) in enumerate(zip(tile.read, shape, strict=True)):
        layers = np.moveaxis(zones, axis, 0)
        if read.start > 0:
            layers[0] = EXIT
        if read.stop < size:
            layers[-1] = EXIT
    return zones


def _first_meetings(edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each two basins the first meeting; no later one can change anything."""
    edges = edges[np.lexsort((edges[:, 1], -edges[:, 0]))]
    pairs = np.sort(edges[:, 2:], axis=1)
    first = np.unique(pairs, axis=0, return_index=True)[1]
    return edges[np.sort(first)]
