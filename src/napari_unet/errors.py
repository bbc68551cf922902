"""The errors a user can meet: what is wrong and what to do, in fields as well as in words.

No code reads a sentence. What a program may need of an error stands in its fields, and each
front end (Python, the docks, the command line) words its own sentence from them.

Texts name parameters of the Python API in the brackets ⟨ and ⟩, with or without a value:
"give ⟨axes='TYX'⟩ for time", "⟨min_size⟩ -1 is too small"; ⟨task:'semantic'⟩ is a value whose
parameter the sentence names already. Python's wording leaves the brackets out; another front
end puts its own name of the parameter there, such as ``--axes TYX`` or the label of a field.
See `Text`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

REFERENCE = re.compile(r"⟨(\w+)(?:([=:])([^⟩]*))?⟩")
STOPS = (".", "!", "?")

NameOf = Callable[[str, str], str]
"""A front end's name of a parameter, for (parameter, value).

The value is often empty; the parameter is, where only the value is to be named.
"""


class Text(str):
    """A text in the words of the Python API that other front ends can put into their own.

    Parameters
    ----------
    template : str
        The text, in which parameters of the API stand in brackets: "give ⟨axes='TYX'⟩". To put
        a text into another one, take its ``template``, which still has the brackets.
    plain : str, optional
        Python's wording, where it is not the template without brackets.

    Examples
    --------
    >>> text = Text("give ⟨axes='TYX'⟩ for time")
    >>> text
    "give axes='TYX' for time"
    >>> text.worded(lambda parameter, value: f"--{parameter} {value}")
    'give --axes TYX for time'
    """

    __slots__ = ("template",)
    template: str

    def __new__(cls, template: str = "", plain: str | None = None) -> Text:  # noqa: D102
        if isinstance(template, Text):
            return template
        if plain is None:
            plain = _fill(template, _name_in_python)
        text = super().__new__(cls, plain)
        text.template = template
        return text

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        return self.template, str(self)

    def worded(self, name_of: NameOf) -> str:
        """The text with each parameter named by the front end."""
        return _fill(self.template, lambda name, _, value: name_of(name, value.strip("'")))

    def as_sentence(self) -> Text:
        """The text with a full stop and, unless a name such as min_size is first, a capital.

        >>> Text("labels are negative").as_sentence(), Text("⟨min_size⟩ is -1").as_sentence()
        ('Labels are negative.', 'min_size is -1.')
        """
        template, plain = (
            text[:1].upper() + text[1:] if text.partition(" ")[0].isalpha() else text
            for text in (self.template, str(self))
        )
        return Text(_with_stop(template), _with_stop(plain))


class Note:
    """Something to be told beside a result, such as that a training goes on with less memory.

    Parameters
    ----------
    code : str
        A short name of the kind of note, which stays the same however it is worded.
    text, remedy : str
        What is told, and what can be done; see `UNetError`.

    Examples
    --------
    >>> str(Note("memory", "the memory is short", "close other programs"))
    'the memory is short; close other programs.'
    """

    def __init__(self, code: str, text: str, remedy: str = "") -> None:
        self.code = code
        self.text = Text(text)
        self.remedy = Text(remedy)

    def __str__(self) -> str:
        return join_texts(self.text, self.remedy)

    def __repr__(self) -> str:
        return f"Note({self.code!r}, {self.text!r}, {self.remedy!r})"

    def worded(self, name_of: NameOf, remedy: str | None = None) -> str:
        """The note in the words of a front end; see `UNetError.worded`."""
        return join_texts(self.text, self.remedy if remedy is None else remedy, name_of)


class UNetError(Exception):
    """Base of all errors that the user's input, settings or files can cause.

    ``str`` of it is one sentence: what is wrong, with the offending value and what was
    expected; and what to do next. Docks show it beside the field; the command line prints it
    as one line and exits with status 2.

    Parameters
    ----------
    problem : str
        What is wrong, without a full stop.
    remedy : str
        What to do next, as a clause that goes on after a semicolon, without a full stop.
    parameter : str, optional
        The parameter of the Python API that is wrong: an argument such as "axes" or a field of
        the settings such as "min_size". A dock maps it to its field, the command line to its
        option.
    value : object
        What it was.
    code : str
        A short name of the kind of problem, which stays the same however it is worded. Given
        where a front end has a remedy of its own.

    Examples
    --------
    >>> error = UNetError("⟨tile⟩ 0 is too small", "give 1 or more", parameter="tile", value=0)
    >>> str(error), error.parameter
    ('tile 0 is too small; give 1 or more.', 'tile')
    """

    def __init__(
        self,
        problem: str,
        remedy: str = "",
        *,
        parameter: str | None = None,
        value: Any = None,
        code: str = "",
    ) -> None:
        self.problem = Text(problem)
        self.remedy = Text(remedy)
        self.parameter = parameter
        self.value = value
        self.code = code
        super().__init__(self.problem, self.remedy)

    def __str__(self) -> str:
        return join_texts(self.problem, self.remedy)

    @property
    def fields(self) -> dict[str, Any]:
        """All but the problem, as arguments of an error that says it in other words."""
        return {
            "remedy": self.remedy,
            "parameter": self.parameter,
            "value": self.value,
            "code": self.code,
        }

    def worded(self, name_of: NameOf, remedy: str | None = None) -> str:
        """The sentence in the words of a front end.

        Parameters
        ----------
        name_of : callable
            Gives the front end's name of a parameter and value.
        remedy : str, optional
            A remedy of the front end's own; empty: none.
        """
        return join_texts(self.problem, self.remedy if remedy is None else remedy, name_of)


def note_of(code: str, error: Exception, prefix: str = "") -> Note:
    """An error as a note, after a prefix; one that is no `UNetError` by its kind."""
    if isinstance(error, UNetError):
        return Note(code, prefix + error.problem.template, error.remedy)
    return Note(code, f"{prefix}{type(error).__name__}: {error}")


def note_about(source: object, note: Note) -> Note:
    """A note that names the file that it is about.

    >>> str(note_about("a.tif", Note("scenes-left-out", "It holds 2 images")))
    'a.tif: It holds 2 images.'
    """
    return Note(note.code, f"{source}: {note.text.template}", note.remedy.template)


class InputError(UNetError):
    """An image, a label array, or a description of one (axes, channels) cannot be used."""


class SettingsError(UNetError):
    """A setting is unknown, out of bounds, or does not fit the model or the image."""


class ModelError(UNetError):
    """A model is unknown, damaged, of a newer format, or not fit for the request."""


class FileError(UNetError):
    """A file cannot be read or written."""


class TrainingError(UNetError):
    """Training cannot start or cannot go on."""


class TrainingInterruptedError(TrainingError):
    """Training could not go on.

    Attributes
    ----------
    model : Model or None
        With the best weights until then; None where nothing was learned yet.
    """

    def __init__(self, problem: str, model: object = None, **fields: Any) -> None:
        super().__init__(problem, **fields)
        self.model = model


def join_texts(problem: str, remedy: str, name_of: NameOf | None = None) -> str:
    """A problem and its remedy in one text, either as they are or in a front end's words.

    Clauses make one sentence; a problem that is a sentence is followed by another one.
    """
    parts = [Text(part) for part in (problem, remedy) if part]
    words = [part if name_of is None else part.worded(name_of) for part in parts]
    return _with_stop((" " if problem.endswith(STOPS) else "; ").join(words))


def describe_validation(error: ValidationError) -> SettingsError:
    """All faults of a validation in one sentence, each with its field and value.

    The parameter of the error is the first field that is wrong.
    """
    messages: dict[str, list[str]] = {}
    values: dict[str, Any] = {}
    for fault in error.errors():
        field = str(fault["loc"][0]) if fault["loc"] else ""
        cause = fault.get("ctx", {}).get("error")
        message = fault["msg"] if cause is None else str(cause)
        known = messages.setdefault(field, [])
        if known:  # another alternative of the same field, without pydantic's words before it
            message = message.removeprefix("Input should be ")
        if message not in known:
            known.append(message)
        if not isinstance(fault["input"], dict):
            values.setdefault(field, fault["input"])
    faults = []
    for field, known in messages.items():
        given = f" (given: {values[field]!r})" if field in values else ""
        name = f"⟨{field}⟩: " if field else ""
        faults.append(f"{name}{', or '.join(known)}{given if field else ''}")
    first = next((field for field in messages if field), None)
    return SettingsError("; ".join(faults), parameter=first, value=values.get(first or ""))


def _fill(template: str, words: Callable[[str, str, str], str]) -> str:
    """A template with the words for (parameter, sign, value) in place of each reference."""

    def fill(hit: re.Match[str]) -> str:
        name, sign, value = hit.groups(default="")
        return words("" if sign == ":" else name, sign, value)

    return REFERENCE.sub(fill, template)


def _name_in_python(parameter: str, sign: str, value: str) -> str:
    return f"{parameter}{sign}{value}" if parameter else value


def _with_stop(text: str) -> str:
    return text if text.endswith(STOPS) or not text else f"{text}."
