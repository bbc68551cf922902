"""ImageJ's regions of interest as labels of an image."""

from __future__ import annotations

import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi, roiwrite

from napari_unet.errors import FileError
from napari_unet.io.roi_files import read_roi_labels


def box(left: int, top: int, right: int, bottom: int, **fields: Any) -> ImagejRoi:
    kind = fields.pop("roitype", ROI_TYPE.RECT)
    return ImagejRoi(roitype=kind, left=left, top=top, right=right, bottom=bottom, **fields)


def polygon(points: Any, kind: ROI_TYPE = ROI_TYPE.POLYGON, **fields: Any) -> ImagejRoi:
    roi = ImagejRoi.frompoints(points)
    roi.roitype = kind
    for name, value in fields.items():
        setattr(roi, name, value)
    return roi


def composite(*paths: Any) -> ImagejRoi:
    """Paths of one region, every second one a hole."""
    numbers: list[float] = []
    for path in paths:
        for i, (x, y) in enumerate(path):
            numbers += [min(i, 1), x, y]
        numbers.append(4)
    points = np.concatenate(paths)
    return ImagejRoi(
        roitype=ROI_TYPE.RECT,
        left=int(points[:, 0].min()),
        top=int(points[:, 1].min()),
        right=int(points[:, 0].max()),
        bottom=int(points[:, 1].max()),
        shape_roi_size=len(numbers),
        multi_coordinates=np.array(numbers, np.float32),
    )


def square(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)


def store(folder: Path, *rois: ImagejRoi) -> Path:
    path = folder / "RoiSet.zip"
    roiwrite(path, rois, name=[roi.name or f"r{i}" for i, roi in enumerate(rois, 1)], mode="w")
    return path


def notes_of(path: Path, shape: Any, axes: str, **options: Any) -> dict[str, str]:
    return {note.code: str(note) for note in read_roi_labels(path, shape, axes, **options)[1]}


def test_areas_of_each_kind(tmp_path: Path) -> None:
    path = store(
        tmp_path,
        box(1, 1, 4, 3),
        polygon(square(5, 1, 8, 4)),
        polygon(square(10, 1, 12, 5), ROI_TYPE.TRACED),
        polygon(square(14, 1, 17, 3) + 0.2, ROI_TYPE.FREEHAND),
        box(1, 8, 11, 18, roitype=ROI_TYPE.OVAL),
    )
    labels, notes = read_roi_labels(path, (20, 20), "YX")
    assert not notes
    expected = np.zeros((20, 20), np.int32)
    expected[1:3, 1:4] = 1
    expected[1:4, 5:8] = 2
    expected[1:5, 10:12] = 3
    expected[1:3, 14:17] = 4
    y, x = np.mgrid[:20, :20] + 0.5
    expected[(x - 6) ** 2 + (y - 13) ** 2 <= 25] = 5
    np.testing.assert_array_equal(labels, expected)
    assert labels.dtype == np.int32


def test_a_single_region_and_one_with_a_hole(tmp_path: Path) -> None:
    ring = composite(square(1, 1, 9, 9), square(3, 3, 6, 6), square(4, 4, 5, 5))
    path = tmp_path / "one.roi"
    ring.tofile(path)
    labels, _ = read_roi_labels(path, (12, 12), "YX")
    expected = np.zeros((12, 12), np.int32)
    expected[1:9, 1:9] = 1
    expected[3:6, 3:6] = 0
    expected[4, 4] = 1
    np.testing.assert_array_equal(labels, expected)


def test_fractions_of_pixels(tmp_path: Path) -> None:
    oval = box(0, 0, 4, 4, roitype=ROI_TYPE.OVAL, options=ROI_OPTIONS.SUB_PIXEL_RESOLUTION)
    oval.version, oval.xd, oval.yd, oval.widthd, oval.heightd = 227, 1.2, 1.2, 2.6, 2.6
    path = store(tmp_path, oval, polygon(square(5, 5, 7, 7) + 0.6))
    labels, _ = read_roi_labels(path, (9, 9), "YX")
    assert np.argwhere(labels == 1).tolist() == [[1, 2], [2, 1], [2, 2], [2, 3], [3, 2]]
    assert np.argwhere(labels == 2).tolist() == [[6, 6], [6, 7], [7, 6], [7, 7]]


def test_neighbours_that_share_an_edge_do_not_overlap(tmp_path: Path) -> None:
    path = store(
        tmp_path, polygon([(0, 0), (10, 0), (10, 10)]), polygon([(0, 0), (0, 10), (10, 10)])
    )
    labels, notes = read_roi_labels(path, (10, 10), "YX")
    assert (labels > 0).all()
    assert not notes


def test_what_is_not_as_it_looks_is_told(tmp_path: Path) -> None:
    path = store(
        tmp_path,
        box(0, 0, 4, 4, name="below"),
        box(2, 2, 6, 6, name="above"),
        box(30, 30, 40, 40, name="far"),
        box(8, 8, 20, 20, name="cut"),
        polygon([(1, 1), (2, 2)], ROI_TYPE.POINT, name="points"),
        box(0, 0, 3, 3, subtype=ROI_SUBTYPE.TEXT, name="words"),
        box(12, 0, 14, 2, name="first"),
        box(12, 0, 14, 2, name="second"),
    )
    labels, _ = read_roi_labels(path, (16, 16), "YX")
    told = notes_of(path, (16, 16), "YX")
    assert labels[3, 3] == 2
    assert "above" in told["roi-overlap"]
    assert "far" in told["roi-outside"]
    assert "cut" in told["roi-cut"]
    assert "points, words" in told["roi-no-area"]
    assert "first" in told["roi-hidden"]
    assert "second" not in told["roi-hidden"]


@pytest.mark.parametrize(
    ("axes", "shape", "fields", "planes"),
    [
        ("ZYX", (3, 8, 8), {"position": 2}, [1]),
        ("TYX", (3, 8, 8), {"position": 2}, [1]),
        ("ZYX", (3, 8, 8), {"z_position": 3, "c_position": 1, "t_position": 1}, [2]),
        ("TYX", (3, 8, 8), {"t_position": 3, "z_position": 1}, [2]),
        ("ZYX", (3, 8, 8), {"t_position": 3}, [2]),  # time points that are planes
        ("ZYX", (3, 8, 8), {"name": "0003-0002-0002"}, [2]),
        ("ZYX", (3, 8, 8), {}, [0, 1, 2]),
        ("TZYX", (2, 3, 8, 8), {"z_position": 2, "t_position": 2}, [4]),
        ("TZYX", (2, 3, 8, 8), {"z_position": 2}, [1, 4]),
        ("TZCYX", (2, 3, 2, 8, 8), {"position": 10}, [4]),
        ("ZCYX", (3, 2, 8, 8), {"position": 3}, [1]),
        ("CYX", (2, 8, 8), {"c_position": 2, "position": 2}, [0]),
        ("ZYXC", (3, 8, 8, 3), {"position": 2}, [1]),
    ],
)
def test_the_plane_of_a_region(
    axes: str, shape: Any, fields: Any, planes: list[int], tmp_path: Path
) -> None:
    labels, _ = read_roi_labels(store(tmp_path, box(1, 1, 3, 3, **fields)), shape, axes)
    sizes = [n for n, axis in zip(shape, axes, strict=True) if axis != "C"]
    assert list(labels.shape) == sizes
    flat = labels.reshape(-1, 8, 8).any(axis=(1, 2))
    assert np.flatnonzero(flat).tolist() == planes
    told = notes_of(tmp_path / "RoiSet.zip", shape, axes)
    assert ("roi-every-plane" in told) == (len(planes) > 1)


def test_a_plane_that_the_image_has_not(tmp_path: Path) -> None:
    path = store(tmp_path, box(1, 1, 3, 3, position=2), box(1, 1, 3, 3, position=9, name="late"))
    assert "late" in notes_of(path, (3, 8, 8), "ZYX")["roi-other-plane"]


def test_an_axis_order_of_its_own(tmp_path: Path) -> None:
    labels, _ = read_roi_labels(store(tmp_path, box(1, 2, 3, 7)), (8, 10), "XY")
    assert labels.shape == (8, 10)
    assert labels[1:3, 2:7].all()
    assert labels.sum() == 10


def test_groups_are_classes(tmp_path: Path) -> None:
    path = store(tmp_path, box(0, 0, 2, 2, group=3), box(4, 4, 6, 6, group=1))
    assert set(np.unique(read_roi_labels(path, (8, 8), "YX", classes=True)[0])) == {0, 1, 3}
    path = store(tmp_path, box(0, 0, 2, 2), box(4, 4, 6, 6))
    assert set(np.unique(read_roi_labels(path, (8, 8), "YX", classes=True)[0])) == {0, 1}
    path = store(tmp_path, box(0, 0, 2, 2, group=3), box(4, 4, 6, 6, name="none"))
    with pytest.raises(FileError, match="none"):
        read_roi_labels(path, (8, 8), "YX", classes=True)


def test_files_without_areas(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"no area inside the image.*far"):
        read_roi_labels(store(tmp_path, box(30, 30, 40, 40, name="far")), (8, 8), "YX")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("notes.txt", "x")
    with pytest.raises(FileError, match=r"no \.roi file"):
        read_roi_labels(tmp_path / "other.zip", (8, 8), "YX")
    with pytest.raises(FileError, match="cannot be read"):
        read_roi_labels(tmp_path / "missing.roi", (8, 8), "YX")


@given(st.data())
def test_damaged_regions_raise_errors_of_ours(data: st.DataObject) -> None:
    kinds = (box(1, 1, 5, 5), polygon(square(1, 1, 5, 5)), composite(square(1, 1, 5, 5)))
    whole = bytearray(data.draw(st.sampled_from(kinds)).tobytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.roi"
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
        try:
            labels, _ = read_roi_labels(path, (8, 8), "YX")
        except FileError:
            return
    assert labels.shape == (8, 8)
