"""Folders: the images in them, pairs of image and labels, whether they can be written to."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from napari_unet.errors import FileError
from napari_unet.io import READ_SUFFIXES

RESULT_ENDINGS = ("_labels", "_scores")


def find_images(paths: Sequence[str | Path]) -> list[Path]:
    """Files named, and the images in folders named, without earlier results; each once.

    Raises
    ------
    FileError
        If there are none, or a folder cannot be looked into.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if _is_folder(path):
            inside = [p for p in _images_in(path) if not plain_stem(p).endswith(RESULT_ENDINGS)]
            if not inside:
                raise FileError(
                    f"The folder {path} has no images",
                    f"these are read: {', '.join(sorted(READ_SUFFIXES))}",
                )
            found += inside
        else:
            found.append(path)
    if not found:
        raise FileError("No image files were named", "give files or folders")
    return list(dict.fromkeys(found))


def example_files(images: Path, labels: Path) -> list[tuple[Path, Path]]:
    """Pairs of image and label file: two files, or two folders.

    In folders, the labels of ``a.tif`` have the same stem (``a.png``) or are named as the
    results of a segmentation are (``a_labels.tif``); the folders may be the same one.

    Raises
    ------
    FileError
        If an image has no labels, or only one of the two is a folder.
    """
    for path in (images, labels):
        if not path.exists():
            raise FileError(f"{path} does not exist", "check the name and the folder")
    if _is_folder(images) != _is_folder(labels):
        raise FileError(
            f"Of {images} and {labels} one is a folder and the other a file",
            "give two folders, or two files",
        )
    if not _is_folder(images):
        return [(images, labels)]
    table = {plain_stem(path): path for path in _images_in(labels)}
    pairs = []
    for path in find_images([images]):
        stem = plain_stem(path)
        partner = table.get(stem)
        if partner is None or partner.resolve() == path.resolve():
            partner = table.get(f"{stem}_labels")
        if partner is None:
            raise FileError(
                f"{path} has no labels in {labels}",
                "give a file of the same name there, or move the image away",
            )
        pairs.append((path, partner))
    return pairs


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
    if not _is_folder(masks):
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


def plain_stem(path: Path) -> str:
    """File name without its ending, ``.ome.tif`` being one.

    >>> plain_stem(Path("a/cells.ome.tif"))
    'cells'
    """
    return path.stem.removesuffix(".ome").removesuffix(".OME")


def _is_folder(path: Path) -> bool:
    """Whether it is a folder of images, which a Zarr image is not."""
    return path.is_dir() and path.suffix.lower() != ".zarr"


def _images_in(folder: Path) -> list[Path]:
    """The images in a folder by name, earlier results and all; hidden files left out."""
    try:
        names = sorted(folder.iterdir())
    except OSError as error:
        raise FileError(
            f"The folder {folder} cannot be looked into ({error.strerror})",
            "change its permissions, or name the files",
        ) from None
    return [
        path
        for path in names
        if path.suffix.lower() in READ_SUFFIXES
        and not path.name.startswith(".")
        and not _is_folder(path)
    ]
