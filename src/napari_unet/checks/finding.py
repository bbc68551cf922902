"""A finding: what is, or may be, wrong with the examples of a training."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal

from napari_unet.errors import UNetError
from napari_unet.io.reason import reason_of

Severity = Literal["fault", "doubt"]
Field = Literal["image", "labels", "region", "background", "base", "classes", "config"]

REMEDIES: dict[Field, str] = {
    "image": "Check the image and its axes.",
    "labels": "Check that these labels belong to this image.",
    "region": "Choose 'all', 'planes', 'painted' or a mask of the labels' shape.",
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
    message : str
        One sentence that says what was found.
    remedy : str
        One sentence that says what to do.
    """

    severity: Severity
    code: str
    example: int | None
    field: Field
    message: str
    remedy: str


@dataclass
class Report:
    """Findings as they come up."""

    findings: list[Finding] = field(default_factory=list)

    def fault(
        self, code: str, example: int | None, where: Field, message: str, remedy: str
    ) -> None:
        """Note what keeps the training from starting."""
        self.findings.append(Finding("fault", code, example, where, message, remedy))

    def doubt(
        self, code: str, example: int | None, where: Field, message: str, remedy: str
    ) -> None:
        """Note what is probably wrong."""
        self.findings.append(Finding("doubt", code, example, where, message, remedy))

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
        found = f"The {self.where} cannot be read ({reason_of(error)})."
        remedy = REMEDIES[self.where]
        if isinstance(error, UNetError):
            found, remedy = split_sentence(str(error), remedy)
        self.report.fault(self.code, self.example, self.where, found, remedy)
        return True


def split_sentence(text: str, otherwise: str) -> tuple[str, str]:
    """The message of an error without its advice, and the advice as a sentence.

    >>> split_sentence("The image has NaN pixels; replace them.", "Check it.")
    ('The image has NaN pixels.', 'Replace them.')
    """
    for mark in ("; ", ". "):
        found, _, advice = text.partition(mark)
        if advice:
            return _capital(found) + ".", _capital(advice)
    return _capital(text), otherwise


def _capital(text: str) -> str:
    word = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if word.isalpha() else text
