"""Outlines of labels drawn over an image, for thumbnails and figures."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import find_boundaries

from napari_unet.io.label_colours import label_colours

BAR_SHARE = 0.25  # of the width of an image that a scale bar takes at most
BAR_ROUND = (5.0, 2.0, 1.0)  # what the first digit of its length is
BAR_PIXELS = 12  # below which a bar says nothing


def draw_overlay(
    image: NDArray[Any], labels: NDArray[Any], *, in_colour: bool = False
) -> NDArray[np.uint8]:
    """A grey image with the outline of each object in a colour of its own.

    Parameters
    ----------
    image : (Y, X) or (C, Y, X) array
        Channels are averaged.
    labels : (Y, X) integer array
        0 is background.
    in_colour : bool
        Whether three channels of uint8 are colours, and stay as they are.

    Returns
    -------
    (Y, X, 3) uint8 array

    Examples
    --------
    >>> draw_overlay(np.zeros((4, 4)), np.ones((4, 4), int)).shape
    (4, 4, 3)
    """
    if in_colour:
        picture = np.moveaxis(np.asarray(image, np.uint8), 0, -1).copy()
    else:
        grey = np.asarray(image, np.float32)
        grey = grey.mean(0) if grey.ndim == 3 else grey
        finite = np.isfinite(grey)
        low, high = np.percentile(grey[finite], (1, 99.8)) if finite.any() else (0.0, 1.0)
        # a square root keeps dim objects visible beside bright ones
        grey = np.sqrt(np.clip((np.nan_to_num(grey) - low) / max(high - low, 1e-9), 0, 1))
        picture = np.repeat((grey * 255).astype(np.uint8)[..., None], 3, axis=2)
    outline = find_boundaries(labels, mode="inner")  # type: ignore[no-untyped-call]
    picture[outline] = label_colours(np.asarray(labels)[outline])
    return picture


def draw_scale_bar(picture: NDArray[np.uint8], pixel_size: float) -> NDArray[np.uint8]:
    """A picture with a scale bar and its length at the lower right.

    Parameters
    ----------
    picture : (Y, X, 3) uint8 array
        Stays as it is.
    pixel_size : float
        Micrometres along X.

    Returns
    -------
    (Y, X, 3) uint8 array
        Of a picture that is too small for a bar, a copy.
    """
    from PIL import Image, ImageDraw, ImageFont

    height, width = picture.shape[:2]
    length = bar_length(width * pixel_size)
    across = round(length / pixel_size)
    drawn = Image.fromarray(picture.copy())
    if across < BAR_PIXELS or height < 2 * BAR_PIXELS:
        return np.array(drawn)
    margin = max(4, min(height, width) // 40)
    thick = max(2, min(height, width) // 120)
    font = ImageFont.load_default(max(9.0, min(height, width) / 28))
    draw = ImageDraw.Draw(drawn)
    right, bottom = width - margin, height - margin
    left, top = right - across, bottom - thick
    draw.rectangle((left - 1, top - 1, right, bottom), "black")
    draw.rectangle((left, top, right - 1, bottom - 1), "white")
    _write_length(draw, length_in_words(length), (right - across / 2, top - margin / 2), font)
    return np.array(drawn)


def _write_length(draw: Any, text: str, foot: tuple[float, float], font: Any) -> None:
    """Write a length above a place; the font has no µ, which is a u with a tail."""
    plain = text.replace("µ", "u")
    height = font.getbbox("u", anchor="ls")[3] - font.getbbox("u", anchor="ls")[1]
    tail = max(2, round(height * 0.45))
    left = foot[0] - draw.textlength(plain, font) / 2
    base = foot[1] - tail
    if "µ" in text:
        stem = left + draw.textlength(plain[: text.index("µ")], font)
        stem = math.ceil(stem + font.getbbox("u", anchor="ls")[0]) + 1
        wide = max(1, round(height / 7))
        draw.rectangle((stem - 1, base, stem + wide, base + tail + 1), "black")
    draw.text((left, base), plain, "white", font, anchor="ls", stroke_width=1, stroke_fill="black")
    if "µ" in text:
        draw.rectangle((stem, base - height / 2, stem + wide - 1, base + tail), "white")


def bar_length(width: float) -> float:
    """The length of a scale bar in micrometres, of a picture of some width.

    >>> bar_length(256 * 0.325), bar_length(0.9)
    (20.0, 0.2)
    """
    most = width * BAR_SHARE
    power = 10.0 ** math.floor(math.log10(most))
    return float(next((d * power for d in BAR_ROUND if d * power <= most), power))


def length_in_words(micrometres: float) -> str:
    """A length in a unit in which it is neither large nor small.

    >>> length_in_words(20.0), length_in_words(0.2), length_in_words(2000.0)
    ('20 µm', '200 nm', '2 mm')
    """
    for unit, size in (("mm", 1e3), ("µm", 1.0), ("nm", 1e-3)):
        if micrometres >= size:
            return f"{micrometres / size:g} {unit}"
    return f"{micrometres * 1e3:g} nm"


def encode_thumbnail(image: NDArray[Any], labels: NDArray[Any], size: int = 96) -> str:
    """A square PNG of at most ``size`` pixels a side of `draw_overlay`, in base64.

    Of an image that is not square the corner at the origin is shown.
    """
    from PIL import Image

    side = min(labels.shape)
    crop = (..., slice(0, side), slice(0, side))
    picture = Image.fromarray(draw_overlay(image[crop], labels[crop]))
    picture = picture.resize((min(size, side), min(size, side)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
