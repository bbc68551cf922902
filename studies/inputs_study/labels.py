"""Label files, and images and labels as people keep them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from PIL import Image

import napari_unet as nu
from inputs_study.files import ome_zarr
from inputs_study.kinds import KINDS, MODEL, CommandRun, Outcome, command, sample
from napari_unet.cli.training_files import read_example

write = tifffile.imwrite
QUICK = ("--steps", "1", "--patch", "32,32", "--batch-size", "1", "--base", MODEL)


def train(folder: Path, *words: object) -> CommandRun:
    """`napari-unet train` for one step, and what it says of the files."""
    run = command(folder, "train", *words, "-o", "m.safetensors", *QUICK)
    kept = [line for line in run.lines if line.startswith(("error", "warning", "note", "2 pairs"))]
    trained = ["it trains"] if run.status == 0 else []
    return CommandRun(run.status, [*trained, *kept])


def read(folder: Path, labels: str) -> Outcome:
    """Read the labels of a.tif with the function of the command line, and compare them."""
    example, notes = read_example(folder / "a.tif", folder / labels)
    found = np.asarray(example.labels)
    same = found.size == sample()[1].size and np.array_equal(
        found.reshape(sample()[1].shape), sample()[1]
    )
    run = train(folder, "a.tif", labels)
    said = "; ".join(
        [
            f"{len(np.unique(found)) - 1} labels, as they were drawn" if same else "other labels",
            run.said,
        ]
    )
    del notes
    return Outcome(said, same and run.status == 0)


def told(folder: Path, labels: str, *words: str, options: tuple[str, ...] = ()) -> Outcome:
    """Labels that cannot be meant as they are: right is a sentence with these words."""
    run = train(folder, "a.tif", labels, *options)
    return Outcome(run.said, any(word in run.said for word in words))


# Label files


def _labels(folder: Path, save: Any) -> Outcome:
    write(folder / "a.tif", sample()[0])
    return read(folder, save(folder, sample()[1].astype(np.uint16)))


def _tiff(folder: Path, y: np.ndarray, dtype: Any, **options: Any) -> str:
    write(folder / "l.tif", y.astype(dtype), **options)
    return "l.tif"


def _png(folder: Path, y: np.ndarray) -> str:
    Image.fromarray(y).save(folder / "l.png")
    return "l.png"


def _npy(folder: Path, y: np.ndarray) -> str:
    np.save(folder / "l.npy", y)
    return "l.npy"


def _png_palette(folder: Path, y: np.ndarray) -> str:
    picture = Image.fromarray(y.astype(np.uint8))
    picture.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
    picture.save(folder / "l.png")
    return "l.png"


def _tiff_palette(folder: Path, y: np.ndarray) -> str:
    table = np.random.default_rng(0).integers(0, 65536, (3, 256)).astype(np.uint16)
    return _tiff(folder, y, np.uint8, photometric="palette", colormap=table)


def _grey_rgb(folder: Path, y: np.ndarray) -> str:
    Image.fromarray(np.dstack([y.astype(np.uint8)] * 3)).save(folder / "l.png")
    return "l.png"


def _white(folder: Path, y: np.ndarray) -> str:
    return _tiff(folder, y, np.uint8, photometric="miniswhite")


def _seg(folder: Path, y: np.ndarray) -> str:
    np.save(folder / "a_seg.npy", {"masks": y, "outlines": y * 0}, allow_pickle=True)  # type: ignore[arg-type]
    return "a_seg.npy"


def _five(folder: Path, y: np.ndarray) -> str:
    ome_zarr(folder / "l.zarr", y[None, None, None], "tczyx")
    return "l.zarr"


SAVES = {
    "16-bit TIFF": partial(_tiff, dtype=np.uint16),
    "32-bit TIFF": partial(_tiff, dtype=np.int32),
    "whole numbers in 32-bit float (ImageJ, MorphoLibJ)": partial(
        _tiff, dtype=np.float32, imagej=True
    ),
    "16-bit PNG": _png,
    "NumPy array": _npy,
    "palette PNG: the indices": _png_palette,
    "palette TIFF: the indices": _tiff_palette,
    "RGB of which all channels are equal": _grey_rgb,
    "TIFF with min is white: the numbers as stored": _white,
    "Cellpose's _seg.npy": _seg,
    "OME-Zarr of five axes for a plain image": _five,
}
for name, save in SAVES.items():
    KINDS.add("Label files", name)(partial(_labels, save=save))


def _doubted(
    folder: Path, save: Any, words: tuple[str, ...], options: tuple[str, ...] = ()
) -> Outcome:
    write(folder / "a.tif", sample()[0])
    return told(folder, save(folder, sample()[1]), *words, options=options)


def _bits(folder: Path, y: np.ndarray) -> str:
    Image.fromarray(y > 0).save(folder / "l.png")
    return "l.png"


def _mask(folder: Path, y: np.ndarray) -> str:
    return _tiff(folder, (y > 0) * 255, np.uint8)


def _negative(folder: Path, y: np.ndarray) -> str:
    one = np.unique(y)[3]
    return _tiff(folder, np.where(y == one, -1, y.astype(np.int32)), np.int32)


def _colours(folder: Path, y: np.ndarray) -> str:
    table = np.random.default_rng(0).integers(0, 256, (256, 3), np.uint8)
    table[0] = 0
    Image.fromarray(table[y.astype(np.uint8)]).save(folder / "l.png")
    return "l.png"


def _fractions(folder: Path, y: np.ndarray) -> str:
    return _tiff(folder, y / (1 + y.max()), np.float32)


for name, save, words in (
    ("a mask of 1 bit", _bits, ("connected components", "mask")),
    ("a mask of 0 and 255", _mask, ("connected components", "mask")),
    ("negative labels", _negative, ("negative",)),
    ("a colour picture", _colours, ("colour picture",)),
    ("fractions in a float file", _fractions, ("no whole",)),
):
    KINDS.add("Label files", f"{name}: told")(partial(_doubted, save=save, words=words))


def _taken(folder: Path, save: Any, options: tuple[str, ...]) -> Outcome:
    write(folder / "a.tif", sample()[0])
    run = train(folder, "a.tif", save(folder, sample()[1]), *options)
    return Outcome(run.said, run.status == 0)


for name, save, option in (
    ("a mask of 0 and 255", _mask, "--components"),
    ("a mask of 1 bit", _bits, "--components"),
    ("negative labels", _negative, "--negative-unknown"),
):
    KINDS.add("Label files", f"{name}, {option}")(partial(_taken, save=save, options=(option,)))


@KINDS.add("Label files", "regions of ImageJ (ROI zip)")
def _rois(folder: Path) -> Outcome:
    import roifile

    write(folder / "a.tif", sample()[0])
    for k, value in enumerate(np.unique(sample()[1])[1:]):
        rows, columns = np.nonzero(sample()[1] == value)
        left, right, top, bottom = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
        corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
        roi = roifile.ImagejRoi.frompoints(corners, name=f"{k}")
        roi.roitype = roifile.ROI_TYPE.POLYGON
        roi.tofile(folder / "rois.zip", mode="a" if k else "w")
    run = train(folder, "a.tif", "rois.zip")
    return Outcome(run.said, run.status == 0)


@KINDS.add("Label files", "OME-TIFF that declares ZTYX for a TZYX image")
def _order(folder: Path) -> Outcome:
    x, y = sample()
    image = np.stack(
        [np.stack([np.roll(x, 7 * t + 20 * z, 1) for z in range(2)]) for t in range(3)]
    )
    labels = np.stack(
        [np.stack([np.roll(y, 7 * t + 20 * z, 1) for z in range(2)]) for t in range(3)]
    )
    write(folder / "a.ome.tif", image, ome=True, metadata={"axes": "TZYX"})
    turned = labels.transpose(1, 0, 2, 3).astype(np.uint16).copy()
    write(folder / "l.ome.tif", turned, ome=True, metadata={"axes": "ZTYX"})
    example, _ = read_example(folder / "a.ome.tif", folder / "l.ome.tif")
    same = np.array_equal(np.asarray(example.labels), labels)
    return Outcome("labels in the order of the image" if same else "labels in another order", same)


@KINDS.add("Label files", "pixels of another size than the image's")
def _other_size(folder: Path) -> Outcome:
    x, y = sample()
    nu.write_labels(folder / "x.tif", x.astype(np.uint16), axes="YX", pixel_size=(0.5, 0.5))
    nu.write_labels(folder / "y.tif", y.astype(np.uint16), axes="YX", pixel_size=(0.25, 0.25))
    run = train(folder, Path("x.tif"), Path("y.tif"))
    return Outcome(run.said, run.status == 2 and "0.5 times the size" in run.said)


@KINDS.add("Images and labels as people keep them", "labels of another sequence of a challenge")
def _other_sequence(folder: Path) -> Outcome:
    x, y = sample()
    for name, array in (("01/t000.tif", x), ("02_GT/SEG/man_seg000.tif", y.astype(np.uint16))):
        (folder / "d" / name).parent.mkdir(parents=True)
        write(folder / "d" / name, array)
    run = train(folder, Path("d/01"), Path("d/02_GT"))
    return Outcome(run.said, run.status == 2 and "sequence 02" in run.said)


@KINDS.add("Label files", "labels in the image's own OME-Zarr store")
def _store(folder: Path) -> Outcome:
    ome_zarr(folder / "i.zarr", sample()[0])
    zarr.open_group(folder / "i.zarr" / "labels", mode="w", zarr_format=2).attrs["labels"] = [
        "nuclei"
    ]
    ome_zarr(folder / "i.zarr" / "labels" / "nuclei", sample()[1])
    run = train(folder, "i.zarr", "i.zarr/labels/nuclei")
    return Outcome(run.said, run.status == 0)


# Pairs

HALVES = [(slice(None), slice(0, 96)), (slice(None), slice(96, 192))]
PAIRS: dict[str, tuple[str, str, list[tuple[str, str]]]] = {
    "the same name in two folders": ("i", "l", [("a{k}.tif", "a{k}.tif")]),
    "Cellpose: a_masks.tif beside a.tif": (".", ".", [("a{k}.tif", "a{k}_masks.tif")]),
    "a_mask.tif in another folder": ("images", "masks", [("a{k}.tif", "a{k}_mask.tif")]),
    "a_label.tif beside a.tif": (".", ".", [("a{k}.tif", "a{k}_label.tif")]),
    "nnU-Net: case_000_0000 and case_000": (
        "imagesTr",
        "labelsTr",
        [("c_00{k}_0000.tif", "c_00{k}.tif")],
    ),
    "image_0 and mask_0 in two folders": ("i", "m", [("image_{k}.tif", "mask_{k}.tif")]),
    "Cell Tracking Challenge": ("01", "01_GT/SEG", [("t00{k}.tif", "man_seg00{k}.tif")]),
}


def _pairs(folder: Path, images: str, labels: str, names: list[tuple[str, str]]) -> Outcome:
    x, y = sample()
    for image, label in names:
        for k, half in enumerate(HALVES):
            for place, name, array in ((images, image, x), (labels, label, y.astype(np.uint16))):
                path = folder / "d" / place / name.format(k=k)
                path.parent.mkdir(parents=True, exist_ok=True)
                write(path, array[half])
    run = train(folder, Path("d", images), Path("d", labels))
    return Outcome(run.said, run.status == 0 and run.said.startswith("it trains"))


for name, (images, labels, names) in PAIRS.items():
    KINDS.add("Images and labels as people keep them", name)(
        partial(_pairs, images=images, labels=labels, names=names)
    )


@KINDS.add(
    "Images and labels as people keep them", "names that match nothing: listed, with the known ones"
)
def _strange(folder: Path) -> Outcome:
    for name in ("i/x1.tif", "i/x2.tif", "l/y1.tif", "l/y2.tif"):
        (folder / name).parent.mkdir(exist_ok=True)
        write(folder / name, sample()[0 if name.startswith("i") else 1])
    run = train(folder, "i", "l")
    return Outcome(run.said, run.status == 2 and "x1.tif" in run.said and "known are" in run.said)
