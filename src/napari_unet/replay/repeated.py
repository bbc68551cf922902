"""What a repeated run gives, and where it goes."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_unet.errors import FileError
from napari_unet.io import WRITE_SUFFIXES

Job = Generator[Any, Any, "Repeated"]


@dataclass(frozen=True, eq=False)
class Repeated:
    """What a repeated run gives.

    Attributes
    ----------
    value : object
        What the function of the API gives: labels, a Prediction, a Model, a table ...
    message : str
        What is to be told of it.
    output : Path or None
        What was written.
    record : dict or None
        Of this run.
    status : int
        0, or 1 where some of its files failed.
    """

    value: Any
    message: str = ""
    output: Path | None = None
    record: dict[str, Any] | None = None
    status: int = 0


def target_of(output: str | Path | None, name: str) -> Path | None:
    """The file that a run writes: the output, or a file of that name in it if it is a folder."""
    if output is None:
        return None
    path = Path(output)
    if path.is_dir() or not path.suffix:
        return path / name
    return path


def free_path(path: Path) -> Path:
    """A path that nothing stands at: the same, or one with a number.

    >>> free_path(Path("there-is-none_labels.ome.tif")).name
    'there-is-none_labels.ome.tif'
    """
    if not path.exists():
        return path
    ending = next((e for e in WRITE_SUFFIXES if path.name.lower().endswith(e)), path.suffix)
    stem = path.name[: len(path.name) - len(ending)] if ending else path.name
    for number in range(2, 10_000):
        other = path.with_name(f"{stem}-{number}{ending}")
        if not other.exists():
            return other
    raise FileError(f"{path} is there already", "name another output")
