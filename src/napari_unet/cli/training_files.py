"""Examples from files, as the command line names them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.axes import label_axes
from napari_unet.card import PALETTE, ClassInfo
from napari_unet.dataset.example import Example
from napari_unet.dataset.label_axes import arrange_labels
from napari_unet.dataset.labelled_image import open_example
from napari_unet.errors import FileError, SettingsError
from napari_unet.io import read_image, record_path
from napari_unet.io.folders import example_files, mask_files
from napari_unet.io.record import find_record

COPYING = 60.0  # seconds that files may lie apart which were written or copied together
ATTRIBUTES = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")  # of zarr, 3 and 2


@dataclass(frozen=True)
class TrainingFiles:
    """Files to learn from, or to validate on.

    Attributes
    ----------
    images, labels : list of Path
        Pairs.
    masks : list of Path, or None
        Where the labels of each can be trusted.
    """

    images: list[Path]
    labels: list[Path]
    masks: list[Path] | None


def find_files(pairs: Sequence[tuple[Path, Path]], masks: Path | None) -> TrainingFiles:
    """The files of pairs of folders or of files.

    Raises
    ------
    FileError
        If an image has no labels, or no mask where masks are named.
    """
    found = [pair for images, labels in pairs for pair in example_files(images, labels)]
    images = [image for image, _ in found]
    regions = mask_files(images, masks) if masks is not None else None
    return TrainingFiles(images, [labels for _, labels in found], regions)


def read_examples(files: TrainingFiles, options: Namespace) -> list[Example]:
    """Examples with the axes, channels, pixel size, region and background of the options."""
    names = options.region or (() if files.masks is not None else ("all",))
    examples = []
    for i, (image, labels) in enumerate(zip(files.images, files.labels, strict=True)):
        example = read_example(
            image,
            labels,
            axes=options.axes,
            channels=options.channels,
            pixel_size=options.pixel_size,
        )
        masks = () if files.masks is None else (_read_mask(files.masks[i], example.labels),)
        parts = (*names, *masks)
        region = parts[0] if len(parts) == 1 else parts
        examples.append(replace(example, region=region, background=options.background))
    return examples


def read_example(
    image: Path,
    labels: Path,
    *,
    axes: str | None = None,
    channels: Sequence[int] | None = None,
    pixel_size: float | Sequence[float | None] | None = None,
) -> Example:
    """An example from an image file and a label file."""
    file, labelled = read_image(image), read_image(labels)
    used = axes or file.axes
    array = labelled.array
    if used is not None and len(used) == len(file.array.shape):
        # files that name an axis wrongly do so both: the image's axes then count for both
        alike = file.axes is not None and labelled.axes == label_axes(file.axes)
        if not alike:
            sizes = dict(zip(used, file.array.shape, strict=True))
            array = arrange_labels(array, labelled.axes, used, sizes)
    return Example(
        file.array,
        array,
        axes=used,
        channels=channels,
        pixel_size=file.pixel_size_along(used) if pixel_size is None else pixel_size,
    )


def _read_mask(path: Path, labels: Any) -> Any:
    """A mask; one with fewer axes than the labels counts for all their planes."""
    mask = read_image(path).array
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
        file = read_image(path, eager_bytes=0)
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
