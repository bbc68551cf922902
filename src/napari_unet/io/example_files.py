"""Images and their labels on a disk: what `napari_unet.io.pairing` finds among the names there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_unet.errors import FileError, Note
from napari_unet.io import READ_SUFFIXES
from napari_unet.io.folders import find_images, is_folder, list_folder
from napari_unet.io.listing import leave_out_previews
from napari_unet.io.naming import (
    LABEL_FOLDERS,
    LABEL_ONLY,
    is_tracking_folder,
    list_names,
    sequence_of,
)
from napari_unet.io.pairing import KNOWN, Pairing, describe_patterns, pair_files

LABEL_SUFFIXES = (*READ_SUFFIXES, *LABEL_ONLY)
DEEPEST_FOLDER = 3  # levels below the folder that was named, as of 01_GT/SEG in a data set


@dataclass(frozen=True)
class FilePair:
    """Files of an example.

    Attributes
    ----------
    images : tuple of Path
        One, or one per channel.
    labels : tuple of Path
        One, or one per object.
    """

    images: tuple[Path, ...]
    labels: tuple[Path, ...]


@dataclass(frozen=True)
class FoundPairs:
    """Pairs, and what is to be told of them.

    Attributes
    ----------
    pairs : list of FilePair
        At least one.
    recognised : str
        How they were recognised, in words; empty where both files were named.
    notes : tuple of Note
        Which files were left out.
    """

    pairs: list[FilePair]
    recognised: str = ""
    notes: tuple[Note, ...] = ()


def find_pairs(images: Path, labels: Path) -> FoundPairs:
    """Pairs of image and label file: of two files, of two folders, or of one folder named twice.

    Raises
    ------
    FileError
        If no image has labels, names do not decide, or only one of the two is a folder.
    """
    for path in (images, labels):
        if not path.exists():
            raise FileError(f"{path} does not exist", "check the name and the folder")
    if is_folder(images) != is_folder(labels):
        raise FileError(
            f"Of {images} and {labels} one is a folder and the other a file",
            "give two folders, or two files",
        )
    if not is_folder(images):
        return FoundPairs([FilePair((images,), (labels,))])
    _refuse_other_sequence(images.resolve(), labels.resolve())
    one_folder = images.resolve() == labels.resolve()
    pictures, previews = _without_previews(images, labels=one_folder)
    if not pictures:
        find_images([images])  # raises an error that says why
    found = pair_files(pictures, None if one_folder else list_names_below(labels, labels=True))
    _refuse_ambiguous(found, images, labels)
    if not found.pairs:
        raise _no_pairs(found, images, labels)
    pairs = [
        FilePair(
            tuple(images / name for name in pair.images),
            tuple(labels / name for name in pair.labels),
        )
        for pair in found.pairs
    ]
    notes = (*_notes(found, images, labels), *previews)
    return FoundPairs(pairs, describe_patterns(found.pairs), notes)


def _refuse_other_sequence(images: Path, labels: Path) -> None:
    """Refuse folders of the Cell Tracking Challenge that do not belong together.

    Their files have the same names in each sequence.
    """
    number, _ = sequence_of(images)
    of_labels, kind = sequence_of(labels)
    if kind in ("RES", "ERR_SEG"):
        raise FileError(
            f"{labels} is named as the Cell Tracking Challenge names the results of a program, "
            "which are no truth to learn from",
            f"give {of_labels}_GT or {of_labels}_ST; rename the folder if its labels are correct",
        )
    if number and kind and number != of_labels and images.parent in labels.parents:
        raise FileError(
            f"{labels} has the labels of sequence {of_labels} of a Cell Tracking Challenge, but "
            f"{images} the images of sequence {number}",
            f"give {number}_{kind} with {number}, or rename the folders if that is meant",
        )


def _without_previews(folder: Path, *, labels: bool) -> tuple[list[str], list[Note]]:
    found = [folder / name for name in list_names_below(folder, labels=labels)]
    regions = [path for path in found if path.suffix.lower() in LABEL_ONLY]
    kept, notes = leave_out_previews([path for path in found if path not in regions])
    kept += regions
    return [path.relative_to(folder).as_posix() for path in kept], list(notes.values())


def list_names_below(folder: Path, *, labels: bool) -> Iterator[str]:
    """Paths of files below a folder that may be images, or ``labels``; hidden ones left out.

    Where images lie in the folder itself, only folders of labels are looked into.
    """
    suffixes = LABEL_SUFFIXES if labels else READ_SUFFIXES
    files, folders = _look_into(folder, suffixes)
    yield from (path.name for path in files)
    if any(path.suffix.lower() not in LABEL_ONLY for path in files):
        folders = [
            path
            for path in folders
            if labels and (path.name.lower() in LABEL_FOLDERS or is_tracking_folder(path.name))
        ]
    for level in range(DEEPEST_FOLDER):
        below = []
        for each in folders:
            files, more = _look_into(each, suffixes)
            yield from (path.relative_to(folder).as_posix() for path in files)
            below += more
        folders = below if level + 1 < DEEPEST_FOLDER else []


def _look_into(folder: Path, suffixes: tuple[str, ...]) -> tuple[list[Path], list[Path]]:
    paths = [path for path in list_folder(folder) if not path.name.startswith(".")]
    files = [path for path in paths if not is_folder(path) and path.suffix.lower() in suffixes]
    return files, [path for path in paths if is_folder(path)]


def _refuse_ambiguous(found: Pairing, images: Path, labels: Path) -> None:
    for several, folder, what, same in (
        (found.ambiguous_labels, labels, "label files", "image"),
        (found.ambiguous, images, "images", "labels"),
    ):
        if several:
            raise FileError(
                f"The {what} {list_names(several[0])} in {folder} belong to the same {same} by "
                "their names",
                "move all but one of them away, or name the files",
            )


def _no_pairs(found: Pairing, images: Path, labels: Path) -> FileError:
    seen = [
        f"the {what} {list_names(names)}" if names else f"no {what}"
        for what, names in (("images", found.images), ("label files", found.labels))
    ]
    place = f"in {images}" if images == labels else f"in {images} and {labels}"
    around = next((p for p in (images, labels) if p in (images.parent, labels.parent)), None)
    remedy = f"known are: {KNOWN}"
    if around is not None and any(is_tracking_folder(path.name) for path in list_folder(around)):
        remedy = f"give {around} twice for all its sequences, or 01 and 01_GT for one; {remedy}"
    return FileError(
        f"No image has labels by its name {place}: seen were {' and '.join(seen)}", remedy
    )


def _notes(found: Pairing, images: Path, labels: Path) -> Iterator[Note]:
    if found.images:
        count = len(found.images)
        verb = "image has" if count == 1 else "images have"
        yield Note(
            "images-left-out",
            f"{count} {verb} no labels in {labels}, and {_be(count)} left out: "
            f"{list_names(found.images)}",
            f"known are: {KNOWN}",
        )
    if found.labels:
        count = len(found.labels)
        verb = "file belongs" if count == 1 else "files belong"
        yield Note(
            "labels-left-out",
            f"{count} {verb} to no image in {images}, and {_be(count)} left out: "
            f"{list_names(found.labels)}",
            "" if found.images else f"known are: {KNOWN}",
        )
    if any("man_track" in pair.pattern for pair in found.pairs):
        yield Note(
            "labels-are-markers",
            "The labels are man_track files, which in many data sets mark objects without their "
            "outlines",
            "take man_seg files to learn outlines",
        )
    if found.passed_over:
        count = len(found.passed_over)
        other, taken = found.passed_over[0]
        more = "" if count == 1 else f", and so for {count - 1} more"
        yield Note(
            "labels-passed-over",
            f"An image has several label files: {taken} was taken and {other} left out{more}",
            "move the first away if the other is meant",
        )


def _be(count: int) -> str:
    return "is" if count == 1 else "are"
