"""Image files: what is written comes back, and what is damaged is said to be so."""

from __future__ import annotations

import datetime as dt
import enum
import errno
import hashlib
import importlib.util
import json
import logging
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import BaseModel

from napari_unet.errors import FileError, InputError
from napari_unet.io import (
    LazyArray,
    atomic_path,
    read_image,
    record_path,
    tiff_writing,
    write_image,
    write_labels,
    write_record,
)
from napari_unet.io.declared_axes import declared_axes
from napari_unet.io.record import find_record

SIZES = st.sampled_from([0.1, 0.325, 0.65, 1.0, 2.5, 12.0, 1e-3, 123.456]) | st.floats(1e-4, 1e4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all hypothesis examples of this file."""
    return tmp_path_factory.mktemp("io")


@st.composite
def axes_and_shapes(draw: st.DrawFn) -> tuple[str, tuple[int, ...]]:
    """Any order of Y, X and some of T, C, Z; axes of length 1 included."""
    extra = draw(st.sets(st.sampled_from("TCZ")))
    axes = "".join(draw(st.permutations(sorted(extra | {"Y", "X"}))))
    shape = tuple(draw(st.integers(1, 7 if a in "YX" else 3)) for a in axes)
    return axes, shape


def pixel_sizes(axes: str) -> st.SearchStrategy[tuple[float | None, ...] | None]:
    n = sum(a in "ZYX" for a in axes)
    return st.none() | st.tuples(*[st.none() | SIZES] * n)


def assert_same_size(found: Any, given: Any) -> None:
    if given is None or all(size is None for size in given):
        assert found is None
        return
    assert len(found) == len(given)
    for a, b in zip(found, given, strict=True):
        assert (a is None) == (b is None)
        assert a is None or a == pytest.approx(b, rel=1e-6)


def pixels(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


# ------------------------------------------------------------------- what is written comes back


@settings(max_examples=40)
@given(data=st.data())
def test_images_come_back_with_values_axes_and_pixel_size(
    folder: Path, data: st.DataObject
) -> None:
    axes, shape = data.draw(axes_and_shapes())
    suffix = data.draw(st.sampled_from([".tif", ".tiff", ".ome.tif"]))
    dtypes = ["uint8", "uint16", "float32", "int16", "int32", "uint32", "int8", "float64"]
    image = pixels(shape, data.draw(st.sampled_from(dtypes)))
    size = data.draw(pixel_sizes(axes))
    path = write_image(folder / f"image{suffix}", image, axes=axes, pixel_size=size)
    back = read_image(path, eager_bytes=data.draw(st.sampled_from([0, 10**6])))
    assert back.axes == axes
    assert back.array.dtype == image.dtype
    np.testing.assert_array_equal(np.asarray(back.array), image)
    assert_same_size(back.pixel_size, size)


@settings(max_examples=25)
@given(data=st.data())
def test_labels_come_back_unchanged(folder: Path, data: st.DataObject) -> None:
    axes, shape = data.draw(axes_and_shapes())
    suffix = data.draw(st.sampled_from([".tif", ".ome.tif", ".npy"]))
    dtype = data.draw(st.sampled_from([np.int32, np.int64, np.uint8, np.uint32]))
    largest = data.draw(st.sampled_from([0, 1, 255, 256, 65535, 65536, 2**31 - 1]))
    labels = pixels(shape, np.uint32).astype(np.int64) % (largest + 1)
    labels = np.minimum(labels, np.iinfo(dtype).max).astype(dtype)
    path = write_labels(folder / f"labels{suffix}", labels, axes=axes)
    back = read_image(path).array
    assert back.dtype.kind in "ui"
    np.testing.assert_array_equal(np.asarray(back), labels)


@pytest.mark.parametrize(
    ("largest", "dtype"),
    [(255, "uint8"), (256, "uint16"), (65536, "int32"), (2**31, "uint32")],
)
def test_label_tiffs_take_the_smallest_type_and_imagej_reads_them(
    tmp_path: Path, largest: int, dtype: str
) -> None:
    labels = np.array([[0, 1], [2, largest]], np.int64)
    path = write_labels(tmp_path / "a.tif", labels, axes="YX", pixel_size=(0.5, 0.5))
    with tifffile.TiffFile(path) as tif:
        assert tif.is_imagej
        assert tif.series[0].dtype == dtype
        assert tif.pages[0].compression == 8  # deflate
    back = read_image(path)
    assert back.array.tolist() == labels.tolist()
    assert back.pixel_size == (0.5, 0.5)


def test_a_channel_first_stack_opens_in_imagej_as_a_hyperstack(tmp_path: Path) -> None:
    scores = pixels((2, 5, 8, 9), np.float32)
    path = write_image(tmp_path / "a.tif", scores, axes="CZYX", pixel_size=(2.0, 0.325, 0.25))
    with tifffile.TiffFile(path) as tif:
        metadata = tif.imagej_metadata
        assert (metadata["channels"], metadata["slices"]) == (2, 5)
        assert (metadata["unit"], metadata["spacing"]) == ("um", 2.0)
        x, y = (tif.pages[0].tags[f"{a}Resolution"].value for a in "XY")
        assert (x[1] / x[0], y[1] / y[0]) == (0.25, 0.325)
        np.testing.assert_array_equal(tif.asarray(), scores.swapaxes(0, 1))


def test_colours_are_written_as_rgb(tmp_path: Path) -> None:
    image = pixels((6, 7, 3), np.uint8)
    for name in ("a.tif", "a.ome.tif"):
        path = write_image(tmp_path / name, image, axes="YXC")
        with tifffile.TiffFile(path) as tif:
            assert tif.pages[0].photometric == tifffile.PHOTOMETRIC.RGB
        back = read_image(path)
        assert back.axes == "YXC"
        np.testing.assert_array_equal(back.array, image)


def test_ome_tiff_holds_the_physical_size(tmp_path: Path) -> None:
    path = write_labels(
        tmp_path / "a.ome.tif", np.ones((3, 4, 5), int), axes="ZYX", pixel_size=(2.0, None, 0.3)
    )
    with tifffile.TiffFile(path) as tif:
        assert tif.is_ome
        assert 'PhysicalSizeX="0.3"' in tif.ome_metadata
        assert 'PhysicalSizeXUnit="µm"' in tif.ome_metadata
        assert "PhysicalSizeY=" not in tif.ome_metadata


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_large_images_become_bigtiff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(tiff_writing, "CLASSIC_BYTES", 100)
    image = pixels((3, 8, 9), np.uint16)
    path = write_image(tmp_path / name, image, axes="ZYX", pixel_size=(1.0, 0.2, 0.2))
    with tifffile.TiffFile(path) as tif:
        assert tif.is_bigtiff
    back = read_image(path)
    np.testing.assert_array_equal(back.array, image)
    assert (back.axes, back.pixel_size) == ("ZYX", (1.0, 0.2, 0.2))


def test_writing_reads_a_lazy_source_plane_by_plane(tmp_path: Path) -> None:
    class Source:
        shape, dtype = (4, 3, 8, 8), np.dtype(np.uint8)

        def __init__(self) -> None:
            self.largest = 0

        def __getitem__(self, index: Any) -> np.ndarray:
            part = np.ones(self.shape, self.dtype)[index]
            self.largest = max(self.largest, part.size)
            return part

    for name in ("a.tif", "a.ome.tif", "a.npy"):
        source = Source()
        path = write_labels(tmp_path / name, source, axes="TZYX")
        assert source.largest == 64
        assert np.asarray(read_image(path).array).sum() == 4 * 3 * 64


@pytest.mark.parametrize(
    ("axes", "shape", "dtype"),
    [("YX", (5, 6), "uint8"), ("YX", (5, 6), "uint16"), ("YXC", (5, 6, 3), "uint8")],
)
def test_png_keeps_every_value(
    tmp_path: Path, axes: str, shape: tuple[int, ...], dtype: str
) -> None:
    image = pixels(shape, dtype)
    back = read_image(write_image(tmp_path / "a.png", image, axes=axes))
    assert (back.axes, back.array.dtype, back.pixel_size) == (axes, image.dtype, None)
    np.testing.assert_array_equal(back.array, image)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda p: write_labels(p / "a.tif", np.ones((2, 2)), axes="YX"), InputError, "float64"),
        (lambda p: write_labels(p / "a.tif", np.array([[-3, 0]]), axes="YX"), InputError, "-3"),
        (
            lambda p: write_image(p / "a.tif", np.ones((2, 2), complex), axes="YX"),
            InputError,
            "complex",
        ),
        (
            lambda p: write_labels(p / "a.tif", np.ones((2, 2), int), axes="ZYX"),
            InputError,
            "'ZYX'",
        ),
        (lambda p: write_labels(p / "a.tif", np.ones((0, 2), int), axes="YX"), InputError, "empty"),
        (
            lambda p: write_labels(p / "a.xyz", np.ones((2, 2), int), axes="YX"),
            FileError,
            ".ome.tif",
        ),
        (lambda p: write_labels(p / "a", np.ones((2, 2), int), axes="YX"), FileError, "nothing"),
        (
            lambda p: write_labels(p / "a.png", np.full((2, 2), 70000), axes="YX"),
            FileError,
            "int32",
        ),
        (
            lambda p: write_image(p / "a.ome.tif", np.ones((2, 2), int), axes="YX"),
            FileError,
            "int64",
        ),
        (
            lambda p: write_image(p / "a.tif", np.ones((2, 2)), axes="YX", pixel_size=(1.0,)),
            InputError,
            "pixel_size",
        ),
        (
            lambda p: write_image(p / "a.tif", np.ones((2, 2)), axes="YX", pixel_size=(1.0, 0.0)),
            InputError,
            "along X",
        ),
        (
            lambda p: write_image(
                p / "a.tif", np.ones((2, 2)), axes="YX", pixel_size=(float("nan"), 1.0)
            ),
            InputError,
            "along Y",
        ),
    ],
)
def test_what_cannot_be_written_is_said_and_leaves_nothing(
    tmp_path: Path, call: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        call(tmp_path)
    message = str(caught.value)
    assert words in message
    assert message.endswith(".")
    assert list(tmp_path.iterdir()) == []


# -------------------------------------------------------------------- files of other programs


@pytest.mark.parametrize(
    ("unit", "scale"),
    [
        ("micron", 1.0), ("um", 1.0), ("µm", 1.0), ("\\u00B5m", 1.0), ("nm", 1e-3),
        ("mm", 1e3), ("cm", 1e4), ("inch", 25400.0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_imagej_units(tmp_path: Path, unit: str, scale: float, compression: str | None) -> None:
    image = pixels((2, 3, 4, 8, 9), np.uint16)
    metadata = {"axes": "TZCYX", "unit": unit, "spacing": 3.0}
    path = tmp_path / "a.tif"
    # tifffile writes an ASCII description: ImageJ's own files hold Latin-1 there.
    if unit == "µm":
        metadata["unit"] = "um"
    tifffile.imwrite(
        path, image, imagej=True, resolution=(4.0, 2.0), metadata=metadata, compression=compression
    )
    if unit == "µm":
        path.write_bytes(path.read_bytes().replace(b"unit=um", b"unit=\xb5m"))
    for eager_bytes in (0, 10**9):
        back = read_image(path, eager_bytes=eager_bytes)
        assert back.axes == "TZCYX"
        assert back.pixel_size == pytest.approx((3.0 * scale, 0.5 * scale, 0.25 * scale))
        np.testing.assert_array_equal(np.asarray(back.array), image)
        assert back.array.dtype.isnative


@pytest.mark.parametrize("metadata", [{}, {"unit": "pixel", "spacing": 1.0}, {"unit": ""}])
def test_imagej_without_a_length_has_no_pixel_size(tmp_path: Path, metadata: Any) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((3, 8, 9), np.uint8), imagej=True, resolution=(4.0, 4.0),
                     metadata={"axes": "ZYX", **metadata})  # fmt: skip
    assert read_image(path).pixel_size is None


@pytest.mark.parametrize("dots", [72, 96, 300, 600])
def test_a_print_resolution_is_no_pixel_size_in_any_format(tmp_path: Path, dots: int) -> None:
    image = np.zeros((8, 9), np.uint8)
    write = tifffile.imwrite
    write(tmp_path / "plain.tif", image, resolution=(dots, dots), resolutionunit="INCH")
    for name, unit, per in (("inch", "inch", 1.0), ("cm", "cm", 2.54), ("um", "um", 25400.0)):
        resolution = (dots / per, dots / per)
        metadata = {"unit": unit}
        write(
            tmp_path / f"{name}.tif", image, imagej=True, resolution=resolution, metadata=metadata
        )
    size = {"axes": "YX", "PhysicalSizeX": 25400 / dots, "PhysicalSizeY": 25400 / dots}
    write(tmp_path / "a.ome.tif", image, ome=True, metadata=size)
    found = {path.name: read_image(path).pixel_size for path in tmp_path.iterdir()}
    assert set(found.values()) == {None}
    assert len(found) == 5


@pytest.mark.parametrize(
    ("resolution", "unit", "expected"),
    [
        ((40000.0, 20000.0), "CENTIMETER", (0.5, 0.25)),
        ((25400.0, 25400.0), "INCH", (1.0, 1.0)),
        ((4.0, 4.0), "NONE", None),
        ((72.0, 72.0), "INCH", None),
        ((300.0, 300.0), "INCH", None),
        ((28.35, 28.35), "CENTIMETER", None),
        ((1.0, 1.0), "INCH", None),
        ((0.0, 0.0), "CENTIMETER", None),
    ],
)
def test_resolution_tags(tmp_path: Path, resolution: Any, unit: str, expected: Any) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, np.zeros((8, 9), np.uint8), metadata=None, resolution=resolution, resolutionunit=unit
    )
    back = read_image(path)
    assert back.axes == "YX"
    assert back.pixel_size == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("unit", "scale"), [(None, 1.0), ("nm", 1e-3), ("mm", 1e3), ("pixel", None)]
)
def test_ome_units(tmp_path: Path, unit: str | None, scale: float | None) -> None:
    metadata: dict[str, Any] = {"axes": "TCYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    if unit:
        metadata |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    image = pixels((2, 3, 8, 9), np.uint8)
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, image, metadata=metadata, photometric="minisblack")
    back = read_image(path)
    assert back.axes == "TCYX"
    expected = None if scale is None else (0.25 * scale, 0.5 * scale)
    assert back.pixel_size == (None if expected is None else pytest.approx(expected))
    np.testing.assert_array_equal(back.array, image)


@pytest.mark.parametrize(
    ("shape", "options", "axes", "kept"),
    [
        ((8, 9), {}, "YX", (8, 9)),
        ((8, 9, 3), {"photometric": "rgb"}, "YXC", (8, 9, 3)),
        ((8, 9, 4), {"photometric": "rgb", "extrasamples": ["unassalpha"]}, "YXC", (8, 9, 4)),
        ((3, 8, 9), {"photometric": "rgb", "planarconfig": "separate"}, "CYX", (3, 8, 9)),
        ((5, 8, 9), {"photometric": "minisblack"}, None, (5, 8, 9)),
        ((5, 8, 9), {"photometric": "minisblack", "metadata": {"axes": "ZYX"}}, "ZYX", (5, 8, 9)),
        ((5, 8, 9), {"photometric": "minisblack", "metadata": {"axes": "QYX"}}, None, (5, 8, 9)),
        ((1, 8, 9), {"photometric": "minisblack", "metadata": {"axes": "QYX"}}, "YX", (8, 9)),
        ((1, 8, 9), {"photometric": "minisblack", "metadata": {"axes": "ZYX"}}, "ZYX", (1, 8, 9)),
        ((5, 8, 9), {"photometric": "minisblack", "metadata": None}, None, (5, 8, 9)),
        ((2, 5, 8, 9), {"photometric": "minisblack"}, None, (2, 5, 8, 9)),
        ((40, 50), {"tile": (16, 16)}, "YX", (40, 50)),
        ((40, 50), {"tile": (16, 16), "compression": "zlib"}, "YX", (40, 50)),
        ((3, 40, 50), {"rowsperstrip": 7, "compression": "zlib", "metadata": {"axes": "TYX"},
                       "photometric": "minisblack"}, "TYX", (3, 40, 50)),
        ((40, 50), {"byteorder": ">", "bigtiff": True}, "YX", (40, 50)),
        ((40, 50), {"byteorder": ">", "compression": "zlib", "metadata": None}, "YX", (40, 50)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("eager_bytes", [0, 10**9])
def test_tiffs_of_other_programs(
    tmp_path: Path, shape: Any, options: Any, axes: str | None, kept: Any, eager_bytes: int
) -> None:
    image = pixels(shape, np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, image, **options)
    back = read_image(path, eager_bytes=eager_bytes)
    assert isinstance(back.array, LazyArray) == (eager_bytes == 0)
    assert back.axes == axes
    assert back.array.shape == kept
    assert back.array.dtype == np.uint16
    np.testing.assert_array_equal(np.asarray(back.array), image.reshape(kept))
    assert back.pixel_size is None


def test_channels_of_colours_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    image = np.zeros((2, 8, 9, 3), np.uint8)
    tifffile.imwrite(path, image, photometric="rgb", metadata={"axes": "CYXS"})
    with pytest.raises(FileError, match="both channels and colours"):
        read_image(path)


def test_a_pyramid_is_read_at_full_resolution(tmp_path: Path) -> None:
    image = pixels((64, 64), np.uint8)
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(image, subifds=1, tile=(16, 16), compression="zlib", metadata={"axes": "YX"})
        tif.write(image[::2, ::2], subfiletype=1, tile=(16, 16), compression="zlib")
    for eager_bytes in (0, 10**9):
        np.testing.assert_array_equal(
            np.asarray(read_image(path, eager_bytes=eager_bytes).array), image
        )


def test_lzw_is_read_or_the_missing_package_is_named(tmp_path: Path) -> None:
    image = pixels((16, 16), np.uint8)
    path = tmp_path / "a.tif"
    Image.fromarray(image).save(path, compression="tiff_lzw")
    for eager_bytes in (0, 10**9):
        if importlib.util.find_spec("imagecodecs"):
            array = read_image(path, eager_bytes=eager_bytes).array
            np.testing.assert_array_equal(np.asarray(array), image)
        else:
            with pytest.raises(FileError, match="pip install imagecodecs"):
                read_image(path, eager_bytes=eager_bytes)


@pytest.mark.parametrize(
    ("mode", "shape", "axes"),
    [("L", (8, 9), "YX"), ("RGB", (8, 9, 3), "YXC"), ("1", (8, 9), "YX"), ("I;16", (8, 9), "YX")],
)
def test_png_modes(tmp_path: Path, mode: str, shape: Any, axes: str) -> None:
    dtype = {"1": bool, "I;16": np.uint16}.get(mode, np.uint8)
    image = (pixels(shape, np.uint16) % 2).astype(dtype)
    Image.fromarray(image).save(tmp_path / "a.png", dpi=(72, 72))
    back = read_image(tmp_path / "a.png")
    assert (back.axes, back.array.dtype, back.pixel_size) == (axes, dtype, None)
    np.testing.assert_array_equal(back.array, image)


def test_only_an_opaque_alpha_channel_is_dropped(tmp_path: Path) -> None:
    image = pixels((8, 9, 4), np.uint8)
    image[..., 3] = 255
    Image.fromarray(image).save(tmp_path / "opaque.png")
    np.testing.assert_array_equal(read_image(tmp_path / "opaque.png").array, image[..., :3])
    image[0, 0, 3] = 254
    Image.fromarray(image).save(tmp_path / "holes.png")
    np.testing.assert_array_equal(read_image(tmp_path / "holes.png").array, image)
    grey = Image.fromarray(image[..., 0])
    grey.putalpha(255)
    grey.save(tmp_path / "grey.png")
    back = read_image(tmp_path / "grey.png")
    assert back.axes == "YX"
    np.testing.assert_array_equal(back.array, image[..., 0])


def test_palettes_become_colours_or_grey(tmp_path: Path) -> None:
    index = np.arange(16, dtype=np.uint8).reshape(4, 4)
    for name, scale in (("grey", (2, 2, 2)), ("green", (0, 2, 0))):
        picture = Image.fromarray(index)
        picture.putpalette([value * s for value in range(128) for s in scale], "RGB")
        assert picture.mode == "P"
        picture.save(tmp_path / f"{name}.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png").array, index * 2)
    green = read_image(tmp_path / "green.png")
    assert green.axes == "YXC"
    np.testing.assert_array_equal(green.array[..., 1], index * 2)


def test_jpeg(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 9, 3), 100, np.uint8)).save(tmp_path / "a.jpg")
    Image.fromarray(np.full((8, 9), 100, np.uint8)).save(tmp_path / "b.JPEG")
    colour, grey = read_image(tmp_path / "a.jpg"), read_image(tmp_path / "b.JPEG")
    assert (colour.axes, colour.array.shape) == ("YXC", (8, 9, 3))
    assert (grey.axes, grey.array.shape) == ("YX", (8, 9))
    assert abs(grey.array.astype(int) - 100).max() <= 2


def test_deep_colour_png_is_refused_instead_of_losing_bits(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header
    )
    with pytest.raises(FileError, match="16 bits"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("eager_bytes", [0, 10**9])
def test_npy(tmp_path: Path, order: Any, eager_bytes: int) -> None:
    image = np.asarray(pixels((3, 4, 5), np.uint16).astype(">u2"), order=order)
    np.save(tmp_path / "a.npy", image)
    back = read_image(tmp_path / "a.npy", eager_bytes=eager_bytes)
    assert (back.axes, back.pixel_size, back.array.dtype.isnative) == (None, None, True)
    np.testing.assert_array_equal(np.asarray(back.array), image)
    np.save(tmp_path / "b.npy", image[0])
    assert read_image(tmp_path / "b.npy").axes == "YX"


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("unit", ["micrometer", "nanometer", None])
def test_ome_zarr(tmp_path: Path, version: str, unit: str | None) -> None:
    image = pixels((2, 3, 16, 16), np.uint16)
    path = tmp_path / "a.ome.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    group.create_array("0", data=image, chunks=(1, 1, 8, 8))
    group.create_array("1", data=image[..., ::2, ::2])
    space: dict[str, Any] = {"type": "space"} | ({"unit": unit} if unit else {})
    multiscales = [{
        "version": version,
        "axes": [{"name": "c", "type": "channel"}, *({"name": a, **space} for a in "zyx")],
        "datasets": [
            {"path": str(level), "coordinateTransformations": [
                {"type": "scale", "scale": [1, 3.0, 0.5 * 2**level, 0.25 * 2**level]}]}
            for level in range(2)
        ],
        "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 2, 2]}],
    }]  # fmt: skip
    group.attrs.update(
        {"multiscales": multiscales} if version == "0.4"
        else {"ome": {"version": "0.5", "multiscales": multiscales}}
    )  # fmt: skip
    back = read_image(path)
    assert back.axes == "CZYX"
    scale = {"micrometer": 1.0, "nanometer": 1e-3}.get(unit or "")
    expected = None if scale is None else pytest.approx((3 * scale, 1.0 * scale, 0.5 * scale))
    assert back.pixel_size == expected
    assert isinstance(back.array, LazyArray)
    assert back.array.chunks == (1, 1, 8, 8)
    np.testing.assert_array_equal(back.array[1, :, 4:9], image[1, :, 4:9])


@pytest.mark.parametrize(
    ("names", "axes"), [(["z", "y", "x"], "ZYX"), (None, None), (["a", "y", "x"], None)]
)
def test_zarr_arrays(tmp_path: Path, names: Any, axes: str | None) -> None:
    image = pixels((3, 8, 9), np.int16)
    array = zarr.create_array(
        tmp_path / "any", shape=image.shape, dtype=image.dtype, dimension_names=names
    )
    array[...] = image
    back = read_image(tmp_path / "any")
    assert (back.axes, back.pixel_size) == (axes, None)
    np.testing.assert_array_equal(np.asarray(back.array), image)


def test_a_zarr_group_without_an_image_names_what_is_inside(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    for name in ("left", "right"):
        group.create_array(name, data=np.zeros((2, 2)))
    with pytest.raises(FileError, match="left, right"):
        read_image(tmp_path / "a.zarr")


# ------------------------------------------------------------------------------ lazy arrays


@st.composite
def basic_indices(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    parts: list[Any] = [draw(st.integers(-n, n - 1) | st.slices(n)) for n in shape]
    first, last = sorted(draw(st.tuples(*[st.integers(0, len(shape))] * 2)))
    parts = [*parts[:first], Ellipsis, *parts[last:]] if draw(st.booleans()) else parts[:first]
    return parts[0] if len(parts) == 1 and draw(st.booleans()) else tuple(parts)


@settings(max_examples=50)
@given(data=st.data())
def test_lazy_arrays_index_like_numpy(folder: Path, data: st.DataObject) -> None:
    image = pixels((1, 3, 4, 5), np.uint16)
    order = data.draw(st.permutations([1, 2, 3]))
    lazy = LazyArray(folder, image, order)
    shown = image[0].transpose([axis - 1 for axis in order])
    index = data.draw(basic_indices(shown.shape))
    found, expected = lazy[index], shown[index]
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("index", [9, (0, 0, 0), [0, 1], None, (Ellipsis, Ellipsis), 1.5])
def test_wrong_indices_are_index_errors(index: Any) -> None:
    with pytest.raises(IndexError):
        LazyArray(Path("a"), np.zeros((3, 4)))[index]


def test_chunks_of_an_uncompressed_stack_are_its_planes(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, shape=(3, 1500, 1000), dtype=np.uint16, imagej=True,
                     metadata={"axes": "ZYX"})  # fmt: skip
    array = read_image(path, eager_bytes=0).array
    assert isinstance(array, LazyArray)
    assert array.chunks == (1, 1500, 1000)


def test_lazy_arrays_feed_dask(tmp_path: Path) -> None:
    import dask.array as da

    image = pixels((4, 32, 32), np.uint16)
    path = write_image(tmp_path / "a.tif", image, axes="ZYX")
    lazy = da.from_array(read_image(path, eager_bytes=0).array, chunks=(2, 16, 16))
    assert int(lazy.sum().compute(scheduler="threads")) == int(image.sum())


def test_a_closed_array_says_so(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.tif", pixels((4, 32, 32), np.uint16), axes="ZYX")
    array = read_image(path, eager_bytes=0).array
    assert isinstance(array, LazyArray)
    array.close()
    with pytest.raises(FileError, match="closed"):
        array[0]


def test_a_part_is_read_without_the_rest_and_damage_is_named(tmp_path: Path) -> None:
    image = pixels((4, 64, 64), np.uint16)
    path = write_image(tmp_path / "a.tif", image, axes="ZYX")
    with tifffile.TiffFile(path) as tif:
        start, count = tif.pages[3].dataoffsets[0], tif.pages[3].databytecounts[0]
    content = bytearray(path.read_bytes())
    content[start : start + count] = b"\xff" * count
    path.write_bytes(content)
    lazy = read_image(path, eager_bytes=0).array
    np.testing.assert_array_equal(lazy[:3], image[:3])
    with pytest.raises(FileError, match=r"a\.tif is damaged"):
        lazy[3]
    with pytest.raises(FileError, match="damaged"):
        read_image(path)


# ----------------------------------------------------------------------------- damaged files


def _damaged_sources(folder: Path) -> list[Path]:
    image = pixels((4, 16, 16), np.uint16)
    ours = [
        write_image(folder / name, image, axes="ZYX")
        for name in ("ours.tif", "ours.ome.tif", "ours.npy")
    ]
    ours += [write_image(folder / "plain.tif", image.astype(np.int32), axes="ZYX")]
    ours += [write_image(folder / "ours.png", image[0], axes="YX")]
    tifffile.imwrite(folder / "ij.tif", image, imagej=True, metadata={"axes": "ZYX"})
    tifffile.imwrite(folder / "shaped.tif", image, photometric="minisblack")
    tifffile.imwrite(folder / "pages.tif", image, photometric="minisblack", metadata=None)
    tifffile.imwrite(
        folder / "big.tif", image, photometric="minisblack", bigtiff=True, tile=(16, 16)
    )
    others = [folder / name for name in ("ij.tif", "shaped.tif", "pages.tif", "big.tif")]
    return ours + others


def try_to_read(path: Path, eager_bytes: int = 10**9) -> tuple[np.ndarray | None, str]:
    """The pixels, or what the FileError says."""
    try:
        return np.asarray(read_image(path, eager_bytes=eager_bytes).array), ""
    except FileError as error:
        return None, str(error)


def test_a_file_cut_anywhere_is_refused_or_whole(tmp_path: Path) -> None:
    refused = 0
    for source in _damaged_sources(tmp_path):
        content = source.read_bytes()
        whole = np.asarray(read_image(source).array)
        cut = tmp_path / f"cut_{source.name}"
        for size in [*np.linspace(1, len(content) - 1, 25).astype(int), len(content) - 2]:
            cut.write_bytes(content[:size])
            for eager_bytes in (0, 10**9):
                back, refusal = try_to_read(cut, eager_bytes)
                if back is None:
                    assert cut.name in refusal
                    refused += 1
                else:
                    np.testing.assert_array_equal(back, whole)
    assert refused > 300


@settings(max_examples=30)
@given(data=st.data())
def test_flipped_bytes_raise_no_other_errors(folder: Path, data: st.DataObject) -> None:
    sources = _damaged_sources(folder) if not (folder / "big.tif").exists() else None
    names = ["ours.tif", "ours.ome.tif", "ours.npy", "ours.png", "ij.tif", "shaped.tif", "big.tif"]
    assert sources is None or len(sources) >= len(names)
    name = data.draw(st.sampled_from(names))
    content = bytearray((folder / name).read_bytes())
    for place in data.draw(st.lists(st.integers(0, 400), min_size=1, max_size=4)):
        content[place] ^= data.draw(st.integers(1, 255))
    path = folder / f"flipped_{name}"
    path.write_bytes(content)
    back, refusal = try_to_read(path)
    assert back is not None or path.name in refusal
    assert "\n" not in refusal


@pytest.mark.parametrize(("planes", "last", "back"), [(3, 0, 0), (150, 149, 120)])
def test_a_list_of_planes_that_runs_in_a_circle(
    tmp_path: Path, planes: int, last: int, back: int
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((planes, 8, 8), np.uint8), metadata=None, byteorder="<",
                     photometric="minisblack")  # fmt: skip
    with tifffile.TiffFile(path) as tif:
        place, target = tif.pages[last].offset, tif.pages[back].offset
    content = bytearray(path.read_bytes())
    (entries,) = struct.unpack_from("<H", content, place)
    struct.pack_into("<I", content, place + 2 + 12 * entries, target)
    path.write_bytes(content)
    with pytest.raises(FileError, match="in a circle"):
        read_image(path)


@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"compression": "zlib"}])
def test_planes_larger_than_what_is_stored_are_not_filled_with_zeros(
    tmp_path: Path, options: Any
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((16, 16), np.uint8), metadata=None, byteorder="<", **options)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        for name in ("ImageWidth", "ImageLength"):
            tif.pages[0].tags[name].overwrite(60000)
    for eager_bytes in (0, 10**12):
        with pytest.raises(FileError, match="truncated or damaged"):
            read_image(path, eager_bytes=eager_bytes)


def test_truncated_files_say_so_without_log_noise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((9, 64, 64), np.uint16), imagej=True, metadata={"axes": "ZYX"})
    path.write_bytes(path.read_bytes()[:20000])
    filters = list(tifffile.logger().filters)
    with caplog.at_level(logging.DEBUG), pytest.raises(FileError, match="truncated"):
        read_image(path)
    assert [record for record in caplog.records if record.name == "tifffile"] == []
    assert tifffile.logger().filters == filters


def test_a_missing_part_of_an_ome_set_is_not_read_as_zeros(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, np.ones((4, 8, 8), np.uint8), metadata={"axes": "ZYX"},
                     photometric="minisblack")  # fmt: skip
    content = path.read_bytes()
    assert b'PlaneCount="4"' in content
    path.write_bytes(content.replace(b'PlaneCount="4"', b'PlaneCount="3"'))
    with pytest.raises(FileError, match="1 of 4 planes are missing"):
        read_image(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.tif", None, "does not exist"),
        ("a.tif", b"", "0 bytes"),
        ("a.tif", b"II*\0", "damaged"),
        ("a.tif", b"hello, world", "no TIFF"),
        ("a.png", b"hello, world", "no PNG"),
        ("a.jpg", b"\xff\xd8\xff\xe0abc", "damaged"),
        ("a.npy", b"hello, world", "npy"),
        ("a.czi", b"ZISRAWFILE", "OME-TIFF"),
        ("a", b"II*\0", "cannot be read"),
        ("a.zarr", b"a file", "cannot be read"),
        ("a.tif/b.tif", None, "does not exist"),
    ],
)
def test_what_is_no_image_is_named(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError) as caught:
        read_image(tmp_path / name)
    message = str(caught.value)
    assert words in message
    assert str(tmp_path / name) in message
    assert message.endswith(".")
    assert "\n" not in message


def test_pickles_structures_and_vectors_are_no_images(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for array in (
        np.array([{"a": 1}], object),
        np.zeros((2, 2), [("a", int)]),
        np.array([["a"]]),
        np.zeros(5),
        np.zeros((0, 5)),
    ):
        np.save(path, array, allow_pickle=True)
        with pytest.raises(FileError, match=r"a\.npy"):
            read_image(path)


def test_a_folder_and_a_damaged_zarr_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is a folder"):
        read_image(tmp_path)
    broken = tmp_path / "a.zarr"
    broken.mkdir()
    (broken / "zarr.json").write_text("{")
    with pytest.raises(FileError, match="damaged"):
        read_image(broken)


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_image(tmp_path / "a.tif", np.zeros((2, 2), np.uint8), axes="YX")

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything, so pretend
    with pytest.raises(FileError, match="may not be read"):
        read_image(path)


# ---------------------------------------------------------------------------- atomic writes


def _write_and_fail(path: Path, error: type[BaseException]) -> None:
    with atomic_path(path) as part:
        part.write_text("new")
        raise error


def names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_failed_write_keeps_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error):
            _write_and_fail(path, error)
        assert path.read_text() == "old"
        assert names_in(tmp_path) == ["a.txt"]
    with atomic_path(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names_in(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EIO, "cannot be written")],
)
def test_a_failing_disk_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    def fail(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(FileError, match=words):
        write_labels(tmp_path / "a.tif", np.ones((4, 4), int), axes="YX", record={"a": 1})
    assert names_in(tmp_path) == []


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write to read-only folders"
)
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(FileError, match="read-only"):
            write_labels(tmp_path / "a.tif", np.ones((4, 4), int), axes="YX")
    finally:
        tmp_path.chmod(0o755)


def test_parents_are_made_and_wrong_ones_named(tmp_path: Path) -> None:
    labels = np.ones((4, 4), int)
    path = write_labels(tmp_path / "new" / "deep" / "a.tif", labels, axes="YX")
    assert path.is_file()
    with pytest.raises(FileError, match="not a folder"):
        write_labels(path / "b.tif", labels, axes="YX")
    (tmp_path / "c.tif").mkdir()
    with pytest.raises(FileError, match="is a folder"):
        write_labels(tmp_path / "c.tif", labels, axes="YX")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_written_files_follow_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        path = write_labels(tmp_path / "a.tif", np.ones((4, 4), int), axes="YX")
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_failing_source_leaves_neither_image_nor_record(tmp_path: Path) -> None:
    class Source:
        shape, dtype = (3, 4, 4), np.dtype(np.float32)

        def __getitem__(self, index: Any) -> np.ndarray:
            if index[0] == 2:
                raise FileError("the source is damaged.")
            return np.zeros((4, 4), np.float32)

    with pytest.raises(FileError, match="source"):
        write_image(tmp_path / "a.tif", Source(), axes="ZYX", record={})
    assert names_in(tmp_path) == []


# -------------------------------------------------------------------------------- run records


class Colour(enum.Enum):
    RED = "red"


class Settings(BaseModel):
    tile: int = 128
    gain: float = float("nan")


def test_records_hold_what_runs_are_made_of(tmp_path: Path) -> None:
    path = write_record(
        tmp_path / "cells_labels.tif",
        {
            "tile": (256, np.int64(128)),
            "limits": np.array([0.5, 2.0], np.float32),
            "score": np.float32(0.25),
            "nothing": float("nan"),
            "dtype": np.dtype("uint16"),
            "flag": np.bool_(True),
            "file": Path("in") / "a.tif",
            "time": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
            "colour": Colour.RED,
            "took": dt.timedelta(minutes=1.5),
            "settings": Settings(),
            "axes": {"X"},
            "µm": MappingProxyType({"x": np.float32(0.5)}),
            3: "three",
        },
    )
    assert path == tmp_path / "cells_labels.json"
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "tile": [256, 128],
        "limits": [0.5, 2.0],
        "score": 0.25,
        "nothing": None,
        "dtype": "uint16",
        "flag": True,
        "file": str(Path("in") / "a.tif"),
        "time": "2026-01-02T03:04:05Z",
        "colour": "red",
        "took": 90.0,
        "settings": {"tile": 128, "gain": None},
        "axes": ["X"],
        "µm": {"x": 0.5},
        "3": "three",
    }


def test_a_record_that_cannot_be_written_stops_the_image_too(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="object"):
        write_labels(tmp_path / "a.tif", np.ones((2, 2), int), axes="YX", record={"a": object()})
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("output", "record"),
    [
        ("a.tif", "a.json"),
        ("a.ome.tif", "a.ome.json"),
        ("a.b.png", "a.b.json"),
        ("a.zarr", "a.json"),
    ],
)
def test_record_paths(output: str, record: str) -> None:
    assert record_path(Path("out") / output) == Path("out") / record


def test_the_record_lies_beside_the_labels(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.ome.tif", np.ones((2, 2), int), axes="YX", record={"model": "m"})
    assert names_in(tmp_path) == ["a.ome.json", "a.ome.tif"]
    record = json.loads((tmp_path / "a.ome.json").read_text())
    data = (tmp_path / "a.ome.tif").read_bytes()
    known = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert record == {"model": "m", "file": known}


def test_a_record_beside_another_file_is_noticed(tmp_path: Path) -> None:
    path, record = tmp_path / "a.tif", {"operation": "segment", "model": {"name": "m"}}
    labels = np.ones((9, 9), int)
    write_labels(path, labels, axes="YX", record=record)
    found = find_record(read_image(path))
    assert found is not None
    assert found["model"] == {"name": "m"}
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for file in (path, record_path(path)):  # a copy is the same file
        shutil.copy(file, moved / file.name)
    assert find_record(read_image(moved / "a.tif")) == found
    write_labels(path, labels * 2, axes="YX")  # by hand, or by a run that was killed then
    assert find_record(read_image(path)) == {"operation": "segment", "stale": True}


@pytest.mark.process
def test_a_kill_between_two_names_leaves_no_record_of_other_labels(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
import numpy as np
from napari_unet.io import write_labels
path, steps = Path(sys.argv[1]), int(sys.argv[2])
write_labels(path, np.ones((9, 9), int), axes="YX", record={"operation": "segment", "run": 1})
replace = Path.replace
def dying(self, target):
    global steps
    steps -= 1
    if steps < 0:
        os.kill(os.getpid(), 9)
    return replace(self, target)
Path.replace = dying
write_labels(path, np.full((9, 9), 2), axes="YX", record={"operation": "segment", "run": 2})
"""
    seen = []
    for steps in range(3):
        path = tmp_path / f"{steps}.tif"
        subprocess.run([sys.executable, "-c", code, str(path), str(steps)], check=False)
        found = find_record(read_image(path))
        assert found is not None
        value = int(np.asarray(read_image(path).array).max())
        assert found.get("run") == value or found.get("stale") is True
        seen.append(found.get("run"))
    assert seen == [1, None, 2]


@pytest.mark.process
def test_importing_io_is_light() -> None:
    code = (
        "import sys, napari_unet.io; "
        "print([m for m in ('torch', 'napari', 'zarr', 'tifffile', 'PIL') if m in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert result.stdout.strip() == "[]"


# axes that a file declares for an array that another program has read


def test_a_file_says_the_axes_of_what_was_read_from_it(tmp_path: Path) -> None:
    series = np.zeros((3, 2, 16, 24), np.uint8)
    tifffile.imwrite(tmp_path / "ij.tif", series, imagej=True, metadata={"axes": "TCYX"})
    tifffile.imwrite(tmp_path / "a.ome.tif", series, metadata={"axes": "ZCYX"})
    tifffile.imwrite(tmp_path / "plain.tif", series)
    write_image(tmp_path / "ours.tif", series, axes="CTYX")
    store = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    store.create_array("0", shape=series.shape, dtype="u1", chunks=series.shape)
    axes = [{"name": "z"}, {"name": "c"}, {"name": "y"}, {"name": "x"}]
    image = {"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}
    store.attrs["multiscales"] = [image]
    found = {
        path.name: declared_axes(path, tifffile.imread(path).shape)
        for path in tmp_path.glob("*.tif")
    }
    # ours is read by others as it is stored, which is not the order that it declares
    assert found == {"ij.tif": "TCYX", "a.ome.tif": "ZCYX", "plain.tif": None, "ours.tif": "TCYX"}
    assert declared_axes(tmp_path / "a.zarr", series.shape) == "ZCYX"
    assert declared_axes(tmp_path / "a.zarr", (3, 16, 24)) == "ZYX"  # one of its channels
    assert declared_axes(tmp_path / "ij.tif", (3, 2, 16, 25)) is None
    assert declared_axes(tmp_path / "ij.tif", (16, 24)) is None


def test_a_file_that_says_nothing_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "broken.tif").write_bytes(b"II*\0 and nothing of sense")
    (tmp_path / "folder").mkdir()
    for path in (None, "", "https://example.org/a.tif", tmp_path / "gone.tif"):
        assert declared_axes(path, (3, 16, 16)) is None
    for path in (tmp_path / "broken.tif", tmp_path / "folder", tmp_path):
        assert declared_axes(path, (3, 16, 16)) is None


def test_a_file_that_was_written_anew_is_asked_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for axes in ("TYX", "ZYX"):
        tifffile.imwrite(path, np.zeros((5, 16, 16), "u1"), imagej=True, metadata={"axes": axes})
        os.utime(path, ns=(0, {"TYX": 10**9, "ZYX": 2 * 10**9}[axes]))
        assert declared_axes(path, (5, 16, 16)) == axes


@pytest.mark.parametrize("options", [{}, {"ome": True}, {"imagej": True}, {"metadata": None}])
@pytest.mark.parametrize("channels", [2, 5])
def test_channels_behind_the_pixels_are_no_columns(
    tmp_path: Path, options: dict[str, Any], channels: int
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((128, 192, channels), np.uint8), **options)
    assert read_image(tmp_path / "a.tif").axes is None
    assert declared_axes(tmp_path / "a.tif", (128, 192, channels)) is None
    # who names the axes is believed
    written = write_image(tmp_path / "b.tif", np.zeros((128, 192, channels)), axes="ZYX")
    assert read_image(written).axes == "ZYX"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_called_one(tmp_path: Path) -> None:
    from napari_unet.io import read_labels

    for ending in (".tif", ".png", ".npy", ".zip"):
        pipe = tmp_path / f"a{ending}"
        os.mkfifo(pipe)  # to open one waits for a writer, for ever
        with pytest.raises(FileError, match="a pipe or a device"):
            read_labels(pipe, read_image(_plain_tiff(tmp_path)))
        if ending != ".zip":
            with pytest.raises(FileError, match="a pipe or a device"):
                read_image(pipe)


def _plain_tiff(folder: Path) -> Path:
    tifffile.imwrite(folder / "plain.tif", np.zeros((8, 9), np.uint8), metadata=None)
    return folder / "plain.tif"


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b"</Pixels>", b"</Pixelz>"),
        (b"<Image", b"<<mage"),
        (b'SizeZ="3"', b'SizeZ="x"'),
        (b"Dimension", b"Dimen&ion"),
    ],
)
def test_pixels_with_broken_ome_metadata_are_read_and_it_is_told(
    tmp_path: Path, good: bytes, bad: bytes
) -> None:
    path = tmp_path / "a.ome.tif"
    stack = np.arange(3 * 32 * 40, dtype=np.uint16).reshape(3, 32, 40)
    tifffile.imwrite(path, stack, ome=True, metadata={"axes": "ZYX", "PhysicalSizeX": 0.5})
    raw = path.read_bytes()
    assert good in raw
    path.write_bytes(raw.replace(good, bad))
    file = read_image(path)
    np.testing.assert_array_equal(file.array, stack)
    assert (file.axes, file.pixel_size) == (None, None)
    assert [note.code for note in file.notes] == ["metadata-damaged"]
    assert declared_axes(path, stack.shape) is None


def test_a_scale_without_a_unit_is_told_and_kept(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    for level, (size, shape) in enumerate(((0.5, (16, 20)), (1.0, (8, 10)))):
        group.create_array(str(level), data=np.zeros(shape, np.uint8))
        step = {"type": "scale", "scale": [size, size]}
        described = {"path": str(level), "coordinateTransformations": [step]}
        group.attrs[str(level)] = described
    axes = [{"name": n, "type": "space", "unit": "pixel"} for n in "yx"]
    datasets = [group.attrs["0"], group.attrs["1"]]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    file = read_image(tmp_path / "a.zarr")
    assert (file.pixel_size, dict(file.unitless_size)) == (None, {"Y": 0.5, "X": 0.5})
    assert "0.5 along Y, 0.5 along X in a unit 'pixel' that is no length" in str(file.notes[0])
    coarse = read_image(tmp_path / "a.zarr" / "1")
    assert (coarse.pixel_size, coarse.unitless_size, coarse.notes) == (None, {}, ())
