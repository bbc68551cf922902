"""How stored numbers are shown: palettes, and files in which small numbers are bright.

Images are read as they are shown, labels as they are stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import Note

Pixels = NDArray[Any]

_MIN_IS_WHITE, _PALETTE = 0, 3
_OTHER_COLOURS = {5: "CMYK inks", 8: "CIE L*a*b* colours", 9: "ICC L*a*b* colours"}
_TABLE_ENTRIES = 16
"""Grey levels from which a palette that grows brighter is a display table."""


@dataclass(frozen=True)
class Conversion:
    """What is done to each block that is read.

    Attributes
    ----------
    apply : callable
        Takes a block of stored numbers, gives what is shown.
    dtype : numpy.dtype
        Of what is shown.
    colours : int
        Length of the axis that is added at the end; 0: none.
    """

    apply: Callable[[Pixels], Pixels]
    dtype: np.dtype[Any]
    colours: int = 0


class ConvertedArray:
    """An array that is converted when it is read.

    Parameters
    ----------
    source : array-like
        Anything with shape, dtype and slicing.
    conversion : Conversion
        How.
    """

    def __init__(self, source: Any, conversion: Conversion) -> None:
        self._source, self._conversion = source, conversion
        added = (conversion.colours,) if conversion.colours else ()
        self.shape: tuple[int, ...] = (*(int(n) for n in source.shape), *added)
        self.dtype = conversion.dtype
        chunks = getattr(source, "chunks", None)
        self.chunks = None if chunks is None else (*chunks, *added)

    def __getitem__(self, index: tuple[int | slice, ...]) -> Pixels:
        """A part; an index for every axis."""
        if not self._conversion.colours:
            return self._conversion.apply(np.asarray(self._source[index]))
        converted = self._conversion.apply(np.asarray(self._source[index[:-1]]))
        return np.asarray(converted[..., index[-1]])


def tiff_conversion(page: Any) -> tuple[Conversion | None, tuple[Note, ...]]:
    """How the pixels of a TIFF page become what other programs show, and what is to be told.

    Parameters
    ----------
    page : tifffile.TiffPage
        One page of the image.
    """
    dtype = np.dtype(page.dtype).newbyteorder("=")
    if page.photometric == _PALETTE and page.colormap is not None and dtype.kind in "ub":
        table = np.asarray(page.colormap).T
        wide = table.max(initial=0) > 255  # 16 bits a colour, as the format asks for
        return palette_conversion((table >> 8 if wide else table).astype(np.uint8), dtype)
    if page.photometric == _MIN_IS_WHITE:
        if dtype.kind == "u":
            return _inversion(2**page.bitspersample - 1, dtype), (
                _note(
                    "min-is-white", "The file says that small numbers are bright: it was inverted"
                ),
            )
        if dtype.kind != "b":
            text = f"The file says that small numbers are bright, which its {dtype} pixels keep"
            return None, (_note("min-is-white", text, "invert it if objects are dark"),)
        if not str(page.software).startswith("tifffile"):  # it writes masks so, True for objects
            text = "The file says that 0 is white; its bits were taken as they are"
            return None, (_note("min-is-white", text),)
    if page.photometric in _OTHER_COLOURS:
        text = f"The file holds {_OTHER_COLOURS[page.photometric]}, which were taken as channels"
        return None, (_note("colours", text, "save it in RGB for its colours"),)
    return None, ()


def palette_conversion(
    table: NDArray[np.uint8], dtype: np.dtype[Any]
) -> tuple[Conversion | None, tuple[Note, ...]]:
    """How the numbers of a picture with a palette are shown.

    A palette of colours that grow brighter from entry to entry is a display table, such as
    ImageJ's Green: the numbers are the brightness then. One that grows darker shows small numbers
    bright. Grey levels are taken as they are.

    Parameters
    ----------
    table : ndarray
        (N, 3), red, green and blue of each number.
    dtype : numpy.dtype
        Of the numbers.

    Examples
    --------
    >>> green = np.zeros((256, 3), np.uint8)
    >>> green[:, 1] = np.arange(256)
    >>> palette_conversion(green, np.dtype(np.uint8))[0] is None
    True
    >>> conversion, _ = palette_conversion(np.eye(3, dtype=np.uint8) * 255, np.dtype(np.uint8))
    >>> conversion.apply(np.array([[2, 0]])).tolist()
    [[[0, 0, 255], [255, 0, 0]]]
    """
    grey = bool((table == table[:, :1]).all())
    if grey and np.array_equal(table[:, 0], np.arange(len(table))):
        return None, ()
    bright = table.astype(int) @ (299, 587, 114)
    used = np.flatnonzero(bright)
    steps = np.diff(bright[: used[-1] + 1] if used.size else bright)
    if not grey and len(np.unique(bright)) >= _TABLE_ENTRIES:
        if (steps >= 0).all():
            text = "The colours of the file are a display table: the numbers behind them were taken"
            return None, (_note("display-table", text),)
        if (np.diff(bright) <= 0).all():
            text = "The display table of the file shows small numbers bright: it was inverted"
            return _inversion(len(table) - 1, dtype), (_note("min-is-white", text),)
    shown = table[:, 0] if grey else table
    highest = len(shown) - 1

    def look_up(block: Pixels) -> Pixels:
        return np.asarray(shown[np.minimum(block, highest)])

    return Conversion(look_up, np.dtype(np.uint8), 0 if grey else 3), ()


def _inversion(highest: int, dtype: np.dtype[Any]) -> Conversion:
    top = dtype.type(highest)

    def invert(block: Pixels) -> Pixels:
        return np.asarray(top - block.astype(dtype, copy=False))

    return Conversion(invert, dtype)


def _note(code: str, text: str, remedy: str = "") -> Note:
    return Note(code, text, remedy)
