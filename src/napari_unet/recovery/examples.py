"""Examples on disk: labels and regions always, images where they are in memory and small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.dataset.example import Example
from napari_unet.errors import FileError, InputError
from napari_unet.io.atomic import atomic_path
from napari_unet.recovery.sparse_file import read_sparse, sparse_bytes, write_sparse

LARGEST = 1 << 30  # bytes of images that are stored together


@dataclass(eq=False)
class ImageShelf:
    """Images that were stored or found already, so that each is there once.

    Attributes
    ----------
    arrays : dict
        By name in the shelf.
    size : int
        Bytes that are stored.
    """

    arrays: dict[str, Any] = field(default_factory=dict)
    size: int = 0

    def name_of(self, array: Any) -> str | None:
        """What an array is called here."""
        return next((name for name, known in self.arrays.items() if known is array), None)


def write_examples(
    examples: Sequence[Example],
    lines: Sequence[Mapping[str, Any]],
    folder: Path,
    name: str,
    shelf: ImageShelf,
) -> list[dict[str, Any]]:
    """Write examples into a folder.

    Parameters
    ----------
    examples : sequence of Example
        What to keep.
    lines : sequence of mapping
        What is known of each: "image", its name, and "image_file".
    folder : Path
        Where.
    name : str
        That their files begin with.
    shelf : ImageShelf
        Images that lie in the folder already; new ones are entered.

    Returns
    -------
    list of dict
        Plain values for `read_examples`.
    """
    found = []
    for number, example in enumerate(examples):
        line = lines[number] if number < len(lines) else {}
        start = f"{name}-{number}"
        write_sparse(folder / f"{start}-labels.zip", example.labels)
        found.append(
            {
                "image": _write_image(example.image, line, number, folder, shelf),
                "labels": f"{start}-labels.zip",
                "region": _write_region(example.region, folder, start),
                "background": _plain(example.background),
                "axes": example.axes,
                "channels": _plain(example.channels),
                "pixel_size": _plain(example.pixel_size),
            }
        )
    return found


def read_examples(
    stored: Sequence[Mapping[str, Any]],
    folder: Path,
    images: Mapping[str, Any],
    shelf: ImageShelf,
) -> list[Example]:
    """The examples that `write_examples` wrote.

    Parameters
    ----------
    stored : sequence of mapping
        What it returned.
    folder : Path
        Where they lie.
    images : mapping of str to array-like
        Images by name, for those that were not stored; lists where they have an array for
        each channel.
    shelf : ImageShelf
        Images that were read already; new ones are entered.

    Raises
    ------
    InputError
        If an image is missing, or differs from what it was.
    FileError
        If a file is damaged.
    """
    try:
        return [
            Example(
                image=_read_image(each["image"], folder, images, shelf),
                labels=read_sparse(folder / each["labels"]),
                region=_read_region(each["region"], folder),
                background=each["background"],
                axes=each["axes"],
                channels=each["channels"],
                pixel_size=each["pixel_size"],
            )
            for each in stored
        ]
    except (KeyError, TypeError, IndexError):
        raise FileError(f"The examples kept in {folder} are damaged; begin anew.") from None


def _write_image(
    image: Any, line: Mapping[str, Any], number: int, folder: Path, shelf: ImageShelf
) -> dict[str, Any]:
    several = isinstance(image, list | tuple)
    name = str(line.get("image") or f"image {number + 1}")
    file = None if several else line.get("image_file")
    parts = []
    for channel, array in enumerate(image if several else [image]):
        stored = shelf.name_of(array)
        if stored is None and _fits(array, shelf):
            stored = f"image-{len(shelf.arrays)}.npy"
            with atomic_path(folder / stored) as part, part.open("wb") as out:
                np.save(out, array, allow_pickle=False)
            shelf.arrays[stored] = array
            shelf.size += sparse_bytes(array)
        parts.append(
            {
                "name": name,
                "channel": channel if several else None,
                "shape": [int(n) for n in array.shape],
                "dtype": np.dtype(array.dtype).str,
                "stored": stored,
                "file": file or _file_of(array),
            }
        )
    return {"several": several, "parts": parts}


def _fits(array: Any, shelf: ImageShelf) -> bool:
    in_memory = isinstance(array, np.ndarray) and not isinstance(array, np.memmap)
    return in_memory and shelf.size + sparse_bytes(array) <= LARGEST


def _file_of(array: Any) -> str | None:
    """Where an array on disk lies, as far as it says."""
    if isinstance(array, np.memmap) and array.filename is not None and array.offset == 0:
        path = Path(str(array.filename))
        return str(path) if path.suffix == ".npy" else None
    return None


def _read_image(
    stored: Mapping[str, Any], folder: Path, images: Mapping[str, Any], shelf: ImageShelf
) -> Any:
    parts = [_read_part(part, folder, images, shelf) for part in stored["parts"]]
    return parts if stored["several"] else parts[0]


def _read_part(
    part: Mapping[str, Any], folder: Path, images: Mapping[str, Any], shelf: ImageShelf
) -> Any:
    file = part["stored"]
    if file is not None:
        if file not in shelf.arrays:
            try:
                shelf.arrays[file] = np.load(folder / file, allow_pickle=False)
            except (OSError, ValueError, EOFError):
                raise FileError(f"{folder / file} is damaged or gone; begin anew.") from None
            shelf.size += sparse_bytes(shelf.arrays[file])
        return shelf.arrays[file]
    array = images.get(part["name"])
    if isinstance(array, list | tuple):
        array = array[part["channel"] or 0]
    shape, name = tuple(part["shape"]), part["name"]
    if array is None and part["file"] and Path(part["file"]).exists():
        from napari_unet.io import read_image

        array = read_image(part["file"]).array
    if array is None:
        where = f" ({part['file']})" if part["file"] else ""
        raise InputError(
            f"The image ‘{name}’{where} of shape {shape} is needed to go on; open it under that "
            "name, and resume then."
        )
    found = tuple(int(n) for n in array.shape)
    if found != shape or np.dtype(array.dtype) != np.dtype(part["dtype"]):
        raise InputError(
            f"The image ‘{name}’ has shape {found} ({array.dtype}), but training began with "
            f"{shape} ({np.dtype(part['dtype'])}); open that one under its name."
        )
    return array


def _write_region(region: Any, folder: Path, start: str) -> Any:
    """Names as they are, masks as files."""
    several = isinstance(region, tuple | list)
    parts = []
    for number, part in enumerate(region if several else [region]):
        if isinstance(part, str):
            parts.append({"name": part})
        else:
            write_sparse(folder / f"{start}-mask-{number}.zip", part)
            parts.append({"mask": f"{start}-mask-{number}.zip"})
    return {"several": several, "parts": parts}


def _read_region(stored: Mapping[str, Any], folder: Path) -> Any:
    parts = [
        part["name"] if "name" in part else read_sparse(folder / part["mask"])
        for part in stored["parts"]
    ]
    return tuple(parts) if stored["several"] else parts[0]


def _plain(value: Any) -> Any:
    """Numbers of NumPy as those of Python."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(each) for each in value]
    return value
