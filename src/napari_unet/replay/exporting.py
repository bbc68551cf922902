"""A recorded export of labels: written again, as Python, as a command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from napari_unet.errors import FileError
from napari_unet.io.naming import plain_stem
from napari_unet.replay.commands import run_command
from napari_unet.replay.measuring import array_of
from napari_unet.replay.recorded import RecordedRun
from napari_unet.replay.references import ArrayReference, open_one
from napari_unet.replay.repeated import Job, Repeated
from napari_unet.replay.source_code import Expression, call

ENDINGS = {"roi": ".zip", "coco": ".json", "cellpose": "_seg.npy", "table": ".csv"}
"""Of files whose format is not named by its ending."""


class ExportRun(RecordedRun):
    """An export that can be run.

    Attributes
    ----------
    labels : ArrayReference
        What is exported.
    image : tuple of ArrayReference
        The image that goes with it; empty: none.
    axes, pixel_size
        As `napari_unet.export` takes them.
    format : str
        Of the file.
    run : dict or None
        The record of the run that made the labels.
    """

    operation: Literal["export"] = "export"
    labels: ArrayReference
    image: tuple[ArrayReference, ...] = ()
    axes: str | None = None
    pixel_size: tuple[float | None, ...] | None = None
    format: str
    run: dict[str, Any] | None = Field(default=None)
    output: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, values: Any) -> Any:
        """A record beside an export names files by their paths alone."""
        if not isinstance(values, Mapping):
            return values
        found = dict(values)
        if isinstance(found.get("labels"), str):
            found["labels"] = {"path": found["labels"], "as_labels": True}
        elif found.get("labels") is None:
            found["labels"] = {}
        if isinstance(found.get("image"), str):
            found["image"] = [{"path": found["image"]}]
        elif found.get("image") is None:
            found["image"] = []
        if isinstance(found.get("image_axes"), str):
            found["axes"] = found["image_axes"]
        sizes = found.get("pixel_size")
        if isinstance(sizes, list) and all(size is None for size in sizes):
            found["pixel_size"] = None
        return found

    def repeat(self, given: Any = None, output: str | Path | None = None) -> Job:
        """Export again; ``given`` are other labels, or labels and their image."""
        from napari_unet.formats.export import export
        from napari_unet.progress import Progress

        yield Progress(0, 1, "exporting")
        if given is None:
            labels = self.labels.open().array
            images = [each.open().array for each in self.image]
        else:
            several = isinstance(given, list | tuple)
            first, *rest = (open_one(each).array for each in (given if several else [given]))
            labels, images = first, rest
        target = Path(self.result_name if output is None else output)
        if target.is_dir():
            target /= self.result_name
        if output is None and target.exists():
            raise FileError(f"{target} is there already", "name another ⟨output⟩")
        written = export(
            labels,
            target,
            format=self.format,
            axes=self.axes,
            pixel_size=self.pixel_size,
            image=None if not images else images[0] if len(images) == 1 else images,
            record=self.run,
        )
        yield Progress(1, 1, "exporting")
        return Repeated(written, f"exported as {self.format}", written, self.as_record())

    @property
    def result_name(self) -> str:
        """The file that is written."""
        if self.output is not None:
            return Path(self.output).name
        path = self.labels.path
        stem = "labels" if path is None else plain_stem(Path(path))
        return f"{stem}{ENDINGS.get(self.format, f'.{self.format}')}"

    def as_record(self) -> dict[str, Any]:
        """What is needed to run it, JSON-ready."""
        found = self.model_dump(mode="json", exclude_none=True)
        return {"operation": self.operation, **found}

    def as_python(self) -> str:
        """A script that does the same."""
        keywords: dict[str, Any] = {"format": self.format, "axes": self.axes}
        if self.pixel_size is not None:
            keywords["pixel_size"] = tuple(self.pixel_size)
        lines = ["import napari_unet as nu", "", f"labels = {array_of(self.labels)}"]
        if self.image:
            sources = [array_of(each) for each in self.image]
            picture = sources[0] if len(sources) == 1 else f"[{', '.join(sources)}]"
            lines.append(f"image = {picture}")
            keywords["image"] = Expression("image")
        if self.run is not None:
            lines.append(f"record = {self.run!r}")
            keywords["record"] = Expression("record")
        keywords = {name: value for name, value in keywords.items() if value is not None}
        lines.append(call("nu.export", ["labels", repr(self.result_name)], keywords))
        return "\n".join([*lines, ""])

    def as_command(self) -> str:
        """A line for a shell that does the same."""
        return run_command(self.as_record(), self.result_name)
