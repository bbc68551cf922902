"""Examples on disk: labels and masks always, images where they are in memory and small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.dataset.correction import CorrectedLabels, Correction, find_correction
from napari_unet.dataset.example import Example
from napari_unet.errors import FileError, InputError
from napari_unet.recovery.arrays import read_array, size_bytes, write_array

IMAGES_BYTES = 1 << 30  # of images that are stored with a training


@dataclass(eq=False)
class StoredImages:
    """Images in the folder of a training, each stored once.

    Attributes
    ----------
    folder : Path
        Of the training.
    arrays : dict
        Those that were written or read, by the name of their folder.
    """

    folder: Path
    arrays: dict[str, Any] = field(default_factory=dict)

    def write(self, array: Any) -> str | None:
        """Store an image and give its name; None for one that is large or not in memory."""
        for name, known in self.arrays.items():
            if known is array:
                return name
        used = sum(size_bytes(known) for known in self.arrays.values())
        in_memory = isinstance(array, np.ndarray) and not isinstance(array, np.memmap)
        if not in_memory or used + size_bytes(array) > IMAGES_BYTES:
            return None
        name = f"image-{len(self.arrays)}"
        write_array(self.folder / name, array)
        self.arrays[name] = array
        return name

    def read(self, name: str) -> Any:
        """A stored image; raises `FileError` if it is damaged."""
        if name not in self.arrays:
            self.arrays[name] = read_array(self.folder / name)
        return self.arrays[name]


def write_examples(
    examples: Sequence[Example],
    lines: Sequence[Mapping[str, Any]],
    images: StoredImages,
    name: str,
) -> list[dict[str, Any]]:
    """Write examples into the folder of a training.

    Parameters
    ----------
    examples : sequence of Example
        What to store.
    lines : sequence of mapping
        What the form says of each: "image", its name, "image_file", where it was read from,
        and "label_store", the folder with the labels of the layer.
    images : StoredImages
        In the same folder.
    name : str
        That their folders begin with.

    Returns
    -------
    list of dict
        JSON values for `read_examples`.
    """
    found = []
    for number, example in enumerate(examples):
        line = lines[number] if number < len(lines) else {}
        start, same = f"{name}-{number}", line.get("label_store")
        correction = find_correction(example.labels)
        write_array(images.folder / f"{start}-labels", example.labels, same and Path(same))
        found.append(
            {
                "image": _write_image(example.image, line, number, images),
                "labels": f"{start}-labels",
                "region": _write_region(example.region, images.folder, start),
                "background": _plain(example.background),
                "axes": example.axes,
                "channels": _plain(example.channels),
                "pixel_size": _plain(example.pixel_size),
                "correction": None if correction is None else correction.as_json(),
            }
        )
    return found


def read_examples(
    stored: Sequence[Mapping[str, Any]], images: StoredImages, given: Mapping[str, Any]
) -> list[Example]:
    """The examples that `write_examples` wrote.

    Parameters
    ----------
    stored : sequence of mapping
        What it returned.
    images : StoredImages
        In the folder of the training.
    given : mapping of str to array-like
        Images by name, for those that were not stored; lists where they have an array for
        each channel.

    Raises
    ------
    InputError
        If an image is missing, or differs from what it was.
    FileError
        If anything is damaged.
    """
    try:
        return [
            Example(
                image=_read_image(each["image"], images, given),
                labels=_read_labels(each, images.folder),
                region=_read_region(each["region"], images.folder),
                background=each["background"],
                axes=each["axes"],
                channels=each["channels"],
                pixel_size=each["pixel_size"],
            )
            for each in stored
        ]
    except (KeyError, TypeError, ValueError, IndexError):
        raise FileError(f"the examples kept in {images.folder} are damaged", "begin anew") from None


def _read_labels(stored: Mapping[str, Any], folder: Path) -> Any:
    labels, known = read_array(folder / stored["labels"]), stored.get("correction")
    return labels if known is None else CorrectedLabels(labels, Correction.from_json(known))


def missing_images(stored: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of images that were not stored and are in no known file."""
    parts = [part for each in stored for part in each["image"]["parts"]]
    lost = [
        p for p in parts if p["stored"] is None and not (p["file"] and Path(p["file"]).exists())
    ]
    return list(dict.fromkeys(part["name"] for part in lost))


def _write_image(
    image: Any, line: Mapping[str, Any], number: int, images: StoredImages
) -> dict[str, Any]:
    several = isinstance(image, list | tuple)
    parts = [
        {
            "name": str(line.get("image") or f"image {number + 1}"),
            "channel": channel if several else None,
            "shape": [int(n) for n in array.shape],
            "dtype": np.dtype(array.dtype).str,
            "stored": images.write(array),
            "file": (not several and line.get("image_file")) or _file_of(array),
        }
        for channel, array in enumerate(image if several else [image])
    ]
    return {"several": several, "parts": parts}


def _file_of(array: Any) -> str | None:
    """Where an array on disk lies, as far as it says."""
    if isinstance(array, np.memmap) and array.filename is not None and array.offset == 0:
        path = Path(str(array.filename))
        return str(path) if path.suffix == ".npy" else None
    return None


def _read_image(stored: Mapping[str, Any], images: StoredImages, given: Mapping[str, Any]) -> Any:
    parts = [
        images.read(part["stored"]) if part["stored"] is not None else _find_image(part, given)
        for part in stored["parts"]
    ]
    return parts if stored["several"] else parts[0]


def _find_image(part: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """An image that was not stored: given, or in its file."""
    name, shape, dtype = part["name"], tuple(part["shape"]), np.dtype(part["dtype"])
    array = given.get(name)
    if isinstance(array, list | tuple):
        array = array[part["channel"] or 0]
    if array is None and part["file"] and Path(part["file"]).exists():
        from napari_unet.io import read_image

        # as the viewer's own reader gives it: the first image, its numbers as they are stored
        array = read_image(part["file"], scene=0, as_labels=True).array
    if array is None:
        where = f" ({part['file']})" if part["file"] else ""
        raise InputError(
            f"the image ‘{name}’{where} of shape {shape} is needed to go on",
            "open it under that name, and resume then",
        )
    found = tuple(int(n) for n in array.shape)
    if found != shape or np.dtype(array.dtype) != dtype:
        raise InputError(
            f"the image ‘{name}’ has shape {found} ({array.dtype}), but training began with "
            f"{shape} ({dtype})",
            "open that one under its name",
        )
    return array


def _write_region(region: Any, folder: Path, start: str) -> Any:
    """Names as they are, masks as arrays of their own."""
    if isinstance(region, tuple | list):
        return [
            _write_region(part, folder, f"{start}-{number}") for number, part in enumerate(region)
        ]
    if isinstance(region, str):
        return region
    write_array(folder / f"{start}-mask", region)
    return {"mask": f"{start}-mask"}


def _read_region(stored: Any, folder: Path) -> Any:
    if isinstance(stored, list):
        return tuple(_read_region(part, folder) for part in stored)
    return stored if isinstance(stored, str) else read_array(folder / stored["mask"])


def _plain(value: Any) -> Any:
    """Numbers of NumPy as those of Python."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
