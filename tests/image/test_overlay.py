"""Outlines over images, and thumbnails."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from napari_unet.image.overlay import draw_overlay, encode_thumbnail


def scene() -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros((30, 40), np.int32)
    labels[3:10, 4:12] = 1
    labels[3:10, 12:20] = 2  # touches the first
    labels[15:28, 20:35] = 7
    return np.random.default_rng(0).integers(100, 4000, labels.shape, np.uint16), labels


def coloured(picture: np.ndarray) -> np.ndarray:
    return (picture != picture[..., :1]).any(-1)


def test_outlines_are_coloured_and_the_rest_is_grey() -> None:
    image, labels = scene()
    picture = draw_overlay(image, labels)
    assert picture.shape == (30, 40, 3)
    assert picture.dtype == np.uint8
    marks = coloured(picture)
    assert not marks[labels == 0].any()
    assert marks[3, 4:20].all()  # the upper edges
    assert marks[15:28, 20].all()
    assert not marks[17:26, 22:33].any()  # the inside of an object stays to be seen
    assert marks[5:8, 11:13].all()  # between two that touch


def test_each_object_has_one_colour_of_its_own() -> None:
    image, labels = scene()
    picture = draw_overlay(image, labels)
    marks = coloured(picture)
    colours = [np.unique(picture[marks & (labels == n)], axis=0) for n in (1, 2, 7)]
    assert [len(c) for c in colours] == [1, 1, 1]
    assert len({tuple(c[0]) for c in colours}) == 3
    assert all(int(c.max()) > 200 for c in colours)  # bright on any grey


def test_neighbouring_numbers_differ_clearly() -> None:
    numbers = np.arange(1, 300)
    labels = np.repeat(numbers, 2)[None]
    picture = draw_overlay(np.zeros(labels.shape), labels)[0, ::2].astype(int)
    assert (np.abs(np.diff(picture, axis=0)).max(axis=1) > 60).all()


def test_contrast_keeps_dim_objects_visible() -> None:
    image = np.zeros((20, 20))
    image[5, 5:10], image[10, 5:10] = 1.0, 0.25
    picture = draw_overlay(image, np.zeros((20, 20), int))
    assert picture[5, 5, 0] == 255
    assert picture[10, 5, 0] == 127  # a square root
    assert picture[0, 0, 0] == 0


def test_channels_are_averaged() -> None:
    image, labels = scene()
    several = np.stack([image, image, image])
    np.testing.assert_array_equal(draw_overlay(several, labels), draw_overlay(image, labels))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (5, 5)])
@pytest.mark.parametrize("label", [0, 1])
def test_constant_and_tiny_images(shape: tuple[int, int], label: int) -> None:
    picture = draw_overlay(np.full(shape, 9.0), np.full(shape, label))
    assert picture.shape == (*shape, 3)
    assert not picture.any() or label == 1


def decoded(text: str) -> Image.Image:
    picture = Image.open(io.BytesIO(base64.b64decode(text)))
    picture.load()
    return picture


def test_thumbnails_are_square_png() -> None:
    image, labels = scene()
    picture = decoded(encode_thumbnail(image, labels, size=16))
    assert (picture.format, picture.size, picture.mode) == ("PNG", (16, 16), "RGB")
    assert decoded(encode_thumbnail(image, labels)).size == (30, 30)  # never enlarged


def test_a_thumbnail_of_channels_shows_the_same() -> None:
    image, labels = scene()
    several = np.stack([image, image])
    assert encode_thumbnail(several, labels) == encode_thumbnail(image, labels)


def test_equal_pictures_give_equal_text() -> None:
    image, labels = scene()
    assert encode_thumbnail(image, labels) == encode_thumbnail(image.copy(), labels.copy())
