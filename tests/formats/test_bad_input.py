"""What cannot be exported is told in a sentence, and changes nothing."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_unet as nu
from napari_unet.errors import FileError, InputError
from napari_unet.formats import KINDS

ONE = np.ones((8, 9), np.int32)
ENDINGS = [kind.endings[0] for kind in KINDS.values() if kind.name != "overlay"]


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("labels", "options", "words"),
    [
        (ONE.astype(float), {}, "float64.*integers"),
        (-ONE, {}, "-1.*above 0"),
        (ONE, {"image": np.ones((8, 8))}, r"\(8, 8\).*\(8, 9\)"),
        (np.ones((2, 8, 9), int), {}, "axes.*'ZYX'"),
        (ONE, {"axes": "ZYX"}, "axes"),
        (ONE, {"pixel_size": 0}, "pixel_size"),
        (ONE, {"pixel_size": "wide"}, "pixel_size"),
        (ONE, {"format": "xls"}, "format 'xls'.*geojson"),
        (ONE[:0], {}, "no pixels"),
        (np.full((8, 9), 2**40), {}, "32 bits"),
        ("cells", {}, "array"),
    ],
)
def test_bad_labels_leave_no_file(
    tmp_path: Path, labels: Any, options: dict[str, Any], words: str
) -> None:
    for ending in ENDINGS:
        if "format" in options and ending == ".png":
            continue
        with pytest.raises(InputError, match=words):
            nu.export(labels, tmp_path / f"a{ending}", **options)
    assert files_in(tmp_path) == {}


def test_the_ending_names_a_format(tmp_path: Path) -> None:
    for name in ("a", "a.xyz", "a.npy", "a.jpg"):
        with pytest.raises(FileError, match=r"names no format.*\.geojson"):
            nu.export(ONE, tmp_path / name)
    with pytest.raises(FileError, match=r"end its name in \.zip"):
        nu.export(ONE, tmp_path / "a.tif", format="roi")


def test_more_planes_or_labels_than_a_format_holds(tmp_path: Path) -> None:
    stack = np.ones((2, 8, 9), int)
    for options in ({}, {"image": stack}):
        with pytest.raises(FileError, match=r"one plane.*labels have 2.*\.tif"):
            nu.export(stack, tmp_path / "a.png", axes="ZYX", **options)
    with pytest.raises(FileError, match=r"2 time points.*each time point"):
        nu.export(stack, tmp_path / "a_seg.npy", axes="TYX")
    with pytest.raises(FileError, match=r"65,535.*70,000.*32 bits"):
        nu.export(70_000 * ONE, tmp_path / "a.png")
    with pytest.raises(InputError, match="needs the image"):
        nu.export(ONE, tmp_path / "a.png", format="overlay")
    assert files_in(tmp_path) == {}


def test_labels_without_an_object_make_files_without_one(tmp_path: Path) -> None:
    import json

    import roifile
    import tifffile

    empty = np.zeros((8, 9), np.uint16)
    for ending in ENDINGS:
        nu.export(empty, tmp_path / f"a{ending}")
    assert not tifffile.imread(tmp_path / "a.tif").any()
    assert roifile.roiread(tmp_path / "a.zip") == []
    assert json.loads((tmp_path / "a.geojson").read_text())["features"] == []
    assert json.loads((tmp_path / "a.json").read_text())["annotations"] == []
    assert (tmp_path / "a.csv").read_text().count("\n") == 1  # the names of the columns
    mask = nu.export(np.array([[False, True]]), tmp_path / "mask.tif")
    assert tifffile.imread(mask).tolist() == [[0, 1]]


def test_other_files_are_not_replaced(tmp_path: Path) -> None:
    for ending in ENDINGS:
        path = tmp_path / f"a{ending}"
        path.write_text("mine")
        with pytest.raises(FileError, match=r"there already.*another name") as caught:
            nu.export(ONE, path)
        assert caught.value.code == "exists"
    assert set(files_in(tmp_path).values()) == {b"mine"}
    (tmp_path / "folder.zip").mkdir()
    (tmp_path / "b.ome.zarr").mkdir()
    (tmp_path / "b.ome.zarr" / "mine.txt").touch()
    for name in ("folder.zip", "b.ome.zarr"):
        with pytest.raises(FileError, match="there already"):
            nu.export(ONE, tmp_path / name)
    # a label file that was exported, and corrected since
    path = nu.export(ONE, tmp_path / "c.tif")
    nu.write_labels(path, 2 * ONE, axes="YX")
    with pytest.raises(FileError, match="no earlier export"):
        nu.export(ONE, path)
    # the record of other labels
    nu.write_labels(
        tmp_path / "d.tif", ONE, axes="YX", record={"operation": "segment", "versions": {}}
    )
    with pytest.raises(FileError, match="record of another file"):
        nu.export(ONE, tmp_path / "d.json")


def failing(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk_leaves_the_earlier_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    path = nu.export(ONE, tmp_path / f"a{ending}")
    before = files_in(tmp_path)
    with monkeypatch.context() as patch:
        if ending == ".ome.zarr":
            import zarr

            def fail(*_: Any, **__: Any) -> None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            patch.setattr(zarr.Array, "__setitem__", fail)
        else:
            failing(patch, errno.ENOSPC)
        with pytest.raises(FileError, match="disk is full"):
            nu.export(2 * ONE, path)
    assert files_in(tmp_path) == before
    assert nu.export(2 * ONE, path) == path
    assert files_in(tmp_path) != before


def deny(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A folder that may not be written to, also for root."""
    make: Callable[..., None] = Path.mkdir

    def mkdir(self: Path, *args: Any, **options: Any) -> None:
        if self.parent == folder:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        make(self, *args, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)


def test_a_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deny(monkeypatch, tmp_path)
    for ending in ENDINGS:
        with pytest.raises(FileError, match="read-only"):
            nu.export(ONE, tmp_path / f"a{ending}")
    assert files_in(tmp_path) == {}


def test_closing_an_export_leaves_no_file(tmp_path: Path) -> None:
    stack = np.arange(4 * 80).reshape(4, 8, 10)
    for ending in ENDINGS:
        if ending in (".png", ".csv"):
            continue
        with closing(nu.iter_export(stack, tmp_path / f"a{ending}", axes="ZYX")) as steps:
            for step in steps:
                if step.message.startswith("writing") and step.done:
                    break
    assert files_in(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []
