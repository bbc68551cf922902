"""The errors a user can meet, each a sentence that says what to do next."""

from __future__ import annotations


class UNetError(Exception):
    """Base of all errors that the user's input, settings or files can cause.

    The message is one sentence that names the offending value, says what was expected
    and what to do next. Docks show it beside the field; the command line prints it as
    one line and exits with status 2.
    """


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

    def __init__(self, message: str, model: object = None) -> None:
        super().__init__(message)
        self.model = model
