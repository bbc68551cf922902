"""Patches that are drawn: always with something known, classes and objects in balance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_unet.card import Normalization
from napari_unet.dataset.example import Example
from napari_unet.dataset.frames import Frame, cache_frames, make_frames
from napari_unet.dataset.label_statistics import collect_statistics
from napari_unet.dataset.labelled_image import open_example
from napari_unet.dataset.targets import INSTANCE_TARGETS, TargetSpec, find_classes
from napari_unet.image.normalization import find_limits
from napari_unet.training.patch_sampling import PatchSampler

INSTANCE = TargetSpec("instance")
SEMANTIC = TargetSpec("semantic", find_classes(range(5), ()))


def frames_of(
    image: NDArray[Any], labels: NDArray[Any], target_spec: TargetSpec = INSTANCE, **kwargs: Any
) -> list[Frame]:
    ndim = labels.ndim
    example = Example(image, labels, axes="ZYX"[-ndim:], **kwargs)
    labelled = open_example(example, ndim=ndim, in_channels=1, task=target_spec.task)
    limits = find_limits(labelled.source, Normalization(mode="none"))
    found = collect_statistics(labelled, target_spec.task, ndim)
    return cache_frames(make_frames(labelled, found, target_spec, limits))


def coded(shape: tuple[int, ...], first: int = 1) -> NDArray[np.float32]:
    """Every pixel has a value of its own."""
    return np.arange(first, first + np.prod(shape), dtype=np.float32).reshape(shape)


def central(windows: NDArray[Any], patch: tuple[int, ...]) -> NDArray[Any]:
    """The middle of the windows, as the augmentation cuts it."""
    starts = [(n - p) // 2 for n, p in zip(windows.shape[2:], patch, strict=True)]
    return windows[:, :, *(slice(s, s + p) for s, p in zip(starts, patch, strict=True))]


@settings(max_examples=50)
@given(
    shape=st.one_of(st.tuples(*[st.integers(1, 30)] * 2), st.tuples(*[st.integers(1, 12)] * 3)),
    region=st.sampled_from(["all", "painted", "dust"]),
    semantic=st.booleans(),
    seed=st.integers(0, 10_000),
    data=st.data(),
)
def test_each_central_patch_is_a_piece_of_the_frame_with_something_known(
    shape: tuple[int, ...], region: str, semantic: bool, seed: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(1, 5, shape) * (rng.random(shape) < rng.random())
    labels.flat[int(rng.integers(labels.size))] = 1
    known = {
        "all": np.ones(shape, bool),
        "painted": labels != 0,
        "dust": (rng.random(shape) < 0.02) | (labels == 1),
    }[region]
    image = coded(shape)
    target_spec = SEMANTIC if semantic else INSTANCE
    frames = frames_of(image, labels, target_spec, region=known if region == "dust" else region)
    patch = tuple(data.draw(st.integers(1, 14)) for _ in shape)
    window = tuple(p + data.draw(st.integers(0, 7)) for p in patch)
    images, targets, trusted = PatchSampler(frames).draw(patch, window, 5, rng)
    assert images.shape == (5, 1, *window)
    assert targets.shape == (5, 1 if semantic else len(INSTANCE_TARGETS), *window)
    assert trusted.shape == (5, 1, *window)
    assert images.dtype == targets.dtype == trusted.dtype == np.float32
    assert set(np.unique(trusted)) <= {0, 1}
    middle, inner = central(images, patch), central(trusted, patch)
    for pixels, certain, part, all_pixels in zip(
        middle[:, 0], inner[:, 0], targets, images[:, 0], strict=True
    ):
        assert certain.any()
        # the part of the patch inside the frame is as large as can be
        size = [
            len(set(np.unravel_index(pixels.astype(int) - 1, shape)[a].ravel().tolist()))
            for a in range(len(shape))
        ]
        assert size == [min(n, p) for n, p in zip(shape, patch, strict=True)]
        places = np.unravel_index(all_pixels.astype(int) - 1, shape)
        if semantic:
            np.testing.assert_array_equal(part[0], np.where(known, labels, 0)[places])
        else:
            np.testing.assert_array_equal(part[0], (np.where(known, labels, 0) > 0)[places])
    for pixels, certain in zip(images[:, 0], trusted[:, 0], strict=True):
        # each known pixel is another one of the frame, and known there
        values = pixels[certain > 0].astype(int) - 1
        assert len(set(values.tolist())) == len(values)
        assert known.ravel()[values].all()


def test_rare_classes_are_drawn_as_often_as_others() -> None:
    labels = np.zeros((400, 400), np.uint8)
    labels[:, 200:] = 1
    labels[90, 380] = 2  # one pixel
    labels[300:310, 20:30] = 3
    target_spec = TargetSpec("semantic", find_classes(range(4), ()))
    sampler = PatchSampler(frames_of(coded(labels.shape), labels, target_spec))
    _, targets, _ = sampler.draw((32, 32), (32, 32), 800, np.random.default_rng(0))
    seen = [(targets == value).any((1, 2, 3)).mean() for value in range(4)]
    assert seen[2] > 0.1  # an eighth; by chance it would be 0.6 %
    assert seen[3] > 0.1
    assert min(seen[:2]) > 0.4


def test_objects_are_drawn_alike_however_large() -> None:
    labels = np.zeros((300, 300), int)
    labels[10:140, 10:290] = 1
    labels[200, 50] = 2
    labels[250:254, 200:204] = 3
    image = coded(labels.shape)
    sampler = PatchSampler(frames_of(image, labels, region="painted"))
    images, _, _ = sampler.draw((16, 16), (16, 16), 600, np.random.default_rng(0))
    for place in ((200, 50), (250, 200)):
        share = (images == image[place]).any((1, 2, 3)).mean()
        assert 0.1 < share < 0.25  # half of all patches, in three equal parts


def test_half_of_the_patches_lie_anywhere_in_a_frame_that_is_known_everywhere() -> None:
    labels = np.zeros((400, 400), int)
    labels[380, 30] = 1
    image = coded(labels.shape)
    images, _, _ = PatchSampler(frames_of(image, labels)).draw(
        (32, 32), (32, 32), 300, np.random.default_rng(0)
    )
    share = (images == image[380, 30]).any((1, 2, 3)).mean()
    assert 0.4 < share < 0.65
    corners = np.stack(np.unravel_index(images[:, 0, 0, 0].astype(int) - 1, labels.shape))
    assert (np.ptp(corners, axis=1) > 250).all()
    assert (corners.min(1) == 0).all()  # its borders are seen too
    assert corners[0].max() == 400 - 32


def test_larger_frames_are_drawn_more_often_and_small_ones_not_forgotten() -> None:
    frames = [
        *frames_of(coded((10, 10)), np.ones((10, 10), int), SEMANTIC),
        *frames_of(-coded((40, 40)), np.ones((40, 40), int), SEMANTIC),
    ]
    images, _, _ = PatchSampler(frames).draw((10, 10), (10, 10), 500, np.random.default_rng(0))
    assert 0.7 < (images[:, 0, 0, 0] < 0).mean() < 0.9  # 4 times as wide: 4 in 5


def test_a_frame_without_the_class_is_not_drawn_for_it() -> None:
    plain, rare = np.ones((30, 30), int), np.ones((30, 30), int)
    rare[4, 4] = 2
    frames = [*frames_of(coded((30, 30)), plain, SEMANTIC), *frames_of(plain, rare, SEMANTIC)]
    sampler = PatchSampler(frames)
    _, targets, _ = sampler.draw((8, 8), (8, 8), 400, np.random.default_rng(0))
    assert (targets == 2).any((1, 2, 3)).mean() > 0.2  # a quarter


def test_a_frame_of_background_is_seen_too() -> None:
    """Where nothing is, nothing must be found."""
    objects = np.zeros((30, 30), int)
    objects[4:9, 4:9] = 1
    frames = [
        *frames_of(coded((30, 30)), objects),
        *frames_of(-coded((30, 30)), np.zeros((30, 30), int)),
    ]
    images, _, _ = PatchSampler(frames).draw((8, 8), (8, 8), 300, np.random.default_rng(0))
    assert 0.15 < (images[:, 0, 0, 0] < 0).mean() < 0.35


def test_known_pixels_are_not_always_at_the_same_place_of_the_patch() -> None:
    labels = np.zeros((200, 200), int)
    labels[100, 90] = 1
    sampler = PatchSampler(frames_of(coded(labels.shape), labels, region="painted"))
    _, _, known = sampler.draw((24, 24), (24, 24), 100, np.random.default_rng(0))
    places = np.argwhere(known[:, 0])[:, 1:]
    assert len(places) == 100
    assert (np.ptp(places, axis=0) >= 6).all()
    assert (np.abs(places - 12) <= 4).all()  # but with context on all sides


@pytest.mark.parametrize("lazy", [False, True])
def test_the_same_generator_draws_the_same_patches(lazy: bool) -> None:
    labels = np.zeros((30, 50), int)
    labels[3:5, 3:9] = 1
    labels[20:25, 30:39] = 2

    def draw(seed: int) -> tuple[NDArray[np.float32], ...]:
        frames = frames_of(coded((30, 50)), labels) + frames_of(coded((9, 9)), labels[:9, :9])
        if lazy:
            frames = [Frame(f.labelled, f.statistics, f.limits, f.target_spec) for f in frames]
        return PatchSampler(frames).draw((8, 8), (12, 12), 6, np.random.default_rng(seed))

    for mine, same in zip(draw(1), draw(1), strict=True):
        np.testing.assert_array_equal(mine, same)
    assert not np.array_equal(draw(1)[0], draw(2)[0])
