"""A recorded run of any operation: what all of them can do."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import model_validator

from napari_unet.installation import DISTRIBUTION, versions
from napari_unet.replay.references import Part
from napari_unet.replay.repeated import Job, free_path

COMPARED = (DISTRIBUTION, "torch", "numpy")  # packages whose versions can change labels


class RecordedRun(Part):
    """A run that can be repeated, and told as Python and as a command."""

    operation: str

    @model_validator(mode="before")
    @classmethod
    def _locate_model(cls, values: Any) -> Any:
        """Records name the file of a model that is not found by its name beside the model."""
        if not isinstance(values, Mapping) or not isinstance(values.get("model"), Mapping):
            return values
        model = {"path": values.get("model_file"), **values["model"]}
        return {**values, "model": model}

    @abstractmethod
    def repeat(self, given: Any = None, output: str | Path | None = None) -> Job:
        """Run it again, on another input where one is given; see `napari_unet.run`."""

    @abstractmethod
    def as_record(self) -> dict[str, Any]:
        """What is needed to run it, JSON-ready."""

    @abstractmethod
    def as_python(self) -> str:
        """A script that does the same."""

    @abstractmethod
    def as_command(self) -> str:
        """A line for a shell that does the same."""

    @property
    @abstractmethod
    def result_name(self) -> str:
        """What the result is called where nobody says."""

    def free_target(self, output: Path | None) -> Path | None:
        """Where the command line writes: nothing that stands there is replaced unasked."""
        return free_path(Path(self.result_name)) if output is None else output

    def differences(self, content: Mapping[str, Any]) -> Iterator[str]:
        """What is otherwise here than when the record was made, in words."""
        then, now = content.get("versions"), versions()
        if not isinstance(then, Mapping):
            return
        for name in COMPARED:
            if name in then and name in now and then[name] != now[name]:
                yield f"the record was made with {name} {then[name]}, here is {now[name]}"
