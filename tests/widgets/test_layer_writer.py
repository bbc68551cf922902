"""Layers saved by the viewer's own commands, and read back."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Shapes
from npe2 import PluginManager, PluginManifest, io_utils

import napari_unet
from napari_unet.errors import FileError, InputError
from napari_unet.io import read_image
from napari_unet.samples import load_sample
from napari_unet.widgets.annotation.painting import new_labels
from napari_unet.widgets.layer_writer import write_image_layer, write_labels_layer
from napari_unet.widgets.viewer.layer_image import RECORD_KEY, LayerImage

PLUGIN = "napari-unet-torch"
MANIFEST = Path(napari_unet.__file__).with_name("napari.yaml")
SHAPES = {2: (30, 20), 3: (4, 30, 20), 4: (2, 4, 30, 20), 5: (3, 2, 4, 30, 20)}
AXES = {2: "YX", 3: "ZYX", 4: "TZYX", 5: "TCZYX"}
pytestmark = pytest.mark.usefixtures("plugins")  # most tests do without a window
SMALLEST = ("uint8", "uint16", "int32", "uint32")


def save(layer: Layer, path: Path) -> Any:
    """What is read of a layer that was saved by this plugin."""
    written = layer.save(str(path), plugin=PLUGIN)
    assert written[0] == str(path)
    assert all(Path(name).is_file() for name in written)
    return read_image(path)


def counting(dtype: Any, ndim: int, high: int) -> Any:
    """Labels from 0 to ``high``."""
    labels = np.linspace(0, high, int(np.prod(SHAPES[ndim]))).round().astype(np.int64)
    return labels.reshape(SHAPES[ndim]).astype(dtype)


# Labels


@pytest.mark.parametrize("ending", [".tif", ".ome.tif"])
def test_labels_of_every_type_and_shape(tmp_path: Path, ending: str) -> None:
    cases = [(t, n, 100) for t in ("uint8", "int8", "int64", "uint64") for n in SHAPES]
    cases += [("int32", n, high) for n in SHAPES for high in (9, 300, 70_000)]
    cases += [("uint32", 3, 2**32 - 1)]
    for dtype, ndim, high in cases:
        labels = counting(dtype, ndim, high)
        read = save(Labels(labels), tmp_path / f"labels{ending}")
        np.testing.assert_array_equal(read.array, labels)
        smallest = next(t for t in SMALLEST if high <= np.iinfo(t).max)
        assert read.array.dtype == smallest, (dtype, ndim, high)
        assert read.axes == AXES[ndim]
        assert read.pixel_size is None


UNITS = {"um": 1.0, "nanometer": 1e-3, "mm": 1e3, "pixel": None}


@settings(max_examples=20)
@given(
    axes=st.sampled_from(["YX", "ZYX", "TYX", "TZYX", "CYX", "CZYX", "TCZYX", "XYZ", "YXT"]),
    unit=st.sampled_from(list(UNITS)),
    steps=st.lists(st.integers(1, 50_000).map(lambda n: n / 1000), min_size=5, max_size=5),
    ending=st.sampled_from([".tif", ".ome.tif", ".tiff", ".OME.TIFF"]),
    high=st.sampled_from([9, 70_000]),
    kind=st.sampled_from([Labels, Image]),
)
def test_what_the_layer_says_of_a_pixel_stands_in_the_file(
    axes: str, unit: str, steps: list[float], ending: str, high: int, kind: type[Layer]
) -> None:
    scale = steps[: len(axes)]
    data = counting(np.int32, len(axes), high)
    layer = kind(data, scale=scale, units=unit, axis_labels=tuple(axes.lower()))
    with TemporaryDirectory() as folder:
        read = save(layer, Path(folder, f"layer{ending}"))
    np.testing.assert_array_equal(read.array, data)
    assert read.axes == axes
    length = UNITS[unit]
    if length is None:
        assert read.pixel_size is None
    else:
        spatial = [s * length for s, axis in zip(scale, axes, strict=True) if axis in "ZYX"]
        assert read.pixel_size == pytest.approx(spatial, rel=1e-6)


def test_units_that_are_no_length_leave_their_axis_unknown(tmp_path: Path) -> None:
    layer = Labels(
        counting(np.int32, 3, 9),
        scale=(60, 0.5, 0.25),
        units=("second", "um", "um"),
        axis_labels=("t", "y", "x"),
    )
    assert save(layer, tmp_path / "labels.tif").pixel_size == (0.5, 0.25)
    layer = Labels(counting(np.int32, 3, 9), scale=(2, 0.5, 0.25), units=("pixel", "um", "um"))
    assert save(layer, tmp_path / "labels.ome.tif").pixel_size == (None, 0.5, 0.25)


def test_a_turned_and_stretched_layer_keeps_the_size_of_its_pixels(tmp_path: Path) -> None:
    layer = Labels(
        counting(np.int32, 2, 9),
        scale=(0.5, 0.2),
        rotate=30,
        translate=(7, 8),
        affine=np.diag([2.0, 2.0, 1.0]),
        units="um",
    )
    assert save(layer, tmp_path / "labels.tif").pixel_size == pytest.approx((1.0, 0.4))


@pytest.mark.parametrize("recorded", ["TYX", "TCYX"])
def test_a_result_has_the_axes_of_its_run(tmp_path: Path, recorded: str) -> None:
    record = {"axes": recorded, "model": {"name": "nuclei"}}
    layer = Labels(counting(np.int32, 3, 300), metadata={RECORD_KEY: record})
    path = tmp_path / "labels.ome.tif"
    assert layer.save(str(path), plugin=PLUGIN) == [str(path), str(tmp_path / "labels.ome.json")]
    assert read_image(path).axes == "TYX"
    written = json.loads((tmp_path / "labels.ome.json").read_text())
    assert written.pop("file")["bytes"] > 0
    assert written == record
    # what the user has named goes before it
    layer.axis_labels = ("z", "y", "x")
    assert save(layer, path).axes == "ZYX"


@pytest.mark.parametrize("kind", [Labels, Image])
def test_a_result_beside_channels_is_written_without_them(
    tmp_path: Path, kind: type[Layer]
) -> None:
    image = Image(np.zeros((3, 2, 20, 30)), scale=(1, 1, 0.5, 0.25), units="um")
    placement = LayerImage.of(image).placement("TCYX")
    data = np.arange(3 * 20 * 30, dtype=np.int32).reshape(3, 20, 30)
    layer = kind(placement.lay(data), metadata={RECORD_KEY: {"axes": "TCYX"}}, **placement)
    for names in (None, ("t", "c", "y", "x")):  # also where the layer names its axes
        layer.axis_labels = names
        read = save(layer, tmp_path / "result.tif")
        assert (read.axes, read.pixel_size) == ("TYX", (0.5, 0.25))
        np.testing.assert_array_equal(read.array, data)


def test_painted_labels_have_the_axes_that_they_were_made_with(tmp_path: Path) -> None:
    viewer = ViewerModel()
    for shape, axes in (((3, 2, 20, 30), "TCYX"), ((3, 20, 30), "TYX"), ((3, 20, 30), "YXC")):
        image = viewer.add_image(np.zeros(shape))
        layer = new_labels(viewer, image, axes)
        read = save(layer, tmp_path / "painted.tif")
        assert read.axes == axes.replace("C", "")
        assert read.array.shape == tuple(n for n, a in zip(shape, axes, strict=True) if a != "C")


def test_an_image_that_names_no_axes_has_those_of_its_file(viewer: Any, tmp_path: Path) -> None:
    series = np.arange(7 * 2 * 20 * 30, dtype=np.uint16).reshape(7, 2, 20, 30)
    tifffile.imwrite(tmp_path / "a.tif", series, imagej=True, metadata={"axes": "TCYX"})
    (layer,) = viewer.open(str(tmp_path / "a.tif"), plugin="napari")
    assert layer._has_default_axis_labels()
    read = save(layer, tmp_path / "copy.tif")
    assert read.axes == "TCYX"
    np.testing.assert_array_equal(read.array, series)
    # and what no file has is no stack of planes that are two pixels wide
    assert save(Image(np.zeros((40, 60, 2))), tmp_path / "copy.ome.tif").axes == "YXC"


def test_without_a_record_there_is_no_file_beside(tmp_path: Path) -> None:
    for metadata in ({}, {RECORD_KEY: None}, {"source": "elsewhere"}):
        layer = Labels(counting(np.int32, 2, 9), metadata=metadata)
        assert layer.save(str(tmp_path / "labels.tif"), plugin=PLUGIN) == [
            str(tmp_path / "labels.tif")
        ]
    assert [file.name for file in tmp_path.iterdir()] == ["labels.tif"]


def test_of_a_multiscale_layer_the_finest_level(tmp_path: Path) -> None:
    fine = counting(np.int32, 3, 300)
    for kind in (Labels, Image):
        layer = kind([fine, fine[:, ::2, ::2]], multiscale=True, scale=(2, 0.5, 0.5), units="um")
        read = save(layer, tmp_path / "layer.tif")
        np.testing.assert_array_equal(read.array, fine)
        assert read.pixel_size == (2, 0.5, 0.5)


def test_a_layer_is_read_plane_by_plane(tmp_path: Path) -> None:
    shapes: list[tuple[int, ...]] = []

    def seen(block: Any) -> Any:
        if block.size:  # Dask tries the function on nothing first
            shapes.append(block.shape)
        return block

    labels = counting(np.int32, 3, 300)
    layer = Labels(da.from_array(labels, chunks=(1, 30, 20)).map_blocks(seen, dtype=np.int32))
    shapes.clear()
    np.testing.assert_array_equal(save(layer, tmp_path / "labels.tif").array, labels)
    assert len(shapes) == 2 * len(labels)  # once for the largest label, once to write
    assert set(shapes) == {(1, 30, 20)}


# Images


@pytest.mark.parametrize("ending", [".tif", ".ome.tif"])
def test_images_of_every_type(tmp_path: Path, ending: str) -> None:
    types = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
    if ending == ".tif":
        types += ["int64", "uint64", "float16"]
    for dtype in types:
        for ndim in (2, 4):
            image = counting(dtype, ndim, 120)
            read = save(Image(image), tmp_path / f"image{ending}")
            np.testing.assert_array_equal(read.array, image)
            assert read.array.dtype == dtype
            assert read.axes == AXES[ndim]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("ending", [".tif", ".ome.tif"])
def test_colours_are_an_axis(tmp_path: Path, dtype: str, ending: str) -> None:
    for shape in [(30, 20, 3), (30, 20, 4), (5, 30, 20, 3), (2, 5, 30, 20, 3)]:
        image = np.random.default_rng(0).random(shape).astype(np.float32)
        if dtype != "float32":
            image = (image * np.iinfo(dtype).max).astype(dtype)
        ndim = len(shape) - 1
        layer = Image(image, rgb=True, scale=(0.5,) * ndim, units="um")
        read = save(layer, tmp_path / f"image{ending}")
        np.testing.assert_array_equal(read.array, image)
        assert read.array.dtype == dtype
        assert read.axes == AXES[ndim] + "C"
        assert read.pixel_size == (0.5,) * (2 if ndim == 2 else 3)


def test_a_sample_survives_the_way_through_a_file(viewer: Any, tmp_path: Path) -> None:
    for name in ("histology", "time_series"):
        (layer,) = viewer.open_sample(PLUGIN, name)
        read = save(layer, tmp_path / f"{name}.ome.tif")
        np.testing.assert_array_equal(read.array, load_sample(name).image)
        assert read.axes == load_sample(name).axes


# The viewer's commands


def test_the_layer_list_saves_ome_tiff_with_this_plugin(viewer: Any, tmp_path: Path) -> None:
    data = counting(np.int32, 3, 300)
    for kind in ("add_labels", "add_image"):
        viewer.layers.clear()
        getattr(viewer, kind)(data, scale=(2, 0.5, 0.5), units="um", axis_labels=("z", "y", "x"))
        path = tmp_path / f"{kind}.ome.tif"
        assert viewer.layers.save(str(path)) == [str(path)]
        read = read_image(path)
        np.testing.assert_array_equal(read.array, data)
        assert (read.axes, read.pixel_size) == ("ZYX", (2, 0.5, 0.5))
        assert viewer.layers.save(str(tmp_path / f"{kind}.tif"), plugin=PLUGIN)
        assert read_image(tmp_path / f"{kind}.tif").pixel_size == (2, 0.5, 0.5)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Answers the dialog of File > Save Selected Layers with a path and this plugin's filter."""
    from qtpy.QtWidgets import QFileDialog

    def answers(path: Path) -> None:
        def choose(*_: Any, filter: str, **__: Any) -> tuple[str, str]:  # noqa: A002
            own = next(entry for entry in filter.split(";;") if entry.startswith("U-Net"))
            assert "pixel size" in own
            return str(path), own

        monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)

    return answers


def from_the_menu() -> None:
    from napari._app_model import get_app_model

    command = "napari.window.file.save_layers_dialog.selected"
    get_app_model().commands.execute_command(command).result()


def test_from_the_menu_to_a_file(
    viewer: Any, tmp_path: Path, answer: Callable[[Path], None]
) -> None:
    labels = viewer.add_labels(counting(np.int32, 2, 300), scale=(0.5, 0.5), units="um")
    answer(tmp_path / "cells.tif")
    from_the_menu()
    assert read_image(tmp_path / "cells.tif").pixel_size == (0.5, 0.5)
    # the dialog has asked whether to replace it
    labels.data = labels.data * 2
    from_the_menu()
    assert read_image(tmp_path / "cells.tif").array.max() == 600
    assert [file.name for file in tmp_path.iterdir()] == ["cells.tif"]


def test_a_name_without_an_ending_gets_one(
    viewer: Any, tmp_path: Path, answer: Callable[[Path], None]
) -> None:
    labels = viewer.add_labels(counting(np.int32, 2, 300))
    for name in ("nuclei labels", "cells 0.5", "plate.A1 labels", "1.2.34"):
        labels.data = counting(np.int32, 2, 300)
        answer(tmp_path / name)
        from_the_menu()
        complete = tmp_path / f"{name}.ome.tif"
        assert read_image(complete).array.max() == 300
        # nobody was asked whether this file may go
        labels.data = labels.data * 2
        with pytest.raises(FileError, match="exists already"):
            from_the_menu()
        assert read_image(complete).array.max() == 300


def test_the_manifest_is_valid_and_takes_one_layer_of_its_kind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "npe2", "validate", str(MANIFEST)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    writers = PluginManifest.from_file(MANIFEST).contributions.writers or []
    assert {tuple(writer.layer_types) for writer in writers} == {("labels",), ("image",)}
    manager = PluginManager.instance()
    for types in (["shapes"], ["points"], ["labels", "labels"], ["image", "labels"]):
        assert PLUGIN not in {w.plugin_name for w in manager.iter_compatible_writers(types)}
    with pytest.warns(UserWarning, match="not a valid writer"):
        assert Shapes([[[0, 0], [9, 9]]]).save(str(tmp_path / "a.tif"), plugin=PLUGIN) == []


def test_layer_data_of_another_program_needs_few_attributes(tmp_path: Path) -> None:
    for data in (counting(np.int32, 3, 300), counting(np.bool_, 2, 1)):
        tuples = [(data, {}, "labels")]
        (path,) = io_utils.write(str(tmp_path / "l.ome.tif"), tuples, plugin_name=PLUGIN)
        np.testing.assert_array_equal(read_image(path).array, data)
    assert write_image_layer(tmp_path / "i.png", counting(np.uint8, 2, 9), {}) == [
        str(tmp_path / "i.png")
    ]


# Faults, in words


def test_what_no_file_can_hold_is_said(tmp_path: Path) -> None:
    faults: list[tuple[Layer, str, str]] = [
        (Labels(np.array([[0, -3], [1, 2]], np.int32)), "a.tif", "-3"),
        (Labels(np.zeros((1, 1, 1, 1, 4, 4), np.int32)), "a.tif", "6 axes.*slice"),
        (
            Image(np.zeros((2, 4, 4, 3), np.uint8), rgb=True, axis_labels=("c", "y", "x")),
            "a.tif",
            "colours and an axis named channel",
        ),
    ]
    for layer, name, words in faults:
        with pytest.raises(InputError, match=words):
            layer.save(str(tmp_path / name), plugin=PLUGIN)
    with pytest.raises(InputError, match="complex64"):
        write_image_layer(tmp_path / "a.tif", np.zeros((4, 4), np.complex64), {})
    with pytest.raises(FileError, match=r"int64.*OME-TIFF"):
        Image(np.zeros((4, 4), np.int64)).save(str(tmp_path / "a.ome.tif"), plugin=PLUGIN)
    with pytest.raises(FileError, match=r"\.xyz.*choose one of"):
        write_labels_layer(tmp_path / "a.xyz", np.zeros((4, 4), np.int32), {})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_said_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "labels.tif"
    layer = Labels(counting(np.int32, 2, 300), metadata={RECORD_KEY: {"axes": "YX"}})
    save(layer, path)
    before = path.read_bytes()
    layer.data = layer.data * 2

    def refuse(*_: Any, **__: Any) -> int:  # also for a user whom permissions do not bind
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with pytest.raises(FileError, match="read-only"):
            layer.save(str(path), plugin=PLUGIN)
    assert path.read_bytes() == before
    with pytest.raises(FileError, match="part of its path is a file"):
        layer.save(str(path / "inside.tif"), plugin=PLUGIN)
