"""What a TIFF file says about its axes and its pixel size."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any

from napari_unet.axes import FEW_CHANNELS, are_channels_last
from napari_unet.errors import Note
from napari_unet.io.pixel_size import (
    believable_sizes,
    is_print_resolution,
    size_from_resolution,
    unit_in_micrometres,
    without_print_resolution,
)

AXES_KEY = "napari_unet_axes"
"""Under this key our files keep the axes as they were given, with their order and those of
length 1, which the formats themselves would lose."""

KIND_KEY = "napari_unet_kind"
"""Under this key stands `LABELS` in files of labels."""

PLACE_KEY = "napari_unet_place"
"""Under this key stands where a viewer laid the array, as JSON."""

RECORD_KEY = "napari_unet_record"
"""Under this key stands the record of an export, as JSON."""

LABELS = "labels"

_RESOLUTION_UNITS = {2: 25400.0, 3: 10000.0}  # inch, centimetre


def tiff_axes(tif: Any, series: Any) -> tuple[tuple[int, ...], str | None]:
    """Which stored axes to show in which order, and their letters over TCZYX.

    Samples (the colours of a pixel) become C. Axes of length 1 that the file does not
    name, or that its format adds by itself, are dropped.

    Returns
    -------
    order : tuple of int
        Places in ``series.get_shape(squeeze=False)``.
    axes : str or None
        One letter per place; None where the file does not say what an axis is.

    Raises
    ------
    ValueError
        If the image has both channels and colour samples.
    """
    stored = series.get_axes(squeeze=False)
    shape = series.get_shape(squeeze=False)
    declared = _declared_order(tif, stored, shape)
    if declared is not None:
        return declared
    named = series.kind == "shaped"  # only there do axes of length 1 stand for something
    letters = {}
    for place, (letter, size) in enumerate(zip(stored, shape, strict=True)):
        if size > 1 or letter in "YX" or (named and letter in "TCZ"):
            letters[place] = "C" if letter == "S" else letter
    if sum(letter == "C" for letter in letters.values()) > 1:
        # Channels of one sample each, or colours of one channel, leave only one of the two.
        letters = {p: a for p, a in letters.items() if a != "C" or shape[p] > 1}
    axes = "".join(letters.values())
    if axes.count("C") > 1:
        raise ValueError("it has both channels and colours; split one of them into files")
    known = set(axes) <= set("TCZYX") and len(set(axes)) == len(axes) and {"Y", "X"} <= set(axes)
    return tuple(letters), axes if known else None


def credible_axes(axes: str | None, shape: Sequence[int], tif: Any) -> str | None:
    """The axes of a TIFF file, or None where its last axis can be no row of pixels.

    Programs that are given an array (Y, X, C) without axes call it a stack of planes that are as
    wide as there are channels. What this package has written is believed.
    """
    if axes is None or axes.endswith("C") or _declared_axes(tif) is not None:
        return axes
    few = shape[-1] <= max(FEW_CHANNELS)
    return None if few and are_channels_last(shape) else axes


def _declared_order(
    tif: Any, stored: str, shape: Sequence[int]
) -> tuple[tuple[int, ...], str] | None:
    """The order that one of our own files declares, if it still fits what is stored."""
    axes = _declared_axes(tif)
    if not axes or not set(axes) <= set("TCZYX") or len(set(axes)) != len(axes):
        return None
    order = []
    for letter in axes:
        places = [p for p, s in enumerate(stored) if s == letter or (letter == "C" and s == "S")]
        if not places:
            return None
        order.append(max(places, key=lambda place: shape[place]))
    rest = set(range(len(shape))) - set(order)
    return (tuple(order), axes) if all(shape[place] == 1 for place in rest) else None


def _declared_axes(tif: Any) -> str | None:
    return own_metadata(tif).get(AXES_KEY)


def own_metadata(tif: Any) -> dict[str, str]:
    """What one of our own files says beside what its format knows, by `AXES_KEY` and the like."""
    found: dict[str, Any] = {}
    if tif.is_ome:
        found = {m.get("K", ""): m.text for m in _ome_root(tif).iter() if _name(m) == "M"}
    elif tif.is_imagej:
        found = tif.imagej_metadata or {}
    elif tif.is_shaped:
        found = _shaped_metadata(tif)
    return {
        key: value
        for key, value in found.items()
        if key in (AXES_KEY, KIND_KEY, PLACE_KEY) and isinstance(value, str)
    }


def tiff_sizes(tif: Any, scene: int) -> tuple[dict[str, float | None], tuple[Note, ...]]:
    """Pixel size in micrometres by axis letter, and what is to be told of it.

    What is unknown is None or left out. Read from OME-XML, from ImageJ's unit, spacing and
    resolution, from our own metadata, or else from the resolution tags when their unit is a
    length. Whole numbers of dots per inch that programs write by default (72, 96, 300, ...) are no
    measurement, and 0, negative or absurd numbers no size.

    Parameters
    ----------
    tif : tifffile.TiffFile
        The file.
    scene : int
        Which of its images.
    """
    if tif.is_ome or tif.is_imagej:
        found = _ome_sizes(tif, scene) if tif.is_ome else _imagej_sizes(tif)
        ours = _declared_axes(tif) is not None
        sizes, notes = believable_sizes(found, ours=ours)
        if ours:  # our own files say what was given, whatever it looks like
            return sizes, notes
        measured = without_print_resolution(sizes)
        if sizes and not measured:
            told = f"The pixel size in the file, {max(s for s in sizes.values() if s):.4g} µm, "
            text = f"{told}comes from a print setting: it was taken as unknown"
            notes += (Note("pixel-size", text, "give ⟨pixel_size⟩ if you know it"),)
        return measured, notes
    metadata = _shaped_metadata(tif, scene) if tif.is_shaped else {}
    if AXES_KEY in metadata:
        given = {a: _number(metadata.get(f"PhysicalSize{a}"), 1.0) for a in "ZYX"}
        return believable_sizes(given, ours=True)
    return believable_sizes(_resolution_sizes(tif))


def tiff_channel_names(tif: Any, scene: int) -> tuple[str, ...]:
    """Names of the channels as OME-XML or ImageJ's labels give them; empty where one has none."""
    if tif.is_imagej:
        return _imagej_channel_names(tif.imagej_metadata or {})
    if not tif.is_ome:
        return ()
    pixels = _ome_pixels(tif, scene)
    channels = [] if pixels is None else [e for e in pixels if _name(e) == "Channel"]
    names = tuple((channel.get("Name") or "").strip() for channel in channels)
    return names if all(names) else ()


def _imagej_channel_names(metadata: dict[str, Any]) -> tuple[str, ...]:
    """Labels of planes, where all planes of a channel have the same and no other has it."""
    channels, labels = metadata.get("channels", 1), metadata.get("Labels") or ()
    names = tuple(str(label).strip() for label in labels[:channels])
    distinct = len(set(names)) == channels > 1 and all(names)
    alike = all(str(each).strip() == names[i % channels] for i, each in enumerate(labels))
    return names if distinct and alike else ()


def _ome_sizes(tif: Any, scene: int) -> dict[str, float | None]:
    pixels = _ome_pixels(tif, scene)
    if pixels is None:
        return {}
    sizes = {}
    for axis in "ZYX":
        unit = unit_in_micrometres(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        sizes[axis] = _number(pixels.get(f"PhysicalSize{axis}"), unit)
    return sizes


def _ome_pixels(tif: Any, scene: int) -> ET.Element | None:
    """The element of an image, in the order that tifffile gives its series; else the first."""
    found = [e for e in _ome_root(tif).iter() if _name(e) == "Pixels"]
    return found[scene] if scene < len(found) else next(iter(found), None)


def _imagej_sizes(tif: Any) -> dict[str, float | None]:
    metadata = tif.imagej_metadata or {}
    if "unit" not in metadata:
        sizes = _resolution_sizes(tif)
        unit = _RESOLUTION_UNITS.get(_tag(tif, "ResolutionUnit")) if sizes else None
        return sizes | {"Z": _number(metadata.get("spacing"), unit)}
    unit = unit_in_micrometres(metadata["unit"])
    sizes = {
        "Z": _number(
            metadata.get("spacing"),
            unit_in_micrometres(metadata.get("zunit", "um")) if "zunit" in metadata else unit,
        )
    }
    for axis in "YX":
        own = f"{axis.lower()}unit"
        length = unit_in_micrometres(metadata[own]) if own in metadata else unit
        if length is not None:
            sizes[axis] = size_from_resolution(_tag(tif, f"{axis}Resolution"), length)
    return sizes


def _resolution_sizes(tif: Any) -> dict[str, float | None]:
    unit = _RESOLUTION_UNITS.get(_tag(tif, "ResolutionUnit"))
    if unit is None:
        return {}
    sizes = {a: size_from_resolution(_tag(tif, f"{a}Resolution"), unit) for a in "YX"}
    return {} if any(is_print_resolution(size) for size in sizes.values()) else dict(sizes)


def _number(value: Any, unit: float | None) -> float | None:
    """A length in a unit, as micrometres; None where there is none, NaN where it is no number."""
    if value is None or unit is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return math.nan
    return float(f"{number * unit:.8g}") if unit != 1.0 else number


def _tag(tif: Any, name: str) -> Any:
    return tif.pages.first.tags.valueof(name)


def _shaped_metadata(tif: Any, scene: int = 0) -> dict[str, Any]:
    found = tif.shaped_metadata or ()
    return dict(found[scene]) if scene < len(found) else {}


def _ome_root(tif: Any) -> ET.Element:
    return ET.fromstring(tif.ome_metadata)


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
