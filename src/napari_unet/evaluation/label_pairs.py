"""Which predicted file belongs to which file of truth, by their names.

A prediction is called after its image: `napari_unet.io.pairing` finds the truth as it finds the
labels of that image for a training.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from napari_unet.errors import FileError, Note
from napari_unet.io.example_files import list_names_below
from napari_unet.io.folders import is_folder
from napari_unet.io.naming import (
    BYPRODUCT_WORDS,
    LABEL_WORDS,
    LABELLED_FRAME,
    FileName,
    list_names,
    strip_words,
)
from napari_unet.io.pairing import KNOWN, describe_patterns, pair_files

VALUE_WORDS = ("scores",)
"""What this program adds to the name of an image for values, which a regression gives."""


@dataclass(frozen=True)
class LabelPair:
    """Files of an image.

    Attributes
    ----------
    name : str
        Of the image, as far as the names tell.
    prediction : Path
        The predicted labels, or values.
    truth : tuple of Path
        The true ones: one file, or one per object.
    """

    name: str
    prediction: Path
    truth: tuple[Path, ...]


@dataclass(frozen=True)
class FoundLabelPairs:
    """Pairs, and what is to be told of them.

    Attributes
    ----------
    pairs : tuple of LabelPair
        At least one, in the order of the names.
    recognised : str
        How they were recognised, in words; empty where both files were named.
    notes : tuple of Note
        Which files were left out.
    """

    pairs: tuple[LabelPair, ...]
    recognised: str = ""
    notes: tuple[Note, ...] = ()


def find_label_pairs(predictions: Path, truth: Path, *, values: bool = False) -> FoundLabelPairs:
    """Pairs of predicted and true labels: of two files, or of two folders.

    Parameters
    ----------
    predictions, truth : Path
        Two files, or two folders.
    values : bool
        Whether they are values of a regression, and no labels.

    Raises
    ------
    FileError
        If one is missing, only one is a folder, no names agree, or names do not decide.
    """
    for path in (predictions, truth):
        if not path.exists():
            raise FileError(f"{path} does not exist", "check the name and the folder")
    if is_folder(predictions) != is_folder(truth):
        raise FileError(
            f"Of {predictions} and {truth} one is a folder and the other a file",
            "give two folders, or two files",
        )
    if not is_folder(predictions):
        return FoundLabelPairs((LabelPair(predictions.name, predictions, (truth,)),))
    named = _name_images(list(list_names_below(predictions, labels=True)), values=values)
    for files in named.values():
        if len(files) > 1:
            raise FileError(
                f"{list_names(files)} in {predictions} are predictions of the same image by their "
                "names",
                "move all but one of them into another folder",
            )
    pairs: list[tuple[str, str, tuple[str, ...]]]
    true_names = list(list_names_below(truth, labels=True))
    if values:  # true values are images
        images = {PurePosixPath(name).with_suffix("").as_posix(): name for name in true_names}
        pairs = [(i, f[0], (images[i],)) for i, f in named.items() if i in images]
        recognised = f"{len(pairs)} by the same name"
        left_true = tuple(sorted({*true_names} - {files[0] for *_, files in pairs}))
    else:
        found = pair_files([f"{image}.tif" for image in named], true_names)
        if found.ambiguous_labels or found.ambiguous:
            several = (found.ambiguous_labels or found.ambiguous)[0]
            place = truth if found.ambiguous_labels else predictions
            raise FileError(
                f"{list_names(several)} in {place} belong to the same image by their names",
                "move all but one of them away, or name the files",
            )
        stems = [(pair.images[0].removesuffix(".tif"), pair.labels) for pair in found.pairs]
        pairs = [(stem, named[stem][0], labels) for stem, labels in stems]
        recognised = describe_patterns(found.pairs)
        left_true = found.labels
    if not pairs:
        raise _no_pairs(predictions, truth, [f for fs in named.values() for f in fs], true_names)
    left = sorted({f for fs in named.values() for f in fs} - {file for _, file, _ in pairs})
    return FoundLabelPairs(
        tuple(
            LabelPair(name, predictions / file, tuple(truth / each for each in labels))
            for name, file, labels in sorted(pairs)
        ),
        recognised,
        (
            *_left_out(left, "prediction has no truth in", "predictions have no truth in", truth),
            *_left_out(
                left_true,
                "file of truth belongs to no prediction in",
                "files of truth belong to no prediction in",
                predictions,
            ),
        ),
    )


def _name_images(names: list[str], *, values: bool) -> dict[str, list[str]]:
    """Predictions by the image that each is called after; by-products and images are left out.

    >>> _name_images(["a_labels.tif", "a_scores.tif", "a.tif", "b.tif"], values=False)
    {'a': ['a_labels.tif'], 'b': ['b.tif']}
    """
    marked: dict[str, list[str]] = defaultdict(list)
    plain: dict[str, list[str]] = defaultdict(list)
    words = VALUE_WORDS if values else LABEL_WORDS
    for name in names:
        file = FileName.of(name)
        frame = LABELLED_FRAME.fullmatch(file.stem)
        keys = [key for key, _ in strip_words(file.stem, words)]
        folder = "".join(f"{part}/" for part in file.case)
        if frame is not None and not values:
            marked[f"{folder}t{frame['key']}"].append(name)
        elif keys:
            marked[folder + keys[0]].append(name)
        elif not any(strip_words(file.stem, LABEL_WORDS if values else BYPRODUCT_WORDS)):
            plain[folder + file.stem].append(name)
    return dict(sorted({**plain, **marked}.items()))


def _no_pairs(predictions: Path, truth: Path, seen: list[str], true: list[str]) -> FileError:
    told = [
        f"{what} {list_names(sorted(names))}" if names else f"no {what}"
        for what, names in (("predictions", seen), ("files of truth", true))
    ]
    return FileError(
        f"No prediction in {predictions} has truth in {truth} by its name: seen were "
        f"{' and '.join(told)}",
        f"name both after the same image; known are: {KNOWN}",
    )


def _left_out(names: list[str] | tuple[str, ...], one: str, many: str, folder: Path) -> list[Note]:
    if not names:
        return []
    count = len(names)
    verb = one if count == 1 else many
    be = "is" if count == 1 else "are"
    text = f"{count} {verb} {folder}, and {be} left out: {list_names(list(names))}"
    return [Note("labels-left-out", text)]
