"""Image files: data types, formats, axes, scenes, palettes, sizes."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from PIL import Image

import napari_unet as nu
from inputs_study.kinds import (
    KINDS,
    LOSSY_AGREEMENT,
    Outcome,
    right_labels,
    same_planes,
    sample,
    segment,
    segmented,
)

write = tifffile.imwrite


def grey() -> np.ndarray:
    """The sample's pixels."""
    return sample()[0]


# Data types

TYPES: dict[str, Any] = {
    "8-bit unsigned": lambda x: x,
    "8-bit signed": lambda x: (x.astype(np.int16) - 128).astype(np.int8),
    "16-bit unsigned, a camera's offset": lambda x: x.astype(np.uint16) * 16 + 400,
    "12 bits in 16": lambda x: x.astype(np.uint16) * 16,
    "16-bit signed, negative background": lambda x: x.astype(np.int16) * 16 - 900,
    "32-bit unsigned": lambda x: x.astype(np.uint32) * 1000,
    "32-bit float from 0 to 1": lambda x: x.astype(np.float32) / 255,
    "64-bit float around 0": lambda x: (x.astype(float) - x.mean()) / x.std(),
    "16-bit float": lambda x: x.astype(np.float16),
    "16-bit, big-endian": lambda x: (x.astype(np.uint16) * 16).astype(">u2"),
}


def _type(folder: Path, convert: Any) -> Outcome:
    image = convert(grey())
    options = {"byteorder": ">"} if image.dtype.str.startswith(">") else {}
    write(folder / "a.tif", image, **options)
    return segmented(folder, "a.tif")


for name, convert in TYPES.items():
    KINDS.add("Data types", name)(partial(_type, convert=convert))


@KINDS.add("Data types", "complex numbers")
def _complex(folder: Path) -> Outcome:
    write(folder / "a.tif", grey().astype(np.complex64))
    run = segment(folder, "a.tif")
    return Outcome(run.said, run.status == 2 and "complex" in run.said)


# Formats

TIFFS: dict[str, dict[str, Any]] = {
    "TIFF, plain": {"metadata": None},
    "TIFF, tiled and deflated": {"tile": (64, 64), "compression": "zlib"},
    "TIFF, LZW with a predictor": {"compression": "lzw", "predictor": True},
    "TIFF, Zstandard": {"compression": "zstd"},
    "BigTIFF": {"bigtiff": True},
    "ImageJ TIFF": {"imagej": True},
    "OME-TIFF": {"ome": True, "metadata": {"axes": "YX"}},
}


def _tiff(folder: Path, options: dict[str, Any]) -> Outcome:
    write(folder / "a.tif", grey(), **options)
    return segmented(folder, "a.tif")


for name, options in TIFFS.items():
    KINDS.add("Formats", name)(partial(_tiff, options=options))


def _bitmap(folder: Path, suffix: str, least: float, **options: Any) -> Outcome:
    Image.fromarray(grey()).save(folder / f"a{suffix}", **options)
    return segmented(folder, f"a{suffix}", least=least)


KINDS.add("Formats", "PNG")(partial(_bitmap, suffix=".png", least=0.9))
KINDS.add("Formats", "BMP")(partial(_bitmap, suffix=".bmp", least=0.9))
KINDS.add("Formats", "GIF")(partial(_bitmap, suffix=".gif", least=0.9))
KINDS.add("Formats", "JPEG (lossy)")(
    partial(_bitmap, suffix=".jpg", least=LOSSY_AGREEMENT, quality=90)
)


@KINDS.add("Formats", "PNG, 16 bits")
def _png16(folder: Path) -> Outcome:
    Image.fromarray(grey().astype(np.uint16) * 200).save(folder / "a.png")
    return segmented(folder, "a.png")


@KINDS.add("Formats", "NumPy array")
def _npy(folder: Path) -> Outcome:
    np.save(folder / "a.npy", grey())
    return segmented(folder, "a.npy")


@KINDS.add("Formats", "Python pickle named .npy")
def _pickle(folder: Path) -> Outcome:
    np.save(folder / "a.npy", np.array([{"image": 1}], object), allow_pickle=True)
    run = segment(folder, "a.npy")
    return Outcome(run.said, run.status == 2 and "a.npy" in run.said)


@KINDS.add("Formats", "TIFF that was cut off")
def _cut(folder: Path) -> Outcome:
    write(folder / "a.tif", grey())
    (folder / "a.tif").write_bytes((folder / "a.tif").read_bytes()[:9000])
    run = segment(folder, "a.tif")
    return Outcome(run.said, run.status == 2 and "a.tif" in run.said)


@KINDS.add("Formats", "a vendor's file (.czi)")
def _vendor(folder: Path) -> Outcome:
    (folder / "a.czi").write_bytes(b"ZISRAWFILE" * 100)
    run = segment(folder, "a.czi")
    return Outcome(run.said, run.status == 2 and "OME-TIFF" in run.said)


# Zarr


def ome_zarr(
    path: Path, array: np.ndarray, axes: str = "yx", version: str = "0.4", scale: float = 1.0
) -> None:
    """A small OME-Zarr image of two levels."""
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    datasets = []
    for level in range(2):
        step = 2**level
        group.create_array(str(level), data=np.ascontiguousarray(array[..., ::step, ::step]))
        steps = [scale * step if a in "yx" else 1.0 for a in axes]
        transforms = [{"type": "scale", "scale": steps}]
        datasets.append({"path": str(level), "coordinateTransformations": transforms})
    kinds = {"t": "time", "c": "channel"}
    named = [{"name": a, "type": kinds.get(a, "space")} for a in axes]
    for axis in named:
        if axis["type"] == "space":
            axis["unit"] = "micrometer"
    image = {"version": version, "axes": named, "datasets": datasets}
    old = {"multiscales": [image]}
    group.attrs.update(old if version == "0.4" else {"ome": {"version": version, **old}})


@KINDS.add("Zarr", "OME-Zarr 0.4, five axes")
def _zarr4(folder: Path) -> Outcome:
    ome_zarr(folder / "a.zarr", grey()[None, None, None], "tczyx")
    return segmented(folder, "a.zarr")


@KINDS.add("Zarr", "OME-Zarr 0.5 (zarr 3)")
def _zarr5(folder: Path) -> Outcome:
    ome_zarr(folder / "a.zarr", grey(), version="0.5")
    return segmented(folder, "a.zarr")


@KINDS.add("Zarr", "a zarr array without metadata")
def _array(folder: Path) -> Outcome:
    zarr.create_array(str(folder / "a.zarr"), data=grey())
    return segmented(folder, "a.zarr")


def _store(folder: Path) -> Path:
    path = folder / "i.zarr"
    ome_zarr(path, grey())
    zarr.open_group(path / "labels", mode="w", zarr_format=2).attrs["labels"] = ["nuclei"]
    ome_zarr(path / "labels" / "nuclei", sample()[1])
    return path


@KINDS.add("Zarr", "a level of an OME-Zarr image: i.zarr/0")
def _level(folder: Path) -> Outcome:
    _store(folder)
    return segmented(folder, "i.zarr/0")


@KINDS.add("Zarr", "labels in an OME-Zarr image: i.zarr/labels/nuclei")
def _labels(folder: Path) -> Outcome:
    path = _store(folder) / "labels" / "nuclei"
    found = nu.read_image(path)
    run = segment(folder, "i.zarr/labels/nuclei")
    same = np.array_equal(np.asarray(found.array), sample()[1])
    return Outcome(run.said, same and run.status == 0)


def plate(folder: Path) -> Path:
    """A plate of two wells with a field each."""
    path = folder / "plate.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.attrs["plate"] = {"version": "0.4", "wells": [{"path": "A/1"}, {"path": "A/2"}]}
    for well in ("A/1", "A/2"):
        group.require_group(well).attrs["well"] = {"version": "0.4", "images": [{"path": "0"}]}
        ome_zarr(path / well / "0", grey())
    return path


@KINDS.add("Zarr", "a plate: plate.zarr")
def _plate(folder: Path) -> Outcome:
    plate(folder)
    run = segment(folder, "plate.zarr")
    names = sorted(path.name for path in (folder / "out").glob("*.tif"))
    return Outcome(run.said, names == ["plate_A_1_0_labels.tif", "plate_A_2_0_labels.tif"])


@KINDS.add("Zarr", "a field of a well: plate.zarr/A/1/0")
def _well(folder: Path) -> Outcome:
    plate(folder)
    return segmented(folder, "plate.zarr/A/1/0")


@KINDS.add("Zarr", "a folder of zarr stores")
def _stores(folder: Path) -> Outcome:
    for name in ("a.zarr", "b.ome.zarr", "no_ending"):
        ome_zarr(folder / "in" / name, grey())
    run = segment(folder, "in")
    names = sorted(path.name for path in (folder / "out").glob("*.tif"))
    expected = ["a_labels.tif", "b_labels.tif", "no_ending_labels.tif"]
    return Outcome(run.said, names == expected)


@KINDS.add("Zarr", "two series, as bioformats2raw writes them")
def _series(folder: Path) -> Outcome:
    group = zarr.open_group(folder / "a.zarr", mode="w", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    for series in "01":
        ome_zarr(folder / "a.zarr" / series, grey())
    return segmented(folder, "a.zarr", notes=("2 images",))


# Axes


def _axes(
    folder: Path, axes: str, shape: tuple[int, ...], declare: bool, options: tuple[str, ...] = ()
) -> Outcome:
    """The sample in every plane; where there is C, only channel 0 has it."""
    array = np.zeros((*shape, *grey().shape), np.uint8)
    index = tuple(0 if a == "C" else slice(None) for a in axes[:-2])
    array[index] = grey()
    metadata = {"axes": axes} if declare else None
    tools = {"imagej": True} if axes in ("TCYX", "ZCYX") else {"photometric": "minisblack"}
    write(folder / "a.tif", array, metadata=metadata, **tools)
    run = segment(folder, "a.tif", *options)
    if run.status:
        return Outcome(run.said, right=False)
    labels = np.asarray(nu.read_image(folder / "out" / "a_labels.tif").array)
    planes = labels.reshape(-1, *labels.shape[-2:])
    count = int(np.prod([n for n, a in zip(shape, axes, strict=False) if a != "C"]))
    return Outcome(run.said, len(planes) == count and same_planes(planes, right_labels()))


FIRST = ("--channels", "0")
for axes, shape, options in (
    ("TYX", (3,), ()),
    ("ZYX", (3,), ()),
    ("TZYX", (2, 3), ()),
    ("CYX", (2,), FIRST),
    ("TCYX", (3, 2), FIRST),
    ("ZCYX", (3, 2), FIRST),
):
    KINDS.add("Axes", f"{axes} declared" + (", a channel named" if options else ""))(
        partial(_axes, axes=axes, shape=shape, declare=True, options=options)
    )


@KINDS.add("Axes", "a stack that declares no axes: doubted")
def _undeclared(folder: Path) -> Outcome:
    write(folder / "a.tif", np.stack([grey()] * 3), metadata=None, photometric="minisblack")
    return segmented(folder, "a.tif", notes=("may be Z or T",))


def _last(folder: Path, count: int, options: tuple[str, ...]) -> Outcome:
    write(folder / "a.tif", np.dstack([grey()] * count))
    run = segment(folder, "a.tif", *options)
    if run.status == 2:
        return Outcome(run.said, not options and "channel" in run.said)
    labels = np.asarray(nu.read_image(folder / "out" / "a_labels.tif").array)
    return Outcome(run.said, same_planes(labels, right_labels()))


for count in (2, 5):
    KINDS.add("Axes", f"{count} channels last")(partial(_last, count=count, options=()))
    KINDS.add("Axes", f"{count} channels last, one named")(
        partial(_last, count=count, options=FIRST)
    )


@KINDS.add("Axes", "RGB for a model of one channel: a channel has to be named")
def _rgb(folder: Path) -> Outcome:
    Image.fromarray(np.dstack([grey()] * 3) // np.uint8(1)).save(folder / "a.png")
    run = segment(folder, "a.png")
    return Outcome(run.said, run.status == 2 and "channel" in run.said)


@KINDS.add("Axes", "RGB, a channel named")
def _rgb_named(folder: Path) -> Outcome:
    colours = np.zeros((*grey().shape, 3), np.uint8)
    colours[..., 2] = grey()
    Image.fromarray(colours).save(folder / "a.png")
    return segmented(folder, "a.png", "--channels", "2")


# What a file holds besides


def scenes(path: Path) -> None:
    """An OME-TIFF of three positions."""
    with tifffile.TiffWriter(path, ome=True) as tif:
        for k in range(3):
            metadata = {"axes": "YX", "Name": f"Position {k}"}
            tif.write(np.roll(grey(), 10 * k, 1), metadata=metadata)


@KINDS.add("Left out, and told", "OME-TIFF of three scenes")
def _scenes(folder: Path) -> Outcome:
    scenes(folder / "a.ome.tif")
    return segmented(folder, "a.ome.tif", notes=("Position 1", "Position 2", "--scene"))


@KINDS.add("Left out, and told", "OME-TIFF of three scenes, --scene 1")
def _scene(folder: Path) -> Outcome:
    scenes(folder / "a.ome.tif")
    return segmented(
        folder, "a.ome.tif", "--scene", "1", right=np.asarray(nu.segment(
            np.roll(grey(), 10, 1), "nuclei", axes="YX"))
    )  # fmt: skip


@KINDS.add("Left out, and told", "OME-TIFF of three scenes, --scene all")
def _all_scenes(folder: Path) -> Outcome:
    scenes(folder / "a.ome.tif")
    run = segment(folder, "a.ome.tif", "--scene", "all")
    names = sorted(path.name for path in (folder / "out").glob("*.tif"))
    return Outcome(run.said, names == [f"a_scene{k}_labels.tif" for k in range(3)])


@KINDS.add("Left out, and told", "a thumbnail in front of the image")
def _thumbnail(folder: Path) -> Outcome:
    with tifffile.TiffWriter(folder / "a.tif") as tif:
        tif.write(grey()[::4, ::4], metadata=None)
        tif.write(grey(), metadata=None)
    return segmented(folder, "a.tif", notes=("thumbnail",))


@KINDS.add("Left out, and told", "pages of other shapes in a plain TIFF")
def _pages(folder: Path) -> Outcome:
    with tifffile.TiffWriter(folder / "a.tif") as tif:
        tif.write(grey(), metadata=None)
        tif.write(grey()[:100, :170], metadata=None)
    return segmented(folder, "a.tif", notes=("left out", "100 × 170"))


@KINDS.add("Left out, and told", "an animated PNG")
def _animation(folder: Path) -> Outcome:
    pictures = [Image.fromarray(grey()), Image.fromarray(255 - grey())]
    pictures[0].save(folder / "a.png", save_all=True, append_images=pictures[1:])
    return segmented(folder, "a.png", notes=("2 pictures",))


@KINDS.add("Left out, and told", "a preview a.png beside a.tif in a folder")
def _preview(folder: Path) -> Outcome:
    (folder / "in").mkdir()
    write(folder / "in" / "a.tif", grey())
    Image.fromarray(grey()[::2, ::2]).save(folder / "in" / "a.png")
    return segmented(folder, "in", notes=("a.png", "preview"))


@KINDS.add("Left out, and told", "a.tif and a.npy in a folder")
def _namesakes(folder: Path) -> Outcome:
    (folder / "in").mkdir()
    write(folder / "in" / "a.tif", grey())
    np.save(folder / "in" / "a.npy", grey())
    run = segment(folder, "in")
    names = sorted(path.name for path in (folder / "out").glob("*.tif"))
    return Outcome(run.said, names == ["a_npy_labels.tif", "a_tif_labels.tif"])


# Shown otherwise than stored


@KINDS.add("Shown otherwise than stored", "small numbers are bright (min is white)")
def _white(folder: Path) -> Outcome:
    write(folder / "a.tif", 255 - grey(), photometric="miniswhite")
    return segmented(folder, "a.tif", notes=("inverted",))


@KINDS.add("Shown otherwise than stored", "a display table (ImageJ's Green)")
def _table(folder: Path) -> Outcome:
    table = np.zeros((3, 256), np.uint16)
    table[1] = np.arange(256) * 257
    write(folder / "a.tif", grey(), photometric="palette", colormap=table)
    return segmented(folder, "a.tif", notes=("display table",))


@KINDS.add("Shown otherwise than stored", "a palette of colours, TIFF, channel named")
def _palette(folder: Path) -> Outcome:
    order = np.random.default_rng(0).permutation(256)
    table = np.zeros((3, 256), np.uint16)
    table[:, order] = np.arange(256) * 257
    table[0, 0] ^= 1 << 8  # a colour among greys
    write(folder / "a.tif", order.astype(np.uint8)[grey()], photometric="palette", colormap=table)
    return segmented(folder, "a.tif", "--channels", "1")


@KINDS.add("Shown otherwise than stored", "a palette, PNG of greys")
def _png_palette(folder: Path) -> Outcome:
    picture = Image.fromarray(255 - grey())
    picture.putpalette([value for k in range(256) for value in [255 - k] * 3])
    picture.save(folder / "a.png")
    return segmented(folder, "a.png")


# Pixel sizes


def _size(folder: Path, make: Any, expected: Any, notes: tuple[str, ...] = ()) -> Outcome:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        name = make(folder)
    found = nu.read_image(folder / name)
    told = "; ".join(str(note) for note in found.notes)
    happens = f"pixel size {found.pixel_size}" + (f"; {told}" if told else "")
    return Outcome(happens, found.pixel_size == expected and all(note in told for note in notes))


def _imagej(folder: Path, unit: str, per_unit: float) -> str:
    metadata = {"unit": unit}
    write(folder / "a.tif", grey(), imagej=True, resolution=(per_unit,) * 2, metadata=metadata)
    return "a.tif"


def _plain(folder: Path, per_inch: float) -> str:
    write(folder / "a.tif", grey(), resolution=(per_inch,) * 2, resolutionunit="INCH")
    return "a.tif"


def _ome(folder: Path, size: object, unit: str = "µm") -> str:
    metadata = {"axes": "YX", "PhysicalSizeX": size, "PhysicalSizeY": size}
    metadata |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    write(folder / "a.ome.tif", grey(), metadata=metadata)
    return "a.ome.tif"


def _ngff(folder: Path, size: float) -> str:
    ome_zarr(folder / "a.zarr", grey(), scale=size)
    return "a.zarr"


NONE_TOLD = ("unknown",)
for name, make, expected, notes in (
    ("ImageJ, 2 pixels per µm", partial(_imagej, unit="um", per_unit=2), (0.5, 0.5), ()),
    ("ImageJ, 72 per inch", partial(_imagej, unit="inch", per_unit=72), None, NONE_TOLD),
    ("ImageJ, 300 per inch", partial(_imagej, unit="inch", per_unit=300), None, NONE_TOLD),
    ("plain TIFF, 72 per inch", partial(_plain, per_inch=72), None, ()),
    ("OME-TIFF, 325 nm", partial(_ome, size=325, unit="nm"), (0.325, 0.325), ()),
    ("OME-TIFF, 0", partial(_ome, size=0), None, NONE_TOLD),
    ("OME-TIFF, negative", partial(_ome, size=-0.5), None, NONE_TOLD),
    ("OME-TIFF, NaN", partial(_ome, size=float("nan")), None, NONE_TOLD),
    ("OME-TIFF, a kilometre", partial(_ome, size=1e9), None, NONE_TOLD),
    ("OME-TIFF, in pixels", partial(_ome, size=1, unit="pixel"), None, ()),
    ("OME-Zarr, 0.5 µm", partial(_ngff, size=0.5), (0.5, 0.5), ()),
    ("OME-Zarr, 0", partial(_ngff, size=0.0), None, NONE_TOLD),
    ("OME-Zarr, negative", partial(_ngff, size=-1.0), None, NONE_TOLD),
):
    KINDS.add("Pixel sizes", name)(partial(_size, make=make, expected=expected, notes=notes))


@KINDS.add("Pixel sizes", "OME-Zarr, 0.5 without a unit")
def _unitless(folder: Path) -> Outcome:
    ome_zarr(folder / "a.zarr", grey(), scale=0.5)
    group = zarr.open_group(folder / "a.zarr")
    attributes = dict(group.attrs)
    around = attributes.get("ome", attributes)
    for axis in around["multiscales"][0]["axes"]:
        axis.pop("unit", None)
    group.attrs.update(attributes)
    found = nu.read_image(folder / "a.zarr")
    told = "; ".join(map(str, found.notes))
    right = found.pixel_size is None and found.unitless_size == {"Y": 0.5, "X": 0.5}
    return Outcome(f"pixel size {found.pixel_size}; {told}", right and "without a unit" in told)


@KINDS.add("Left out, and told", "OME-TIFF with broken XML")
def _broken_xml(folder: Path) -> Outcome:
    write(folder / "a.ome.tif", grey(), metadata={"axes": "YX"})
    path = folder / "a.ome.tif"
    path.write_bytes(path.read_bytes().replace(b"</Pixels>", b"</Pixelz>"))
    found = nu.read_image(path)
    told = "; ".join(map(str, found.notes))
    return Outcome(told, np.array_equal(found.array, grey()) and "cut or damaged" in told)
