"""A recorded evaluation of files: done again, as Python, as a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from napari_unet.replay.measuring import write_table_record
from napari_unet.replay.recorded import RecordedRun
from napari_unet.replay.references import Part
from napari_unet.replay.repeated import Job, Repeated, target_of
from napari_unet.replay.segmenting import setting_options
from napari_unet.replay.source_code import call, quote

if TYPE_CHECKING:  # it takes its libraries along, which docks open without
    from napari_unet.evaluation.settings import EvaluationSettings

TABLE = "scores.csv"


class EvaluationInputs(Part):
    """Files or folders that were compared: predictions, perhaps a second candidate, the truth."""

    predictions: str
    truth: str
    second: str | None = None
    axes: str | None = None


class EvaluateRun(RecordedRun):
    """An evaluation that can be run.

    Attributes
    ----------
    inputs : EvaluationInputs
        What is compared.
    settings : EvaluationSettings
        How.
    """

    operation: Literal["evaluate"] = "evaluate"
    inputs: EvaluationInputs
    settings: Any = Field(default_factory=dict, validate_default=True)

    @field_validator("settings")
    @classmethod
    def _as_settings(cls, values: Any) -> EvaluationSettings:
        from napari_unet.evaluation.settings import EvaluationSettings

        return EvaluationSettings.model_validate(values)

    def repeat(self, given: Any = None, output: str | Path | None = None) -> Job:
        """Evaluate again; ``given`` are other predictions of the same truth."""
        from napari_unet.evaluation import iter_evaluate_files
        from napari_unet.evaluation.table import check_evaluation_path, write_evaluation

        target = target_of(output, TABLE)
        if target is not None:
            check_evaluation_path(target)
        files = self.inputs
        found = yield from iter_evaluate_files(
            files.predictions if given is None else given,
            files.truth,
            second=files.second,
            axes=files.axes,
            settings=self.settings,
        )
        if target is not None:
            write_evaluation(target, found)
            write_table_record(target, found.record)
        total = len(found.images) + len(found.faults)
        message = f"scores of {len(found.images)} of {total} images"
        return Repeated(found, message, target, found.record, 1 if found.faults else 0)

    @property
    def result_name(self) -> str:
        """The file of the scores."""
        return TABLE

    def as_record(self) -> dict[str, Any]:
        """What is needed to run it, JSON-ready."""
        found = self.model_dump(mode="json", exclude_none=True)
        found["settings"] = self.settings.model_dump(mode="json", exclude_defaults=True)
        return {"operation": self.operation, **found}

    def as_python(self) -> str:
        """A script that does the same."""
        given = {"second": self.inputs.second, "axes": self.inputs.axes}
        keywords = {name: value for name, value in given.items() if value is not None}
        keywords |= self.settings.model_dump(exclude_defaults=True)
        files = [repr(self.inputs.predictions), repr(self.inputs.truth)]
        return "\n".join(
            [
                "from napari_unet.evaluation import evaluate_files",
                "from napari_unet.evaluation.table import write_evaluation",
                "",
                call("found = evaluate_files", files, keywords),
                "print(*found.scores, sep='\\n\\n')",
                f"write_evaluation({TABLE!r}, found)",
                "",
            ]
        )

    def as_command(self) -> str:
        """A line for a shell that does the same."""
        words = ["napari-unet", "evaluate", self.inputs.predictions, self.inputs.truth]
        if self.inputs.second is not None:
            words += ["--second", self.inputs.second]
        if self.inputs.axes is not None:
            words += ["--axes", self.inputs.axes]
        words += setting_options(self.settings.model_dump(exclude_defaults=True))
        return quote([*words, "-o", TABLE])
