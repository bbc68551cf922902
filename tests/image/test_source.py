"""Images of any kind and order of axes, read alike."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import torch
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.errors import InputError
from napari_unet.image.source import open_image

CANONICAL = np.arange(2 * 3 * 4 * 5 * 6).reshape(2, 3, 4, 5, 6)  # TCZYX


def arranged(axes: str) -> np.ndarray:
    """The canonical pixels in another order of axes; missing axes are taken at 0."""
    index = tuple(slice(None) if letter in axes else 0 for letter in "TCZYX")
    kept = [letter for letter in "TCZYX" if letter in axes]
    return CANONICAL[index].transpose([kept.index(letter) for letter in axes])


any_order = (
    st.sets(st.sampled_from("TCZ"))
    .map(lambda extra: sorted({"Y", "X", *extra}))
    .flatmap(st.permutations)
    .map("".join)
)


@given(any_order, st.data())
def test_reads_are_canonical_in_any_order_of_axes(axes: str, data: st.DataObject) -> None:
    source = open_image(arranged(axes), axes=axes, in_channels=3 if "C" in axes else 1)
    assert source.times == (2 if "T" in axes else 1)
    time = data.draw(st.integers(0, source.times - 1))
    region = []
    for size in source.spatial_shape:
        start = data.draw(st.integers(0, size - 1))
        region.append(slice(start, data.draw(st.integers(start + 1, size))))
    planes = tuple(region) if "Z" in axes else (slice(0, 1), *region)
    expected = CANONICAL[(time, slice(0, 3 if "C" in axes else 1), *planes)]
    if "Z" not in axes:
        expected = expected[:, 0]
    np.testing.assert_array_equal(source.read(time, tuple(region)), expected)


@given(any_order)
def test_shapes_of_results_follow_the_image(axes: str) -> None:
    source = open_image(arranged(axes), axes=axes, in_channels=3 if "C" in axes else 1)
    sizes = dict(zip("TCZYX", CANONICAL.shape, strict=True))
    assert source.label_shape() == tuple(sizes[a] for a in axes if a != "C")


def whole(shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(0, n) for n in shape)


def test_a_list_of_channels_equals_the_stacked_array() -> None:
    stacked = open_image(arranged("CZYX"), axes="CZYX", in_channels=3)
    listed = open_image(list(arranged("CZYX")), axes="ZYX", in_channels=3)
    place = (0, whole((4, 5, 6)))
    np.testing.assert_array_equal(listed.read(*place), stacked.read(*place))


def test_channels_are_picked_in_the_given_order() -> None:
    for image, axes in ((arranged("CYX"), "CYX"), (list(arranged("CYX")), "YX")):
        source = open_image(image, axes=axes, channels=np.array([2, 0]), in_channels=2)
        found = source.read(0, whole((5, 6)))
        np.testing.assert_array_equal(found, arranged("CYX")[[2, 0]])


def test_named_channels_make_the_axes_guess_a_channel_axis() -> None:
    source = open_image(np.zeros((5, 40, 50)), channels=[3])
    assert (source.axes, source.channels) == ("CYX", (3,))


@pytest.mark.parametrize("kind", ["zarr", "dask", "memmap"])
def test_lazy_arrays_equal_numpy(kind: str, tmp_path: Path) -> None:
    pixels = arranged("TCZYX").astype(np.uint16)
    image: Any
    if kind == "zarr":
        image = zarr.array(pixels, chunks=(1, 2, 2, 4, 4))
    elif kind == "dask":
        image = dask.array.from_array(pixels, chunks=(1, 2, 2, 4, 4))
    else:
        image = np.memmap(tmp_path / "image.raw", np.uint16, "w+", shape=pixels.shape)
        image[:] = pixels
    source = open_image(image, axes="TCZYX", in_channels=3)
    region = (slice(1, 4), slice(0, 5), slice(2, 6))
    np.testing.assert_array_equal(source.read(1, region), pixels[(1, slice(None), *region)])
    assert source.read(1, region).dtype == source.dtype == np.uint16


class Spy:
    """An array that remembers what was read from it."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype
        self.read = 0

    def __getitem__(self, index: Any) -> np.ndarray:
        part = self.pixels[index]
        self.read += part.size
        return part


def test_only_the_region_is_read() -> None:
    spy = Spy(np.zeros((3, 100, 100)))
    source = open_image(spy, axes="CYX", channels=[1])
    source.read(0, (slice(0, 10), slice(50, 60)))
    assert spy.read == 100


# ------------------------------------------------------------------------------ pixel size


@pytest.mark.parametrize(
    ("given", "axes", "found"),
    [
        (None, "ZYX", (None, None, None)),
        (0.5, "ZYX", (0.5, 0.5, 0.5)),
        (2, "YX", (2.0, 2.0)),
        (np.float32(0.5), "YX", (0.5, 0.5)),
        ((2.0, 0.5, 0.25), "ZYX", (2.0, 0.5, 0.25)),
        ((0.25, 0.5, 2.0), "XYZ", (2.0, 0.5, 0.25)),
        ((0.25, 0.5), "XYC", (0.5, 0.25)),
        ((None, 0.5, 0.5), "ZYX", (None, 0.5, 0.5)),
        (np.array([0.5, 0.5]), "YX", (0.5, 0.5)),
    ],
)
def test_pixel_sizes_become_canonical(given: Any, axes: str, found: tuple[Any, ...]) -> None:
    image = np.zeros((4,) * len(axes))
    source = open_image(image, axes=axes, pixel_size=given, in_channels=4 if "C" in axes else 1)
    assert source.pixel_size == found


@pytest.mark.parametrize("size", [0, -1.0, float("nan"), float("inf"), "ab", (0.5, 0, 0.5), (1, 1)])
def test_impossible_pixel_sizes_are_refused(size: Any) -> None:
    with pytest.raises(InputError, match="pixel_size"):
        open_image(np.zeros((4, 4, 4)), axes="ZYX", pixel_size=size)


# ------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("image", "arguments", "says"),
    [
        ([], {}, "list of channels is empty"),
        ("nuclei.tif", {}, "The image is a str"),
        ([[1, 2], [3, 4]], {}, "The image is a list"),
        (None, {}, "NoneType"),
        (np.zeros((4, 4), complex), {}, "complex"),
        (np.zeros((4, 4), object), {}, "dtype object"),
        (np.zeros((4, 4), "U3"), {}, "dtype <U3"),
        (torch.zeros(4, 4), {}, "torch.float32"),
        (np.zeros((0, 4)), {}, "axis Y"),
        (np.zeros((3, 4, 0)), {"axes": "ZYX"}, "axis X"),
        (np.zeros(9), {}, "2 to 5 axes"),
        (np.zeros((4, 4)), {"axes": "ZYX"}, "one letter per axis"),
        (np.zeros((4, 4)), {"ndim": 3}, "needs a Z axis"),
        (np.zeros((3, 4, 4)), {"axes": "CYX"}, "takes 1 channel but"),
        (np.zeros((4, 4)), {"in_channels": 2}, "takes 2 channels"),
        (np.zeros((3, 4, 4)), {"axes": "CYX", "channels": [3]}, "no channel 3"),
        (np.zeros((3, 4, 4)), {"axes": "CYX", "channels": [-1]}, "no channel -1"),
        (np.zeros((3, 4, 4)), {"axes": "CYX", "channels": [0, 1]}, "names 2"),
        (np.zeros((3, 4, 4)), {"axes": "CYX", "channels": []}, "names 0"),
        (np.zeros((3, 4, 4)), {"axes": "CYX", "channels": 1}, "list of channel numbers"),
        (np.zeros((3, 4, 4)), {"axes": "CYX", "channels": "red"}, "list of channel numbers"),
        ([np.zeros((4, 4)), np.zeros((4, 5))], {"in_channels": 2}, "different shapes"),
        ([np.zeros((1, 4, 4))] * 2, {"axes": "CYX", "in_channels": 2}, "must not contain C"),
    ],
)
def test_unusable_images_are_refused_in_one_sentence(
    image: Any, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=re.escape(says)) as caught:
        open_image(image, **arguments)
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))
    assert not re.search(r"\. [A-Z]", str(caught.value))


def test_an_opened_image_is_returned_as_it_is() -> None:
    source = open_image(arranged("CZYX"), axes="CZYX", channels=[2, 0], in_channels=2)
    assert open_image(source, ndim=3, in_channels=2) is source
    with pytest.raises(InputError, match="open already"):
        open_image(source, axes="ZCYX", in_channels=2)
    with pytest.raises(InputError, match="names 2, but the model takes 1"):
        open_image(source)
    with pytest.raises(InputError, match="needs a Z axis"):
        open_image(open_image(np.zeros((5, 6))), ndim=3)
