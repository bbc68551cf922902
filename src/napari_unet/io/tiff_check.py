"""Whether a TIFF file is all there: a truncated one may open and even give fewer planes."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any


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
    return None if tif.is_ndpi or tif.is_lsm or tif.is_stk else _broken_chain(path)


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
