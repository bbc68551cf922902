"""Dense tissue as foreground and inner boundary: every pixel is an object's, all of them touch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_unet.card import Decoding
from napari_unet.instances.blockwise import iter_decode_blocks
from napari_unet.instances.boundary import BOUNDARY_WIDTH_PIXELS, find_boundary, widen
from napari_unet.instances.maps import BOUNDARY, decode, encode
from napari_unet.progress import drain

SHAPES = st.one_of(st.tuples(*[st.integers(1, 40)] * 2), st.tuples(*[st.integers(1, 16)] * 3))


def tissue(shape: tuple[int, ...], count: int, seed: int) -> np.ndarray:
    """Cells around random places, without any gap."""
    places = np.random.default_rng(seed).random((count, len(shape))) * shape
    grid = np.moveaxis(np.indices(shape), 0, -1)[..., None, :]
    labels: np.ndarray = ((grid - places) ** 2).sum(-1).argmin(-1).astype(np.int32) + 1
    return labels


@settings(max_examples=25)
@given(
    shape=st.one_of(st.tuples(*[st.integers(1, 9)] * 2), st.tuples(*[st.integers(1, 5)] * 3)),
    values=st.integers(1, 4),
    seed=st.integers(0, 10**6),
)
def test_the_boundary_is_what_lies_nearer_to_another_label(
    shape: tuple[int, ...], values: int, seed: int
) -> None:
    """Pixel by pixel, from the definition."""
    labels = np.random.default_rng(seed).integers(0, values, shape)
    known = np.random.default_rng(seed + 1).random(shape) < 0.8
    whole, partly, wide = find_boundary(labels), find_boundary(labels, known), widen(~known)
    places = list(np.ndindex(shape))
    for place in places:
        near = [p for p in places if np.hypot.reduce(np.subtract(p, place)) < BOUNDARY_WIDTH_PIXELS]
        other = [p for p in near if labels[p] != labels[place]]
        assert whole[place] == (labels[place] > 0 and bool(other))
        assert partly[place] == (
            labels[place] > 0 and known[place] and any(known[p] for p in other)
        )
        assert wide[place] == any(not known[p] for p in near)


@settings(max_examples=40)
@given(shape=SHAPES, count=st.integers(1, 12), seed=st.integers(0, 10**6))
def test_dense_labels_come_back(shape: tuple[int, ...], count: int, seed: int) -> None:
    """Each interior is one object of its own, with the boundary beside it; no pixel is lost."""
    labels = tissue(shape, count, seed)
    maps = encode(labels, BOUNDARY)
    assert (maps[0] == 1).all()
    assert set(np.unique(maps[1])) <= {0, 1}
    found = decode(maps, Decoding(split_depth=0.5))
    assert (found > 0).all()
    given_to: dict[int, int] = {}
    for value in np.unique(labels):
        interior = (labels == value) & (maps[1] == 1)
        pieces, number = ndimage.label(interior)
        for piece in range(1, number + 1):  # a waist thinner than two boundaries parts an object
            (name,) = np.unique(found[pieces == piece])
            assert name not in given_to
            given_to[int(name)] = int(value)
            beside = ndimage.binary_dilation(pieces == piece) & (labels == value)
            if number == 1:
                assert (found[beside] == name).all()
    if len(given_to) > 0:
        assert found.max() <= len(given_to)


@pytest.mark.parametrize("ndim", [2, 3])
@settings(max_examples=20)
@given(data=st.data(), count=st.integers(1, 12), seed=st.integers(0, 10**6))
def test_blocks_give_what_the_whole_gives(
    ndim: int, data: st.DataObject, count: int, seed: int
) -> None:
    """On maps as they are, whose plateaus go through all blocks, and on noisy ones."""
    shape = data.draw(st.tuples(*[st.integers(1, 40 if ndim == 2 else 15)] * ndim))
    block = data.draw(st.tuples(*[st.integers(1, 14)] * ndim))
    maps = encode(tissue(shape, count, seed), BOUNDARY)
    if data.draw(st.booleans()):
        noise = np.random.default_rng(seed).normal(0, 0.3, shape)
        maps[1] = np.clip(maps[1] + noise, 0, 1)
    decoding = Decoding(
        split_depth=data.draw(st.sampled_from([0.1, 0.3, 0.6])),
        smoothing=data.draw(st.sampled_from([0.0, 0.5])),
    )
    labels = np.full(shape, -1, np.int32)
    count = drain(
        iter_decode_blocks(
            lambda region: maps[:, *region],
            shape,
            decoding,
            write=labels.__setitem__,
            reread=labels.__getitem__,
            block=block,
            halo=data.draw(st.integers(1, 8)),
        )
    )
    np.testing.assert_array_equal(labels, decode(maps, decoding))
    assert count == labels.max()


def test_background_has_no_interior_and_objects_of_any_shape_come_back() -> None:
    """Long, thick and bent ones that touch, whose distances differ tenfold."""
    labels = np.zeros((60, 80), np.int32)
    labels[4:56, 4:40] = 1
    labels[4:9, 40:76] = 2
    labels[9:56, 40:45] = 3
    labels[51:56, 45:76] = 3
    maps = encode(labels, BOUNDARY)
    assert (maps[1][labels == 0] == 0).all()
    found = decode(maps, Decoding())
    pairs = {(int(a), int(b)) for a, b in zip(labels.ravel(), found.ravel(), strict=True)}
    assert found.max() == 3
    wrong = [
        np.count_nonzero((labels == a) & (found == b))
        for a, b in itertools.product(range(4), range(4))
        if (a, b) in pairs and a != b
    ]
    assert sum(wrong) <= 2  # pixels at the corners where three objects meet
