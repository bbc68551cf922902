"""What can be measured: the properties, the columns that each becomes, and their units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_unet.errors import InputError, SettingsError

PLANE_ONLY = ("eccentricity", "perimeter", "circularity", "feret_diameter_min")
VOLUME_ONLY = ("axis_middle_length", "surface_area")
SHAPES = (
    "area",
    "equivalent_diameter_area",
    "centroid",
    "bbox",
    "axis_major_length",
    "axis_middle_length",
    "axis_minor_length",
    "eccentricity",
    "orientation",
    "perimeter",
    "surface_area",
    "circularity",
    "feret_diameter_max",
    "feret_diameter_min",
    "solidity",
    "touches_border",
)
NEIGHBOURS = "neighbours"
INTENSITIES = (
    "intensity_mean",
    "intensity_median",
    "intensity_std",
    "intensity_min",
    "intensity_max",
    "intensity_integrated",
    "intensity_background",
    "intensity_integrated_corrected",
)
CONFIDENCE = "confidence"
PROPERTIES = (*SHAPES, NEIGHBOURS, *INTENSITIES, CONFIDENCE)

LENGTHS = (
    "equivalent_diameter_area",
    "centroid",
    "axis_major_length",
    "axis_middle_length",
    "axis_minor_length",
    "perimeter",
    "feret_diameter_max",
    "feret_diameter_min",
)


@dataclass(frozen=True)
class Columns:
    """The properties of a table, and the columns that they become.

    Attributes
    ----------
    properties : tuple of str
        What is measured, in the order of the table.
    ndim : int
        Spatial axes, 2 or 3.
    channels : int or None
        Length of the image's axis C; None without an image or without that axis.
    has_frames : bool
        Whether there is an axis T.
    """

    properties: tuple[str, ...]
    ndim: int
    channels: int | None
    has_frames: bool

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that name the object."""
        return ("frame", "label") if self.has_frames else ("label",)

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, named as by scikit-image's ``regionprops_table``."""
        return (*self.keys, *(name for each in self.properties for name in self.names_of(each)))

    def names_of(self, name: str) -> tuple[str, ...]:
        """The columns of a property."""
        count = {"centroid": self.ndim, "bbox": 2 * self.ndim}.get(name)
        if name == "orientation" and self.ndim == 3:
            count = 3  # parts of a vector
        if name in INTENSITIES:
            count = self.channels
        return (name,) if count is None else tuple(f"{name}-{i}" for i in range(count))

    def units(self, *, physical: bool) -> dict[str, str]:
        """Units by column, of those that have one."""
        length = "µm" if physical else "pixel"
        units = {name: length for each in LENGTHS for name in self.names_of(each)}
        # areas of pixels are counted
        units["area"] = ("µm²" if self.ndim == 2 else "µm³") if physical else "pixel"
        if self.ndim == 2:
            units["orientation"] = "rad"
        units["surface_area"] = "µm²" if physical else "pixel"
        units |= dict.fromkeys(self.names_of("bbox"), "pixel")
        return {name: unit for name, unit in units.items() if name in self.names}


def choose_properties(
    chosen: Sequence[str] | None,
    *,
    ndim: int,
    has_image: bool,
    has_scores: bool,
    has_distance: bool = False,
) -> tuple[str, ...]:
    """The properties to measure, in the order of the table; all that can be where none is chosen.

    Raises
    ------
    SettingsError
        If one is unknown, or cannot be measured with this number of axes.
    InputError
        If one needs an image or scores, which were not given.
    """
    possible = tuple(
        name
        for name in PROPERTIES
        if name not in (PLANE_ONLY if ndim == 3 else VOLUME_ONLY)
        if has_distance or name != NEIGHBOURS
        if has_image or name not in INTENSITIES
        if has_scores or name != CONFIDENCE
    )
    if chosen is None:
        return possible
    wanted = [chosen] if isinstance(chosen, str) else list(chosen)
    wanted = [name for name in wanted if name not in ("label", "frame")]  # which always stand there
    for name in wanted:
        if name not in PROPERTIES:
            raise SettingsError(
                f"⟨properties⟩ {name!r} is unknown",
                f"choose of {', '.join(PROPERTIES)}",
                parameter="properties",
                value=name,
            )
        if name in possible:
            continue
        if name in (*PLANE_ONLY, *VOLUME_ONLY) and name not in (
            VOLUME_ONLY if ndim == 3 else PLANE_ONLY
        ):
            other = "two" if ndim == 3 else "three"
            raise SettingsError(
                f"⟨properties⟩ {name!r} is measured in {other} dimensions only",
                "leave it out, or measure plane by plane" if ndim == 3 else "leave it out",
                parameter="properties",
                value=name,
            )
        if name == NEIGHBOURS:
            raise SettingsError(
                f"⟨properties⟩ {name!r} needs ⟨neighbour_distance⟩",
                "say up to which distance objects are neighbours",
                parameter="neighbour_distance",
                value=None,
            )
        needed = "scores" if name == CONFIDENCE else "image"
        raise InputError(
            f"⟨properties⟩ {name!r} needs ⟨{needed}⟩",
            "give it too, or leave the property out",
            parameter=needed,
            value=None,
        )
    return tuple(name for name in possible if name in wanted)
