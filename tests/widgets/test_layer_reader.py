"""Files opened by the viewer's own commands: axes, place, channels, labels, records and marks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from napari.layers import Image, Labels, Layer

import napari_unet as nu
from napari_unet.errors import FileError
from napari_unet.io import write_image, write_labels
from napari_unet.widgets.annotation.marks import MARKS_KEY, Marks, marks_of, set_marks
from napari_unet.widgets.layer_reader import get_reader
from napari_unet.widgets.recovery.autosave import Autosave
from napari_unet.widgets.viewer.layer_image import FILE_PART_KEY, RECORD_KEY, LayerImage

pytestmark = [pytest.mark.windowless, pytest.mark.usefixtures("plugins")]
PLUGIN = "napari-unet-torch"
ENDINGS = [".tif", ".ome.tif"]
RECORD = {
    "operation": "segment",
    "model": {"name": "nuclei"},
    "axes": "ZYX",
    "pixel_size": [2, 1, 1],
}
PLACE: dict[str, Any] = {
    "scale": (2, 0.5, 0.25),
    "translate": (3, -4, 5),
    "rotate": 20,
    "units": "um",
    "axis_labels": ("z", "y", "x"),
}


def counting(shape: tuple[int, ...], dtype: Any = np.uint16) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.int64).reshape(shape).astype(dtype)


def reopen(viewer: Any, path: Path) -> list[Layer]:
    found: list[Layer] = viewer.open(str(path), plugin=PLUGIN)
    return found


def assert_same_place(again: Layer, layer: Layer) -> None:
    assert again.units == layer.units
    assert again.axis_labels == layer.axis_labels
    np.testing.assert_allclose(again.scale, layer.scale)
    np.testing.assert_allclose(again.translate, layer.translate)
    for corner in (np.zeros(layer.ndim), np.arange(1, layer.ndim + 1)):
        there = layer.data_to_world(corner)
        np.testing.assert_allclose(again.data_to_world(corner), there)


# What was saved comes back


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int16"])
def test_an_image_comes_back_where_it_lay(
    bare_viewer: Any, tmp_path: Path, ending: str, dtype: str
) -> None:
    layer = bare_viewer.add_image(counting((4, 8, 9), dtype), name="a", **PLACE)
    layer.save(str(tmp_path / f"stack{ending}"), plugin=PLUGIN)
    (again,) = reopen(bare_viewer, tmp_path / f"stack{ending}")
    assert isinstance(again, Image)
    assert again.name == "stack"
    assert again.data.dtype == dtype
    np.testing.assert_array_equal(again.data, layer.data)
    assert_same_place(again, layer)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("record", [None, RECORD])
@pytest.mark.parametrize("highest", [3, 300])
def test_labels_come_back_as_labels_with_their_record(
    bare_viewer: Any, tmp_path: Path, ending: str, record: Any, highest: int
) -> None:
    labels = counting((4, 8, 9), np.int32) % (highest + 1)
    metadata = {} if record is None else {RECORD_KEY: record}
    layer = bare_viewer.add_labels(labels, name="a", metadata=metadata, **PLACE)
    layer.save(str(tmp_path / f"mine{ending}"), plugin=PLUGIN)
    (again,) = reopen(bare_viewer, tmp_path / f"mine{ending}")
    assert isinstance(again, Labels)
    np.testing.assert_array_equal(again.data, labels)
    assert_same_place(again, layer)
    assert again.metadata.get(RECORD_KEY) == record
    again.data_setitem((np.array([1]), np.array([2]), np.array([3])), 7)  # they can be painted
    assert again.data[1, 2, 3] == 7


def test_marks_come_back_with_labels_also_where_a_dock_is_open(
    bare_viewer: Any, tmp_path: Path
) -> None:
    layer = bare_viewer.add_labels(counting((4, 8, 9), np.int32) % 5, **PLACE)
    set_marks(layer, replace(Marks("cells", "ZYX"), done=((0, 2),), background=4))
    layer.save(str(tmp_path / "mine.tif"), plugin=PLUGIN)
    autosave = Autosave(bare_viewer)
    (again,) = reopen(bare_viewer, tmp_path / "mine.tif")
    autosave.close()
    assert marks_of(again) == marks_of(layer)
    assert_same_place(again, layer)
    path = tmp_path / "mine.tif"
    write_labels(path, counting((4, 8, 9), np.int32) % 5 + 70_000, axes="ZYX")  # another file now
    (again,) = reopen(bare_viewer, path)
    assert MARKS_KEY not in again.metadata


def test_labels_beside_channels_come_back_beside_them(bare_viewer: Any, tmp_path: Path) -> None:
    image = bare_viewer.add_image(
        np.zeros((3, 2, 8, 9), np.uint8), axis_labels=("t", "c", "y", "x"), translate=(0, 0, 5, 6)
    )
    placement = LayerImage.of(image).placement("TCYX")
    labels = placement.lay(counting((3, 8, 9), np.int32) % 4)
    layer = bare_viewer.add_labels(labels, metadata={RECORD_KEY: RECORD}, **placement)
    layer.save(str(tmp_path / "movie.tif"), plugin=PLUGIN)
    (again,) = reopen(bare_viewer, tmp_path / "movie.tif")
    assert again.data.shape == (3, 1, 8, 9)
    assert_same_place(again, layer)


@pytest.mark.parametrize("ending", ENDINGS)
def test_colours_stay_one_layer(bare_viewer: Any, tmp_path: Path, ending: str) -> None:
    colours = counting((8, 9, 3), np.uint8)
    layer = bare_viewer.add_image(colours, rgb=True, scale=(0.5, 0.5), units="um")
    layer.save(str(tmp_path / f"a{ending}"), plugin=PLUGIN)
    (again,) = reopen(bare_viewer, tmp_path / f"a{ending}")
    assert again.rgb
    np.testing.assert_array_equal(again.data, colours)
    np.testing.assert_allclose(again.scale, layer.scale)
    assert again.units == layer.units


def test_a_result_on_the_command_line_is_a_prediction(
    bare_viewer: Any, tmp_path: Path, bright_model: Any
) -> None:
    image = np.full((20, 28), 20, np.uint8)
    image[5:12, 4:11] = 200
    path = write_image(tmp_path / "a.tif", image, axes="YX", pixel_size=(0.5, 0.25))
    model = nu.Model.load(bright_model().save(tmp_path / "bright"))
    (result,) = nu.segment_files([path], model, tmp_path)
    (layer,) = reopen(bare_viewer, tmp_path / "a_labels.tif")
    assert isinstance(layer, Labels)
    assert layer.metadata[RECORD_KEY]["model"]["sha256"] == model.sha256
    np.testing.assert_allclose(layer.scale, (0.5, 0.25))
    nu.segment(image, model, axes="YX", pixel_size=(0.5, 0.25), output=tmp_path / "a.zarr")
    (layer,) = reopen(bare_viewer, tmp_path / "a.zarr")
    assert isinstance(layer, Labels)
    assert layer.metadata[RECORD_KEY]["objects"] == 1
    np.testing.assert_allclose(layer.scale, (0.5, 0.25))
    assert result.record is not None


# Files of other programs


def write_ome_zarr(path: Path, image: np.ndarray, axes: str, levels: int = 1, **more: Any) -> None:
    group = zarr.open_group(path, mode="w", zarr_format=2)
    datasets = []
    for level in range(levels):
        step = 2**level
        group.create_array(str(level), data=image[..., ::step, ::step])
        scale = [0.5 * step if a in "yx" else 1.0 for a in axes]
        transforms = [{"type": "scale", "scale": scale}]
        datasets.append({"path": str(level), "coordinateTransformations": transforms})
    kinds = {"c": "channel", "t": "time"}
    named = [
        {"name": a, "type": kinds.get(a, "space")} | ({"unit": "micrometer"} if a in "zyx" else {})
        for a in axes
    ]
    group.attrs.update(
        {"multiscales": [{"version": "0.4", "axes": named, "datasets": datasets}], **more}
    )


@pytest.mark.parametrize("kind", ["ome", "imagej", "zarr"])
def test_channels_become_layers_with_their_names(
    bare_viewer: Any, tmp_path: Path, kind: str
) -> None:
    image = counting((3, 2, 8, 9))
    names = ["DAPI", "GFP"]
    path = tmp_path / {"ome": "a.ome.tif", "imagej": "a.tif", "zarr": "a.zarr"}[kind]
    if kind == "ome":
        metadata = {"axes": "TCYX", "Channel": {"Name": names}, "PhysicalSizeX": 0.5,
                    "PhysicalSizeY": 0.5}  # fmt: skip
        tifffile.imwrite(path, image, metadata=metadata, photometric="minisblack")
    elif kind == "imagej":
        metadata = {"axes": "TCYX", "unit": "um", "Labels": names * 3}
        tifffile.imwrite(path, image, imagej=True, resolution=(2, 2), metadata=metadata)
    else:
        omero = {"channels": [{"label": name} for name in names]}
        write_ome_zarr(path, image, "tcyx", omero=omero)
    layers = reopen(bare_viewer, path)
    assert [layer.name for layer in layers] == names
    for number, layer in enumerate(layers):
        np.testing.assert_array_equal(layer.data, image[:, number])
        np.testing.assert_allclose(layer.scale, (1, 0.5, 0.5))
        assert layer.axis_labels == ("t", "y", "x")
        assert [str(unit) for unit in layer.units] == ["pixel", "micrometer", "micrometer"]
        assert layer.metadata[FILE_PART_KEY] == {"channel": number}


def test_an_unknown_size_stays_unknown(bare_viewer: Any, tmp_path: Path) -> None:
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": -1}
    tifffile.imwrite(tmp_path / "a.ome.tif", counting((3, 8, 9)), metadata=metadata,
                     photometric="minisblack")  # fmt: skip
    (layer,) = reopen(bare_viewer, tmp_path / "a.ome.tif")
    assert LayerImage.of(layer).pixel_size("ZYX") == (None, 0.5, 0.5)


def test_scenes_become_layers_and_thumbnails_do_not(bare_viewer: Any, tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "s.ome.tif", ome=True) as tif:
        for k in range(2):
            tif.write(counting((8, 9)) + k, metadata={"axes": "YX", "Name": f"position {k}"})
    layers = reopen(bare_viewer, tmp_path / "s.ome.tif")
    assert [layer.name for layer in layers] == ["s position 0", "s position 1"]
    assert [layer.data[0, 0] for layer in layers] == [0, 1]
    with tifffile.TiffWriter(tmp_path / "t.tif") as tif:
        tif.write(counting((32, 40))[::4, ::4], metadata=None)
        tif.write(counting((32, 40)), metadata=None)
    (layer,) = reopen(bare_viewer, tmp_path / "t.tif")
    assert layer.data.shape == (32, 40)


def test_labels_of_an_ome_zarr_image_lie_on_it(bare_viewer: Any, tmp_path: Path) -> None:
    path = tmp_path / "i.zarr"
    write_ome_zarr(path, counting((16, 18)), "yx", levels=2)
    zarr.open_group(path / "labels", mode="w", zarr_format=2).attrs["labels"] = ["nuclei"]
    write_ome_zarr(path / "labels" / "nuclei", counting((16, 18), np.uint8) % 9, "yx")
    image, labels = reopen(bare_viewer, path)
    assert isinstance(image, Image)
    assert isinstance(labels, Labels)
    np.testing.assert_allclose(labels.scale, image.scale)
    (labels,) = reopen(bare_viewer, path / "labels" / "nuclei")
    assert isinstance(labels, Labels)
    (level,) = reopen(bare_viewer, path / "1")
    np.testing.assert_allclose(level.scale, (1, 1))


@pytest.mark.parametrize("unit", [None, "micrometer"])
def test_an_ome_zarr_lies_where_it_says(
    bare_viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: str | None
) -> None:
    said: list[str] = []
    monkeypatch.setattr("napari.utils.notifications.show_info", said.append)
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=3)
    group.create_array("0", data=counting((2, 3, 16, 20)))
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": n, "type": "space", **({"unit": unit} if unit else {})} for n in "zyx"]
    steps = [
        {"type": "scale", "scale": [1, 2, 0.5, 0.5]},
        {"type": "translation", "translation": [0, 4, 10, 20]},
    ]
    datasets = [{"path": "0", "coordinateTransformations": steps}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    for layer in reopen(bare_viewer, tmp_path / "a.zarr"):
        np.testing.assert_allclose(layer.scale, (2, 0.5, 0.5))
        np.testing.assert_allclose(layer.translate, (4, 10, 20))
        known = LayerImage.of(layer).pixel_size("ZYX")
        assert known == ((None,) * 3 if unit is None else (2, 0.5, 0.5))
    assert len(said) == (unit is None)
    assert unit or "2 along Z, 0.5 along Y, 0.5 along X without a unit" in said[0]


def write_tiles(path: Path, places: list[dict[str, Any]], size: float | None = 0.5) -> None:
    """Images of several positions, as microscopes write them to an OME-TIFF."""
    with tifffile.TiffWriter(path, ome=True) as tif:
        for number, plane in enumerate(places):
            metadata: dict[str, Any] = {"axes": "YX", "Name": f"tile {number}", "Plane": plane}
            if size is not None:
                unit = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
                metadata |= {"PhysicalSizeX": size, "PhysicalSizeY": size, **unit}
            tif.write(counting((16, 20)), metadata=metadata)


def stage_place(y: float, x: float, unit: str | None = "µm") -> dict[str, Any]:
    units = {} if unit is None else {"PositionXUnit": unit, "PositionYUnit": unit}
    return {"PositionX": x, "PositionY": y, **units}


def test_tiles_lie_where_the_stage_stood(
    bare_viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("napari.utils.notifications.show_info", said.append)
    write_tiles(tmp_path / "a.ome.tif", [stage_place(0.1, -0.02, "mm"), stage_place(100, -10)])
    first, second = reopen(bare_viewer, tmp_path / "a.ome.tif")
    np.testing.assert_allclose(first.translate, (100, -20))
    np.testing.assert_allclose(second.translate, (100, -10))  # where the first one ends
    assert [each for each in said if "where the stage stood" in each] == said
    assert len(said) == 1
    # labels of a tile come back to their place
    labels = np.arange(320, dtype=np.int32).reshape(16, 20)
    place = dict(LayerImage.of(second).placement("YX"))
    layer = bare_viewer.add_labels(labels, name="found", **place)
    layer.save(str(tmp_path / "found.tif"), plugin="napari-unet-torch")
    bare_viewer.layers.clear()
    (again,) = reopen(bare_viewer, tmp_path / "found.tif")
    np.testing.assert_allclose(again.translate, (100, -10))
    np.testing.assert_allclose(again.scale, (0.5, 0.5))


@pytest.mark.parametrize(
    "places",
    [
        [{}, stage_place(0, 10)],  # not of all
        [stage_place(5, 5, None), stage_place(0, 10, None)],  # in a unit that nobody knows
        [stage_place(5, 5), stage_place(5, 5)],  # of one place only
        [stage_place(5, 5), stage_place(0, 1e12)],
        [stage_place(5, float("nan")), stage_place(0, 10)],
        [stage_place(5, 5)],  # a single image: there is nothing beside it
    ],
)
def test_places_of_a_stage_that_are_not_used(
    bare_viewer: Any, tmp_path: Path, places: list[dict[str, Any]]
) -> None:
    write_tiles(tmp_path / "a.ome.tif", places)
    for layer in reopen(bare_viewer, tmp_path / "a.ome.tif"):
        assert not np.any(layer.translate)


def test_large_files_are_not_read(
    bare_viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unet.widgets.layer_reader.EAGER_BYTES", 100)
    image = counting((3, 2, 16, 18))
    write_ome_zarr(tmp_path / "a.zarr", image, "tcyx", levels=2)
    write_image(tmp_path / "a.tif", image, axes="TCYX")
    for name, multiscale in (("a.zarr", True), ("a.tif", False)):
        for number, layer in enumerate(reopen(bare_viewer, tmp_path / name)):
            assert layer.multiscale == multiscale
            data = layer.data[0] if multiscale else layer.data
            assert hasattr(data, "dask")
            np.testing.assert_array_equal(data.compute(), image[:, number])


# What is left to others


@pytest.mark.parametrize("content", [b"", b"II", b"no TIFF at all", b"\x89PNG\r\n\x1a\n"])
def test_files_that_are_no_tiff_are_left_to_others(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    assert get_reader(str(tmp_path / "a.tif")) is None


def test_stacks_folders_and_addresses_are_left_to_others(tmp_path: Path) -> None:
    paths = [str(write_image(tmp_path / f"{n}.tif", counting((8, 9)), axes="YX")) for n in "ab"]
    assert get_reader(paths) is None
    assert get_reader(paths[0]) is not None
    assert get_reader(paths[:1]) is not None
    (tmp_path / "no.zarr").mkdir()
    for path in (tmp_path, tmp_path / "no.zarr", tmp_path / "missing.tif"):
        assert get_reader(str(path)) is None
    assert get_reader("https://example.org/a.tif") is None


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.tif", counting((30, 8, 9)), axes="ZYX")
    path.write_bytes(path.read_bytes()[:300])
    reader = get_reader(str(path))
    assert reader is not None
    with pytest.raises(FileError, match=r"a\.tif"):
        reader(str(path))
