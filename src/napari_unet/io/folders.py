"""Folders: the images in them, masks by their names, whether they can be written to."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_unet.errors import FileError, Note
from napari_unet.io import READ_SUFFIXES
from napari_unet.io.bioio_files import BIOIO_SUFFIXES
from napari_unet.io.listing import (
    FoundImage,
    leave_out_previews,
    open_up,
    with_distinct_names,
)
from napari_unet.io.naming import list_names, plain_stem
from napari_unet.io.pairing import find_companions
from napari_unet.io.zarr_members import is_inside_zarr, is_zarr

RESULT_ENDINGS = ("_labels", "_scores")


@dataclass(frozen=True)
class FoundImages:
    """Image files, and what is to be told of others.

    Attributes
    ----------
    images : list of FoundImage
        Each once.
    notes : tuple of Note
        Which files of the folders were left out, and why.
    """

    images: list[FoundImage]
    notes: tuple[Note, ...] = ()

    @property
    def files(self) -> list[Path]:
        """The files of the images."""
        return [image.path for image in self.images]


def find_images(paths: Sequence[str | Path]) -> FoundImages:
    """Files named, and the images in folders named.

    Of a folder, earlier results are left out, what its name says to be labels of an image
    beside it, or made of it, such as ``a_masks.tif`` beside ``a.tif``, and pictures that are
    previews of a file of their name. A plate, a well, or another Zarr store that lists its images
    stands for all of them.

    Raises
    ------
    FileError
        If there are none, or a folder cannot be looked into.
    """
    found: list[FoundImage] = []
    notes: list[Note] = []
    for path in map(Path, paths):
        if is_folder(path):
            inside = _images_in(path)
            beside = find_companions(p.name for p in inside)
            results = [p.name for p in inside if plain_stem(p).endswith(RESULT_ENDINGS)]
            files = [p for p in inside if p.name not in {*beside, *results}]
            if not files:
                raise FileError(
                    f"The folder {path} has no images",
                    f"these are read: {', '.join(sorted(READ_SUFFIXES))}",
                )
            kept, previews = leave_out_previews(files)
            images = [
                replace(image, notes=(previews[file],)) if file in previews else image
                for file in kept
                for image in open_up(file)
            ]
            found += with_distinct_names(images)
            notes += _companion_notes(path, sorted({*beside, *results}))
        else:
            found += open_up(path)
    if not found:
        raise FileError("No image files were named", "give files or folders")
    once: dict[Path, FoundImage] = {}
    for image in found:  # a file that is named and lies in a folder too is one image
        once.setdefault(image.path, image)
    return FoundImages(list(once.values()), tuple(notes))


def _companion_notes(folder: Path, names: Sequence[str]) -> Iterator[Note]:
    if names:
        what = "1 file is" if len(names) == 1 else f"{len(names)} files are"
        yield Note(
            "labels-left-out",
            f"In {folder} {what} labels or results of images by name, and left out: "
            f"{list_names(names)}",
            "name the files to have them all",
        )


def mask_files(images: Sequence[Path], masks: Path) -> list[Path]:
    """The mask of each image: a file of a folder by its name, or the one file.

    The mask of ``a.tif`` has the same stem (``a.png``) or is called ``a_mask``.

    Raises
    ------
    FileError
        If an image has none, or two images would share one.
    """
    if not masks.exists():
        raise FileError(f"{masks} does not exist", "check the name and the folder")
    if not is_folder(masks):
        if len(images) > 1:
            raise FileError(
                f"{masks} is one mask for {len(images)} images",
                "give a folder with a mask for each, by the names of the images",
            )
        return [masks]
    table = {plain_stem(path): path for path in _images_in(masks)}
    found: list[Path] = []
    for image in images:
        stem = plain_stem(image)
        mask = table.get(stem) or table.get(f"{stem}_mask")
        if mask is None:
            raise FileError(
                f"{image} has no mask in {masks}",
                "give a file of the same name there, all 0 where nothing is to be added",
            )
        if mask in found:
            raise FileError(
                f"The mask {mask} would serve two images of the same name",
                f"rename one of them, such as {image}",
            )
        found.append(mask)
    return found


def check_writable(folder: Path) -> None:
    """Check that files can be written to a folder that exists or is to be made.

    It leaves nothing behind. A run that takes hours must not find out at its end.

    Raises
    ------
    FileError
        If they cannot.
    """
    place = folder.absolute()
    try:
        while not place.exists() and place != place.parent:
            place = place.parent
        if not place.is_dir():
            raise FileError(
                f"The output folder {folder} cannot be made because {place} is a file",
                "choose another folder",
            )
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise FileError(
            f"The output folder {folder} cannot be written to ({error.strerror})",
            "choose another folder, or change its permissions",
        ) from None


def is_folder(path: Path) -> bool:
    """Whether it is a folder of images, which a Zarr image and what lies in one are not."""
    return path.is_dir() and path.suffix.lower() != ".zarr" and not is_inside_zarr(path)


def list_folder(folder: Path) -> list[Path]:
    """What is in a folder, by name.

    Raises
    ------
    FileError
        If it cannot be looked into.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise FileError(
            f"The folder {folder} cannot be looked into ({error.strerror})",
            "change its permissions, or name the files",
        ) from None


def _images_in(folder: Path) -> list[Path]:
    """The images in a folder by name, earlier results and all; hidden files left out."""
    readable = (*READ_SUFFIXES, *BIOIO_SUFFIXES)
    return [
        path
        for path in list_folder(folder)
        if not path.name.startswith(".")
        and (is_zarr(path) or (path.suffix.lower() in readable and not is_folder(path)))
    ]
