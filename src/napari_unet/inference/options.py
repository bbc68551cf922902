"""The keywords that every function which runs a model takes, in one place."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from napari_unet.settings import SegmentOverrides, SegmentSettings

F = TypeVar("F", bound=Callable[..., Any])


class ImageOptions(TypedDict, total=False):
    """How an image is to be read.

    Attributes
    ----------
    axes : str, optional
        Axes of the image over TCZYX; None: guessed, and written in the record.
    channels : sequence of int, optional
        Which channels to use, in the model's order; None: all of them.
    pixel_size : float or sequence of float, optional
        Micrometres per spatial axis in the image's order; one number for all; None: unknown.
    """

    axes: str | None
    channels: Sequence[int] | None
    pixel_size: float | Sequence[float | None] | None


class RunOptions(ImageOptions, SegmentOverrides, total=False):
    """Keywords of `napari_unet.segment` and `predict`, and single fields of the settings.

    Attributes
    ----------
    settings : SegmentSettings, optional
        Settings; single fields of it can be given as keywords too.
    output : str or Path, optional
        Path or URL of a zarr array that is written block by block; None: memory.
    client : distributed.Client, optional
        A Dask cluster on which the image is run block by block, with equal labels; None: here.
    """

    settings: SegmentSettings | None
    output: str | Path | None
    client: Any


class FileOptions(ImageOptions, SegmentOverrides, total=False):
    """Keywords of `napari_unet.segment_files`, and single fields of the settings.

    Attributes
    ----------
    settings : SegmentSettings, optional
        Settings; single fields of it can be given as keywords too.
    client : distributed.Client, optional
        A Dask cluster on which the image is run block by block, with equal labels; None: here.
    scene : int or str, optional
        Which image of files that hold several: its number from 0, its name, or "all".
    file_format : {"tif", "ome.tif", "zarr"}
        Of labels and scores.
    scores : bool
        Write the scores instead of labels, as `napari_unet.predict` gives them.
    write : sequence of str, optional
        What is written: labels, scores, measurements, overlay; None: labels.
    export : sequence of str
        Further formats of the labels, by their endings.
    name : str, optional
        Template of the names of the results.
    overwrite : bool
        Run all files again, and replace whatever is there.
    check : {"time", "hash"}
        How an input is known again.
    summary : bool or path
        Whether a table of the files is written, or where.
    """

    settings: SegmentSettings | None
    client: Any
    scene: int | str | None
    file_format: str
    scores: bool
    write: Sequence[str] | None
    export: Sequence[str]
    name: str | None
    overwrite: bool
    check: str
    summary: bool | str | Path


def show_keywords(spelled_out: Callable[..., Any], options: type) -> Callable[[F], F]:
    """Name the keywords of a `TypedDict` in the signature that `help` and notebooks show.

    Type checkers and editors read them from the annotation of ``**overrides``; at run time that
    is a single parameter.

    Parameters
    ----------
    spelled_out : callable
        A function that takes the same keywords one by one, with their types and defaults.
    options : type
        The `TypedDict` of the decorated function's ``**overrides``.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        *first, rest = signature.parameters.values()
        keywords = [
            parameter
            for name, parameter in inspect.signature(spelled_out).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY and name in options.__annotations__
        ]
        shown = signature.replace(parameters=[*first, *keywords, rest])
        function.__signature__ = shown  # type: ignore[attr-defined]
        return function

    return decorate
