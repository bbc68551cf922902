"""Which names make a pair of image and labels."""

from __future__ import annotations

import random
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.io.pairing import KNOWN, Pairing, describe_patterns, find_companions, pair_files


def pairs_of(found: Pairing) -> list[tuple[str, str]]:
    """Files of each pair, joined by a plus sign where there are several."""
    return [("+".join(pair.images), "+".join(pair.labels)) for pair in found.pairs]


def alone(*names: str) -> tuple[list[str], None]:
    return list(names), None


TABLE = {
    "same name": ((["a.png", "b.ome.tif"], ["a.tif", "b.tif"]), [("a.png", "a.tif")], "same name"),
    "own results": (alone("a.tif", "a_labels.ome.tif"), [("a.tif", "a_labels.ome.tif")], "_labels"),
    "masks": (alone("a.tif", "a_masks.tif"), [("a.tif", "a_masks.tif")], "ending _masks"),
    "cp_masks": (alone("a.tif", "a_cp_masks.png"), [("a.tif", "a_cp_masks.png")], "_cp_masks"),
    "mask": ((["a.tif"], ["a_mask.tif"]), [("a.tif", "a_mask.tif")], "ending _mask"),
    "label": ((["a.tif"], ["a_label.tif"]), [("a.tif", "a_label.tif")], "ending _label"),
    "hyphen": (alone("a.tif", "a-Mask.tif"), [("a.tif", "a-Mask.tif")], "ending -Mask"),
    "cellpose": (alone("a.tif", "a_seg.npy"), [("a.tif", "a_seg.npy")], "ending _seg.npy"),
    "cellpose data": (alone("0_img.png", "0_masks.png"), [("0_img.png", "0_masks.png")], "…_img"),
    "prefix": ((["image_0.tif"], ["mask_0.tif"]), [("image_0.tif", "mask_0.tif")], "image_…"),
    "label of img": (alone("img_7.tif", "lbl_7.tif"), [("img_7.tif", "lbl_7.tif")], "lbl_…"),
    "no separator": (alone("image0.tif", "mask0.tif"), [("image0.tif", "mask0.tif")], "mask…"),
    "seg": (alone("7.tif", "seg_7.tif"), [("7.tif", "seg_7.tif")], "beginning seg_"),
    "whole name": (
        alone("img_7.tif", "mask_img_7.tif"),
        [("img_7.tif", "mask_img_7.tif")],
        "mask_",
    ),
    "raw": ((["a_raw.tif"], ["a.tif"]), [("a_raw.tif", "a.tif")], "…_raw"),
    "nnU-Net": ((["c_000_0000.tif"], ["c_000.tif"]), [("c_000_0000.tif", "c_000.tif")], "nnU-Net"),
    "channels": (
        (["c_0000.tif", "c_0001.tif"], ["c.tif"]),
        [("c_0000.tif+c_0001.tif", "c.tif")],
        "nnU-Net",
    ),
    "nnU-Net, one folder": (
        alone("imagesTr/c_0000.tif", "labelsTr/c.tif"),
        [("imagesTr/c_0000.tif", "labelsTr/c.tif")],
        "nnU-Net",
    ),
    "case folders": (
        alone("1/image.tif", "1/mask.tif", "2/image.tif", "2/mask.tif"),
        [("1/image.tif", "1/mask.tif"), ("2/image.tif", "2/mask.tif")],
        "the names image with mask",
    ),
    "case folders of other names": (
        alone("1/scan.tif", "1/mask.png"),
        [("1/scan.tif", "1/mask.png")],
        "folder per case",
    ),
    "one object a file": (
        alone(
            "h/images/h.png", "h/masks/x.png", "h/masks/y.png", "g/images/g.png", "g/masks/z.png"
        ),
        [("g/images/g.png", "g/masks/z.png"), ("h/images/h.png", "h/masks/x.png+h/masks/y.png")],
        "folder of masks per image",
    ),
    "a folder of masks each": (
        (["h.png"], ["h/0.png", "h/1.png"]),
        [("h.png", "h/0.png+h/1.png")],
        "folder of masks per image",
    ),
    "images and masks": (
        alone("images/a.tif", "masks/a.tif", "images/b.tif", "masks/b_mask.tif"),
        [("images/a.tif", "masks/a.tif"), ("images/b.tif", "masks/b_mask.tif")],
        "1 by the ending _mask, 1 by the same name",
    ),
    "tracking": (
        alone("01/t000.tif", "01_GT/SEG/man_seg000.tif", "02/t000.tif", "02_ST/SEG/man_seg000.tif"),
        [
            ("01/t000.tif", "01_GT/SEG/man_seg000.tif"),
            ("02/t000.tif", "02_ST/SEG/man_seg000.tif"),
        ],
        "Cell Tracking Challenge",
    ),
    "tracking, two folders": (
        (["t007.tif"], ["SEG/man_seg007.tif"]),
        [("t007.tif", "SEG/man_seg007.tif")],
        "man_seg",
    ),
    "markers": ((["t007.tif"], ["man_track007.tif"]), [("t007.tif", "man_track007.tif")], "man_tr"),
    "ilastik": (
        alone("a.tif", "a_Simple Segmentation.tiff"),
        [("a.tif", "a_Simple Segmentation.tiff")],
        "ending _Simple Segmentation",
    ),
    "the only image": (alone("dapi.tif", "RoiSet.zip"), [("dapi.tif", "RoiSet.zip")], "per case"),
    "regions": (alone("a.tif", "a.zip"), [("a.tif", "a.zip")], "the same name"),
    "region set": (alone("a.tif", "RoiSet_a.zip"), [("a.tif", "RoiSet_a.zip")], "RoiSet_"),
}


@pytest.mark.parametrize("name", TABLE)
def test_known_patterns(name: str) -> None:
    (images, labels), expected, said = TABLE[name]
    found = pair_files(images, labels)
    assert set(expected) <= set(pairs_of(found))
    assert not found.images
    assert not found.labels
    assert said in describe_patterns(found.pairs)


def test_the_best_of_several_labels_is_taken_and_the_others_are_told() -> None:
    found = pair_files(["a.tif", "a_masks.tif", "a_seg.npy", "a_flows.tif"])
    assert pairs_of(found) == [("a.tif", "a_masks.tif")]
    assert found.passed_over == (("a_seg.npy", "a_masks.tif"),)
    names = ["01/t000.tif", "01_GT/SEG/man_seg000.tif", "01_ST/SEG/man_seg000.tif"]
    found = pair_files([*names, "01_RES/mask000.tif"])
    assert pairs_of(found) == [("01/t000.tif", "01_GT/SEG/man_seg000.tif")]
    assert found.passed_over == ((names[2], names[1]),)


def test_markers_of_tracked_objects_are_not_mixed_with_segmentations() -> None:
    names = ["01/t000.tif", "01/t001.tif", "01_GT/SEG/man_seg001.tif"]
    markers = ["01_GT/TRA/man_track000.tif", "01_GT/TRA/man_track001.tif"]
    found = pair_files([*names, *markers])
    assert pairs_of(found) == [("01/t001.tif", "01_GT/SEG/man_seg001.tif")]
    assert found.images == ("01/t000.tif",)
    assert found.labels == tuple(markers)


def test_images_among_labels_are_not_taken_for_them() -> None:
    found = pair_files(["a.tif"], ["a.tif", "a_masks.tif"])
    assert pairs_of(found) == [("a.tif", "a_masks.tif")]
    assert found.labels == ("a.tif",)


def test_names_that_do_not_decide() -> None:
    assert pair_files(["a.tif"], ["a.png", "a.tif"]).ambiguous_labels == (("a.png", "a.tif"),)
    assert pair_files(["a.tif", "a.png"], ["a.tif"]).ambiguous == (("a.png", "a.tif"),)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (["a.tif", "b.tif"], None),
        (["a.tif"], ["b.tif"]),
        (["a.tif", "a.png"], None),  # a picture of the image
        (["x_0000.tif", "x.tif"], None),  # no channel in one folder
        (["x_0001.tif"], ["x.tif"]),  # the first channel is missing
        (["1/image.tif"], ["2/mask.tif"]),
        (["train/a.tif"], ["train/b.tif", "train/c.tif", "x/a.tif"]),
    ],
)
def test_what_is_no_pair(images: list[str], labels: list[str] | None) -> None:
    found = pair_files(images, labels)
    assert not [p for p in found.pairs if p.pattern != "a folder of masks per image"]


def test_a_lonely_mask_is_left_over_as_labels() -> None:
    found = pair_files(["a.tif", "a_mask.tif", "b_mask.tif", "c.tif"])
    assert (found.images, found.labels) == (("c.tif",), ("b_mask.tif",))


def test_an_image_whose_name_begins_like_labels() -> None:
    found = pair_files(["gt_mouse.tif", "gt_mouse_masks.tif"])
    assert pairs_of(found) == [("gt_mouse.tif", "gt_mouse_masks.tif")]


def test_companions_of_an_image_in_its_folder_only() -> None:
    names = ["a.tif", "a_masks.tif", "x/a_mask.tif", "t001.tif", "man_seg001.tif", "a_overlay.png"]
    assert find_companions(names) == {
        "a_masks.tif": "a.tif",
        "a_overlay.png": "a.tif",
        "man_seg001.tif": "t001.tif",
    }


def test_a_mask_beside_the_only_image_is_its_companion() -> None:
    assert find_companions(["dapi.tif", "mask.tif"]) == {"mask.tif": "dapi.tif"}
    assert find_companions(["dapi.tif", "gfp.tif", "mask.tif"]) == {}
    assert find_companions(["mask.tif"]) == {}


def test_what_is_known_is_told() -> None:
    for word in ("_masks", "_seg.npy", "mask_0", "case_0000", "man_seg000", "images/ and masks/"):
        assert word in KNOWN


STEMS = st.sampled_from(["a", "b", "a_b", "0", "t000", "c_0000", "c_0001", "c"])
BEGINNINGS = st.sampled_from(["", "", "mask_", "image_", "img", "seg_", "man_seg"])
ENDINGS = st.sampled_from(["", "", "_masks", "_mask", "_labels", "_img", "_seg", "_flows"])
FOLDERS = st.sampled_from(["", "", "x/", "x/masks/", "x/images/", "01/", "01_GT/SEG/", "masks/"])
SUFFIXES = st.sampled_from([".tif", ".png", ".npy", ".zip", ".ome.tif"])
NAMES = st.builds("".join, st.tuples(FOLDERS, BEGINNINGS, STEMS, ENDINGS, SUFFIXES))
LISTS = st.lists(NAMES, max_size=12)


@given(LISTS, LISTS | st.none(), st.randoms())
def test_pairs_are_sound_whatever_the_names(
    images: list[str], labels: list[str] | None, chance: random.Random
) -> None:
    found = pair_files(images, labels)
    for mixed in (images, labels or []):
        chance.shuffle(mixed)
    assert pair_files(images, labels) == found
    pictures = [name for pair in found.pairs for name in pair.images]
    masks = [name for pair in found.pairs for name in pair.labels]
    # each file once, and nobody both image and labels of one folder
    assert len(pictures) == len(set(pictures))
    assert len(masks) == len(set(masks))
    assert set(pictures) <= set(images)
    assert set(masks) <= set(images if labels is None else labels)
    if labels is None:
        assert not set(pictures) & set(masks)
        assert not set(found.images) & set(found.labels)
    left = {*found.images, *(name for several in found.ambiguous for name in several)}
    assert not left & set(pictures)
    others = {name for name, _ in found.passed_over}
    assert not {*found.labels, *others} & set(masks)
    for pair in found.pairs:
        # several labels of one image are the files of one folder
        assert len({PurePosixPath(name).parent for name in pair.labels}) == 1
        assert len(pair.labels) == 1 or pair.pattern == "a folder of masks per image"


@given(LISTS)
def test_companions_are_beside_another_file(names: list[str]) -> None:
    found = find_companions(names)
    for name, image in found.items():
        assert name != image
        assert PurePosixPath(name).parent == PurePosixPath(image).parent
        assert {name, image} <= set(names)


def test_a_frame_of_labels_is_no_image() -> None:
    found = pair_files(["01/t000.tif", "01_SEG/man_seg000.tif"])
    assert found.images == ("01/t000.tif",)
    assert found.labels == ("01_SEG/man_seg000.tif",)
    found = pair_files(["1/t000.tif", "1_GT/SEG/man_seg000.tif"])
    assert pairs_of(found) == [("1/t000.tif", "1_GT/SEG/man_seg000.tif")]


@pytest.mark.parametrize(
    "names", [("01", "02", "03"), ("img_1", "img_2"), ("t000", "t001"), ("1", "01")]
)
def test_numbers_alone_make_no_pair(names: tuple[str, ...]) -> None:
    files = [f"{name}.tif" for name in names]
    assert pair_files(files).pairs == ()
    assert pair_files(files[:1], files[1:]).pairs == ()
