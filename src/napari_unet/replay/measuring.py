"""A recorded table of objects: measured again, as Python, as a command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from napari_unet.installation import versions
from napari_unet.io import atomic_path, read_image
from napari_unet.io.naming import plain_stem
from napari_unet.io.record import encode_record
from napari_unet.replay.commands import run_command
from napari_unet.replay.recorded import RecordedRun
from napari_unet.replay.references import ArrayReference, open_one
from napari_unet.replay.repeated import Job, Repeated, target_of
from napari_unet.replay.segmenting import array_source
from napari_unet.replay.source_code import Expression, call, quote


class MeasureRun(RecordedRun):
    """A measurement that can be run.

    Attributes
    ----------
    labels : ArrayReference
        What is measured.
    image : tuple of ArrayReference
        Below the labels, one array or one per channel; empty: none.
    axes, pixel_size, properties, neighbour_distance
        As `napari_unet.measure` takes them; the pixel size in the order of the axes.
    """

    operation: Literal["measure"] = "measure"
    labels: ArrayReference
    image: tuple[ArrayReference, ...] = ()
    axes: str | None = None
    pixel_size: tuple[float | None, ...] | None = None
    properties: tuple[str, ...] | None = None
    neighbour_distance: float | None = None
    output: str | None = None

    def repeat(self, given: Any = None, output: str | Path | None = None) -> Job:
        """Measure again; ``given`` are other labels, or labels and their image."""
        from napari_unet.measurement import measure, write_table
        from napari_unet.progress import Progress

        yield Progress(0, 1, "measuring")
        if given is None:
            labels = self.labels.open().array
            images = [each.open().array for each in self.image]
        else:
            several = isinstance(given, list | tuple)
            first, *rest = (open_one(each).array for each in (given if several else [given]))
            labels, images = first, rest
        table = measure(
            labels,
            None if not images else images[0] if len(images) == 1 else images,
            axes=self.axes,
            pixel_size=self._sizes,
            properties=self.properties,
            neighbour_distance=self.neighbour_distance,
        )
        target = target_of(output, self.result_name)
        record = self.as_record()
        if target is not None:
            write_table(target, table)
            write_table_record(target, record)
        yield Progress(1, 1, "measuring")
        count = f"{len(table)} object" + ("" if len(table) == 1 else "s")
        return Repeated(table, count, target, record)

    @property
    def result_name(self) -> str:
        """The file of the table."""
        if self.output is not None:
            return Path(self.output).name
        path = self.labels.path
        return f"{'labels' if path is None else plain_stem(Path(path))}.csv"

    def as_record(self) -> dict[str, Any]:
        """What is needed to run it, JSON-ready."""
        found = self.model_dump(mode="json", exclude_none=True)
        return {"operation": self.operation, **found}

    def as_python(self) -> str:
        """A script that does the same."""
        arguments = [Expression("labels")]
        lines = ["import napari_unet as nu", "", f"labels = {array_of(self.labels)}"]
        if self.image:
            sources = [array_of(each) for each in self.image]
            picture = sources[0] if len(sources) == 1 else f"[{', '.join(sources)}]"
            lines.append(f"image = {picture}")
            arguments.append(Expression("image"))
        lines.append(call("table = nu.measure", arguments, self._keywords()))
        lines.append(f"table.to_csv({self.result_name!r}, index=False)")
        return "\n".join([*lines, ""])

    def as_command(self) -> str:
        """A line for a shell that does the same."""
        simple = [self.labels, *self.image]
        known = self.pixel_size is None or None not in self.pixel_size
        fits = (
            len(self.image) <= 1
            and known
            and all(each.is_whole_file and each.scene is None for each in simple)
        )
        if not fits or not self._sizes_are_plain():
            return run_command(self.as_record(), self.result_name)
        words = ["napari-unet", "measure", str(self.labels.path), "-o", self.result_name]
        if self.image:
            words += ["--image", str(self.image[0].path)]
        if self.axes is not None:
            words += ["--axes", self.axes]
        if self.pixel_size is not None:
            words += ["--pixel-size", ",".join(map(repr, self.pixel_size))]
        if self.properties is not None:
            words += ["--properties", ",".join(self.properties)]
        if self.neighbour_distance is not None:
            words += ["--neighbour-distance", repr(self.neighbour_distance)]
        return quote(words)

    def _sizes_are_plain(self) -> bool:
        """Whether the command would not find a pixel size in the files that does not count."""
        if self.pixel_size is not None:
            return True
        files = [each.path for each in (self.labels, *self.image) if each.path is not None]
        return all(read_image(path, eager_bytes=0).pixel_size is None for path in files)

    @property
    def _sizes(self) -> float | tuple[float | None, ...] | None:
        """As `measure` takes them; one size is that of all axes."""
        sizes = self.pixel_size
        return sizes[0] if sizes is not None and len(sizes) == 1 else sizes

    def _keywords(self) -> dict[str, Any]:
        values = {
            "axes": self.axes,
            "pixel_size": self._sizes,
            "properties": None if self.properties is None else list(self.properties),
            "neighbour_distance": self.neighbour_distance,
        }
        return {name: value for name, value in values.items() if value is not None}


def write_table_record(table: Path, record: Mapping[str, Any]) -> Path:
    """Write the record of a table beside it, under the whole name of the table.

    ``cells_labels.json`` is the record of the labels, whatever else is called so.
    """
    beside = table.with_name(f"{table.name}.json")
    data = encode_record({**record, "output": str(table.absolute()), "versions": versions()})
    with atomic_path(beside) as part:
        part.write_bytes(data)
    return beside


def array_of(reference: ArrayReference) -> str:
    """Source of the array itself, as it lies in its file."""
    source = array_source(reference)
    return source if reference.channel is not None else f"{source}.array"
