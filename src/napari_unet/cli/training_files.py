"""Examples from files, as the command line names them."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.batch import read_example
from napari_unet.card import ClassInfo
from napari_unet.errors import FileError, SettingsError
from napari_unet.examples import Example
from napari_unet.folders import example_files, mask_files
from napari_unet.io import read_image, record_path
from napari_unet.labelled_image import open_example
from napari_unet.learning_goal import PALETTE

COPYING = 60.0  # seconds that files may lie apart which were written or copied together


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


def _read_mask(path: Path, labels: Any) -> Any:
    """A mask; one with fewer axes than the labels counts for all their planes."""
    mask = read_image(path).array
    missing = len(labels.shape) - len(mask.shape)
    return np.asarray(mask)[(None,) * missing] if missing > 0 else mask


def refuse_predictions(labels: Sequence[Path]) -> None:
    """Refuse labels that a model made and nobody changed since.

    Their run record stands beside them, and is as old as they are.

    Raises
    ------
    FileError
        If there are such labels.
    """
    for path in labels:
        beside = record_path(path)
        try:
            made = beside.stat().st_mtime
            record = json.loads(beside.read_bytes())
            operation, model = record["operation"], record["model"]["name"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # no record, or one of something else
        if operation in ("segment", "predict") and path.stat().st_mtime <= made + COPYING:
            raise FileError(
                f"The labels {path} are a result of the model {model!r}, as {beside.name} beside "
                "them says, and a model cannot learn from uncorrected results: correct them and "
                "save them again; where that is done, remove that record, or give --no-checks."
            )


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
        raise SettingsError("--class names a value twice; name each once.")
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
