"""A finding: what is, or may be, wrong with the examples of a training."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal

from napari_unet.errors import InputError, NameOf, Text, UNetError, join_texts
from napari_unet.io.reason import reason_of

Severity = Literal["fault", "doubt"]
Field = Literal["image", "labels", "region", "background", "base", "classes", "config"]

REMEDIES: dict[Field, str] = {
    "image": "Check the image and its axes.",
    "labels": "Check that these labels belong to this image.",
    "region": "Choose ⟨region:'all'⟩, ⟨region:'planes'⟩, ⟨region:'painted'⟩ or a mask of the "
    "labels' shape.",
    "background": "Name the label that means background, a whole number above 0.",
    "base": "Choose another base model, or train a new network.",
    "classes": "Correct the classes, or the labels.",
    "config": "Correct the setting.",
}
"""What to do where an error does not say it itself."""


@dataclass(frozen=True)
class Finding:
    """What is, or may be, wrong with the examples of a training.

    Attributes
    ----------
    severity : {"fault", "doubt"}
        A fault keeps the training from starting; a doubt may be dismissed.
    code : str
        A short name of the kind of finding, which stays the same.
    example : int or None
        Index of the example, those of ``validation`` counted on behind the others; None: it
        holds for all of them together.
    field : str
        What it is about: "image", "labels", "region", "background", "base", "classes" or
        "config".
    problem : str
        One sentence that says what was found.
    remedy : str
        One sentence that says what to do.
    parameter : str or None
        The parameter of the Python API that is wrong, where it is a single one: an argument or
        a field of the settings.
    cause : str
        Where it stands for an error, or is of the same kind: the `UNetError.code` of that.
    """

    severity: Severity
    code: str
    example: int | None
    field: Field
    problem: str
    remedy: str
    parameter: str | None = None
    cause: str = ""

    def __post_init__(self) -> None:
        for name in ("problem", "remedy"):
            object.__setattr__(self, name, Text(getattr(self, name)))

    @property
    def message(self) -> str:
        """What was found, in the words of the Python API."""
        return self.problem

    def as_error(self) -> InputError:
        """The same as an error."""
        remedy = self.remedy
        return InputError(self.problem, remedy, parameter=self.parameter, code=self.cause)

    def worded(self, name_of: NameOf, remedy: str | None = None) -> str:
        """What was found and what to do in the words of a front end; see `UNetError.worded`."""
        return join_texts(self.problem, self.remedy if remedy is None else remedy, name_of)


@dataclass
class Report:
    """Findings as they come up."""

    findings: list[Finding] = field(default_factory=list)

    def fault(
        self, code: str, example: int | None, where: Field, problem: str, remedy: str
    ) -> None:
        """Note what keeps the training from starting."""
        self.findings.append(Finding("fault", code, example, where, problem, remedy))

    def doubt(
        self,
        code: str,
        example: int | None,
        where: Field,
        problem: str,
        remedy: str,
        cause: str = "",
    ) -> None:
        """Note what is probably wrong."""
        self.findings.append(Finding("doubt", code, example, where, problem, remedy, cause=cause))

    def errors_of(self, code: str, example: int | None, where: Field) -> Errors:
        """A context in which errors become faults, and end it.

        Arrays of other libraries raise errors of any kind when they are read.
        """
        return Errors(self, code, example, where)

    def drop_doubts(self, *codes: str) -> None:
        """Take back what a fault of all examples says as well."""
        self.findings = [f for f in self.findings if f.severity == "fault" or f.code not in codes]

    def sorted(self) -> list[Finding]:
        """Faults, then doubts, each in the order of the examples; those of all come last."""
        return sorted(
            self.findings,
            key=lambda f: (f.severity != "fault", f.example is None, f.example or 0),
        )


@dataclass(frozen=True)
class Errors:
    """The context of `Report.errors_of`."""

    report: Report
    code: str
    example: int | None
    where: Field

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        if not isinstance(error, UNetError):
            error = UNetError(f"The {self.where} cannot be read ({reason_of(error)})")
        found = Finding(
            "fault",
            self.code,
            self.example,
            self.where,
            error.problem.as_sentence(),
            error.remedy.as_sentence() or REMEDIES[self.where],
            error.parameter,
            error.code,
        )
        self.report.findings.append(found)
        return True
