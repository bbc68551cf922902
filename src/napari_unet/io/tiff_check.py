"""Whether a TIFF file is all there: a truncated one may open and even give fewer planes."""

from __future__ import annotations

import math
import re
import struct
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from napari_unet.errors import Note

MAX_LISTED_PLANES = 1_000_000
MAX_XML_START = 4096  # characters in which the root of OME-XML stands
PIXELS = re.compile(r"<(?:\w+:)?Pixels\b[^>]*>")
SIZES = re.compile(r"""\b(Size[ZCT])\s*=\s*(["'])\s*(\d+)""")
COUNTS = re.compile(r"""\b(PlaneCount|NumPlanes|IFD|First[ZCT])\s*=\s*(["'])\s*(\d+)""")
MODULO = re.compile(r"<(?:\w+:)?ModuloAlong\w*\b[^>]*>")
RANGE = re.compile(r"""\b(Start|End|Step)\s*=\s*(["'])\s*([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)""")


def find_broken_list(path: Path, tif: Any) -> str | None:
    """Say where a TIFF file's list of planes is broken; None where it is whole.

    To be asked first: with a list that runs in a circle, looking for planes may not end.

    Parameters
    ----------
    path : Path
        The file.
    tif : tifffile.TiffFile
        The file, opened.
    """
    # These formats put other things at the places where TIFF has its chain of directories.
    broken = None if tif.is_ndpi or tif.is_lsm or tif.is_stk else _broken_chain(path)
    return broken or _absurd_counts(tif)


def _absurd_counts(tif: Any) -> str | None:
    """What OME metadata declare that no file of this size could hold.

    The planes that they declare would be listed one by one, in gigabytes of memory.
    """
    text = tif.pages.first.description or ""
    if "<" not in text or "OME" not in text:
        return None
    # images of several files have their planes elsewhere, yet not millions of them
    limit = max(tif.filehandle.size, MAX_LISTED_PLANES)
    planes = 0.0
    for tag in PIXELS.findall(text):
        planes += math.prod(float(number) for _, _, number in SIZES.findall(tag))
    counts = [float(number) for _, _, number in COUNTS.findall(text)]
    steps = []
    for tag in MODULO.findall(text):
        known = {name: float(number) for name, _, number in RANGE.findall(tag)}
        span = known.get("End", 0.0) - known.get("Start", 0.0)
        steps.append(abs(span) / max(abs(known.get("Step", 1.0)), 1e-300))
    if max(planes, sum(counts), *steps) <= limit:
        return None
    return f"its OME metadata declare more planes than {tif.filehandle.size} bytes can hold"


def has_damaged_xml(tif: Any) -> bool:
    """Whether a file has OME metadata that cannot be read: the pixels are read without them."""
    if not tif.is_ome:
        return False
    try:
        ET.fromstring(tif.ome_metadata)
        return not tif.series
    except MemoryError:
        raise  # it is not the file's fault
    except Exception:  # noqa: BLE001  # tifffile raises errors of any kind
        return True


def find_damaged_metadata(tif: Any) -> Note | None:
    """What is to be told of OME metadata that are cut or damaged, so that they are not used."""
    text = tif.pages.first.description or ""
    if tif.is_ome or "<OME" not in text[:MAX_XML_START]:
        return None
    return Note(
        "metadata-damaged",
        "The OME metadata of the file are cut or damaged, so that what they say of the pixel size "
        "and the axes is not known",
        "give ⟨pixel_size⟩ and ⟨axes⟩, or export the file anew",
    )


def find_missing_pixels(tif: Any, series: Any) -> str | None:
    """Say what is missing of an image in a TIFF file, without reading pixels.

    Parameters
    ----------
    tif : tifffile.TiffFile
        The file, opened.
    series : tifffile.TiffPageSeries
        The image that is going to be read.

    Returns
    -------
    str or None
        What is wrong, in a few words; None if all planes lie within the file.
    """
    if series.kind in ("generic", "uniform") and (tif.is_imagej or tif.is_shaped):
        return "its description declares other planes than the file holds"
    if series.dataoffset is not None and len(series._pages) == 1:
        # Such a file lists one plane and stores all of them behind one another.
        return _beyond(series.dataoffset + series.nbytes, tif.filehandle.size)
    missing = sum(page is None for page in series.pages)
    if missing:
        return (
            f"{missing} of {len(series.pages)} planes are missing; they may be in other files "
            "of the same image"
        )
    # With a damaged size, gigabytes that never were would be filled up with zeros.
    strips, needed, ratio = _expected(series.keyframe)
    for page in series.pages:
        if len(page.dataoffsets) < strips:
            return f"a plane has {len(page.dataoffsets)} of its {strips} strips or tiles"
        if 0 not in page.databytecounts and sum(page.databytecounts) * ratio < needed:
            return f"a plane of {needed} bytes is stored in {sum(page.databytecounts)}"
        size = page.parent.filehandle.size
        ends = (
            offset + count
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)
        )
        beyond = _beyond(max(ends, default=0), size)
        if beyond is not None:
            return beyond
    return None


def _expected(page: Any) -> tuple[int, int, int]:
    """Strips or tiles of a plane, its bytes, and how far these can have been compressed."""
    strips = 1 if page.is_contiguous else math.prod(page.chunked)
    pixels = math.prod(page.chunks) * strips if page.is_tiled else math.prod(page.shape)
    # No codec shrinks more than that, even where the image is constant; chroma that is
    # stored at a lower resolution (YCbCr) shrinks uncompressed planes too.
    ratio = 100_000 if page.compression != 1 else 4 if page.photometric == 6 else 1
    return strips, pixels * page.bitspersample // 8, ratio


def _beyond(end: int, size: int) -> str | None:
    return f"pixels are stored up to byte {end} but the file has {size}" if end > size else None


def _broken_chain(path: Path) -> str | None:
    """Follow the directories (one a plane) from the first to the last.

    tifffile logs a chain that breaks off, but (2026.3.3) looks for a circle only once, at the
    100th plane: a circle behind it is followed for 2**32 planes.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(16)
        order = "<" if header[:2] == b"II" else ">"
        big = header[2:4] in (b"+\0", b"\0+")
        count_format, entry, offset_format = (
            (order + "Q", 20, order + "Q") if big else (order + "H", 12, order + "I")
        )
        start = 8 if big else 4
        (offset,) = struct.unpack_from(offset_format, header, start)
        seen = set()
        while offset:
            if offset in seen:
                return "its list of planes runs in a circle"
            seen.add(offset)
            file.seek(offset)
            head = file.read(struct.calcsize(count_format))
            if len(head) < struct.calcsize(count_format):
                return f"plane {len(seen)} is listed at byte {offset} but the file has {size}"
            (entries,) = struct.unpack(count_format, head)
            file.seek(offset + len(head) + entries * entry)
            tail = file.read(struct.calcsize(offset_format))
            if len(tail) < struct.calcsize(offset_format):
                return f"the list of planes breaks off after {len(seen)}"
            (offset,) = struct.unpack(offset_format, tail)
    return None
