"""Tiles: they partition, start on the stride and see what the whole image shows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.errors import SettingsError
from napari_unet.tiling import Tile, TilePlan, per_axis


@st.composite
def plans(draw: st.DrawFn) -> TilePlan:
    ndim = draw(st.integers(1, 3))

    def sizes(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(ndim))

    return TilePlan(
        shape=sizes(1, {1: 90, 2: 40, 3: 18}[ndim]),
        tile=sizes(1, 50),
        halo=sizes(0, 20),
        stride=tuple(draw(st.sampled_from([1, 2, 3, 4, 8])) for _ in range(ndim)),
    )


def assert_partition(shape: tuple[int, ...], tiles: list[Tile]) -> None:
    written = np.zeros(shape, int)
    for tile in tiles:
        for part, size in zip(tile.write, shape, strict=True):
            assert 0 <= part.start < part.stop <= size
        written[tile.write] += 1
    assert (written == 1).all()


def assert_sees_enough(plan: TilePlan, tile: Tile) -> None:
    sides = zip(tile.write, tile.read, plan.halo, plan.padded_shape, plan.stride, strict=True)
    for write, read, halo, end, stride in sides:
        assert read.start % stride == 0
        assert read.stop % stride == 0
        assert read.start == 0 or write.start - read.start >= halo
        assert read.stop == end or read.stop - write.stop >= halo
        assert 0 <= read.start <= write.start < write.stop <= read.stop <= end


@given(plans())
def test_writes_partition_the_image(plan: TilePlan) -> None:
    tiles = list(plan)
    assert len(tiles) == len(plan)
    assert_partition(plan.shape, tiles)


@given(plans())
def test_reads_hold_the_halo_or_end_at_the_border(plan: TilePlan) -> None:
    for tile in plan:
        assert_sees_enough(plan, tile)
        assert all(a <= b for a, b in zip(tile.read_shape, plan.read_shape, strict=True))


@given(plans())
def test_sizes_are_rounded_to_the_stride(plan: TilePlan) -> None:
    for tile, halo, stride, padded, size in zip(
        plan.tile, plan.halo, plan.stride, plan.padded_shape, plan.shape, strict=True
    ):
        assert tile % stride == halo % stride == padded % stride == 0
        assert size <= padded < size + stride
        assert tile <= padded


@given(plans())
def test_crop_is_the_core_within_the_read(plan: TilePlan) -> None:
    image = np.arange(int(np.prod(plan.padded_shape))).reshape(plan.padded_shape)
    for tile in itertools.islice(plan, 20):
        np.testing.assert_array_equal(image[tile.read][tile.crop], image[tile.write])


@given(plans(), st.data())
def test_splitting_keeps_the_partition(plan: TilePlan, data: st.DataObject) -> None:
    tiles = list(plan)
    for _ in range(4):
        victim = tiles.pop(data.draw(st.integers(0, len(tiles) - 1)))
        halves = plan.split(victim)
        assert len(halves) in (1, 2)
        if len(halves) == 1:
            strides = zip(victim.write, plan.stride, strict=True)
            assert all(part.stop - part.start <= stride for part, stride in strides)
        for half in halves:
            assert_sees_enough(plan, half)
        tiles += halves
    assert_partition(plan.shape, tiles)


@given(plans())
def test_splitting_comes_to_an_end(plan: TilePlan) -> None:
    tile, steps = next(iter(plan)), 0
    while len(halves := plan.split(tile)) > 1:
        sizes = [sum(p.stop - p.start for p in t.write) for t in (tile, *halves)]
        assert max(sizes[1:]) < sizes[0]
        tile, steps = halves[-1], steps + 1
    assert steps <= 3 * 8


def test_a_tile_smaller_than_its_halo_reads_several_neighbours() -> None:
    plan = TilePlan(shape=(64,), tile=(4,), halo=(16,), stride=(4,))
    assert list(plan)[6] == Tile(write=(slice(24, 28),), read=(slice(8, 44),))


@pytest.mark.parametrize(
    ("shape", "tile", "says"),
    [((9, 9), (4,), "one size per spatial axis"), ((9, 9), (4, 0), "must be positive")],
)
def test_impossible_tiles_are_refused(
    shape: tuple[int, ...], tile: tuple[int, ...], says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        TilePlan(shape, tile, (2, 2), (2, 2))


def test_one_size_serves_all_axes() -> None:
    assert per_axis(32, 3) == (32, 32, 32)
    assert per_axis((8, 32), 2) == (8, 32)
