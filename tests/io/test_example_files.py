"""Pairs of image and labels on a disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_unet.errors import FileError
from napari_unet.io.example_files import FoundPairs, find_pairs


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def names_of(found: FoundPairs, root: Path) -> list[tuple[str, str]]:
    return [
        ("+".join(p.relative_to(root).as_posix() for p in pair.images),
         "+".join(p.relative_to(root).as_posix() for p in pair.labels))
        for pair in found.pairs
    ]  # fmt: skip


def test_labels_by_name_in_another_folder(tmp_path: Path) -> None:
    images = make(tmp_path / "images", "a.png", "b.ome.tif", "c.tif")
    labels = make(tmp_path / "labels", "c_labels.tif", "a.tif", "b.tif", "unused.tif")
    found = find_pairs(images, labels)
    assert names_of(found, tmp_path) == [
        ("images/a.png", "labels/a.tif"),
        ("images/b.ome.tif", "labels/b.tif"),
        ("images/c.tif", "labels/c_labels.tif"),
    ]
    assert found.recognised == "3 pairs: 2 by the same name, 1 by the ending _labels"
    (note,) = found.notes
    assert "unused.tif" in str(note)
    assert "_masks" in str(note)


def test_labels_beside_the_images(tmp_path: Path) -> None:
    make(tmp_path, "a.tif", "a_labels.tif", "b.png", "b_labels.ome.tif")
    found = find_pairs(tmp_path, tmp_path)
    assert names_of(found, tmp_path) == [("a.tif", "a_labels.tif"), ("b.png", "b_labels.ome.tif")]
    assert not found.notes


def test_the_same_name_goes_before_a_result(tmp_path: Path) -> None:
    images = make(tmp_path / "images", "a.tif")
    labels = make(tmp_path / "labels", "a.tif", "a_labels.tif")
    found = find_pairs(images, labels)
    assert names_of(found, tmp_path) == [("images/a.tif", "labels/a.tif")]
    assert "a_labels.tif" in str(found.notes[0])


def test_an_image_is_never_its_own_labels(tmp_path: Path) -> None:
    make(tmp_path, "a.tif")
    with pytest.raises(FileError, match=r"No image has labels.*a\.tif.*no label files.*_masks"):
        find_pairs(tmp_path, tmp_path)


def test_images_without_labels_are_told(tmp_path: Path) -> None:
    images = make(tmp_path / "images", *(f"{i}.tif" for i in range(8)))
    labels = make(tmp_path / "labels", "0.tif")
    found = find_pairs(images, labels)
    assert len(found.pairs) == 1
    (note,) = found.notes
    assert "7 images have no labels" in str(note)
    assert "1.tif, 2.tif, 3.tif, 4.tif and 3 more" in str(note)


def test_nothing_pairs(tmp_path: Path) -> None:
    images = make(tmp_path / "images", "cells.tif")
    labels = make(tmp_path / "labels", "truth.tif")
    with pytest.raises(FileError, match=r"cells\.tif.*truth\.tif.*known are: the same name"):
        find_pairs(images, labels)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FileError, match="no images"):
        find_pairs(empty, labels)
    with pytest.raises(FileError, match="no label files"):
        find_pairs(images, empty)


def test_names_that_do_not_decide(tmp_path: Path) -> None:
    images = make(tmp_path / "images", "a.tif")
    labels = make(tmp_path / "labels", "a.tif", "a.png")
    with pytest.raises(FileError, match=r"label files a\.png, a\.tif .* the same image"):
        find_pairs(images, labels)


def test_a_picture_is_no_preview_of_regions(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "a.zip", "b.jpg", "b_RoiSet.zip", "c.tif", "c.png", "c_mask.png")
    found = find_pairs(tmp_path, tmp_path)
    assert names_of(found, tmp_path) == [
        ("a.png", "a.zip"), ("b.jpg", "b_RoiSet.zip"), ("c.tif", "c_mask.png"),
    ]  # fmt: skip
    assert "c.png beside c.tif" in str(found.notes[0])


def test_folders_below(tmp_path: Path) -> None:
    data = make(tmp_path / "data", "01/t000.tif", "01_GT/SEG/man_seg000.tif", ".cache/x.tif")
    expected = [("data/01/t000.tif", "data/01_GT/SEG/man_seg000.tif")]
    assert names_of(find_pairs(data, data), tmp_path) == expected
    assert names_of(find_pairs(data / "01", data / "01_GT"), tmp_path) == expected
    assert names_of(find_pairs(data / "01", data / "01_GT" / "SEG"), tmp_path) == expected
    mixed = make(tmp_path / "mixed", "a.tif", "masks/a.tif", "old/b.tif", "old/b_mask.tif")
    found = find_pairs(mixed, mixed)
    assert names_of(found, tmp_path) == [("mixed/a.tif", "mixed/masks/a.tif")]
    assert not found.notes


def test_markers_are_told_to_be_some(tmp_path: Path) -> None:
    data = make(tmp_path / "data", "01/t000.tif", "01_GT/TRA/man_track000.tif")
    (note,) = find_pairs(data, data).notes
    assert "man_track" in str(note)


def test_two_files_or_zarr_images(tmp_path: Path) -> None:
    make(tmp_path, "a.tif", "truth.png", "a.zarr/zarr.json", "t.zarr/zarr.json", "RoiSet.zip")
    for pair in (("a.tif", "truth.png"), ("a.zarr", "t.zarr"), ("a.tif", "RoiSet.zip")):
        found = find_pairs(*(tmp_path / name for name in pair))
        assert names_of(found, tmp_path) == [pair]
        assert not found.recognised


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
        find_pairs(tmp_path / images, tmp_path / labels)


def test_folders_of_a_tracking_challenge_that_do_not_belong_together(tmp_path: Path) -> None:
    for number in ("01", "02"):
        for name in ("{}/t000.tif", "{}_GT/SEG/man_seg000.tif", "{}_RES/mask000.tif"):
            path = tmp_path / name.format(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    first = tmp_path / "01"
    assert len(find_pairs(first, tmp_path / "01_GT").pairs) == 1
    for other in ("02_GT", "02_GT/SEG"):
        with pytest.raises(FileError, match=r"labels of sequence 02 .* images of sequence 01"):
            find_pairs(first, tmp_path / other)
    with pytest.raises(FileError, match="results of a program, which are no truth"):
        find_pairs(first, tmp_path / "01_RES")
    for images, labels in ((first, tmp_path), (tmp_path, tmp_path / "01_GT")):
        with pytest.raises(FileError, match="twice for all its sequences, or 01 and 01_GT"):
            find_pairs(images, labels)
