"""Examples from files, as the command line names them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import label_axes
from napari_unet.card import PALETTE, ClassInfo, Task
from napari_unet.cli.file_matching import check_pixel_sizes, place_labels
from napari_unet.dataset.components import number_regions
from napari_unet.dataset.correction import CorrectedLabels, find_correction
from napari_unet.dataset.example import Example
from napari_unet.dataset.label_axes import arrange_labels
from napari_unet.dataset.label_placement import LabelPlacement
from napari_unet.dataset.label_values import split_unknown
from napari_unet.dataset.labelled_image import open_example
from napari_unet.errors import FileError, Note, SettingsError, note_about
from napari_unet.io import read_image, record_path
from napari_unet.io.cellpose_files import is_pickled
from napari_unet.io.example_files import FilePair, find_pairs
from napari_unet.io.folders import mask_files
from napari_unet.io.label_files import LabelFile, read_labels
from napari_unet.io.naming import LABEL_ONLY
from napari_unet.io.record import find_record

COPYING = 60.0  # seconds that files may lie apart which were written or copied together
ATTRIBUTES = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")  # of zarr, 3 and 2


@dataclass(frozen=True)
class TrainingFiles:
    """Files to learn from, or to validate on.

    Attributes
    ----------
    pairs : list of FilePair
        Images and their labels.
    masks : list of Path, or None
        Where the labels of each can be trusted.
    recognised : list of str
        How the pairs of each two folders were recognised, in words.
    notes : list of Note
        Which files were left out.
    """

    pairs: list[FilePair]
    masks: list[Path] | None
    recognised: list[str]
    notes: list[Note]

    @property
    def images(self) -> list[Path]:
        """The image of each pair, of several channels the first."""
        return [pair.images[0] for pair in self.pairs]

    @property
    def labels(self) -> list[Path]:
        """All label files."""
        return [path for pair in self.pairs for path in pair.labels]


def find_files(pairs: Sequence[tuple[Path, Path]], masks: Path | None) -> TrainingFiles:
    """The files of pairs of folders or of files.

    Raises
    ------
    FileError
        If an image has no labels, or no mask where masks are named.
    """
    found = [find_pairs(images, labels) for images, labels in pairs]
    listed = [pair for each in found for pair in each.pairs]
    regions = None if masks is None else mask_files([pair.images[0] for pair in listed], masks)
    return TrainingFiles(
        listed,
        regions,
        [each.recognised for each in found if each.recognised],
        [note for each in found for note in each.notes],
    )


def read_examples(files: TrainingFiles, options: Namespace, task: Task) -> list[Example]:
    """Examples with the axes, channels, pixel size, region and background of the options.

    What is told of a label file is added to the notes of ``files``.
    """
    if options.components and task != "instance":
        raise SettingsError(f"--components makes objects, but the task is {task!r}", "leave it out")
    examples = []
    for i, pair in enumerate(files.pairs):
        example, notes, place = _read_pair(
            pair.images,
            pair.labels,
            task=task,
            axes=options.axes,
            channels=options.channels,
            pixel_size=options.pixel_size,
            scene=options.scene,
        )
        files.notes.extend(notes)
        mask = None if files.masks is None else _read_mask(files.masks[i], example.labels)
        names = options.region or (() if mask is not None else ("all",))
        parts = (*names, *(() if mask is None else (mask,)))
        if options.negative_unknown and task != "regression":
            labels, known = split_unknown(example.labels)
            parts = known_parts(names, mask, labels, known)
            example = replace(example, labels=labels)
        if options.components:
            axes = None if example.axes is None else label_axes(example.axes)
            labels = number_regions(example.labels, axes, background=options.background)
            example = replace(example, labels=labels)
        region = parts[0] if len(parts) == 1 else parts
        example = replace(example, region=region, background=options.background)
        examples.append(_place(example, place))
    return examples


def read_example(
    images: Path | Sequence[Path],
    labels: Path | Sequence[Path],
    *,
    task: Task = "instance",
    axes: str | None = None,
    channels: Sequence[int] | None = None,
    pixel_size: float | Sequence[float | None] | None = None,
    scene: int | str | None = None,
) -> tuple[Example, tuple[Note, ...]]:
    """An example from an image file, or one per channel, and a label file, or one per object.

    ``scene`` is that of the image, and of the labels too where their file holds as many.

    Returns
    -------
    example : Example
        Its labels have the order of axes of the image, and lie where both files say.
    notes : tuple of Note
        What is to be told of the files.
    """
    example, notes, place = _read_pair(
        images,
        labels,
        task=task,
        axes=axes,
        channels=channels,
        pixel_size=pixel_size,
        scene=scene,
    )
    return _place(example, place), notes


def _place(example: Example, place: LabelPlacement | None) -> Example:
    """An example whose labels lie on a part of the image."""
    if place is None:
        return example
    region = place.place_region(example.region, example.labels)
    return replace(example, labels=place.place(example.labels), region=region)


def _read_pair(
    images: Path | Sequence[Path],
    labels: Path | Sequence[Path],
    *,
    task: Task,
    axes: str | None,
    channels: Sequence[int] | None,
    pixel_size: float | Sequence[float | None] | None,
    scene: int | str | None,
) -> tuple[Example, tuple[Note, ...], LabelPlacement | None]:
    """An example, what is to be told of its files, and where the labels lie."""
    pictures = [read_image(path, scene=scene) for path in _listed(images)]
    file = pictures[0]
    if task == "regression":
        target = read_image(_listed(labels)[0])
        labelled = LabelFile(target.array, target.axes, target.notes)
    else:
        classes = task == "semantic"
        labelled = read_labels(_listed(labels), like=file, axes=axes, classes=classes)
    used = axes or file.axes
    array = labelled.array
    if used is not None and len(used) == len(file.array.shape):
        # files that name an axis wrongly do so both: the image's axes then count for both
        alike = file.axes is not None and labelled.axes == label_axes(file.axes)
        if not alike:
            sizes = dict(zip(used, file.array.shape, strict=True))
            array = arrange_labels(array, labelled.axes, used, sizes)
    files, place = _listed(labels), None
    if pixel_size is None:
        for path in files:
            check_pixel_sizes(file, used, path)
    if task != "regression" and len(files) == 1:
        place = place_labels(file, used, files[0], array)
        known = find_correction(array, files[0]) if array is labelled.array else None
        array = array if known is None else CorrectedLabels(array, known)
    example = Example(
        file.array if len(pictures) == 1 else [each.array for each in pictures],
        array,
        axes=used,
        channels=channels,
        pixel_size=file.pixel_size_along(used) if pixel_size is None else pixel_size,
    )
    told = [note_about(each.path, note) for each in pictures for note in each.notes]
    return example, (*told, *labelled.notes), place


def _listed(paths: Path | Sequence[Path]) -> Sequence[Path]:
    return [paths] if isinstance(paths, Path) else paths


def known_parts(
    names: Sequence[str], mask: Any, labels: NDArray[Any], known: NDArray[np.bool_]
) -> tuple[Any, ...]:
    """The region of an example of which some pixels are unknown.

    Parameters
    ----------
    names : sequence of str
        Those of "all", "planes" and "painted" that were chosen.
    mask : array-like or None
        A further region.
    labels : array
        0 where they are unknown; Y and X come last.
    known : bool array
        Where they are known.
    """
    inside = np.zeros(known.shape, bool)
    if "all" in names:
        inside |= known
    if "planes" in names:
        inside |= known & labels.any(axis=(-2, -1), keepdims=True)
    if mask is not None:
        inside |= known & (np.asarray(mask) != 0)
    painted = tuple(name for name in names if name == "painted")
    return (inside, *painted) if mask is not None or set(names) - {"painted"} else painted


def _read_mask(path: Path, labels: Any) -> Any:
    """A mask; one with fewer axes than the labels counts for all their planes."""
    mask = read_image(path, as_labels=True).array
    missing = len(labels.shape) - len(mask.shape)
    return np.asarray(mask)[(None,) * missing] if missing > 0 else mask


def refuse_predictions(labels: Sequence[Path]) -> None:
    """Refuse labels that a model made and nobody changed since.

    Their run record stands beside their file, or in the attributes of their zarr array, and
    is as old as they are.

    Raises
    ------
    FileError
        If there are such labels, or labels cannot be opened.
    """
    for path in labels:
        if path.suffix.lower() in LABEL_ONLY or (path.suffix == ".npy" and is_pickled(path)):
            continue  # no file of ours
        file = read_image(path, eager_bytes=0, as_labels=True)
        record = find_record(file.array) or find_record(file)  # a bitmap does not know its file
        if record is None or _changed_since(path):
            continue
        model = record.get("model")
        name = model.get("name") if isinstance(model, Mapping) else None
        maker = f"the model {name!r}" if name else "a model"
        beside = record_path(path)
        place = "the record in their attributes" if path.is_dir() else f"{beside.name} beside them"
        raise FileError(
            f"The labels {path} are a result of {maker}, as {place} says, and a model cannot "
            "learn from uncorrected results",
            "correct them and save them again; where that is done, remove that record, or give "
            "--no-checks",
        )


def _changed_since(path: Path) -> bool:
    """Whether labels are newer than the record of the run that made them.

    Of a zarr array, pixels and attributes are different files.
    """
    try:
        if not path.is_dir():
            return path.stat().st_mtime > record_path(path).stat().st_mtime + COPYING
        files = [file for file in path.rglob("*") if file.is_file()]
        made = max(file.stat().st_mtime for file in files if file.name in ATTRIBUTES)
        return any(file.stat().st_mtime > made + COPYING for file in files)
    except (OSError, ValueError):
        return False  # a record that went away meanwhile


def name_classes(
    named: Sequence[tuple[int, str]], examples: Sequence[Example]
) -> tuple[ClassInfo, ...]:
    """Classes of a semantic model; 0, where it occurs and has no name, is the background.

    Raises
    ------
    SettingsError
        If a value is named twice.
    """
    table = dict(named)
    if len(table) < len(named):
        raise SettingsError("--class names a value twice", "name each once")
    if 0 not in table and _knows_zero(examples, list(table)):
        table[0] = "background"
    return tuple(
        ClassInfo(value=value, name=table[value], colour=PALETTE[i % len(PALETTE)])
        for i, value in enumerate(sorted(table))
    )


def _knows_zero(examples: Sequence[Example], named: Sequence[int]) -> bool:
    """Whether a pixel is known to be 0; of most images the first part tells."""
    for example in examples:
        opened = open_example(example, ndim=2, in_channels=None, task="semantic", named=named)
        for time in opened.times:
            for part in opened.slabs():
                labels, known = opened.read_labels(time, part)
                if bool(((labels[0] == 0) & known).any()):
                    return True
    return False
