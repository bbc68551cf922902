"""Straight borders of fill around an image: the result is that of the image without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import zarr

import napari_unet as nu
from napari_unet.dataset.assembly import prepare_data
from napari_unet.dataset.example import Example
from napari_unet.image.border import find_window
from napari_unet.image.roi import Roi
from napari_unet.image.source import open_image
from napari_unet.inference.segmentation import iter_run, iter_segmentation
from napari_unet.progress import drain
from napari_unet.samples import load_sample
from napari_unet.settings import TrainConfig


@pytest.fixture(scope="module")
def camera() -> np.ndarray:
    """Nuclei on a camera's offset, as 16-bit."""
    pixels = np.asarray(load_sample("nuclei_2d").image)[:150, :130]
    return (pixels.astype(float) * 16 + 100).astype(np.uint16)


@pytest.mark.parametrize(("offset", "gain", "pad"), [(100, 16, 4), (100, 16, 64), (1000, 10, 4)])
def test_a_frame_of_zeros_changes_no_object(offset: int, gain: int, pad: int) -> None:
    pixels = np.asarray(load_sample("nuclei_2d").image)[:256, :256]
    image = (pixels.astype(float) * gain + offset).astype(np.uint16)
    right = nu.segment(image, "nuclei", axes="YX")
    framed = nu.segment(np.pad(image, pad), "nuclei", axes="YX")
    assert right.max() == 30
    np.testing.assert_array_equal(framed, np.pad(right, pad))


BORDERS: list[tuple[Any, float]] = [
    (((1, 0), (0, 0)), 0),
    (((0, 3), (100, 0)), 0),
    (((30, 5), (7, 9)), 65535),
    (((16, 16), (16, 16)), 700),
]


@pytest.mark.parametrize(("pads", "value"), BORDERS)
def test_any_border_at_any_side(
    camera: np.ndarray, bright_model: Callable[..., nu.Model], pads: Any, value: float
) -> None:
    model = bright_model()
    right = nu.predict(camera, model, axes="YX")
    framed = np.pad(camera, pads, constant_values=value)
    for image in (framed, framed.astype(np.float32)):
        for tile in (32, 500):
            found = nu.predict(image, model, axes="YX", tile=tile)
            np.testing.assert_allclose(
                found.scores, np.pad(right.scores, ((0, 0), *pads)), atol=1e-4
            )
    assert found.record["without_border"] == {
        axis: [before, before + n]
        for axis, (before, _), n in zip("YX", pads, camera.shape, strict=True)
    }
    assert found.record["intensity_limits"] == right.record["intensity_limits"]
    assert right.record["without_border"] == {}


def test_borders_of_missing_pixels_and_of_all_planes(
    camera: np.ndarray, bright_model: Callable[..., nu.Model]
) -> None:
    model = bright_model()
    series = np.stack([camera, camera[::-1], camera // 2 + 50]).astype(np.float32)
    pads = ((0, 0), (9, 2), (0, 5))
    right = nu.segment(series, model, axes="TYX")
    assert right.max() > 10
    for value in (np.nan, np.inf, -1):
        framed = np.pad(series, pads, constant_values=value)
        framed[1, 2, 3] = 5  # in one frame something lies above: it is kept in all
        found = nu.segment(framed, model, axes="TYX")
        np.testing.assert_array_equal(found[[0, 2], 12:-2, :-5] > 0, right[[0, 2], 3:] > 0)
        framed[1, 2, 3] = value
        found = drain(iter_segmentation(framed, model, axes="TYX"))
        np.testing.assert_array_equal(found.labels, np.pad(right, pads))
        assert found.record["objects"] == right.max()


def test_two_channels_and_a_volume(camera: np.ndarray, make_model: Callable[..., nu.Model]) -> None:
    second = (camera // 3 + 50)[:, ::-1]
    model = make_model(in_channels=2)
    right = nu.predict(np.stack([camera, second]), model, axes="CYX")
    framed = np.stack([np.pad(camera, 6), np.pad(second, 6, constant_values=4095)])
    found = nu.predict(framed, model, axes="CYX")
    np.testing.assert_allclose(found.scores[:, 6:-6, 6:-6], right.scores, atol=1e-4)
    assert not found.scores[:, :6].any()
    only = np.stack([np.pad(camera, 6), np.pad(second, 6, mode="edge")])  # an image all over
    assert nu.predict(only, model, axes="CYX").record["without_border"] == {}
    model = make_model(ndim=3, task="semantic")
    stack = np.stack([camera[:48, :40] + i for i in range(6)])
    right = nu.predict(stack, model, axes="ZYX")
    framed = np.pad(stack, ((0, 0), (5, 5), (5, 5)))
    found = nu.predict(framed, model, axes="ZYX", tile=16)
    np.testing.assert_allclose(found.scores[..., 5:-5, 5:-5], right.scores, atol=1e-4)
    np.testing.assert_array_equal(
        found.scores[:, :, :5], np.eye(3)[0].reshape(3, 1, 1, 1) + 0 * found.scores[:, :, :5]
    )


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_a_part_is_that_of_the_whole_wherever_it_lies(
    camera: np.ndarray, make_model: Callable[..., nu.Model], norm: str
) -> None:
    model = make_model(norm=norm)
    framed = np.pad(camera, 20)
    whole = nu.predict(framed, model, axes="YX", tile=32)
    assert not whole.scores[:, :20].any()
    parts = [((10, 70), (5, 60)), ((0, 12), (0, 170)), ((150, 190), (100, 170))]
    for y, x in parts:
        roi = Roi(y=y, x=x)
        found = drain(
            iter_run(framed, model, roi=roi, labels=False, scores=True, axes="YX", tile=32)
        )
        assert found.scores is not None
        part = found.scores.scores
        assert part.shape == (2, y[1] - y[0], x[1] - x[0])
        if norm == "batch":
            np.testing.assert_allclose(part, whole.scores[:, slice(*y), slice(*x)], atol=1e-4)


def test_the_image_in_a_store_with_a_border_larger_than_a_piece(
    camera: np.ndarray, bright_model: Callable[..., nu.Model], tmp_path: Any
) -> None:
    model = bright_model()
    framed = np.pad(camera, ((40, 1100), (3, 20)))
    store = zarr.create_array(tmp_path / "a.zarr", data=framed, chunks=(64, 64))
    found = nu.segment(store, model, axes="YX", output=tmp_path / "out.zarr")
    right = nu.segment(camera, model, axes="YX")
    np.testing.assert_array_equal(found[40:190, 3:133], right)
    assert np.count_nonzero(found[:]) == np.count_nonzero(right)


def test_a_regression_gives_values_in_a_border_too(
    camera: np.ndarray, make_model: Callable[..., nu.Model]
) -> None:
    model = make_model(task="regression", out_channels=1)
    framed = np.pad(camera, 20)
    found = nu.predict(framed, model, axes="YX")
    assert found.scores.shape == (1, *framed.shape)
    assert np.isfinite(found.scores).all()
    assert "without_border" not in found.record["input"]


def test_what_is_no_straight_border(camera: np.ndarray) -> None:
    from scipy import ndimage

    turned = ndimage.rotate(camera, 20, order=1)
    assert find_window(open_image(turned), [[0]]) == {}
    padded = np.pad(turned, ((30, 30), (0, 0)))  # its outermost lines are corners
    assert find_window(open_image(padded), [[0]]) == {}
    objects = np.zeros((100, 120), np.uint8)
    objects[30:40, 50:60] = objects[70:75, 20:30] = 90
    assert find_window(open_image(objects), [[0]]) == {}
    assert find_window(open_image(np.zeros((20, 20), np.uint8)), [[0]]) == {}


def test_a_training_sees_what_a_prediction_sees(camera: np.ndarray) -> None:
    labels = nu.segment(camera, "nuclei", axes="YX")
    config = TrainConfig(steps=1, validation_fraction=0.0)
    data = [
        prepare_data([Example(image, truth)], None, None, config)
        for image, truth in ((camera, labels), (np.pad(camera, 10), np.pad(labels, 10)))
    ]
    for plain, padded in zip(*(each.frames for each in data), strict=True):
        assert plain.cached is not None
        assert padded.cached is not None
        for one, other in zip(plain.cached, padded.cached, strict=True):
            np.testing.assert_array_equal(one, other)
    assert data[0].labelled_pixels == data[1].labelled_pixels
