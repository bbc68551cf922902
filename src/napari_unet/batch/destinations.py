"""Where the results of each image go: no two images have one, and none replaces an input."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from napari_unet.batch.inputs import Task, ending_in_name
from napari_unet.batch.options import BatchOptions
from napari_unet.batch.remote import is_url, join_url
from napari_unet.errors import InputError
from napari_unet.io.record import record_path

Location = Path | str
EXPORTS = {
    "json": ("coco", "json"),  # the record has the name of the labels
    "coco": ("coco", "json"),
    "roi": ("labels", "zip"),
    "cellpose": ("seg", "npy"),
    "_seg.npy": ("seg", "npy"),
    "seg.npy": ("seg", "npy"),
}
"""Kind and ending of exports that are not called by an ending of their own."""


@dataclass(frozen=True)
class Targets:
    """Where the results of an image go.

    Attributes
    ----------
    files : mapping of str to Path or str
        By kind; the first is the one beside which the record stands.
    """

    files: Mapping[str, Location]

    @property
    def main(self) -> Location:
        """The result beside which the record stands."""
        return next(iter(self.files.values()))

    @property
    def record(self) -> Location:
        """The run record."""
        main = self.main
        if isinstance(main, str):
            return main.rpartition(".")[0] + ".json"
        return record_path(main)

    @property
    def folder(self) -> Location:
        """The folder that they lie in."""
        main = self.main
        return main.rpartition("/")[0] if isinstance(main, str) else main.parent


def plan_targets(
    tasks: Sequence[Task], output_dir: Location | None, options: BatchOptions, model: str
) -> list[Targets]:
    """Where each image's results go.

    Images whose results would have one name are told apart by their folders, or by the endings
    of their files where they lie in one folder.

    Parameters
    ----------
    tasks : sequence of Task
        The images.
    output_dir : Path, str or None
        The folder, or its URL; None: beside each image.
    options : BatchOptions
        What is written, and the template of the names.
    model : str
        Name of the model.

    Raises
    ------
    InputError
        If two images would still have one result, or a result would replace an input.
    """
    planned = list(tasks)
    for tell_apart in (_by_ending, _by_folder):
        files = [_files(task, output_dir, options, model) for task in planned]
        counts = Counter(key for each in files for key in _keys(each))
        clash = [any(counts[key] > 1 for key in _keys(each)) for each in files]
        if not any(clash):
            break
        groups: dict[str, list[int]] = {}
        for number, each in enumerate(files):
            if clash[number]:
                groups.setdefault(_keys(each)[0], []).append(number)
        for numbers in groups.values():
            tell_apart(planned, numbers)
    files = [_files(task, output_dir, options, model) for task in planned]
    counts = Counter(key for each in files for key in _keys(each))
    inputs = {os.path.realpath(task.source) for task in tasks if isinstance(task.source, Path)}
    for task, each in zip(tasks, files, strict=True):
        for key, file in zip(_keys(each), each.values(), strict=True):
            if counts[key] > 1:
                raise InputError(
                    f"Two images would both be written to {file}",
                    f"rename one of them (such as {task.source}), run them into different "
                    "folders, or put {folder} into the template of the names",
                )
            if key in inputs:
                raise InputError(
                    f"The result of {task.source} would replace {file}, which is an input too",
                    "leave that out, or choose another output folder",
                )
    return [Targets(each) for each in files]


def _by_ending(planned: list[Task], numbers: Sequence[int]) -> None:
    """Tell images of one folder apart by the endings of their files."""
    for number in numbers:
        task = planned[number]
        alike = [n for n in numbers if planned[n].parent == task.parent]
        if len(alike) > 1:
            planned[number] = replace(task, name=ending_in_name(task))


def _by_folder(planned: list[Task], numbers: Sequence[int]) -> None:
    """Tell images of several folders apart by the shortest ends of their paths that differ."""
    parents = [_parts(planned[number].parent) for number in numbers]
    depth = 1
    longest = max(map(len, parents))
    while depth < longest and len({p[-depth:] for p in parents}) < len(set(parents)):
        depth += 1
    for number, parts in zip(numbers, parents, strict=True):
        planned[number] = replace(planned[number], folder=PurePath(*parts[-depth:]))


def _parts(parent: Location) -> tuple[str, ...]:
    if isinstance(parent, str):
        return tuple(part for part in parent.partition("://")[2].split("/") if part)
    return tuple(part for part in parent.resolve().parts if part != parent.resolve().anchor)


def _files(
    task: Task, output_dir: Location | None, options: BatchOptions, model: str
) -> dict[str, Location]:
    def place(kind: str, ending: str) -> Location:
        folder = task.folder.as_posix() if task.folder.parts else ""
        words = {"name": task.name, "kind": kind, "model": model, "folder": folder}
        name = options.name.format(**words).replace("//", "/").lstrip("/")
        if folder and output_dir is not None and "{folder}" not in options.name:
            name = f"{folder}/{name}"
        top = task.parent if output_dir is None else output_dir
        return join_url(top, f"{name}.{ending}") if is_url(top) else Path(top) / f"{name}.{ending}"

    endings = {"measurements": "csv", "overlay": "png"}
    kinds = {kind: place(kind, endings.get(kind, options.file_format)) for kind in options.write}
    exported = {each: place(*EXPORTS.get(each, ("labels", each))) for each in options.export}
    return kinds | exported


def _keys(files: Mapping[str, Location]) -> list[str]:
    return [str(file) if is_url(file) else os.path.realpath(file) for file in files.values()]
