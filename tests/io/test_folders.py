"""Images in folders, and whether a folder can be written to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_unet.errors import FileError
from napari_unet.io.folders import check_writable, find_images
from napari_unet.io.naming import plain_stem


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
    names = [path.name for path in find_images([tmp_path]).files]
    assert names == ["A.PNG", "b.tif", "c.ome.tiff", "d.jpeg", "e.npy", "g.zarr"]


def test_named_files_are_taken_as_they_are(tmp_path: Path) -> None:
    make(tmp_path / "f", "z.tif")
    paths = [tmp_path / "x_labels.tif", tmp_path / "missing.tif", tmp_path / "f", "./y.txt"]
    assert find_images(paths).files == [paths[0], paths[1], tmp_path / "f" / "z.tif", Path("y.txt")]
    assert find_images([str(paths[0]), paths[0]]).files == [paths[0]]


def test_labels_beside_their_images_are_left_out_and_told(tmp_path: Path) -> None:
    make(tmp_path, "a.tif", "a_masks.tif", "b.png", "b_seg.npy", "b_flows.tif", "mask_1.tif")
    make(tmp_path, "image_1.tif", "lonely_mask.tif")
    found = find_images([tmp_path])
    assert [p.name for p in found.files] == ["a.tif", "b.png", "image_1.tif", "lonely_mask.tif"]
    (note,) = found.notes
    for name in ("a_masks.tif", "b_seg.npy", "b_flows.tif", "mask_1.tif"):
        assert name in str(note)
    assert find_images([tmp_path / "a_masks.tif"]).files == [tmp_path / "a_masks.tif"]


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


def test_a_picture_beside_a_file_of_its_name_is_a_preview(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "a.tif", "b.JPG", "b.ome.tif", "c.jpg", "c.png", "d.jpg", "e.npy")
    found = find_images([tmp_path]).images
    assert [i.path.name for i in found] == ["a.tif", "b.ome.tif", "c.png", "d.jpg", "e.npy"]
    notes = {image.path.name: [str(note) for note in image.notes] for image in found}
    assert [name for name, said in notes.items() if said] == ["a.tif", "b.ome.tif", "c.png"]
    assert "a.png beside a.tif" in notes["a.tif"][0]


def test_files_of_one_name_that_are_no_previews_are_told_apart(tmp_path: Path) -> None:
    make(tmp_path, "a.tif", "a.npy", "a.ome.tif", "b.tif")
    names = [image.name for image in find_images([tmp_path]).images]
    assert names == ["a_npy", "a_ome_tif", "a_tif", "b"]


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
