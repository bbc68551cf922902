"""Augmentation: what is moved together, what is known, and what is exact."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from napari_unet.training.augmentation import PRESETS, Augmentation, augment

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
WINDOWS = {2: (44, 40), 3: (5, 44, 40)}
PATCHES = {2: (32, 32), 3: (4, 32, 32)}
MOVES = Augmentation(rotate=True, scale=0.3, elastic=3.0)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int, channels: int, size: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.rand((count, channels, *size), generator=seeded(seed))


def ramps(size: tuple[int, ...], count: int = 8) -> Tensor:
    """The coordinates of every pixel, one channel per axis."""
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in size), indexing="ij")
    return torch.stack(axes).repeat(count, *(1,) * (len(size) + 1))


def all_known(windows: Tensor) -> Tensor:
    return torch.ones(windows.shape[0], 1, *windows.shape[2:])


def turns(image: Tensor) -> list[Tensor]:
    """Every flip and quarter turn in the plane of (C, *spatial), and every flip in depth."""
    flat = [
        torch.rot90(flipped, k, (-2, -1)) for k in range(4) for flipped in (image, image.flip(-1))
    ]
    return flat + [part.flip(1) for part in flat] if image.ndim == 4 else flat


# ------------------------------------------------------------------------------ alignment


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("ndim", [2, 3])
@given(seed=st.integers(0, 10_000))
def test_image_and_target_move_together(ndim: int, preset: str, seed: int) -> None:
    images = noise(3, 2, WINDOWS[ndim], seed)
    moved, targets, known = augment(
        images, images.clone(), all_known(images), PATCHES[ndim], PRESETS[preset], seeded(seed),
        change_intensity=False,
    )  # fmt: skip
    assert moved.shape == targets.shape == (3, 2, *PATCHES[ndim])
    assert known.shape == (3, 1, *PATCHES[ndim])
    assert torch.equal(moved, targets)


@pytest.mark.parametrize("preset", ["light", "standard", "strong"])
def test_intensities_vary_and_the_target_does_not(preset: str) -> None:
    images, targets = noise(4, 2, WINDOWS[2], 1), noise(4, 1, WINDOWS[2], 2)
    results = [
        augment(
            images, targets, all_known(images), PATCHES[2], PRESETS[preset], seeded(5),
            change_intensity=change,
        )
        for change in (False, True)
    ]  # fmt: skip
    assert not torch.allclose(results[0][0], results[1][0], atol=0.01)
    assert torch.equal(results[0][1], results[1][1])
    assert torch.equal(results[0][2], results[1][2])


@pytest.mark.parametrize("preset", ["light", "standard", "strong"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_class_indices_are_not_mixed(ndim: int, preset: str) -> None:
    classes = torch.randint(0, 3, (6, 1, *WINDOWS[ndim]), generator=seeded(3)) * 4.0
    arguments = (classes.clone(), classes, all_known(classes), PATCHES[ndim], PRESETS[preset])
    _, targets, _ = augment(*arguments, seeded(4), nearest_targets=0)
    assert set(targets.unique().tolist()) == {0.0, 4.0, 8.0}


@pytest.mark.parametrize("everywhere", [True, False])
def test_maps_are_interpolated_and_weights_are_not(everywhere: bool) -> None:
    targets = torch.randint(0, 2, (6, 3, *WINDOWS[2]), generator=seeded(3)).float()
    known = all_known(targets)
    if not everywhere:
        known[:, :, :15] = 0
    arguments = (targets.clone(), targets, known, PATCHES[2], MOVES)
    _, moved, inside = augment(*arguments, seeded(4), nearest_targets=2)
    assert moved.shape[1] == 3
    seen = inside[:, 0] > 0
    assert set(moved[:, 2][seen].unique().tolist()) == {0.0, 1.0}
    for mixed in (moved[:, 0][seen], moved[:, 1][seen]):
        assert ((mixed > 0.01) & (mixed < 0.99)).float().mean() > 0.3


def test_class_indices_stay_where_the_image_shows_them() -> None:
    side = torch.zeros(16, 1, 64, 64)
    side[..., 20:] = 1
    images, targets, known = augment(
        side, side * 7, all_known(side), (40, 40), MOVES, seeded(0),
        nearest_targets=0, change_intensity=False,
    )  # fmt: skip
    clear = ((images < 0.4) | (images > 0.6)) & (known > 0)
    assert clear.float().mean() > 0.8
    assert torch.equal(targets[clear], (images[clear] > 0.5) * 7.0)


# -------------------------------------------------------------------------------- geometry


@given(seed=st.integers(0, 10_000))
def test_rotation_and_zoom_keep_angles_and_bounds(seed: int) -> None:
    how = Augmentation(rotate=True, scale=0.5)
    coordinates, _, known = augment(
        ramps((80, 80)), ramps((80, 80)), torch.ones(8, 1, 80, 80), (16, 16), how, seeded(seed),
        change_intensity=False,
    )  # fmt: skip
    assert (known == 1).all()
    down = (coordinates[:, :, -1, 0] - coordinates[:, :, 0, 0]) / 15  # per pixel, (Y, X)
    right = (coordinates[:, :, 0, -1] - coordinates[:, :, 0, 0]) / 15
    length = down.norm(dim=1)
    assert torch.allclose(length, right.norm(dim=1), atol=1e-3)
    assert torch.allclose((down * right).sum(1), torch.zeros(8), atol=1e-3)
    assert length.min() > 1 / 1.501
    assert length.max() < 1.501
    centre = coordinates.mean((2, 3))
    assert torch.allclose(centre, torch.full((8, 2), 39.5), atol=1e-2)


def test_every_angle_and_zoom_occurs() -> None:
    how = Augmentation(rotate=True, scale=0.5)
    coordinates, _, _ = augment(
        ramps((80, 80), 200), ramps((80, 80), 200), torch.ones(200, 1, 80, 80), (8, 8), how,
        seeded(0), change_intensity=False,
    )  # fmt: skip
    right = coordinates[:, :, 0, -1] - coordinates[:, :, 0, 0]
    angles = torch.atan2(right[:, 0], right[:, 1]).sort().values
    assert angles.diff().max() < 0.3
    lengths = right.norm(dim=1) / 7
    assert lengths.min() < 0.75
    assert lengths.max() > 1.35


def test_elastic_displacements_are_bounded() -> None:
    how = Augmentation(flip=False, scale=1e-9, elastic=3.0)  # no turn but quarters
    coordinates, _, _ = augment(
        ramps((64, 64)), ramps((64, 64)), torch.ones(8, 1, 64, 64), (48, 48), how, seeded(1),
        change_intensity=False,
    )  # fmt: skip
    straight = ramps((48, 48))[0] + 8
    nearest = torch.stack(
        [
            torch.stack([(turn - straight_turn).abs().amax() for straight_turn in turns(straight)])
            for turn in coordinates
        ]
    ).amin(1)
    assert nearest.max() < 3.0 * 1.3  # a cubic overshoots a little
    assert nearest.min() > 0.3


def test_a_volume_is_rotated_in_the_plane_only() -> None:
    how = Augmentation(flip=False, rotate=True, scale=0.4)
    depth = ramps((7, 40, 40))[:, :1]
    moved, _, _ = augment(
        depth, depth, all_known(depth), (5, 24, 24), how, seeded(2), change_intensity=False
    )
    expected = torch.arange(1.0, 6.0).reshape(1, 1, 5, 1, 1).expand_as(moved)
    assert torch.allclose(moved, expected, atol=1e-4)


def test_a_volume_is_flipped_in_depth_too() -> None:
    depth = ramps((4, 24, 24), 40)[:, :1]
    moved, _, _ = augment(
        depth, depth, all_known(depth), (4, 24, 24), PRESETS["light"], seeded(2),
        change_intensity=False,
    )  # fmt: skip
    assert set(moved[:, 0, 0, 0, 0].tolist()) == {0.0, 3.0}


# ------------------------------------------------------------------------------------ known


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("preset", ["standard", "strong"])
def test_pixels_outside_the_window_are_not_known(ndim: int, preset: str) -> None:
    size = PATCHES[ndim]
    coordinates = ramps(size, 24)
    moved, _, known = augment(
        coordinates, coordinates, all_known(coordinates), size, PRESETS[preset], seeded(3),
        change_intensity=False,
    )  # fmt: skip
    last = torch.tensor([n - 1.0 for n in size]).reshape(1, -1, *(1,) * ndim)
    inside = ((moved > 1e-3) & (moved < last - 1e-3)).all(1, keepdim=True)
    assert set(known.unique().tolist()) == {0.0, 1.0}
    assert (known[inside] == 1).all()
    # outside, the border is repeated: some coordinate is the first or the last
    outside = known == 0
    assert outside.any()
    assert not inside[outside].any()


def test_an_unknown_part_moves_with_the_image() -> None:
    known = torch.ones(12, 1, 64, 64)
    known[..., 24:34, 30:50] = 0
    images, _, moved = augment(
        known.clone(), known.clone(), known, (44, 44), MOVES, seeded(6), change_intensity=False
    )
    inner = (..., slice(10, 34), slice(10, 34))  # what was turned in from outside is unknown
    assert (moved[images < 0.24] == 0).all()  # a corner's nearest pixel has a quarter at least
    assert (moved[inner][images[inner] > 0.76] == 1).all()
    assert (moved[inner] == 0).any()


# ------------------------------------------------------------------------------------ exact


@pytest.mark.parametrize("window", [(32, 32), (35, 40), (33, 32)])
def test_none_is_an_exact_centre_crop(window: tuple[int, int]) -> None:
    images, targets = noise(3, 2, window, 1), noise(3, 1, window, 2)
    known = (noise(3, 1, window, 3) > 0.2).float()
    results = augment(images, targets, known, (32, 32), PRESETS["none"], seeded(0))
    y, x = (window[0] - 32) // 2, (window[1] - 32) // 2
    for before, after in zip((images, targets, known), results, strict=True):
        assert torch.equal(after, before[..., y : y + 32, x : x + 32])


@pytest.mark.parametrize("size", [(12, 12), (3, 12, 12), (1, 9, 9)])
@given(seed=st.integers(0, 10_000))
def test_light_only_permutes_pixels(size: tuple[int, ...], seed: int) -> None:
    images = noise(4, 2, size, seed)
    known = (noise(4, 1, size, seed + 1) > 0.3).float()
    moved, targets, kept = augment(
        images, images.clone(), known, size, PRESETS["light"], seeded(seed), change_intensity=False
    )
    assert torch.equal(moved, targets)
    for before, after, mask, mask_after in zip(images, moved, known, kept, strict=True):
        candidates = zip(turns(before), turns(mask), strict=True)
        assert any(torch.equal(after, a) and torch.equal(mask_after, b) for a, b in candidates)


def test_light_takes_every_turn() -> None:
    image = noise(1, 1, (9, 9))
    images = image.repeat(100, 1, 1, 1)
    moved, _, _ = augment(
        images, images, all_known(images), (9, 9), PRESETS["light"], seeded(0),
        change_intensity=False,
    )  # fmt: skip
    seen = {next(i for i, t in enumerate(turns(image[0])) if torch.equal(t, m)) for m in moved}
    assert seen == set(range(8))


def test_light_keeps_all_of_a_patch_that_is_not_square() -> None:
    images = noise(30, 1, (8, 20))
    moved, _, known = augment(
        images, images, all_known(images), (8, 20), PRESETS["light"], seeded(0),
        change_intensity=False,
    )  # fmt: skip
    assert (known == 1).all()
    flat = moved.flatten(1).sort(1).values
    assert torch.equal(flat, images.flatten(1).sort(1).values)
    assert not torch.equal(moved, images)


# -------------------------------------------------------------------------------- intensity


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_constant_stays_constant_under_blur_and_gain(ndim: int) -> None:
    how = Augmentation(flip=False, gain=0.3, offset=0.1, gamma=0.4, blur=1.5)
    images = torch.full((12, 2, *PATCHES[ndim]), 0.5)
    moved, _, _ = augment(images, images, all_known(images), PATCHES[ndim], how, seeded(0))
    flat = moved.flatten(2)
    assert torch.allclose(flat, flat[..., :1].expand_as(flat), atol=1e-5)
    values = flat[..., 0]
    low, high = 0.5 ** (1.5) / 1.3 - 0.11, 0.5 ** (1 / 1.5) * 1.3 + 0.11
    assert low < values.min() < values.max() < high
    assert values.std() > 0.03  # each patch and channel has its own
    assert not torch.allclose(values[:, 0], values[:, 1], atol=1e-3)


def test_blur_reaches_a_third_of_the_patches_and_only_the_plane() -> None:
    how = Augmentation(flip=False, blur=1.5)
    images = torch.zeros(60, 1, 3, 15, 15)
    images[:, :, 1, 7, 7] = 1
    moved, _, _ = augment(images, images, all_known(images), (3, 15, 15), how, seeded(1))
    assert torch.allclose(moved.sum((1, 2, 3, 4)), torch.ones(60), atol=1e-4)
    assert (moved[:, :, [0, 2]] == 0).all()
    blurred = (moved[:, 0, 1, 7, 7] < 0.99).float().mean()
    assert 0.15 < blurred < 0.55


def test_negative_values_survive_gamma() -> None:
    images = noise(6, 1, (8, 8)) - 0.5
    how = Augmentation(flip=False, gamma=0.5)
    moved, _, _ = augment(images, images, all_known(images), (8, 8), how, seeded(0))
    assert torch.isfinite(moved).all()
    flat, before = moved.flatten(1).sort(1).values, images.flatten(1).sort(1).values
    assert torch.equal(flat[before <= 0], before[before <= 0])


# --------------------------------------------------------------------------- reproducibility


@pytest.mark.parametrize("preset", ["light", "standard", "strong"])
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("device", DEVICES)
def test_the_generator_alone_decides(device: str, ndim: int, preset: str) -> None:
    images = noise(3, 2, WINDOWS[ndim]).to(device)
    targets, known = images[:, :1].clone(), all_known(images).to(device)
    state = torch.get_rng_state()
    results = [
        augment(images, targets, known, PATCHES[ndim], PRESETS[preset], seeded(seed))
        for seed in (8, 8, 9)
    ]
    assert torch.equal(torch.get_rng_state(), state)
    for first, same in zip(results[0], results[1], strict=True):
        assert first.device.type == device
        assert torch.equal(first, same)
    assert not torch.equal(results[0][0], results[2][0])


@pytest.mark.parametrize("preset", PRESETS)
def test_the_windows_are_left_as_they_were(preset: str) -> None:
    images = noise(9, 1, WINDOWS[2])
    before = images.clone()
    augment(images, images, all_known(images), PATCHES[2], PRESETS[preset], seeded(0))
    assert torch.equal(images, before)


def test_the_margin_holds_what_is_turned_in() -> None:
    assert PRESETS["none"].margin == PRESETS["light"].margin == 1
    for preset in ("standard", "strong"):
        how = replace(PRESETS[preset], elastic=0.0)
        side = round(32 * how.margin)
        images = torch.ones(200, 1, side, side)
        _, _, known = augment(images, images, images, (32, 32), how, seeded(0))
        assert known.mean() > 0.95


def test_patches_of_one_pixel_along_an_axis() -> None:
    for size, preset in itertools.product([(1, 16), (16, 1), (1, 16, 16), (1, 1, 1)], PRESETS):
        images = noise(2, 1, size)
        moved, _, known = augment(
            images, images, all_known(images), size, PRESETS[preset], seeded(0)
        )
        assert moved.shape == known.shape == images.shape
        assert torch.isfinite(moved).all()
