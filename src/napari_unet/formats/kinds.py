"""The formats that labels are exported to, and which one a path means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_unet.errors import FileError, InputError


@dataclass(frozen=True)
class Kind:
    """A format.

    Attributes
    ----------
    name : str
        What it is called in the API, on the command line and in records.
    endings : tuple of str
        Of the names of its files; the first is the usual one.
    title : str
        In words, for a dialog.
    is_planar : bool
        Whether a file holds one plane.
    """

    name: str
    endings: tuple[str, ...]
    title: str
    is_planar: bool = False


KINDS = {
    kind.name: kind
    for kind in (
        Kind("ome.tif", (".ome.tif", ".ome.tiff"), "OME-TIFF labels"),
        Kind("tif", (".tif", ".tiff"), "ImageJ/Fiji label TIFF"),
        Kind("ome.zarr", (".ome.zarr", ".zarr"), "OME-Zarr labels"),
        Kind("roi", (".zip",), "ImageJ/Fiji regions"),
        Kind("geojson", (".geojson", ".json"), "QuPath GeoJSON"),
        Kind("coco", (".json",), "COCO annotations"),
        Kind("cellpose", ("_seg.npy",), "Cellpose masks"),
        Kind("png", (".png",), "PNG mask", is_planar=True),
        Kind("overlay", (".png",), "PNG picture with outlines", is_planar=True),
        Kind("csv", (".csv", ".tsv"), "table of objects"),
    )
}
"""The formats by name; of two with the same ending the one whose usual ending it is goes first."""


def kind_of(path: Path, name: str | None = None, *, has_image: bool = False) -> Kind:
    """The format of a file, by its name unless that is given.

    Parameters
    ----------
    path : Path
        The file.
    name : str, optional
        A format's name, or one of its endings.
    has_image : bool
        Whether there is an image: a ``.png`` file is a picture of the outlines on it then.

    Raises
    ------
    InputError
        If there is no such format.
    FileError
        If the ending means none, or another one than was asked for.

    Examples
    --------
    >>> kind_of(Path("a.ome.tif")).name, kind_of(Path("a.json")).name
    ('ome.tif', 'coco')
    >>> kind_of(Path("a.png")).name, kind_of(Path("a.png"), has_image=True).name
    ('png', 'overlay')
    """
    low = path.name.lower()
    if name is not None:
        kind = _kind_named(str(name))
        if not low.endswith(kind.endings):
            raise FileError(
                f"{path} does not end as a file of the format {kind.name!r} does",
                f"end its name in {' or '.join(kind.endings)}",
            )
        return kind
    fitting = [kind for kind in KINDS.values() if low.endswith(kind.endings)]
    fitting.sort(key=lambda kind: not low.endswith(kind.endings[0]))
    if has_image and low.endswith(".png"):
        return KINDS["overlay"]
    if not fitting:
        raise FileError(
            f"{path} ends in {path.suffix or 'nothing'!r}, which names no format of labels",
            f"end its name in one of {', '.join(all_endings())}",
        )
    return fitting[0]


def all_endings() -> Sequence[str]:
    """The usual endings of all formats, each once."""
    return list(dict.fromkeys(kind.endings[0] for kind in KINDS.values()))


def _kind_named(name: str) -> Kind:
    low = name.lower()
    if low in KINDS:
        return KINDS[low]
    for kind in KINDS.values():
        if low in (kind.endings[0], kind.endings[0].lstrip("._")):
            return kind
    raise InputError(
        f"⟨format⟩ {name!r} is unknown",
        f"give one of {', '.join(KINDS)}, or leave it out: the ending of the path tells it",
        parameter="format",
        value=name,
    )
