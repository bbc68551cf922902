"""ImageJ's regions of interest (.roi, and .zip of the ROI Manager) as labels of an image.

ImageJ counts coordinates of areas from the upper left corner of a pixel: a pixel belongs to an area
if its centre, half a pixel further, lies in it.

References
----------
.. [1] ImageJ, ij.io.RoiDecoder, ij.process.PolygonFiller and ij.plugin.frame.RoiManager.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import label_axes
from napari_unet.errors import FileError, Note
from napari_unet.io.naming import list_names
from napari_unet.io.reason import reason_of

MAX_ROI_BYTES = 1 << 26
CORNER_PIXELS = 0.5  # from the corner of a pixel to its centre
TIE_PIXELS = 1e-5  # so that a centre on an edge that two areas share belongs to one of them
_NAMED_PLANE = re.compile(r"(\d{4})-\d{4}-\d{4}")  # older ImageJ has the plane in the name only


@dataclass
class _Told:
    """Names of regions by what is to be told of them."""

    no_area: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    overlapping: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    other_plane: list[str] = field(default_factory=list)
    every_plane: list[str] = field(default_factory=list)
    straight: list[str] = field(default_factory=list)

    def notes(self) -> Iterator[Note]:
        """One note for each kind."""
        for code, names, text in (
            ("roi-no-area", self.no_area, "without an area (points, lines, text) left out"),
            ("roi-outside", self.outside, "outside the image left out"),
            ("roi-other-plane", self.other_plane, "in planes that the image has not left out"),
            ("roi-cut", self.cut, "reaching beyond the image cut at its edge"),
            ("roi-overlap", self.overlapping, "lying on earlier ones: the later one counts there"),
            ("roi-hidden", self.hidden, "wholly hidden by later ones"),
            ("roi-every-plane", self.every_plane, "that name no plane put into every plane"),
            ("roi-straight", self.straight, "of curved edges taken by their corners"),
        ):
            if names:
                what = "region" if len(names) == 1 else "regions"
                yield Note(code, f"{len(names)} {what} {text}: {list_names(names)}")


def read_roi_labels(
    path: Path, shape: Sequence[int], axes: str, *, classes: bool = False
) -> tuple[NDArray[np.int32], tuple[Note, ...]]:
    """Labels of an image from regions of interest.

    Parameters
    ----------
    path : Path
        A ``.roi`` file, or a ``.zip`` file of them.
    shape : sequence of int
        Of the image.
    axes : str
        Its axes over TCZYX.
    classes : bool
        Whether labels are the groups of the regions (1 where there are none), and not their
        numbers in the file, counted from 1.

    Returns
    -------
    labels : int32 array
        With the axes of the image less C.
    notes : tuple of Note
        Which regions overlap, lie outside, or have no area.

    Raises
    ------
    FileError
        If the file cannot be read, or has no area in the image.
    """
    import roifile

    regions = _read(path)
    if classes and any(roi.group for _, roi in regions):
        lacking = [name for name, roi in regions if not roi.group]
        if lacking:
            raise FileError(
                f"{path} has regions of a group, which is their class, and others without one: "
                f"{list_names(lacking)}",
                "give each of them a group",
            )
    sizes = dict(zip(axes, (int(n) for n in shape), strict=True))
    stack = np.zeros((sizes.get("T", 1), sizes.get("Z", 1), sizes["Y"], sizes["X"]), np.int32)
    channels = 1 if axes[-1] == "C" else sizes.get("C", 1)  # colours are no planes of ImageJ
    owners = np.zeros(stack.shape, np.int32)
    told = _Told()
    for number, (name, roi) in enumerate(regions, 1):
        outlines = _outlines(roi)
        if not outlines:
            told.no_area.append(name)
            continue
        if roi.roitype == roifile.ROI_TYPE.RECT:
            curved = roi.rounded_rect_arc_size > 0
        else:
            curved = bool(roi.options & roifile.ROI_OPTIONS.SPLINE_FIT)
        if curved and not roi.composite:
            told.straight.append(name)
        value = (roi.group or 1) if classes else number
        _draw(
            stack,
            owners,
            _Area(name, number, value, outlines),
            _planes(roi, name, stack.shape, channels, told),
            told,
        )
    drawn = np.unique(owners)
    if drawn.size < 2:
        raise FileError(
            f"{path} has no area inside the image ({stack.shape[-1]} × {stack.shape[-2]} pixels): "
            + "; ".join(str(note.text) for note in told.notes()),
            "check that it belongs to this image",
        )
    left = set(drawn.tolist())
    gone = {*told.no_area, *told.outside, *told.other_plane}
    told.hidden += [n for i, (n, _) in enumerate(regions, 1) if i not in left and n not in gone]
    kept = label_axes(axes)
    index = tuple(slice(None) if axis in kept else 0 for axis in "TZYX")
    ordered = [axis for axis in "TZYX" if axis in kept]
    labels = stack[index].transpose([ordered.index(axis) for axis in kept])
    return np.ascontiguousarray(labels), tuple(told.notes())


@dataclass(frozen=True)
class _Area:
    """A region: its outlines, of which every second one is a hole."""

    name: str
    number: int
    value: int
    outlines: list[NDArray[np.float64]]

    def mask(self, height: int, width: int) -> tuple[NDArray[np.bool_], slice, slice]:
        """Its pixels within their bounding box, and where that lies in the image."""
        from skimage.draw import polygon

        points = np.concatenate(self.outlines)
        # cut before they become integers, which cannot hold what damaged files say
        low = np.floor(points.min(0)).clip(0, (width, height)).astype(int)
        high = np.ceil(points.max(0)).clip(0, (width, height)).astype(int)
        inside = np.zeros((max(0, high[1] - low[1]), max(0, high[0] - low[0])), bool)
        for outline in self.outlines:
            moved = outline - low - CORNER_PIXELS
            y, x = moved[:, 1] + TIE_PIXELS, moved[:, 0] + 1.7 * TIE_PIXELS
            rows, columns = polygon(y, x, inside.shape)  # type: ignore[no-untyped-call]
            inside[rows, columns] ^= True
        return inside, slice(low[1], high[1]), slice(low[0], high[0])

    def reaches_beyond(self, height: int, width: int) -> bool:
        """Whether a part of it lies outside of the image."""
        points = np.concatenate(self.outlines)
        return bool((points.min(0) < 0).any() or (points.max(0) > (width, height)).any())


def _draw(
    stack: NDArray[np.int32],
    owners: NDArray[np.int32],
    area: _Area,
    planes: list[tuple[int, int]],
    told: _Told,
) -> None:
    if not planes:
        return
    height, width = stack.shape[-2:]
    inside, rows, columns = area.mask(height, width)
    if not inside.any():
        told.outside.append(area.name)
        return
    if area.reaches_beyond(height, width):
        told.cut.append(area.name)
    for time, z in planes:
        earlier = owners[time, z, rows, columns]
        if earlier[inside].any() and area.name not in told.overlapping:
            told.overlapping.append(area.name)
        earlier[inside] = area.number
        stack[time, z, rows, columns][inside] = area.value


def _planes(
    roi: Any, name: str, shape: tuple[int, ...], channels: int, told: _Told
) -> list[tuple[int, int]]:
    """Time points and planes that a region lies in, counted from 0."""
    times, depth = shape[:2]
    if times * depth == 1:
        return [(0, 0)]
    time, z, place = roi.t_position, roi.z_position, roi.position
    if max(time, z) <= 1 and not place:
        hit = _NAMED_PLANE.match(name)
        place = int(hit[1]) if hit is not None and not (time or z) else 0
    if place and max(time, z) <= 1:
        last, z = divmod((place - 1) // channels, depth)
        time, z = last + 1, z + 1
    elif times == 1 and depth > 1 and time > 1 and z <= 1:
        time, z = 0, time  # ImageJ took the planes for time points
    elif depth == 1 and times > 1 and z > 1 and time <= 1:
        time, z = z, 0
    if time > times or z > depth:
        told.other_plane.append(name)
        return []
    if (times > 1 and not time) or (depth > 1 and not z):
        told.every_plane.append(name)
    chosen = range(time - 1, time) if time and times > 1 else range(times)
    return list(product(chosen, range(z - 1, z) if z and depth > 1 else range(depth)))


def _outlines(roi: Any) -> list[NDArray[np.float64]]:
    """Corners (x, y) of the closed paths of a region; none where it has no area."""
    import roifile

    kinds = roifile.ROI_TYPE
    subtypes = roifile.ROI_SUBTYPE
    if roi.subtype in (subtypes.TEXT, subtypes.ARROW, subtypes.IMAGE):
        return []
    if roi.composite:
        paths = roi.coordinates(multi=True)
    elif roi.roitype in (kinds.RECT, kinds.OVAL):
        left, top, right, bottom = roi.left, roi.top, roi.right, roi.bottom
        if roi.subpixelrect:
            left, top = roi.xd, roi.yd
            right, bottom = left + roi.widthd, top + roi.heightd
        oval = roi.roitype == kinds.OVAL
        paths = [_ellipse(left, top, right, bottom) if oval else _box(left, top, right, bottom)]
    elif roi.roitype in (kinds.POLYGON, kinds.FREEHAND, kinds.TRACED):
        paths = [roi.coordinates()]
    else:
        paths = []
    outlines = [np.asarray(path, np.float64) for path in paths]
    return [o for o in outlines if len(o) > 2 and np.isfinite(o).all() and np.ptp(o, 0).all()]


def _box(left: float, top: float, right: float, bottom: float) -> NDArray[np.float64]:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)


def _ellipse(left: float, top: float, right: float, bottom: float) -> NDArray[np.float64]:
    radii = np.array([right - left, bottom - top]) / 2
    corners = 64 + 8 * int(radii.max())  # the polygon then differs by far less than a pixel
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    around = np.stack([np.cos(angles), np.sin(angles)], 1)
    return np.asarray(np.array([left, top]) + radii * (1 + around), np.float64)


def _read(path: Path) -> list[tuple[str, Any]]:
    """Regions with their names, in the order of the file."""
    import roifile

    found: list[tuple[str, Any]] = []
    if path.exists() and not path.is_file():
        raise FileError(f"{path} is no file, but a folder, a pipe or a device", "give a file")
    try:
        for name, data in _members(path):
            roi = roifile.ImagejRoi.frombytes(data)
            found.append((roi.name or name, roi))
            _outlines(roi)  # curves cannot be read
    except OSError as error:
        raise FileError(f"{path} cannot be read ({reason_of(error)})", "check the disk") from error
    except Exception as error:
        # a damaged file raises errors of struct, zipfile, zlib and NumPy
        raise FileError(
            f"{path} holds no regions of ImageJ, or is damaged ({reason_of(error)})",
            "save them again in the ROI Manager of ImageJ",
        ) from error
    if not found:
        raise FileError(f"{path} holds no .roi file", "save regions in the ROI Manager of ImageJ")
    return found


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.suffix.lower() != ".zip":
        with path.open("rb") as file:
            yield path.stem, file.read(MAX_ROI_BYTES)
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.lower().endswith(".roi") and not name.startswith("__MACOSX"):
                with archive.open(name) as member:
                    yield Path(name).stem, member.read(MAX_ROI_BYTES)
