"""Frames: planes and volumes, cached or read part by part, and the pieces to validate on."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_unet
from napari_unet.card import Normalization
from napari_unet.dataset import frames as frames_module
from napari_unet.dataset.example import Example
from napari_unet.dataset.frames import Frame, cache_frames, make_frames
from napari_unet.dataset.label_statistics import collect_statistics
from napari_unet.dataset.labelled_image import open_example
from napari_unet.dataset.targets import INSTANCE_TARGETS, TargetSpec, find_classes
from napari_unet.dataset.validation_pieces import CONTEXT_PIXELS, make_validation_pieces
from napari_unet.image.normalization import find_limits
from napari_unet.instances import maps as instances
from napari_unet.training.patch_sampling import PatchSampler

DATA = Path(napari_unet.__file__).parent / "samples" / "files"
NUCLEI = tifffile.imread(DATA / "nuclei_2d.tif")
TRUTH = tifffile.imread(DATA / "nuclei_2d_truth.tif")
STACK = tifffile.imread(DATA / "nuclei_3d.tif")
STACK_TRUTH = tifffile.imread(DATA / "nuclei_3d_truth.tif")
PLAIN = Normalization(mode="none")
INSTANCE = TargetSpec("instance")
FLOAT16 = 1e-3  # the distances are cached in float16


def lazy_frames(
    example: Example,
    target_spec: TargetSpec = INSTANCE,
    *,
    ndim: int = 2,
    normalization: Normalization = PLAIN,
) -> list[Frame]:
    labelled = open_example(example, ndim=ndim, in_channels=None, task=target_spec.task)
    found = collect_statistics(labelled, target_spec.task, ndim)
    return make_frames(labelled, found, target_spec, find_limits(labelled.source, normalization))


def frames_of(
    example: Example,
    target_spec: TargetSpec = INSTANCE,
    *,
    ndim: int = 2,
    normalization: Normalization = PLAIN,
) -> list[Frame]:
    cached = cache_frames(lazy_frames(example, target_spec, ndim=ndim, normalization=normalization))
    assert all(frame.cached is not None for frame in cached)
    return cached


def whole(frame: Frame) -> tuple[slice, ...]:
    return tuple(slice(0, n) for n in frame.shape)


# ------------------------------------------------------------------------------ whole frames


def test_a_plane_becomes_one_normalised_frame() -> None:
    (frame,) = frames_of(Example(NUCLEI, TRUTH), normalization=Normalization())
    image, target, known = frame.read(whole(frame))
    low, high = np.percentile(NUCLEI, (1.0, 99.8))
    np.testing.assert_allclose(image[0], (NUCLEI - low) / (high - low), atol=1e-5)
    np.testing.assert_allclose(target[:2], instances.encode(TRUTH), atol=FLOAT16)
    assert known.shape == (1, *TRUTH.shape)
    assert (known == 1).all()
    found = TRUTH[tuple(frame.statistics.places[1].positions.T)]
    assert sorted(found.tolist()) == list(range(1, 124))  # one pixel inside each object


def test_a_2d_network_sees_the_planes_of_a_stack_and_a_3d_network_the_stack() -> None:
    example = Example(STACK, STACK_TRUTH)
    planes = frames_of(example)
    assert [f.shape for f in planes] == [(61, 57)] * 31
    for z in (0, 15, 30):
        image, target, _ = planes[z].read(whole(planes[z]))
        np.testing.assert_array_equal(image[0], STACK[z])
        np.testing.assert_allclose(target[:2], instances.encode(STACK_TRUTH[z]), atol=FLOAT16)
    (volume,) = frames_of(example, ndim=3)
    assert volume.shape == (31, 61, 57)
    assert volume.read(whole(volume))[0].shape == (1, 31, 61, 57)
    assert len(volume.statistics.places[1].positions) == 51


@settings(max_examples=25)
@given(
    order=st.permutations("TCZYX"),
    ndim=st.sampled_from([2, 3]),
    channels=st.sampled_from([None, (1,), (1, 0)]),
    cached=st.booleans(),
)
def test_frames_do_not_depend_on_the_order_of_the_axes(
    order: list[str], ndim: int, channels: tuple[int, ...] | None, cached: bool
) -> None:
    image = np.arange(2 * 2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 2, 3, 4, 5)  # TCZYX
    labels = (image[:, 0] % 3).astype(np.int32)
    moved = image.transpose(["TCZYX".index(a) for a in order])
    moved_labels = labels.transpose(["TZYX".index(a) for a in order if a != "C"])
    target_spec = TargetSpec("semantic", find_classes({0, 1, 2}, ()))
    example = Example(moved, moved_labels, axes="".join(order), channels=channels)
    frames = (frames_of if cached else lazy_frames)(example, target_spec, ndim=ndim)
    chosen = list(channels or (0, 1))
    places = [(t, z) for t in range(2) for z in (range(3) if ndim == 2 else [slice(None)])]
    assert len(frames) == len(places)
    for frame, (t, z) in zip(frames, places, strict=True):
        pixels, target, known = frame.read(whole(frame))
        np.testing.assert_array_equal(pixels, image[t, chosen, z])
        np.testing.assert_array_equal(target[0], labels[t, z])
        assert (known == 1).all()


def test_one_array_per_channel() -> None:
    (frame,) = frames_of(Example([NUCLEI, NUCLEI + 1], TRUTH))
    np.testing.assert_array_equal(frame.read_image(whole(frame)), np.stack([NUCLEI, NUCLEI + 1]))


def test_only_planes_with_something_known_are_frames() -> None:
    labels = np.zeros((2, 4, 9, 9), int)
    labels[0, 2, 3:6, 3:6] = 1
    labels[1, 3, 3:6, 3:6] = 1
    image = np.arange(labels.size, dtype=np.float32).reshape(labels.shape)
    first, second = frames_of(Example(image, labels, axes="TZYX", region="planes"))
    np.testing.assert_array_equal(first.read_image(whole(first))[0], image[0, 2])
    np.testing.assert_array_equal(second.read_image(whole(second))[0], image[1, 3])
    assert len(frames_of(Example(image, labels, axes="TZYX", region="planes"), ndim=3)) == 2
    assert frames_of(Example(image, labels * 0, axes="TZYX", region="planes")) == []


@pytest.mark.parametrize("scope", ["image", "time", "plane"])
def test_a_piece_has_the_limits_of_the_place_it_was_cut_from(scope: Any) -> None:
    image = np.random.default_rng(0).random((2, 6, 10, 12)) + np.arange(12).reshape(2, 6, 1, 1)
    example = Example(image, np.ones(image.shape, int), axes="TZYX")
    how = Normalization(scope=scope)
    for ndim in (2, 3):
        labelled = open_example(example, ndim=ndim, in_channels=1, task="instance")
        limits = find_limits(labelled.source, how)
        piece = labelled.within(range(1, 2), (slice(3, 6), slice(2, 9), slice(0, 12)))
        cut = make_frames(piece, collect_statistics(piece, "instance", ndim), INSTANCE, limits)
        uncut = lazy_frames(example, ndim=ndim, normalization=how)
        for frame in cut:
            match = next(
                f for f in uncut if f.statistics.time == 1
                and (ndim == 3 or f.statistics.plane == (frame.statistics.plane or 0) + 3)
            )  # fmt: skip
            there = match.read_image(whole(match))
            there = there[:, 3:6, 2:9] if ndim == 3 else there[:, 2:9]
            np.testing.assert_array_equal(frame.read_image(whole(frame)), there)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_missing_pixels_of_an_image_are_dark(bad: float) -> None:
    image = np.arange(35.0).reshape(5, 7)
    image[2, 3] = bad
    (frame,) = frames_of(Example(image, np.ones((5, 7), int)))
    pixels = frame.read_image(whole(frame))
    assert pixels[0, 2, 3] == 0
    assert np.isfinite(pixels).all()


def test_memory_for_frames_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.ones((6, 20, 20), np.uint8)
    frames = lazy_frames(Example(labels, labels, axes="ZYX"))
    one = 400 * (4 + 4 + 2 * len(INSTANCE_TARGETS))
    monkeypatch.setattr(frames_module, "MAX_CACHED_BYTES", 3 * one)
    cached = cache_frames(frames)
    assert [frame.cached is not None for frame in cached] == [True] * 3 + [False] * 3
    held = sum(a.nbytes for frame in cached if frame.cached is not None for a in frame.cached)
    assert held <= 3 * one
    monkeypatch.setattr(frames_module, "MAX_FRAME_BYTES", one - 1)
    assert all(frame.cached is None for frame in cache_frames(frames))


# ---------------------------------------------------------------- windows, read as needed


def test_objects_that_fit_the_context_are_exact_in_a_window() -> None:
    (frame,) = lazy_frames(Example(NUCLEI, TRUTH))
    part = (slice(100, 200), slice(150, 250))
    _, target, _ = frame.read(part)
    np.testing.assert_allclose(target[:2], instances.encode(TRUTH)[:, *part], atol=FLOAT16)
    assert (target[2] == 1).all()


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), ndim=st.sampled_from([2, 3]), cached=st.booleans())
def test_a_window_past_the_frame_repeats_its_edge_and_is_unknown_there(
    seed: int, ndim: int, cached: bool
) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 9, ndim).tolist())
    image = rng.random(shape).astype(np.float32)
    mask = rng.random(shape) < 0.7
    mask.flat[0] = True
    labels = rng.integers(0, 3, shape)
    target_spec = TargetSpec("semantic", find_classes({0, 1, 2}, ()))
    example = Example(image, labels, region=mask, axes="ZYX"[-ndim:])
    (frame,) = (frames_of if cached else lazy_frames)(example, target_spec, ndim=ndim)
    window = tuple(rng.integers(1, 14, ndim).tolist())
    start = np.array([rng.integers(1 - w, n) for w, n in zip(window, shape, strict=True)])
    pixels, target, known = frame.crop_window(start, window)
    index = [s + np.arange(w) for s, w in zip(start, window, strict=True)]
    inside = [(i >= 0) & (i < n) for i, n in zip(index, shape, strict=True)]
    nearest = np.ix_(*(np.clip(i, 0, n - 1) for i, n in zip(index, shape, strict=True)))
    there = functools.reduce(np.multiply.outer, inside)
    np.testing.assert_array_equal(pixels[0], image[nearest])
    np.testing.assert_array_equal(known[0], mask[nearest] & there)
    np.testing.assert_array_equal(target[0], np.where(mask, labels, 0)[nearest])


# -------------------------------------------------------------------------------- laziness


class Counting:
    """An array that notes how many of its pixels were read."""

    def __init__(self, array: Any) -> None:
        self.array, self.shape, self.dtype, self.chunks = (
            array, array.shape, array.dtype, array.chunks,
        )  # fmt: skip
        self.pixels = self.largest = 0

    def __getitem__(self, index: Any) -> Any:
        found = self.array[index]
        self.pixels += found.size
        self.largest = max(self.largest, found.size)
        return found


@pytest.mark.parametrize("ndim", [2, 3])
def test_of_a_stack_only_the_patches_and_the_sample_are_read(
    ndim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = 1 << 18
    monkeypatch.setattr("napari_unet.image.normalization.SAMPLE_PIXELS", sample)
    shape, chunks = (200, 200, 200), (4, 64, 64)
    image = Counting(zarr.create_array({}, shape=shape, chunks=chunks, dtype="u1", fill_value=9))
    labels = zarr.create_array({}, shape=shape, chunks=chunks, dtype="u1")
    for plane in range(7, 200, 20):
        labels[plane, 40:90, 40:140] = 1
    frames = lazy_frames(
        Example(image, labels, region="planes", axes="ZYX"),
        ndim=ndim,
        normalization=Normalization(),
    )
    assert sum(frame.statistics.known for frame in frames) == 10 * 200 * 200
    assert 0 < image.pixels <= sample
    image.pixels = 0
    if ndim == 2:  # ten planes, and no others, are cached
        assert len(cache_frames(frames)) == 10
        assert image.pixels == 10 * 200 * 200
    monkeypatch.setattr(frames_module, "MAX_FRAME_BYTES", 1000)
    frames = cache_frames(frames)
    image.pixels = image.largest = 0
    patch = (32, 32) if ndim == 2 else (8, 32, 32)
    _, _, known = PatchSampler(frames).draw(patch, patch, 8, np.random.default_rng(0))
    assert known.any(axis=tuple(range(1, known.ndim))).all()
    assert 0 < image.pixels <= known.size
    assert image.largest <= np.prod(patch)


# ------------------------------------------------------------------- pieces to validate on


def test_pieces_are_what_is_known_with_context() -> None:
    labels = np.zeros((400, 500), int)
    labels[200:210, 300:320] = 3
    image = np.arange(labels.size, dtype=np.float64).reshape(labels.shape)
    (piece,) = make_validation_pieces(lazy_frames(Example(image, labels, region="painted")))
    box = (
        slice(200 - CONTEXT_PIXELS, 210 + CONTEXT_PIXELS),
        slice(300 - CONTEXT_PIXELS, 320 + CONTEXT_PIXELS),
    )
    np.testing.assert_array_equal(piece.image[0], image[box].astype(np.float32))
    np.testing.assert_array_equal(piece.labels[0], labels[box])
    np.testing.assert_array_equal(piece.known, labels[box] > 0)
    assert piece.axes == "CYX"
    (piece,) = make_validation_pieces(lazy_frames(Example(image, labels)))
    assert piece.image.shape == (1, 400, 500)
    (piece,) = make_validation_pieces(lazy_frames(Example(STACK, STACK_TRUTH), ndim=3))
    assert piece.axes == "CZYX"
    np.testing.assert_array_equal(piece.labels[0], STACK_TRUTH)


@settings(max_examples=25)
@given(
    shape=st.lists(st.integers(4, 60), min_size=2, max_size=3),
    limit=st.integers(200, 4000),
    seed=st.integers(0, 10_000),
    everywhere=st.booleans(),
)
def test_of_large_frames_a_block_with_labels_is_taken(
    shape: list[int], limit: int, seed: int, everywhere: bool
) -> None:
    """Objects in corners, and nothing in the middle: a block with none could tell nothing."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    for value in range(1, int(rng.integers(2, 5))):
        labels[tuple(int(rng.integers(2)) * (n - 1) for n in shape)] = value
    region = "all" if everywhere else "painted"
    axes = "ZYX"[-len(shape) :]
    frames = lazy_frames(Example(labels, labels, region=region, axes=axes), ndim=len(shape))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_unet.dataset.validation_pieces.MAX_FRAME_BYTES", limit)
        (piece,) = make_validation_pieces(frames)
    assert piece.image.nbytes + piece.labels.nbytes + piece.known.nbytes <= limit
    assert piece.known.any()
    assert piece.labels[0][piece.known].any()


def test_pieces_of_many_frames_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.ones((9, 20, 20), np.uint8)
    frames = lazy_frames(Example(np.stack([labels] * 3, -1), labels, axes="ZYXC"))
    one = 400 * (3 * 4 + 1 + 1)
    monkeypatch.setattr("napari_unet.dataset.validation_pieces.MAX_CACHED_BYTES", 4 * one)
    pieces = make_validation_pieces(frames)
    assert len(pieces) == 4
    assert sum(p.image.nbytes + p.labels.nbytes + p.known.nbytes for p in pieces) == 4 * one


def test_a_kept_frame_gives_what_it_gave_before() -> None:
    (frame,) = lazy_frames(Example(NUCLEI[:90, :80], TRUTH[:90, :80]))
    (cached,) = cache_frames([frame])
    part = (slice(3, 70), slice(20, 21))
    for mine, other in zip(cached.read(part), frame.read(part), strict=True):
        np.testing.assert_array_equal(mine[..., 0], other[..., 0])
    assert (
        replace(cached, cached=None).read_image(part).tobytes() == cached.read_image(part).tobytes()
    )
    assert cache_frames([cached])[0] is cached
