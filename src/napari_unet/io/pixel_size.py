"""Physical pixel sizes: units of length, and the sizes of the spatial axes in micrometres."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from napari_unet.errors import InputError, Note

PixelSize = tuple[float | None, ...] | None
"""Micrometres per spatial axis, in the image's order of axes; None where unknown."""

_MICROMETRES = {
    "m": 1e6, "meter": 1e6, "metre": 1e6, "meters": 1e6, "metres": 1e6,
    "dm": 1e5, "decimeter": 1e5, "decimetre": 1e5,
    "cm": 1e4, "centimeter": 1e4, "centimetre": 1e4, "centimeters": 1e4,
    "mm": 1e3, "millimeter": 1e3, "millimetre": 1e3, "millimeters": 1e3,
    "um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0,
    "micrometer": 1.0, "micrometre": 1.0, "micrometers": 1.0, "micrometres": 1.0,
    "nm": 1e-3, "nanometer": 1e-3, "nanometre": 1e-3, "nanometers": 1e-3,
    "å": 1e-4, "angstrom": 1e-4, "ångström": 1e-4, "ångstrom": 1e-4,
    "pm": 1e-6, "picometer": 1e-6, "picometre": 1e-6,
    "inch": 25400.0, "inches": 25400.0, "in": 25400.0, '"': 25400.0,
}  # fmt: skip

# Whole multiples of these dots per inch are what programs write that mean nothing by it.
_SCREEN_DPI = (72, 96, 100, 120, 150, 180, 200, 240, 300, 360, 400, 600, 1200, 2400)

LARGEST_FROM_MICROSCOPE = 40.0  # micrometres; 600 dots per inch are 42.3

_RANGE = (1e-6, 1e6)
"""Micrometres: from a picometre to a metre per pixel, which a user may give."""

_BELIEVED = (1e-5, 1e5)
"""Micrometres: from ten picometres to ten centimetres per pixel, which a file may tell."""


def unit_in_micrometres(unit: object) -> float | None:
    r"""Length of a unit in micrometres; None for a unit that is unknown or no length.

    Examples
    --------
    >>> unit_in_micrometres("nm"), unit_in_micrometres(r"\u00B5m"), unit_in_micrometres("pixel")
    (0.001, 1.0, None)
    """
    text = str(unit).strip().replace("\\u00b5", "µ").replace("\\u00B5", "µ")
    # A UTF-8 micro or angstrom sign that some program has read as Latin-1.
    text = text.removeprefix("Â").replace("Ã\x85", "Å").replace("Î¼", "µ")
    return _MICROMETRES.get(text.lower())


def tidy(size: float) -> float | None:
    """A pixel size without the noise of a rational number; None if it cannot be one.

    Examples
    --------
    >>> tidy(0.32500000004), tidy(0.0), tidy(float("nan"))
    (0.325, None, None)
    """
    if not (math.isfinite(size) and _RANGE[0] * 0.999 <= size <= _RANGE[1] * 1.001):
        return None
    return float(f"{size:.8g}")


def believable_sizes(
    declared: Mapping[str, float | None], *, ours: bool = False
) -> tuple[dict[str, float | None], tuple[Note, ...]]:
    """Sizes by axis letter of which those that no pixel has are unknown, and what is told of them.

    Parameters
    ----------
    declared : mapping of str to float or None
        Micrometres as a file gives them; NaN for what is no number, None where it says nothing.
    ours : bool
        Whether this package has written the file, from sizes that were checked.

    Examples
    --------
    >>> sizes, notes = believable_sizes({"Y": 0.0, "X": 0.5})
    >>> sizes, str(notes[0])
    ({'Y': None, 'X': 0.5}, 'The file gives a pixel size of 0 µm along Y, which no pixel has: \
it was taken as unknown; give pixel_size if you know it.')
    """
    sizes = {
        axis: tidy(size)
        if size is not None and (ours or _BELIEVED[0] <= size <= _BELIEVED[1])
        else None
        for axis, size in declared.items()
    }
    wrong = [
        f"{size:g} µm along {axis}"
        for axis, size in declared.items()
        if size is not None and sizes[axis] is None
    ]
    if not wrong:
        return sizes, ()
    text = f"The file gives a pixel size of {', '.join(wrong)}, which no pixel has: it was taken "
    return sizes, (Note("pixel-size", f"{text}as unknown", "give ⟨pixel_size⟩ if you know it"),)


def sizes_without_unit(
    declared: Mapping[str, float], unit: str = ""
) -> tuple[dict[str, float], tuple[Note, ...]]:
    """Sizes in a unit that is unknown, less those that say nothing, and what is told of them.

    Parameters
    ----------
    declared : mapping of str to float
        Sizes by axis letter.
    unit : str
        What the file calls the unit; empty where it names none.

    Examples
    --------
    >>> sizes, notes = sizes_without_unit({"Z": 1.0, "Y": 0.5, "X": 0.5})
    >>> sizes, str(notes[0])
    ({'Y': 0.5, 'X': 0.5}, 'The file gives a pixel size of 0.5 along Y, 0.5 along X without a \
unit: in micrometres it is unknown; give pixel_size if you know it.')
    """
    sizes = {a: n for a, n in declared.items() if math.isfinite(n) and n > 0 and n != 1}
    if not sizes:
        return {}, ()
    told = ", ".join(f"{size:g} along {axis}" for axis, size in sizes.items())
    named = f"in a unit {unit!r} that is no length" if unit else "without a unit"
    text = f"The file gives a pixel size of {told} {named}: in micrometres it is unknown"
    return sizes, (Note("pixel-size", text, "give ⟨pixel_size⟩ if you know it"),)


def size_from_resolution(pixels: Sequence[int] | float | None, unit: float) -> float | None:
    """Pixel size in micrometres from a resolution tag, pixels per ``unit`` micrometres.

    None where the tag is missing or not positive: then nothing is said of the size.
    """
    if pixels is None:
        return None
    numerator, denominator = pixels if isinstance(pixels, Sequence) else (pixels, 1)
    if numerator <= 0 or denominator <= 0:
        return None
    return float(f"{unit * denominator / numerator:.8g}")


def resolution_from_size(size: float | None, unit: float = 1.0) -> tuple[int, int]:
    """Rational resolution, pixels per ``unit`` micrometres; (0, 1) for an unknown size.

    Examples
    --------
    >>> resolution_from_size(0.325)
    (40, 13)
    """
    if size is None:
        return 0, 1
    # From the decimal digits, so that 0.325 gives 40/13 and not its binary neighbour.
    exact = Fraction(str(unit)) / Fraction(str(float(size)))
    largest = 2**32 - 1
    if exact > largest:
        return 0, 1
    nearest = exact.limit_denominator(min(largest, max(1, math.floor(largest / exact))))
    return nearest.numerator, nearest.denominator


def is_print_resolution(size: float | None) -> bool:
    """Whether a size follows from a print or screen setting such as 72 or 300 dots per inch.

    Examples
    --------
    >>> is_print_resolution(25400 / 72), is_print_resolution(0.325)
    (True, False)
    """
    if size is None:
        return False
    per_inch = 25400.0 / size
    # One pixel per inch or centimetre is the tag's default value, not a measurement.
    values = (*_SCREEN_DPI, 1, 2.54)
    return any(abs(per_inch - value) <= 0.002 * value for value in values)


def without_print_resolution(sizes: Mapping[str, float | None]) -> dict[str, float | None]:
    """Sizes by axis letter, or none of them where those of the plane are a print setting.

    Programs that convert a TIFF of 72 dots per inch call it 353 µm a pixel. Sizes below
    `LARGEST_FROM_MICROSCOPE` are believed, also where a fine print setting would give them.

    Examples
    --------
    >>> without_print_resolution({"Y": 25400 / 72, "X": 25400 / 72})
    {}
    >>> without_print_resolution({"Y": 0.5, "X": 0.5})
    {'Y': 0.5, 'X': 0.5}
    """
    plane = [size for axis in "YX" if (size := sizes.get(axis)) is not None]
    printed = [s > LARGEST_FROM_MICROSCOPE and is_print_resolution(s) for s in plane]
    return {} if any(printed) else dict(sizes)


def order_sizes(sizes: Mapping[str, float | None], axes: str) -> PixelSize:
    """Sizes by axis letter as a tuple in the order of ``axes``; None if none is known.

    Examples
    --------
    >>> order_sizes({"X": 0.2, "Y": 0.2}, "TZYX")
    (None, 0.2, 0.2)
    """
    ordered = tuple(sizes.get(axis) for axis in axes if axis in "ZYX")
    return ordered if any(size is not None for size in ordered) else None


def check_pixel_size(pixel_size: PixelSize, axes: str) -> dict[str, float]:
    """Return the known sizes by axis letter, checked.

    Raises
    ------
    InputError
        If there is not one size per spatial axis, or one is not a length in micrometres
        between a picometre and a metre.
    """
    if pixel_size is None:
        return {}
    spatial = [axis for axis in axes if axis in "ZYX"]
    if len(pixel_size) != len(spatial):
        raise InputError(
            f"⟨pixel_size⟩ {tuple(pixel_size)} has {len(pixel_size)} values but axes {axes!r} have "
            f"{len(spatial)} spatial ones",
            "give one size in micrometres for each, None if unknown",
            parameter="pixel_size",
            value=pixel_size,
        )
    known = {}
    for axis, size in zip(spatial, pixel_size, strict=True):
        if size is None:
            continue
        if not _RANGE[0] <= size <= _RANGE[1]:  # also false for NaN
            raise InputError(
                f"⟨pixel_size⟩ {size} along {axis} is no size of a pixel",
                f"give micrometres between {_RANGE[0]:g} and {_RANGE[1]:g}, or None if unknown",
                parameter="pixel_size",
                value=size,
            )
        known[axis] = float(size)
    return known
