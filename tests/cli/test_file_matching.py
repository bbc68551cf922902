"""Label files lie where they and their images declare it; what does not fit is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from napari_unet.cli.training_files import read_example
from napari_unet.dataset.example import Example
from napari_unet.dataset.labelled_image import open_example
from napari_unet.dataset.pixel_grid import MismatchError, explain_size
from napari_unet.errors import InputError
from napari_unet.io import write_image, write_labels

IMAGE = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60)
LABELS = (np.arange(20 * 30, dtype=np.int32) // 50 + 1).reshape(20, 30)


def write_zarr(path: Path, array: Any, at: Any = None, scale: float = 0.5, unit: Any = 1) -> Path:
    group = zarr.open_group(path, mode="w")
    group.create_array("0", data=array)
    steps: list[dict[str, Any]] = [{"type": "scale", "scale": [scale] * array.ndim}]
    if at is not None:
        steps.append({"type": "translation", "translation": at})
    axes = [{"name": n, "type": "space"} for n in "zyx"[-array.ndim :]]
    axes = [{**each, "unit": "micrometer"} if unit else each for each in axes]
    datasets = [{"path": "0", "coordinateTransformations": steps}]
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"axes": axes, "datasets": datasets}],
    }
    return path


def write_ome(path: Path, array: Any, at: tuple[float, float] | None) -> Path:
    metadata: dict[str, Any] = {
        "axes": "YX",
        "PhysicalSizeX": 0.5,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 0.5,
        "PhysicalSizeYUnit": "µm",
    }
    if at is not None:
        metadata["Plane"] = {
            "PositionY": [at[0]],
            "PositionYUnit": ["µm"],
            "PositionX": [at[1]],
            "PositionXUnit": ["µm"],
        }
    tifffile.imwrite(path, array, ome=True, metadata=metadata)
    return path


def read(example: Example) -> tuple[Any, Any]:
    opened = open_example(example, ndim=2, in_channels=1, task="instance")
    labels, known = opened.read_labels(0, (slice(0, 40), slice(0, 60)))
    return labels[0], known


def expect_part(example: Example, rows: slice, columns: slice, labels: Any = LABELS) -> None:
    found, known = read(example)
    expected = np.zeros((40, 60), bool)
    expected[rows, columns] = True
    np.testing.assert_array_equal(known, expected)
    np.testing.assert_array_equal(found[rows, columns], labels)


@pytest.mark.parametrize("unit", [True, False])
def test_labels_of_a_crop_in_ome_zarr_lie_where_both_declare(tmp_path: Path, unit: bool) -> None:
    image = write_zarr(tmp_path / "image.zarr", IMAGE, [10.0, 20.0], unit=unit)
    labels = write_zarr(tmp_path / "labels.zarr", LABELS, [15.0, 25.0], unit=unit)
    example, _ = read_example(image, labels)
    expect_part(example, slice(10, 30), slice(10, 40))


def test_an_image_in_ome_zarr_without_a_place_lies_at_the_origin(tmp_path: Path) -> None:
    image = write_zarr(tmp_path / "image.zarr", IMAGE)
    labels = write_zarr(tmp_path / "labels.zarr", LABELS, [5.0, 0.0])
    expect_part(read_example(image, labels)[0], slice(10, 30), slice(0, 30))
    # labels of the image's size that lost its place
    image = write_zarr(tmp_path / "moved.zarr", IMAGE, [10.0, 20.0])
    labels = write_zarr(tmp_path / "all.zarr", np.ones((40, 60), np.int32))
    assert read(read_example(image, labels)[0])[1].all()


def test_labels_in_ome_tiff_lie_where_both_declare(tmp_path: Path) -> None:
    image = write_ome(tmp_path / "image.ome.tif", IMAGE, (100.0, 200.0))
    labels = write_ome(tmp_path / "labels.ome.tif", LABELS, (105.0, 201.0))
    expect_part(read_example(image, labels)[0], slice(10, 30), slice(2, 32))
    larger = write_ome(
        tmp_path / "larger.ome.tif", np.pad(LABELS, ((20, 20), (20, 40))), (90.0, 190.0)
    )
    found, known = read(read_example(image, larger)[0])
    assert known.all()
    np.testing.assert_array_equal(found[:20, :30], LABELS)


def test_labels_that_napari_saved_lie_where_their_layers_did(tmp_path: Path) -> None:
    def place(at: list[float]) -> dict[str, Any]:
        units = ["micrometer", "micrometer"]
        return {"axes": "YX", "scale": [0.5, 0.5], "translate": at, "units": units}

    write_image(tmp_path / "a.ome.tif", IMAGE, axes="YX", place=place([0.0, 0.0]))
    write_labels(tmp_path / "b.ome.tif", LABELS, axes="YX", place=place([2.0, 3.0]))
    example, _ = read_example(tmp_path / "a.ome.tif", tmp_path / "b.ome.tif")
    expect_part(example, slice(4, 24), slice(6, 36))


def test_a_region_by_name_counts_where_the_labels_lie(tmp_path: Path) -> None:
    from napari_unet.cli.parser import build_parser  # the options of the command line
    from napari_unet.cli.training_files import find_files, read_examples

    image = write_zarr(tmp_path / "image.zarr", np.stack([IMAGE] * 3))
    some = np.stack([LABELS * 0, LABELS])
    labels = write_zarr(tmp_path / "labels.zarr", some, [0.5, 5.0, 5.0])
    command = ["train", str(image), str(labels), "-o", str(tmp_path / "m.safetensors")]
    command += ["--region", "planes"]
    options = build_parser(command).parse_args(command)
    (example,) = read_examples(find_files([(image, labels)], None), options, "instance")
    opened = open_example(example, ndim=2, in_channels=1, task="instance")
    _, known = opened.read_labels(0, (slice(0, 3), slice(0, 40), slice(0, 60)))
    assert known[2, 10:30, 10:40].all()
    assert known.sum() == LABELS.size


@pytest.mark.parametrize(
    ("at", "scale", "words"),
    [
        ([5.25, 0.0], 0.5, "labels.zarr lies 10.5 pixels beside image.zarr along Y"),
        ([50.0, 0.0], 0.5, "without a pixel in common"),
        ([0.25, 0.25], 1.0, "2 times the size along Y and X against image.zarr"),
    ],
)
def test_what_does_not_lie_on_the_pixels_is_named(
    tmp_path: Path, at: Any, scale: float, words: str
) -> None:
    image = write_zarr(tmp_path / "image.zarr", IMAGE)
    labels = write_zarr(tmp_path / "labels.zarr", LABELS, at, scale=scale)
    with pytest.raises(MismatchError) as raised:
        read_example(image, labels)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((20, 30), "exactly half its size, as another level of a pyramid"),
        ((60, 40), "rows and columns seem to be swapped"),
        ((33, 50), "may be of a crop"),
        ((50, 60), "the image may be a crop"),
    ],
)
def test_another_size_is_told_with_a_likely_reason(
    tmp_path: Path, shape: tuple[int, int], words: str
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", IMAGE)
    tifffile.imwrite(tmp_path / "b.tif", np.ones(shape, np.uint8))
    example, _ = read_example(tmp_path / "a.tif", tmp_path / "b.tif")
    with pytest.raises(InputError) as raised:
        read(example)
    assert words in str(raised.value)
    assert str(shape) in str(raised.value)
    assert "(40, 60)" in str(raised.value)
    assert explain_size((40, 60), (3, 40, 60)) == ""


def write_sized(path: Path, array: Any, kind: str, size: float) -> Path:
    """A file that declares a pixel size, and no place."""
    if kind == "zarr":
        return write_zarr(path.with_suffix(".zarr"), array, scale=size)
    if kind == "unitless":
        return write_zarr(path.with_suffix(".zarr"), array, scale=size, unit=None)
    if kind == "imagej":
        resolution = (1 / size, 1 / size)
        tifffile.imwrite(
            path.with_suffix(".tif"),
            array.astype(np.uint16),
            imagej=True,
            resolution=resolution,
            metadata={"axes": "YX", "unit": "um"},
        )
        return path.with_suffix(".tif")
    write_labels(path.with_suffix(".tif"), array, axes="YX", pixel_size=(size, size))
    return path.with_suffix(".tif")


@pytest.mark.parametrize("kind", ["zarr", "unitless", "imagej", "ours"])
def test_labels_that_declare_another_pixel_size_are_refused(tmp_path: Path, kind: str) -> None:
    whole = np.ones((40, 60), np.int32)
    image = write_sized(tmp_path / "image", IMAGE.astype(np.int32), kind, 0.5)
    for number, size in enumerate((0.25, 2.0)):
        labels = write_sized(tmp_path / f"labels{number}", whole, kind, size)
        with pytest.raises(MismatchError, match="times the size along Y and X against image"):
            read_example(image, labels)
        with pytest.raises(MismatchError, match="times the size"):
            read_example(image, labels, task="regression")
        # who says what it is need not change the files
        assert read(read_example(image, labels, pixel_size=0.5)[0])[1].all()
    same = write_sized(tmp_path / "same", whole, kind, 0.5)
    rounded = write_sized(tmp_path / "rounded", whole, kind, 0.50002)
    nothing = tmp_path / "nothing.tif"
    tifffile.imwrite(nothing, whole.astype(np.uint16))
    for labels in (same, rounded, nothing):
        assert read(read_example(image, labels)[0])[1].all()
    # and where the image does not know its own
    for labels in (same, rounded):
        assert read(read_example(nothing, labels)[0])[1].all()


def test_measure_refuses_labels_of_another_pixel_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from napari_unet.cli.main import main

    image = write_sized(tmp_path / "image", IMAGE.astype(np.int32), "ours", 0.5)
    labels = write_sized(tmp_path / "labels", np.ones((40, 60), np.int32), "ours", 0.25)
    assert main(["measure", str(labels), "--image", str(image)]) == 2
    told = capsys.readouterr().err
    assert "0.5 times the size along Y and X" in told
    assert "--pixel-size" in told
    assert main(["measure", str(labels), "--image", str(image), "--pixel-size", "0.5"]) == 0
