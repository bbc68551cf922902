"""Decoding block by block gives what decoding the whole gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_unet.card import Decoding
from napari_unet.errors import SettingsError
from napari_unet.instances.blockwise import HALO, iter_decode_blocks
from napari_unet.instances.maps import decode, decoding_reach, encode, prepare_maps
from napari_unet.progress import Progress, drain
from napari_unet.tiling import TilePlan


def decode_blocks(
    maps: np.ndarray,
    decoding: Decoding,
    block: tuple[int, ...],
    halo: int | tuple[int, ...],
    first: int = 1,
) -> tuple[np.ndarray, int]:
    """Labels and their number, of maps that are in memory after all."""
    labels = np.full(maps.shape[1:], -1, np.int32)
    count = drain(
        iter_decode_blocks(
            lambda region: maps[:, *region],
            labels.shape,
            decoding,
            write=labels.__setitem__,
            reread=labels.__getitem__,
            block=block,
            halo=halo,
            first=first,
        )
    )
    return labels, count


def noise(shape: tuple[int, ...], sigma: float, seed: int) -> np.ndarray:
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), sigma)
    return ((smooth - smooth.min()) / max(np.ptp(smooth), 1e-9)).astype(np.float32)


def noisy_maps(shape: tuple[int, ...], sigma: float, seed: int) -> np.ndarray:
    return np.stack([noise(shape, 2, seed), noise(shape, sigma, seed + 1)])


decodings = st.builds(
    Decoding,
    threshold=st.floats(0.02, 0.7),
    split_depth=st.sampled_from([0.02, 0.1, 0.2, 0.5]),
    min_size=st.sampled_from([0, 12]),
    smoothing=st.sampled_from([0.0, 0.8]),
)
shape_decodings = st.builds(
    Decoding,
    threshold=st.floats(0.02, 0.98),
    split_depth=st.sampled_from([0.02, 0.1, 0.2, 0.5]),
    min_size=st.sampled_from([0, 12]),
    smoothing=st.sampled_from([0.0, 0.8]),
    shape_radius=st.sampled_from([0.3, 1.0, 1.5, 4.0, 6.3, 30.0]),
)
SHAPES = {2: st.integers(1, 40), 3: st.integers(1, 15)}


@pytest.mark.parametrize("ndim", [2, 3])
@settings(max_examples=30)
@given(
    st.data(),
    st.sampled_from([0, 0.7, 1.5, 3]),
    st.integers(0, 10**6),
    decodings,
    st.integers(1, 6),
)
def test_blocks_give_what_the_whole_gives(
    ndim: int, data: st.DataObject, sigma: float, seed: int, decoding: Decoding, halo: int
) -> None:
    """Objects of any length, blocks down to a pixel, a halo down to a pixel."""
    shape = data.draw(st.tuples(*[SHAPES[ndim]] * ndim))
    block = data.draw(st.tuples(*[st.integers(1, 14)] * ndim))
    maps = noisy_maps(shape, sigma, seed)
    whole = decode(maps, decoding)
    labels, count = decode_blocks(maps, decoding, block, halo)
    assert count == whole.max()
    np.testing.assert_array_equal(labels, whole)


@pytest.mark.parametrize("ndim", [2, 3])
@settings(max_examples=30)
@given(st.data(), st.integers(0, 10**6), shape_decodings, st.integers(1, 4))
def test_blocks_have_the_shape_of_the_whole(
    ndim: int, data: st.DataObject, seed: int, decoding: Decoding, halo: int
) -> None:
    """What is flooded in a block, its halo included, is bit by bit that of the whole."""
    shape = data.draw(st.tuples(*[SHAPES[ndim]] * ndim))
    block = data.draw(st.tuples(*[st.integers(1, 14)] * ndim))
    maps = noisy_maps(shape, 2, seed)
    if data.draw(st.booleans()):  # no outline but that of a few holes, if any
        maps[0] = np.where(maps[0] < maps[0].min() + data.draw(st.floats(0, 0.1)), 0, 1)
    whole = prepare_maps(maps, decoding)
    for tile in TilePlan(shape, block, (halo,) * ndim, (1,) * ndim):
        wide = TilePlan(shape, block, (halo + decoding_reach(decoding),) * ndim, (1,) * ndim)
        around = wide.around(tile.write).read
        part = prepare_maps(maps[:, *around], decoding)
        crop = (
            slice(r.start - a.start, r.stop - a.start)
            for r, a in zip(tile.read, around, strict=True)
        )
        np.testing.assert_array_equal(part[:, *crop], whole[:, *tile.read])


@pytest.mark.parametrize("ndim", [2, 3])
@settings(max_examples=25)
@given(st.data(), st.integers(0, 10**6), shape_decodings)
def test_blocks_split_by_shape_as_the_whole(
    ndim: int, data: st.DataObject, seed: int, decoding: Decoding
) -> None:
    shape = data.draw(st.tuples(*[SHAPES[ndim]] * ndim))
    block = data.draw(st.tuples(*[st.integers(1, 14)] * ndim))
    maps = noisy_maps(shape, 2, seed)
    whole = decode(maps, decoding)
    labels, count = decode_blocks(maps, decoding, block, HALO)
    assert count == whole.max()
    np.testing.assert_array_equal(labels, whole)


@pytest.mark.parametrize("ndim", [2, 3])
@settings(max_examples=20)
@given(st.data(), st.integers(0, 10**6), st.integers(2, 9))
def test_plateaus_of_any_width_are_exact(
    ndim: int, data: st.DataObject, seed: int, heights: int
) -> None:
    """Maps of few heights: where a plateau rises may lie far beyond the halo."""
    shape = data.draw(st.tuples(*[{2: st.integers(1, 70), 3: st.integers(1, 24)}[ndim]] * ndim))
    block = data.draw(st.tuples(*[st.integers(3, 14)] * ndim))
    maps = noisy_maps(shape, data.draw(st.sampled_from([2, 5, 9])), seed)
    maps[1] = np.round(maps[1] * heights) / heights
    decoding = Decoding(threshold=0.3, split_depth=data.draw(st.sampled_from([0.05, 0.2, 0.5])))
    whole = decode(maps, decoding)
    labels, count = decode_blocks(maps, decoding, block, halo=data.draw(st.integers(1, 12)))
    np.testing.assert_array_equal(labels, whole)
    assert count == whole.max()


def rods(shape: tuple[int, int], count: int, seed: int) -> np.ndarray:
    """Long bent objects, some of which touch."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    for label in range(1, count + 1):
        bend = 8 * np.sin(x / rng.uniform(20, 40) + rng.uniform(0, 6))
        middle = (label - 0.5) * shape[0] / count
        start, stop = rng.uniform(0, 0.2) * shape[1], rng.uniform(0.8, 1) * shape[1]
        inside = (np.abs(y - middle - bend) < rng.uniform(4, 7)) & (x > start) & (x < stop)
        labels[inside & (labels == 0)] = label
    return labels


@pytest.mark.parametrize("block", [(32, 32), (64, 20), (7, 300)])
def test_objects_longer_than_block_and_halo_are_joined(block: tuple[int, int]) -> None:
    truth = rods((120, 300), 8, 0)
    # a truth is level along the ridge; a prediction never is
    maps = encode(truth)
    maps[1] += np.random.default_rng(1).normal(0, 0.02, truth.shape) * maps[0]
    whole = decode(maps, Decoding())
    labels, _ = decode_blocks(maps, Decoding(), block, 8)
    np.testing.assert_array_equal(labels, whole)
    exact, _ = decode_blocks(encode(truth), Decoding(), block, 8)
    np.testing.assert_array_equal(exact, decode(encode(truth), Decoding()))


def test_a_ring_around_many_blocks_is_one_object() -> None:
    y, x = np.mgrid[:90, :90]
    truth = (np.abs(np.hypot(y - 45, x - 45) - 38) < 4).astype(np.uint8)
    labels, count = decode_blocks(encode(truth), Decoding(split_depth=0.3), (16, 16), 4)
    assert count == 1
    np.testing.assert_array_equal(labels, truth)


def test_the_smallest_size_is_that_of_the_joined_object() -> None:
    truth = np.zeros((12, 40), np.uint8)
    truth[4:8, 2:34] = 1  # no block holds more than 16 pixels of it
    truth[4:6, 37:40] = 2
    for least, sizes in {128: [128], 129: [], 6: [128, 6]}.items():
        labels, count = decode_blocks(encode(truth), Decoding(min_size=least), (4, 4), 2)
        assert count == len(sizes)
        assert np.bincount(labels.ravel())[1:].tolist() == sizes


def test_numbers_start_where_they_are_told() -> None:
    truth = np.array([[1, 1, 0, 2, 2, 0, 3, 3]])
    labels, count = decode_blocks(encode(truth), Decoding(), (1, 3), 1, first=8)
    assert count == 3
    assert labels.tolist() == [[8, 8, 0, 9, 9, 0, 10, 10]]


@pytest.mark.parametrize("radius", [0.0, 2.5])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_nothing_and_everything(value: float, radius: float) -> None:
    maps = np.full((2, 9, 10, 11), value, np.float32)
    decoding = Decoding(shape_radius=radius)
    labels, count = decode_blocks(maps, decoding, (4, 5, 6), (1, 2, 3))
    assert count == value
    np.testing.assert_array_equal(labels, int(value))


def test_a_zarr_array_is_read_and_written_in_regions(tmp_path: Path) -> None:
    maps = noisy_maps((40, 50), 2, 0)
    source = zarr.create_array(tmp_path / "maps", shape=maps.shape, chunks=(2, 16, 16), dtype="f2")
    source[:] = maps.astype(np.float16)
    target = zarr.create_array(tmp_path / "labels", shape=(40, 50), chunks=(16, 16), dtype="i4")
    job = iter_decode_blocks(
        lambda region: source[:, *region],
        target.shape,
        Decoding(),
        write=target.__setitem__,
        reread=target.__getitem__,
        block=target.chunks,
    )
    steps = []
    while True:
        try:
            steps.append(next(job))
        except StopIteration as end:
            count = end.value
            break
    whole = decode(source[:], Decoding())
    assert count == whole.max() > 3
    np.testing.assert_array_equal(target[:], whole)
    assert {step.total for step in steps} == {2 * 12}
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert steps[0] == Progress(0, 24, "finding objects", "finding")
    assert steps[-1].done == 23


def test_closing_ends_between_two_blocks() -> None:
    maps = noisy_maps((40, 50), 2, 0)
    labels = np.full((40, 50), -1, np.int32)
    job = iter_decode_blocks(
        lambda region: maps[:, *region],
        labels.shape,
        Decoding(),
        write=labels.__setitem__,
        reread=labels.__getitem__,
        block=(16, 16),
    )
    for _ in range(3):
        next(job)
    job.close()
    assert (labels[:16, :32] >= 0).all()
    assert (labels[:, 32:] == -1).all()
    assert (labels[16:] == -1).all()


@pytest.mark.parametrize(("block", "halo", "named"), [((4, 4), 0, "halo"), ((4,), 1, "tile")])
def test_impossible_blocks_are_refused(block: tuple[int, ...], halo: int, named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        decode_blocks(np.zeros((2, 8, 8), np.float32), Decoding(), block, halo)


RUN = """
import resource, sys
import numpy as np, zarr
from napari_unet.instances.blockwise import iter_decode_blocks
from napari_unet.card import Decoding
from napari_unet.progress import drain
folder, planes = sys.argv[1], int(sys.argv[2])
z, y, x = np.ogrid[:16, :256, :256]
distance = np.clip(1.2 - np.sqrt(sum((g % n - n / 2) ** 2 for g, n in ((z, 16), (y, 32), (x, 32))))
                   / 12, 0, 1).astype("f2")
maps = zarr.create_array(folder + f"/maps{planes}", shape=(2, planes, 256, 256),
                         chunks=(1, 16, 128, 128), dtype="f2")
for start in range(0, planes, 16):
    maps[0, start:start + 16] = distance > 0
    maps[1, start:start + 16] = distance
labels = zarr.create_array(folder + f"/labels{planes}", shape=(planes, 256, 256),
                           chunks=(16, 128, 128), dtype="i4")
count = drain(iter_decode_blocks(
    lambda region: maps[:, *region], labels.shape, Decoding(), write=labels.__setitem__,
    reread=labels.__getitem__, block=(16, 128, 128)))
assert count == planes // 16 * 64, count
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.process
@pytest.mark.slow
def test_memory_does_not_grow_with_the_array(tmp_path: Path) -> None:
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", RUN, str(tmp_path), str(planes)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for planes in (32, 256)
    ]
    # the larger maps have 56 MB more, the larger labels as much
    assert peaks[1] < 1.05 * peaks[0], peaks
