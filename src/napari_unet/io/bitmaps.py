"""PNG, BMP, GIF and JPEG files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import FileError, Note
from napari_unet.io.opened import Opened
from napari_unet.io.reason import reason_of

LONG_TEXT = 1 << 20  # of characters, from which on a text in a PNG file is compressed
_FORMATS = ("PNG", "BMP", "GIF", "JPEG")


def open_bitmap(path: Path, *, as_labels: bool = False) -> Opened:
    """Read a PNG, BMP, GIF or JPEG file.

    A palette is replaced by its colours (by grey levels if all are grey), CMYK by RGB. An
    alpha channel that is opaque everywhere is dropped; otherwise it stays as the last
    channel. Of a file with several pictures the first is read.

    Parameters
    ----------
    path : Path
        The file.
    as_labels : bool
        Whether to give the numbers of a palette and not its colours.

    Returns
    -------
    Opened
        Grey (Y, X), or colours (Y, X, C), as bool, uint8 or uint16.

    Raises
    ------
    FileError
        If the file is damaged, or holds colours of 16 bits, which would lose 8 of them.
    """
    from PIL import Image

    if _is_deep_colour(path):
        raise FileError(
            f"{path} holds colours of 16 bits, which would be read as 8 bits",
            "save it as a TIFF file",
        )
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures and refuses huge ones.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as picture:
                others = getattr(picture, "n_frames", 1) - 1
                picture.load()
                if picture.mode == "P" and not as_labels:
                    has_alpha = "transparency" in picture.info
                    colours = picture.convert("RGBA" if has_alpha else "RGB")
                    array = _grey_if_grey(np.array(colours))
                elif picture.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
                    array = np.array(picture.convert("RGB"))
                else:
                    array = np.array(picture)
    except Image.DecompressionBombError as error:
        raise FileError(
            f"{path} is too large to be read as a picture", "save it as a tiled TIFF file"
        ) from error
    except MemoryError:
        raise  # it is not the file's fault
    except Exception as error:
        # Pillow raises OSError, SyntaxError, ValueError and struct.error on damaged files.
        raise FileError(
            f"{path} is no PNG, BMP, GIF or JPEG file, or a damaged one ({reason_of(error)})",
            "open it in another program, or copy or export it anew",
        ) from error
    if array.dtype.kind == "i":  # some versions of Pillow widen 16-bit grey to 32 bits
        array = array.astype(np.uint16)
    text = f"The file holds {others + 1} pictures, of which the first was taken"
    left_out = Note("scenes-left-out", text, "save them as single files for all")
    return Opened(*drop_opaque_alpha(array), notes=(left_out,) if others > 0 else ())


def drop_opaque_alpha(array: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """Drop the last channel of grey+alpha or RGBA where it is opaque everywhere."""
    if array.ndim == 2:
        return array, "YX"
    if array.shape[-1] in (2, 4) and (array[..., -1] == np.iinfo(array.dtype).max).all():
        array = np.ascontiguousarray(array[..., :-1])
        if array.shape[-1] == 1:
            return array[..., 0], "YX"
    return array, "YXC"


def write_png(
    path: Path,
    array: NDArray[Any],
    sizes: Mapping[str, float] | None = None,
    texts: Mapping[str, str] | None = None,
) -> None:
    """Write (Y, X) uint8 or uint16, or (Y, X, 3 or 4) uint8, without loss.

    Parameters
    ----------
    path : Path
        The file.
    array : array
        The pixels.
    sizes : mapping, optional
        Micrometres of a pixel by axis; written as pixels per metre where both are known.
    texts : mapping, optional
        Texts by keyword that stand in the file.
    """
    from PIL import Image, PngImagePlugin

    about = PngImagePlugin.PngInfo()
    for key, text in (texts or {}).items():
        about.add_itxt(key, text, zip=len(text) > LONG_TEXT)
    options: dict[str, Any] = {}
    if sizes and {"X", "Y"} <= set(sizes):
        options["dpi"] = tuple(25_400 / sizes[axis] for axis in "XY")
    picture = Image.fromarray(np.ascontiguousarray(array))
    picture.save(path, format="PNG", pnginfo=about, **options)


def _grey_if_grey(array: NDArray[Any]) -> NDArray[Any]:
    red = array[..., 0]
    if (red == array[..., 1]).all() and (red == array[..., 2]).all():
        return array[..., 0] if array.shape[-1] == 3 else array[..., [0, 3]]
    return array


def _is_deep_colour(path: Path) -> bool:
    """Whether a PNG file has 16 bits a channel and more than one channel."""
    with path.open("rb") as file:
        head = file.read(26)
    return head[:4] == b"\x89PNG" and len(head) == 26 and head[24] == 16 and head[25] != 0
