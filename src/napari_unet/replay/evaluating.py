"""A recorded evaluation of files: done again, as Python, as a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from napari_unet.errors import InputError
from napari_unet.replay.measuring import write_table_record
from napari_unet.replay.recorded import RecordedRun
from napari_unet.replay.references import ArrayReference, Part
from napari_unet.replay.repeated import Job, Repeated, target_of
from napari_unet.replay.segmenting import setting_options
from napari_unet.replay.source_code import call, quote

if TYPE_CHECKING:  # it takes its libraries along, which docks open without
    from napari_unet.evaluation.settings import EvaluationSettings

TABLE = "scores.csv"


class EvaluationInputs(Part):
    """Files or folders that were compared: predictions, perhaps a second candidate, the truth."""

    predictions: str | ArrayReference
    truth: str | ArrayReference
    second: str | ArrayReference | None = None
    axes: str | None = None

    def paths(self, *, check: bool = False) -> tuple[str, str, str | None]:
        """Where predictions, truth and second candidate are.

        Parameters
        ----------
        check : bool
            Whether arrays are compared with what was recorded of them.

        Raises
        ------
        InputError
            If an array is in no file of its own, or has changed.
        """
        truth, predictions = _path_of(self.truth, check), _path_of(self.predictions, check)
        return predictions, truth, None if self.second is None else _path_of(self.second, check)


def _path_of(given: str | ArrayReference, check: bool) -> str:
    if isinstance(given, str):
        return given
    if check:
        given.open()
    if given.path is None or not given.is_whole_file:
        raise InputError(
            "What was compared is in no file of its own", "save it as a file of labels first"
        )
    return given.path


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
        predictions, truth, second = self.inputs.paths(check=given is None)
        found = yield from iter_evaluate_files(
            predictions if given is None else given,
            truth,
            second=second,
            axes=self.inputs.axes,
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
        predictions, truth, second = self.inputs.paths()
        given = {"second": second, "axes": self.inputs.axes}
        keywords = {name: value for name, value in given.items() if value is not None}
        keywords |= self.settings.model_dump(exclude_defaults=True)
        files = [repr(predictions), repr(truth)]
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
        predictions, truth, second = self.inputs.paths()
        words = ["napari-unet", "evaluate", predictions, truth]
        if second is not None:
            words += ["--second", second]
        if self.inputs.axes is not None:
            words += ["--axes", self.inputs.axes]
        words += setting_options(self.settings.model_dump(exclude_defaults=True))
        return quote([*words, "-o", TABLE])
