"""The images of a batch: files, folders, patterns, stores, plates and URLs, each with its place."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

from napari_unet.batch.remote import find_remote, is_url
from napari_unet.errors import FileError, Note
from napari_unet.io.bioio_files import BIOIO_SUFFIXES
from napari_unet.io.folders import find_images, is_folder
from napari_unet.io.listing import FoundImage
from napari_unet.io.naming import plain_stem
from napari_unet.io.reading import READ_SUFFIXES, count_scenes
from napari_unet.io.record import is_result
from napari_unet.io.zarr_members import is_zarr, store_of

ALL_SCENES = "all"


@dataclass(frozen=True)
class Task:
    """One image to run.

    Attributes
    ----------
    source : Path or str
        The file or folder; a text for a URL.
    title : str
        Its name for people.
    name : str
        What its results are called, without kind and ending.
    folder : PurePath
        Where it lies below the folder or pattern that was named.
    parent : Path or str
        The folder in which it lies, or its store.
    scene : int, str or None
        Which image of the file.
    notes : tuple of Note
        What was left out beside it.
    """

    source: Path | str
    title: str
    name: str
    folder: PurePath
    parent: Path | str
    scene: int | str | None = None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Tasks:
    """The images of a batch, and what is to be told of what was left out."""

    tasks: tuple[Task, ...]
    notes: tuple[Note, ...] = ()


def find_tasks(paths: Sequence[str | Path], scene: int | str | None = None) -> Tasks:
    """The images of paths, patterns such as ``data/**/*.tif``, and URLs; each once.

    Raises
    ------
    FileError
        If there are none, or a folder cannot be looked into.
    """
    found: dict[Path | str, Task] = {}
    notes: list[Note] = []
    for named in paths:
        if is_url(named):
            for remote in find_remote(str(named)):
                found.setdefault(remote[0], Task(*remote, scene=scene))
            continue
        for path, root in _expand(Path(named)):
            images = find_images([path])
            notes += images.notes
            for image in images.images:
                if path != image.path and is_result(image.path):
                    continue  # of an earlier run, under whatever name
                for task in _scenes(image, scene, root if root is not None else path):
                    key = task.source if task.scene is None else f"{task.source}#{task.scene}"
                    found.setdefault(key, task)
    if not found:
        raise FileError("No image files were named", "give files or folders")
    return Tasks(tuple(found.values()), tuple(notes))


def _expand(path: Path) -> Iterator[tuple[Path, Path | None]]:
    """The paths of a pattern, with the folder that they lie below; else the path itself."""
    if not glob.has_magic(str(path)) or path.exists():
        yield path, None
        return
    fixed = Path(*_fixed_part(path))
    inside = sorted(fixed.glob(str(path.relative_to(fixed))))
    kept = []
    for each in inside:
        if any(is_zarr(around) for around in each.parents):
            continue  # the parts of a store are no images of their own
        readable = each.suffix.lower() in (*READ_SUFFIXES, *BIOIO_SUFFIXES) or is_zarr(each)
        if readable and not is_folder(each) and not is_result(each):
            kept.append(each)
    if not kept:
        raise FileError(
            f"No image matches {path}",
            "put the pattern in quotes, and check it; ** stands for folders at any depth",
        )
    for each in kept:
        yield each, fixed


def _fixed_part(path: Path) -> Iterator[str]:
    for part in path.parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def _scenes(image: FoundImage, scene: int | str | None, root: Path) -> Iterator[Task]:
    parent = store_of(image.path).parent
    folder = PurePath()
    with suppress(ValueError):
        folder = PurePath(parent.relative_to(root))

    def task(name: str, which: int | str | None) -> Task:
        return Task(image.path, image.title, name, folder, parent, which, image.notes)

    if scene != ALL_SCENES:
        yield task(image.name, scene)
        return
    count = 1
    with suppress(Exception):  # which is told when the file has its turn
        count = count_scenes(image.path)
    if count == 1:
        yield task(image.name, None)
    for number in range(count) if count > 1 else ():
        yield task(f"{image.name}_scene{number}", number)


def ending_in_name(task: Task) -> str:
    """The name of a task with the ending of its file, for files that differ in that alone.

    >>> path = Path("in/cells.tif")
    >>> ending_in_name(Task(path, "cells.tif", "cells_scene1", PurePath(), path.parent))
    'cells_tif_scene1'
    """
    file = PurePath(str(task.source)).name
    stem = plain_stem(file)
    ending = file.removeprefix(stem).replace(".", "_")
    return task.name.replace(stem, stem + ending, 1) if ending else task.name
