"""The table of objects: its values, units, axes, and what it says of unfit input."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pandas as pd
import pytest
import zarr
from skimage.draw import disk
from skimage.measure import regionprops_table

import napari_unet as nu
from napari_unet.card import ClassInfo
from napari_unet.cli import main
from napari_unet.errors import FileError, InputError, SettingsError
from napari_unet.io import write_image, write_labels
from napari_unet.measurement import windows, write_table
from napari_unet.measurement.columns import PROPERTIES

COMMON = [
    *("label", "area", "equivalent_diameter_area", "centroid", "bbox"),
    *("axis_major_length", "axis_minor_length", "solidity"),
    *("intensity_mean", "intensity_std", "intensity_min", "intensity_max"),
]


def scene(*shape: int, count: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping boxes and balls as labels, numbered with gaps, and an image."""
    rng = np.random.default_rng(3)
    labels = np.zeros(shape, np.int32)
    grid = np.indices(shape)
    for i in range(count):
        centre = [rng.integers(0, n) for n in shape]
        away = [abs(g - c) for g, c in zip(grid, centre, strict=True)]
        reach = rng.integers(3, 9)
        near = np.max(away, axis=0) < reach if i % 2 else np.hypot.reduce(away) < reach
        labels[near] = 7 * i + 2
    return labels, rng.integers(0, 4000, shape).astype(np.uint16)


def assert_equal_tables(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, wanted, rtol=1e-9, atol=1e-9)


# Values


@pytest.mark.parametrize("sizes", [(1.0, 1.0), (0.3, 0.3), (0.5, 0.2)])
def test_values_are_those_of_scikit_image(sizes: tuple[float, float]) -> None:
    labels, image = scene(90, 70)
    square = sizes[0] == sizes[1]
    names = [*COMMON, "eccentricity", "orientation", *(["perimeter"] if square else [])]
    wanted = regionprops_table(labels, image, properties=names, spacing=sizes)
    found = nu.measure(labels, image, axes="YX", pixel_size=sizes)
    longish = wanted["eccentricity"] > 1e-6  # of round ones scikit-image's are rounding errors
    for name, values in wanted.items():
        compared = longish if name in ("eccentricity", "orientation") else slice(None)
        ours = found[name][compared].to_numpy(), values[compared]
        if name == "orientation":  # half a turn is none
            ours = np.exp(2j * ours[0]), np.exp(2j * ours[1])
        np.testing.assert_allclose(*ours, rtol=1e-9, atol=1e-9, err_msg=name)
    assert found["perimeter"].isna().all() != square


def test_values_of_volumes_are_those_of_scikit_image() -> None:
    labels, image = scene(14, 40, 36)
    sizes = (2.0, 0.5, 0.5)
    wanted = regionprops_table(labels, image, properties=COMMON, spacing=sizes)
    found = nu.measure(labels, image, axes="ZYX", pixel_size=sizes)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, atol=1e-9, err_msg=name)
    assert found.attrs["units"]["area"] == "µm³"
    assert "perimeter" not in found


def test_channels_are_numbered_as_by_scikit_image() -> None:
    labels, _ = scene(50, 60)
    image = np.random.default_rng(0).random((3, 50, 60))
    names = ["label", "intensity_mean", "intensity_max"]
    wanted = regionprops_table(labels, np.moveaxis(image, 0, -1), properties=names)
    first = nu.measure(labels, image, axes="CYX")
    for name, values in wanted.items():
        np.testing.assert_allclose(first[name], values, rtol=1e-9)
    assert_equal_tables(nu.measure(labels, np.moveaxis(image, 0, -1), axes="YXC"), first)
    assert_equal_tables(nu.measure(labels, list(image), axes="YX"), first)
    assert_equal_tables(nu.measure(labels, image), first)


def imagej_circularity(corners: list[tuple[int, int]], area: float) -> float:
    """4 pi area / perimeter², with the perimeter of ImageJ's PolygonRoi.getTracedPerimeter."""
    count, is_corner, length = 0, False, 0
    for i, (y, x) in enumerate(corners):
        before = abs(y - corners[i - 1][0]) + abs(x - corners[i - 1][1])
        length += before
        if before > 1 or not is_corner:
            is_corner = True
            count += 1
        else:
            is_corner = False
    return 4 * math.pi * area / (length - count * (2 - math.sqrt(2))) ** 2


def corners_of_rows(mask: np.ndarray) -> list[tuple[int, int]]:
    """Corners of a convex object, from the ends of its rows; the first is where ImageJ begins."""
    right: list[tuple[int, int]] = []
    left: list[tuple[int, int]] = []
    for y, row in enumerate(mask):
        if row.any():
            first, last = np.flatnonzero(row)[[0, -1]]
            right += [(y, int(last) + 1), (y + 1, int(last) + 1)]
            left += [(y, int(first)), (y + 1, int(first))]
    points = left[:1] + right + left[:0:-1]
    turns = []
    for i, point in enumerate(points):
        before, after = points[i - 1], points[(i + 1) % len(points)]
        if len({before[0], point[0], after[0]}) > 1 and len({before[1], point[1], after[1]}) > 1:
            turns.append(point)
    return turns


@pytest.mark.parametrize("radius", [6, 10, 20, 40, 100])
def test_a_disc_is_as_large_and_round_as_in_fiji(radius: int) -> None:
    labels = np.zeros((240, 240), np.uint8)
    labels[disk((120.2, 119.7), radius)] = 1
    table = nu.measure(labels, axes="YX", pixel_size=0.5)
    if radius >= 20:
        assert table.area[0] == pytest.approx(math.pi * (radius / 2) ** 2, rel=0.01)
        assert table.equivalent_diameter_area[0] == pytest.approx(radius, rel=0.01)
    wanted = imagej_circularity(corners_of_rows(labels == 1), float((labels == 1).sum()))
    assert table.circularity[0] == pytest.approx(min(wanted, 1), rel=0.01)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (10, 10), (12, 40), (200, 320)])
def test_a_rectangle_is_as_in_fiji(height: int, width: int) -> None:
    labels = np.zeros((300, 400), np.uint8)
    labels[20 : 20 + height, 30 : 30 + width] = 5
    table = nu.measure(labels, axes="YX", pixel_size=0.25)
    assert table.area[0] == height * width * 0.25**2
    corners = [(0, 0), (0, width), (height, width), (height, 0)]
    wanted = imagej_circularity(corners, height * width)
    assert table.circularity[0] == pytest.approx(min(wanted, 1), rel=1e-6)


def test_the_outline_of_a_ring_and_of_pieces() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[5:15, 5:15] = 1
    labels[8:12, 8:12] = 0  # a hole, which has no part in the outline
    labels[20:30, 20:30], labels[30:35, 30:35] = 2, 2  # touch at a corner
    labels[0:5, 30:35], labels[10:15, 30:35] = 3, 3
    found = nu.measure(labels, axes="YX", properties=["area", "circularity"])
    lengths = np.sqrt(4 * math.pi * found.area / found.circularity)
    cut = 2 - math.sqrt(2)
    np.testing.assert_allclose(lengths, [40 - 4 * cut, 60 - 8 * cut, 2 * (20 - 4 * cut)])


def test_background_is_that_around_the_object() -> None:
    labels = np.zeros((60, 60), np.int32)
    labels[20:26, 20:26], labels[20:26, 28:34] = 1, 2
    image = np.where(labels == 1, 50.0, 10.0)
    image[labels == 2] = 1000  # which is no background of its neighbour
    image[:, 50:] = 777  # nor what lies far away
    table = nu.measure(labels, image, axes="YX")
    assert table.intensity_integrated.tolist() == [36 * 50, 36 * 1000]
    assert table.intensity_background.tolist() == [10, 10]
    assert table.intensity_integrated_corrected.tolist() == [36 * 40, 36 * 990]
    full = nu.measure(np.ones((9, 9), int), np.ones((9, 9)), axes="YX")
    assert full.intensity_background.isna().all()


def test_large_intensities_do_not_overflow() -> None:
    labels = np.ones((300, 300), np.uint16)
    for image in (np.full((300, 300), 60000, np.uint16), np.full((300, 300), 60000, np.float16)):
        table = nu.measure(labels, image, axes="YX")
        assert table.intensity_integrated[0] == 90000 * float(image[0, 0])
        assert table.intensity_mean[0] == float(image[0, 0])


def test_objects_at_the_border() -> None:
    labels = np.zeros((3, 20, 20), np.int32)
    labels[1, 0:4, 5:9], labels[1, 8:12, 8:12], labels[2, 15:18, 15:18] = 1, 2, 3
    assert nu.measure(labels, axes="ZYX").touches_border.tolist() == [True, False, True]
    # one plane does not make all objects touch
    assert nu.measure(labels[1:2], axes="ZYX").touches_border.tolist() == [True, False]


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 2), (1, 1, 1), (1, 3, 3), (1, 1, 4)])
def test_tiny_objects_have_values(shape: tuple[int, ...]) -> None:
    labels = np.zeros(tuple(n + 4 for n in shape), np.int32)
    labels[tuple(slice(2, 2 + n) for n in shape)] = 9
    (row,) = nu.measure(labels, axes="ZYX"[-len(shape) :]).to_dict("records")
    assert row["area"] == math.prod(shape)
    assert row["centroid-0"] == 2 + (shape[0] - 1) / 2
    assert 0 < row["solidity"] <= 1


# Axes, units, frames


def test_a_row_per_object_and_time_point() -> None:
    labels = np.stack([scene(40, 50)[0], np.zeros((40, 50), np.int32), scene(40, 50, count=5)[0]])
    image = np.random.default_rng(1).random((3, 2, 40, 50))
    table = nu.measure(labels, image, axes="TCYX", pixel_size=0.5)
    assert table.columns[:2].tolist() == ["frame", "label"]
    assert set(table.frame) == {0, 2}
    for frame in (0, 2):
        alone = nu.measure(labels[frame], image[frame], axes="CYX", pixel_size=0.5)
        part = table[table.frame == frame].drop(columns="frame").reset_index(drop=True)
        assert_equal_tables(part, alone)


def test_axes_in_another_order() -> None:
    labels, image = scene(12, 30, 40)
    wanted = nu.measure(labels, image, axes="ZYX", pixel_size=(2, 0.5, 0.25))
    turned = nu.measure(labels.T, image.T, axes="XYZ", pixel_size=(0.25, 0.5, 2))
    assert_equal_tables(turned, wanted)


def test_units_are_told() -> None:
    labels, image = scene(30, 30)
    units = nu.measure(labels, image, axes="YX", pixel_size=0.5).attrs["units"]
    assert units["area"] == "µm²"
    assert units["centroid-1"] == units["perimeter"] == "µm"
    assert units["bbox-0"] == "pixel"
    unknown = nu.measure(labels, image, axes="YX", pixel_size=(None, 0.5))
    assert unknown.attrs["pixel_size"] is None
    assert unknown.attrs["units"]["area"] == "pixel"
    assert_equal_tables(unknown, nu.measure(labels, image, axes="YX"))


def test_chosen_properties() -> None:
    labels, image = scene(30, 30)
    table = nu.measure(labels, image, axes="YX", properties=["intensity_mean", "area", "label"])
    assert table.columns.tolist() == ["label", "area", "intensity_mean"]


# Confidence


def prediction(scores: np.ndarray, card: Any, axes: str = "CYX") -> nu.Prediction:
    return nu.Prediction(scores, axes, (0.5, 0.5), card, {})


def test_confidence_is_the_mean_score_inside(bright_model: Any) -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[2:6, 2:6], labels[10:14, 10:14] = 1, 2
    foreground = np.where(labels == 1, 0.9, 0.2).astype(np.float32)
    foreground[2, 2:6] = 0.5
    table = nu.measure(labels, axes="YX", scores=foreground)
    np.testing.assert_allclose(table.confidence, [0.8, 0.2], rtol=1e-6)
    maps = np.stack([foreground, np.ones_like(foreground)])
    known = nu.measure(labels, scores=prediction(maps, bright_model().card))
    np.testing.assert_allclose(known.confidence, table.confidence, rtol=1e-6)
    assert known.attrs["pixel_size"] == (0.5, 0.5)


def test_confidence_of_a_class_is_not_that_of_the_background(bright_model: Any) -> None:
    card = bright_model().card.model_copy(
        update={
            "task": "semantic",
            "classes": tuple(ClassInfo(value=v, name=f"class {v}") for v in (0, 3, 5)),
        }
    )
    labels = np.array([[3, 3, 0, 5, 5]])
    scores = np.zeros((3, 1, 5), np.float32)
    scores[0] = [[0.6, 0.6, 0.9, 0.1, 0.1]]
    scores[1] = [[0.3, 0.3, 0.1, 0.2, 0.2]]
    scores[2] = [[0.1, 0.1, 0.0, 0.7, 0.7]]
    table = nu.measure(labels, axes="YX", scores=prediction(scores, card))
    np.testing.assert_allclose(table.confidence, [0.3, 0.7], rtol=1e-6)


# Arrays on disk


@pytest.mark.parametrize("kind", ["zarr", "dask", "list"])
def test_what_is_read_block_by_block_is_as_the_whole(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, image = scene(10, 60, 70, count=25)
    labels[4, 1:55, 3], labels[0, 0, 0], labels[9, 59, 69] = 1000, 2000, 2000  # long, in pieces
    wanted = nu.measure(labels, image, axes="ZYX", pixel_size=(1, 0.5, 0.5), scores=image)
    monkeypatch.setattr(windows, "BLOCK_PIXELS", 2000)
    if kind == "dask":
        parts = [dask.array.from_array(each, chunks=(4, 17, 13)) for each in (labels, image)]
    else:
        parts = [
            zarr.create_array(tmp_path / f"{i}.zarr", data=each, chunks=(3, 16, 16))
            for i, each in enumerate((labels, image))
        ]
    pictures = [parts[1], parts[1]] if kind == "list" else parts[1]
    found = nu.measure(parts[0], pictures, axes="ZYX", pixel_size=(1, 0.5, 0.5), scores=parts[1])
    if kind == "list":
        found = found[[name for name in found if not name.endswith("-1") or name in wanted]]
        found.columns = wanted.columns
    assert_equal_tables(found, wanted)


def test_only_blocks_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "BLOCK_PIXELS", 4096)

    class Watched:
        dtype, ndim, shape = np.dtype(np.int32), 2, (1000, 1000)
        chunks = (50, 50)
        largest = 0

        def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray:
            rows, columns = (np.arange(n)[i] for n, i in zip(self.shape, index, strict=True))
            self.largest = max(self.largest, rows.size * columns.size)
            y, x = np.meshgrid(rows, columns, indexing="ij")
            inside = (y % 40 > 4) & (x % 40 > 4)
            return ((y // 40 * 25 + x // 40 + 1) * inside).astype(np.int32)

    labels = Watched()
    table = nu.measure(labels, axes="YX", properties=["area"])
    assert table.area.tolist() == [35.0**2] * 625
    assert labels.largest <= 4 * 4096


# Labels that are none


def test_labels_without_objects_give_all_columns_and_no_row() -> None:
    labels, image = scene(30, 30)
    some = nu.measure(labels, image, axes="YX", scores=image)
    none = nu.measure(np.zeros_like(labels), image, axes="YX", scores=image)
    assert none.columns.tolist() == some.columns.tolist()
    assert none.dtypes.tolist() == some.dtypes.tolist()
    assert len(none) == 0
    assert none.attrs["units"] == some.attrs["units"]
    of_volumes = {"axis_middle_length", "surface_area", "neighbours"}
    assert {name.split("-")[0] for name in none} == {"label", *PROPERTIES} - of_volumes


def test_floats_that_are_labels_are_taken() -> None:
    labels, image = scene(30, 30)
    found = nu.measure(labels.astype(np.float32), image, axes="YX")
    assert_equal_tables(found, nu.measure(labels, image, axes="YX"))


FLAT = np.ones((20, 30), np.int32)


@pytest.mark.parametrize(
    ("labels", "more", "parameter", "said"),
    [
        (FLAT * 0.5, {}, "labels", "no whole number"),
        (FLAT * np.nan, {}, "labels", "no whole number"),
        (-FLAT, {}, "labels", "hold -1"),
        (FLAT > 0, {}, "labels", "mask"),
        ([[1, 2]], {}, "labels", "list"),
        (FLAT * 1j, {}, "labels", "complex"),
        (np.ones((2, 20, 30), int), {"axes": None}, "axes", "not known"),
        (np.ones((2, 20, 30), int), {"axes": "CYX"}, "labels", "2 channels"),
        (FLAT, {"axes": "ZYX"}, "axes", "3 axes"),
        (FLAT, {"axes": "YYX"}, "axes", "at most once"),
        (np.ones((0, 30), int), {}, "image", "no pixels"),
        (FLAT, {"image": np.ones((20, 31))}, "image", r"\(20, 31\)"),
        (FLAT, {"image": np.ones((30, 20))}, "image", r"\(30, 20\)"),
        (FLAT, {"image": np.ones((2, 20, 30))}, "image", "axes, with C"),
        (FLAT, {"image": [np.ones((20, 30)), np.ones((9, 9))]}, "image", "shape"),
        (FLAT, {"image": []}, "image", "empty"),
        (FLAT, {"image": FLAT * 1j}, "image", "complex"),
        (FLAT, {"scores": np.ones((2, 20, 30))}, "scores", r"\(2, 20, 30\)"),
        (FLAT, {"pixel_size": -1}, "pixel_size", "no size"),
        (FLAT, {"pixel_size": (1, 1, 1)}, "pixel_size", "3 values"),
        (FLAT, {"pixel_size": "0.5"}, "pixel_size", "no number"),
        (FLAT, {"properties": ["intensity_mean"]}, "image", "needs image"),
        (FLAT, {"properties": ["confidence"]}, "scores", "needs scores"),
    ],
)
def test_unfit_input_is_told(labels: Any, more: dict[str, Any], parameter: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        nu.measure(labels, **{"axes": "YX", **more})
    assert caught.value.parameter == parameter


def test_unknown_properties_are_told() -> None:
    with pytest.raises(SettingsError, match="'aera' is unknown; choose of area"):
        nu.measure(FLAT, axes="YX", properties=["aera"])
    with pytest.raises(SettingsError, match="two dimensions"):
        nu.measure(FLAT[None], axes="ZYX", properties="perimeter")


# Files


@pytest.mark.parametrize(("ending", "separator"), [("csv", ","), ("tsv", "\t"), ("CSV", ",")])
def test_a_table_is_read_back_from_its_file(tmp_path: Path, ending: str, separator: str) -> None:
    labels, image = scene(40, 40)
    table = nu.measure(labels, image, axes="YX", pixel_size=0.3)
    path = write_table(tmp_path / f"new/table.{ending}", table)
    assert_equal_tables(pd.read_csv(path, sep=separator), table)


def test_an_unfit_path_loses_nothing(tmp_path: Path) -> None:
    table = nu.measure(FLAT, axes="YX")
    with pytest.raises(FileError, match=r"\.csv or \.tsv or \.xlsx"):
        write_table(tmp_path / "table.ods", table)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileError):
        write_table(tmp_path / "file" / "table.csv", table)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_the_earlier_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    table = nu.measure(FLAT, axes="YX")
    paths = [write_table(tmp_path / f"t{ending}", table) for ending in (".csv", ".tsv", ".xlsx")]
    before = [path.read_bytes() for path in paths]
    for place in ("os.fsync", "xlsxwriter.workbook.Workbook._store_workbook"):
        with monkeypatch.context() as patch:
            patch.setattr(place, fail)
            for path in paths if place == "os.fsync" else paths[2:]:
                with pytest.raises(FileError, match="disk is full"):
                    write_table(path, table.head(1))
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == before


def test_a_workbook_holds_the_values(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "label": np.array([1, 1 << 60], np.uint64),
            "area": [2.5, 1e300],
            "mean": [np.nan, np.inf],
            "touches_border": [True, False],
        }
    )
    table.attrs["units"] = {"area": "µm²"}
    read = pd.read_excel(write_table(tmp_path / "t.xlsx", table, units=True))
    assert read.columns.tolist() == ["label", "area (µm²)", "mean", "touches_border"]
    assert read["area (µm²)"].tolist() == [2.5, 1e300]
    assert read["label"].astype(str).tolist() == ["1", str(1 << 60)]  # Excel would round it
    assert read["mean"].isna()[0]
    assert str(read["mean"][1]) == "inf"
    assert read["touches_border"].tolist() == [True, False]


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, image = scene(12, 40, 40)
    sizes = (2.0, 0.5, 0.5)
    places = tmp_path / "labels.tif", tmp_path / "image.tif", tmp_path / "table.csv"
    write_labels(places[0], labels, axes="ZYX", pixel_size=sizes)
    pictures = np.stack([image, image + 1], axis=1)
    write_image(places[1], pictures, axes="ZCYX", pixel_size=sizes)
    words = ["measure", str(places[0]), "--image", str(places[1])]
    assert main([*words, "-o", str(places[2])]) == 0
    assert (
        f"{len(np.unique(labels)) - 1} objects, lengths in micrometres" in capsys.readouterr().out
    )
    wanted = nu.measure(labels, pictures, axes="ZCYX", pixel_size=sizes)
    assert_equal_tables(pd.read_csv(places[2]), wanted)
    assert main([*words, "--properties", "area", "--pixel-size", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "label,area"


def test_command_tells_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "stack.npy", np.ones((3, 20, 30), np.uint8))
    np.save(tmp_path / "image.npy", np.ones((20, 31), np.uint8))
    np.save(tmp_path / "flat.npy", np.ones((20, 30), np.uint8))
    stack, image, flat = (str(tmp_path / f"{n}.npy") for n in ("stack", "image", "flat"))
    assert main(["measure", stack]) == 2
    assert "--axes TYX" in capsys.readouterr().err
    assert main(["measure", flat, "--image", image]) == 2
    assert "(20, 31)" in capsys.readouterr().err
    assert main(["measure", flat, "--pixel-size", "0"]) == 2
    assert "--pixel-size" in capsys.readouterr().err
    assert main(["measure", flat, "-o", str(tmp_path / "a.xls")]) == 2
    assert ".csv or .tsv" in capsys.readouterr().err
