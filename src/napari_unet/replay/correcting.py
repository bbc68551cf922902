"""Recorded corrections of labels by hand: made again, as Python, as a command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from napari_unet.installation import versions
from napari_unet.io import write_labels
from napari_unet.progress import Progress
from napari_unet.replay.commands import run_command
from napari_unet.replay.recorded import RecordedRun
from napari_unet.replay.references import ArrayReference, open_one
from napari_unet.replay.repeated import Job, Repeated, target_of
from napari_unet.replay.source_code import call

if TYPE_CHECKING:  # the tools take their libraries along, which docks open without
    from napari_unet.correction.journal import Entry, Misfit


class CorrectRun(RecordedRun):
    """Corrections that can be made again.

    Attributes
    ----------
    labels : ArrayReference
        The labels before them.
    entries : tuple of Entry
        The corrections, in their order.
    axes : str
        Of the labels.
    pixel_size : tuple of float or None
        Micrometres along the axes of space, in their order; None: unknown.
    name : str
        What the labels are called.
    """

    operation: Literal["correct"] = "correct"
    labels: ArrayReference
    entries: tuple[Any, ...]
    axes: str
    pixel_size: tuple[float, ...] | None = None
    name: str = "labels"

    @field_validator("entries")
    @classmethod
    def _as_entries(cls, values: tuple[Any, ...]) -> tuple[Entry, ...]:
        from napari_unet.correction.journal import Entry

        return tuple(Entry.model_validate(each) for each in values)

    def repeat(self, given: Any = None, output: str | Path | None = None) -> Job:
        """Correct again; ``given`` are other labels of the same image, such as a new prediction.

        Corrections that do not fit there are left out, and told; the status is 1 then.
        """
        yield Progress(0, len(self.entries), "correcting")
        array = (self.labels.open() if given is None else open_one(given)).array
        labels, misfits = self.apply(array, same_numbers=given is None)
        target = target_of(output, self.result_name)
        record = {**self.as_record(), "versions": dict(versions())}
        if target is not None:
            write_labels(target, labels, axes=self.axes, pixel_size=self.pixel_size, record=record)
        yield Progress(len(self.entries), len(self.entries), "correcting")
        done = len(self.entries) - len(misfits)
        message = f"{done} of {len(self.entries)} corrections"
        if misfits:
            message += f"; these do not fit: {'; '.join(map(str, misfits))}"
        return Repeated(labels, message, target, record, 1 if misfits else 0)

    def apply(self, array: Any, *, same_numbers: bool) -> tuple[NDArray[Any], list[Misfit]]:
        """Corrected labels, and the corrections that were left out; the array stays as it is.

        ``same_numbers`` tells that it holds the labels of the record.
        """
        from napari_unet.correction.edits import Scene
        from napari_unet.correction.journal import repeat_entries

        labels = np.array(array)
        spacing = None
        if self.pixel_size is not None:
            known = iter(self.pixel_size)
            spacing = tuple(next(known) if axis in "ZYX" else 1.0 for axis in self.axes)
        largest = iter_largest(self.entries, labels)
        misfits = repeat_entries(
            self.entries,
            lambda: Scene(labels, next(largest), spacing=spacing),
            lambda change, _: change.apply(labels),
            same_numbers=same_numbers,
        )
        return labels, misfits

    @property
    def result_name(self) -> str:
        """The file of the corrected labels."""
        return f"{self.name}_corrected.tif"

    def as_record(self) -> dict[str, Any]:
        """What is needed to run it, JSON-ready."""
        found = self.model_dump(mode="json", exclude_none=True)
        return {"operation": self.operation, **found}

    def as_python(self) -> str:
        """A script that does the same."""
        record = self.as_record()
        entries = record.pop("entries")
        sizes = {} if self.pixel_size is None else {"pixel_size": self.pixel_size}
        return "\n".join(
            [
                "import napari_unet as nu",
                "",
                "corrections = [",
                *(f"    {entry!r}," for entry in entries),
                "]",
                f"record = {record!r}",
                "# input= takes other labels of the same image, such as a new prediction",
                "labels = nu.run({**record, 'entries': corrections})",
                call(
                    "nu.write_labels",
                    [repr(self.result_name), "labels"],
                    {"axes": self.axes, **sizes},
                ),
                "",
            ]
        )

    def as_command(self) -> str:
        """A line for a shell that does the same."""
        return run_command(self.as_record(), self.result_name)


def iter_largest(entries: Sequence[Entry], labels: NDArray[Any]) -> Iterator[int]:
    """The largest number in use before each correction, so that new objects get theirs again.

    On other labels a number can be taken there: then it is one more than the largest of all.
    """
    for entry in entries:
        new = [label for label in entry.after if label not in entry.before]
        present = int(labels.max(initial=0))
        yield max(min(new) - 1, present) if new else present
