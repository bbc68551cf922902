"""The data of a training: read no more often than needed, and what of it is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_unet.card import Normalization
from napari_unet.dataset import frames as frames_module
from napari_unet.dataset.assembly import TrainingData, prepare_data
from napari_unet.dataset.example import Example
from napari_unet.image import normalization
from napari_unet.image.normalization import find_limits, measure_sample
from napari_unet.image.source import open_image
from napari_unet.settings import TrainConfig


class Counting:
    """An array that notes how many of its pixels were read."""

    def __init__(self, array: Any) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.pixels = 0

    def __getitem__(self, index: Any) -> Any:
        found = self.array[index]
        self.pixels += found.size
        return found


def objects(shape: tuple[int, ...], size: int = 6, step: int = 12) -> Any:
    """Boxes on a grid, each with a number of its own."""
    labels = np.zeros(shape, np.int32)
    starts = [range(3, n - size, step) for n in shape]
    for value, place in enumerate(np.ndindex(*map(len, starts)), 1):
        corner = [s[i] for s, i in zip(starts, place, strict=True)]
        labels[tuple(slice(c, c + size) for c in corner)] = value
    return labels


def prepare(*examples: Example, **settings: Any) -> TrainingData:
    return prepare_data(list(examples), None, None, TrainConfig(steps=1, **settings))


@pytest.fixture
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_module, "MAX_FRAME_BYTES", 0)


# ----------------------------------------------------------------------------- what is read


@pytest.mark.parametrize("scope", ["image", "time", "plane"])
@pytest.mark.parametrize("mode", ["percentile", "none"])
def test_the_hash_of_a_sample_is_that_of_the_image(mode: Any, scope: Any) -> None:
    image = np.random.default_rng(0).random((2, 4, 30, 20))
    source = open_image(image, axes="TZYX")
    wanted = Normalization(mode=mode, scope=scope)
    sample = measure_sample(source, wanted)
    assert sample.limits == find_limits(source, wanted)
    assert sample.sha256 == measure_sample(source, Normalization()).sha256
    changed = image.copy()
    changed[1, 3, 29, 19] += 1
    assert measure_sample(open_image(changed, axes="TZYX"), wanted).sha256 != sample.sha256


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("pieces", [0.0, 0.25])
def test_the_sample_of_an_image_is_read_once(
    pieces: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = objects((16, 64, 64))
    image = Counting(np.random.default_rng(0).random(labels.shape))
    monkeypatch.setattr("napari_unet.dataset.assembly.make_validation_pieces", lambda _: [])
    monkeypatch.setattr(normalization, "SAMPLE_PIXELS", 5 * 64 * 64)
    data = prepare(Example(image, labels, axes="ZYX"), ndim=2, validation_fraction=pieces)
    assert bool(data.held_out) == (pieces > 0) or "Nothing" in data.held_out
    assert 0 < image.pixels <= 5 * 64 * 64


@pytest.mark.usefixtures("nothing_kept")
def test_labels_cut_between_planes_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = Counting(objects((16, 64, 64)))
    image = np.random.default_rng(0).random(labels.shape)
    monkeypatch.setattr("napari_unet.dataset.assembly.make_validation_pieces", lambda _: [])
    data = prepare(Example(image, labels, axes="ZYX"), ndim=2, validation_fraction=0.25)
    assert "planes are held out" in data.held_out
    assert labels.pixels == labels.array.size


def test_both_sides_of_a_cut_have_fingerprints_of_their_own() -> None:
    labels = objects((16, 64, 64))
    image = np.random.default_rng(0).random(labels.shape)
    first = prepare(Example(image, labels, axes="ZYX"), ndim=2, validation_fraction=0.25)
    changed = labels.copy()
    changed[tuple(np.argwhere(labels)[-1])] = 0  # a pixel of the last object, held out
    other = prepare(Example(image, changed, axes="ZYX"), ndim=2, validation_fraction=0.25)
    assert first.sha256 == other.sha256
    assert first.validation_sha256 != other.validation_sha256


# --------------------------------------------------------------------- what of it is known

SHAPE = (40, 48, 48)
BOX = np.zeros(SHAPE, bool)
BOX[:, :30, :30] = True
STROKES = (np.arange(48) % 6 == 0) & np.ones(SHAPE, bool)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("region", "ndim", "known"),
    [
        ("all", 3, True),
        (BOX, 3, True),
        (BOX, 2, True),
        ("planes", 2, True),
        ("planes", 3, False),
        (STROKES, 2, False),
        (STROKES, 3, False),
        ((STROKES, BOX), 3, True),
    ],
    ids=[
        "all", "box 3D", "box 2D", "planes 2D", "planes 3D", "strokes 2D", "strokes 3D", "mixed"
    ],
)  # fmt: skip
def test_distances_are_known_where_an_object_is_known_as_a_whole(
    region: Any, ndim: int, known: bool, lazy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lazy:
        monkeypatch.setattr(frames_module, "MAX_FRAME_BYTES", 0)
    labels = objects(SHAPE)
    if isinstance(region, str) and region == "planes":
        labels *= (np.arange(40) % 12 == 5)[:, None, None]
    image = np.random.default_rng(0).random(SHAPE)
    data = prepare(Example(image, labels, region, axes="ZYX"), ndim=ndim, validation_fraction=0)
    assert all((frame.cached is None) == lazy for frame in data.frames)
    assert data.distance_known == known


def test_an_empty_image_tells_no_distance() -> None:
    labels = objects((64, 64))
    image = np.random.default_rng(0).random(labels.shape)
    strokes = np.broadcast_to(np.arange(64) % 6 == 0, labels.shape)
    data = prepare(
        Example(image, labels, strokes), Example(image + 1, labels * 0), validation_fraction=0
    )
    assert not data.distance_known
