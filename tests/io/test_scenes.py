"""Files of several images, thumbnails, inverted and palette images: told, or not left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_unet.errors import FileError, InputError
from napari_unet.io import ImageFile, LazyArray, read_image

IMAGE = np.arange(32 * 48, dtype=np.uint16).reshape(32, 48)


def told(image: ImageFile) -> str:
    return " ".join(str(note) for note in image.notes)


def write_scenes(path: Path, *, ome: bool) -> Path:
    with tifffile.TiffWriter(path, ome=ome) as tif:
        for k in range(3):
            metadata = {"axes": "YX", "Name": f"Position {k}", "PhysicalSizeX": 0.5 + k}
            tif.write(IMAGE + k, metadata=metadata if ome else None, subfiletype=0)
            if not ome:
                tif.write(IMAGE[:7, :9] + k, metadata=None)
    return path


def test_further_scenes_are_told_and_can_be_read(tmp_path: Path) -> None:
    path = write_scenes(tmp_path / "a.ome.tif", ome=True)
    first = read_image(path)
    np.testing.assert_array_equal(first.array, IMAGE)
    assert [note.code for note in first.notes] == ["scenes-left-out"]
    assert "3 images" in told(first)
    assert "1 'Position 1' (32 × 48), 2 'Position 2' (32 × 48)" in told(first)
    for k in range(3):
        for scene in (k, f"Position {k}"):
            for eager_bytes in (0, 10**9):
                found = read_image(path, scene=scene, eager_bytes=eager_bytes)
                np.testing.assert_array_equal(np.asarray(found.array), IMAGE + k)
                assert (found.scene, found.notes) == (k, ())
                assert found.pixel_size == (None, 0.5 + k)


@pytest.mark.parametrize("scene", [3, -1, "Position 3", "1.0"])
def test_a_scene_that_is_not_there_is_named_with_those_that_are(tmp_path: Path, scene: Any) -> None:
    path = write_scenes(tmp_path / "a.ome.tif", ome=True)
    with pytest.raises(InputError, match="Position 2") as caught:
        read_image(path, scene=scene)
    assert repr(scene) in str(caught.value)
    assert caught.value.parameter == "scene"


def test_pages_of_another_shape_are_told(tmp_path: Path) -> None:
    found = read_image(write_scenes(tmp_path / "a.tif", ome=False))
    np.testing.assert_array_equal(found.array, np.stack([IMAGE + k for k in range(3)]))
    assert "left out is 1 (3 × 7 × 9)" in told(found)


@pytest.mark.parametrize("factor", [2, 4])
def test_a_thumbnail_in_front_is_not_taken_for_the_image(tmp_path: Path, factor: int) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(IMAGE[::factor, ::factor], metadata=None)
        tif.write(IMAGE, metadata=None)
    found = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(found.array, IMAGE)
    assert "thumbnail" in told(found)
    assert read_image(tmp_path / "a.tif", scene=0).array.shape == IMAGE[::factor, ::factor].shape


def test_levels_of_a_pyramid_are_no_images_that_are_left_out(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for factor in (1, 2, 4):
            tif.write(IMAGE[::factor, ::factor], metadata=None, subfiletype=int(factor > 1))
    found = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(found.array, IMAGE)
    assert found.notes == ()


def test_an_animation_is_told_to_be_one(tmp_path: Path) -> None:
    pictures = [Image.fromarray((IMAGE + k).astype(np.uint8)) for k in (0, 100)]
    pictures[0].save(tmp_path / "a.png", save_all=True, append_images=pictures[1:])
    assert "2 pictures" in told(read_image(tmp_path / "a.png"))


# Inverted and coloured


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("eager_bytes", [0, 10**9])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_small_numbers_that_are_bright_are_inverted(
    tmp_path: Path, dtype: Any, eager_bytes: int, compression: str | None
) -> None:
    image = IMAGE.astype(dtype)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, image, photometric="miniswhite", compression=compression)
    found = read_image(path, eager_bytes=eager_bytes)
    assert isinstance(found.array, LazyArray) == (eager_bytes == 0)
    np.testing.assert_array_equal(np.asarray(found.array), np.iinfo(dtype).max - image)
    assert found.array.dtype == dtype
    assert "inverted" in told(found)
    labels = read_image(path, eager_bytes=eager_bytes, as_labels=True)
    np.testing.assert_array_equal(np.asarray(labels.array), image)
    assert labels.notes == ()


def test_masks_that_tifffile_writes_stay_and_floats_are_told(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "mask.tif", IMAGE > 700)
    found = read_image(tmp_path / "mask.tif")
    np.testing.assert_array_equal(found.array, IMAGE > 700)
    assert found.notes == ()
    values = IMAGE.astype(np.float32)
    tifffile.imwrite(tmp_path / "float.tif", values, photometric="miniswhite")
    found = read_image(tmp_path / "float.tif")
    np.testing.assert_array_equal(found.array, values)
    assert "small numbers are bright" in told(found)


@pytest.mark.parametrize("eager_bytes", [0, 10**9])
@pytest.mark.parametrize("planes", [None, 3])
def test_a_palette_gives_colours_to_images_and_numbers_to_labels(
    tmp_path: Path, eager_bytes: int, planes: int | None
) -> None:
    numbers = np.arange(32 * 48).reshape(32, 48).astype(np.uint8)
    numbers = numbers if planes is None else np.stack([numbers + k for k in range(planes)])
    table = np.random.default_rng(0).integers(0, 256, (256, 3), np.uint16)
    options = {"photometric": "palette", "colormap": table.T * 257, "compression": "zlib"}
    tifffile.imwrite(
        tmp_path / "a.tif", numbers, metadata={"axes": "ZYX"[-numbers.ndim :]}, **options
    )
    found = read_image(tmp_path / "a.tif", eager_bytes=eager_bytes)
    assert (found.axes, found.array.dtype) == (f"{'ZYX'[-numbers.ndim :]}C", np.uint8)
    np.testing.assert_array_equal(np.asarray(found.array), table[numbers])
    np.testing.assert_array_equal(found.array[..., 3:9, 1], table[numbers][..., 3:9, 1])
    labels = read_image(tmp_path / "a.tif", eager_bytes=eager_bytes, as_labels=True)
    np.testing.assert_array_equal(np.asarray(labels.array), numbers)


def test_indices_of_a_png_are_its_labels(tmp_path: Path) -> None:
    numbers = np.arange(24, dtype=np.uint8).reshape(4, 6)
    picture = Image.fromarray(numbers)
    picture.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", as_labels=True).array, numbers)
    assert read_image(tmp_path / "a.png").axes == "YXC"


def test_a_display_table_is_no_colour(tmp_path: Path) -> None:
    numbers = np.arange(24, dtype=np.uint8).reshape(4, 6)
    green = np.zeros((3, 256), np.uint16)
    green[1] = np.arange(256) * 257
    for name, table in (("green", green), ("dark", green[:, ::-1]), ("grey", green[[1, 1, 1]])):
        tifffile.imwrite(tmp_path / f"{name}.tif", numbers, photometric="palette", colormap=table)
    found = read_image(tmp_path / "green.tif")
    np.testing.assert_array_equal(found.array, numbers)
    assert "display table" in told(found)
    found = read_image(tmp_path / "dark.tif")
    np.testing.assert_array_equal(found.array, 255 - numbers)
    assert "inverted" in told(found)
    found = read_image(tmp_path / "grey.tif")
    np.testing.assert_array_equal(found.array, numbers)
    assert found.notes == ()


# Sizes


@pytest.mark.parametrize("size", [0.0, -0.5, float("nan"), float("inf"), 1e9, 1e-9])
def test_a_size_that_no_pixel_has_is_unknown_and_told(tmp_path: Path, size: float) -> None:
    metadata = {"axes": "ZYX", "PhysicalSizeZ": size, "PhysicalSizeY": 0.5, "PhysicalSizeX": 0.5}
    tifffile.imwrite(tmp_path / "a.ome.tif", np.stack([IMAGE] * 2), metadata=metadata,
                     photometric="minisblack")  # fmt: skip
    tifffile.imwrite(tmp_path / "b.tif", np.stack([IMAGE] * 2), imagej=True, resolution=(2, 2),
                     metadata={"axes": "ZYX", "unit": "um", "spacing": size})  # fmt: skip
    write_ome_zarr(tmp_path / "c.zarr", np.stack([IMAGE] * 2), "zyx", [size, 0.5, 0.5])
    for name in ("a.ome.tif", "b.tif", "c.zarr"):
        found = read_image(tmp_path / name)
        assert found.pixel_size == (None, 0.5, 0.5), name
        assert [note.code for note in found.notes] == ["pixel-size"]
        assert "along Z" in told(found)


def test_a_print_setting_in_the_place_of_a_size_is_told(tmp_path: Path) -> None:
    options = {"resolution": (72, 72), "metadata": {"unit": "inch"}}
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, imagej=True, **options)
    found = read_image(tmp_path / "a.tif")
    assert found.pixel_size is None
    assert "352.8 µm, comes from a print setting" in told(found)


# Inside zarr stores


def write_ome_zarr(
    path: Path, image: np.ndarray, axes: str, scale: Any, levels: int = 1, **attributes: Any
) -> None:
    group = zarr.open_group(path, mode="w", zarr_format=2)
    datasets = []
    for level in range(levels):
        group.create_array(str(level), data=image[..., :: 2**level, :: 2**level])
        steps = [s * (2**level if a in "yx" else 1) for a, s in zip(axes, scale, strict=True)]
        transform = [{"type": "scale", "scale": steps}]
        datasets.append({"path": str(level), "coordinateTransformations": transform})
    kind = {"t": "time", "c": "channel"}
    named = [{"name": a, "type": kind.get(a, "space"), "unit": "micrometer"} for a in axes]
    group.attrs.update(
        {"multiscales": [{"version": "0.4", "axes": named, "datasets": datasets}], **attributes}
    )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "i.zarr"
    write_ome_zarr(path, IMAGE, "yx", [0.5, 0.25], levels=2)
    labels = zarr.open_group(path / "labels", mode="w", zarr_format=2)
    labels.attrs["labels"] = ["nuclei"]
    write_ome_zarr(path / "labels" / "nuclei", IMAGE // 100, "yx", [0.5, 0.25])
    return path


@pytest.fixture
def plate(tmp_path: Path) -> Path:
    path = tmp_path / "plate.zarr"
    wells = [{"path": f"A/{c}", "rowIndex": 0, "columnIndex": c} for c in (1, 2, 3)]
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.attrs["plate"] = {"version": "0.4", "wells": wells}
    for column in (1, 2):  # A/3 was not imaged
        well = group.require_group(f"A/{column}")
        well.attrs["well"] = {"version": "0.4", "images": [{"path": "0"}, {"path": "1"}]}
        for field in range(2):
            write_ome_zarr(path / f"A/{column}/{field}", IMAGE + field, "yx", [1, 1])
    return path


def test_levels_have_axes_and_their_own_pixel_size(store: Path) -> None:
    coarse = read_image(store / "1")
    assert (coarse.axes, coarse.pixel_size) == ("YX", (1.0, 0.5))
    np.testing.assert_array_equal(np.asarray(coarse.array), IMAGE[::2, ::2])
    assert read_image(store / "0").pixel_size == (0.5, 0.25)
    labels = read_image(store / "labels" / "nuclei")
    np.testing.assert_array_equal(np.asarray(labels.array), IMAGE // 100)


def test_a_plate_names_its_images(plate: Path) -> None:
    with pytest.raises(FileError, match=r"4 images: A/1/0, A/1/1, A/2/0, A/2/1"):
        read_image(plate)
    assert read_image(plate, scene="A/2/1").array[0, 0] == 1
    assert read_image(plate / "A" / "2" / "1").array[0, 0] == 1


def test_series_of_bioformats2raw_are_scenes(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    group.require_group("OME").attrs["series"] = ["0", "1"]
    for k in range(2):
        write_ome_zarr(path / str(k), IMAGE + k, "yx", [1, 1])
    found = read_image(path)
    assert found.array[0, 0] == 0
    assert "2 images" in told(found)
    assert read_image(path, scene=1).array[0, 0] == 1


def test_channel_names(tmp_path: Path) -> None:
    image = np.stack([IMAGE, IMAGE])
    names = ["DAPI", "GFP"]
    tifffile.imwrite(tmp_path / "a.ome.tif", image, photometric="minisblack",
                     metadata={"axes": "CYX", "Channel": {"Name": names}})  # fmt: skip
    tifffile.imwrite(tmp_path / "b.tif", image, imagej=True,
                     metadata={"axes": "CYX", "Labels": names})  # fmt: skip
    omero = {"channels": [{"label": name} for name in names]}
    write_ome_zarr(tmp_path / "c.zarr", image, "cyx", [1, 1, 1], omero=omero)
    for name in ("a.ome.tif", "b.tif", "c.zarr"):
        assert read_image(tmp_path / name).channel_names == ("DAPI", "GFP"), name
