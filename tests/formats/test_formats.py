"""Every format, read back by a library that is not ours, compares equal."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from PIL import Image
from shapely.geometry import MultiPolygon

import napari_unet as nu
from napari_unet.formats import KINDS
from napari_unet.formats.outlines import trace_outlines
from napari_unet.io import read_image, read_labels
from napari_unet.io.cellpose_files import read_cellpose_labels
from napari_unet.io.record import find_record
from napari_unet.io.roi_files import read_roi_labels

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"  # pycocotools with NumPy 2
)
_readers = runpy.run_path(str(Path(__file__).with_name("independent_readers.py")))
READERS, draw = _readers["READERS"], _readers["draw"]
LABELS = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda size: st_numpy.arrays(
        np.int32, size, elements=st.sampled_from([0, 0, 1, 2, 2, 3, 300, 70_000])
    )
)
"""Objects that touch, at edges and at corners, in pieces, with holes, up to the border."""


def hard_labels() -> np.ndarray:
    """A ring with an object in its hole, pieces, corners that touch, and all borders."""
    labels = np.zeros((24, 31), np.int32)
    labels[2:11, 2:11] = 1
    labels[4:9, 4:9] = 0
    labels[5:7, 5:7] = 2
    labels[7, 7] = 1  # touches the ring at no edge, and 2 at a corner
    labels[0:3, 20:31] = 3
    labels[20:24, 0:5] = 3  # far away: one object in two pieces
    labels[12, 12] = labels[13, 13] = labels[12, 14] = labels[11, 13] = 300  # around a pixel
    labels[15:19, 15:19] = 5
    labels[16, 16] = labels[17, 17] = 0  # two holes that touch at a corner
    labels[15:19, 19:23] = 6  # touches 5 along an edge
    labels[23, 30] = 7
    return labels


@pytest.fixture
def labels() -> np.ndarray:
    return hard_labels()


SIZES = {"Z": 2.0, "Y": 0.5, "X": 0.25}
RUN = {
    "operation": "segment",
    "model": {"name": "nuclei", "sha256": "0" * 64},
    "axes": "YX",
    "pixel_size": [0.5, 0.25],
    "versions": {},
    "task": "instance",
}
CLASSES = [
    {"value": 0, "name": "background", "colour": "#000000"},
    {"value": 1, "name": "stroma", "colour": "#ff8000"},
    {"value": 2, "name": "vessel", "colour": "#0000ff"},
]


def stack(axes: str) -> np.ndarray:
    """Labels with more axes, no two planes alike."""
    plane = hard_labels()
    shape = [{"T": 2, "Z": 3}[axis] for axis in axes if axis in "TZ"]
    planes = [
        np.roll(plane, n, axis=1) + 10 * n * (np.roll(plane, n, axis=1) > 0) for n in range(6)
    ]
    return np.stack(planes[: int(np.prod(shape))]).reshape(*shape, *plane.shape)


def as_tzyx(labels: np.ndarray, axes: str) -> np.ndarray:
    return labels[tuple(slice(None) if axis in axes else None for axis in "TZYX")]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LABELS)
def test_outlines_are_valid_polygons_that_give_back_the_labels(labels: np.ndarray) -> None:
    out = np.zeros_like(labels)
    seen = []
    for outline in trace_outlines(labels):
        polygons = MultiPolygon([(rings[0], rings[1:]) for rings in outline.polygons])
        assert polygons.is_valid
        assert polygons.area == outline.area == np.count_nonzero(labels == outline.label)
        out[draw(polygons, labels.shape)] = outline.label
        seen.append(outline.label)
    np.testing.assert_array_equal(out, labels)
    assert seen == [value for value in np.unique(labels).tolist() if value]


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(labels=LABELS)
def test_random_labels_come_back_from_every_format(labels: np.ndarray, tmp_path: Path) -> None:
    size = (1, 1, *labels.shape)
    for ending, read in READERS.items():
        path = nu.export(labels, tmp_path / f"a.{ending}")
        np.testing.assert_array_equal(read(path, size)[0, 0], labels)
    for ending in ("tif", "ome.tif"):
        path = nu.export(labels, tmp_path / f"a.{ending}")
        found = tifffile.imread(path)
        np.testing.assert_array_equal(found.reshape(labels.shape), labels)
        smallest = next(t for t in ("u1", "u2", "u4") if labels.max() <= np.iinfo(t).max)
        assert found.dtype == smallest
        assert read_image(path).array.shape == labels.shape
    masks = np.load(nu.export(labels, tmp_path / "a_seg.npy"), allow_pickle=True).item()["masks"]
    np.testing.assert_array_equal(masks, labels)
    if labels.max() <= 65535:
        with Image.open(nu.export(labels, tmp_path / "a.png")) as picture:
            np.testing.assert_array_equal(np.asarray(picture), labels)


@pytest.mark.parametrize("axes", ["YX", "ZYX", "TYX", "TZYX"])
def test_hard_labels_come_back_in_their_planes(tmp_path: Path, axes: str) -> None:
    labels = stack(axes)
    whole = as_tzyx(labels, axes)
    sizes = [SIZES[axis] for axis in axes if axis != "T"]
    for ending, read in READERS.items():
        path = nu.export(labels, tmp_path / f"a.{ending}", axes=axes, pixel_size=sizes)
        np.testing.assert_array_equal(read(path, whole.shape), whole)
    for ending in ("tif", "ome.tif", "ome.zarr"):
        path = nu.export(labels, tmp_path / f"a.{ending}", axes=axes, pixel_size=sizes)
        file = read_image(path)
        np.testing.assert_array_equal(np.asarray(file.array), labels)
        assert (file.axes, file.pixel_size) == (axes, tuple(sizes))
        assert file.is_labels
    regions, notes = read_roi_labels(tmp_path / "a.zip", labels.shape, axes)
    assert not notes
    assert ((regions > 0) == (labels > 0)).all()


def test_imagej_gets_colours_axes_and_size(tmp_path: Path) -> None:
    for largest, dtype in ((40, "u1"), (4000, "u2"), (70_000, "u4")):
        labels = np.minimum(stack("TZYX"), 40)
        labels[0, 0, 0, 0] = largest
        path = nu.export(labels, tmp_path / "a.tif", axes="TZYX", pixel_size=(2, 0.5, 0.25))
        with tifffile.TiffFile(path) as file:
            assert file.is_imagej
            assert file.series[0].axes == "TZYX"
            assert file.series[0].dtype == dtype
            about = file.imagej_metadata
            assert (about["slices"], about["frames"], about["unit"]) == (3, 2, "um")
            assert (about["spacing"], about["min"], about["max"]) == (2.0, 0, 255)
            assert json.loads(about["Info"])["operation"] == "export"
            page = file.pages.first
            assert page.tags["XResolution"].value == (4, 1)
            assert page.tags["YResolution"].value == (2, 1)
            colours = np.reshape(page.tags["ColorMap"].value, (3, 256))
            assert not colours[:, 0].any()
            assert (colours[:, 1:].max(0) > 32768).all()
            np.testing.assert_array_equal(file.asarray(), labels)


def test_ome_zarr_follows_the_specification(tmp_path: Path) -> None:
    import zarr
    from ome_zarr_models.v05 import Image as OmeImage
    from ome_zarr_models.v05 import ImageLabel, Labels

    labels = np.zeros((2, 600, 530), np.uint16)
    labels[0, 5:300, 7:400], labels[1, 300:, 500:] = 3, 999
    image = np.random.default_rng(0).integers(0, 4000, (2, 2, 600, 530), np.uint16)
    options: dict[str, Any] = {"axes": "CZYX", "pixel_size": (2, 0.5, 0.25), "image": image}
    path = nu.export(labels, tmp_path / "cells.ome.zarr", **options)
    root = zarr.open_group(path, mode="r")
    pictured = OmeImage.from_zarr(root).attributes.ome.multiscales[0]
    assert [axis.name for axis in pictured.axes] == ["c", "z", "y", "x"]
    assert Labels.from_zarr(root["labels"]).attributes.ome.labels == ["cells"]
    group = root["labels"]["cells"]
    about = ImageLabel.from_zarr(group).attributes.ome
    assert about.image_label.source.image == "../../"
    levels = about.multiscales[0].datasets
    assert [each.path for each in levels] == ["0", "1", "2"]
    assert levels[2].coordinateTransformations[0].scale == [2.0, 2.0, 1.0]
    for level in range(3):
        np.testing.assert_array_equal(group[str(level)], labels[:, :: 2**level, :: 2**level])
        np.testing.assert_array_equal(root[str(level)], image[..., :: 2**level, :: 2**level])
    alone = nu.export(labels, tmp_path / "alone.ome.zarr", axes="ZYX")
    found = ImageLabel.from_zarr(zarr.open_group(alone, mode="r")).attributes.ome
    assert {axis.unit for axis in found.multiscales[0].axes} == {None}  # unknown is not 1 µm


def test_ome_zarr_py_opens_it(tmp_path: Path, labels: np.ndarray) -> None:
    reader = pytest.importorskip(
        "ome_zarr.reader", reason="its s3fs needs an older python-dateutil"
    )
    from ome_zarr.io import parse_url

    path = nu.export(labels, tmp_path / "a.ome.zarr", image=np.ones(labels.shape), pixel_size=0.5)
    nodes = list(reader.Reader(parse_url(path))())
    (found,) = (node for node in nodes if any(type(s).__name__ == "Label" for s in node.specs))
    np.testing.assert_array_equal(np.asarray(found.data[0]), labels)


def test_cellpose_and_our_reader_open_its_file(tmp_path: Path, labels: np.ndarray) -> None:
    image = np.random.default_rng(0).random(labels.shape)
    path = nu.export(labels, tmp_path / "a_seg.npy", image=image)
    found, axes = read_cellpose_labels(path)
    np.testing.assert_array_equal(found, labels)
    assert axes == "YX"
    content = np.load(path, allow_pickle=True).item()
    # what Cellpose's window asks for: gui/io.py
    assert set(np.unique(content["outlines"])) == set(np.unique(labels))
    assert ((content["outlines"] == 0) | (content["outlines"] == labels)).all()
    assert content["outlines"][5, 5] == 2
    assert content["outlines"][23, 30] == 7
    assert len(content["ismanual"]) == labels.max()
    np.testing.assert_array_equal(content["img"], image)
    deep = nu.export(stack("ZYX"), tmp_path / "z_seg.npy", axes="ZYX")
    np.testing.assert_array_equal(read_labels(deep).array, stack("ZYX"))


def test_a_picture_has_outlines_and_a_scale_bar(tmp_path: Path) -> None:
    labels = np.zeros((200, 240), np.uint8)
    labels[50:100, 60:120] = 1
    image = np.full(labels.shape, 100.0)
    plain = nu.export(labels, tmp_path / "a.png", image=image)
    scaled = nu.export(labels, tmp_path / "b.png", image=image, pixel_size=0.5)
    with Image.open(plain) as first, Image.open(scaled) as second:
        before, after = np.asarray(first), np.asarray(second)
        assert second.info["dpi"] == pytest.approx((50_800, 50_800), rel=1e-4)
    assert before.shape == (200, 240, 3)
    rows, columns = np.nonzero((before != before[0, 0]).any(-1))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (50, 99, 60, 119)
    changed = (before != after).any(-1)
    white = (after == 255).all(-1) & changed
    assert white.any()
    assert not changed[:100].any()
    # a quarter of 120 µm at most: 20 µm are 40 pixels
    assert white[-8:].sum(1).max() == 40
    colours = np.random.default_rng(0).integers(0, 255, (200, 240, 3), np.uint8)
    path = nu.export(labels, tmp_path / "c.png", image=colours, axes="YXC")
    with Image.open(path) as picture:
        np.testing.assert_array_equal(np.asarray(picture)[:50], colours[:50])


def test_the_font_of_scale_bars_has_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import ImageDraw

    from napari_unet.image.overlay import draw_scale_bar

    written = []
    write = ImageDraw.ImageDraw.text

    def text(self: Any, place: Any, words: str, *args: Any, **options: Any) -> None:
        written.append(words)
        write(self, place, words, *args, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    for size in (0.001, 0.325, 50.0):
        draw_scale_bar(np.zeros((300, 400, 3), np.uint8), size)
    assert written == ["100 nm", "20 um", "5 mm"]  # the u gets a tail: Pillow's font has no µ


def test_a_table_is_that_of_measure(tmp_path: Path, labels: np.ndarray) -> None:
    import pandas as pd

    image = np.random.default_rng(0).random(labels.shape)
    path = nu.export(labels, tmp_path / "a.csv", image=image, pixel_size=0.5)
    expected = nu.measure(labels, image, pixel_size=0.5)
    found = pd.read_csv(path)
    assert found.columns.tolist() == expected.columns.tolist()
    np.testing.assert_allclose(found.to_numpy(float), expected.to_numpy(float))
    tabs = nu.export(labels, tmp_path / "a.tsv")
    assert pd.read_csv(tabs, sep="\t")["area"].sum() == np.count_nonzero(labels)


def records_in(path: Path) -> list[dict[str, Any]]:
    """The record that a file holds, or that stands beside it."""
    if path.is_dir():
        return [json.loads((path / "zarr.json").read_text())["attributes"]["napari_unet"]]
    beside = path.with_name(f"{path.name}.json")
    if beside.exists():
        return [json.loads(beside.read_text())]
    if path.suffix == ".zip":
        import zipfile

        with zipfile.ZipFile(path) as archive:
            return [json.loads(archive.comment)["napari_unet"]]
    if path.suffix == ".png":
        with Image.open(path) as picture:
            return [json.loads(picture.text["napari_unet"])]
    if path.suffix == ".npy":
        return [json.loads(np.load(path, allow_pickle=True).item()["napari_unet"])]
    content = json.loads(path.read_text())
    return [content.get("napari_unet") or content["info"]["napari_unet"]]


def test_every_format_keeps_record_axes_size_and_classes(
    tmp_path: Path, labels: np.ndarray
) -> None:
    classes = np.minimum(labels, 2).astype(np.uint8)
    run = {**RUN, "task": "semantic", "classes": CLASSES}
    for kind in KINDS.values():
        image = np.ones(labels.shape) if kind.name in ("overlay", "csv") else None
        path = nu.export(
            classes, tmp_path / f"a{kind.endings[0]}", format=kind.name, record=run, image=image
        )
        for _ in range(2):  # the second time over the first
            (record,) = records_in(path)
            assert record["operation"] == "export"
            assert record["format"] == kind.name
            assert (record["axes"], record["shape"]) == ("YX", list(labels.shape))
            assert record["pixel_size"] == [0.5, 0.25]  # the run knew it
            assert record["classes"] == CLASSES
            assert record["run"]["model"]["name"] == "nuclei"
            path = nu.export(classes, path, format=kind.name, record=run, image=image)
        if kind.name == "overlay":
            path.unlink()  # which has the name of the mask
    assert find_record(read_image(tmp_path / "a.tif")) == run
    assert find_record(read_image(tmp_path / "a.ome.zarr").array) == run
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert [each["properties"]["classification"] for each in features] == [
        {"name": "stroma", "color": [255, 128, 0]},
        {"name": "vessel", "color": [0, 0, 255]},
    ]
    assert {each["properties"]["objectType"] for each in features} == {"annotation"}
    annotated = json.loads((tmp_path / "a.json").read_text())
    assert [(c["id"], c["name"]) for c in annotated["categories"]] == [(1, "stroma"), (2, "vessel")]
    assert [each["category_id"] for each in annotated["annotations"]] == [1, 2]
    import roifile

    assert [roi.group for roi in roifile.roiread(tmp_path / "a.zip")] == [1, 2]
    found, _ = read_roi_labels(tmp_path / "a.zip", labels.shape, "YX", classes=True)
    np.testing.assert_array_equal(found, classes)


def test_a_run_is_found_behind_its_export_until_the_file_changes(
    tmp_path: Path, labels: np.ndarray
) -> None:
    path = nu.export(labels, tmp_path / "a.tif", record=RUN)
    assert find_record(read_image(path)) == RUN
    tifffile.imwrite(path, labels.astype(np.uint16))
    assert find_record(read_image(path)) == {"operation": "segment", "stale": True}


def test_lazy_labels_are_read_a_slab_at_a_time(tmp_path: Path) -> None:
    import dask.array as da
    import zarr

    labels = stack("TZYX").reshape(6, 24, 31)
    stored = zarr.create_array(str(tmp_path / "in.zarr"), data=labels, chunks=(4, 24, 31))
    largest = 0

    class Watched:
        shape, dtype, chunks, ndim = stored.shape, stored.dtype, stored.chunks, stored.ndim
        asked: list[Any] = []  # noqa: RUF012

        def __getitem__(self, index: Any) -> Any:
            nonlocal largest
            block = stored[index]
            largest = max(largest, block.size)
            self.asked.append(index)
            return block

    for source in (Watched(), da.from_array(stored)):
        for ending, read in READERS.items():
            path = nu.export(source, tmp_path / f"a.{ending}", axes="ZYX")
            np.testing.assert_array_equal(read(path, (1, *labels.shape))[0], labels)
        for ending in ("tif", "ome.zarr"):
            path = nu.export(source, tmp_path / f"a.{ending}", axes="ZYX")
            np.testing.assert_array_equal(np.asarray(read_image(path).array), labels)
    assert largest == 4 * 24 * 31
    assert len(Watched.asked) == 5 * 2 * 2  # formats, passes, slabs


def test_the_command_line_exports_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], labels: np.ndarray
) -> None:
    from napari_unet.cli.main import main

    source = tmp_path / "cells_labels.tif"
    nu.write_labels(source, labels, axes="YX", pixel_size=(0.5, 0.25), record=RUN)
    for name in ("cells.geojson", "cells.csv", "cells_seg.npy"):
        assert main(["export", str(source), "-o", str(tmp_path / name)]) == 0
    assert "cells.geojson: QuPath GeoJSON" in capsys.readouterr().out
    found = READERS["geojson"](tmp_path / "cells.geojson", (1, 1, *labels.shape))
    np.testing.assert_array_equal(found[0, 0], labels)
    (record,) = records_in(tmp_path / "cells.geojson")
    assert record["labels"] == str(source)
    assert record["run"]["model"] == RUN["model"]
    assert record["pixel_size"] == [0.5, 0.25]
    (tmp_path / "taken.zip").write_text("mine")
    assert main(["export", str(source), "-o", str(tmp_path / "taken.zip")]) == 2
    assert re.search("there already.*choose another name", capsys.readouterr().err)
    assert main(["export", str(source), "-o", str(tmp_path / "taken.zip"), "--overwrite"]) == 0
    assert main(["export", str(source), "-o", str(tmp_path / "a.xyz")]) == 2
    assert ".geojson" in capsys.readouterr().err
