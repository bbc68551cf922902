"""Images in folders, pairs of image and labels, and whether a folder can be written to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_unet.errors import FileError
from napari_unet.io.folders import check_writable, example_files, find_images, plain_stem


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_images_of_a_folder(tmp_path: Path) -> None:
    make(tmp_path, "b.tif", "A.PNG", "c.ome.tiff", "d.jpeg", "e.npy", "g.zarr/zarr.json")
    make(tmp_path, "notes.txt", ".hidden.tif", "below/f.tif", "folder.tif/x", "h.csv")
    make(tmp_path, "b_labels.tif", "b_labels.json", "b_scores.ome.tif", "b_overlay.txt")
    names = [path.name for path in find_images([tmp_path])]
    assert names == ["A.PNG", "b.tif", "c.ome.tiff", "d.jpeg", "e.npy", "g.zarr"]


def test_named_files_are_taken_as_they_are(tmp_path: Path) -> None:
    make(tmp_path / "f", "z.tif")
    paths = [tmp_path / "x_labels.tif", tmp_path / "missing.tif", tmp_path / "f", "./y.txt"]
    assert find_images(paths) == [paths[0], paths[1], tmp_path / "f" / "z.tif", Path("y.txt")]
    assert find_images([str(paths[0]), paths[0]]) == [paths[0]]


def test_no_images(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", "a_labels.tif")
    with pytest.raises(FileError, match=r"no images.*\.tif"):
        find_images([tmp_path])
    with pytest.raises(FileError, match="named"):
        find_images([])


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(FileError, match="Permission denied"):
        find_images([tmp_path])


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.tif", "a"),
        ("a.b.tif", "a.b"),
        ("a.ome.tif", "a"),
        ("a.OME.TIFF", "a"),
        ("ome.tif", "ome"),
    ],
)
def test_plain_stems(name: str, stem: str) -> None:
    assert plain_stem(Path("folder.ome") / name) == stem


# Pairs


def test_labels_by_name_in_another_folder(tmp_path: Path) -> None:
    images = make(tmp_path / "images", "a.png", "b.ome.tif", "c.tif")
    labels = make(tmp_path / "labels", "c_labels.tif", "a.tif", "b.tif", "unused.tif")
    assert example_files(images, labels) == [
        (images / "a.png", labels / "a.tif"),
        (images / "b.ome.tif", labels / "b.tif"),
        (images / "c.tif", labels / "c_labels.tif"),
    ]


def test_labels_beside_the_images(tmp_path: Path) -> None:
    make(tmp_path, "a.tif", "a_labels.tif", "b.png", "b_labels.ome.tif")
    assert example_files(tmp_path, tmp_path) == [
        (tmp_path / "a.tif", tmp_path / "a_labels.tif"),
        (tmp_path / "b.png", tmp_path / "b_labels.ome.tif"),
    ]


def test_the_same_name_goes_before_a_result(tmp_path: Path) -> None:
    images = make(tmp_path / "images", "a.tif")
    labels = make(tmp_path / "labels", "a.tif", "a_labels.tif")
    assert example_files(images, labels) == [(images / "a.tif", labels / "a.tif")]


def test_an_image_is_never_its_own_labels(tmp_path: Path) -> None:
    make(tmp_path, "a.tif")
    with pytest.raises(FileError, match=r"a\.tif has no labels"):
        example_files(tmp_path, tmp_path)


def test_an_image_without_labels(tmp_path: Path) -> None:
    images = make(tmp_path / "images", "a.tif", "b.tif")
    labels = make(tmp_path / "labels", "a.tif")
    with pytest.raises(FileError, match=r"b\.tif has no labels"):
        example_files(images, labels)


def test_two_files_or_zarr_images(tmp_path: Path) -> None:
    make(tmp_path, "a.tif", "truth.png", "a.zarr/zarr.json", "t.zarr/zarr.json")
    for pair in (("a.tif", "truth.png"), ("a.zarr", "t.zarr"), ("a.tif", "t.zarr")):
        image, labels = (tmp_path / name for name in pair)
        assert example_files(image, labels) == [(image, labels)]


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        ("folder", "a.tif", "one is a folder"),
        ("a.tif", "folder", "one is a folder"),
        ("missing", "a.tif", "missing does not exist"),
        ("folder", "missing", "missing does not exist"),
    ],
)
def test_pairs_that_are_none(images: str, labels: str, said: str, tmp_path: Path) -> None:
    make(tmp_path, "a.tif", "folder/b.tif")
    with pytest.raises(FileError, match=said):
        example_files(tmp_path / images, tmp_path / labels)


# Writing


@pytest.mark.parametrize("folder", [".", "new", "new/and/deep"])
def test_a_folder_that_can_be_written_to_stays_as_it_was(folder: str, tmp_path: Path) -> None:
    check_writable(tmp_path / folder)
    assert list(tmp_path.iterdir()) == []


def test_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_writable(Path("new/one"))
    make(tmp_path, "file")
    with pytest.raises(FileError, match="is a file"):
        check_writable(Path("file/one"))


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind root"
)
def test_a_folder_without_permission(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    for folder in (closed, closed / "below"):
        with pytest.raises(FileError, match="Permission denied"):
            check_writable(folder)
