"""Image files of paths that were named: files, folders, and stores that hold several images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_unet.errors import Note
from napari_unet.io.naming import plain_stem
from napari_unet.io.zarr_members import images_inside, is_inside_zarr, store_of

_BITMAPS = (".png", ".bmp", ".gif", ".jpg", ".jpeg")  # the better first


@dataclass(frozen=True)
class FoundImage:
    """An image to work on.

    Attributes
    ----------
    path : Path
        The file, or the folder of a Zarr image.
    name : str
        What its results are called, without an ending.
    notes : tuple of Note
        What was left out beside it.
    """

    path: Path
    name: str
    notes: tuple[Note, ...] = ()

    @property
    def title(self) -> str:
        """Its name for people: that of the file; in a store also where it lies there."""
        store = store_of(self.path)
        inside = self.path.relative_to(store).parts
        return "/".join((store.name, *inside))


def open_up(path: Path) -> list[FoundImage]:
    """The images of a path that is no folder of files: itself, or those of a plate and the like."""
    members: list[str] = []
    if is_inside_zarr(path):
        try:
            members = images_inside(path, series=False)  # those are scenes of one file
        except Exception:  # noqa: BLE001  # reading it will say what is wrong
            members = []
    inside = [path / member for member in members] or [path]
    return [FoundImage(each, _name(each)) for each in inside]


def with_distinct_names(images: Sequence[FoundImage]) -> list[FoundImage]:
    """Images of one folder, those of the same name told apart by their endings.

    >>> [
    ...     i.name
    ...     for i in with_distinct_names([FoundImage(Path(n), "a") for n in ("a.npy", "a.tif")])
    ... ]
    ['a_npy', 'a_tif']
    """
    counts = Counter(image.name for image in images)
    return [
        replace(image, name=image.path.name.replace(".", "_")) if counts[image.name] > 1 else image
        for image in images
    ]


def leave_out_previews(paths: Sequence[Path]) -> tuple[list[Path], dict[Path, Note]]:
    """Files without pictures that only show another file of the same name beside them.

    A PNG, BMP, GIF or JPEG file is a preview beside a TIFF, ``.npy`` or Zarr file of its name, and
    each of them beside those named before it. Files of different folders do not know each other.

    Returns
    -------
    kept : list of Path
        In their order.
    notes : dict of Path to Note
        For a file that stays: what was left out beside it.
    """
    best: dict[Path, int] = {}
    for path in paths:
        name = _plain(path)
        best[name] = min(best.get(name, len(_BITMAPS)), _rank(path))
    kept = [path for path in paths if _rank(path) <= best[_plain(path)]]
    notes = {}
    for path in kept:
        previews = [
            other.name for other in paths if other not in kept and _plain(other) == _plain(path)
        ]
        if previews:
            text = (
                f"{', '.join(previews)} beside {path.name} has its name and was taken for a preview"
            )
            notes[path] = Note("preview-left-out", text, "name it by itself for its own result")
    return kept, notes


def _plain(path: Path) -> Path:
    return path.with_name(plain_stem(path))


def _rank(path: Path) -> int:
    suffix = path.suffix.lower()
    return 1 + _BITMAPS.index(suffix) if suffix in _BITMAPS else 0


def _name(path: Path) -> str:
    """Name of an image; of one in a store, that of the store and the way to it."""
    store = store_of(path)
    return "_".join((plain_stem(store), *path.relative_to(store).parts))
