"""A recorded batch of files: run again, as Python, as a command."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from napari_unet.replay.commands import run_command
from napari_unet.replay.recorded import RecordedRun
from napari_unet.replay.references import ModelReference
from napari_unet.replay.repeated import Job, Repeated
from napari_unet.replay.segmenting import setting_options, settings_to_tell
from napari_unet.replay.source_code import call, quote
from napari_unet.settings import SegmentSettings

OPTIONS = ("write", "export", "file_format", "name", "overwrite", "check", "summary")
"""Fields of a batch that are given to `napari_unet.segment_files` as they are."""


class BatchRun(RecordedRun):
    """A batch that can be run.

    Attributes
    ----------
    inputs : tuple of str
        Files, folders and patterns.
    output_dir : str or None
        Where the results go; None: beside each image.
    model : ModelReference
        What predicts.
    settings : SegmentSettings
        How.
    axes, channels, pixel_size, scene
        As `napari_unet.segment_files` takes them.
    write, export, file_format, name, overwrite, check, summary
        What is written, as `napari_unet.segment_files` takes it; None: by default.
    """

    operation: Literal["batch"] = "batch"
    inputs: tuple[str, ...]
    output_dir: str | None = None
    model: ModelReference
    settings: SegmentSettings = SegmentSettings()
    axes: str | None = None
    channels: tuple[int, ...] | None = None
    pixel_size: float | tuple[float | None, ...] | None = None
    scene: int | str | None = None
    write: tuple[str, ...] | None = None
    export: tuple[str, ...] | None = None
    file_format: str | None = None
    name: str | None = None
    overwrite: bool | None = None
    check: str | None = None
    summary: bool | None = None

    def repeat(self, given: Any = None, output: str | Path | None = None) -> Job:
        """Run the files again, or others; what is finished already is skipped."""
        from napari_unet.batch import iter_segment_files

        paths = self.inputs if given is None else given
        paths = list(paths) if isinstance(paths, list | tuple) else [paths]
        folder = output if output is not None else self.output_dir
        results = yield from iter_segment_files(
            paths, self.model.load(), folder, **self._keywords(resolved=True)
        )
        failed = sum(1 for each in results if each.error is not None)
        message = f"{len(results) - failed} of {len(results)} files"
        target = None if folder is None else Path(folder)
        return Repeated(results, message, target, self.as_record(), 1 if failed else 0)

    def free_target(self, output: Path | None) -> Path | None:
        """The recorded folder, where finished files are skipped, unless another is named."""
        return output

    @property
    def result_name(self) -> str:
        """The folder of the results."""
        return self.output_dir or "results"

    def as_record(self) -> dict[str, Any]:
        """What is needed to run it, JSON-ready."""
        found = self.model_dump(mode="json", exclude_none=True)
        found["settings"] = self.settings.model_dump(mode="json", exclude_defaults=True)
        return {"operation": self.operation, **found}

    def as_python(self) -> str:
        """A script that does the same."""
        paths = list(self.inputs)
        arguments = [repr(paths), repr(self.model.source), repr(self.output_dir)]
        return "\n".join(
            [
                "import napari_unet as nu",
                "",
                call("results = nu.segment_files", arguments, self._keywords()),
                "for result in results:",
                "    print(result.source, result.error or result.output)",
                "",
            ]
        )

    def as_command(self) -> str:
        """A line for a shell that does the same."""
        sizes = self.pixel_size if isinstance(self.pixel_size, tuple) else (self.pixel_size,)
        if self.scene is not None or (self.pixel_size is not None and None in sizes):
            return run_command(self.as_record(), self.result_name)
        words = ["napari-unet", "segment", *self.inputs, "-m", self.model.source]
        if self.output_dir is not None:
            words += ["-o", self.output_dir]
        given = {
            "axes": self.axes,
            "channels": self.channels,
            "pixel_size": None if self.pixel_size is None else sizes,
            "write": self.write,
            "export": self.export,
            "format": self.file_format,
            "name": self.name,
            "overwrite": self.overwrite,
            "hash": self.check == "hash",
        }
        for name, value in given.items():
            if value in (None, False, ()):
                continue
            words.append(f"--{name.replace('_', '-')}")
            if value is not True:
                words.append(",".join(map(str, value)) if isinstance(value, tuple) else str(value))
        return quote([*words, *setting_options(self._fields())])

    def _keywords(self, *, resolved: bool = False) -> dict[str, Any]:
        values: dict[str, Any] = {"axes": self.axes, "scene": self.scene}
        values["channels"] = None if self.channels is None else list(self.channels)
        sizes = self.pixel_size
        values["pixel_size"] = list(sizes) if isinstance(sizes, tuple) else sizes
        for name in OPTIONS:
            value = getattr(self, name)
            values[name] = list(value) if isinstance(value, tuple) else value
        values = {name: value for name, value in values.items() if value not in (None, [])}
        for name in ("overwrite", "summary"):
            if values.get(name) is False:
                del values[name]
        if resolved:
            return {**values, "settings": self.settings}
        return {**values, **self._fields()}

    def _fields(self) -> dict[str, Any]:
        """Settings that are not as they would be by themselves."""
        return settings_to_tell(self.settings, self.model)
